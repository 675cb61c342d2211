//! The plain JSON API below `/v1`, as values: no I/O, no clock, no runtime.
//!
//! [`openapi.json`](DOCUMENT) is the contract. What a client sends is read strictly: an unknown
//! parameter or field is refused, so that a misspelt one is noticed. Each refusal is a [`Problem`].
//!
//! - [`Operation`]: from paths to operations. [`Query`]: the parameters behind the path.
//! - [`Draft`]: a message to be sent. It is read from a raw request ([`read_single`]), from one
//!   entry of a batch ([`read_batch`]), or from a CloudEvent in any of its three modes.
//! - [`Pull`], [`Check`], [`read_settlement`]: the other requests.
//! - [`Delivered`]: a message on its way to a consumer, as JSON or raw.
//! - [`Handle`], [`TransactionToken`]: all that a later call needs, in a text that
//!   only this API reads. Any replica reads it; none keeps anything.
//! - [`Stamp`], [`Span`]: times and durations.
//! - `event`: server-sent events.

mod answer;
mod batch;
mod binary;
mod body;
mod cloud_event;
mod delivered;
mod document;
mod draft;
mod event;
mod handle;
mod headers;
mod media;
mod operation;
mod problem;
mod pull;
mod query;
mod read;
mod settlement;
mod single;
mod time;
mod token;

pub use answer::{Described, QueueOf, Recalled, Results, SendResult, Sent, TopicBroker, Warning};
pub use batch::{BATCH_MAX, Format, read_batch};
pub use body::{Inflate, Packed, packed};
pub use delivered::{Delivered, Name, reply_headers};
pub use document::DOCUMENT;
pub use draft::{CONTENT_TYPE, Delivery, Draft, Transaction};
pub use event::{COMMENT, RETRY, ended, message_event, opening};
pub use handle::{Handle, HandleError};
pub use headers::content_type;
pub use media::MediaType;
pub use operation::Operation;
pub use problem::{Problem, Word};
pub use pull::{Check, Events, Filter, Pull};
pub use query::Query;
pub use settlement::{Action, SETTLED_MAX, Settled, Settlement, read_settlement};
pub use single::{RequestOptions, read_reply, read_request, read_single};
pub use time::{Span, Stamp};
pub use token::{TransactionToken, topic_of_recall};
