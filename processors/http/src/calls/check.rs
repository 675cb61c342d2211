//! Polling for transactions to decide.

use http::StatusCode;
use messaging::{ErrorKind, LONG, MessagingError, TransactionCheck};

use super::rendered::INFLATED_MAX;
use super::{Outcome, inflate, topic_of};
use crate::answer;
use crate::call::Call;
use crate::json::{Check, Delivered, Name, TransactionToken};
use crate::render;

/// Waits until brokers ask what becomes of transactions of the topic.
pub(super) async fn check(call: &Call<'_>, topic: &str) -> Outcome {
    let name = topic_of(call, topic)?;
    let (body, held) = call.body(LONG).await?;
    let asked = Check::read(call.head.uri.query(), &body)?;
    drop((body, held));
    let route = call.caller().route(&name).await;
    route.map_err(|error| render::read(error.into()))?;
    let max = usize::try_from(asked.max).unwrap_or(1);
    let pollers = &call.connection.server.pollers;
    let checks = pollers.poll_checks(call.requests(), &name, max, asked.wait);
    let checks = match checks.await {
        Ok(checks) => checks,
        Err(error) if error.kind() == ErrorKind::GivenUp => Vec::new(),
        Err(error) => return Err(render::read(error)),
    };
    let document = rendered((topic, &name), &checks).await;
    let document = document.map_err(render::read)?;
    Ok(answer::document(call, StatusCode::OK, document).await)
}

async fn rendered(
    (topic, name): (&str, &str),
    checks: &[TransactionCheck],
) -> Result<Vec<u8>, MessagingError> {
    let mut document = br#"{"transactions":["#.to_vec();
    let (mut left, start) = (INFLATED_MAX, document.len());
    for check in checks {
        // The broker asks again about one that cannot be read.
        let Ok(message) = check.message() else {
            continue;
        };
        let token = TransactionToken {
            topic: name.to_owned(),
            message_id: messaging::stored::message_id(&message),
            token: check.token().to_owned(),
        };
        let body = inflate(message.body, message.sys_flag, left).await;
        left = left.saturating_sub(body.bytes.len());
        let name = Name::Transaction(token.encode());
        let delivered = Delivered::new(name, topic.into(), &message, body, check.broker());
        if document.len() > start {
            document.push(b',');
        }
        serde_json::to_writer(&mut document, &delivered)
            .map_err(|error| MessagingError::new(ErrorKind::Invalid, error.to_string()))?;
    }
    document.extend_from_slice(b"]}");
    Ok(document)
}
