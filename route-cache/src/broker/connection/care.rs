//! The work for a connection with each tick: deadlines, health, pace.

use std::time::Duration;

use remoting_codec::CommandView;
use remoting_transport::Frame;
use tracing::debug;

use super::{Connection, pace};
use crate::broker::context::Watched;
use crate::broker::health::Treatment;
use crate::broker::pending::Completion;
use crate::broker::probe::probe;
use crate::error::UpstreamError;

/// The number of unanswered requests after which a connection takes no more, because their slots
/// are reserved for late answers. Requests in progress on it end as usual.
const ABANDONED_MAX: usize = 10_000;

impl Connection {
    fn treat(&self) {
        // A long answer may take long to arrive: each part of it shows that the connection is
        // alive.
        let received = self.outbox.bytes_received();
        if self.received.replace(received) != received
            && self.outbox.has_partial()
            && self.health.heard()
            && let Some(breaker) = &self.breaker
        {
            breaker.succeeded();
        }
        // A probe waits behind a long request. Progress of writing shows that the peer's host
        // reads.
        let written = self.outbox.bytes_written();
        if self.written.replace(written) != written && !self.outbox.is_empty() {
            self.health.postpone(&self.context.clock);
        }
        match self.health.check(&self.context.clock) {
            Treatment::Leave => {}
            Treatment::Probe => {
                let frame = probe(&self.context.config);
                let deadline = self.context.clock.after(Duration::ZERO);
                // Any answer to the probe shows that the connection is alive; its contents do not
                // matter.
                if let Ok(opaque) = self.insert(deadline, Completion::Probe)
                    && let Ok(view) = CommandView::decode(&frame)
                {
                    self.outbox.push_relayed(&Frame::of(&frame), &view, opaque);
                }
            }
            Treatment::Replace => {
                debug!(peer = %self.peer, "connection silent: a probe was not answered");
                if let Some(breaker) = &self.breaker {
                    breaker.note_silence(!self.is_retired());
                    self.context.alarm(&self.peer).notify_waiters();
                }
            }
            Treatment::End => {
                debug!(peer = %self.peer, "silent connection closed");
                self.metrics.reconnects.add(1);
                self.give_up_polls();
                self.outbox.close();
            }
        }
    }

    /// Fails requests whose deadline has passed.
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
}

impl Watched for Connection {
    /// Fails requests whose deadline has passed, and checks the connection's health.
    fn tick(&self) -> bool {
        if let Some(credit) = &self.credit
            && credit.replace(pace(self.context.config.workers)) == 0
        {
            self.outbox.wake();
        }
        self.expire();
        // A lane checks its health itself, because a heartbeat may wait at a busy broker for half a
        // minute.
        if self.push_target.is_none() && self.established.get() && !self.outbox.is_closed() {
            self.treat();
        }
        let is_busy = !self.outbox.is_closed() && self.health.is_waiting();
        let is_busy = is_busy || !self.pending.borrow().is_done();
        // Only a tick gives a paced connection credit, which it also needs for the bytes left to
        // write before it ends.
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
