//! What is sent over a connection.

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

/// A request up to this length is taken for a client that has nothing waiting here, though much of others' waits.
const SMALL: usize = 16 * 1024;

impl Connection {
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

    /// Something was asked or sent: has the connection looked after with each tick.
    fn watch(&self) {
        self.health.asked(&self.context.clock);
        if !self.is_listed.replace(true) {
            self.context.watch(self.this.clone());
        }
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
