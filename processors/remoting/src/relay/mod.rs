//! Requests that are relayed to one broker unchanged.

pub(crate) mod choose;
pub(crate) mod fan_out;
pub(crate) mod polls;

use std::rc::Rc;
use std::time::Duration;

use remoting_codec::RequestCode;
use route_cache::{Broker, Class, Connection, RelayTarget, Ticket};

use crate::error::ProcessError;
use crate::metrics::{Limit, Tag};
use crate::session::Session;
use crate::session::request::{Asked, Incoming};
use crate::table::Row;

/// Relays to the broker that the header names.
pub(crate) fn process(session: &Rc<Session>, asked: &Asked<'_>) -> Result<(), ProcessError> {
    match choose::known_broker(session, asked) {
        Some(broker) => to_broker(session, &broker, asked.row, &asked.incoming),
        None => {
            session.spawn(asked.keep(), |session, request| async move {
                let view = request.view()?;
                let asked = request.asked(&view)?;
                let broker = choose::find_broker(&session, &asked).await?;
                to_broker(&session, &broker, asked.row, &asked.incoming)
            });
            Ok(())
        }
    }
}

/// Writes a request to the data connection of its class.
pub(crate) fn to_broker(
    session: &Rc<Session>,
    broker: &Broker,
    row: &Row,
    incoming: &Incoming<'_>,
) -> Result<(), ProcessError> {
    let class = match row.class {
        // Commits of offsets stay in the order in which the client sent them.
        Class::Request
            if session.has_many_requests() && row.code != RequestCode::UPDATE_CONSUMER_OFFSET =>
        {
            Class::Bulk
        }
        class => class,
    };
    let connection = broker.connection(class, row.needs_master)?;
    let time = session.settings.policy.time(row.patience);
    on_connection(session, &connection, incoming, time)
}

/// Writes a request to a connection; the answer goes to the client.
pub(crate) fn on_connection(
    session: &Rc<Session>,
    connection: &Connection,
    incoming: &Incoming<'_>,
    time: Duration,
) -> Result<(), ProcessError> {
    let counted = Counted::default();
    for_target(session, connection, incoming, time, counted, || {
        session.clone()
    })
}

/// What is kept of a request until its answer arrives.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Counted {
    /// The offset from which a pull reads; 0 for other requests.
    pub(crate) offset: i64,
    /// The tag that the request is counted under.
    pub(crate) tag: Tag,
    /// Whether it goes over the connection for large requests.
    pub(crate) is_bulk: bool,
}

/// Writes a request to a connection, on behalf of the client; the answer goes to `target`.
pub(crate) fn for_target<T: RelayTarget + 'static>(
    session: &Session,
    connection: &Connection,
    incoming: &Incoming<'_>,
    time: Duration,
    counted: Counted,
    target: impl FnOnce() -> Rc<T>,
) -> Result<(), ProcessError> {
    let Incoming { frame, view, begun } = incoming;
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
        begun: *begun,
        offset: counted.offset,
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
