//! HEART_BEAT (34): relayed, byte for byte, to every broker that must know the client.

use std::rc::Rc;

use futures_util::future::join_all;
use remoting_codec::body::Heartbeat;
use remoting_codec::{CommandView, Opaque, RemotingCommand, ResponseCode, Version};
use route_cache::rate::{PerSecond, shown};
use route_cache::{UpstreamError, Verdict};
use tokio::task::yield_now;

use crate::error::ProcessError;
use crate::session::Session;
use crate::session::bodies;
use crate::session::kind;
use crate::session::lanes;
use crate::session::membership::Said;
use crate::session::request::Request;
use crate::session::requester;

/// Clients that have come.
static CAME: PerSecond = PerSecond::new(100);

pub(crate) async fn process(session: Rc<Session>, request: Request) -> Result<(), ProcessError> {
    let view = request.view()?;
    let incoming = request.incoming(&view);
    let limit = session.settings.heartbeat_limit;
    if view.frame().len() > limit {
        return Err(ProcessError::HeartbeatTooLong(limit));
    }
    let Some(said) = take_in(&session, &request, &view).await? else {
        return Ok(());
    };
    let told = said.told;
    if told.is_some_and(|told| told.elapsed() < session.settings.heartbeat_repeat) {
        session.answer(&incoming, success(Version::V5_5_0));
        return Ok(());
    }
    let mut brokers = lanes::brokers_of(&session, said.topics.iter()).await;
    if session.broker.is_none() && kind::uses_own_listeners(&session, &view) {
        // The client has a connection of its own to each of those, and says this there as well.
        brokers.retain(|broker| !session.advertised.brokers.contains_key(&**broker.name()));
    }
    lanes::open_lanes(&session, &brokers);
    if session.membership.borrow().is_requester() {
        lanes::open_to_masters(&session).await;
    }
    let verdicts = tell_all(&session, said.key, view.frame().len()).await;
    let response = summary(verdicts)?;
    if response.code == ResponseCode::SUCCESS.0 {
        session.membership.borrow_mut().set_told(said.key);
    }
    session.answer(&incoming, response);
    requester::renew(&session, said.key).await;
    Ok(())
}

/// Takes in what the client says of itself. `None` when it has gone meanwhile.
async fn take_in(
    session: &Session,
    request: &Request,
    view: &CommandView<'_>,
) -> Result<Option<Said>, ProcessError> {
    let turn = session.membership.borrow().turn();
    let _turn = turn.lock().await;
    // Most of the time it says what it has said before.
    let said = session.membership.borrow().said(view);
    if let Some(said) = said {
        return Ok(Some(said));
    }
    let (frame, body) = (request.bytes(), view.body_range());
    let heartbeat = bodies::of_frame(frame, body, "heartbeat", Heartbeat::decode).await?;
    if session.is_closed() {
        return Ok(None);
    }
    let mut membership = session.membership.borrow_mut();
    if membership.client_id().is_none()
        && let Some(not_logged) = CAME.pass()
    {
        tracing::info!(
            peer = %session.peer(),
            client_id = shown(&heartbeat.client_id),
            language = view.language().name(),
            version = view.version().name(),
            not_logged,
            "client came"
        );
    }
    let frame = request.awaited()?;
    let view = CommandView::decode(&frame)?;
    let said = membership.update(heartbeat, frame.clone(), &view)?;
    drop(membership);
    session.charge_declared();
    Ok(Some(said))
}

/// Says the client's heartbeat of that key, of so many bytes, on all of its lanes.
async fn tell_all(
    session: &Session,
    key: usize,
    length: usize,
) -> Vec<Result<Verdict, UpstreamError>> {
    let time = session.settings.heartbeat_time;
    let lanes = session.membership.borrow().lanes().to_vec();
    let telling = lanes.iter().enumerate().map(|(turn, lane)| async move {
        if length > bodies::LONG {
            // Each has a copy made of it.
            for _ in 0..turn {
                yield_now().await;
            }
        }
        lane.heartbeat(key, time).await
    });
    join_all(telling).await
}

/// One answer out of many: success if any broker took it, else what the first that answered says. A
/// broker that is away now is told by its lane when it is back.
fn summary(verdicts: Vec<Result<Verdict, UpstreamError>>) -> Result<RemotingCommand, ProcessError> {
    let mut refusal = None;
    let mut trouble = None;
    for verdict in verdicts {
        match verdict {
            // The client takes from this version what the broker can do.
            Ok(verdict) if verdict.is_success() => return Ok(success(verdict.version)),
            Ok(verdict) => drop(refusal.get_or_insert(verdict)),
            Err(error) => trouble = Some(error),
        }
    }
    match (refusal, trouble) {
        (Some(refusal), _) => {
            let (opaque, serialize_type) = (Opaque::default(), remoting_codec::SerializeType::Json);
            let code = ResponseCode(refusal.code);
            let response = RemotingCommand::response(code, opaque, serialize_type);
            Ok(response.with_remark(String::from(refusal.remark)))
        }
        (None, Some(error)) => Err(error.into()),
        // Nobody needs to know the client yet.
        (None, None) => Ok(success(Version::V5_5_0)),
    }
}

/// Nothing is said of heartbeats of the second version: a client then goes on sending whole ones.
fn success(version: Version) -> RemotingCommand {
    let serialize_type = remoting_codec::SerializeType::Json;
    RemotingCommand {
        version,
        ..RemotingCommand::response(ResponseCode::SUCCESS, Opaque::default(), serialize_type)
    }
}
