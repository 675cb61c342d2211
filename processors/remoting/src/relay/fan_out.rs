//! Requests that are sent to several brokers.

use std::rc::Rc;

use bytes::Bytes;
use remoting_transport::Held;
use route_cache::{Broker, UpstreamError};
use tokio::task::JoinSet;

use crate::session::Session;
use crate::session::request::Request;

/// Sends the request to the master of each of the brokers, if it has one. The answers are charged
/// to the client as long as they are kept.
pub(crate) async fn ask_all(
    session: &Session,
    request: &Request,
    brokers: Vec<Rc<Broker>>,
) -> (Vec<Result<Bytes, UpstreamError>>, Vec<Held>) {
    let mut asking = JoinSet::new();
    let time = session.settings.policy.time(request.row.patience);
    for broker in brokers {
        if broker.addresses().master().is_none() {
            continue;
        }
        let (class, frame) = (request.row.class, request.bytes());
        let account = session.account().clone();
        asking.spawn_local(async move {
            let answer = match broker.connection(class, true) {
                Ok(connection) => connection.call(frame, time).await,
                Err(error) => Err(error),
            };
            let held = account.hold(answer.as_ref().map_or(0, Bytes::len));
            (answer, held)
        });
    }
    asking.join_all().await.into_iter().unzip()
}
