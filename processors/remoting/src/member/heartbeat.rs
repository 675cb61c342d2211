//! HEART_BEAT (34): relayed, byte for byte, to every broker that must know the client.

use std::rc::Rc;

use messaging::{Declaration, Declared};
use remoting_codec::body::Heartbeat;
use remoting_codec::headers::SIGNATURE;
use remoting_codec::{CommandView, Opaque, RemotingCommand, ResponseCode, SerializeType, Version};
use route_cache::Verdict;
use route_cache::rate::{LogThrottle, shown};

use crate::error::ProcessError;
use crate::session::Session;
use crate::session::bodies;
use crate::session::kind;
use crate::session::request::Request;

/// Throttles the log of registered clients, for all workers.
static REGISTERED: LogThrottle = LogThrottle::per_second(100);

pub(crate) async fn process(session: Rc<Session>, request: Request) -> Result<(), ProcessError> {
    let view = request.view()?;
    let incoming = request.incoming(&view);
    let limit = session.settings.heartbeat_limit;
    if view.frame().len() > limit {
        return Err(ProcessError::HeartbeatTooLong(limit));
    }
    let Some(declared) = take_in(&session, &request, &view).await? else {
        return Ok(());
    };
    let (member, policy) = (&session.member, &session.settings.policy);
    let announced = declared.announced;
    if announced.is_some_and(|announced| announced.elapsed() < policy.heartbeat_repeat) {
        session.answer(&incoming, success(Version::V5_5_0));
        return Ok(());
    }
    let mut brokers = member.brokers_of(declared.topics.iter()).await;
    if session.caller().broker().is_none() && kind::uses_own_listeners(&session, &view) {
        // The client has its own connection to each of those brokers, and registers there as well.
        brokers.retain(|broker| !session.advertised.brokers.contains_key(&**broker.name()));
    }
    member.open_lanes(&brokers);
    if member.is_requester() {
        member.open_to_masters().await;
    }
    let verdict = member.announce(&declared).await?;
    session.answer(&incoming, response(verdict));
    member.renew_replies(&declared).await;
    Ok(())
}

/// Stores the client's declaration. `None` when the client has disconnected meanwhile.
async fn take_in(
    session: &Session,
    request: &Request,
    view: &CommandView<'_>,
) -> Result<Option<Declared>, ProcessError> {
    let member = &session.member;
    let turn = member.turn();
    let _turn = turn.lock().await;
    let signature = view.ext_fields().value(SIGNATURE);
    let signature = signature.map(|signature| signature.text());
    // Most heartbeats repeat the previous declaration.
    let declared = member.declared(view.body(), signature.as_deref());
    if let Some(declared) = declared {
        return Ok(Some(declared));
    }
    let (frame, body) = (request.bytes(), view.body_range());
    let heartbeat = bodies::of_frame(frame, body, "heartbeat", Heartbeat::decode).await?;
    if session.is_closed() {
        return Ok(None);
    }
    if !member.is_known()
        && let Some(not_logged) = REGISTERED.pass()
    {
        tracing::info!(
            peer = %session.peer(),
            client_id = shown(&heartbeat.client_id),
            language = view.language().name(),
            version = view.version().name(),
            not_logged,
            "client registered"
        );
    }
    let frame = request.awaited()?;
    let view = CommandView::decode(&frame)?;
    let declared = member.declare(Declaration {
        heartbeat,
        body: view.body_range(),
        signature: signature.map(Box::from),
        language: view.language(),
        version: view.version(),
        frame: frame.clone(),
    })?;
    Ok(Some(declared))
}

/// The response to the client, from the answers of the brokers.
fn response(verdict: Option<Verdict>) -> RemotingCommand {
    match verdict {
        // The client derives from this version what the broker supports.
        Some(verdict) if verdict.is_success() => success(verdict.version),
        Some(refusal) => {
            let code = ResponseCode(refusal.code);
            let response = RemotingCommand::response(code, Opaque::default(), SerializeType::Json);
            response.with_remark(String::from(refusal.remark))
        }
        // The client does not have to be registered at any broker yet.
        None => success(Version::V5_5_0),
    }
}

/// Heartbeats of the second version are not announced, so the client continues to send whole
/// heartbeats.
fn success(version: Version) -> RemotingCommand {
    RemotingCommand {
        version,
        ..RemotingCommand::response(
            ResponseCode::SUCCESS,
            Opaque::default(),
            SerializeType::Json,
        )
    }
}
