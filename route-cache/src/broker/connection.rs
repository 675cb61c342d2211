//! One connection to a broker or name server.

use std::cell::Cell;
use std::cell::RefCell;
use std::fmt;
use std::rc::{Rc, Weak};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use remoting_codec::{
    CommandView, DecodeError, FLAG_ONEWAY, FrameLimits, RemotingCommand, ResponseCode,
    UpstreamOpaque, UpstreamView,
};
use remoting_transport::{Account, Frame, FrameHandler, Outbox, PumpError, pump, say_farewell};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::{Notify, oneshot};
use tokio::time::Instant;
use tracing::debug;

use super::breaker::Breaker;
use super::budget::Budget;
use super::context::{Context, Watched};
use super::health::{Health, Treatment};
use super::pending::{Completion, Origin, Pending, RelayTarget, Ticket};
use super::probe::probe;
use super::stream::{Stream, connect};
use crate::clock::Deadline;
use crate::descriptors::Permit;
use crate::error::UpstreamError;
use crate::metrics::BrokerMetrics;
use crate::peer::Peer;

/// Requests that their peer has left unanswered, after which a connection takes no more: what nobody will answer is not
/// kept for ever. What is under way on it ends as usual.
const ABANDONED_MAX: usize = 10_000;

/// A request up to this length is taken for a client that has nothing waiting here, though much of others' waits.
const SMALL: usize = 16 * 1024;

/// Whoever gets what a broker asks of its own accord.
pub trait PushTarget {
    /// The broker asks for something.
    fn on_push(&self, from: &Rc<Connection>, frame: Frame<'_>, view: &UpstreamView<'_>);
}

/// A connection to a broker or name server, many requests at a time.
///
/// It exists from the moment that it is wanted: what is asked of it before it is established is
/// written as soon as it is, or answered with the reason why it never was.
pub struct Connection {
    peer: Peer,
    context: Rc<Context>,
    outbox: Outbox<UpstreamOpaque>,
    pending: RefCell<Pending>,
    push_target: Option<Weak<dyn PushTarget>>,
    established: Cell<bool>,
    /// It has been established.
    made: Notify,
    /// It takes no further requests, and ends with the last answer.
    retired: Cell<bool>,
    /// The peer has answered a request.
    answered: Cell<bool>,
    /// It has never done so, and says that it goes away.
    turned_away: Cell<bool>,
    /// It is in the context's list of busy ones.
    is_listed: Cell<bool>,
    health: Health,
    /// Bytes that had arrived when its health was looked at.
    received: Cell<u64>,
    /// What may be written until the next tick, of a connection that is paced.
    credit: Option<Cell<usize>>,
    /// Bytes that had been written then.
    written: Cell<u64>,
    metrics: Arc<BrokerMetrics>,
    /// What clients have outstanding at the peer.
    budget: Rc<Budget>,
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

/// Bytes that go over a paced connection with each tick: some 7,500 polls a second.
const PACE: usize = 96 * 1024;

impl Connection {
    pub(crate) fn new(
        peer: Peer,
        context: Rc<Context>,
        push_target: Option<Weak<dyn PushTarget>>,
        breaker: Option<Rc<Breaker>>,
    ) -> Rc<Self> {
        Self::with_credit(peer, context, push_target, breaker, None)
    }

    fn with_credit(
        peer: Peer,
        context: Rc<Context>,
        push_target: Option<Weak<dyn PushTarget>>,
        breaker: Option<Rc<Breaker>>,
        credit: Option<Cell<usize>>,
    ) -> Rc<Self> {
        let metrics = match peer.broker_name() {
            Some(name) => context.metrics(name),
            // Nobody looks at those of name servers.
            None => Arc::default(),
        };
        let meter = match push_target {
            Some(_) => metrics.lane.clone(),
            None => metrics.data.clone(),
        };
        let budget = context.budget(&peer);
        Rc::new_cyclic(|this| Self {
            budget,
            health: Health::default(),
            received: Cell::new(0),
            credit,
            written: Cell::new(0),
            peer,
            outbox: Outbox::upstream(context.buffers.clone(), meter),
            context,
            pending: RefCell::default(),
            push_target,
            established: Cell::new(false),
            made: Notify::new(),
            retired: Cell::new(false),
            answered: Cell::new(false),
            turned_away: Cell::new(false),
            is_listed: Cell::new(false),
            metrics,
            breaker,
            this: this.clone(),
        })
    }

    /// One over which no more than [`PACE`] goes with each tick: thousands of requests at once would hold up others' in the
    /// broker, which reads its connections with a few threads.
    pub(crate) fn paced(
        peer: Peer,
        context: Rc<Context>,
        breaker: Option<Rc<Breaker>>,
    ) -> Rc<Self> {
        let credit = Some(Cell::new(PACE));
        Self::with_credit(peer, context, None, breaker, credit)
    }

