//! How answers are written to the client, whether a broker or Remora made them.

use std::rc::Rc;

use bytes::Bytes;
use remoting_codec::{RemotingCommand, RequestCode, ResponseCode, UpstreamView};
use remoting_transport::Frame;
use route_cache::{Connection, Origin, Outcome, PushTarget, RelayTarget, UpstreamError};

use super::request::Incoming;
use super::{Session, pushes};
use crate::answers;
use crate::error::ProcessError;
use crate::metrics::{Limit, Tag};

impl Session {
    /// Answers a request with the frame that a broker has answered.
    pub(crate) fn pass_on(
        &self,
        incoming: &Incoming<'_>,
        answer: &Bytes,
    ) -> Result<(), ProcessError> {
        let view = incoming.view;
        if !view.is_oneway() {
            let answered = UpstreamView::decode_answer(answer)?;
            self.count_passed_on(view.request_code(), answered.code(), incoming.begun);
            self.outbox()
                .push_relayed(&Frame::of(answer), &answered, view.opaque());
        }
        Ok(())
    }
}

impl RelayTarget for Session {
    fn on_outcome(&self, origin: Origin, outcome: Outcome<'_>) {
        match outcome {
            Outcome::Answered { frame, view } => self.on_answer(origin, frame, view),
            Outcome::Failed(error) => self.on_failure(origin, error),
            Outcome::GivenUp => self.on_given_up(origin),
            Outcome::Late { .. } => {}
        }
    }

    fn gives_up(&self, origin: &Origin) -> bool {
        self.is_closed() || (self.gives_up_polls() && origin.code.is_long_poll())
    }

    fn wants_late(&self) -> bool {
        false
    }
}

impl Session {
    fn on_answer(&self, origin: Origin, frame: Frame<'_>, view: &UpstreamView<'_>) {
        self.end_of(&origin);
        let now = self.now();
        let time = now.saturating_duration_since(origin.ticket.begun);
        self.metrics.answered(origin.code, view.code(), true, time);
        self.slow_log.check(self, origin.code, view.code(), time);
        if view.body().is_empty() || self.has_room() {
            if view.is_success() {
                self.metrics.count(Tag(origin.ticket.tag), view.body());
            }
            self.outbox.push_relayed(&frame, view, origin.opaque);
        } else {
            let limit = match self.is_congested() {
                true => Limit::ClientBuffer,
                false => Limit::Memory,
            };
            self.metrics.limit(limit);
            // The outbox has no room for a body. The messages can be pulled again.
            let again = Some(view)
                .filter(|view| is_pull(origin.code) && view.is_success())
                .map(|view| answers::ask_again(view, origin.ticket.offset));
            let busy = || {
                let busy = ResponseCode::SYSTEM_BUSY;
                RemotingCommand::response(busy, origin.opaque, origin.serialize_type).with_remark(
                    "the client reads its answers too slowly: read them, then ask again",
                )
            };
            self.outbox.push(&RemotingCommand {
                opaque: origin.opaque,
                serialize_type: origin.serialize_type,
                ..again.unwrap_or_else(busy)
            });
        }
        // Even short answers add up, for a client that reads nothing at all.
        if self.outbox.len()
            > self.settings.client_buffer_limit + self.upstream.config().frame_limit
        {
            self.close();
        }
        self.leave_behind_answer();
    }

    fn on_given_up(&self, origin: Origin) {
        self.end_of(&origin);
        if !self.is_closed() {
            self.answer_empty(&origin);
        }
    }

    fn on_failure(&self, origin: Origin, error: UpstreamError) {
        self.end_of(&origin);
        let error = ProcessError::from(error);
        tracing::debug!(peer = %self.peer, code = %origin.code, %error, "request not answered");
        let code = error.response_code();
        self.count_own(origin.code, code.0, origin.ticket.begun);
        let response = RemotingCommand::response(code, origin.opaque, origin.serialize_type);
        self.outbox.push(&response.with_remark(error.to_string()));
    }
}

impl PushTarget for Session {
    fn on_push(&self, from: &Rc<Connection>, frame: Frame<'_>, view: &UpstreamView<'_>) {
        if !self.is_closed() && !self.is_congested() {
            pushes::on_push(self, from, &frame, view);
        }
    }
}

fn is_pull(code: RequestCode) -> bool {
    matches!(
        code,
        RequestCode::PULL_MESSAGE | RequestCode::LITE_PULL_MESSAGE
    )
}
