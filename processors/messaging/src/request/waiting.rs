//! The requests that wait for their replies.

use std::cell::RefCell;
use std::collections::HashMap;
use std::rc::Rc;
use std::sync::Arc;

use remoting_transport::{Account, Held};
use route_cache::AddressKey;
use tokio::sync::oneshot;

use super::Reply;
use crate::error::{ErrorKind, MessagingError};
use crate::metrics::RequestMetrics;

/// Most requests of a worker that wait; clients of one address have a quarter of it.
const WAITING_MAX: usize = 16 * 1024;
const OF_ADDRESS_MAX: usize = WAITING_MAX / 4;

/// Bytes of memory of a request that waits.
const ENTRY_BYTES: usize = 512;

/// All requests of a worker that wait, by their correlation ids. Each is there while its call is
/// open.
#[derive(Debug)]
pub(super) struct Waiting {
    by_id: RefCell<HashMap<Box<str>, Waiter>>,
    /// How many each address has.
    of_address: RefCell<HashMap<AddressKey, usize>>,
    metrics: Arc<RequestMetrics>,
}

#[derive(Debug)]
struct Waiter {
    reply: oneshot::Sender<Reply>,
    account: Rc<Account>,
}

/// The place of a call among those that wait; dropping it gives the place up.
#[derive(Debug)]
pub(super) struct Waited {
    all: Rc<Waiting>,
    id: Box<str>,
    owner: AddressKey,
    reply: oneshot::Receiver<Reply>,
    _held: Held,
}

impl Waiting {
    pub(super) fn new(metrics: Arc<RequestMetrics>) -> Self {
        Self {
            by_id: RefCell::default(),
            of_address: RefCell::default(),
            metrics,
        }
    }

    pub(super) fn len(&self) -> usize {
        self.by_id.borrow().len()
    }

    /// A place for the request of that correlation id, of a client from that address.
    ///
    /// # Errors
    /// [`ErrorKind::Busy`] if too many wait.
    pub(super) fn begin(
        self: &Rc<Self>,
        id: &str,
        owner: AddressKey,
        account: &Rc<Account>,
    ) -> Result<Waited, MessagingError> {
        let mut of_address = self.of_address.borrow_mut();
        let of_owner = of_address.get(&owner).copied().unwrap_or_default();
        if self.len() >= WAITING_MAX || of_owner >= OF_ADDRESS_MAX {
            let text = "too many requests wait for replies: try again later";
            return Err(MessagingError::new(ErrorKind::Busy, text));
        }
        of_address.insert(owner, of_owner + 1);
        let (sender, reply) = oneshot::channel();
        let waiter = Waiter {
            reply: sender,
            account: account.clone(),
        };
        self.by_id.borrow_mut().insert(id.into(), waiter);
        Ok(Waited {
            all: self.clone(),
            id: id.into(),
            owner,
            reply,
            _held: account.hold(ENTRY_BYTES),
        })
    }

    /// Hands a reply of that many bytes to the request of that correlation id, if it still waits.
    pub(super) fn end(&self, id: &str, bytes: usize, reply: impl FnOnce(Held) -> Reply) {
        let waiter = self.by_id.borrow_mut().remove(id);
        let is_taken = waiter.is_some_and(|waiter| {
            let held = waiter.account.hold(bytes);
            waiter.reply.send(reply(held)).is_ok()
        });
        match is_taken {
            true => self.metrics.replies.add(1),
            false => self.metrics.late.add(1),
        }
    }
}

impl Waited {
    /// Waits for the reply.
    pub(super) async fn received(mut self) -> Result<Reply, MessagingError> {
        let reply = (&mut self.reply).await;
        reply.map_err(|_| MessagingError::new(ErrorKind::Lost, "the request was given up"))
    }
}

impl Drop for Waited {
    fn drop(&mut self) {
        self.all.by_id.borrow_mut().remove(&self.id);
        let mut of_address = self.all.of_address.borrow_mut();
        match of_address.get_mut(&self.owner) {
            Some(count) if *count > 1 => *count -= 1,
            _ => drop(of_address.remove(&self.owner)),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::net::IpAddr;

    use bytes::Bytes;
    use futures_util::FutureExt as _;
    use remoting_codec::message::SysFlag;
    use remoting_transport::Ledger;

    use super::*;

    fn waiting() -> (Rc<Waiting>, Rc<Account>) {
        let account = Account::open(Rc::new(Ledger::default()));
        (Rc::new(Waiting::new(Arc::default())), account)
    }

    fn from(last: u8) -> AddressKey {
        IpAddr::from([10, 0, 0, last]).into()
    }

    fn reply(held: Held) -> Reply {
        Reply {
            frame: Bytes::from_static(b"frame"),
            body: 1..3,
            properties: "a\u{1}b\u{2}".to_owned(),
            sys_flag: SysFlag::default(),
            _held: held,
        }
    }

    #[test]
    fn a_reply_goes_to_the_call_that_waits_and_no_other() {
        let (all, account) = waiting();
        let one = all.begin("one", from(1), &account).unwrap();
        let two = all.begin("two", from(1), &account).unwrap();
        all.end("two", 100, reply);
        let got = two.received().now_or_never().unwrap().unwrap();
        assert_eq!(got.body(), &b"ra"[..]);
        assert_eq!(got.properties().get("a").as_deref(), Some("b"));
        assert_eq!(account.held(), ENTRY_BYTES + 100);
        drop(got);
        // Another one with the same id, and one that nobody waits for, are late.
        all.end("two", 100, reply);
        drop(one);
        all.end("one", 100, reply);
        assert_eq!((all.len(), account.held()), (0, 0));
        let metrics = &all.metrics;
        assert_eq!((metrics.replies.get(), metrics.late.get()), (1, 2));
    }

    #[test]
    fn an_address_has_a_part_of_the_room() {
        let (all, account) = waiting();
        let mut held: Vec<_> = (0..OF_ADDRESS_MAX)
            .map(|nth| all.begin(&nth.to_string(), from(1), &account).unwrap())
            .collect();
        let busy = all.begin("more", from(1), &account).unwrap_err();
        assert_eq!(busy.kind(), ErrorKind::Busy);
        assert!(all.begin("other", from(2), &account).is_ok());
        held.pop();
        assert!(all.begin("more", from(1), &account).is_ok());
        held.clear();
        assert_eq!((all.len(), all.of_address.borrow().len()), (0, 0));
    }
}
