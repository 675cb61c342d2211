//! Recalling a delayed message.

use http::StatusCode;
use messaging::ErrorKind;
use remoting_codec::ResponseCode;

use super::{Outcome, no_query};
use crate::answer;
use crate::call::Call;
use crate::json::{Problem, Recalled, Word, topic_of_recall};
use crate::render;

/// What a broker answers when the message is delivered already, or is not delayed
/// (`ResponseCode.ILLEGAL_OPERATION`).
pub(super) const ILLEGAL_OPERATION: ResponseCode = ResponseCode(604);

/// Recalls a delayed message. The handle names its topic, and the broker that keeps it.
pub(super) async fn recall(call: &Call<'_>, handle: &str) -> Outcome {
    no_query(call)?;
    let Some(topic) = topic_of_recall(handle) else {
        let detail = "not a recall handle: send the one that the answer to the send has";
        return Err(Problem::new(Word::InvalidToken, detail));
    };
    let recalled = call.requests().recall(&topic, handle).await;
    let message_id = recalled.map_err(|error| {
        let kind = error.kind();
        let problem = render::change(error);
        match kind {
            ErrorKind::Refused(ILLEGAL_OPERATION) => Problem {
                word: Word::NotRecallable,
                ..problem
            },
            _ => problem,
        }
    })?;
    let recalled = Recalled { message_id };
    Ok(answer::json(StatusCode::OK, &recalled, call.account()))
}
