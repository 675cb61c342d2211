//! A request: where it lies as it is received, and kept for a task.

use std::borrow::Cow;

use bytes::Bytes;
use remoting_codec::{
    CommandView, DecodeError, ExtValue, FLAG_ONEWAY, FieldError, Fields, RemotingCommand,
};
use remoting_transport::Frame;
use tokio::time::Instant;

use crate::table::{Field, Row};

/// A request as it was received: what it takes to answer it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Incoming<'a> {
    pub(crate) frame: Frame<'a>,
    pub(crate) view: &'a CommandView<'a>,
    /// When it was read.
    pub(crate) begun: Instant,
}

/// A request with its row of the table and the fields that the row declares, which are read once.
#[derive(Debug)]
pub(crate) struct Asked<'a> {
    pub(crate) row: &'static Row,
    pub(crate) incoming: Incoming<'a>,
    fields: Fields<'a>,
}

impl<'a> Asked<'a> {
    /// Reads the fields.
    ///
    /// # Errors
    /// Names the first field that is required and has no value.
    #[inline]
    pub(crate) fn read(row: &'static Row, incoming: Incoming<'a>) -> Result<Self, FieldError> {
        Ok(Self {
            row,
            incoming,
            fields: Fields::read(incoming.view.ext_fields(), row.fields)?,
        })
    }

    pub(crate) fn view(&self) -> &'a CommandView<'a> {
        self.incoming.view
    }

    /// The value of that field, if the code has it and the request has a value for it.
    #[inline]
    pub(crate) fn value(&self, field: Field) -> Option<ExtValue<'a>> {
        self.fields.value(self.row.field(field))
    }

    /// The text of that field, empty if it has no value.
    pub(crate) fn text(&self, field: Field) -> Cow<'a, str> {
        let value = self.value(field).map(|value| value.text());
        value.unwrap_or_default()
    }

    /// The field as a 32 bit number, if it is one.
    #[inline]
    pub(crate) fn int(&self, field: Field) -> Option<i32> {
        self.value(field)?.int()
    }

    /// The field as a 64 bit number, if it is one.
    #[inline]
    pub(crate) fn long(&self, field: Field) -> Option<i64> {
        self.value(field)?.long()
    }

    /// The request, to keep.
    pub(crate) fn keep(&self) -> Request {
        Request {
            frame: self.incoming.frame.to_owned(),
            row: self.row,
            begun: self.incoming.begun,
        }
    }
}

/// A request kept for a task, with its row of the table: it outlives the buffer that it was read into.
#[derive(Clone, Debug)]
pub(crate) struct Request {
    frame: Bytes,
    pub(crate) row: &'static Row,
    /// When it was read.
    pub(crate) begun: Instant,
}

impl Request {
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

    /// What it takes to answer it, with its header.
    pub(crate) fn incoming<'a>(&'a self, view: &'a CommandView<'a>) -> Incoming<'a> {
        Incoming {
            frame: Frame::of(&self.frame),
            view,
            begun: self.begun,
        }
    }

    /// The request with its fields, read again from its header: they were read before the request was kept.
    pub(crate) fn asked<'a>(&'a self, view: &'a CommandView<'a>) -> Result<Asked<'a>, FieldError> {
        Asked::read(self.row, self.incoming(view))
    }
}
