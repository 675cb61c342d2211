//! PULL_MESSAGE (11), LITE_PULL_MESSAGE (361): relayed once the broker knows the consumer.

use std::rc::Rc;
use std::time::Duration;

use messaging::pull_time;
use route_cache::{Broker, Connection};

use crate::consume::replica;
use crate::error::ProcessError;
use crate::relay;
use crate::relay::Counted;
use crate::relay::choose;
use crate::relay::polls;
use crate::session::Session;
use crate::session::request::Asked;
use crate::table::Field;

/// Bit of `sysFlag`: the broker may wait for messages (`PullSysFlag`).
const SUSPEND: i32 = 2;

pub(crate) fn process(session: &Rc<Session>, asked: &Asked<'_>) -> Result<(), ProcessError> {
    if let Some(broker) = choose::known_broker(session, asked)
        && let Some(connection) = polls::connection_now(session, &broker, asked)?
    {
        return on_connection(session, &broker, &connection, asked);
    }
    session.spawn(asked.keep(), |session, request| async move {
        let view = request.view()?;
        let asked = request.asked(&view)?;
        let broker = choose::find_broker(&session, &asked).await?;
        let connection = polls::connection_later(&session, &broker, &asked).await?;
        on_connection(&session, &broker, &connection, &asked)
    });
    Ok(())
}

/// Writes a pull to the master's connection, or to that of the slave that the queue was moved to.
fn on_connection(
    session: &Rc<Session>,
    broker: &Broker,
    connection: &Connection,
    asked: &Asked<'_>,
) -> Result<(), ProcessError> {
    let (incoming, time) = (&asked.incoming, time(asked));
    let counted = Counted {
        offset: asked.long(Field::QueueOffset).unwrap_or_default(),
        tag: session
            .metrics
            .tag_pull(asked.value(Field::Topic), asked.value(Field::Group)),
        is_bulk: false,
    };
    let Some(queue) = replica::queue(broker, asked) else {
        let target = || session.clone();
        return relay::for_target(session, connection, incoming, time, counted, target);
    };
    let moved = replica::connection(session, broker, &queue);
    let connection = moved.as_deref().unwrap_or(connection);
    relay::for_target(session, connection, incoming, time, counted, || {
        Rc::new(replica::Pull {
            session: session.clone(),
            queue,
        })
    })
}

/// The timeout of the broker's answer.
fn time(asked: &Asked<'_>) -> Duration {
    let may_wait = asked.int(Field::SysFlag).unwrap_or_default() & SUSPEND != 0;
    let wait = || asked.long(Field::Suspend).unwrap_or_default();
    pull_time(may_wait.then(wait))
}
