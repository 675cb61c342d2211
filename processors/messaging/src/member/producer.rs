//! Registers a producer at brokers, before or after its message.
//!
//! A heartbeat names no topics, so a producer is registered at a broker with its first message to
//! that broker. Most messages do not wait for the registration. Two kinds do, because the broker
//! will send something to the producer ([`Expected`]).

use std::fmt::Display;
use std::rc::Rc;

use remoting_codec::headers::Text;
use route_cache::Broker;

use super::Member;
use super::membership::Membership;
use crate::message::Expected;

impl Member {
    /// Whether the producer must be registered before that broker gets a message of that group,
    /// because of which the broker will send what is `expected`.
    #[inline]
    #[must_use]
    pub fn must_introduce(
        &self,
        broker: &Broker,
        expected: Expected,
        group: Option<Text<'_>>,
    ) -> bool {
        expected.is_something() && self.is_unknown_to(broker, expected, group)
    }

    fn is_unknown_to(&self, broker: &Broker, expected: Expected, group: Option<Text<'_>>) -> bool {
        let membership = self.membership.borrow();
        let introduced = || has_lane_to(&membership, broker);
        let stands_in = || {
            let group = group.map(|group| group.text()).unwrap_or_default();
            membership.is_known() || membership.stands_in(&group)
        };
        (expected.check && !(introduced() && stands_in()))
            || (expected.reply && !(membership.is_requester() && introduced()))
            || membership.lanes().iter().any(|lane| lane.is_joining())
    }

    /// Registers the producer of a message of that group before that broker gets the message; waits
    /// for the registration, for a limited time. For a producer that has not declared itself, a
    /// stand-in of the id `stand_in` is registered until it does: a transaction check goes to any
    /// connection of the group.
    pub async fn introduce_first(
        &self,
        broker: &Broker,
        expected: Expected,
        group: &str,
        stand_in: impl Display,
    ) {
        if expected.check {
            self.introduce_to(broker, group, &stand_in.to_string())
                .await;
        }
        if expected.reply {
            self.introduce_requester().await;
        }
    }

    async fn introduce_to(&self, broker: &Broker, group: &str, stand_in: &str) {
        let is_new = self.membership.borrow_mut().stand_in(stand_in, group);
        self.charge();
        let Some(lane) = self.lane_to_master(broker) else {
            return;
        };
        let time = self.caller().policy().introduction_time;
        if is_new && lane.registered().is_some() {
            // The message itself will meet the same error.
            let _ = lane.update(time).await;
        } else {
            lane.wait_registered(time).await;
        }
    }

    /// Registers the client at the broker, if the client has declared itself; otherwise notes the
    /// broker until it does.
    pub fn introduce(&self, broker: &Rc<Broker>) {
        let mut membership = self.membership.borrow_mut();
        if has_lane_to(&membership, broker) {
            return;
        }
        if !membership.is_known() {
            membership.note_sent_to(broker);
            return;
        }
        drop(membership);
        self.lane_to_master(broker);
    }
}

fn has_lane_to(membership: &Membership, broker: &Broker) -> bool {
    let mut lanes = membership.lanes().iter();
    lanes.any(|lane| lane.broker() == broker.name())
}
