//! What brokers answer, as status of a call (`ResponseBuilder`, `SendMessageActivity`).

use remoting_codec::ResponseCode;

use crate::error::CallError;
use crate::proto::{Code, SendMessageResponse, SendResultEntry, Status};

/// The code of a broker's answer. There are more than the Java proxy has: those by which a client
/// knows what to do. All others are INTERNAL_SERVER_ERROR, after which clients try again.
fn code_of(broker: ResponseCode) -> Code {
    match broker.0 {
        0 => Code::Ok,
        // SYSTEM_BUSY, POLLING_FULL, FLOW_CONTROL.
        2 | 209 | 215 => Code::TooManyRequests,
        // REQUEST_CODE_NOT_SUPPORTED.
        3 => Code::NotImplemented,
        // FLUSH_DISK_TIMEOUT, SLAVE_NOT_AVAILABLE, FLUSH_SLAVE_TIMEOUT: the message is stored.
        10 => Code::MasterPersistenceTimeout,
        11 => Code::HaNotAvailable,
        12 => Code::SlavePersistenceTimeout,
        // MESSAGE_ILLEGAL, ILLEGAL_OPERATION: it will be no better the next time.
        13 | 604 => Code::BadRequest,
        // NO_PERMISSION.
        16 => Code::Forbidden,
        // TOPIC_NOT_EXIST.
        17 => Code::TopicNotFound,
        // PULL_NOT_FOUND, PULL_RETRY_IMMEDIATELY, POLLING_TIMEOUT.
        19 | 20 | 210 => Code::MessageNotFound,
        // QUERY_NOT_FOUND.
        22 => Code::OffsetNotFound,
        // SUBSCRIPTION_GROUP_NOT_EXIST.
        26 => Code::ConsumerGroupNotFound,
        // LITE_SUBSCRIPTION_QUOTA_EXCEEDED.
        2018 => Code::LiteSubscriptionQuotaExceeded,
        _ => Code::InternalServerError,
    }
}

/// The status of a broker's answer, with the broker's remark, or its code's name and number where
/// there is none.
#[must_use]
pub fn of_broker(broker: ResponseCode, remark: Option<&str>) -> Status {
    let code = code_of(broker);
    match remark.filter(|remark| !remark.is_empty()) {
        _ if code == Code::Ok => Status::of(code),
        Some(remark) => Status::new(code, remark),
        None => Status::new(
            code,
            format!("{}: the broker answered {broker}", code.name()),
        ),
    }
}

/// The status of a call whose parts ended so (`AckMessageActivity.setAckResponseStatus`): theirs if
/// they ended alike, else MULTIPLE_RESULTS.
#[must_use]
pub fn combined<'a>(parts: impl IntoIterator<Item = &'a Status>) -> Status {
    let mut parts = parts.into_iter();
    let Some(first) = parts.next() else {
        return Status::new(
            Code::BadRequest,
            "the call has no entries: send one at least",
        );
    };
    let mut others = false;
    for part in parts {
        if part.code != first.code {
            return Status::of(Code::MultipleResults);
        }
        others |= part.message != first.message;
    }
    match others {
        false => first.clone(),
        true => Status::of(first.code()),
    }
}

/// A message that a broker has answered.
#[derive(Clone, Copy, Debug)]
pub struct Sent<'a> {
    /// The broker's code.
    pub code: ResponseCode,
    /// The broker's explanation, mostly of an error.
    pub remark: Option<&'a str>,
    /// The message's id, which the client has made.
    pub message_id: &'a str,
    /// Its place in its queue; of a batch, that of the first message and its number.
    pub offset: i64,
    /// The token by which the client ends the transaction; only of a half message.
    pub transaction_id: Option<&'a str>,
    /// The handle by which RecallMessage finds the message; only of a delayed one.
    pub recall_handle: Option<&'a str>,
}

