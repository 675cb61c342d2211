//! Errors, which are an answer's element `Code`.

use std::borrow::Cow;

/// The protocol's error codes.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum Code {
    /// The user may not do this with this topic or group.
    AccessDenied,
    /// HTTP without TLS is not allowed.
    HttpForbidden,
    /// Something failed here or at the broker.
    InternalServerError,
    /// The access key is unknown.
    InvalidAccessKeyId,
    /// A value of the query or of the body is not allowed.
    InvalidArgument,
    /// The header `Authorization` has another form.
    InvalidAuthorizationHeader,
    /// The header `Date` has another form.
    InvalidDateHeader,
    /// The body does not have the digest of the header `Content-MD5`.
    InvalidDigest,
    /// The query has a parameter twice, or one that the operation does not have.
    InvalidQueryString,
    /// The path leads nowhere.
    InvalidRequestUrl,
    /// The body is no XML document, or not the one that the operation needs.
    MalformedXml,
    /// There is no message, or none any more: SDKs take it for *nothing to consume*.
    MessageNotExist,
    /// The header `Authorization` is missing.
    MissingAuthorizationHeader,
    /// The header `Date` is missing.
    MissingDateHeader,
    /// The body has no receipt handle, or an empty one.
    MissingReceiptHandle,
    /// There are more requests than allowed.
    QpsLimitExceeded,
    /// The receipt handle was not made here, or for another topic or group.
    ReceiptHandleError,
    /// The signature is another.
    SignatureDoesNotMatch,
    /// The time of the header `Date` is too far from now.
    TimeExpired,
    /// There is no such topic.
    TopicNotExist,
}

impl Code {
    /// Its text.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::AccessDenied => "AccessDenied",
            Self::HttpForbidden => "HTTPForbidden",
            Self::InternalServerError => "InternalServerError",
            Self::InvalidAccessKeyId => "InvalidAccessKeyId",
            Self::InvalidArgument => "InvalidArgument",
            Self::InvalidAuthorizationHeader => "InvalidAuthorizationHeader",
            Self::InvalidDateHeader => "InvalidDateHeader",
            Self::InvalidDigest => "InvalidDigest",
            Self::InvalidQueryString => "InvalidQueryString",
            Self::InvalidRequestUrl => "InvalidRequestURL",
            Self::MalformedXml => "MalformedXML",
            Self::MessageNotExist => "MessageNotExist",
            Self::MissingAuthorizationHeader => "MissingAuthorizationHeader",
            Self::MissingDateHeader => "MissingDateHeader",
            Self::MissingReceiptHandle => "MissingReceiptHandle",
            Self::QpsLimitExceeded => "QpsLimitExceeded",
            Self::ReceiptHandleError => "ReceiptHandleError",
            Self::SignatureDoesNotMatch => "SignatureDoesNotMatch",
            Self::TimeExpired => "TimeExpired",
            Self::TopicNotExist => "TopicNotExist",
        }
    }

    /// The status of an answer with this code. That of `TopicNotExist` and `HTTPForbidden` is in no
    /// document; these are the plain ones, and all SDKs take them.
    #[must_use]
    pub fn status(self) -> u16 {
        match self {
            Self::AccessDenied
            | Self::HttpForbidden
            | Self::InvalidAccessKeyId
            | Self::SignatureDoesNotMatch => 403,
            Self::MessageNotExist | Self::TopicNotExist => 404,
            Self::TimeExpired => 408,
            Self::InternalServerError => 500,
            _ => 400,
        }
    }
}

/// Why a request is refused, or has failed.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[error("{}: {message}", code.as_str())]
pub struct SdkError {
    /// The kind, on which clients act.
    pub code: Code,
    /// For the reader of the client's log.
    pub message: Cow<'static, str>,
}

impl SdkError {
    /// An error with this message.
    pub fn new(code: Code, message: impl Into<Cow<'static, str>>) -> Self {
        Self {
            code,
            message: message.into(),
        }
    }

    /// There is nothing to consume.
    #[must_use]
    pub fn nothing() -> Self {
        Self::new(Code::MessageNotExist, "Message not exist.")
    }
}

/// What a client has sent, for a message to it: the beginning.
pub(super) fn shown(text: &str) -> Cow<'_, str> {
    /// Most characters.
    const MOST: usize = 64;
    let short = match text.char_indices().nth(MOST) {
        Some((end, _)) => text.get(..end).unwrap_or_default(),
        None => text,
    };
    match short.contains(char::is_control) {
        true => Cow::Owned(short.escape_debug().collect()),
        false => Cow::Borrowed(short),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn statuses_are_those_of_the_document() {
        for (code, text, status) in [
            (Code::AccessDenied, "AccessDenied", 403),
            (Code::InvalidRequestUrl, "InvalidRequestURL", 400),
            (Code::MalformedXml, "MalformedXML", 400),
            (Code::MessageNotExist, "MessageNotExist", 404),
            (Code::ReceiptHandleError, "ReceiptHandleError", 400),
            (Code::TimeExpired, "TimeExpired", 408),
            (Code::QpsLimitExceeded, "QpsLimitExceeded", 400),
            (Code::InternalServerError, "InternalServerError", 500),
        ] {
            assert_eq!((code.as_str(), code.status()), (text, status));
        }
    }

    #[test]
    fn what_clients_send_is_shown_short_and_in_one_line() {
        assert_eq!(shown("a\nb"), "a\\nb");
        assert_eq!(shown(&"ä".repeat(100)), "ä".repeat(64));
    }
}
