//! The broker that a request is for, by its fields.

use std::rc::Rc;

use messaging::Target;
use remoting_codec::RequestCode;
use remoting_codec::headers::BROKER_NAME;
use route_cache::Broker;

use crate::error::ProcessError;
use crate::session::Session;
use crate::session::kind::names_brokers;
use crate::session::request::Asked;
use crate::table::Field;

/// The broker that a request is for, if no look-up is needed: the broker of the listener, or the
/// one that the header names.
#[inline]
pub(crate) fn known_broker(session: &Session, asked: &Asked<'_>) -> Option<Rc<Broker>> {
    session.caller().known_broker(asked.value(Field::Broker))
}

/// The broker that a request is for: the broker of the listener, the one that the header names, or
/// the only one of the topic.
pub(crate) async fn find_broker(
    session: &Session,
    asked: &Asked<'_>,
) -> Result<Rc<Broker>, ProcessError> {
    let topic = asked.text(Field::Topic);
    let target = Target {
        broker: asked.value(Field::Broker),
        topic: &topic,
        queue: asked.int(Field::Queue),
        // The broker detector of a client that otherwise names brokers: any broker of the topic
        // will do.
        any: asked.row.code == RequestCode::GET_MAX_OFFSET && names_brokers(asked.view()),
    };
    let found = session.caller().find_broker(target).await?;
    found.ok_or_else(|| ProcessError::NoBrokerName {
        field: asked
            .row
            .spec(Field::Broker)
            .map_or(BROKER_NAME, |field| field.name),
        topic: topic.into_owned(),
    })
}
