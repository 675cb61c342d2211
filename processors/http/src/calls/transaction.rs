//! Ending transactions.

use http::StatusCode;
use messaging::{ErrorKind, token};
use remoting_codec::message::TransactionType;

use super::recall::ILLEGAL_OPERATION;
use super::{Outcome, no_query};
use crate::answer;
use crate::call::Call;
use crate::json::{Problem, TransactionToken, Word};
use crate::render;

/// Commits a transaction, through whichever replica: its token has all that is needed.
pub(super) async fn commit(call: &Call<'_>, token: &str) -> Outcome {
    end(call, token, TransactionType::Commit).await
}

/// Rolls a transaction back.
pub(super) async fn rollback(call: &Call<'_>, token: &str) -> Outcome {
    end(call, token, TransactionType::Rollback).await
}

async fn end(call: &Call<'_>, token: &str, outcome: TransactionType) -> Outcome {
    no_query(call)?;
    let TransactionToken {
        topic,
        message_id,
        token,
    } = TransactionToken::decode(token)?;
    let token = token::TransactionToken::decode(&token).map_err(render::change)?;
    let ended = call
        .requests()
        .end_transaction(&topic, &token, &message_id, outcome)
        .await;
    ended.map_err(|error| {
        let kind = error.kind();
        let problem = render::change(error);
        match kind {
            ErrorKind::Refused(ILLEGAL_OPERATION) => Problem {
                word: Word::TransactionEnded,
                ..problem
            },
            _ => problem,
        }
    })?;
    Ok(answer::empty(StatusCode::NO_CONTENT))
}
