//! One connection to a broker or name server.

use std::cell::{Cell, RefCell};
use std::fmt;
use std::rc::{Rc, Weak};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use remoting_codec::{CommandView, DecodeError, ResponseCode};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::sync::oneshot;
use tokio_rustls::client::TlsStream;
use tracing::debug;

use super::breaker::Breaker;
use super::gates::Gates;
use super::pending::{Completion, Origin, Pending, RelayTarget, Ticket};
use crate::clock::{Clock, Deadline};
use crate::config::UpstreamConfig;
use crate::error::UpstreamError;
use crate::metrics::{BrokerMetrics, UpstreamMetrics};
use remoting_transport::{Buffers, Frame, FrameHandler, Outbox, PumpError, pump, say_farewell};

/// Requests without an answer after which a connection is given up.
const ABANDONED_MAX: usize = 10_000;

/// How brokers are called, before their names.
pub(super) const BROKER_PREFIX: &str = "broker ";

/// Whoever gets what a broker asks of its own accord.
pub trait PushTarget {
    /// The broker asks for something.
    fn on_push(&self, from: &Rc<Connection>, frame: Frame<'_>, view: &CommandView<'_>);
}

/// What all upstream connections of a worker share.
#[derive(Debug)]
pub(crate) struct Context {
    pub(crate) buffers: Rc<Buffers>,
    pub(crate) clock: Clock,
    pub(crate) config: UpstreamConfig,
    /// A connection has ended, or none came about, since this was last looked at.
    lost: Cell<bool>,
    /// Connections that may have something outstanding. Most lanes have not, most of the time.
    busy: RefCell<Vec<Weak<Connection>>>,
    /// Before each broker's address, who may make a lane.
    pub(crate) gates: Arc<Gates>,
    /// Of brokers, not of name servers.
    metrics: Arc<UpstreamMetrics>,
}

impl Context {
    pub(crate) fn new(
        buffers: Rc<Buffers>,
        config: UpstreamConfig,
        gates: Arc<Gates>,
        metrics: Arc<UpstreamMetrics>,
    ) -> Self {
        Self {
            buffers,
            clock: Clock::default(),
            config,
            lost: Cell::new(false),
            busy: RefCell::default(),
            gates,
            metrics,
        }
    }

    /// Whether a broker was lost since the last call: it may have moved.
    pub(crate) fn take_lost(&self) -> bool {
        self.lost.take()
    }

    /// Answers the long polls of clients that are to go.
    pub(crate) fn release(&self) {
        let busy: Vec<_> = self
            .busy
            .borrow()
            .iter()
            .filter_map(Weak::upgrade)
            .collect();
        for connection in busy {
            let given_up = connection.pending.borrow_mut().remove_given_up();
            connection.metrics.outstanding.add(-(given_up.len() as i64));
            given_up.into_iter().for_each(Completion::give_up);
        }
    }

    /// The figures of a broker.
    pub(crate) fn metrics(&self, broker: &str) -> Arc<BrokerMetrics> {
        self.metrics.broker(broker)
    }

    /// A tick has passed: what is over its time is answered.
    pub(crate) fn tick(&self) {
        self.clock.tick();
        self.buffers.look();
        // Whoever is told may open connections, so the list is not held meanwhile.
        let mut busy = self.busy.take();
        busy.retain(|connection| connection.upgrade().is_some_and(|it| it.expire()));
        let mut now = self.busy.borrow_mut();
        let new = std::mem::replace(&mut *now, busy);
        now.extend(new);
    }
}

/// What an established connection is made of.
enum Stream {
    Plain(TcpStream),
    Tls(Box<TlsStream<TcpStream>>),
}

