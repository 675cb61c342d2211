//! Pulls that a master has moved to a replica.
//!
//! A broker whose memory does not hold what a consumer is at suggests, with each answer to a pull,
//! from which of its addresses to pull next. A client cannot follow, for it sees one address of each
//! broker; so Remora does.

use std::rc::Rc;

use remoting_codec::{CommandView, Fields};
use remoting_transport::Frame;
use route_cache::{Broker, Connection, Origin, RelayTarget, UpstreamError};

use crate::session::Session;
use crate::session::moved::Queue;
use crate::table::{TOPIC, pull_field};

/// The ext field of a pull's answer.
const SUGGESTION: &str = "suggestWhichBrokerId";

/// The queue of a pull, if its broker has replicas at all.
pub(crate) fn queue(broker: &Broker, fields: &Fields<'_>) -> Option<Queue> {
    if !broker.addresses().has_replicas() {
        return None;
    }
    let text = |place| fields.value(place).map(|value| value.text().into_owned());
    Some(Queue {
        broker: broker.name().clone(),
        group: text(pull_field::GROUP)?,
        topic: text(TOPIC)?,
        id: fields.value(pull_field::QUEUE)?.int()?,
    })
}

/// The replica's connection that a pull should take, if it should: one that knows the consumer.
pub(crate) fn connection(
    session: &Session,
    broker: &Broker,
    queue: &Queue,
) -> Option<Rc<Connection>> {
    let id = session.moved.replica_of(queue)?;
    let (address, connection) = broker.replica(id)?;
    let membership = session.membership.borrow();
    let known = membership
        .lane(broker.name(), &address)?
        .registered()
        .is_some();
    known.then_some(connection)
}

/// A pull whose answer may move the next one.
pub(crate) struct Pull {
    pub(crate) session: Rc<Session>,
    pub(crate) queue: Queue,
}

impl RelayTarget for Pull {
    fn on_answer(&self, origin: Origin, frame: Frame<'_>, view: &CommandView<'_>) {
        let suggestion = view.ext_fields().value(SUGGESTION).and_then(|id| id.long());
        self.session
            .moved
            .suggest(&self.queue, suggestion.unwrap_or_default());
        self.session.on_answer(origin, frame, view);
    }

    fn on_failure(&self, origin: Origin, error: UpstreamError) {
        // Back to the master, which may be fine.
        self.session.moved.suggest(&self.queue, 0);
        self.session.on_failure(origin, error);
    }

    fn gives_up(&self, origin: &Origin) -> bool {
        self.session.gives_up(origin)
    }

    fn on_given_up(&self, origin: Origin) {
        self.session.on_given_up(origin);
    }
}
