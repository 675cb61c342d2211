//! A client as brokers see it: its id, groups and subscriptions, the lanes that register it, and
//! the inbox for what brokers send to it.
//!
//! Brokers identify their clients by connection. So a member has a connection of its own, a lane,
//! to each broker that must know it, and only brokers keep memberships. A push that a broker sends
//! on a lane is for that lane's member, and goes to its inbox, a [`PushTarget`].

mod client;
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

/// One client as brokers see it. No other place keeps its state. It ends with
/// [`close`](Self::close), and its lanes with it.
pub struct Member {
    caller: Caller,
    membership: RefCell<Membership>,
    /// The bytes that are charged for the client's declarations.
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
    /// A client that has declared nothing yet. Its declarations are charged to `account`; pushes of
    /// brokers go to `inbox`.
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

    /// The client as decisions about its requests see it.
    #[must_use]
    pub fn caller(&self) -> &Caller {
        &self.caller
    }

    /// The lock that is held while a declaration is stored. Long declarations are decoded by
    /// another thread; the lock keeps them in the order in which the client sent them.
    #[must_use]
    pub fn turn(&self) -> Rc<Mutex<()>> {
        self.membership.borrow().turn()
    }

    /// The declaration of a heartbeat with that body and signature, if it contains nothing new.
    #[must_use]
    pub fn declared(&self, body: &[u8], signature: Option<&str>) -> Option<Declared> {
        self.membership.borrow().declared(body, signature)
    }

    /// Stores a declaration; brokers get it by [`announce`](Self::announce).
    ///
    /// # Errors
    /// If the connection has more client ids than it may.
    pub fn declare(&self, declaration: Declaration) -> Result<Declared, MessagingError> {
        let declared = self.membership.borrow_mut().declare(declaration)?;
        self.charge();
        Ok(declared)
    }

    /// Removes groups that the client unregisters in `frame`, a request that wants an answer;
    /// brokers get it by [`withdraw`](Self::withdraw). False if they are not there: a client
    /// unregisters once per broker, all to one address.
    pub fn unregister(&self, client_id: &str, groups: &Groups, frame: Bytes) -> bool {
        let mut membership = self.membership.borrow_mut();
        let is_news = membership.unregister(client_id, groups, frame);
        drop(membership);
        self.charge();
        is_news
    }

    /// The client's latest declaration; the first client's if there are several.
    #[must_use]
    pub fn latest(&self) -> Option<Declared> {
        self.membership.borrow().latest()
    }

    /// Waits until no lane is being opened, for as long as a message waits for its producer's
    /// registration.
    pub async fn wait_settled(&self) {
        let time = self.caller.policy().introduction_time;
        let lanes = self.lanes();
        let settling = lanes.iter().map(|lane| lane.settled(time));
        futures_util::future::join_all(settling).await;
    }

    /// The client's id in the form that logs show; the first if there are several. It is available
    /// after the close, too.
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

    /// Whether it has declared any producer group.
    #[must_use]
    pub fn is_producer(&self) -> bool {
        self.membership.borrow().is_producer()
    }

    /// The consumer groups that it is in, each with its way of consuming.
    #[must_use]
    pub fn groups(&self) -> Vec<(String, ConsumeType)> {
        let membership = self.membership.borrow();
        let groups = membership.groups();
        groups.map(|(group, how)| (group.to_owned(), how)).collect()
    }

    /// How the members of that consumer group divide messages, if the client is a member.
    #[must_use]
    pub fn consumer(&self, group: &str) -> Option<MessageModel> {
        self.membership.borrow().consumer(group)
    }

    /// The topics of that consumer group, if the client is in it.
    #[must_use]
    pub fn topics(&self, group: &str) -> Option<Arc<Names>> {
        self.membership.borrow().topics(group)
    }

    /// Ends the client's lanes, at once, because brokers thereby learn that the client has left. No
    /// lane is opened any more.
    pub fn close(&self) {
        self.membership.borrow_mut().close();
        self.charge();
    }

    /// Charges the client's declarations to its account.
    fn charge(&self) {
        let bytes = self.membership.borrow().held_bytes();
        self.account.add(bytes);
        self.account.take(self.charged.replace(bytes));
    }
}

/// One answer of many: that of a broker that has accepted the heartbeat, else the first refusal.
/// `None` if no broker has to know the client yet. A broker that is unreachable now gets the
/// heartbeat from its lane when that is connected again.
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
