//! Half messages: those that brokers ask about, and how they end.

use messaging::token::TransactionToken;
use messaging::{now_millis, stored};
use remoting_codec::message::TransactionType;
use tokio::task::yield_now;

use super::consume::INFLATED_MAX;
use super::{errors, read_body, text};
use crate::call::Call;
use crate::calls::inflate;
use crate::sdk::answer::{Answer, Messages, done};
use crate::sdk::document::{self, LONGEST_OF_HANDLES};
use crate::sdk::message::{Delivered, text_of};
use crate::sdk::target::{Consume, Outcome};
use crate::sdk::{SdkError, handle};

/// Hands out half messages of the topic that brokers ask about. One that its client does not get,
/// they ask about again.
pub(super) async fn consume(
    call: &Call<'_>,
    topic: &str,
    asked: &Consume<'_>,
) -> Result<Answer, SdkError> {
    // Of a topic that does not exist, no broker will ever ask.
    let route = call.caller().route(topic).await;
    route.map_err(|error| errors::of_cluster(error.into()))?;
    let pollers = &call.connection.server.pollers;
    let checks = pollers.poll_checks(call.requests(), topic, asked.most as usize, asked.wait);
    let checks = checks.await.map_err(errors::of_cluster)?;
    let mut document = Messages::new(0);
    let (mut count, mut left) = (0_usize, INFLATED_MAX);
    let now = now_millis();
    for check in &checks {
        let Ok(message) = check.message() else {
            continue;
        };
        let next = now + i64::try_from(check.valid().as_millis()).unwrap_or_default();
        let token = format!("{} {}", check.token(), stored::message_id(&message));
        let handle = handle::of_half(&token, topic, next);
        let body = inflate(message.body, message.sys_flag, left).await;
        left = left.saturating_sub(body.bytes.len());
        yield_now().await;
        let text = text_of(&body.bytes, body.encoding);
        let digest = text::digest_of(text.0.as_bytes()).await;
        let delivered = Delivered::half(&message, text, now, next, handle);
        document.push(&delivered, digest);
        count += 1;
    }
    match count {
        0 => Err(SdkError::nothing()),
        _ => Ok(document.end()),
    }
}

/// Commits the half message of the body's handle, or rolls it back.
pub(super) async fn end(
    call: &Call<'_>,
    topic: &str,
    outcome: Outcome,
) -> Result<Answer, SdkError> {
    let (document, _held) = read_body(call, LONGEST_OF_HANDLES).await?;
    let handle = document::handle(&document)?;
    let content = handle::half(&handle, topic, now_millis())?;
    let (token, id) = content.split_once(' ').unwrap_or((&content, ""));
    let token = TransactionToken::decode(token).map_err(errors::of_cluster)?;
    let outcome = match outcome {
        Outcome::Commit => TransactionType::Commit,
        Outcome::Rollback => TransactionType::Rollback,
    };
    let ended = call
        .requests()
        .end_transaction(topic, &token, id, outcome)
        .await;
    ended.map_err(errors::of_cluster)?;
    Ok(done())
}
