//! Ending transactions.

use std::rc::Rc;

use remoting_codec::RequestCode;
use remoting_codec::headers::EndTransactionRequest;
use remoting_codec::message::TransactionType;
use route_cache::Class;

use super::{Requests, Wire};
use crate::error::MessagingError;
use crate::policy::Patience;
use crate::token::TransactionToken;

impl Requests {
    /// Commits a half message of that topic or rolls it back: the message of the token and of that
    /// unique id. It is never repeated: a second commit would store the message again. A broker
    /// does not answer an outcome that is not known, because it asks again by itself, so nothing is
    /// sent then.
    ///
    /// # Errors
    /// If the broker refuses, or has not answered in time: the transaction may have ended then.
    pub async fn end_transaction(
        self: &Rc<Self>,
        topic: &str,
        token: &TransactionToken,
        message_id: &str,
        outcome: TransactionType,
    ) -> Result<(), MessagingError> {
        if outcome == TransactionType::None {
            return Ok(());
        }
        let broker = self.caller.upstream().broker(&token.broker).await?;
        let code = RequestCode::END_TRANSACTION;
        self.admit(code, topic, Some(topic), 0)?;
        let header = EndTransactionRequest {
            broker: Some((&**broker.name()).into()),
            topic: Some(topic.into()),
            producer_group: topic.into(),
            tran_state_table_offset: token.queue_offset,
            commit_log_offset: token.commit_log_offset,
            commit_or_rollback: outcome.bits(),
            from_transaction_check: Some(token.from_check),
            msg_id: Some(message_id.into()),
            transaction_id: Some((&*token.transaction_id).into()),
        };
        let request = Wire::new(code, &header);
        let connection = broker.connection(Class::Request, true)?;
        let time = self.caller.policy().time(Patience::General);
        let answer = self.ask(&connection, request, time, None).await?;
        answer.succeeded().map(drop)
    }
}
