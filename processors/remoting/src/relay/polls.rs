//! The connections that consumers' polls use, once the broker knows the consumer.

use std::rc::Rc;

use route_cache::{Broker, Connection};

use crate::error::ProcessError;
use crate::session::Session;
use crate::session::request::Asked;
use crate::table::Field;

/// The connection that a poll uses; none while the broker does not know the consumer.
pub(crate) fn connection_now(
    session: &Session,
    broker: &Broker,
    asked: &Asked<'_>,
) -> Result<Option<Rc<Connection>>, ProcessError> {
    let group = asked.value(Field::Group).map(|group| group.text());
    let class = session.class_of_poll(asked.row.class);
    let member = &session.member;
    Ok(member.poll_connection(broker, group.as_deref(), class)?)
}

/// The connection that a poll uses, after waiting until the broker knows the consumer.
pub(crate) async fn connection_later(
    session: &Session,
    broker: &Broker,
    asked: &Asked<'_>,
) -> Result<Rc<Connection>, ProcessError> {
    let group = asked.value(Field::Group).map(|group| group.text());
    let class = || session.class_of_poll(asked.row.class);
    let member = &session.member;
    let found = member.wait_for_poll_connection(broker, group.as_deref(), class);
    Ok(found.await?)
}
