//! Frames that arrive over a connection: answers and pushes.

use std::cell::Cell;
use std::rc::Weak;

use remoting_codec::{DecodeError, ResponseCode, UpstreamOpaque, UpstreamView};
use remoting_transport::{Frame, FrameHandler};
use tokio::time::Instant;
use tracing::debug;

use super::Connection;
use crate::broker::pending::Completion;
use crate::error::UpstreamError;

impl Connection {
    #[inline]
    fn note_heard(&self) {
        if self.health.heard()
            && let Some(breaker) = &self.breaker
        {
            breaker.succeeded();
        }
    }

    /// Removes the completion of an answer's request and the time when the request was sent; `None`
    /// if the request was given up.
    #[inline]
    fn take_pending(&self, opaque: UpstreamOpaque) -> Option<(Option<Instant>, Completion)> {
        let removed = self.pending.borrow_mut().remove(opaque);
        if let Some((Some(_), _)) = removed {
            self.metrics.outstanding.add(-1);
        }
        removed
    }
}

impl FrameHandler for Connection {
    /// A lane belongs to one client; connections that many share are served first.
    fn waits_for_turns(&self) -> bool {
        self.push_target.is_some()
    }

    fn write_credit(&self) -> Option<&Cell<usize>> {
        self.credit.as_ref()
    }

    /// One client's request for a long answer must not cost all others the connection.
    fn skips_long_frames(&self) -> bool {
        true
    }

    fn on_long_frame(&self, head: &[u8], length: u64) -> Result<(), DecodeError> {
        let view = UpstreamView::decode_upstream(head)?;
        self.note_heard();
        if view.is_response()
            && let Some((sent, completion)) = self.take_pending(view.opaque())
        {
            debug!(peer = %self.peer, length, "answer over limits.frame_bytes skipped");
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
            // The duration of a poll is not that of the broker's work.
            if !completion.is_long_poll() {
                let waited = self.context.buffers.now().saturating_duration_since(sent);
                self.metrics.answered.observe_duration(waited);
            }
        }
        if view.response_code() == ResponseCode::GO_AWAY && completion.is_of_broker() {
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
