//! Chooses the broker that gets a message whose own broker is unavailable.
//!
//! A Java client that is connected to brokers directly does the same with an asynchronous send: it
//! sends the unchanged request, with the same queue id, to another broker
//! (`MQClientAPIImpl.onExceptionImpl`). Behind a proxy it cannot, because an error response ends
//! such a send. Half of the sends would fail until the client asks for its route again, which may
//! take 30 s.
//!
//! A message that may have reached a broker is never sent to another
//! ([`MessagingError::is_unsent`](crate::MessagingError::is_unsent)).

use std::rc::Rc;
use std::time::Duration;

use route_cache::Broker;
use tokio::time::Instant;

use crate::caller::Caller;
use crate::message::Message;
use crate::policy::Patience;

/// The brokers that may get a message in place of its own broker. Each is tried once.
#[derive(Debug)]
pub struct FailOver {
    /// Their names, in reverse order.
    others: Vec<Box<str>>,
    /// The time at which the send was read.
    begun: Instant,
}

impl FailOver {
    fn new<'a>(others: impl DoubleEndedIterator<Item = &'a str>, begun: Instant) -> Self {
        Self {
            others: others.rev().map(Box::from).collect(),
            begun,
        }
    }

    /// Takes the name of the broker to try next; `None` when all were tried.
    fn next_name(&mut self) -> Option<Box<str>> {
        self.others.pop()
    }
}

impl Caller {
    /// Whether a message of this client may go to another broker if its own is unavailable.
    #[must_use]
    pub fn may_fail_over(&self, message: &Message<'_>) -> bool {
        self.policy().send_elsewhere && self.broker().is_none() && message.may_fail_over()
    }

    /// The other brokers that have that queue, in the order of the route, starting behind `broker`:
    /// so the messages of one broker all go to the same other one. Empty if there is no route.
    pub async fn fail_over(
        &self,
        topic: &str,
        broker: &str,
        queue: i32,
        begun: Instant,
    ) -> FailOver {
        match self.route(topic).await {
            Ok(route) => {
                let others = route.others_with_queue(broker, queue);
                FailOver::new(others.into_iter(), begun)
            }
            Err(_) => FailOver::new(std::iter::empty(), begun),
        }
    }

    /// The next broker to try, and the timeout of its answer: the time that the earlier ones have
    /// left. `None` if there is no further broker, or no time is left.
    pub async fn next_broker(&self, others: &mut FailOver) -> Option<(Rc<Broker>, Duration)> {
        while let Some(name) = others.next_name() {
            if let Ok(broker) = self.upstream().broker(&name).await {
                let now = self.upstream().buffers().now();
                let left = self.policy().time_left(Patience::Send, others.begun, now);
                return Some(broker).zip(left);
            }
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_other_broker_is_tried_once_in_the_order_of_the_route() {
        let mut others = FailOver::new(["b", "c", "a"].into_iter(), Instant::now());
        let tried: Vec<_> = std::iter::from_fn(|| others.next_name()).collect();
        assert_eq!(tried, ["b".into(), "c".into(), "a".into()] as [Box<str>; 3]);
        assert_eq!(others.next_name(), None);
    }
}
