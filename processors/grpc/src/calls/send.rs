//! SendMessage and RecallMessage.

use messaging::{MessageKind, Outgoing, RECOVERY, SendReceipt, Sender};

use crate::client::{Call, now_millis};
use crate::convert::{Sent, outgoing, send_entry, send_response};
use crate::error::CallError;
use crate::proto::{
    Code, RecallMessageRequest, RecallMessageResponse, SendMessageRequest, SendMessageResponse,
    SendResultEntry,
};

/// Most messages of a call.
const MESSAGES_MAX: usize = 1024;

/// Sends messages of one topic. Several that may share a request are sent as a batch.
pub(crate) async fn send(
    call: &Call<'_>,
    request: SendMessageRequest,
) -> Result<SendMessageResponse, CallError> {
    let messages = request.messages;
    let Some(first) = messages.first() else {
        let text = "the call has no message: send one at least";
        return Err(CallError::new(Code::BadRequest, text));
    };
    if messages.len() > MESSAGES_MAX {
        let text = format!("the call has more than {MESSAGES_MAX} messages: send fewer at a time");
        return Err(CallError::new(Code::BadRequest, text));
    }
    let topic = call.names.topic(first.topic.as_ref())?;
    // Most clients name it in each message alike.
    let others = messages.iter().filter(|other| other.topic != first.topic);
    for message in others {
        if call.names.topic(message.topic.as_ref())? != topic {
            let text = "the messages of a call must have the same topic: make a call for each";
            return Err(CallError::new(Code::BadRequest, text));
        }
    }
    let route = call.caller().route(&topic).await?;
    let topic_type = call.configs().topic_type(call.caller(), &topic).await;
    let sender = Sender {
        topic: &topic,
        remote: Some(call.connection.peer()),
        now: now_millis(),
        recovery: RECOVERY,
        limits: &call.connection.settings.limits,
    };
    let mut checked = Vec::with_capacity(messages.len());
    for message in &messages {
        let outgoing = outgoing(message, &sender)?;
        topic_type.check(&topic, outgoing.kind)?;
        checked.push(outgoing);
    }
    let mut kinds = checked.iter().map(|message| message.kind);
    if kinds.any(|kind| kind == MessageKind::Transaction) {
        // Brokers must know the producer before they ask it.
        call.connection.introduce(call.client_id, &topic).await;
    }
    let requests = call.requests();
    let entries = requests
        .send_all(&topic, &route, &checked, call.deadline, entry)
        .await;
    let stored = checked.iter().zip(&entries);
    let stored = stored.filter(|(_, entry)| entry.is_ok());
    let counted = stored.map(|(message, _)| (message.kind, message.body.len()));
    call.connection.server.metrics.stored(&topic, counted);
    Ok(send_response(entries))
}

/// What became of a message that a broker has stored.
fn entry(message: &Outgoing, receipt: &SendReceipt, offset: i64) -> SendResultEntry {
    let token = match message.kind {
        MessageKind::Transaction => receipt.transaction_token(),
        _ => None,
    };
    let handle = Some(&*receipt.recall_handle).filter(|handle| !handle.is_empty());
    send_entry(&Sent {
        code: receipt.code,
        remark: Some(&receipt.remark),
        message_id: &message.message_id,
        offset,
        transaction_id: token.as_deref(),
        recall_handle: handle,
    })
}

/// Recalls a delayed message.
pub(crate) async fn recall(
    call: &Call<'_>,
    request: RecallMessageRequest,
) -> Result<RecallMessageResponse, CallError> {
    let topic = call.names.topic(request.topic.as_ref())?;
    let handle = request.recall_handle;
    let message_id = call.requests().recall(&topic, &handle).await?;
    Ok(RecallMessageResponse {
        status: super::ok(),
        message_id,
    })
}
