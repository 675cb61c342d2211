//! A request that outlives the buffer it was read into.

use bytes::Bytes;
use remoting_codec::{CommandView, DecodeError, FLAG_ONEWAY, RemotingCommand};
use remoting_transport::Frame;

use crate::table::Row;

/// A request kept for a task, with its row of the table.
#[derive(Clone, Debug)]
pub(crate) struct Request {
    frame: Bytes,
    pub(crate) row: &'static Row,
}

impl Request {
    pub(crate) fn new(frame: &Frame<'_>, row: &'static Row) -> Self {
        Self {
            frame: frame.to_owned(),
            row,
        }
    }

    /// The frame, to put into another connection.
    pub(crate) fn frame(&self) -> Frame<'_> {
        Frame::of(&self.frame)
    }

    /// Bytes of the frame.
    pub(crate) fn len(&self) -> usize {
        self.frame.len()
    }

    /// The frame, to keep.
    pub(crate) fn bytes(&self) -> Bytes {
        self.frame.clone()
    }

    /// The frame, to keep, as one that wants an answer: what several brokers are told on behalf of a client is awaited,
    /// whether or not the client wants to know.
    pub(crate) fn awaited(&self) -> Result<Bytes, DecodeError> {
        if !self.view()?.is_oneway() {
            return Ok(self.bytes());
        }
        let mut command = RemotingCommand::decode(&self.frame)?;
        command.flag &= !FLAG_ONEWAY;
        Ok(command.to_bytes())
    }

    /// The header. It was read before the request was kept, so it can be read again.
    pub(crate) fn view(&self) -> Result<CommandView<'_>, DecodeError> {
        CommandView::decode(&self.frame)
    }
}
