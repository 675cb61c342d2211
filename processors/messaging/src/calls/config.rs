//! The configurations of topics and groups, as brokers have them.
//!
//! They are asked for when they are needed first, and again when they are old. Meanwhile the old
//! ones are used, so that no call waits but the first. Calls that need the same one at the same
//! time ask once. That brokers refuse to give one is kept for a short time, apart from the
//! configurations; that none answers is not kept.
//!
//! A broker with default settings makes a group of any name that it is asked for, so a client can
//! make it answer for any number of them. Each client has a limited number of questions in
//! progress, as it has of look-ups of routes, and what is kept is limited in bytes, which the
//! clients' addresses share.

mod flights;
mod kept;
mod kinds;
mod members;

use std::cell::RefCell;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use remoting_codec::body::{GroupConfig, TopicConfig};
use remoting_transport::metrics::Counter;
use route_cache::rate::shown;
use route_cache::{AddressKey, Broker};
use tokio::sync::Semaphore;
use tokio::time::Instant;

use crate::caller::Caller;
use crate::check::TopicType;
use crate::clocks::Clocks;
use crate::error::{ErrorKind, MessagingError};
use flights::{Duty, Flights};
use kept::Kept;
use kinds::Configuration;

pub use members::Members;

/// A configuration that is older than this is not used while it is asked for again.
const STALE: Duration = Duration::from_secs(300);

/// How long a refusal is kept: a client that asks again and again costs a question each time.
const REFUSAL_KEPT: Duration = Duration::from_secs(3);

/// The timeout of a broker's answer.
const TIME: Duration = Duration::from_secs(2);

/// Bytes of the configurations of each kind that a worker keeps: ten thousand ordinary ones.
const KEPT_BYTES: usize = 4 * 1024 * 1024;

/// Bytes of the refusals of each kind that a worker keeps.
const REFUSED_BYTES: usize = 128 * 1024;

/// Most questions of a worker at a time, for all clients; further ones wait in order of arrival.
/// One address has a quarter of it.
const IN_FLIGHT_MAX: usize = 1024;

/// The configurations that a worker knows: up to 12.4 MiB, which `limits.memory_bytes` does not
/// include. Beside them, the clocks of brokers.
#[derive(Debug)]
pub struct ConfigCache {
    topics: Known<TopicConfig>,
    groups: Known<GroupConfig>,
    members: Known<Members>,
    turns: Arc<Semaphore>,
    clocks: Clocks,
}

impl Default for ConfigCache {
    fn default() -> Self {
        Self {
            topics: Known::default(),
            groups: Known::default(),
            members: Known::default(),
            turns: Arc::new(Semaphore::new(IN_FLIGHT_MAX)),
            clocks: Clocks::default(),
        }
    }
}

/// What brokers have answered: the configuration, or that they refuse to give it.
type Kind<T> = Result<Rc<T>, MessagingError>;

/// The configurations of one kind, by name.
#[derive(Debug)]
struct Known<T> {
    kept: RefCell<Kept<Answered<Rc<T>>>>,
    refused: RefCell<Kept<Answered<MessagingError>>>,
    flights: Rc<Flights<Kind<T>>>,
}

#[derive(Debug)]
struct Answered<V> {
    value: V,
    /// When it was asked for last, and when an answer came.
    asked: Instant,
    answered: Instant,
}

impl<V> Answered<V> {
    fn now(value: V) -> Self {
        let now = Instant::now();
        Self {
            value,
            asked: now,
            answered: now,
        }
    }
}

impl<T> Default for Known<T> {
    fn default() -> Self {
        Self {
            kept: RefCell::new(Kept::new(KEPT_BYTES)),
            refused: RefCell::new(Kept::new(REFUSED_BYTES)),
            flights: Rc::default(),
        }
    }
}

impl<T: Configuration> Known<T> {
    /// The configuration, or its refusal, if it may be used, and whether it should be asked for
    /// again.
    fn find(&self, name: &str) -> Option<(Kind<T>, bool)> {
        let now = Instant::now();
        if let Some(entry) = self.kept.borrow().get(name)
            && now < entry.answered + STALE
        {
            return Some((
                Ok(entry.value.clone()),
                now >= entry.asked + entry.value.fresh(),
            ));
        }
        let refused = self.refused.borrow();
        let entry = refused.get(name)?;
        (now < entry.answered + REFUSAL_KEPT).then(|| (Err(entry.value.clone()), false))
    }

    /// It is asked for now.
    fn note_asked(&self, name: &str) {
        if let Some(entry) = self.kept.borrow_mut().get_mut(name) {
            entry.asked = Instant::now();
        }
    }

