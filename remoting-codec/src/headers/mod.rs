//! The ext fields of requests and answers, as typed headers.
//!
//! A header is declared once, with the names of its fields on the wire; the declaration generates
//! both reader and writer. A field that is not an `Option` is required: a broker refuses the
//! request without it, or always sends it in the answer. The names and types are those of the
//! reference's header classes, which are named with each.
//!
//! Reading copies and allocates nothing; in an indexed header it costs one look-up per field. Text
//! is a [`Text`], whose escapes are resolved when it is used. An answer has these fields only if
//! its code is SUCCESS, or one that the header's documentation names: check the code first.
//!
//! ```
//! use remoting_codec::headers::{Header, UpdateConsumerOffsetRequest};
//! use remoting_codec::{CommandView, RemotingCommand, RequestCode};
//!
//! let header = UpdateConsumerOffsetRequest {
//!     broker: Some("broker-a".into()),
//!     group: "group".into(),
//!     topic: "topic".into(),
//!     queue_id: 3,
//!     commit_offset: 4711,
//! };
//! let command = RemotingCommand::request(RequestCode::UPDATE_CONSUMER_OFFSET);
//! let frame = command.with_header(&header).to_bytes();
//!
//! let view = CommandView::decode(&frame)?;
//! assert_eq!(UpdateConsumerOffsetRequest::read(view.ext_fields())?, header);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

#[doc(hidden)]
pub mod field;
mod group;
mod lite;
mod offset;
mod pop;
mod pull;
mod send;
mod topic;
mod transaction;

pub use group::{GetConsumerListByGroupRequest, UnregisterClientRequest};
pub use lite::{NotifyUnsubscribeLiteRequest, PopLiteMessageRequest, PopLiteMessageResponse};
pub use offset::{
    GetEarliestMsgStoretimeResponse, GetMaxOffsetRequest, OffsetResponse,
    QueryConsumerOffsetRequest, QueueRequest, SearchOffsetRequest, UpdateConsumerOffsetRequest,
};
pub use pop::{
    AckMessageRequest, ChangeInvisibleTimeRequest, ChangeInvisibleTimeResponse,
    NotificationRequest, NotificationResponse, PeekMessageRequest, PollingInfoRequest,
    PollingInfoResponse, PopMessageRequest, PopMessageResponse,
};
pub use pull::{PullMessageRequest, PullMessageResponse};
pub use send::{
    ConsumerSendMsgBackRequest, RecallMessageRequest, RecallMessageResponse, SendMessageRequest,
    SendMessageRequestV2, SendMessageResponse,
};
pub use topic::{
    CreateTopicRequest, GetRouteInfoRequest, QueryMessageRequest, QueryMessageResponse,
    ViewMessageRequest,
};
pub use transaction::{CheckTransactionStateRequest, EndTransactionRequest};

use crate::error::FieldError;
use crate::ext_fields::ExtFields;
use crate::field_spec::FieldSpec;
use crate::header::value::ExtValue;

/// The ext field with the name of the broker that a request is for; in the short form of sends it
/// is `n`.
pub const BROKER_NAME: &str = "bname";

/// The ext field with a request's signature (`SessionCredentials`).
pub const SIGNATURE: &str = "Signature";

/// Text of a header's field: borrowed from a frame, or from a `&str` to write.
pub type Text<'a> = ExtValue<'a>;

/// The ext fields of a request or an answer, typed.
pub trait Header<'a>: Sized {
    /// The fields, in the order of the declaration; for [`Fields::read`](crate::Fields::read) too.
    const FIELDS: &'static [FieldSpec];

    /// Reads the declared fields and ignores all others.
    ///
    /// # Errors
    /// Names the first field that is required and has no value, or that must be a number and is
    /// not.
    fn read(ext_fields: ExtFields<'a>) -> Result<Self, FieldError>;

    /// Calls `each` with the name and the text of every field that has a value, in the order of the
    /// declaration.
    fn visit(&self, each: &mut dyn FnMut(&'static str, &str));
}

/// Declares a header: a struct whose fields have their names on the wire beside them. Declare your
/// own to read fewer fields than a request has, or to accept values that a broker refuses: a field
/// of the type `Option<Text>` may have any text.
///
/// ```
/// use remoting_codec::headers::{Header, Text, header};
///
/// header! {
///     /// The destination of a send.
///     pub struct SentTo<'a> {
///         /// The topic.
///         topic: Option<Text<'a>> = "b",
///         /// The queue's number.
///         queue_id: Option<Text<'a>> = "e",
///     }
/// }
/// assert_eq!(SentTo::FIELDS.len(), 2);
/// ```
#[doc(hidden)]
#[macro_export]
macro_rules! declare_header {
    (@impl $life:lifetime, $header:ty, $($field:ident: $type:ty = $name:literal,)*) => {
        impl<$life> $crate::headers::Header<$life> for $header {
            const FIELDS: &'static [$crate::FieldSpec] =
                &[$($crate::headers::field::spec::<$type>($name)),*];

            #[inline]
            fn read(ext_fields: $crate::ExtFields<$life>) -> Result<Self, $crate::FieldError> {
                const { assert!(Self::FIELDS.len() <= $crate::MAX_FIELDS) };
                let [$($field),*] = $crate::headers::field::values(ext_fields, Self::FIELDS);
                Ok(Self {
                    $($field: $crate::headers::field::Field::read($name, $field)?,)*
                })
            }

            fn visit(&self, each: &mut dyn FnMut(&'static str, &str)) {
                $($crate::headers::field::Field::visit(&self.$field, $name, each);)*
            }
        }
    };
    (
        $(#[$doc:meta])*
        pub struct $header:ident<$life:lifetime> {
            $($(#[$field_doc:meta])* $field:ident: $type:ty = $name:literal,)*
        }
    ) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, Eq, PartialEq)]
        pub struct $header<$life> {
            $($(#[$field_doc])* pub $field: $type,)*
        }

        $crate::declare_header!(@impl $life, $header<$life>, $($field: $type = $name,)*);
    };
    (
        $(#[$doc:meta])*
        pub struct $header:ident {
            $($(#[$field_doc:meta])* $field:ident: $type:ty = $name:literal,)*
        }
    ) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, Eq, PartialEq)]
        pub struct $header {
            $($(#[$field_doc])* pub $field: $type,)*
        }

        $crate::declare_header!(@impl 'a, $header, $($field: $type = $name,)*);
    };
}

#[doc(inline)]
pub use declare_header as header;
