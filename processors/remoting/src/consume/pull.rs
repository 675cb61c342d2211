//! PULL_MESSAGE (11), LITE_PULL_MESSAGE (361): relayed once the broker knows the consumer.

use std::rc::Rc;
use std::time::Duration;

use remoting_codec::body::MessageModel;
use remoting_codec::{CommandView, Fields, RemotingCommand, ResponseCode, SerializeType};
use remoting_transport::Frame;
use route_cache::{Broker, Connection, UpstreamError};

use crate::consume::replica;
use crate::error::ProcessError;
use crate::member::heartbeat;
use crate::relay;
use crate::relay::Counted;
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
    if let Some(broker) = relay::known_broker(session, &fields)
        && let Some(connection) = connection_now(session, &broker, row, &fields)?
    {
        return on_connection(session, &broker, &connection, frame, view, &fields);
    }
    session.spawn(Request::new(frame, row), |session, request| async move {
        let broker = relay::find_broker(&session, &request).await?;
        let view = request.view()?;
        let fields = Fields::read(view.ext_fields(), request.row.fields)?;
        let connection = connection_later(&session, &broker, request.row, &fields).await?;
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
        note: offset,
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

/// The connection that a pull goes over, unless the broker does not know the consumer yet.
///
/// A broadcast consumer's pulls go over its lane: the broker keeps its offsets by the connection on
/// which it is registered (`BroadcastOffsetManager` in the reference).
pub(crate) fn connection_now(
    session: &Session,
    broker: &Broker,
    row: &Row,
    fields: &Fields<'_>,
) -> Result<Option<Rc<Connection>>, UpstreamError> {
    let membership = session.membership.borrow();
    let Some(model) = consumer(fields, |group| membership.consumer(group)) else {
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
    row: &Row,
    fields: &Fields<'_>,
) -> Result<Rc<Connection>, ProcessError> {
    let address = broker.addresses().readable().cloned();
    let lane = address.and_then(|address| heartbeat::lane_to(session, broker, &address));
    let registered = match lane {
        Some(lane) => {
            lane.wait_registered(session.settings.registration_time)
                .await
        }
        None => None,
    };
    let model = consumer(fields, |group| session.membership.borrow().consumer(group));
    match (model, registered) {
        (Some(MessageModel::Broadcasting), Some(lane)) => Ok(lane),
        _ => Ok(broker.connection(session.class_of_poll(row.class), row.needs_master)?),
    }
}

fn consumer<T>(fields: &Fields<'_>, find: impl FnOnce(&str) -> Option<T>) -> Option<T> {
    find(&fields.value(pull_field::GROUP)?.text())
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

/// In the place of an answer that the client has no room for: nothing found, ask again at once from
/// the offset that was asked for.
pub(crate) fn ask_again(view: &CommandView<'_>, offset: i64) -> RemotingCommand {
    let offset = offset.to_string();
    let code = ResponseCode::PULL_RETRY_IMMEDIATELY;
    let mut again = RemotingCommand::response(code, 0, SerializeType::Json)
        .with_remark("the client does not read what it has pulled");
    view.ext_fields().visit(|name, value| {
        let value = if name == "nextBeginOffset" {
            offset.clone()
        } else {
            value.text().into_owned()
        };
        again
            .ext_fields
            .push((name.to_owned().into(), value.into()));
    });
    again
}
