//! The messages that a client holds: they were delivered with a long invisible time, and are not
//! acknowledged. If the client crashes, they are made visible again early.
//!
//! The list is bounded. What is not on it becomes visible when its invisible time ends.

use std::cell::RefCell;
use std::collections::HashMap;
use std::rc::Rc;

use messaging::Released;
use remoting_transport::{Account, Held};

/// Most messages of a client that are listed.
const MOST: usize = 4096;

/// Bytes that an entry takes beside its handle.
const ENTRY_BYTES: usize = 96;

/// The messages of one client.
#[derive(Debug)]
pub(super) struct Holdings {
    by_handle: RefCell<HashMap<Box<str>, HeldMessage>>,
    held: RefCell<Held>,
    account: Rc<Account>,
}

/// A message that is held.
#[derive(Debug)]
struct HeldMessage {
    consumer: Rc<Consumer>,
    lite_topic: Option<Box<str>>,
}

/// The consumer that has received a message.
#[derive(Debug)]
struct Consumer {
    group: String,
    topic: String,
}

impl Holdings {
    pub(super) fn new(account: &Rc<Account>) -> Self {
        Self {
            by_handle: RefCell::default(),
            held: RefCell::new(account.hold(0)),
            account: account.clone(),
        }
    }

    /// Notes messages that were delivered, each with its lite topic if it has one.
    pub(super) fn add(
        &self,
        group: &str,
        topic: &str,
        messages: impl Iterator<Item = (String, Option<Box<str>>)>,
    ) {
        let consumer = Rc::new(Consumer {
            group: group.to_owned(),
            topic: topic.to_owned(),
        });
        let mut all = self.by_handle.borrow_mut();
        let room = MOST.saturating_sub(all.len());
        for (handle, lite_topic) in messages.take(room) {
            let consumer = consumer.clone();
            let held = HeldMessage {
                consumer,
                lite_topic,
            };
            all.insert(handle.into_boxed_str(), held);
        }
        self.charge(&all);
    }

    /// The message of that handle is not held any more.
    pub(super) fn remove(&self, handle: &str) {
        let mut all = self.by_handle.borrow_mut();
        if all.remove(handle).is_some() {
            self.charge(&all);
        }
    }

    /// Whether nothing is held.
    pub(super) fn is_empty(&self) -> bool {
        self.by_handle.borrow().is_empty()
    }

    /// Takes all out, with what is charged for it.
    pub(super) fn take(&self) -> (Vec<Released>, Held) {
        let all = self.by_handle.take();
        let nothing = self.account.hold(0);
        let held = self.held.replace(nothing);
        let all = all.into_iter();
        let all = all
            .map(|(handle, held)| Released {
                group: held.consumer.group.clone(),
                topic: held.consumer.topic.clone(),
                lite_topic: held.lite_topic,
                handle: handle.into(),
            })
            .collect();
        (all, held)
    }

    /// Handles have some hundred bytes: that of any is as good as the sum.
    fn charge(&self, all: &HashMap<Box<str>, HeldMessage>) {
        let one = all
            .keys()
            .next()
            .map_or(0, |handle| handle.len() + ENTRY_BYTES);
        self.held.borrow_mut().resize(all.len() * one);
    }
}
