//! Consuming messages.

use std::rc::Rc;
use std::time::Duration;

use messaging::check::Filter;
use messaging::{Batch, Consumer, MessagingError, Placed, PopAnswer, Popped, Receive, Rounds};
use remoting_codec::message::{Receipt, StoredMessage};
use tokio::task::yield_now;
use tokio::time::Instant;

use super::{Served, errors, text};
use crate::call::Call;
use crate::calls::inflate;
use crate::calls::rendered::Written;
use crate::sdk::answer::Messages;
use crate::sdk::message::{Delivered, text_of};
use crate::sdk::target::{Consume, Kind};
use crate::sdk::{Code, SdkError, handle};

/// How long messages are hidden from others, and until then may be acknowledged.
const INVISIBLE: Duration = Duration::from_secs(300);
/// The same of messages that are consumed in order: the next ones wait for them.
const INVISIBLE_ORDERLY: Duration = Duration::from_secs(60);

/// Most bytes of the bodies of an answer that are decompressed. Brokers take no longer ones than 4
/// MiB unless they are configured otherwise (`maxMessageSize`). What is beyond stays compressed.
pub(super) const INFLATED_MAX: usize = 8 << 20;

/// Hands out messages of any broker of the topic, as soon as there are some.
pub(super) async fn consume(
    call: &Call<'_>,
    topic: String,
    group: String,
    asked: &Consume<'_>,
) -> Result<Served, SdkError> {
    let until = Instant::now() + asked.wait;
    let filter = Filter::new(false, asked.tag.as_deref().unwrap_or_default());
    let filter = filter.map_err(errors::of_cluster)?;
    let (caller, configs) = (call.caller(), call.configs());
    let consumer = Consumer::find(caller, configs, topic, group).await;
    let consumer = consumer.map_err(errors::of_cluster)?;
    let consumer = match asked.kind {
        Kind::Orderly => consumer.in_order(),
        Kind::Unordered | Kind::Half => consumer,
    };
    let (topic, group) = (consumer.topic(), consumer.group());
    if consumer.is_lite() {
        let text = "the group consumes lite topics, which this protocol does not have";
        return Err(SdkError::new(Code::InvalidArgument, text));
    }
    let mixed = &call.connection.server.metrics.mixed;
    let checked = configs.check_members(caller, group, topic, mixed).await;
    checked.map_err(errors::of_cluster)?;
    let pollers = &call.connection.server.pollers;
    let _member = pollers.consume(caller.address().key(), group, topic);
    let receive = Receive {
        client_id: "",
        batch: asked.most as i32,
        invisible: match consumer.is_orderly() {
            true => INVISIBLE_ORDERLY,
            false => INVISIBLE,
        },
        wait: asked.wait,
        filter,
        attempt_id: None,
        deadline: Some(until),
    };
    let requests = call.requests();
    let rounds = Rounds::begin(requests, topic, until).await;
    let mut rounds = rounds.map_err(errors::of_cluster)?;
    loop {
        let popped = rounds.next(requests, &consumer, &receive).await;
        let popped = popped.map_err(errors::of_cluster)?;
        let popped = popped.ok_or_else(SdkError::nothing)?;
        if let Some(served) = answer(call, &consumer, &filter, popped).await? {
            return Ok(served);
        }
    }
}

/// The answer with the messages that pass the filter; `None` if none does. When it is dropped half
/// way, all are given back.
async fn answer(
    call: &Call<'_>,
    consumer: &Consumer,
    filter: &Filter<'_>,
    popped: Popped,
) -> Result<Option<Served>, SdkError> {
    let lost = |error: MessagingError| errors::of_cluster(error);
    let view = popped.view().map_err(lost)?;
    let header = PopAnswer::read(&view, false);
    let header = header.map_err(|error| lost(error.into()))?;
    call.configs()
        .clocks()
        .note(popped.broker(), header.pop_time());
    let mut wanted: Vec<(StoredMessage<'_>, String, Option<i32>)> = Vec::new();
    let unwanted = popped.sort(&view, &header, consumer, filter, |message, of, _| {
        wanted.push((*message, of.handle, of.reconsume_times));
    });
    let mut document = Messages::new(view.body().len());
    let mut receipts = Vec::with_capacity(wanted.len());
    let mut left = INFLATED_MAX;
    for (message, receipt, times) in wanted {
        let Ok(parsed) = Receipt::parse(&receipt) else {
            continue;
        };
        let handle = handle::of_message(&parsed, consumer.topic(), consumer.group());
        let body = inflate(message.body, message.sys_flag, left).await;
        left = left.saturating_sub(body.bytes.len());
        yield_now().await;
        let text = text_of(&body.bytes, body.encoding);
        let digest = text::digest_of(text.0.as_bytes()).await;
        let delivered = Delivered::popped(&message, text, &parsed, times, handle);
        document.push(&delivered, digest);
        receipts.push(receipt);
    }
    let popping = Rc::new(popped.take().map_err(lost)?);
    call.requests().drop_unwanted(consumer, unwanted);
    if receipts.is_empty() {
        return Ok(None);
    }
    let document = document.end();
    let placed = receipts.into_iter().map(|handle| Placed {
        start: 0,
        end: 0,
        handle,
        lite_topic: None,
    });
    let mut batch = Batch::new(popping, placed.collect());
    batch.deliver_together(document.body.len());
    let written = Written::new(batch, &call.connection.server.metrics);
    Ok(Some(Served::Messages(document, Box::new(written))))
}
