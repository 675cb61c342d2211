//! LOCK_BATCH_MQ (41) and UNLOCK_BATCH_MQ (42): relayed to the brokers whose queues they name.

use std::collections::{BTreeMap, HashSet};
use std::rc::Rc;

use bytes::Bytes;
use remoting_codec::body::{LockBatch, LockBatchResponse, MessageQueue};
use remoting_codec::{CommandView, RemotingCommand, RequestCode, ResponseCode};
use route_cache::Broker;
use route_cache::transport::Frame;
use tokio::task::JoinSet;

use crate::error::ProcessError;
use crate::relay;
use crate::request::Request;
use crate::session::Session;

pub(crate) async fn process(session: Rc<Session>, request: Request) -> Result<(), ProcessError> {
    let view = request.view()?;
    let batch = LockBatch::decode(view.body())?;
    let mut by_broker: BTreeMap<Rc<str>, (Rc<Broker>, Vec<MessageQueue>)> = BTreeMap::new();
    let mut trouble = None;
    let mut unknown = HashSet::new();
    for queue in &batch.mq_set {
        let (name, topic) = (&queue.broker_name, &queue.topic);
        if unknown.contains(&(name, topic)) {
            continue;
        }
        match relay::named_broker(&session, name, topic, Some(queue.queue_id)).await {
            Ok(broker) => {
                let name = broker.name().clone();
                let (_, queues) = by_broker.entry(name).or_insert((broker, Vec::new()));
                queues.push(queue.clone());
            }
            // What others can do is still done.
            Err(error) => {
                unknown.insert((name, topic));
                trouble = Some(error);
            }
        }
    }
    if let (Some(error), true) = (trouble, by_broker.is_empty()) {
        return Err(error);
    }
    let whole = by_broker
        .values()
        .map(|(_, queues)| queues.len())
        .sum::<usize>()
        == batch.mq_set.len();
    let mut brokers = by_broker.into_values();
    match (brokers.next(), brokers.len()) {
        (None, _) => {
            session.answer(&view, locked(&request, Vec::new())?);
            Ok(())
        }
        (Some((broker, _)), 0) if whole => {
            if request.row.code == RequestCode::UNLOCK_BATCH_MQ {
                broker.requests_flushed().await;
            }
            relay::to_broker(&session, &broker, request.row, &request.frame(), &view)
        }
        (Some(first), _) => {
            let parts = std::iter::once(first).chain(brokers);
            split(&session, &request, &batch, parts).await
        }
    }
}

/// Asks each broker for its own queues. Java never needs this: it asks once per broker.
async fn split(
    session: &Rc<Session>,
    request: &Request,
    batch: &LockBatch,
    parts: impl Iterator<Item = (Rc<Broker>, Vec<MessageQueue>)>,
) -> Result<(), ProcessError> {
    let view = request.view()?;
    let mut asking = JoinSet::new();
    for (broker, queues) in parts {
        let part = LockBatch {
            mq_set: queues,
            ..batch.clone()
        };
        let part = request.with_body(part.encode())?;
        let row = request.row;
        let time = session.settings.time(row.patience);
        if view.is_oneway() {
            let connection = broker.connection(row.class, row.needs_master)?;
            let view = CommandView::decode(&part)?;
            connection.relay_oneway(&Frame::of(&part), &view)?;
            continue;
        }
        asking.spawn_local(async move {
            let connection = broker.connection(row.class, row.needs_master)?;
            connection.call(part, time).await
        });
    }
    let mut queues = Vec::new();
    // A broker that does not answer has locked nothing that the client may count on.
    for frame in asking.join_all().await.into_iter().flatten() {
        queues.extend(locked_by(&frame)?);
    }
    session.answer(&view, locked(request, queues)?);
    Ok(())
}

fn locked_by(frame: &Bytes) -> Result<Vec<MessageQueue>, ProcessError> {
    let view = CommandView::decode(frame)?;
    if view.code() != ResponseCode::SUCCESS.0 || view.body().is_empty() {
        return Ok(Vec::new());
    }
    Ok(LockBatchResponse::decode(view.body())?.locked)
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
