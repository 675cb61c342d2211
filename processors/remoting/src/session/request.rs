//! A request: borrowed from the read buffer, and kept for a task.

use std::borrow::Cow;

use bytes::Bytes;
use remoting_codec::{
    CommandView, DecodeError, ExtValue, FLAG_ONEWAY, FieldError, Fields, RemotingCommand,
};
use remoting_transport::Frame;
use tokio::time::Instant;

use crate::table::{Field, Row};

/// A request in the read buffer, with all that is needed to answer it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Incoming<'a> {
    pub(crate) frame: Frame<'a>,
    pub(crate) view: &'a CommandView<'a>,
    /// When the frame was read: the start of the request's time.
    pub(crate) begun: Instant,
}

/// A request with its row of the table and the fields that the row declares. They are read once.
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
    /// The first required field that has no value.
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

    /// The value of the field, if the code has the field and the request has a value for it.
    #[inline]
    pub(crate) fn value(&self, field: Field) -> Option<ExtValue<'a>> {
        self.fields.value(self.row.field(field))
    }

    /// The text of the field; empty if it has no value.
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

    /// An owned copy of the request. A task decodes it several times, so a header that is not
    /// canonical is kept in the form that it was rewritten to, which costs little to decode.
    pub(crate) fn keep(&self) -> Request {
        let view = self.view();
        let frame = match view.is_canonical() {
            true => self.incoming.frame.to_owned(),
            false => rewritten(view),
        };
        Request {
            frame,
            row: self.row,
            begun: self.incoming.begun,
        }
    }
}

/// The frame with its rewritten header.
#[cold]
fn rewritten(view: &CommandView<'_>) -> Bytes {
    let mut bytes = Vec::with_capacity(view.longest());
    view.encode_head_with_opaque(view.opaque(), &mut bytes);
    bytes.extend_from_slice(view.body());
    bytes.into()
}

/// A request that is kept for a task, with its row of the table. It outlives the read buffer.
#[derive(Clone, Debug)]
pub(crate) struct Request {
    frame: Bytes,
    pub(crate) row: &'static Row,
    /// When the frame was read: the start of the request's time.
    pub(crate) begun: Instant,
}

impl Request {
    /// The length of the frame in bytes.
    pub(crate) fn len(&self) -> usize {
        self.frame.len()
    }

    /// The frame, owned.
    pub(crate) fn bytes(&self) -> Bytes {
        self.frame.clone()
    }

    /// The frame, owned, as a request that wants an answer. Requests to several brokers on behalf
    /// of a client are awaited, whether or not the client's request is one-way.
    pub(crate) fn awaited(&self) -> Result<Bytes, DecodeError> {
        if !self.view()?.is_oneway() {
            return Ok(self.bytes());
        }
        let mut command = RemotingCommand::decode(&self.frame)?;
        command.flag &= !FLAG_ONEWAY;
        Ok(command.to_bytes())
    }

    /// The header. It was decoded before the request was kept, so it can be decoded again.
    pub(crate) fn view(&self) -> Result<CommandView<'_>, DecodeError> {
        CommandView::decode(&self.frame)
    }

    /// All that is needed to answer the request, with its header.
    pub(crate) fn incoming<'a>(&'a self, view: &'a CommandView<'a>) -> Incoming<'a> {
        Incoming {
            frame: Frame::of(&self.frame),
            view,
            begun: self.begun,
        }
    }

    /// The request with its fields, decoded again from its header: they were decoded before the
    /// request was kept.
    pub(crate) fn asked<'a>(&'a self, view: &'a CommandView<'a>) -> Result<Asked<'a>, FieldError> {
        Asked::read(self.row, self.incoming(view))
    }
}
