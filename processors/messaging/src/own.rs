//! Requests of Remora's own to brokers, on behalf of a client.

use std::time::Duration;

use bytes::Bytes;
use remoting_codec::{RemotingCommand, UpstreamView};
use route_cache::{Connection, UpstreamConfig};

use crate::error::{ErrorKind, MessagingError};

/// Sends a request of Remora's own to a broker, signed with Remora's own key if it has one, and
/// waits for the answer, a whole frame.
///
/// # Errors
/// If there is no answer within `time`, or the answer is not a success.
pub(crate) async fn ask(
    connection: &Connection,
    config: &UpstreamConfig,
    request: RemotingCommand,
    time: Duration,
) -> Result<Bytes, MessagingError> {
    let request = config.signed(request).to_bytes();
    succeeded(connection.call(request, time).await?)
}

/// A broker's answer, if it is a success.
fn succeeded(answer: Bytes) -> Result<Bytes, MessagingError> {
    let view = UpstreamView::decode_answer(&answer)?;
    if !view.is_success() {
        let kind = ErrorKind::Refused(view.response_code());
        return Err(MessagingError::new(kind, view.remark()));
    }
    Ok(answer)
}

#[cfg(test)]
mod tests {
    use remoting_codec::{ResponseCode, SerializeType};

    use super::*;

    #[test]
    fn a_refusal_has_the_broker_s_code_and_words() {
        let answer = |code| {
            let answer = RemotingCommand::response(code, 1, SerializeType::Json);
            answer.with_remark("no such user").to_bytes()
        };
        assert!(succeeded(answer(ResponseCode::SUCCESS)).is_ok());
        let refused = succeeded(answer(ResponseCode::NO_PERMISSION)).unwrap_err();
        let kind = ErrorKind::Refused(ResponseCode::NO_PERMISSION);
        assert_eq!(refused, MessagingError::new(kind, "no such user"));
        let unreadable = succeeded(Bytes::from_static(b"x")).unwrap_err();
        assert_eq!(unreadable.kind(), ErrorKind::Invalid);
    }
}
