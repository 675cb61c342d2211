//! Sending messages.

use std::time::Duration;

use http::StatusCode;
use messaging::{MessageKind, MessagingError, Outgoing, RECOVERY, SendReceipt, Sender, now_millis};
use remoting_codec::ResponseCode;

use super::{Outcome, body, no_query, read, read_message, topic_of};
use crate::answer;
use crate::call::Call;
use crate::json::{
    Delivery, Draft, Format, Problem, QueueOf, Results, SendResult, Sent, TransactionToken,
    Warning, Word, content_type, read_batch, read_single,
};
use crate::render;

/// Sends one message.
pub(super) async fn send(call: &Call<'_>, topic: &str) -> Outcome {
    let topic = topic_of(call, topic)?;
    let (body, _held) = body(call).await?;
    let draft = read_message(call, body, read_single).await?;
    let mut results = store(call, &topic, vec![Ok(draft)]).await?;
    let nothing = || Err(Problem::new(Word::Internal, "the message has no result"));
    let sent = results.pop().unwrap_or_else(nothing)?;
    Ok(answer::json(StatusCode::CREATED, &sent, call.account()))
}

/// Sends several messages, each with a result of its own.
pub(super) async fn batch(call: &Call<'_>, topic: &str) -> Outcome {
    let topic = topic_of(call, topic)?;
    no_query(call)?;
    let format = Format::of(content_type(call.headers())?)?;
    let (body, _held) = body(call).await?;
    let drafts = read(body, move |body| read_batch(format, body)).await?;
    let results = store(call, &topic, drafts).await?;
    let results = Results {
        results: results.into_iter().map(SendResult::from).collect(),
    };
    super::results(call, &results).await
}

/// A message that was read, or why it is none.
type Read = Result<Draft, Problem>;

/// A message that was sent, or why not.
type Stored = Result<Sent, Problem>;

/// Sends messages of one topic; those that were not read keep their problems.
///
/// # Errors
/// If there is no such topic, or that cannot be found out.
async fn store(call: &Call<'_>, topic: &str, drafts: Vec<Read>) -> Result<Vec<Stored>, Problem> {
    let (caller, requests) = (call.caller(), call.requests());
    let route = caller.route(topic).await;
    let route = route.map_err(|error| render::read(error.into()))?;
    let topic_type = call.configs().topic_type(caller, topic).await;
    let settings = &call.connection.settings;
    let sender = Sender {
        topic,
        remote: Some(call.peer()),
        now: now_millis(),
        recovery: RECOVERY,
        limits: &settings.limits,
    };
    let mut messages = Vec::with_capacity(drafts.len());
    let mut results = Vec::with_capacity(drafts.len());
    for draft in drafts {
        let made = draft.and_then(|draft| {
            let message = outgoing(&draft, &sender);
            let message = message.and_then(|message| {
                topic_type.check(topic, message.kind)?;
                Ok(message)
            });
            message.map_err(render::read)
        });
        match made {
            Ok(message) => {
                messages.push(message);
                // Its result comes later.
                results.push(None);
            }
            Err(problem) => results.push(Some(Err(problem))),
        }
    }
    let sent = requests
        .send_all(
            topic,
            &route,
            &messages,
            None,
            |message, receipt, offset| sent(topic, message, receipt, offset),
        )
        .await;
    let stored = messages.iter().zip(&sent);
    let stored = stored.filter(|(_, sent)| sent.is_ok());
    let stored = stored.map(|(message, _)| (message.kind, message.body.len()));
    call.connection.server.metrics.stored(topic, stored);
    let mut sent = sent.into_iter();
    let unsent = || Err(Problem::new(Word::Internal, "the message has no result"));
    let mut next = || {
        let sent = sent.next();
        sent.map_or_else(unsent, |sent| sent.map_err(render::change))
    };
    Ok(results
        .into_iter()
        .map(|result| result.unwrap_or_else(&mut next))
        .collect())
}

/// What a broker takes for the message.
pub(super) fn outgoing(draft: &Draft, sender: &Sender<'_>) -> Result<Outgoing, MessagingError> {
    fn given(text: Option<&String>) -> &str {
        text.map_or("", String::as_str)
    }
    let millis = |time: Duration| i64::try_from(time.as_millis()).unwrap_or(i64::MAX);
    let keys = draft.keys.iter().map(String::as_str);
    let properties = draft.properties.iter();
    let properties = properties.map(|(name, value)| (name.as_str(), value.as_str()));
    let half = draft.transaction;
    let message = messaging::Draft {
        tag: given(draft.tag.as_ref()),
        message_group: given(draft.group.as_ref()),
        lite_topic: given(draft.lite.as_ref()),
        delivery_time: draft.delivery.map(|delivery| match delivery {
            Delivery::At(at) => at,
            Delivery::After(delay) => sender.now.saturating_add(millis(delay)),
        }),
        priority: draft.priority,
        is_transactional: half.is_some(),
        check_time: half.and_then(|half| half.check_after).map(millis),
        message_id: draft.message_id.as_deref(),
        ..messaging::Draft::new(&draft.body, keys, properties)
    };
    message.finish(sender)
}

fn sent(topic: &str, message: &Outgoing, receipt: &SendReceipt, offset: i64) -> Sent {
    let transaction = || {
        Some(TransactionToken {
            topic: topic.to_owned(),
            message_id: message.message_id.clone(),
            token: receipt.transaction_token()?,
        })
    };
    let is_half = message.kind == MessageKind::Transaction;
    let transaction = is_half.then(transaction).flatten();
    let handle = &receipt.recall_handle;
    // Of a batch, the receipt is that of all.
    let nth = usize::try_from(offset - receipt.queue_offset).unwrap_or_default();
    let place = receipt.offset_id.split(',').nth(nth).unwrap_or_default();
    Sent {
        message_id: message.message_id.clone(),
        offset_message_id: place.to_owned(),
        queue: QueueOf {
            broker: receipt.broker.to_string(),
            id: receipt.queue_id,
        },
        offset,
        recall_handle: (!handle.is_empty()).then(|| handle.clone()),
        transaction: transaction.map(|token| token.encode()),
        warning: warning(receipt.code),
    }
}

/// What a broker has not achieved yet, by the code of its answer.
fn warning(code: ResponseCode) -> Option<Warning> {
    match code.0 {
        10 => Some(Warning::NotOnDisk),
        11 => Some(Warning::NoSlave),
        12 => Some(Warning::NotAtSlave),
        _ => None,
    }
}