/// A connection to a broker or name server, many requests at a time.
///
/// It exists from the moment that it is wanted: what is asked of it before it is established is
/// written as soon as it is, or answered with the reason why it never was.
pub struct Connection {
    /// Whom it leads to, for what is said about it: "broker broker-a".
    peer: Rc<str>,
    context: Rc<Context>,
    outbox: Outbox,
    pending: RefCell<Pending>,
    push_target: Option<Weak<dyn PushTarget>>,
    established: Cell<bool>,
    /// It takes no further requests, and ends with the last answer.
    retired: Cell<bool>,
    /// The peer has answered a request.
    answered: Cell<bool>,
    /// It has never done so, and says that it goes away.
    turned_away: Cell<bool>,
    /// It is in the context's list of busy ones.
    is_listed: Cell<bool>,
    metrics: Arc<BrokerMetrics>,
    /// Of the address that it leads to; lanes have none.
    breaker: Option<Rc<Breaker>>,
    this: Weak<Self>,
}

impl fmt::Debug for Connection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Connection")
            .field("peer", &self.peer)
            .field("established", &self.established.get())
            .field("outstanding", &self.pending.borrow().len())
            .finish_non_exhaustive()
    }
}

impl Connection {
    pub(crate) fn new(
        peer: Rc<str>,
        context: Rc<Context>,
        push_target: Option<Weak<dyn PushTarget>>,
        breaker: Option<Rc<Breaker>>,
    ) -> Rc<Self> {
        let metrics = match peer.strip_prefix(BROKER_PREFIX) {
            Some(name) => context.metrics.broker(name),
            // Nobody looks at those of name servers.
            None => Arc::default(),
        };
        let meter = match push_target {
            Some(_) => metrics.lane.clone(),
            None => metrics.data.clone(),
        };
        Rc::new_cyclic(|this| Self {
            peer,
            outbox: Outbox::new(context.buffers.clone(), meter),
            context,
            pending: RefCell::default(),
            push_target,
            established: Cell::new(false),
            retired: Cell::new(false),
            answered: Cell::new(false),
            turned_away: Cell::new(false),
            is_listed: Cell::new(false),
            metrics,
            breaker,
            this: this.clone(),
        })
    }

    /// Connects and runs the connection until it ends. `false` when it was never established, or was
    /// of no use: a peer that goes away may take connections for a while, and serve none.
    pub(crate) async fn run(&self, address: &str) -> bool {
        let stream = match self.connect(address).await {
            Ok(stream) => stream,
            Err(error) => {
                debug!(peer = %self.peer, address, %error, "cannot connect");
                self.metrics.reconnects.add(1);
                self.end(&error);
                return false;
            }
        };
        self.established.set(true);
        let gauge = match self.push_target {
            Some(_) => &self.metrics.lanes,
            None => &self.metrics.connections,
        };
        gauge.add(1);
        let ended = match stream {
            Stream::Plain(mut stream) => self.serve(&mut stream).await,
            Stream::Tls(mut stream) => {
                let ended = self.serve(&mut *stream).await;
                say_farewell(&mut *stream).await;
                ended
            }
        };
        gauge.add(-1);
        if !self.outbox.is_closed() {
            self.metrics.reconnects.add(1);
        }
        match ended {
            Ok(()) => debug!(peer = %self.peer, address, "connection closed"),
            Err(PumpError::Io(error)) => debug!(peer = %self.peer, address, %error, "lost"),
            Err(PumpError::Protocol(error)) => {
                tracing::warn!(peer = %self.peer, address, %error, "sent what cannot be read");
            }
        }
        self.end(&UpstreamError::Closed(self.peer.clone()));
        !self.turned_away.get()
    }

    async fn serve<S>(&self, stream: &mut S) -> Result<(), PumpError>
    where
        S: AsyncRead + AsyncWrite + Unpin,
    {
        let Context {
            buffers, config, ..
        } = &*self.context;
        pump(stream, &self.outbox, buffers, config.frame_limit, self).await
    }

