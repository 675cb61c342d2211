//! Which connection the requests of consumers take, once the broker knows the consumer.

use std::rc::Rc;

use remoting_codec::body::MessageModel;
use route_cache::{Broker, Connection, UpstreamError};

use crate::error::ProcessError;
use crate::session::request::Asked;
use crate::session::{Session, lanes};
use crate::table::Field;

/// The connection that a pull goes over, unless the broker does not know the consumer yet.
///
/// A broadcast consumer's pulls go over its lane: the broker keeps its offsets by the connection on
/// which it is registered (`BroadcastOffsetManager` in the reference).
pub(crate) fn connection_now(
    session: &Session,
    broker: &Broker,
    asked: &Asked<'_>,
) -> Result<Option<Rc<Connection>>, UpstreamError> {
    let (row, membership) = (asked.row, session.membership.borrow());
    let Some(model) = consumer(asked, |group| membership.consumer(group)) else {
        // The client has not said that it is in the group: the broker decides what that means.
        return broker
            .connection(session.class_of_poll(row.class), row.needs_master)
            .map(Some);
    };
    let addresses = broker.addresses();
    let lane = addresses
        .readable()
        .and_then(|address| membership.lane(broker.name(), address))
        .and_then(|lane| lane.registered());
    match (model, lane) {
        (_, None) => Ok(None),
        (MessageModel::Broadcasting, lane) => Ok(lane),
        (MessageModel::Clustering, _) => broker
            .connection(session.class_of_poll(row.class), row.needs_master)
            .map(Some),
    }
}

/// The same, waiting for the broker to know the consumer: one that does not answers an error, after
/// which a client pauses for seconds.
pub(crate) async fn connection_later(
    session: &Rc<Session>,
    broker: &Broker,
    asked: &Asked<'_>,
) -> Result<Rc<Connection>, ProcessError> {
    let row = asked.row;
    let address = broker.addresses().readable().cloned();
    let lane = address.and_then(|address| lanes::lane_to(session, broker, &address));
    let registered = match lane {
        Some(lane) => {
            lane.wait_registered(session.settings.registration_time)
                .await
        }
        None => None,
    };
    let model = consumer(asked, |group| session.membership.borrow().consumer(group));
    match (model, registered) {
        (Some(MessageModel::Broadcasting), Some(lane)) => Ok(lane),
        _ => Ok(broker.connection(session.class_of_poll(row.class), row.needs_master)?),
    }
}

fn consumer<T>(asked: &Asked<'_>, find: impl FnOnce(&str) -> Option<T>) -> Option<T> {
    find(&asked.value(Field::Group)?.text())
}
