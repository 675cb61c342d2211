//! Errors of the cluster as this protocol has them: the only place that chooses their codes.

use messaging::{ErrorKind, MessagingError, Part};
use remoting_codec::ResponseCode;

use crate::json::{Problem, Word};
use crate::sdk::{Code, SdkError};

/// The error of a request that the cluster has not done.
pub(super) fn of_cluster(error: MessagingError) -> SdkError {
    let text = error.text();
    match error.kind() {
        ErrorKind::GivenUp => SdkError::nothing(),
        ErrorKind::Refused(code) => {
            let message = format!(
                "the broker has refused the request (code {}): {text}",
                code.0
            );
            SdkError::new(of_broker(code), message)
        }
        kind => SdkError::new(code_of(kind), text.to_string()),
    }
}

fn code_of(kind: ErrorKind) -> Code {
    match kind {
        ErrorKind::Busy | ErrorKind::Throttled => Code::QpsLimitExceeded,
        ErrorKind::Denied | ErrorKind::Forbidden => Code::AccessDenied,
        ErrorKind::GivenUp | ErrorKind::Expired => Code::MessageNotExist,
        ErrorKind::Illegal(Part::ReceiptHandle | Part::TransactionToken) => {
            Code::ReceiptHandleError
        }
        ErrorKind::Illegal(_) | ErrorKind::Invalid | ErrorKind::TooLarge => Code::InvalidArgument,
        ErrorKind::NoSuchTopic => Code::TopicNotExist,
        ErrorKind::Refused(code) => of_broker(code),
        ErrorKind::AnswerTooLarge
        | ErrorKind::Late
        | ErrorKind::Lost
        | ErrorKind::NoNameServer
        | ErrorKind::NoReply
        | ErrorKind::Unavailable => Code::InternalServerError,
    }
}

/// The code for that of a broker's answer.
fn of_broker(code: ResponseCode) -> Code {
    /// The broker has rolled the transaction back, or the commit is late (`ILLEGAL_OPERATION`).
    const ENDED: ResponseCode = ResponseCode(604);
    match code {
        ResponseCode::TOPIC_NOT_EXIST => Code::TopicNotExist,
        ResponseCode::NO_PERMISSION => Code::AccessDenied,
        ResponseCode::SYSTEM_BUSY | ResponseCode::FLOW_CONTROL => Code::QpsLimitExceeded,
        ResponseCode::MESSAGE_ILLEGAL | ResponseCode::SUBSCRIPTION_GROUP_NOT_EXIST => {
            Code::InvalidArgument
        }
        ENDED => Code::MessageNotExist,
        _ => Code::InternalServerError,
    }
}

/// The error of a request whose body was not read.
pub(super) fn of_body(problem: Problem) -> SdkError {
    let code = match problem.word {
        Word::Busy => Code::QpsLimitExceeded,
        Word::InvalidBody => Code::MalformedXml,
        Word::Slow => Code::InternalServerError,
        _ => Code::InvalidArgument,
    };
    SdkError::new(code, problem.detail)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_have_their_codes() {
        for (kind, code) in [
            (ErrorKind::NoSuchTopic, Code::TopicNotExist),
            (ErrorKind::GivenUp, Code::MessageNotExist),
            (ErrorKind::Busy, Code::QpsLimitExceeded),
            (ErrorKind::Illegal(Part::Topic), Code::InvalidArgument),
            (
                ErrorKind::Illegal(Part::TransactionToken),
                Code::ReceiptHandleError,
            ),
            (ErrorKind::Late, Code::InternalServerError),
            (ErrorKind::Refused(ResponseCode(604)), Code::MessageNotExist),
            (
                ErrorKind::Refused(ResponseCode::NO_PERMISSION),
                Code::AccessDenied,
            ),
            (
                ErrorKind::Refused(ResponseCode(9_999)),
                Code::InternalServerError,
            ),
        ] {
            let error = of_cluster(MessagingError::new(kind, "so it is"));
            assert_eq!(error.code, code, "{kind:?}");
        }
    }
}