    /// Keeps what a broker has answered to a client of that address. That no broker has answered
    /// changes nothing.
    fn keep(&self, name: &Rc<str>, owner: AddressKey, answer: &Kind<T>) {
        let (mut kept, mut refused) = (self.kept.borrow_mut(), self.refused.borrow_mut());
        match answer {
            Ok(config) => {
                refused.remove(name);
                kept.insert(name, owner, config.bytes(), Answered::now(config.clone()));
            }
            Err(error) if error.is_final() => {
                kept.remove(name);
                let bytes = size_of::<MessagingError>() + error.text().len();
                refused.insert(name, owner, bytes, Answered::now(error.clone()));
            }
            Err(_) => {}
        }
    }
}

impl ConfigCache {
    /// The clocks of brokers, as their answers to POPs show them.
    #[must_use]
    pub fn clocks(&self) -> &Clocks {
        &self.clocks
    }

    /// The configuration of a topic.
    ///
    /// # Errors
    /// If the topic has no broker that answers.
    pub async fn topic(
        self: &Rc<Self>,
        caller: &Caller,
        topic: &str,
    ) -> Result<Rc<TopicConfig>, MessagingError> {
        self.find(caller, topic, topic).await
    }

    /// The configuration of a group that consumes that topic. A broker that does not know the group
    /// makes it, unless it is configured not to.
    ///
    /// # Errors
    /// If the topic has no broker that answers, or it does not know the group.
    pub async fn group(
        self: &Rc<Self>,
        caller: &Caller,
        group: &str,
        topic: &str,
    ) -> Result<Rc<GroupConfig>, MessagingError> {
        self.find(caller, group, topic).await
    }

    /// The type of a topic; unknown if no broker answers.
    pub async fn topic_type(self: &Rc<Self>, caller: &Caller, topic: &str) -> TopicType {
        let config = self.topic(caller, topic).await;
        config.map_or(TopicType::Unspecified, |config| {
            TopicType::of_attribute(config.message_type())
        })
    }

    /// The configuration of a group; the defaults if brokers do not know the group, or refuse to
    /// give it.
    ///
    /// # Errors
    /// If the topic has no broker that answers.
    pub async fn group_or_default(
        self: &Rc<Self>,
        caller: &Caller,
        group: &str,
        topic: &str,
    ) -> Result<Rc<GroupConfig>, MessagingError> {
        match self.group(caller, group, topic).await {
            Err(error) if error.is_final() => Ok(Rc::default()),
            found => found,
        }
    }

    /// Whether a client of another protocol may consume in a group, which must have no consumers of
    /// the remoting protocol: these divide its queues and would get the same messages. If that
    /// cannot be found out, the client may. `mixed` counts groups that have some.
    ///
    /// # Errors
    /// [`ErrorKind::Forbidden`] if the group has some, and
    /// [`Policy::refuses_mixed_groups`](crate::Policy::refuses_mixed_groups) is set.
    pub async fn check_members(
        self: &Rc<Self>,
        caller: &Caller,
        group: &str,
        topic: &str,
        mixed: &Counter,
    ) -> Result<(), MessagingError> {
        let refuses = caller.policy().refuses_mixed_groups;
        let members = match refuses {
            true => self.members(caller, group, topic).await.ok(),
            false => self.members_soon(caller, group, topic),
        };
        let classic = members.as_ref().and_then(|all| all.classic.as_ref());
        let Some(classic) = classic else {
            return Ok(());
        };
        mixed.add(1);
        match refuses {
            true => {
                let text = format!(
                    "group {group} has a consumer of the remoting protocol ({}), and both would \
                     get its messages: use another group",
                    shown(classic)
                );
                Err(MessagingError::new(ErrorKind::Forbidden, text))
            }
            false => Ok(()),
        }
    }

    /// The members of a group that consumes that topic.
    ///
    /// # Errors
    /// If the topic has no broker that answers.
    pub async fn members(
        self: &Rc<Self>,
        caller: &Caller,
        group: &str,
        topic: &str,
    ) -> Result<Rc<Members>, MessagingError> {
        self.find(caller, group, topic).await
    }

    /// The same without waiting: `None` if they are not known yet, and asked for now.
    #[must_use]
    pub fn members_soon(
        self: &Rc<Self>,
        caller: &Caller,
        group: &str,
        topic: &str,
    ) -> Option<Rc<Members>> {
        if let Some((members, is_due)) = self.members.find(group) {
            if is_due {
                self.ask_again::<Members>(caller, group, topic);
            }
            return members.ok();
        }
        self.ask_again::<Members>(caller, group, topic);
        None
    }

