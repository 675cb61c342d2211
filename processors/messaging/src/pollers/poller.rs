//! A member that is registered while it is polled for.

use std::cell::{Cell, RefCell};
use std::collections::BTreeSet;
use std::rc::{Rc, Weak};
use std::time::Duration;

use remoting_codec::body::{WrittenConsumer, WrittenSubscription};
use remoting_codec::{Language, RequestCode, ResponseCode, UpstreamView, Version};
use remoting_transport::{Account, Frame, Held};
use route_cache::{AddressKey, Connection, PushTarget};
use tokio::sync::Notify;
use tokio::sync::futures::Notified;
use tokio::time::{Instant, sleep_until};

use super::checks::{Checks, TransactionCheck};
use super::{Pollers, Role};
use crate::asker::{Asker, running_info};
use crate::member::{Declaration, Member};

/// For how long a member remains registered after the last poll.
const IDLE: Duration = Duration::from_secs(60);

/// The same of a producer whose polls wait. A broker checks a transaction with one of the producers
/// that it knows, and with another one the next time: where no poll waits, the check would be
/// missed, or handed out when the transaction is ended already, and committed twice.
const IDLE_AFTER_WAIT: Duration = Duration::from_secs(3);

/// How often it is announced to brokers. They forget a client that is silent for two minutes.
const ANNOUNCE: Duration = Duration::from_secs(20);

/// Most topics of a group that are declared.
const TOPICS_MAX: usize = 64;

/// Bytes of memory of a member and its lanes.
const MEMBER_BYTES: usize = 16 * 1024;

/// As consoles show it: the application asks for messages.
const CONSUME_TYPE: &str = "CONSUME_ACTIVELY";

/// One member.
#[derive(Debug)]
pub(super) struct Poller {
    role: Role,
    client_id: String,
    protocol: &'static str,
    member: Member,
    account: Rc<Account>,
    /// The address whose poll has made it.
    owner: AddressKey,
    topics: RefCell<BTreeSet<Box<str>>>,
    checks: Checks,
    /// The number of polls in progress, and when the last one ended.
    polls: Cell<usize>,
    polled: Cell<Instant>,
    /// How long it remains then.
    idle: Cell<Duration>,
    /// Whether its declaration must be made again.
    is_stale: Cell<bool>,
    has_ended: Cell<bool>,
    /// Wakes the task that keeps it registered.
    looked: Notify,
    /// Wakes polls.
    changed: Notify,
    _held: Held,
}

/// A poll for a member, until it is dropped.
#[derive(Debug)]
pub struct Poll(Rc<Poller>);

impl Poll {
    pub(super) fn new(poller: &Rc<Poller>) -> Self {
        poller.polls.set(poller.polls.get() + 1);
        Self(poller.clone())
    }

    /// The member subscribes to the topic, if it does not yet.
    pub(super) fn subscribe(&self, topic: &str) {
        self.0.subscribe(topic);
    }

    /// It waits for checks, and not only takes those that there are.
    pub(super) fn waits(&self, waits: bool) {
        self.0.idle.set(if waits { IDLE_AFTER_WAIT } else { IDLE });
    }

    pub(super) fn take_checks(&self, max: usize) -> Vec<TransactionCheck> {
        self.0.checks.take(max)
    }

    pub(super) fn has_ended(&self) -> bool {
        self.0.has_ended.get()
    }

    /// Waits until there are checks, or the member has ended.
    pub(super) fn changed(&self) -> Notified<'_> {
        self.0.changed.notified()
    }
}

impl Drop for Poll {
    fn drop(&mut self) {
        self.0.polls.set(self.0.polls.get().saturating_sub(1));
        self.0.polled.set(Instant::now());
        if self.0.idle.get() < ANNOUNCE {
            self.0.looked.notify_one();
        }
    }
}

impl Poller {
    pub(super) fn new(all: &Pollers, role: &Role, owner: AddressKey) -> Rc<Self> {
        let account = &all.account;
        let poller = Rc::new_cyclic(|this: &Weak<Self>| Self {
            member: Member::new(all.caller.clone(), account.clone(), this.clone()),
            role: role.clone(),
            client_id: all.client_id.clone(),
            protocol: all.protocol,
            account: account.clone(),
            owner,
            topics: RefCell::default(),
            checks: Checks::new(account, &all.metrics),
            polls: Cell::new(0),
            polled: Cell::new(Instant::now()),
            idle: Cell::new(IDLE),
            is_stale: Cell::new(true),
            has_ended: Cell::new(false),
            looked: Notify::new(),
            changed: Notify::new(),
            _held: account.hold(MEMBER_BYTES),
        });
        if let Role::Producer(topic) = role {
            poller.subscribe(topic);
        }
        poller
    }

