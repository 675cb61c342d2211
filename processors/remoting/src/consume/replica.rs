//! Pulls that a master has moved to a slave.
//!
//! A master whose page cache no longer holds the messages that a consumer reads suggests, with each
//! answer to a pull, from which of its addresses to pull next. A client cannot follow the
//! suggestion, because it sees one address per broker. Remora follows it instead.

use std::rc::Rc;

use route_cache::{Broker, Connection, Origin, Outcome, RelayTarget};

use crate::session::Session;
use crate::session::moved::Queue;
use crate::session::request::Asked;
use crate::table::Field;

/// The ext field of a pull's answer that holds the suggested address's id.
const SUGGESTION: &str = "suggestWhichBrokerId";

/// The queue of a pull, if its broker has slaves.
pub(crate) fn queue(broker: &Broker, asked: &Asked<'_>) -> Option<Queue> {
    if !broker.addresses().has_replicas() {
        return None;
    }
    let text = |field| asked.value(field).map(|value| value.text().into_owned());
    Some(Queue {
        broker: broker.name().clone(),
        group: text(Field::Group)?,
        topic: text(Field::Topic)?,
        id: asked.int(Field::Queue)?,
    })
}

/// The slave's connection that a pull uses, if the queue was moved to a slave and the slave knows
/// the consumer.
pub(crate) fn connection(
    session: &Session,
    broker: &Broker,
    queue: &Queue,
) -> Option<Rc<Connection>> {
    let id = session.moved.replica_of(queue)?;
    let (address, connection) = broker.replica(id)?;
    let is_known = session.member.is_registered(broker, &address);
    is_known.then_some(connection)
}

/// A pull whose answer may move the next one.
pub(crate) struct Pull {
    pub(crate) session: Rc<Session>,
    pub(crate) queue: Queue,
}

impl RelayTarget for Pull {
    fn on_outcome(&self, origin: Origin, outcome: Outcome<'_>) {
        match &outcome {
            Outcome::Answered { view, .. } => {
                let suggestion = view.ext_fields().value(SUGGESTION).and_then(|id| id.long());
                self.session
                    .moved
                    .suggest(&self.queue, suggestion.unwrap_or_default());
            }
            // The next pull goes to the master, which may be available.
            Outcome::Failed(_) => self.session.moved.suggest(&self.queue, 0),
            Outcome::GivenUp | Outcome::Late { .. } => {}
        }
        self.session.on_outcome(origin, outcome);
    }

    fn gives_up(&self, origin: &Origin) -> bool {
        self.session.gives_up(origin)
    }

    fn wants_late(&self) -> bool {
        self.session.wants_late()
    }
}