    async fn connect(&self, address: &str) -> Result<Stream, UpstreamError> {
        let failed = |reason: String| UpstreamError::Connect {
            peer: self.peer.clone(),
            reason: reason.into(),
        };
        // Nobody's request waits for a lane, and one of many that connect at once may have to ask again: a lost
        // SYN is repeated after 1 s.
        let attempts = if self.push_target.is_some() { 3 } else { 1 };
        let time = self.context.config.connect_timeout * attempts;
        let connecting = async {
            let stream = TcpStream::connect(address).await?;
            stream.set_nodelay(true)?;
            match &self.context.config.tls {
                // In a box, for it takes more room than all else that a connection needs.
                Some(tls) => Box::pin(tls.secure(address, stream)).await.map(Stream::Tls),
                None => Ok(Stream::Plain(stream)),
            }
        };
        tokio::time::timeout(time, connecting)
            .await
            .map_err(|_| failed(format!("{address} does not answer")))?
            .map_err(|error| failed(format!("{address}: {error}")))
    }

    /// Sends a request on for `target`, who gets the answer and `ticket`, or why there is none.
    ///
    /// # Errors
    /// When the request cannot be taken; then `target` is not told.
    pub fn relay(
        &self,
        frame: &Frame<'_>,
        view: &CommandView<'_>,
        target: Rc<dyn RelayTarget>,
        time: Duration,
        ticket: Ticket,
    ) -> Result<(), UpstreamError> {
        self.admit(frame.bytes().len())?;
        let origin = Origin {
            opaque: view.opaque(),
            code: view.request_code(),
            serialize_type: view.serialize_type(),
            ticket,
        };
        let completion = Completion::Relay(target, origin);
        let opaque = self.insert(self.context.clock.after(time), completion)?;
        self.outbox.push_relayed(frame, view, opaque);
        Ok(())
    }

    /// Sends on a request that nobody awaits an answer to.
    ///
    /// # Errors
    /// When the request cannot be taken.
    pub fn relay_oneway(
        &self,
        frame: &Frame<'_>,
        view: &CommandView<'_>,
    ) -> Result<(), UpstreamError> {
        self.admit(frame.bytes().len())?;
        // Brokers do not answer: the opaque only has to be one that no pending request has.
        self.outbox.push_relayed(frame, view, 0);
        Ok(())
    }

    /// Sends a response to what the broker asked.
    pub fn respond(&self, frame: &Frame<'_>, view: &CommandView<'_>, opaque: i32) {
        if self.admit(frame.bytes().len()).is_ok() {
            self.outbox.push_relayed(frame, view, opaque);
        }
    }

    /// Asks something and waits for the answer, a whole frame. The request's opaque is replaced.
    ///
    /// # Errors
    /// When there is no answer within `time`.
    pub async fn call(&self, request: Bytes, time: Duration) -> Result<Bytes, UpstreamError> {
        let view = CommandView::decode(&request).map_err(|_| UpstreamError::TooLong)?;
        self.admit(request.len())?;
        let (caller, answer) = oneshot::channel();
        let deadline = self.context.clock.after(time);
        let opaque = self.insert(deadline, Completion::Call(caller))?;
        self.outbox
            .push_relayed(&Frame::of(&request), &view, opaque);
        answer
            .await
            .unwrap_or_else(|_| Err(UpstreamError::Closed(self.peer.clone())))
    }

    /// The name of the broker that it leads to; `None` for a name server.
    #[must_use]
    pub fn broker_name(&self) -> Option<&str> {
        self.peer.strip_prefix(BROKER_PREFIX)
    }

    /// Waits until everything that was sent so far is with the operating system.
    pub async fn flushed(&self) {
        self.outbox.flushed().await;
    }

    /// Ends the connection now. What is outstanding is answered as closed.
    pub fn close(&self) {
        self.outbox.close();
    }

    /// Whether it has come about; what was asked of it before may still be told that it never did.
    #[must_use]
    pub fn is_established(&self) -> bool {
        self.established.get()
    }

    /// Whether it may take further requests.
    pub(crate) fn is_usable(&self) -> bool {
        !self.retired.get() && !self.outbox.is_closed()
    }

    /// No more requests, and the end once the last answer has come.
    pub(crate) fn retire(&self) {
        self.retired.set(true);
        self.close_if_done();
    }

