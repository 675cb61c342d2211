//! Failures of the transport: calls that end with another status of gRPC than OK.

use std::time::Duration;

use http::{HeaderMap, HeaderValue, Response};
use http_server::Reply;

use crate::codec::CodecError;

/// A status of the transport (`grpc-status`), which ends a call that has no answer.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum GrpcStatus {
    /// The client has cancelled the call, or is gone.
    Cancelled = 1,
    /// A message is not what the call takes.
    InvalidArgument = 3,
    /// The client's deadline has passed.
    DeadlineExceeded = 4,
    /// A limit is reached.
    ResourceExhausted = 8,
    /// There is no such call.
    Unimplemented = 12,
    /// What has arrived cannot be read.
    Internal = 13,
}

/// Why a call has no answer of its own.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Failure {
    pub(crate) status: GrpcStatus,
    pub(crate) message: String,
}

impl Failure {
    pub(crate) fn new(status: GrpcStatus, message: impl Into<String>) -> Self {
        let message = message.into();
        Self { status, message }
    }

    /// The client holds more memory than its share.
    pub(crate) fn out_of_memory() -> Self {
        Self::new(
            GrpcStatus::ResourceExhausted,
            "the client makes the proxy hold more than its share of limits.memory_bytes: send less \
             at a time",
        )
    }

    /// The stream or the connection has ended.
    pub(crate) fn gone(error: &hyper::Error) -> Self {
        Self::new(
            GrpcStatus::Cancelled,
            format!("the call has ended: {error}"),
        )
    }

    /// The request did not arrive in time.
    pub(crate) fn slow(time: Duration) -> Self {
        let time = time.as_millis();
        Self::new(
            GrpcStatus::DeadlineExceeded,
            format!("the request did not arrive as a whole within {time} ms (limits.frame_ms)"),
        )
    }

    /// The client's own deadline has passed.
    pub(crate) fn late() -> Self {
        Self::new(
            GrpcStatus::DeadlineExceeded,
            "the deadline of the call has passed",
        )
    }

    /// The answer: headers and nothing else.
    pub(crate) fn answer(&self) -> Response<Reply> {
        let mut answer = Response::new(Reply::empty());
        let headers = answer.headers_mut();
        headers.insert("content-type", HeaderValue::from_static("application/grpc"));
        self.write(headers);
        answer
    }

    /// The trailers with which an answer ends that has started.
    pub(crate) fn trailers(&self) -> HeaderMap {
        let mut trailers = HeaderMap::with_capacity(2);
        self.write(&mut trailers);
        trailers
    }

    /// Writes the status into headers or trailers.
    fn write(&self, headers: &mut HeaderMap) {
        headers.insert("grpc-status", HeaderValue::from(self.status as u16));
        if let Ok(message) = HeaderValue::from_str(&escaped(&self.message)) {
            headers.insert("grpc-message", message);
        }
    }
}

/// The text as the header `grpc-message` has it: all but printable ASCII, and `%`, in hexadecimal
/// digits behind a `%`.
fn escaped(text: &str) -> String {
    const MOST: usize = 1024;
    let mut escaped = String::with_capacity(text.len());
    for byte in text.bytes().take(MOST) {
        match byte {
            b' '..=b'~' if byte != b'%' => escaped.push(char::from(byte)),
            _ => escaped.push_str(&format!("%{byte:02X}")),
        }
    }
    escaped
}

impl From<CodecError> for Failure {
    fn from(error: CodecError) -> Self {
        let status = match error.grpc_status() {
            12 => GrpcStatus::Unimplemented,
            8 => GrpcStatus::ResourceExhausted,
            _ => GrpcStatus::Internal,
        };
        Self::new(status, error.to_string())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_is_written_in_printable_characters() {
        assert_eq!(escaped("50 % of é\n"), "50 %25 of %C3%A9%0A");
        let answer = Failure::late().answer();
        assert_eq!(answer.headers()["grpc-status"], "4");
        assert_eq!(
            answer.headers()["grpc-message"],
            "the deadline of the call has passed"
        );
    }
}
