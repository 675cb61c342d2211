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
//! frame where it lies, with its few head fields read and its ext fields read on demand, that can be
//! written out again with another opaque ([`CommandView::encode_head_with_opaque`]) and, in the form
//! that clients write, nothing else touched. [`RemotingCommand`] is the owned form, for what Remora says in its own name.
//!
//! What is in a frame has types of its own: [`headers`] for ext fields, [`body`] for bodies in JSON,
//! [`message`] for messages and for what is said of them in text.
//!
//! Rules that hold everywhere here:
//! - no input panics, and none makes anything allocate more than a few times its frame's length;
//! - a header is taken as a broker takes it, and goes on in one form only, the one that clients write: a header that some broker
//!   could not read, or would read otherwise, would cost every client that shares the connection to it;
//! - every frame is read by its own type byte, whatever the peer used before.

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
pub use opaque::{Opaque, UpstreamOpaque};
pub use request_code::RequestCode;
pub use response_code::ResponseCode;
pub use version::{Language, Version};
pub use view::{CommandView, UpstreamView};
