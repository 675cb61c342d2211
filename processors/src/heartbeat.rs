//! HEART_BEAT (34): relayed, byte for byte, to every broker that must know the client.

use std::rc::Rc;
use std::sync::Arc;

use bytes::Bytes;
use futures_util::future::join_all;
use futures_util::stream::{FuturesUnordered, StreamExt};
use remoting_codec::body::Heartbeat;
use remoting_codec::{CommandView, RemotingCommand, ResponseCode, Version};
use route_cache::{Broker, Lane, UpstreamError};
use tokio::time::{Instant, timeout_at};

use crate::error::ProcessError;
use crate::membership::Said;
use crate::request::Request;
use crate::session::Session;
use crate::{relay, reply};

/// Most bytes of a heartbeat, for it is kept.
const FRAME_MAX: usize = 1024 * 1024;

pub(crate) async fn process(session: Rc<Session>, request: Request) -> Result<(), ProcessError> {
    let view = request.view()?;
    if view.frame().len() > FRAME_MAX {
        return Err(ProcessError::TooLong("heartbeat", FRAME_MAX));
    }
    let Said {
        client_id,
        topics,
        told,
    } = take_in(&session, &request, &view)?;
    if told.is_some_and(|told| told.elapsed() < session.settings.heartbeat_repeat) {
        session.answer(&view, success(Version::V5_5_0));
        return Ok(());
    }
    let mut brokers = brokers_of(&session, &topics).await;
    if session.broker.is_none() && relay::uses_own_listeners(&session, &view) {
        // The client has a connection of its own to each of those, and says this there as well.
        brokers.retain(|broker| !session.advertised.brokers.contains_key(&**broker.name()));
    }
    open_lanes(&session, &brokers);
    if session.membership.borrow().is_requester() {
        reply::open_lanes(&session).await;
    }
    let answers = tell_all(&session).await;
    let response = summary(answers)?;
    if response.code == ResponseCode::SUCCESS.0 {
        session.membership.borrow_mut().set_told(&client_id);
    }
    session.answer(&view, response);
    reply::renew(&session).await;
    Ok(())
}

/// Takes in what the client says of itself.
fn take_in(
    session: &Session,
    request: &Request,
    view: &CommandView<'_>,
) -> Result<Said, ProcessError> {
    let mut membership = session.membership.borrow_mut();
    // Most of the time it says what it has said before.
    if let Some(said) = membership.said(view) {
        return Ok(said);
    }
    let heartbeat = Heartbeat::decode(view.body())?;
    if membership.client_id().is_none() {
        tracing::info!(
            peer = %session.peer(),
            client_id = heartbeat.client_id,
            language = view.language().name(),
            version = view.version().name(),
            "client came"
        );
    }
    membership.update(heartbeat, request.bytes(), view)
}

/// The brokers that have these topics, as far as can be told without keeping the client waiting.
pub(crate) async fn brokers_of(session: &Session, topics: &[String]) -> Vec<Rc<Broker>> {
    if let Some(name) = &session.broker {
        let broker = session.upstream.broker(name).await;
        return broker.into_iter().collect();
    }
    let routes = session.upstream.routes();
    let loading = topics.iter().map(|topic| routes.route(topic));
    let mut loading: FuturesUnordered<_> = loading.collect();
    let deadline = Instant::now() + session.settings.heartbeat_time / 2;
    let mut brokers: Vec<Rc<Broker>> = Vec::new();
    while let Ok(Some(loaded)) = timeout_at(deadline, loading.next()).await {
        // A topic may not exist yet: that of a group's retries begins with the first heartbeat.
        let Ok(route) = loaded else {
            continue;
        };
        for broker in route.brokers() {
            let known = session.upstream.known_broker(&broker.broker_name);
            brokers.extend(known.filter(|new| !brokers.iter().any(|b| Rc::ptr_eq(b, new))));
        }
    }
    brokers
}

/// Opens the lanes that are missing: to these brokers, their replicas too, for consumers may read there
/// and are refused where they are not known; and to the masters that the client has sent to.
fn open_lanes(session: &Rc<Session>, brokers: &[Rc<Broker>]) {
    // A lane to where no broker is any more is none.
    session.membership.borrow_mut().retain_lanes(|lane| {
        let broker = session.upstream.known_broker(lane.broker());
        broker.is_some_and(|broker| broker.addresses().all().any(|at| at == lane.address()))
    });
    let sent_to = session.membership.borrow_mut().take_sent_to();
    for broker in brokers {
        for address in broker.addresses().all() {
            lane_to(session, broker, address);
        }
    }
    for broker in &sent_to {
        if let Some(address) = broker.addresses().master() {
            lane_to(session, broker, address);
        }
    }
}

/// The lane to that address; opened if there is none. `None` when the client has gone, or has not
/// said who it is.
pub(crate) fn lane_to(
    session: &Rc<Session>,
    broker: &Broker,
    address: &Arc<str>,
) -> Option<Rc<Lane>> {
    let mut membership = session.membership.borrow_mut();
    if let Some(lane) = membership.lane(broker.name(), address) {
        return Some(lane.clone());
    }
    let registration = membership.registration()?;
    let lane = session.upstream.open_lane(
        broker.name().clone(),
        address.clone(),
        registration,
        Rc::downgrade(session) as _,
    );
    membership.add_lane(lane.clone());
    Some(lane)
}

/// Says the client's heartbeat on all of its lanes at once.
async fn tell_all(session: &Session) -> Vec<Result<Bytes, UpstreamError>> {
    let time = session.settings.heartbeat_time;
    let lanes = session.membership.borrow().lanes().to_vec();
    join_all(lanes.iter().map(|lane| lane.heartbeat(time))).await
}

/// One answer out of many: success if any broker took it, else what the first that answered says. A
/// broker that is away now is told by its lane when it is back.
fn summary(answers: Vec<Result<Bytes, UpstreamError>>) -> Result<RemotingCommand, ProcessError> {
    if answers.is_empty() {
        return Ok(success(Version::V5_5_0));
    }
    let mut refusal = None;
    let mut trouble = None;
    for answer in answers {
        match answer {
            Ok(frame) => {
                let view = CommandView::decode(&frame)?;
                if view.code() == ResponseCode::SUCCESS.0 {
                    // The client takes from this version what the broker can do.
                    return Ok(success(view.version()));
                }
                refusal.get_or_insert((view.code(), view.remark().into_owned()));
            }
            Err(error) => trouble = Some(error),
        }
    }
    match (refusal, trouble) {
        (Some((code, remark)), _) => {
            let (opaque, serialize_type) = (0, remoting_codec::SerializeType::Json);
            let response = RemotingCommand::response(ResponseCode(code), opaque, serialize_type);
            Ok(response.with_remark(remark))
        }
        (None, Some(error)) => Err(error.into()),
        (None, None) => Ok(success(Version::V5_5_0)),
    }
}

/// Nothing is said of heartbeats of the second version: a client then goes on sending whole ones.
fn success(version: Version) -> RemotingCommand {
    let serialize_type = remoting_codec::SerializeType::Json;
    RemotingCommand {
        version,
        ..RemotingCommand::response(ResponseCode::SUCCESS, 0, serialize_type)
    }
}