    /// Connects and runs the connection until it ends. `false` when it was never established, or was
    /// of no use: a peer that goes away may take connections for a while, and serve none.
    pub(crate) async fn run(&self, address: &str) -> bool {
        // Nobody's request waits for a lane, and one of many that connect at once may have to ask again: a lost
        // SYN is repeated after 1 s.
        let attempts = if self.push_target.is_some() { 3 } else { 1 };
        let _permit = match self.descriptor() {
            Ok(permit) => permit,
            Err(error) => {
                debug!(peer = %self.peer, address, %error, "cannot connect");
                self.end(&error);
                return false;
            }
        };
        let stream = match connect(&self.context.config, &self.peer, address, attempts).await {
            Ok(stream) => stream,
            Err(error) => {
                debug!(peer = %self.peer, address, %error, "cannot connect");
                self.metrics.reconnects.add(1);
                self.end(&error);
                return false;
            }
        };
        self.established.set(true);
        if let Some(breaker) = &self.breaker {
            breaker.connected();
        }
        self.made.notify_waiters();
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

    /// A descriptor for the socket. Lanes share what there is with clients; what all clients need has a reserve.
    fn descriptor(&self) -> Result<Permit, UpstreamError> {
        let descriptors = &self.context.config.descriptors;
        if self.push_target.is_none() {
            return Ok(descriptors.take());
        }
        let few = || UpstreamError::Connect {
            peer: self.peer.clone(),
            reason: "the limit of open files leaves no room: raise it".into(),
        };
        descriptors.try_take().ok_or_else(few)
    }

    async fn serve<S>(&self, stream: &mut S) -> Result<(), PumpError>
    where
        S: AsyncRead + AsyncWrite + Unpin,
    {
        let Context {
            buffers, config, ..
        } = &*self.context;
        pump(
            stream,
            &self.outbox,
            buffers,
            FrameLimits::upstream(config.frame_limit),
            self,
        )
        .await
    }

    /// Sends a request of the client with that account on for `target`, which gets the answer and `ticket`, or why there is
    /// none.
    ///
    /// # Errors
    /// When the request cannot be taken; then `target` hears nothing.
    pub fn relay(
        &self,
        frame: &Frame<'_>,
        view: &CommandView<'_>,
        from: &Rc<Account>,
        target: Rc<dyn RelayTarget>,
        time: Duration,
        ticket: Ticket,
    ) -> Result<(), UpstreamError> {
        self.admit(view.longest(), from.forwarded())?;
        let origin = Origin {
            opaque: view.opaque(),
            code: view.request_code(),
            serialize_type: view.serialize_type(),
            ticket,
        };
        let completion = Completion::Relay(target, origin);
        let opaque = self.insert(self.context.clock.after(time), completion)?;
        self.outbox.push_forwarded(frame, view, opaque, from);
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
        from: &Rc<Account>,
    ) -> Result<(), UpstreamError> {
        self.admit(view.longest(), from.forwarded())?;
        // Brokers do not answer: the opaque only has to be one that no pending request has.
        self.outbox
            .push_forwarded(frame, view, UpstreamOpaque(0), from);
        // Where nothing else is asked, a probe finds out whether what is sent arrives anywhere.
        self.watch();
        Ok(())
    }

    /// Sends a request of Remora's own, or of nobody who is charged for it, that nobody awaits an answer to.
    ///
    /// # Errors
    /// When the request cannot be taken.
    pub(crate) fn tell(&self, request: &Bytes) -> Result<(), UpstreamError> {
        let view = CommandView::decode(request).map_err(|_| UpstreamError::TooLong)?;
        self.admit(view.longest(), 0)?;
        self.outbox
            .push_relayed(&Frame::of(request), &view, UpstreamOpaque(0));
        self.watch();
        Ok(())
    }

    /// Sends a client's response to what the broker asked.
    pub fn respond(
        &self,
        frame: &Frame<'_>,
        view: &CommandView<'_>,
        opaque: UpstreamOpaque,
        from: &Rc<Account>,
    ) {
        if self.admit(view.longest(), from.forwarded()).is_ok() {
            self.outbox.push_forwarded(frame, view, opaque, from);
        }
    }

    /// What clients have outstanding at the peer.
    #[must_use]
    pub fn budget(&self) -> &Rc<Budget> {
        &self.budget
    }

    /// Asks something and waits for the answer, a whole frame. The request's opaque is replaced, and one that wanted no
    /// answer wants one now.
    ///
    /// # Errors
    /// When there is no answer within `time`.
    pub async fn call(&self, request: Bytes, time: Duration) -> Result<Bytes, UpstreamError> {
        let request = wants_answer(request).map_err(|_| UpstreamError::TooLong)?;
        let view = CommandView::decode(&request).map_err(|_| UpstreamError::TooLong)?;
        self.admit(request.len(), 0)?;
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
        self.peer.broker_name()
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

    /// Waits until it has come about, TLS included; for ever, if it never does.
    pub(crate) async fn established(&self) {
        let made = self.made.notified();
        if !self.established.get() {
            made.await;
        }
    }

    /// Whether it may take further requests.
    pub(crate) fn is_usable(&self) -> bool {
        !self.retired.get() && !self.outbox.is_closed() && !self.is_silent()
    }

    /// Whether something was asked over it and nothing has been heard since.
    pub(super) fn is_waiting(&self) -> bool {
        self.health.is_waiting()
    }

    /// Whether it takes no more requests, and ends with the last answer.
    pub(crate) fn is_retired(&self) -> bool {
        self.retired.get()
    }

    /// Whether it has been asked and probed, and says nothing.
    pub(crate) fn is_silent(&self) -> bool {
        self.health.is_silent()
    }

    /// No more requests, and the end once the last answer has come.
    pub(crate) fn retire(&self) {
        self.retired.set(true);
        self.pending.borrow_mut().forget_abandoned();
        self.release();
        self.close_if_done();
    }

    /// Gives up what is outstanding of long polls.
    pub(super) fn give_up_polls(&self) {
        let given_up = self.pending.borrow_mut().remove_polls();
        self.metrics.outstanding.add(-(given_up.len() as i64));
        given_up.into_iter().for_each(Completion::give_up);
    }

    #[inline]
    fn note_heard(&self) {
        if self.health.heard()
            && let Some(breaker) = &self.breaker
        {
            breaker.succeeded();
        }
    }

    /// Takes out what an answer is for, and since when it was awaited, unless that was given up.
    #[inline]
    fn take_pending(&self, opaque: UpstreamOpaque) -> Option<(Option<Instant>, Completion)> {
        let removed = self.pending.borrow_mut().remove(opaque);
        if let Some((Some(_), _)) = removed {
            self.metrics.outstanding.add(-1);
        }
        removed
    }

    fn close_if_done(&self) {
        if self.retired.get() && self.pending.borrow().len() == 0 {
            self.outbox.finish();
        }
    }

    /// Takes a request of that length, of a client of which so many bytes wait in other outboxes already.
    fn admit(&self, length: usize, waiting: usize) -> Result<(), UpstreamError> {
        // The opaque has ten digits at most, and the client's had at least one.
        if length + 10 > self.context.config.frame_limit {
            return Err(UpstreamError::TooLong);
        }
        let limit = self.context.config.write_buffer_limit;
        let len = self.outbox.len();
        // What others have waiting here does not count for a client that has nothing, within reason.
        if len > limit && (waiting > 0 || length > SMALL || len > limit.saturating_mul(2)) {
            self.metrics.refused.add(1);
            return Err(UpstreamError::Busy(self.peer.clone()));
        }
        Ok(())
    }

    fn insert(
        &self,
        deadline: Deadline,
        completion: Completion,
    ) -> Result<UpstreamOpaque, UpstreamError> {
        if self.outbox.is_closed() {
            return Err(UpstreamError::Closed(self.peer.clone()));
        }
        let now = self.context.buffers.now();
        let opaque = self.pending.borrow_mut().insert(deadline, now, completion);
        let opaque = opaque.ok_or_else(|| UpstreamError::Busy(self.peer.clone()))?;
        self.metrics.outstanding.add(1);
        self.watch();
        Ok(opaque)
    }

    /// Something was asked or sent: has the connection looked after with each tick.
    fn watch(&self) {
        self.health.asked(&self.context.clock);
        if !self.is_listed.replace(true) {
            self.context.watch(self.this.clone());
        }
    }

    fn treat(&self) {
        // A long answer may take long to arrive: each part of it is a sign of life.
        let received = self.outbox.bytes_received();
        if self.received.replace(received) != received
            && self.outbox.has_partial()
            && self.health.heard()
            && let Some(breaker) = &self.breaker
        {
            breaker.succeeded();
        }
        // Behind a long request the probe waits, too. More of it is taken only as the peer's end takes what was before.
        let written = self.outbox.bytes_written();
        if self.written.replace(written) != written && !self.outbox.is_empty() {
            self.health.postpone(&self.context.clock);
        }
        match self.health.look(&self.context.clock) {
            Treatment::Leave => {}
            Treatment::Probe => {
                let frame = probe(&self.context.config);
                let deadline = self.context.clock.after(Duration::ZERO);
                // Whatever comes back is a sign of life, and of no other interest.
                if let Ok(opaque) = self.insert(deadline, Completion::Probe)
                    && let Ok(view) = CommandView::decode(&frame)
                {
                    self.outbox.push_relayed(&Frame::of(&frame), &view, opaque);
                }
            }
            Treatment::Replace => {
                debug!(peer = %self.peer, "a connection says nothing, not even to a probe");
                if let Some(breaker) = &self.breaker {
                    breaker.note_silence(!self.is_retired());
                    self.context.alarm(&self.peer).notify_waiters();
                }
            }
            Treatment::End => {
                debug!(peer = %self.peer, "a connection that has been silent for long ends");
                self.metrics.reconnects.add(1);
                self.give_up_polls();
                self.outbox.close();
            }
        }
    }

    /// Answers what is over its time.
    fn expire(&self) {
        let expired = self
            .pending
            .borrow_mut()
            .remove_expired(&self.context.clock);
        self.metrics.outstanding.add(-(expired.len() as i64));
        for completion in expired {
            completion.fail(UpstreamError::Timeout(self.peer.clone()));
        }
        if !self.retired.get() && self.pending.borrow().abandoned() > ABANDONED_MAX {
            self.retire();
        } else {
            self.close_if_done();
        }
    }

    fn end(&self, error: &UpstreamError) {
        // A connection that we have closed ourselves says nothing about its broker.
        if !self.outbox.is_closed() {
            self.context.note_lost();
        }
        self.outbox.close();
        let unanswered = self.pending.borrow_mut().remove_all();
        self.metrics.outstanding.add(-(unanswered.len() as i64));
        for completion in unanswered {
            completion.fail(error.clone());
        }
    }
}

impl Watched for Connection {
    /// Answers what is over its time, and looks after the connection's health.
    fn tick(&self) -> bool {
        if let Some(credit) = &self.credit
            && credit.replace(PACE) == 0
        {
            self.outbox.wake();
        }
        self.expire();
        // A lane looks after itself: what is said there may wait at a busy broker for half a minute.
        if self.push_target.is_none() && self.established.get() && !self.outbox.is_closed() {
            self.treat();
        }
        let is_busy = !self.outbox.is_closed() && self.health.is_waiting();
        let is_busy = is_busy || !self.pending.borrow().is_done();
        // Only a tick gives a paced connection credit: also for what is left to write before it ends.
        let is_busy = is_busy || (self.credit.is_some() && !self.outbox.is_empty());
        self.is_listed.set(is_busy);
        is_busy
    }

    fn release(&self) {
        let given_up = self.pending.borrow_mut().remove_given_up();
        self.metrics.outstanding.add(-(given_up.len() as i64));
        given_up.into_iter().for_each(Completion::give_up);
    }
}

impl FrameHandler for Connection {
    /// A lane is one client's; what many share goes first.
    fn waits_for_turns(&self) -> bool {
        self.push_target.is_some()
    }

    fn write_credit(&self) -> Option<&Cell<usize>> {
        self.credit.as_ref()
    }

    /// What one client may make a broker answer must not cost all others their connection.
    fn passes_over(&self) -> bool {
        true
    }

    fn on_long_frame(&self, head: &[u8], length: u64) -> Result<(), DecodeError> {
        let view = UpstreamView::decode_upstream(head)?;
        self.note_heard();
        if view.is_response()
            && let Some((sent, completion)) = self.take_pending(view.opaque())
        {
            debug!(peer = %self.peer, length, "an answer is longer than a frame may be");
            if sent.is_some() {
                completion.fail(UpstreamError::AnswerTooLong {
                    peer: self.peer.clone(),
                    length,
                });
            }
            if self.retired.get() {
                self.close_if_done();
            }
        }
        Ok(())
    }

    fn on_frame(&self, frame: Frame<'_>) -> Result<(), DecodeError> {
        let view = UpstreamView::decode_upstream(frame.bytes())?;
        self.note_heard();
        if !view.is_response() {
            let target = self.push_target.as_ref().and_then(Weak::upgrade);
            if let (Some(target), Some(this)) = (target, self.this.upgrade()) {
                target.on_push(&this, frame, &view);
            }
            return Ok(());
        }
        let Some((sent, completion)) = self.take_pending(view.opaque()) else {
            return Ok(());
        };
        if let Some(sent) = sent {
            // How long a poll takes says nothing of the broker.
            if !completion.is_long_poll() {
                let waited = self.context.buffers.now().saturating_duration_since(sent);
                self.metrics.answered.observe_duration(waited);
            }
        }
        if view.code() == ResponseCode::GO_AWAY.0 && completion.is_of_broker() {
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

/// The request as one that is answered.
fn wants_answer(request: Bytes) -> Result<Bytes, DecodeError> {
    if !CommandView::decode(&request)?.is_oneway() {
        return Ok(request);
    }
    let command = RemotingCommand::decode(&request)?;
    let flag = command.flag & !FLAG_ONEWAY;
    Ok(RemotingCommand { flag, ..command }.to_bytes())
}