    pub(super) fn owner(&self) -> AddressKey {
        self.owner
    }

    fn subscribe(&self, topic: &str) {
        let mut topics = self.topics.borrow_mut();
        if topics.len() < TOPICS_MAX && !topics.contains(topic) {
            topics.insert(topic.into());
            self.is_stale.set(true);
            self.looked.notify_one();
        }
    }

    /// Keeps it registered while it is polled for, and for a while after.
    pub(super) async fn run(&self) {
        let mut announced = None;
        loop {
            let now = Instant::now();
            let is_polled = self.polls.get() > 0;
            let end = self.polled.get() + self.idle.get();
            if self.has_ended.get() || (!is_polled && now >= end) {
                return;
            }
            let next = announced.map(|announced| announced + ANNOUNCE);
            let is_due = next.is_none_or(|next| now >= next);
            if is_due || self.is_stale.get() {
                announced = Some(now);
                self.checks.drop_old();
                self.announce().await;
                continue;
            }
            let next = next.unwrap_or(now);
            let next = if is_polled { next } else { next.min(end) };
            tokio::select! {
                () = sleep_until(next) => {}
                () = self.looked.notified() => {}
            }
        }
    }

    async fn announce(&self) {
        if self.is_stale.replace(false) {
            let declared = self.declaration();
            let declared = declared.and_then(|declaration| self.member.declare(declaration));
            if let Err(error) = declared {
                tracing::debug!(%error, "a client that polls cannot be declared");
            }
        }
        let topics: Vec<_> = self.topics.borrow().iter().cloned().collect();
        self.member
            .keep_registered(topics.iter().map(|topic| &**topic))
            .await;
    }

    fn declaration(&self) -> Result<Declaration, crate::error::MessagingError> {
        let by = (Language::HTTP, Version::V5_5_0);
        let topics = self.topics.borrow();
        match &self.role {
            Role::Producer(topic) => Declaration::written(&self.client_id, &[topic], &[], by),
            Role::Consumer(group) => {
                // Of version 0, so that it replaces no subscription of the group.
                let subscriptions: Vec<_> = topics
                    .iter()
                    .map(|topic| WrittenSubscription {
                        topic,
                        expression_type: "TAG",
                        expression: "*",
                        version: 0,
                    })
                    .collect();
                let consumer = WrittenConsumer {
                    group,
                    consume_type: CONSUME_TYPE,
                    message_model: "CLUSTERING",
                    subscriptions: &subscriptions,
                };
                Declaration::written(&self.client_id, &[], &[consumer], by)
            }
        }
    }

    /// Brokers learn at once that it has left, and polls end.
    pub(super) fn end(&self) {
        self.has_ended.set(true);
        self.member.close();
        self.looked.notify_one();
        self.changed.notify_waiters();
    }
}

impl PushTarget for Poller {
    fn on_push(&self, from: &Rc<Connection>, frame: Frame<'_>, view: &UpstreamView<'_>) {
        match view.request_code() {
            RequestCode::CHECK_TRANSACTION_STATE => {
                if let Some(broker) = from.broker_name() {
                    self.checks.add(broker, &frame, view);
                    self.changed.notify_waiters();
                }
            }
            RequestCode::GET_CONSUMER_RUNNING_INFO => {
                if let Some(asker) = Asker::of(from, view) {
                    let version = env!("CARGO_PKG_VERSION");
                    let info = running_info(self.protocol, version, CONSUME_TYPE, None);
                    asker.answer(ResponseCode::SUCCESS, None, info, &self.account);
                }
            }
            // Nothing depends on the other members of a group.
            RequestCode::NOTIFY_CONSUMER_IDS_CHANGED => {}
            _ => {
                if let Some(asker) = Asker::of(from, view) {
                    asker.refuse("a client that polls cannot do this", &self.account);
                }
            }
        }
    }
}
