//! PULL_MESSAGE (11), LITE_PULL_MESSAGE (361): relayed once the broker knows the consumer.

use std::rc::Rc;
use std::time::Duration;

use remoting_codec::{CommandView, Fields};
use remoting_transport::Frame;
use route_cache::{Broker, Connection};

use crate::consume::replica;
use crate::error::ProcessError;
use crate::relay;
use crate::relay::Counted;
use crate::relay::choose;
use crate::relay::consumer;
use crate::session::Session;
use crate::session::request::Request;
use crate::table::{Row, TOPIC, pull_field};

/// Bit of `sysFlag`: the broker may wait for messages (`PullSysFlag`).
const SUSPEND: i32 = 2;

/// What a broker may take longer than it was allowed to wait for messages: it looks at those that wait
/// every 5 s (`PullRequestHoldService` in the reference). Java waits 10 to 15 s longer.
const MARGIN: Duration = Duration::from_secs(8);

/// What a broker may take when it may not wait. Java waits 10 s.
const NO_WAIT_TIME: Duration = Duration::from_secs(9);

/// The longest wait that is believed.
const WAIT_MAX: Duration = Duration::from_secs(600);

pub(crate) fn process(
    session: &Rc<Session>,
    row: &'static Row,
    frame: &Frame<'_>,
    view: &CommandView<'_>,
) -> Result<(), ProcessError> {
    let fields = Fields::read(view.ext_fields(), row.fields)?;
    if let Some(broker) = choose::known_broker(session, &fields)
        && let Some(connection) = consumer::connection_now(session, &broker, row, &fields)?
    {
        return on_connection(session, &broker, &connection, frame, view, &fields);
    }
    session.spawn(Request::new(frame, row), |session, request| async move {
        let broker = choose::find_broker(&session, &request).await?;
        let view = request.view()?;
        let fields = Fields::read(view.ext_fields(), request.row.fields)?;
        let connection =
            consumer::connection_later(&session, &broker, request.row, &fields).await?;
        on_connection(
            &session,
            &broker,
            &connection,
            &request.frame(),
            &view,
            &fields,
        )
    });
    Ok(())
}

/// Puts a pull into the connection, or into that to the replica that it was moved to.
fn on_connection(
    session: &Rc<Session>,
    broker: &Broker,
    connection: &Connection,
    frame: &Frame<'_>,
    view: &CommandView<'_>,
    fields: &Fields<'_>,
) -> Result<(), ProcessError> {
    let time = time(fields);
    let offset = fields
        .value(pull_field::QUEUE_OFFSET)
        .and_then(|offset| offset.long());
    let offset = offset.unwrap_or_default();
    let counted = Counted {
        offset,
        tag: session
            .metrics
            .tag_pull(fields.value(TOPIC), fields.value(pull_field::GROUP)),
        is_bulk: false,
    };
    let Some(queue) = replica::queue(broker, fields) else {
        let target = || session.clone();
        return relay::for_target(session, connection, frame, view, time, counted, target);
    };
    let moved = replica::connection(session, broker, &queue);
    let connection = moved.as_deref().unwrap_or(connection);
    relay::for_target(session, connection, frame, view, time, counted, || {
        Rc::new(replica::Pull {
            session: session.clone(),
            queue,
        })
    })
}

/// How long the broker may take.
fn time(fields: &Fields<'_>) -> Duration {
    let sys_flag = fields
        .value(pull_field::SYS_FLAG)
        .and_then(|flag| flag.int());
    if sys_flag.unwrap_or_default() & SUSPEND == 0 {
        return NO_WAIT_TIME;
    }
    let wait = fields
        .value(pull_field::SUSPEND)
        .and_then(|wait| wait.long());
    let wait = u64::try_from(wait.unwrap_or_default()).unwrap_or_default();
    Duration::from_millis(wait).min(WAIT_MAX) + MARGIN
}
