//! Sends whose broker is unavailable, and that it has not been given: another broker of the topic takes them
//! ([`Caller::next_broker`](messaging::Caller::next_broker) has which, and why).

use std::rc::Rc;

use messaging::{Expected, Message, is_unsent};
use remoting_transport::Held;
use route_cache::{Connection, Origin, Outcome, RelayTarget, UpstreamError};

use crate::error::ProcessError;
use crate::produce::send;
use crate::session::Session;
use crate::session::request::{Asked, Request};
use crate::table::Field;

/// Whether another broker may take that send.
pub(crate) fn may_go(session: &Session, asked: &Asked<'_>, expected: Expected) -> bool {
    session.caller().may_fail_over(&Message {
        code: asked.row.code,
        broker: asked.value(Field::Broker),
        properties: asked.value(Field::Properties),
        expected,
    })
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
    let (caller, expected) = (session.caller(), send::expected(&asked));
    let mut others = caller
        .fail_over(&topic, &broker, queue, request.begun)
        .await;
    // The client has waited for the first broker already. Where all are unreachable, this is what ends it.
    while let Some((other, left)) = caller.next_broker(&mut others).await {
        if send::give(&session, &other, &asked, expected, left).is_ok() {
            tracing::debug!(%broker, to = %other.name(), %error, "sent elsewhere");
            session.member.introduce(&other);
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
