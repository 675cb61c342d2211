//! Requests that are replied to (RIP-16), for clients that have no connection to brokers on which a
//! reply could arrive.
//!
//! A worker has one [`Requester`], a producer of its own: brokers send the replies to its lanes,
//! and each goes to the open call that waits for it. All state of a request is that call.

mod active;
mod waiting;

use std::cell::{Cell, RefCell};
use std::net::Ipv4Addr;
use std::ops::Range;
use std::rc::Rc;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use bytes::Bytes;
use remoting_codec::message::{Properties, SysFlag, property};
use remoting_transport::{Account, Held};
use route_cache::{TopicRoute, Upstream};
use tokio::time::{Instant, timeout_at};

use crate::caller::Caller;
use crate::calls::{Requests, Send, SendReceipt};
use crate::draft::{Outgoing, push};
use crate::error::{ErrorKind, MessagingError, Part};
use crate::ids::random;
use crate::kind::MessageKind;
use crate::metrics::RequestMetrics;
use crate::policy::{Patience, Policy, at_most};
use active::Active;
use waiting::Waiting;

/// Which queue a request goes to.
#[derive(Clone, Copy, Debug)]
pub enum Place<'a> {
    /// That of its message group, or of any broker: of each in turn.
    Any,
    /// The queue that all requests with the same text go to.
    Key(&'a str),
    /// The queue of that number at that broker.
    Queue(&'a str, i32),
}

/// The reply to a request. It is charged to the client's account until it is dropped.
#[derive(Debug)]
pub struct Reply {
    frame: Bytes,
    body: Range<usize>,
    properties: String,
    sys_flag: SysFlag,
    _held: Held,
}

impl Reply {
    /// The body, as the replier has sent it: perhaps [compressed](Self::sys_flag).
    #[must_use]
    pub fn body(&self) -> Bytes {
        // The range was read from the frame.
        match self.frame.get(self.body.clone()) {
            Some(body) => self.frame.slice_ref(body),
            None => Bytes::new(),
        }
    }

    /// The properties, those that brokers have added among them.
    #[must_use]
    pub fn properties(&self) -> Properties<'_> {
        self.properties.as_str().into()
    }

    /// How the body is compressed.
    #[must_use]
    pub fn sys_flag(&self) -> SysFlag {
        self.sys_flag
    }
}

/// Sends the requests of a worker's clients, and receives the replies.
///
/// It is a producer only while it is needed: from the first request on, and for a minute after the
/// last one. Its client id differs from that of any other worker, because brokers know the client
/// that a reply is for by its id alone; and each time from its former one, so that no broker still
/// knows the id from a connection that has ended.
#[derive(Debug)]
pub struct Requester {
    caller: Caller,
    metrics: Arc<RequestMetrics>,
    waiting: Rc<Waiting>,
    active: RefCell<Option<Rc<Active>>>,
    is_leaving: Cell<bool>,
}

/// The group of the requesters of this process.
fn group() -> &'static str {
    static GROUP: OnceLock<String> = OnceLock::new();
    GROUP.get_or_init(|| format!("REMORA_REQUESTS_{:08x}", random() as u32))
}

impl Requester {
    /// The requester of a worker with these connections to brokers.
    #[must_use]
    pub fn new(
        upstream: Rc<Upstream>,
        policy: Arc<Policy>,
        metrics: Arc<RequestMetrics>,
    ) -> Rc<Self> {
        // It is no client: its look-ups are Remora's own.
        let own = Ipv4Addr::UNSPECIFIED.into();
        Rc::new(Self {
            caller: Caller::new(upstream, policy, own, None),
            waiting: Rc::new(Waiting::new(metrics.clone())),
            metrics,
            active: RefCell::default(),
            is_leaving: Cell::new(false),
        })
    }

