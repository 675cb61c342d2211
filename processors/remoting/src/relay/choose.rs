//! Which broker a request is for.

use std::rc::Rc;

use remoting_codec::RequestCode;
use route_cache::{Broker, Class, MOCK_PREFIX, RouteError};

use crate::error::ProcessError;
use crate::session::Session;
use crate::session::kind::names_brokers;
use crate::session::request::Asked;
use crate::table::Field;

/// The broker that a request is for, if it is known without asking anybody: the listener's, or the
/// one that the header names.
pub(crate) fn known_broker(session: &Session, asked: &Asked<'_>) -> Option<Rc<Broker>> {
    if let Some(name) = &session.broker {
        return session.upstream.known_broker(name);
    }
    let name = asked.value(Field::Broker)?.text();
    session.upstream.known_broker(&name)
}

/// The broker that a request is for: the listener's, the one that it names, or the only one that its
/// topic has.
pub(crate) async fn find_broker(
    session: &Session,
    asked: &Asked<'_>,
) -> Result<Rc<Broker>, ProcessError> {
    let row = asked.row;
    if let Some(name) = &session.broker {
        return Ok(session.upstream.broker(name).await?);
    }
    let topic = asked.text(Field::Topic);
    if let Some(name) = asked.value(Field::Broker) {
        return named_broker(session, &name.text(), &topic, asked.int(Field::Queue)).await;
    }
    let no_name = |topic: &str| ProcessError::NoBrokerName {
        field: row.spec(Field::Broker).map_or("bname", |field| field.name),
        topic: topic.to_owned(),
    };
    // Where there is one broker, it is meant, whatever the topic is or whether it exists.
    if let [only] = &*session.upstream.all_brokers().await {
        return Ok(only.clone());
    }
    if topic.is_empty() {
        return Err(no_name(""));
    }
    let route = session.route(&topic).await?;
    match route.brokers() {
        [only] => Ok(session.upstream.broker(&only.broker_name).await?),
        // The broker detector of a client that names brokers elsewhere: any of them will do.
        [first, ..] if row.code == RequestCode::GET_MAX_OFFSET && names_brokers(asked.view()) => {
            Ok(session.upstream.broker(&first.broker_name).await?)
        }
        _ => Err(no_name(&topic)),
    }
}

/// The broker of that name. For a static topic, clients name none that exists, but a mark; the broker is
/// then the one that has the queue.
pub(crate) async fn named_broker(
    session: &Session,
    name: &str,
    topic: &str,
    queue: Option<i32>,
) -> Result<Rc<Broker>, ProcessError> {
    if let Some(queue) = queue
        && name.starts_with(MOCK_PREFIX)
    {
        let route = session.route(topic).await?;
        if let Some(name) = route.broker_of_logical_queue(name, queue) {
            return Ok(session.upstream.broker(name).await?);
        }
    }
    Ok(session.upstream.broker(name).await?)
}

/// The broker to ask where any of a topic's will do: the listener's, or the first that can be reached.
pub(crate) async fn any_broker(session: &Session, topic: &str) -> Result<Rc<Broker>, ProcessError> {
    if let Some(name) = &session.broker {
        return Ok(session.upstream.broker(name).await?);
    }
    let route = session.route(topic).await?;
    let mut trouble = None;
    for data in route.brokers() {
        match session.upstream.broker(&data.broker_name).await {
            // One that could not be reached a moment ago says so here.
            Ok(broker) => match broker.connection(Class::Request, false) {
                Ok(_) => return Ok(broker),
                Err(error) => trouble = Some(error),
            },
            Err(error) => trouble = Some(error),
        }
    }
    let no_broker = || RouteError::NoSuchTopic(format!("topic {topic} has no broker").into());
    Err(trouble.map_or_else(|| no_broker().into(), ProcessError::from))
}
