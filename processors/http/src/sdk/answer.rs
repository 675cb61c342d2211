//! The answers.

use super::digest::Digest;
use super::error::{Code, SdkError};
use super::message::Delivered;
use super::xml::Writer;

/// An answer, to which come the headers of all: see [`VERSION_HEADER`](super::VERSION_HEADER),
/// [`REQUEST_ID_HEADER`](super::REQUEST_ID_HEADER) and [`CONTENT_TYPE`](super::CONTENT_TYPE).
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Answer {
    /// HTTP's status.
    pub status: u16,
    /// The document; empty with status 204.
    pub body: String,
}

/// A message was published: its id, the digest of its text, and of a half message the handle.
#[must_use]
pub fn published(id: &str, digest: Digest, handle: Option<&str>) -> Answer {
    let mut writer = Writer::new("Message", 512);
    writer.element("MessageId", id);
    writer.element("MessageBodyMD5", &digest.to_hex());
    if let Some(handle) = handle {
        writer.element("ReceiptHandle", handle);
    }
    writer.close("Message");
    Answer {
        status: 201,
        body: writer.end(),
    }
}

/// Everything was acknowledged, or the transaction is ended.
#[must_use]
pub fn done() -> Answer {
    Answer {
        status: 204,
        body: String::new(),
    }
}

/// Messages for a consumer.
#[derive(Debug)]
pub struct Messages(Writer);

impl Messages {
    /// Without any yet; `capacity` is about the size of their bodies in bytes.
    #[must_use]
    pub fn new(capacity: usize) -> Self {
        Self(Writer::new("Messages", capacity))
    }

    /// Adds one. `digest` is that of its text.
    pub fn push(&mut self, message: &Delivered<'_>, digest: Digest) {
        message.write(digest, &mut self.0);
    }

    /// The answer. There must be a message in it: for none, there is an error.
    #[must_use]
    pub fn end(mut self) -> Answer {
        self.0.close("Messages");
        Answer {
            status: 200,
            body: self.0.end(),
        }
    }
}

/// The request has failed. `host` is the one that the client has asked for. The SDK for Python
/// wants all four elements.
#[must_use]
pub fn failed(error: &SdkError, request_id: &str, host: &str) -> Answer {
    let mut writer = Writer::new("Error", 512);
    writer.element("Code", error.code.as_str());
    writer.element("Message", &error.message);
    writer.element("RequestId", request_id);
    writer.element("HostId", &format!("http://{host}"));
    writer.close("Error");
    Answer {
        status: error.code.status(),
        body: writer.end(),
    }
}

/// Some of the handles are refused, with the reason for each; the others are acknowledged. There
/// must be one at least.
#[must_use]
pub fn refused<'a>(handles: impl IntoIterator<Item = (&'a str, &'a SdkError)>) -> Answer {
    let mut writer = Writer::new("Errors", 1024);
    for (handle, error) in handles {
        writer.open("Error");
        writer.element("ErrorCode", error.code.as_str());
        writer.element("ErrorMessage", &error.message);
        writer.element("ReceiptHandle", handle);
        writer.close("Error");
    }
    writer.close("Errors");
    Answer {
        status: Code::MessageNotExist.status(),
        body: writer.end(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DECLARATION: &str = "<?xml version=\"1.0\" encoding=\"utf-8\"?>\n";

    fn is(answer: &Answer, status: u16, body: &str) {
        assert_eq!(answer.status, status);
        assert_eq!(answer.body.strip_prefix(DECLARATION), Some(body));
    }

    #[test]
    fn publications_are_answered() {
        let digest = Digest::of(b"hello");
        is(
            &published("7F01", digest, None),
            201,
            "<Message xmlns=\"http://mq.aliyuncs.com/doc/v1\"><MessageId>7F01</MessageId>\
             <MessageBodyMD5>5D41402ABC4B2A76B9719D911017C592</MessageBodyMD5></Message>",
        );
        let half = published("7F01", digest, Some("R1tA"));
        assert!(
            half.body
                .ends_with("<ReceiptHandle>R1tA</ReceiptHandle></Message>")
        );
    }

    #[test]
    fn errors_are_answered() {
        is(
            &failed(&SdkError::nothing(), "5BEA", "mq.example.com:8080"),
            404,
            "<Error xmlns=\"http://mq.aliyuncs.com/doc/v1\"><Code>MessageNotExist</Code>\
             <Message>Message not exist.</Message><RequestId>5BEA</RequestId>\
             <HostId>http://mq.example.com:8080</HostId></Error>",
        );
        let error = SdkError::new(Code::InvalidArgument, "<x>\u{1}");
        let answer = failed(&error, "", "");
        assert_eq!(answer.status, 400);
        assert!(answer.body.contains("<Message>&lt;x&gt;\u{FFFD}</Message>"));
    }

    #[test]
    fn refused_handles_are_answered() {
        let error = SdkError::new(Code::ReceiptHandleError, "no");
        is(
            &refused([("h&1", &error)]),
            404,
            "<Errors xmlns=\"http://mq.aliyuncs.com/doc/v1\"><Error>\
             <ErrorCode>ReceiptHandleError</ErrorCode><ErrorMessage>no</ErrorMessage>\
             <ReceiptHandle>h&amp;1</ReceiptHandle></Error></Errors>",
        );
        assert_eq!((done().status, done().body.as_str()), (204, ""));
    }
}
