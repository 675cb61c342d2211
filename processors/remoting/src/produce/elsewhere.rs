//! Fail-over of sends. A send that its unavailable broker has not received goes to another broker
//! of the topic ([`Caller::next_broker`](messaging::Caller::next_broker) chooses it and states the
//! reason).

use std::rc::Rc;

use messaging::{Expected, Message, is_unsent};
use remoting_transport::Held;
use route_cache::{Connection, Origin, Outcome, RelayTarget, UpstreamError};

use crate::error::ProcessError;
use crate::produce::send;
use crate::session::Session;
use crate::session::request::{Asked, Request};
use crate::table::Field;

/// Whether the send may fail over.
pub(crate) fn may_go(session: &Session, asked: &Asked<'_>, expected: Expected) -> bool {
    session.caller().may_fail_over(&Message {
        code: asked.row.code,
        broker: asked.value(Field::Broker),
        properties: asked.value(Field::Properties),
        expected,
    })
}

/// Relays the send to the next broker of the topic that can take it. If there is none, the send
/// ends with the error.
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
    let (caller, expected) = (session.caller(), send::expected(&asked));
    let mut others = caller
        .fail_over(&topic, &broker, queue, request.begun)
        .await;
    // The client has already waited for the first broker. If all are unreachable, this timeout ends
    // the send.
    while let Some((other, left)) = caller.next_broker(&mut others).await {
        if send::give(&session, &other, &asked, expected, left).is_ok() {
            tracing::debug!(%broker, to = %other.name(), %error, "send failed over");
            session.member.introduce(&other);
            return Ok(());
        }
    }
    Err(error)
}

/// Lets a one-way send fail over if the connection that it waits for cannot be opened. Nothing else
/// would report that to the client.
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

/// A send that waits for a connection that may fail to open.
pub(crate) struct Undecided {
    pub(crate) session: Rc<Session>,
    pub(crate) request: Request,
    /// The memory that is charged for the request.
    pub(crate) _held: Held,
}

impl RelayTarget for Undecided {
    fn on_outcome(&self, origin: Origin, outcome: Outcome<'_>) {
        match outcome {
            Outcome::Failed(error) if is_unsent(&error) => {
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
