//! LOCK_BATCH_MQ (41) and UNLOCK_BATCH_MQ (42): relayed to the brokers whose queues the body names.

use std::collections::{BTreeMap, HashSet};
use std::rc::Rc;

use remoting_codec::body::{LockBatch, LockBatchResponse, MessageQueue};
use remoting_codec::{RemotingCommand, RequestCode, ResponseCode, UpstreamView};
use route_cache::{Broker, UpstreamError};
use tokio::task::{JoinSet, yield_now};

use crate::error::ProcessError;
use crate::relay;
use crate::session::Session;
use crate::session::bodies;
use crate::session::request::Request;

/// The number of queues after which other clients get a turn.
const QUEUES_PER_TURN: usize = 512;

pub(crate) async fn process(session: Rc<Session>, request: Request) -> Result<(), ProcessError> {
    let view = request.view()?;
    let batch = bodies::of_request(&request, "list of queues", LockBatch::decode).await?;
    let mut by_broker: BTreeMap<Rc<str>, (Rc<Broker>, HashSet<MessageQueue>)> = BTreeMap::new();
    let mut last_error = None;
    let mut unknown = HashSet::new();
    for (nth, queue) in batch.mq_set.iter().enumerate() {
        if nth % QUEUES_PER_TURN == QUEUES_PER_TURN - 1 {
            yield_now().await;
        }
        let (name, topic) = (&queue.broker_name, &queue.topic);
        if unknown.contains(&(name, topic)) {
            continue;
        }
        let caller = session.caller();
        match caller.named_broker(name, topic, Some(queue.queue_id)).await {
            Ok(broker) => {
                let name = broker.name().clone();
                let (_, queues) = by_broker.entry(name).or_insert((broker, HashSet::new()));
                queues.insert(queue.clone());
            }
            // The queues of the other brokers are still locked.
            Err(error) => {
                unknown.insert((name, topic));
                last_error = Some(error);
            }
        }
    }
    let whole = last_error.is_none();
    if let (Some(error), true) = (last_error, by_broker.is_empty()) {
        return Err(error.into());
    }
    let mut brokers = by_broker.into_values();
    match (brokers.next(), brokers.len()) {
        (None, _) => {
            session.answer(&request.incoming(&view), locked(&request, Vec::new())?);
            Ok(())
        }
        (Some((broker, _)), 0) if whole => {
            if request.row.code == RequestCode::UNLOCK_BATCH_MQ {
                broker.requests_flushed().await;
            }
            relay::to_broker(&session, &broker, request.row, &request.incoming(&view))
        }
        (Some(first), _) => {
            let all = std::iter::once(first).chain(brokers);
            ask_each(&session, &request, all).await
        }
    }
}

/// Asks each broker for all queues, and takes from its answer only the broker's own queues. Java
/// clients never need this: they send one request per broker.
///
/// A broker accepts locks of queues that it does not have; they have no effect there. So each
/// broker gets the whole request, and the client's signature stays valid. A part of the request
/// would have to be signed again, with a key that has other permissions.
async fn ask_each(
    session: &Rc<Session>,
    request: &Request,
    brokers: impl Iterator<Item = (Rc<Broker>, HashSet<MessageQueue>)>,
) -> Result<(), ProcessError> {
    let view = request.view()?;
    let row = request.row;
    let mut asking = JoinSet::new();
    for (broker, queues) in brokers {
        if row.code == RequestCode::UNLOCK_BATCH_MQ {
            broker.requests_flushed().await;
        }
        if view.is_oneway() {
            // The client waits for no answer, and the other brokers must get the request in any
            // case.
            if let Ok(connection) = broker.connection(row.class, row.needs_master) {
                let _ = connection.relay_oneway(
                    &request.incoming(&view).frame,
                    &view,
                    session.account(),
                );
            }
            continue;
        }
        let (frame, time) = (request.bytes(), session.settings.policy.time(row.patience));
        asking.spawn_local(async move {
            let connection = broker.connection(row.class, row.needs_master)?;
            Ok::<_, UpstreamError>((connection.call(frame, time).await?, queues))
        });
    }
    let mut all = Vec::new();
    let mut taken = false;
    let mut refusal = None;
    // The client may not rely on locks of a broker that does not answer.
    for (frame, queues) in asking.join_all().await.into_iter().flatten() {
        let answered = UpstreamView::decode_answer(&frame)?;
        if !answered.is_success() {
            refusal = Some(frame);
            continue;
        }
        taken = true;
        if !answered.body().is_empty() {
            let locked = LockBatchResponse::decode(answered.body())?.locked;
            all.extend(locked.into_iter().filter(|queue| queues.contains(queue)));
        }
    }
    match refusal {
        Some(refusal) if !taken => session.pass_on(&request.incoming(&view), &refusal),
        _ => {
            session.answer(&request.incoming(&view), locked(request, all)?);
            Ok(())
        }
    }
}

/// The answer to a lock; that to an unlock has no body.
fn locked(request: &Request, queues: Vec<MessageQueue>) -> Result<RemotingCommand, ProcessError> {
    let view = request.view()?;
    let (opaque, serialize_type) = (view.opaque(), view.serialize_type());
    let response = RemotingCommand::response(ResponseCode::SUCCESS, opaque, serialize_type);
    Ok(if request.row.code == RequestCode::LOCK_BATCH_MQ {
        response.with_body(LockBatchResponse { locked: queues }.encode())
    } else {
        response
    })
}
