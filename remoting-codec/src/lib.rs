//! The RocketMQ remoting protocol as bytes and values: no I/O, no clock, no runtime.
//!
//! A connection carries frames, each a `RemotingCommand`, in both directions:
//!
//! ```text
//! +--------------+------------------------------+----------------+-----------+
//! | total: u32   | serialize type: u8           | header         | body      |
//! | bytes after  | header length: u24           | JSON, or the   | the rest  |
//! | this field   |                              | binary form    |           |
//! +--------------+------------------------------+----------------+-----------+
//! ```
//!
//! A proxy reads little of it and changes less. So the centre of this crate is [`CommandView`]: a
//! borrowed frame whose head fields are read at once and whose ext fields are read on demand. It
//! can be written again with another opaque ([`CommandView::encode_head_with_opaque`]); a canonical
//! header is otherwise unchanged. [`RemotingCommand`] is the owned form, for the requests and
//! answers that Remora makes itself.
//!
//! The parts of a frame have types of their own: [`headers`] for ext fields, [`body`] for bodies in
//! JSON, [`message`] for messages and for the texts that describe them (properties, receipts, ids).
//!
//! Rules of this crate:
//! - no input causes a panic, or an allocation of more than a few times its frame's length;
//! - a header is read as a broker reads it, and is forwarded in the canonical form only, the one
//!   that clients write. A broker that could not read a header would close the connection that many
//!   clients share;
//! - every frame is read by its own type byte: one connection may carry both serializations.

pub mod body;
mod command;
mod error;
mod ext_fields;
mod field_spec;
mod fields;
mod flag;
mod frame;
mod header;
pub mod headers;
mod java;
pub mod message;
mod opaque;
mod request_code;
mod response_code;
mod version;
mod view;

pub use command::RemotingCommand;
pub use error::{
    BodyError, DecodeError, FieldError, FrameError, MessageError, PropertyError, TextError,
};
pub use ext_fields::ExtFields;
pub use field_spec::{FieldKind, FieldSpec};
pub use fields::{Fields, MAX_FIELDS};
pub use flag::{FLAG_ONEWAY, FLAG_RESPONSE};
pub use frame::{
    DEFAULT_FRAME_LIMIT, DEFAULT_HEADER_LIMIT, FRAME_PREFIX, FrameLimits, MAX_HEADER_LIMIT,
    SerializeType, UPSTREAM_HEADER_LIMIT, frame_length, head_length,
};
pub use header::value::ExtValue;
pub use java::java_hash;
pub use opaque::{Opaque, UpstreamOpaque};
pub use request_code::RequestCode;
pub use response_code::ResponseCode;
pub use version::{Language, Version};
pub use view::{CommandView, UpstreamView};
