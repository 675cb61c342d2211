//! POP_MESSAGE (200050), NOTIFICATION (200054): relayed once the broker knows the consumer.
//!
//! Messages that a broker hands out stay invisible to the group until their invisible time ends. If
//! the client has disconnected meanwhile, no client would acknowledge them, so they are given back
//! at once.

use std::rc::{Rc, Weak};
use std::time::Duration;

use messaging::{Popping, now_millis, pop_time};
use route_cache::{Connection, Origin, Outcome, RelayTarget};

use crate::error::ProcessError;
use crate::relay;
use crate::relay::Counted;
use crate::relay::choose;
use crate::relay::polls;
use crate::session::Session;
use crate::session::request::Asked;
use crate::table::Field;

pub(crate) fn process(session: &Rc<Session>, asked: &Asked<'_>) -> Result<(), ProcessError> {
    if let Some(broker) = choose::known_broker(session, asked)
        && let Some(connection) = polls::connection_now(session, &broker, asked)?
    {
        return on_connection(session, &connection, asked);
    }
    session.spawn(asked.keep(), |session, request| async move {
        let view = request.view()?;
        let asked = request.asked(&view)?;
        let broker = choose::find_broker(&session, &asked).await?;
        let connection = polls::connection_later(&session, &broker, &asked).await?;
        on_connection(&session, &connection, &asked)
    });
    Ok(())
}

fn on_connection(
    session: &Rc<Session>,
    connection: &Rc<Connection>,
    asked: &Asked<'_>,
) -> Result<(), ProcessError> {
    let (incoming, time) = (&asked.incoming, time(asked, now_millis()));
    let counted = Counted {
        tag: session
            .metrics
            .tag_pull(asked.value(Field::Topic), asked.value(Field::Group)),
        ..Counted::default()
    };
    relay::for_target(session, connection, incoming, time, counted, || {
        Rc::new(Pop {
            session: Rc::downgrade(session),
            popping: Popping::new(
                session.upstream.clone(),
                connection.clone(),
                asked.text(Field::Topic).into_owned(),
                asked.text(Field::Group).into_owned(),
            ),
        })
    })
}

/// The timeout of the broker's answer.
fn time(asked: &Asked<'_>, now: i64) -> Duration {
    let wait = asked.long(Field::PollTime).unwrap_or_default();
    pop_time(wait, asked.long(Field::BornTime).unwrap_or_default(), now)
}

/// A POP that waits for its answer, and what is needed to give its messages back. The answer may
/// arrive long after the client has disconnected, and nothing of the client is kept for it.
struct Pop {
    session: Weak<Session>,
    popping: Popping,
}

impl RelayTarget for Pop {
    fn on_outcome(&self, origin: Origin, outcome: Outcome<'_>) {
        let session = self.session.upgrade();
        let is_taken = |session: &Rc<Session>| !session.is_closed() && session.has_room();
        let is_lost = match &outcome {
            Outcome::Answered { .. } => !session.as_ref().is_some_and(is_taken),
            Outcome::Late { .. } => true,
            Outcome::Failed(_) | Outcome::GivenUp => false,
        };
        if let Outcome::Answered { view, .. } | Outcome::Late { view, .. } = &outcome
            && is_lost
            && view.is_success()
        {
            self.popping.give_back(view);
        }
        if let Some(session) = session {
            session.on_outcome(origin, outcome);
        }
    }

    fn gives_up(&self, origin: &Origin) -> bool {
        let session = self.session.upgrade();
        session.is_none_or(|session| session.gives_up(origin))
    }

    fn wants_late(&self) -> bool {
        true
    }
}
