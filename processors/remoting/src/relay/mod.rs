//! Requests that go to one broker as they are.

use std::rc::Rc;
use std::time::Duration;

use remoting_codec::{CommandView, Fields, Language, RequestCode, Version};
use remoting_transport::Frame;
use route_cache::{Broker, Class, Connection, MOCK_PREFIX, RelayTarget, RouteError, Ticket};

use crate::error::ProcessError;
use crate::metrics::{Limit, Tag};
use crate::session::Session;
use crate::session::request::Request;
use crate::settings::BrokerAddresses;
use crate::table::{BROKER, Row, TOPIC};

/// Relays to the broker that the header names.
pub(crate) fn process(
    session: &Rc<Session>,
    row: &'static Row,
    frame: &Frame<'_>,
    view: &CommandView<'_>,
) -> Result<(), ProcessError> {
    let fields = Fields::read(view.ext_fields(), row.fields)?;
    match known_broker(session, &fields) {
        Some(broker) => to_broker(session, &broker, row, frame, view),
        None => {
            session.spawn(Request::new(frame, row), |session, request| async move {
                let broker = find_broker(&session, &request).await?;
                let (frame, view) = (request.frame(), request.view()?);
                to_broker(&session, &broker, request.row, &frame, &view)
            });
            Ok(())
        }
    }
}

/// The broker that a request is for, if it is known without asking anybody: the listener's, or the
/// one that the header names.
pub(crate) fn known_broker(session: &Session, fields: &Fields<'_>) -> Option<Rc<Broker>> {
    if let Some(name) = &session.broker {
        return session.upstream.known_broker(name);
    }
    let name = fields.value(BROKER)?.text();
    session.upstream.known_broker(&name)
}

/// The broker that a request is for: the listener's, the one that it names, or the only one that its
/// topic has.
pub(crate) async fn find_broker(
    session: &Session,
    request: &Request,
) -> Result<Rc<Broker>, ProcessError> {
    let row = request.row;
    if let Some(name) = &session.broker {
        return Ok(session.upstream.broker(name).await?);
    }
    let view = request.view()?;
    let fields = Fields::read(view.ext_fields(), row.fields)?;
    let topic = fields
        .value(TOPIC)
        .map(|topic| topic.text())
        .unwrap_or_default();
    if let Some(name) = fields.value(BROKER) {
        return named_broker(session, &name.text(), &topic, row.queue_of(&fields)).await;
    }
    let no_name = |topic: &str| ProcessError::NoBrokerName {
        field: row.fields.get(BROKER).map_or("bname", |field| field.name),
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
        [first, ..] if row.code == RequestCode::GET_MAX_OFFSET && names_brokers(&view) => {
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

/// Whether the client is told of brokers' own listeners.
pub(crate) fn uses_own_listeners(session: &Session, view: &CommandView<'_>) -> bool {
    match session.settings.broker_addresses {
        BrokerAddresses::Always => true,
        BrokerAddresses::Never => false,
        BrokerAddresses::Auto => !names_brokers(view),
    }
}

/// Whether the client is one that names the broker in every request that needs it.
fn names_brokers(view: &CommandView<'_>) -> bool {
    let version = view.version();
    view.language() == Language::JAVA
        && (version >= Version::V5_1_0 || (Version::V4_9_5..Version::V5_0_0).contains(&version))
}

/// Puts a request into the data connection of its class.
pub(crate) fn to_broker(
    session: &Rc<Session>,
    broker: &Broker,
    row: &Row,
    frame: &Frame<'_>,
    view: &CommandView<'_>,
) -> Result<(), ProcessError> {
    let class = match row.class {
        // Offsets stay in the order in which the client says them.
        Class::Request
            if session.has_many_requests() && row.code != RequestCode::UPDATE_CONSUMER_OFFSET =>
        {
            Class::Bulk
        }
        class => class,
    };
    let connection = broker.connection(class, row.needs_master)?;
    let time = session.settings.time(row.patience);
    on_connection(session, &connection, frame, view, time)
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

/// Puts a request into a connection; its answer goes to the client.
pub(crate) fn on_connection(
    session: &Rc<Session>,
    connection: &Connection,
    frame: &Frame<'_>,
    view: &CommandView<'_>,
    time: Duration,
) -> Result<(), ProcessError> {
    let counted = Counted::default();
    for_target(session, connection, frame, view, time, counted, || {
        session.clone()
    })
}

/// What comes back with an answer.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Counted {
    /// A number for whoever gets the answer.
    pub(crate) note: i64,
    /// What the request is counted as.
    pub(crate) tag: Tag,
    /// Whether it goes over the connection for large requests.
    pub(crate) is_bulk: bool,
}

/// Puts a request into a connection; its answer goes to `target`, on behalf of the client.
pub(crate) fn for_target<T: RelayTarget + 'static>(
    session: &Session,
    connection: &Connection,
    frame: &Frame<'_>,
    view: &CommandView<'_>,
    time: Duration,
    counted: Counted,
    target: impl FnOnce() -> Rc<T>,
) -> Result<(), ProcessError> {
    let account = session.account();
    if view.is_oneway() {
        return Ok(connection.relay_oneway(frame, view, account)?);
    }
    let is_poll = view.request_code().is_long_poll();
    let Some(slot) = session.at_brokers.begin(connection.budget(), is_poll) else {
        session.metrics.limit(Limit::BrokerOutstanding);
        return Err(ProcessError::TooMany(
            connection.broker_name().unwrap_or_default().into(),
        ));
    };
    let ticket = Ticket {
        begun: session.begun(),
        note: counted.note,
        tag: counted.tag.0,
        slot,
        is_bulk: counted.is_bulk,
    };
    if let Err(error) = connection.relay(frame, view, account, target(), time, ticket) {
        session.at_brokers.end(slot, is_poll);
        return Err(error.into());
    }
    session.begin();
    if is_poll {
        session.begin_poll();
    }
    if counted.is_bulk {
        session.bulk.set(session.bulk.get() + 1);
    }
    Ok(())
}
