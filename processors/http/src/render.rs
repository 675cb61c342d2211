//! Errors as clients see them: the only place that chooses their words, and by them their statuses.
//! How a word is written is left to each face.

use http_server::BodyError;
use messaging::{ErrorKind, MessagingError, Part};
use remoting_codec::ResponseCode;

use crate::json::{Problem, Word};

/// After how many seconds a request may be sent again that was refused because something is busy or
/// unreachable: circuits to brokers close again after seconds.
const SOON: u32 = 1;

/// The word for each kind of error of the cluster.
fn word(kind: ErrorKind) -> Word {
    match kind {
        ErrorKind::AnswerTooLarge => Word::AnswerTooLarge,
        ErrorKind::Busy | ErrorKind::Throttled => Word::Busy,
        ErrorKind::Denied | ErrorKind::Forbidden => Word::Forbidden,
        ErrorKind::GivenUp => Word::Draining,
        ErrorKind::Illegal(part) => illegal(part).0,
        ErrorKind::Invalid => Word::Invalid,
        ErrorKind::Expired => Word::NotAwaited,
        ErrorKind::Late => Word::Late,
        ErrorKind::Lost => Word::Lost,
        ErrorKind::NoNameServer => Word::NoNameServer,
        ErrorKind::NoReply => Word::NoReply,
        ErrorKind::NoSuchTopic => Word::NoSuchTopic,
        ErrorKind::Refused(code) => of_broker(code),
        ErrorKind::TooLarge => Word::TooLarge,
        ErrorKind::Unavailable => Word::Unavailable,
    }
}

/// The word for a part of a request that is at fault, and how the part is named.
fn illegal(part: Part) -> (Word, &'static str) {
    match part {
        Part::BatchSize => (Word::Invalid, "max"),
        Part::BodySize => (Word::TooLarge, "body"),
        Part::CheckTime => (Word::Invalid, "check time"),
        Part::DeliveryTime => (Word::Invalid, "delivery time"),
        Part::EmptyBody => (Word::InvalidBody, "body"),
        Part::Filter => (Word::Invalid, "filter"),
        Part::Group => (Word::Invalid, "group"),
        Part::InvisibleTime => (Word::Invalid, "invisible time"),
        Part::Key => (Word::Invalid, "key"),
        Part::LiteTopic => (Word::Invalid, "lite"),
        Part::MessageGroup => (Word::Invalid, "message group"),
        Part::MessageId => (Word::Invalid, "message id"),
        Part::MessageKind => (Word::WrongType, "type"),
        Part::Namespace => (Word::Invalid, "namespace"),
        Part::Priority => (Word::Invalid, "priority"),
        Part::Properties | Part::Property => (Word::Invalid, "properties"),
        Part::ReceiptHandle => (Word::InvalidHandle, "handle"),
        Part::ReplyToken => (Word::InvalidToken, "reply token"),
        Part::RecallHandle => (Word::InvalidToken, "recall handle"),
        Part::Tag => (Word::Invalid, "tag"),
        Part::Topic => (Word::Invalid, "topic"),
        Part::TransactionToken => (Word::InvalidToken, "token"),
    }
}

/// The word for the code of a broker's answer.
fn of_broker(code: ResponseCode) -> Word {
    match code {
        ResponseCode::TOPIC_NOT_EXIST => Word::NoSuchTopic,
        ResponseCode::SUBSCRIPTION_GROUP_NOT_EXIST => Word::NoSuchGroup,
        ResponseCode::NO_PERMISSION => Word::Forbidden,
        ResponseCode::SYSTEM_BUSY => Word::BrokerBusy,
        ResponseCode::FLOW_CONTROL => Word::FlowControl,
        // The other is a filter's expression.
        ResponseCode::MESSAGE_ILLEGAL | ResponseCode::SUBSCRIPTION_PARSE_FAILED => Word::Invalid,
        _ => Word::Refused,
    }
}