    /// Sends a request of a client to the topic, and waits for the reply, for `time` in all. If the
    /// call is dropped, a reply that arrives all the same is dropped and counted.
    ///
    /// Whether the request was stored is not known after [`ErrorKind::Late`] and
    /// [`ErrorKind::Lost`]: the reply is waited for then too, so that these end the call after
    /// `time` only.
    ///
    /// # Errors
    /// [`ErrorKind::NoReply`] if the request was stored and no reply has arrived in time;
    /// [`ErrorKind::Unavailable`] if no broker knows the requester, so that no reply could arrive;
    /// [`Part::MessageKind`] if the message is to be delivered later, or of a transaction; if the
    /// message cannot be sent.
    pub async fn request(
        self: &Rc<Self>,
        requests: &Rc<Requests>,
        topic: &str,
        route: &TopicRoute,
        mut message: Outgoing,
        place: Place<'_>,
        time: Duration,
    ) -> Result<Reply, MessagingError> {
        let deadline = Instant::now() + time;
        if matches!(message.kind, MessageKind::Delay | MessageKind::Transaction) {
            let text = "a request cannot be delivered later, nor be of a transaction";
            let kind = ErrorKind::Illegal(Part::MessageKind);
            return Err(MessagingError::new(kind, text));
        }
        let _wait = requests.begin_wait(topic, group())?;
        let active = self.active();
        let _use = active.begin();
        let correlation_id = format!("{:016x}{:016x}", random(), random());
        let (account, owner) = (requests.account(), requests.caller().address().key());
        let reply = self.waiting.begin(&correlation_id, owner, account)?;
        let properties = &mut message.properties;
        push(properties, property::CORRELATION_ID, &correlation_id)?;
        push(properties, property::REPLY_TO_CLIENT, active.client_id())?;
        let millis = time.as_millis().to_string();
        push(properties, property::TTL, &millis)?;
        active.wait_registered(deadline).await?;
        let mut replied = std::pin::pin!(reply.received());
        let sending = self.send(requests, topic, route, &message, place, deadline);
        let sent = tokio::select! {
            biased;
            reply = replied.as_mut() => return reply,
            sent = sending => sent,
        };
        let otherwise = match sent {
            Ok(_) => {
                let text = format!("no reply has arrived within {millis} ms");
                MessagingError::new(ErrorKind::NoReply, text)
            }
            Err(error) if matches!(error.kind(), ErrorKind::Late | ErrorKind::Lost) => error,
            Err(error) => return Err(error),
        };
        match timeout_at(deadline, replied).await {
            Ok(reply) => reply,
            Err(_) => {
                self.metrics.unanswered.add(1);
                Err(otherwise)
            }
        }
    }

    async fn send(
        &self,
        requests: &Rc<Requests>,
        topic: &str,
        route: &TopicRoute,
        message: &Outgoing,
        place: Place<'_>,
        deadline: Instant,
    ) -> Result<SendReceipt, MessagingError> {
        let mut send = Send {
            topic,
            group: group(),
            queue_id: -1,
            sys_flag: message.sys_flag,
            born_time: message.born_time,
            properties: message.properties.as_str(),
            body: message.body.clone(),
            is_batch: false,
        };
        let (queue_of, may_fail_over) = match place {
            Place::Any => (message.queue_of.as_deref(), message.queue_of.is_none()),
            Place::Key(key) => (Some(key), false),
            Place::Queue(broker, id) => {
                send.queue_id = id;
                let broker = self.caller.upstream().broker(broker).await?;
                let time = self.caller.policy().time(Patience::Send);
                let time = at_most(time, Some(deadline));
                return requests.send(&broker, &send, time).await;
            }
        };
        requests
            .send_to_topic(route, send, queue_of, may_fail_over, Some(deadline))
            .await
    }

    /// Leaves once the last request is answered, because the worker drains.
    pub fn leave(&self) {
        self.is_leaving.set(true);
        if let Some(active) = &*self.active.borrow() {
            active.look();
        }
    }

    /// The number of requests that wait for a reply.
    #[must_use]
    pub fn waiting(&self) -> usize {
        self.waiting.len()
    }

    /// Whether brokers know the requester, or are about to.
    #[must_use]
    pub fn is_active(&self) -> bool {
        self.active.borrow().is_some()
    }

    fn active(self: &Rc<Self>) -> Rc<Active> {
        if let Some(active) = &*self.active.borrow() {
            return active.clone();
        }
        let buffers = self.caller.upstream().buffers();
        let account = Account::open(buffers.ledger().clone());
        let active = Active::new(&self.caller, account, self.waiting.clone(), group());
        *self.active.borrow_mut() = Some(active.clone());
        let (this, running) = (self.clone(), active.clone());
        tokio::task::spawn_local(async move {
            running.run(|| this.is_leaving.get()).await;
            // Nothing is awaited in between: no request can start to use it.
            this.active.take();
            running.close();
        });
        active
    }
}
