//! Errors of the cluster as a client sees them.

use messaging::{ErrorKind, MessagingError, Part};
use route_cache::RouteError;

use crate::convert::of_broker;
use crate::error::CallError;
use crate::proto::Code;

/// The code of each kind of error of the cluster, by which clients know what to do: they send again
/// after INTERNAL_SERVER_ERROR, later after TOO_MANY_REQUESTS, and not after the others.
fn render(kind: ErrorKind) -> Code {
    match kind {
        ErrorKind::Busy | ErrorKind::Throttled => Code::TooManyRequests,
        ErrorKind::Denied | ErrorKind::Forbidden => Code::Forbidden,
        ErrorKind::GivenUp => Code::MessageNotFound,
        ErrorKind::Illegal(part) => illegal(part),
        ErrorKind::Expired | ErrorKind::Invalid => Code::BadRequest,
        ErrorKind::Late | ErrorKind::NoReply => Code::ProxyTimeout,
        ErrorKind::NoSuchTopic => Code::TopicNotFound,
        ErrorKind::TooLarge => Code::PayloadTooLarge,
        ErrorKind::AnswerTooLarge
        | ErrorKind::Lost
        | ErrorKind::NoNameServer
        | ErrorKind::Refused(_)
        | ErrorKind::Unavailable => Code::InternalServerError,
    }
}

/// The code of each part of a call; BAD_REQUEST for those that have none.
fn illegal(part: Part) -> Code {
    match part {
        Part::BodySize => Code::MessageBodyTooLarge,
        Part::DeliveryTime => Code::IllegalDeliveryTime,
        Part::EmptyBody => Code::MessageBodyEmpty,
        Part::Filter => Code::IllegalFilterExpression,
        Part::Group => Code::IllegalConsumerGroup,
        Part::InvisibleTime => Code::IllegalInvisibleTime,
        Part::Key => Code::IllegalMessageKey,
        Part::LiteTopic => Code::IllegalLiteTopic,
        Part::MessageGroup => Code::IllegalMessageGroup,
        Part::MessageId => Code::IllegalMessageId,
        Part::MessageKind => Code::MessagePropertyConflictWithType,
        Part::Properties => Code::MessagePropertiesTooLarge,
        Part::Property => Code::IllegalMessagePropertyKey,
        Part::ReceiptHandle => Code::InvalidReceiptHandle,
        Part::Tag => Code::IllegalMessageTag,
        Part::Topic => Code::IllegalTopic,
        Part::TransactionToken => Code::InvalidTransactionId,
        Part::BatchSize
        | Part::CheckTime
        | Part::Namespace
        | Part::Priority
        | Part::RecallHandle
        | Part::ReplyToken => Code::BadRequest,
    }
}

impl From<MessagingError> for CallError {
    fn from(error: MessagingError) -> Self {
        match error.kind() {
            ErrorKind::Refused(code) => {
                let status = of_broker(code, Some(error.text()));
                Self::new(status.code(), status.message)
            }
            kind => Self::new(render(kind), &**error.text()),
        }
    }
}

impl From<RouteError> for CallError {
    fn from(error: RouteError) -> Self {
        MessagingError::from(error).into()
    }
}
