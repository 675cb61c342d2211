//! Sending requests and responses over a connection.

use std::rc::Rc;
use std::time::Duration;

use bytes::Bytes;
use remoting_codec::{CommandView, DecodeError, FLAG_ONEWAY, RemotingCommand, UpstreamOpaque};
use remoting_transport::{Account, Frame};
use tokio::sync::oneshot;

use super::Connection;
use crate::broker::pending::Completion;
use crate::broker::target::{Origin, RelayTarget, Ticket};
use crate::clock::Deadline;
use crate::error::UpstreamError;

/// A request up to this length of a client that has nothing waiting here is accepted, even if many
/// bytes of other clients wait.
const SMALL: usize = 16 * 1024;

impl Connection {
    /// Relays a request of the client with that account. `target` gets the answer with `ticket`, or
    /// the error.
    ///
    /// # Errors
    /// When the request cannot be accepted; then `target` is not called.
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

    /// Relays a one-way request.
    ///
    /// # Errors
    /// When the request cannot be accepted.
    pub fn relay_oneway(
        &self,
        frame: &Frame<'_>,
        view: &CommandView<'_>,
        from: &Rc<Account>,
    ) -> Result<(), UpstreamError> {
        self.admit(view.longest(), from.forwarded())?;
        // Brokers do not answer: the opaque must only differ from those of pending requests.
        self.outbox
            .push_forwarded(frame, view, UpstreamOpaque(0), from);
        // If there are no other requests, only a probe shows whether one-way requests arrive.
        self.watch();
        Ok(())
    }

    /// Sends a one-way request that is not charged to a client.
    ///
    /// # Errors
    /// When the request cannot be accepted.
    pub(crate) fn send_oneway(&self, request: &Bytes) -> Result<(), UpstreamError> {
        let view = CommandView::decode(request).map_err(|_| UpstreamError::TooLong)?;
        self.admit(view.longest(), 0)?;
        self.outbox
            .push_relayed(&Frame::of(request), &view, UpstreamOpaque(0));
        self.watch();
        Ok(())
    }

    /// Sends a client's response to a push of the broker.
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

    /// Sends a request and waits for the answer, a whole frame. The request's opaque is replaced; a
    /// one-way request is sent as one that is answered.
    ///
    /// # Errors
    /// When there is no answer within `time`.
    pub async fn call(&self, request: Bytes, time: Duration) -> Result<Bytes, UpstreamError> {
        let unreadable = |_: DecodeError| UpstreamError::TooLong;
        let view = CommandView::decode(&request).map_err(unreadable)?;
        let answer = match view.is_oneway() {
            false => self.begin_call(&request, &view, time)?,
            true => {
                let request = wants_answer(&request).map_err(unreadable)?;
                let view = CommandView::decode(&request).map_err(unreadable)?;
                self.begin_call(&request, &view, time)?
            }
        };
        drop(view);
        let closed = || UpstreamError::Closed(self.peer.clone());
        answer.await.unwrap_or_else(|_| Err(closed()))
    }

    /// Sends a request of [`Self::call`]; returns where its answer arrives.
    fn begin_call(
        &self,
        request: &Bytes,
        view: &CommandView<'_>,
        time: Duration,
    ) -> Result<oneshot::Receiver<Result<Bytes, UpstreamError>>, UpstreamError> {
        self.admit(request.len(), 0)?;
        let (caller, answer) = oneshot::channel();
        let deadline = self.context.clock.after(time);
        let opaque = self.insert(deadline, Completion::Call(caller))?;
        self.outbox.push_relayed(&Frame::of(request), view, opaque);
        Ok(answer)
    }

    /// Checks whether a request of that length may be written. `waiting` is the number of the
    /// client's bytes that wait in other outboxes.
    fn admit(&self, length: usize, waiting: usize) -> Result<(), UpstreamError> {
        // The opaque has ten digits at most, and the client's had at least one.
        if length + 10 > self.context.config.frame_limit {
            return Err(UpstreamError::TooLong);
        }
        let limit = self.context.config.write_buffer_limit;
        let len = self.outbox.len();
        // For a client that has nothing waiting, other clients' bytes count only from twice the
        // limit on.
        if len > limit && (waiting > 0 || length > SMALL || len > limit.saturating_mul(2)) {
            self.metrics.refused.add(1);
            return Err(UpstreamError::Busy(self.peer.clone()));
        }
        Ok(())
    }

    pub(super) fn insert(
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

    /// Something was sent: the context checks the connection with each tick.
    fn watch(&self) {
        self.health.asked(&self.context.clock);
        if !self.is_listed.replace(true) {
            self.context.watch(self.this.clone());
        }
    }
}

/// A one-way request without the flag that makes it one.
fn wants_answer(request: &Bytes) -> Result<Bytes, DecodeError> {
    let command = RemotingCommand::decode(request)?;
    let flag = command.flag & !FLAG_ONEWAY;
    Ok(RemotingCommand { flag, ..command }.to_bytes())
}
