//! Popped messages, to bytes of an answer.

use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http_server::{Chunk, OnEnd};
use messaging::check::Filter;
use messaging::{Batch, Consumer, MessagingError, Placed, Poll, PopAnswer, Popped, PoppedMessage};
use remoting_codec::message::{Receipt, StoredMessage};
use remoting_transport::Account;
use tokio::task::yield_now;

use super::{group_of, inflate, topic_of};
use crate::call::Call;
use crate::client::Connection;
use crate::json::{self, Delivered, Handle, Name, Problem, Stamp};
use crate::metrics::HttpMetrics;
use crate::render;

/// Most bytes of the bodies of one answer that are decompressed; others are left as they are.
pub(super) const INFLATED_MAX: usize = 16 << 20;

/// After so many bytes of messages, others have their turn.
const TURN_BYTES: usize = 256 * 1024;

/// The consumer of a call, and what it wants.
#[derive(Debug)]
pub(super) struct Wanted {
    pub(super) consumer: Consumer,
    /// The topic, as the client calls it.
    pub(super) topic: String,
    pub(super) filter: json::Filter,
    pub(super) invisible: Duration,
    /// The stream that gets the messages; 0 for none.
    pub(super) stream: u64,
    /// Makes the group have a member, as consoles show it. None if there are too many.
    _poll: Option<Poll>,
}

/// Messages that were taken from the answer to a POP, in the bytes of another answer. They are
/// given back if the call ends before these are on their way.
#[derive(Debug)]
pub(super) struct Taken(Batch);

impl Wanted {
    /// Finds out what the client may consume.
    pub(super) async fn find(
        call: &Call<'_>,
        (topic, group): (&str, &str),
        filter: json::Filter,
        invisible: Duration,
    ) -> Result<Self, Problem> {
        let names = (topic_of(call, topic)?, group_of(call, group)?);
        let (caller, configs) = (call.caller(), call.configs());
        filter_of(&filter).map_err(render::read)?;
        // A topic that there is none of is no topic without messages.
        let route = caller.route(&names.0).await;
        route.map_err(|error| render::read(error.into()))?;
        let consumer = Consumer::find(caller, configs, names.0, names.1).await;
        let consumer = consumer.map_err(render::read)?;
        let mixed = &call.connection.server.metrics.mixed;
        let (of_topic, of_group) = (consumer.topic(), consumer.group());
        let checked = configs
            .check_members(caller, of_group, of_topic, mixed)
            .await;
        checked.map_err(render::read)?;
        let from = caller.address().key();
        let pollers = &call.connection.server.pollers;
        Ok(Self {
            _poll: pollers.consume(from, consumer.group(), consumer.topic()),
            consumer,
            topic: topic.to_owned(),
            filter,
            invisible,
            stream: 0,
        })
    }

    /// The filter as brokers take it.
    pub(super) fn filter(&self) -> Filter<'_> {
        // It was checked before.
        filter_of(&self.filter).unwrap_or(Filter::ALL)
    }
}

fn filter_of(filter: &json::Filter) -> Result<Filter<'_>, MessagingError> {
    match filter {
        json::Filter::All => Ok(Filter::ALL),
        json::Filter::Tags(tags) => Filter::new(false, tags),
        json::Filter::Sql(sql) => Filter::new(true, sql),
    }
}

/// A message of an answer to a POP.
type Found<'a> = (StoredMessage<'a>, PoppedMessage, Option<Box<str>>);

/// Writes each message that the client gets by `write`, which returns how many bytes of the answer
/// there are then. If this is dropped before its end, all messages are given back.
///
/// # Errors
/// If the broker's answer cannot be read, or a message cannot be written.
pub(super) async fn take(
    connection: &Connection,
    wanted: &Wanted,
    popped: Popped,
    mut write: impl FnMut(&Delivered<'_>, &Handle) -> Result<usize, serde_json::Error>,
) -> Result<Taken, MessagingError> {
    let consumer = &wanted.consumer;
    let (mut found, mut placed) = (Vec::<Found<'_>>::new(), Vec::new());
    let view = popped.view()?;
    let answer = PopAnswer::read(&view, consumer.is_lite())?;
    let clocks = connection.server.configs.clocks();
    clocks.note(popped.broker(), answer.pop_time());
    let filter = wanted.filter();
    let unwanted = popped.sort(
        &view,
        &answer,
        consumer,
        &filter,
        |message, popped, lite| {
            found.push((*message, popped, lite));
        },
    );
    let (mut left, mut start, mut turn) = (INFLATED_MAX, 0, 0);
    for (message, of_answer, lite_topic) in found {
        let Ok(receipt) = Receipt::parse(&of_answer.handle) else {
            continue;
        };
        let (topic, group) = (consumer.topic(), consumer.group());
        let handle = Handle::new(&receipt, lite_topic.as_deref(), topic, group);
        let Some(handle) = handle.map(|handle| handle.in_stream(wanted.stream)) else {
            continue;
        };
        let body = inflate(message.body, message.sys_flag, left).await;
        if matches!(body.bytes, std::borrow::Cow::Owned(_)) {
            left = left.saturating_sub(body.bytes.len());
        }
        let name = Name::Handle(handle.encode());
        let topic = wanted.topic.as_str().into();
        let mut delivered = Delivered::new(name, topic, &message, body, popped.broker());
        delivered.attempt = Some(of_answer.attempt(&message));
        delivered.visible = Some(Stamp(receipt.visible_time()));
        delivered.offset = of_answer.lite_offset.unwrap_or(message.queue_offset);
        let end = write(&delivered, &handle).map_err(|error| {
            MessagingError::new(messaging::ErrorKind::Invalid, error.to_string())
        })?;
        placed.push(Placed {
            start,
            end,
            handle: of_answer.handle,
            lite_topic,
        });
        turn += end.saturating_sub(start);
        start = end;
        if turn >= TURN_BYTES {
            turn = 0;
            yield_now().await;
        }
    }
    let popping = Rc::new(popped.take()?);
    connection.requests.drop_unwanted(consumer, unwanted);
    Ok(Taken(Batch::new(popping, placed)))
}

impl Taken {
    /// Whether the client gets none.
    pub(super) fn is_empty(&self) -> bool {
        self.0.messages().is_empty()
    }

    /// The messages are in a document of that length, which the client can read as a whole only.
    pub(super) fn deliver_together(&mut self, length: usize) {
        self.0.deliver_together(length);
    }

    /// The bytes with the messages in them. What is not written to the client is given back.
    pub(super) fn into_chunk(
        self,
        bytes: impl Into<Bytes>,
        metrics: &Arc<HttpMetrics>,
        account: &Rc<Account>,
    ) -> Chunk {
        let chunk = Chunk::new(bytes.into(), account);
        chunk.with_end(Box::new(Written::new(self.0, metrics)))
    }
}

/// Messages on their way to the client.
pub(super) struct Written {
    batch: Batch,
    metrics: Arc<HttpMetrics>,
}

impl Written {
    pub(super) fn new(batch: Batch, metrics: &Arc<HttpMetrics>) -> Self {
        Self {
            batch,
            metrics: metrics.clone(),
        }
    }
}

impl OnEnd for Written {
    fn written(&mut self, bytes: usize) {
        let written = self.batch.written(bytes);
        let popping = self.batch.popping();
        let (topic, group) = (popping.topic(), popping.group());
        self.metrics
            .delivered(topic, group, written.delivered, written.bytes);
        self.metrics.given_back.add(written.lost.len() as u64);
    }
}