    /// The configuration of that name; a broker of the topic is asked.
    async fn find<T: Configuration>(
        self: &Rc<Self>,
        caller: &Caller,
        name: &str,
        topic: &str,
    ) -> Kind<T> {
        let known = T::known(self);
        if let Some((value, is_due)) = known.find(name) {
            if is_due {
                self.ask_again::<T>(caller, name, topic);
            }
            return value;
        }
        let flight = match known.flights.find(name) {
            Some(flight) => flight,
            None => {
                // What may wait for others is done before the question starts: all that need its
                // answer share it.
                let broker = caller.any_broker(topic).await?;
                let permit = caller.look_up_permit().await;
                if let Some((value, _)) = known.find(name) {
                    return value;
                }
                let (flight, duty) = known.flights.board(name);
                if let Some(duty) = duty {
                    let (cache, owner) = (self.clone(), caller.address().key());
                    // A task of its own: it continues, and keeps its permit, when the call that
                    // started it is dropped.
                    tokio::task::spawn_local(async move {
                        let _permit = permit;
                        let _turn = cache.turns.acquire().await;
                        cache.ask(&broker, owner, duty).await;
                    });
                }
                flight
            }
        };
        let given_up = || MessagingError::new(ErrorKind::Lost, "the question was given up");
        flight.outcome().await.unwrap_or_else(|| Err(given_up()))
    }

    /// Asks without waiting; what is known is used meanwhile. If the question would have to wait, a
    /// later call asks: a topic that a client has made up must not hold it up.
    fn ask_again<T: Configuration>(self: &Rc<Self>, caller: &Caller, name: &str, topic: &str) {
        if caller.broker().is_none() && caller.upstream().routes().cached(topic).is_none() {
            return;
        }
        let permit = caller.try_look_up_permit();
        let (Some(permit), Ok(turn)) = (permit, self.turns.clone().try_acquire_owned()) else {
            return;
        };
        let (_, Some(duty)) = T::known(self).flights.board(name) else {
            return;
        };
        T::known(self).note_asked(name);
        let (cache, caller, topic) = (self.clone(), caller.clone(), topic.to_owned());
        tokio::task::spawn_local(async move {
            let _turns = (permit, turn);
            match caller.any_broker(&topic).await {
                Ok(broker) => cache.ask(&broker, caller.address().key(), duty).await,
                Err(error) => duty.end(Err(error)),
            }
        });
    }

    /// Asks a broker, and keeps what it answers.
    async fn ask<T: Configuration>(&self, broker: &Broker, owner: AddressKey, duty: Duty<Kind<T>>) {
        let answer = T::ask(broker, duty.name()).await.map(Rc::new);
        T::known(self).keep(duty.name(), owner, &answer);
        duty.end(answer);
    }
}

#[cfg(test)]
mod tests {
    use std::net::{IpAddr, Ipv4Addr};

    use remoting_codec::ResponseCode;
    use tokio::time::advance;

    use super::*;

    fn owner() -> AddressKey {
        IpAddr::from(Ipv4Addr::LOCALHOST).into()
    }

    fn refusal() -> Kind<GroupConfig> {
        let code = ErrorKind::Refused(ResponseCode(26));
        Err(MessagingError::new(code, "no such group"))
    }

    #[tokio::test(start_paused = true)]
    async fn a_configuration_is_used_while_it_is_asked_for_again() {
        let known = Known::<GroupConfig>::default();
        known.keep(&"g".into(), owner(), &Ok(Rc::default()));
        let is_due = || {
            known
                .find("g")
                .map(|(value, is_due)| (value.is_ok(), is_due))
        };
        assert_eq!(is_due(), Some((true, false)));
        advance(kinds::FRESH).await;
        assert_eq!(is_due(), Some((true, true)));
        known.note_asked("g");
        assert_eq!(is_due(), Some((true, false)));
        // No broker answers: the old one is used, but not for ever.
        let lost = MessagingError::new(ErrorKind::Lost, "lost");
        known.keep(&"g".into(), owner(), &Err(lost));
        assert_eq!(is_due(), Some((true, false)));
        advance(STALE - kinds::FRESH).await;
        assert_eq!(is_due(), None);
    }

    #[tokio::test(start_paused = true)]
    async fn a_refusal_is_kept_for_a_short_time_and_displaces_no_configuration() {
        let known = Known::<GroupConfig>::default();
        known.keep(&"real".into(), owner(), &Ok(Rc::default()));
        for nth in 0..50_000 {
            known.keep(&format!("made up {nth}").into(), owner(), &refusal());
        }
        assert!(known.find("real").is_some_and(|(value, _)| value.is_ok()));
        let last = || known.find("made up 49999");
        assert!(last().is_some_and(|(value, is_due)| value.is_err() && !is_due));
        advance(REFUSAL_KEPT).await;
        assert_eq!(last(), None);
        // A group that is deleted is not used any more, and one that is created is at once.
        known.keep(&"real".into(), owner(), &refusal());
        assert!(known.find("real").is_some_and(|(value, _)| value.is_err()));
        known.keep(&"real".into(), owner(), &Ok(Rc::default()));
        assert!(known.find("real").is_some_and(|(value, _)| value.is_ok()));
    }
}
