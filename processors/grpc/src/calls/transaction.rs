//! EndTransaction.

use messaging::token::TransactionToken;
use remoting_codec::message::TransactionType;

use crate::client::Call;
use crate::error::CallError;
use crate::proto::{EndTransactionRequest, EndTransactionResponse, TransactionResolution};

/// Commits a transaction or rolls it back, through whichever replica. Its token has all that is
/// needed.
pub(crate) async fn end_transaction(
    call: &Call<'_>,
    request: EndTransactionRequest,
) -> Result<EndTransactionResponse, CallError> {
    let topic = call.names.topic(request.topic.as_ref())?;
    let token = TransactionToken::decode(&request.transaction_id)?;
    let outcome = outcome(request.resolution);
    call.requests()
        .end_transaction(&topic, &token, &request.message_id, outcome)
        .await?;
    Ok(EndTransactionResponse {
        status: super::ok(),
    })
}

/// What becomes of the message, as `commitOrRollback` of END_TRANSACTION has it: `None` of the
/// types is an outcome that is not known.
fn outcome(resolution: i32) -> TransactionType {
    match TransactionResolution::try_from(resolution) {
        Ok(TransactionResolution::Commit) => TransactionType::Commit,
        Ok(TransactionResolution::Rollback) => TransactionType::Rollback,
        _ => TransactionType::None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn outcomes_are_the_brokers() {
        for (resolution, bits) in [(0, 0), (1, 8), (2, 12), (7, 0)] {
            assert_eq!(outcome(resolution).bits(), bits);
        }
    }
}
