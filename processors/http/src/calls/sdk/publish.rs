//! Publishing a message.

use messaging::{Draft, MessageKind, RECOVERY, Sender, now_millis};

use super::{errors, read_body, text};
use crate::call::Call;
use crate::sdk::answer::{Answer, published};
use crate::sdk::properties::Properties;
use crate::sdk::{Code, SdkError, handle};

/// Most bytes of a document. Of a message of 4 MiB, each fourth byte may be written in five.
const DOCUMENT_MAX: usize = 16 << 20;

/// Stores a message, which may be delayed, sharded, or a half message.
pub(super) async fn publish(call: &Call<'_>, topic: &str) -> Result<Answer, SdkError> {
    let (document, _held) = read_body(call, DOCUMENT_MAX).await?;
    let message = text::message_in(&document).await?;
    let properties = Properties::read(&message.properties)?;
    let body = message.stored(&document, &properties)?;
    let route = call.caller().route(topic).await;
    let route = route.map_err(|error| errors::of_cluster(error.into()))?;
    let topic_type = call.configs().topic_type(call.caller(), topic).await;
    let sender = Sender {
        topic,
        remote: Some(call.peer()),
        now: now_millis(),
        recovery: RECOVERY,
        limits: &call.connection.settings.limits,
    };
    let keys = properties.keys.as_deref().unwrap_or_default();
    let keys = keys.split(' ').filter(|key| !key.is_empty());
    let own = properties.own.iter();
    let own = own.map(|(name, value)| (&**name, &**value));
    let draft = Draft {
        tag: message.tag.as_deref().unwrap_or_default(),
        message_group: properties.sharding_key.as_deref().unwrap_or_default(),
        delivery_time: properties.deliver_at,
        is_transactional: properties.check_after.is_some(),
        check_time: properties
            .check_after
            .map(|seconds| i64::from(seconds) * 1000),
        ..Draft::new(&body, keys, own)
    };
    let outgoing = draft.finish(&sender).map_err(errors::of_cluster)?;
    let checked = topic_type.check(topic, outgoing.kind);
    checked.map_err(errors::of_cluster)?;
    let digest = text::digest_of(message.body.as_bytes()).await;
    let (id, kind, size) = (
        outgoing.message_id.clone(),
        outgoing.kind,
        outgoing.body.len(),
    );
    let sent = call
        .requests()
        .send_all(topic, &route, &[outgoing], None, |_, receipt, _| {
            receipt.transaction_token()
        })
        .await;
    let stored = sent.into_iter().next();
    let lost = || SdkError::new(Code::InternalServerError, "the message was not sent");
    let token = stored.ok_or_else(lost)?.map_err(errors::of_cluster)?;
    let metrics = &call.connection.server.metrics;
    metrics.stored(topic, std::iter::once((kind, size)));
    if kind != MessageKind::Transaction {
        return Ok(published(&id, digest, None));
    }
    let seconds = properties.check_after.unwrap_or_default();
    let valid_until = sender.now + i64::from(seconds) * 1000;
    let token = token.ok_or_else(|| {
        let text = "the broker has stored the half message and not answered where";
        SdkError::new(Code::InternalServerError, text)
    })?;
    let handle = handle::of_half(&format!("{token} {id}"), topic, valid_until);
    Ok(published(&id, digest, Some(&handle)))
}
