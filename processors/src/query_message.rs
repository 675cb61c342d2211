//! QUERY_MESSAGE (12): the n-th of the same goes to the n-th broker.
//!
//! A client asks every broker of the topic the same, without naming it, and joins the answers. Behind
//! one address all of them arrive here. Each broker is asked once, so each message is found once.

use std::collections::VecDeque;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::rc::Rc;
use std::time::Duration;

use remoting_codec::Fields;
use tokio::time::Instant;

use crate::error::ProcessError;
use crate::relay;
use crate::request::Request;
use crate::session::Session;
use crate::table::{BROKER, TOPIC};

/// A question asked again after this is a new one: clients wait 6 s for an answer.
const SAME_WITHIN: Duration = Duration::from_secs(6);

/// Most questions of one client that are told apart.
const QUESTIONS_MAX: usize = 64;

/// How often the client has asked what, lately.
#[derive(Debug, Default)]
pub(crate) struct Repeats(VecDeque<Repeat>);

#[derive(Debug)]
struct Repeat {
    question: u64,
    count: usize,
    first: Instant,
}

impl Repeats {
    /// How often that was asked before; after `all` times it begins anew.
    fn count(&mut self, question: u64, all: usize) -> usize {
        let known = self.0.iter().position(|repeat| repeat.question == question);
        let known = known.and_then(|at| self.0.remove(at));
        let mut repeat = known
            .filter(|known| known.first.elapsed() < SAME_WITHIN && known.count < all)
            .unwrap_or_else(|| Repeat {
                question,
                count: 0,
                first: Instant::now(),
            });
        let count = repeat.count;
        repeat.count += 1;
        if self.0.len() == QUESTIONS_MAX {
            self.0.pop_front();
        }
        self.0.push_back(repeat);
        count
    }
}

pub(crate) async fn process(session: Rc<Session>, request: Request) -> Result<(), ProcessError> {
    let view = request.view()?;
    let fields = Fields::read(view.ext_fields(), request.row.fields)?;
    if session.broker.is_some() || fields.value(BROKER).is_some() {
        let broker = relay::find_broker(&session, &request).await?;
        return relay::to_broker(&session, &broker, request.row, &request.frame(), &view);
    }
    let mut hasher = DefaultHasher::new();
    for place in TOPIC..request.row.fields.len() {
        fields
            .value(place)
            .map(|value| value.text())
            .hash(&mut hasher);
    }
    let topic = fields
        .value(TOPIC)
        .map(|topic| topic.text())
        .unwrap_or_default();
    let route = session.upstream.routes().route(&topic).await?;
    let brokers = route.brokers();
    let nth = session
        .repeats
        .borrow_mut()
        .count(hasher.finish(), brokers.len());
    let broker = match brokers.get(nth) {
        Some(data) => session.upstream.broker(&data.broker_name).await?,
        None => relay::any_broker(&session, &topic).await?,
    };
    relay::to_broker(&session, &broker, request.row, &request.frame(), &view)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_broker_has_its_turn() {
        let mut repeats = Repeats::default();
        let turns: Vec<_> = [1, 1, 2, 1, 1, 2]
            .map(|question| repeats.count(question, 3))
            .into();
        assert_eq!(turns, [0, 1, 0, 2, 0, 1]);
    }
}
