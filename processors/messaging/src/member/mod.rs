//! A client as brokers see it: its id, groups and subscriptions, the lanes on which they know it, and where
//! what they send to it goes.
//!
//! Brokers know their clients by connection. So a member has a connection of its own, a lane, to each broker that must know
//! it, and brokers stay the only ones that keep memberships. What a broker sends on a lane is for that lane's member,
//! and goes to its inbox, a [`PushTarget`].

mod consumer;
mod declaration;
mod lanes;
mod membership;
mod producer;
mod requester;

use std::cell::{Cell, RefCell};
use std::rc::{Rc, Weak};
use std::sync::Arc;

use bytes::Bytes;
use remoting_codec::body::{ConsumeType, MessageModel, Names};
use remoting_transport::Account;
use route_cache::rate::shown;
use route_cache::{PushTarget, Verdict};
use tokio::sync::Mutex;

pub use self::declaration::{Declaration, Declared, Groups};
use self::membership::Membership;
use crate::caller::Caller;
use crate::error::MessagingError;

/// One client as brokers see it. Nothing of it is kept elsewhere; it ends with [`close`](Self::close), and its lanes with
/// it.
pub struct Member {
    caller: Caller,
    membership: RefCell<Membership>,
    /// What is charged for what is kept of the client's declarations.
    charged: Cell<usize>,
    account: Rc<Account>,
    inbox: Weak<dyn PushTarget>,
}

impl std::fmt::Debug for Member {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Member")
            .field("client_id", &self.client_id())
            .finish_non_exhaustive()
    }
}

impl Member {
    /// A client that has declared nothing yet. What is kept of its declarations is charged to `account`; what brokers send
    /// to it goes to `inbox`.
    #[must_use]
    pub fn new(caller: Caller, account: Rc<Account>, inbox: Weak<dyn PushTarget>) -> Self {
        Self {
            caller,
            membership: RefCell::default(),
            charged: Cell::new(0),
            account,
            inbox,
        }
    }

    /// The same client, as far as it matters to what it asks.
    #[must_use]
    pub fn caller(&self) -> &Caller {
        &self.caller
    }

    /// To be held while a declaration is taken in: long ones are read elsewhere, and what the client has sent first counts
    /// first.
    #[must_use]
    pub fn turn(&self) -> Rc<Mutex<()>> {
        self.membership.borrow().turn()
    }

    /// What was declared by a heartbeat of that body and signature, if nothing in it is new.
    #[must_use]
    pub fn declared(&self, body: &[u8], signature: Option<&str>) -> Option<Declared> {
        self.membership.borrow().declared(body, signature)
    }

    /// Takes in a declaration; brokers get it by [`announce`](Self::announce).
    ///
    /// # Errors
    /// When the connection has more client ids than it may.
    pub fn declare(&self, declaration: Declaration) -> Result<Declared, MessagingError> {
        let declared = self.membership.borrow_mut().declare(declaration)?;
        self.charge();
        Ok(declared)
    }

    /// Takes out groups that the client unregisters in `frame`, a request that wants an answer; brokers get it by
    /// [`withdraw`](Self::withdraw). False when they are not there: a client unregisters once per broker, all to one address.
    pub fn unregister(&self, client_id: &str, groups: &Groups, frame: Bytes) -> bool {
        let mut membership = self.membership.borrow_mut();
        let is_news = membership.unregister(client_id, groups, frame);
        drop(membership);
        self.charge();
        is_news
    }

    /// The client's id as far as it is shown, the first where there are several. It is known after the end too.
    #[must_use]
    pub fn client_id(&self) -> Option<String> {
        let membership = self.membership.borrow();
        Some(shown(membership.client_id()?).to_owned())
    }

    /// Whether the client has declared itself.
    #[must_use]
    pub fn is_known(&self) -> bool {
        self.membership.borrow().is_known()
    }

    /// Whether it is in a producer group.
    #[must_use]
    pub fn is_producer(&self) -> bool {
        self.membership.borrow().is_producer()
    }

    /// The consumer groups that it is in, and how it gets messages in each.
    #[must_use]
    pub fn groups(&self) -> Vec<(String, ConsumeType)> {
        let membership = self.membership.borrow();
        let groups = membership.groups();
        groups.map(|(group, how)| (group.to_owned(), how)).collect()
    }

    /// How the members of that consumer group divide messages, if the client is one.
    #[must_use]
    pub fn consumer(&self, group: &str) -> Option<MessageModel> {
        self.membership.borrow().consumer(group)
    }

    /// The topics of that consumer group, if the client is in it.
    #[must_use]
    pub fn topics(&self, group: &str) -> Option<Arc<Names>> {
        self.membership.borrow().topics(group)
    }

    /// Ends its lanes: at once, because that is how brokers learn that a client has left. None is opened any more.
    pub fn close(&self) {
        self.membership.borrow_mut().close();
        self.charge();
    }

    /// Charges what is kept of the client's declarations.
    fn charge(&self) {
        let bytes = self.membership.borrow().held_bytes();
        self.account.add(bytes);
        self.account.take(self.charged.replace(bytes));
    }
}

/// One answer of many: that of a broker that has taken the heartbeat, else the first refusal. `None` when no broker
/// has to know the client yet. A broker that is unreachable now gets it from its lane when that is connected again.
fn summary(
    verdicts: Vec<Result<Verdict, route_cache::UpstreamError>>,
) -> Result<Option<Verdict>, MessagingError> {
    let (mut refusal, mut failed) = (None, None);
    for verdict in verdicts {
        match verdict {
            Ok(verdict) if verdict.is_success() => return Ok(Some(verdict)),
            Ok(verdict) => drop(refusal.get_or_insert(verdict)),
            Err(error) => failed = Some(error),
        }
    }
    match (refusal, failed) {
        (None, Some(error)) => Err(error.into()),
        (refusal, _) => Ok(refusal),
    }
}

#[cfg(test)]
mod tests {
    use remoting_codec::Version;
    use route_cache::UpstreamError;

    use super::*;

    #[test]
    fn one_broker_that_takes_a_heartbeat_is_enough() {
        let verdict = |code| {
            Ok(Verdict {
                code,
                version: Version::V5_5_0,
                remark: "".into(),
            })
        };
        let late = || {
            Err(UpstreamError::Timeout(route_cache::Peer::Broker(
                "a".into(),
            )))
        };
        let code = |verdicts| summary(verdicts).map(|verdict| verdict.map(|verdict| verdict.code));
        assert_eq!(code(vec![late(), verdict(16), verdict(0)]), Ok(Some(0)));
        assert_eq!(code(vec![late(), verdict(16), verdict(1)]), Ok(Some(16)));
        assert!(code(vec![late()]).is_err());
        assert_eq!(code(Vec::new()), Ok(None));
    }
}
