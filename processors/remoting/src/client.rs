//! The frames of a client, as they are read.

use remoting_codec::{CommandView, DecodeError};
use remoting_transport::{Frame, FrameHandler};

use crate::dispatch;
use crate::session::request::Incoming;
use crate::session::{Session, pushes};

impl FrameHandler for Session {
    fn on_frame(&self, frame: Frame<'_>) -> Result<(), DecodeError> {
        let view = CommandView::decode(frame.bytes())?;
        self.note_frame(&view);
        let Some(this) = self.this() else {
            return Ok(());
        };
        if view.is_response() {
            pushes::on_response(self, &frame, &view);
            return Ok(());
        }
        let incoming = Incoming {
            frame,
            view: &view,
            begun: self.now(),
        };
        match self.go_away(&view) {
            Some(answer) => self.answer(&incoming, answer),
            None => dispatch::dispatch(&this, &incoming),
        }
        Ok(())
    }

    fn is_ready(&self) -> bool {
        self.may_take_more()
    }

    /// Gives up the polls that the client left outstanding, so that its remaining frames can be
    /// read.
    fn peer_ended(&self) {
        self.give_up_polls();
        self.upstream.note_gone();
    }

    fn begin_turn(&self) {
        self.begin_work();
    }

    fn is_turn_over(&self) -> bool {
        self.has_worked_enough()
    }

    fn waits_for_turns(&self) -> bool {
        true
    }
}