    fn close_if_done(&self) {
        if self.retired.get() && self.pending.borrow().len() == 0 {
            self.outbox.finish();
        }
    }

    fn admit(&self, length: usize) -> Result<(), UpstreamError> {
        // The opaque has ten digits at most, and the client's had at least one.
        if length + 10 > self.context.config.frame_limit {
            return Err(UpstreamError::TooLong);
        }
        if self.outbox.len() > self.context.config.write_buffer_limit
            || self.metrics.outstanding.get() >= self.context.config.outstanding_limit
        {
            self.metrics.refused.add(1);
            return Err(UpstreamError::Busy(self.peer.clone()));
        }
        Ok(())
    }

    fn insert(&self, deadline: Deadline, completion: Completion) -> Result<i32, UpstreamError> {
        if self.outbox.is_closed() {
            return Err(UpstreamError::Closed(self.peer.clone()));
        }
        if !self.is_listed.replace(true) {
            self.context.busy.borrow_mut().push(self.this.clone());
        }
        let now = self.context.buffers.now();
        let opaque = self.pending.borrow_mut().insert(deadline, now, completion);
        let opaque = opaque.ok_or_else(|| UpstreamError::Busy(self.peer.clone()))?;
        self.metrics.outstanding.add(1);
        Ok(opaque)
    }

    /// Answers what is over its time. False when nothing is outstanding any more.
    fn expire(&self) -> bool {
        let expired = self
            .pending
            .borrow_mut()
            .remove_expired(&self.context.clock);
        self.metrics.outstanding.add(-(expired.len() as i64));
        if let Some(breaker) = self.breaker.as_ref().filter(|_| !expired.is_empty()) {
            breaker.failed(expired.len() as u32);
        }
        for completion in expired {
            completion.fail(UpstreamError::Timeout(self.peer.clone()));
        }
        if self.pending.borrow().abandoned() > ABANDONED_MAX {
            // It has answered nothing for long: what is still outstanding is better asked elsewhere.
            self.close();
        } else {
            self.close_if_done();
        }
        let is_busy = !self.pending.borrow().is_done();
        self.is_listed.set(is_busy);
        is_busy
    }

    fn end(&self, error: &UpstreamError) {
        // A connection that we have closed ourselves says nothing about its broker.
        if !self.outbox.is_closed() {
            self.context.lost.set(true);
        }
        self.outbox.close();
        let unanswered = self.pending.borrow_mut().remove_all();
        self.metrics.outstanding.add(-(unanswered.len() as i64));
        for completion in unanswered {
            completion.fail(error.clone());
        }
    }
}

impl FrameHandler for Connection {
    fn on_frame(&self, frame: Frame<'_>) -> Result<(), DecodeError> {
        let view = CommandView::decode(frame.bytes())?;
        if !view.is_response() {
            let target = self.push_target.as_ref().and_then(Weak::upgrade);
            if let (Some(target), Some(this)) = (target, self.this.upgrade()) {
                target.on_push(&this, frame, &view);
            }
            return Ok(());
        }
        let removed = self.pending.borrow_mut().remove(view.opaque());
        let Some((sent, completion)) = removed else {
            return Ok(());
        };
        if let Some(sent) = sent {
            self.metrics.outstanding.add(-1);
            // How long a poll takes says nothing of the broker.
            if !completion.is_long_poll() {
                let waited = self.context.buffers.now().saturating_duration_since(sent);
                self.metrics.answered.observe_duration(waited);
            }
        }
        if let Some(breaker) = &self.breaker {
            breaker.succeeded();
        }
        if view.code() == ResponseCode::GO_AWAY.0 {
            self.retired.set(true);
            self.turned_away.set(!self.answered.get());
            completion.fail(UpstreamError::GoingAway(self.peer.clone()));
        } else {
            self.answered.set(true);
            completion.answer(frame, &view);
        }
        if self.retired.get() {
            self.close_if_done();
        }
        Ok(())
    }
}