/// Whether a request that has failed so may have been done all the same, if it changes anything.
fn may_be_done(kind: ErrorKind) -> bool {
    matches!(kind, ErrorKind::Late | ErrorKind::Lost)
}

/// The problem of a request that the cluster has not done, and that changes nothing.
pub(crate) fn read(error: MessagingError) -> Problem {
    let kind = error.kind();
    let word = word(kind);
    let text = error.text().to_string();
    let problem = match kind {
        ErrorKind::Refused(code) => {
            let detail = format!("the broker has refused the request (code {})", code.0);
            let problem = Problem::new(word, detail).with_remark(text);
            match code {
                ResponseCode::SUBSCRIPTION_PARSE_FAILED => problem.of("filter"),
                _ => problem,
            }
        }
        ErrorKind::Illegal(part) => Problem::new(word, text).of(illegal(part).1),
        _ => Problem::new(word, text),
    };
    match word {
        Word::Busy
        | Word::FlowControl
        | Word::BrokerBusy
        | Word::Draining
        | Word::NoNameServer
        | Word::Unavailable => problem.after(SOON),
        _ => problem,
    }
}

/// The same of one that changes something: it says if that may be done all the same.
pub(crate) fn change(error: MessagingError) -> Problem {
    let may_be_done = may_be_done(error.kind());
    let problem = read(error);
    match may_be_done {
        true => problem.with_unknown_outcome(),
        false => problem,
    }
}

/// The problem of a request whose body was not read.
pub(crate) fn of_body(error: &BodyError, limit: usize) -> Problem {
    match error {
        BodyError::TooLarge => {
            let detail = format!("the body is longer than {limit} bytes");
            Problem::new(Word::TooLarge, detail)
        }
        BodyError::OutOfMemory => {
            let detail = "the client makes the proxy hold more than its share of \
                          limits.memory_bytes: send less at a time";
            Problem::new(Word::Busy, detail).after(SOON)
        }
        BodyError::Slow(time) => {
            let time = time.as_millis();
            let detail =
                format!("the request did not arrive as a whole within {time} ms (limits.frame_ms)");
            Problem::new(Word::Slow, detail)
        }
        BodyError::Gone(error) => {
            let detail = format!("the body has ended early, or is malformed: {error}");
            Problem::new(Word::InvalidBody, detail)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_have_their_words() {
        let refused = |code| ErrorKind::Refused(code);
        for (kind, word, status, is_unknown, after) in [
            (ErrorKind::Busy, "too_many_requests", 429, false, Some(1)),
            (ErrorKind::NoSuchTopic, "topic_not_found", 404, false, None),
            (ErrorKind::Late, "broker_timeout", 504, true, None),
            (ErrorKind::Lost, "broker_lost", 502, true, None),
            (
                ErrorKind::Unavailable,
                "broker_unavailable",
                503,
                false,
                Some(1),
            ),
            (
                refused(ResponseCode::FLOW_CONTROL),
                "flow_control",
                429,
                false,
                Some(1),
            ),
            (
                refused(ResponseCode::NO_PERMISSION),
                "forbidden",
                403,
                false,
                None,
            ),
            (
                refused(ResponseCode(9_999)),
                "broker_refused",
                502,
                false,
                None,
            ),
        ] {
            let problem = change(MessagingError::new(kind, "so it is"));
            assert_eq!(problem.word.text(), word, "{kind:?}");
            assert_eq!(problem.word.status(), status, "{kind:?}");
            assert_eq!(problem.is_outcome_unknown, is_unknown, "{kind:?}");
            assert_eq!(problem.retry_after, after, "{kind:?}");
            let is_remark = matches!(kind, ErrorKind::Refused(_));
            assert_eq!(problem.remark.is_some(), is_remark, "{kind:?}");
        }
        let read = read(MessagingError::new(ErrorKind::Late, "late"));
        assert!(!read.is_outcome_unknown);
        let part = change(MessagingError::new(ErrorKind::Illegal(Part::Tag), "no"));
        assert_eq!(part.parameter.as_deref(), Some("tag"));
    }
}
