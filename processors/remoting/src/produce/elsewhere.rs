//! Sends whose broker cannot be had now, and that it has not been given: another broker of the topic takes them.
//!
//! A Java client that is connected to brokers directly does the same with an asynchronous send: as it is, with the same
//! queue's number, it goes to another broker (`MQClientAPIImpl.onExceptionImpl`). Here it cannot, for an answer that says
//! no ends such a send, and half of them would fail until the client asks for its route again, which may take 30 s.
//!
//! What may have reached a broker is never sent to another. Neither is what belongs to one broker: half messages, whose
//! end would go astray, and what is to stay in order, as far as that can be seen.

use std::rc::Rc;
use std::sync::LazyLock;

use memchr::memmem::Finder;
use remoting_codec::RequestCode;
use remoting_transport::Held;
use route_cache::{Connection, MOCK_PREFIX, Origin, Outcome, RelayTarget, UpstreamError};

use crate::error::ProcessError;
use crate::produce::introduction;
use crate::produce::send;
use crate::session::Session;
use crate::session::request::{Asked, Request};
use crate::table::Field;

/// The property of a message that is to stay in order with others (`MessageConst.PROPERTY_SHARDING_KEY`).
static SHARDING_KEY: LazyLock<Finder<'static>> = LazyLock::new(|| Finder::new("__SHARDINGKEY"));

/// Whether another broker may take that send.
pub(crate) fn may_go(session: &Session, asked: &Asked<'_>) -> bool {
    let is_message = matches!(
        asked.row.code,
        RequestCode::SEND_MESSAGE | RequestCode::SEND_MESSAGE_V2 | RequestCode::SEND_BATCH_MESSAGE
    );
    let broker = asked.value(Field::Broker).map(|name| name.text());
    is_message
        && session.settings.send_elsewhere
        && session.broker.is_none()
        && broker.is_some_and(|name| !name.starts_with(MOCK_PREFIX))
        && !send::is_half(asked)
        && !send::is_request(asked)
        && !asked
            .value(Field::Properties)
            .is_some_and(|properties| properties.contains(&SHARDING_KEY))
}

/// Whether the broker cannot have got the request, and would not now.
pub(crate) fn is_unsent(error: &ProcessError) -> bool {
    matches!(error, ProcessError::Upstream(error) if is_unsent_upstream(error))
}

fn is_unsent_upstream(error: &UpstreamError) -> bool {
    matches!(
        error,
        UpstreamError::Connect { .. }
            | UpstreamError::Failing(_)
            | UpstreamError::NoBroker(_)
            | UpstreamError::NoMaster(_)
    )
}

/// Gives the send to the next broker of the topic that can take it; there being none, it ends with that error.
pub(crate) async fn send(
    session: Rc<Session>,
    request: Request,
    error: ProcessError,
) -> Result<(), ProcessError> {
    let view = request.view()?;
    let asked = request.asked(&view)?;
    let text = |field| asked.value(field).map(|value| value.text());
    let (broker, topic) = (text(Field::Broker), text(Field::Topic));
    let queue = asked.int(Field::Queue);
    let (Some(broker), Some(topic), Some(queue)) = (broker, topic, queue) else {
        return Err(error);
    };
    let Ok(route) = session.route(&topic).await else {
        return Err(error);
    };
    for other in route.others_with_queue(&broker, queue) {
        let Ok(other) = session.upstream.broker(other).await else {
            continue;
        };
        // The client has waited for the first broker already. Where all are out of reach, this is what ends it.
        let now = session.now();
        let waited = now.saturating_duration_since(request.begun);
        let left = session
            .settings
            .time(request.row.patience)
            .saturating_sub(waited);
        if left.is_zero() {
            break;
        }
        if send::give(&session, &other, &asked, left).is_ok() {
            tracing::debug!(%broker, to = %other.name(), %error, "sent elsewhere");
            introduction::introduce(&session, &other);
            return Ok(());
        }
    }
    Err(error)
}

/// Gives a one-way send to another broker if the connection that it waits for never comes about, which nobody would say.
pub(crate) async fn follow_oneway(
    session: Rc<Session>,
    request: Request,
    connection: Rc<Connection>,
    broker: Rc<str>,
) -> Result<(), ProcessError> {
    connection.flushed().await;
    if connection.is_established() {
        return Ok(());
    }
    send(session, request, UpstreamError::NoBroker(broker).into()).await
}

/// A send that waits for a connection that may not come about.
pub(crate) struct Undecided {
    pub(crate) session: Rc<Session>,
    pub(crate) request: Request,
    /// What the request takes.
    pub(crate) _held: Held,
}

impl RelayTarget for Undecided {
    fn on_outcome(&self, origin: Origin, outcome: Outcome<'_>) {
        match outcome {
            Outcome::Failed(error) if is_unsent_upstream(&error) => {
                self.session.end_of(&origin);
                self.session
                    .spawn(self.request.clone(), |session, request| {
                        send(session, request, error.into())
                    });
            }
            outcome => self.session.on_outcome(origin, outcome),
        }
    }

    fn gives_up(&self, origin: &Origin) -> bool {
        self.session.gives_up(origin)
    }

    fn wants_late(&self) -> bool {
        self.session.wants_late()
    }
}