/// What became of a message. One that is stored has its ids, even where not as safely as it should
/// be; the Java proxy leaves them out then.
#[must_use]
pub fn send_entry(sent: &Sent<'_>) -> SendResultEntry {
    let status = of_broker(sent.code, sent.remark);
    if !matches!(sent.code.0, 0 | 10..=12) {
        return SendResultEntry {
            status: Some(status),
            ..SendResultEntry::default()
        };
    }
    let text = |text: Option<&str>| text.unwrap_or_default().to_owned();
    SendResultEntry {
        status: Some(status),
        message_id: sent.message_id.to_owned(),
        transaction_id: text(sent.transaction_id),
        offset: sent.offset,
        recall_handle: text(sent.recall_handle),
    }
}

/// The answer to SendMessage, with an entry for each message, in the order of the call.
#[must_use]
pub fn send_response<E: Into<CallError>>(
    entries: Vec<Result<SendResultEntry, E>>,
) -> SendMessageResponse {
    let entries: Vec<SendResultEntry> = entries
        .into_iter()
        .map(|entry| {
            entry.unwrap_or_else(|error| SendResultEntry {
                status: Some(error.into().into()),
                ..SendResultEntry::default()
            })
        })
        .collect();
    SendMessageResponse {
        status: Some(combined(
            entries.iter().filter_map(|entry| entry.status.as_ref()),
        )),
        entries,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn broker_codes_have_a_status() {
        for (broker, code) in [
            (0, Code::Ok),
            (1, Code::InternalServerError),
            (2, Code::TooManyRequests),
            (3, Code::NotImplemented),
            (12, Code::SlavePersistenceTimeout),
            (13, Code::BadRequest),
            (16, Code::Forbidden),
            (17, Code::TopicNotFound),
            (26, Code::ConsumerGroupNotFound),
            (209, Code::TooManyRequests),
            (210, Code::MessageNotFound),
            (-1, Code::InternalServerError),
        ] {
            let status = of_broker(ResponseCode(broker), None);
            assert_eq!(status.code(), code, "{broker}");
            assert!(status.message.starts_with(code.name()));
        }
        let status = of_broker(ResponseCode(26), Some("no group G"));
        assert_eq!(status.message, "no group G");
        assert_eq!(of_broker(ResponseCode(0), Some("x")).message, "OK");
    }

    #[test]
    fn parts_make_a_whole() {
        let ok = Status::of(Code::Ok);
        let busy = Status::new(Code::TooManyRequests, "busy");
        let busier = Status::new(Code::TooManyRequests, "busier");
        for (parts, code, message) in [
            (
                &[][..],
                Code::BadRequest,
                "the call has no entries: send one at least",
            ),
            (&[&ok, &ok], Code::Ok, "OK"),
            (&[&ok, &busy], Code::MultipleResults, "MULTIPLE_RESULTS"),
            (&[&busy], Code::TooManyRequests, "busy"),
            (
                &[&busy, &busier],
                Code::TooManyRequests,
                "TOO_MANY_REQUESTS",
            ),
        ] {
            assert_eq!(combined(parts.iter().copied()), Status::new(code, message));
        }
    }

    #[test]
    fn sent_messages_have_their_ids() {
        let sent = |code| Sent {
            code: ResponseCode(code),
            remark: None,
            message_id: "id",
            offset: 7,
            transaction_id: Some("token"),
            recall_handle: None,
        };
        let stored = send_entry(&sent(0));
        assert_eq!((stored.message_id.as_str(), stored.offset), ("id", 7));
        assert_eq!(
            (stored.transaction_id.as_str(), &*stored.recall_handle),
            ("token", "")
        );
        assert_eq!(send_entry(&sent(11)).message_id, "id");
        let failed = send_entry(&sent(1));
        assert_eq!((failed.message_id.as_str(), failed.offset), ("", 0));
        let error = CallError::new(Code::IllegalMessageId, "none");
        let response = send_response(vec![Ok(stored), Err(error)]);
        assert_eq!(response.status.unwrap().code(), Code::MultipleResults);
        assert_eq!(response.entries.len(), 2);
    }
}
