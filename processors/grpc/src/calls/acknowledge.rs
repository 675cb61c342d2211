//! AckMessage, ChangeInvisibleDuration and ForwardMessageToDeadLetterQueue: what becomes of a
//! message that was received.

use futures_util::stream::{self, StreamExt as _};
use messaging::{Consumer, ErrorKind, MessagingError, Part, Popper, receipt_of};

use crate::check;
use crate::client::Call;
use crate::convert::combined;
use crate::error::CallError;
use crate::proto::{
    AckMessageEntry, AckMessageRequest, AckMessageResponse, AckMessageResultEntry,
    ChangeInvisibleDurationRequest, ChangeInvisibleDurationResponse, Code,
    ForwardMessageToDeadLetterQueueRequest, ForwardMessageToDeadLetterQueueResponse, Status,
};

/// Most entries of a call, and how many of lite topics are acknowledged at the same time.
const ENTRIES_MAX: usize = 1024;
const AT_A_TIME: usize = 32;

/// The error of a change of a message that is acknowledged already.
const GONE: ErrorKind = ErrorKind::Illegal(Part::ReceiptHandle);

/// Acknowledges messages; each has a status of its own.
pub(crate) async fn acknowledge(
    call: &Call<'_>,
    request: AckMessageRequest,
) -> Result<AckMessageResponse, CallError> {
    let topic = call.names.topic(request.topic.as_ref())?;
    let group = call.names.group(request.group.as_ref())?;
    if request.entries.len() > ENTRIES_MAX {
        let text = format!("the call has more than {ENTRIES_MAX} entries: send fewer at a time");
        return Err(CallError::new(Code::BadRequest, text));
    }
    let is_lite = |entry: &AckMessageEntry| {
        let lite_topic = entry.lite_topic.as_deref();
        lite_topic.is_some_and(|topic| !topic.is_empty())
    };
    let entries = match request.entries.iter().any(is_lite) {
        true => {
            let entries = request.entries.into_iter();
            let acknowledged = entries.map(|entry| acknowledge_lite(call, &group, &topic, entry));
            stream::iter(acknowledged)
                .buffered(AT_A_TIME)
                .collect::<Vec<_>>()
                .await
        }
        false => acknowledge_all(call, &group, &topic, request.entries).await,
    };
    let status = combined(entries.iter().filter_map(|entry| entry.status.as_ref()));
    Ok(AckMessageResponse {
        status: Some(status),
        entries,
    })
}

/// Acknowledges messages of queues.
async fn acknowledge_all(
    call: &Call<'_>,
    group: &str,
    topic: &str,
    entries: Vec<AckMessageEntry>,
) -> Vec<AckMessageResultEntry> {
    let popper = Popper {
        group,
        topic,
        lite_topic: None,
    };
    let read = entries
        .iter()
        .map(|entry| receipt_of(call.clocks(), &entry.receipt_handle));
    let read: Vec<_> = read.collect();
    let receipts: Vec<_> = read
        .iter()
        .filter_map(|read| read.as_ref().ok().copied())
        .collect();
    let done = call.requests().acknowledge_all(&receipts, popper).await;
    let mut done = done.into_iter();
    let results = read.into_iter().map(|read| match read {
        Ok(_) => done.next().unwrap_or(Ok(())),
        Err(error) => Err(error),
    });
    let results: Vec<_> = results.collect();
    let entries = entries.into_iter().zip(results);
    entries
        .map(|(entry, result)| answered(call, entry, result))
        .collect()
}

/// Acknowledges a message of a lite topic, or of a queue.
async fn acknowledge_lite(
    call: &Call<'_>,
    group: &str,
    topic: &str,
    entry: AckMessageEntry,
) -> AckMessageResultEntry {
    let popper = Popper {
        group,
        topic,
        lite_topic: lite_topic(call, group, topic, entry.lite_topic.as_deref()).await,
    };
    let acknowledged = match receipt_of(call.clocks(), &entry.receipt_handle) {
        Ok(receipt) => call.requests().acknowledge(&receipt, popper).await,
        Err(error) => Err(error),
    };
    answered(call, entry, acknowledged)
}

fn answered(
    call: &Call<'_>,
    entry: AckMessageEntry,
    acknowledged: Result<(), MessagingError>,
) -> AckMessageResultEntry {
    let status = match acknowledged {
        Ok(()) => Status::of(Code::Ok),
        Err(error) => CallError::from(error).into(),
    };
    if status.code == i32::from(Code::Ok) {
        call.connection
            .forget(call.client_id, &entry.receipt_handle);
    }
    AckMessageResultEntry {
        message_id: entry.message_id,
        receipt_handle: entry.receipt_handle,
        status: Some(status),
    }
}

/// The lite topic that a message was popped of. Clients name that of the message, whatever their
/// group consumes; if that is the queues of the topic, brokers refuse what names a lite topic.
async fn lite_topic<'a>(
    call: &Call<'_>,
    group: &str,
    topic: &str,
    named: Option<&'a str>,
) -> Option<&'a str> {
    let named = named.filter(|named| !named.is_empty())?;
    let (topic, group) = (topic.to_owned(), group.to_owned());
    let consumer = Consumer::find(call.caller(), call.configs(), topic, group).await;
    let is_lite = consumer.map_or(true, |consumer| consumer.is_lite());
    is_lite.then_some(named)
}

/// Sets again for how long a message is invisible; the answer has its new handle.
pub(crate) async fn change_invisible(
    call: &Call<'_>,
    request: ChangeInvisibleDurationRequest,
) -> Result<ChangeInvisibleDurationResponse, CallError> {
    let topic = call.names.topic(request.topic.as_ref())?;
    let group = call.names.group(request.group.as_ref())?;
    let limits = &call.connection.settings.limits;
    let invisible = check::changed_invisible_time(request.invisible_duration, limits)?;
    let receipt = receipt_of(call.clocks(), &request.receipt_handle)?;
    let popper = Popper {
        group: &group,
        topic: &topic,
        lite_topic: lite_topic(call, &group, &topic, request.lite_topic.as_deref()).await,
    };
    let suspend = request.suspend.unwrap_or_default();
    let changed = call
        .requests()
        .change_invisible(&receipt, popper, invisible, suspend)
        .await;
    if changed
        .as_ref()
        .map_or_else(|error| error.kind() == GONE, |_| true)
    {
        call.connection
            .forget(call.client_id, &request.receipt_handle);
    }
    Ok(ChangeInvisibleDurationResponse {
        status: super::ok(),
        receipt_handle: changed?,
    })
}

/// Makes a dead letter of a message, and acknowledges it.
pub(crate) async fn forward_to_dead_letters(
    call: &Call<'_>,
    request: ForwardMessageToDeadLetterQueueRequest,
) -> Result<ForwardMessageToDeadLetterQueueResponse, CallError> {
    let topic = call.names.topic(request.topic.as_ref())?;
    let group = call.names.group(request.group.as_ref())?;
    let receipt = receipt_of(call.clocks(), &request.receipt_handle)?;
    let popper = Popper {
        group: &group,
        topic: &topic,
        lite_topic: lite_topic(call, &group, &topic, request.lite_topic.as_deref()).await,
    };
    call.requests()
        .dead_letter(&receipt, popper, &request.message_id)
        .await?;
    call.connection
        .forget(call.client_id, &request.receipt_handle);
    Ok(ForwardMessageToDeadLetterQueueResponse {
        status: super::ok(),
    })
}
