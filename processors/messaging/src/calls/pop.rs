//! Popping messages.

use std::rc::Rc;
use std::time::Duration;

use bytes::Bytes;
use remoting_codec::headers::{PopLiteMessageRequest, PopMessageRequest};
use remoting_codec::{RequestCode, UpstreamView};
use route_cache::{Broker, Connection};

use super::{Answer, Requests, Wire};
use crate::error::{ErrorKind, MessagingError};
use crate::give_back::Popping;
use crate::policy::pop_time;

/// Where a group that is new starts (`ConsumeInitMode`): with the next message of a queue.
const FROM_NEXT: i32 = 1;

/// A request for messages.
#[derive(Clone, Copy, Debug)]
pub struct Pop<'a> {
    /// The topic.
    pub topic: &'a str,
    /// The consumer's group.
    pub group: &'a str,
    /// The queue's number at its broker; -1 for any.
    pub queue_id: i32,
    /// The greatest number of messages.
    pub batch: i32,
    /// How long the messages are invisible to other members.
    pub invisible: Duration,
    /// How long the broker may wait for messages.
    pub wait: Duration,
    /// `TAG` or `SQL92`.
    pub filter_type: &'a str,
    /// The filter.
    pub filter: &'a str,
    /// Whether the messages of a queue are handed out in order.
    pub order: bool,
    /// With `order`: a request with the same id gets the same messages again.
    pub attempt_id: Option<&'a str>,
}

/// A request for messages of lite topics.
#[derive(Clone, Copy, Debug)]
pub struct PopLite<'a> {
    /// The client, by which the broker keeps its subscriptions.
    pub client_id: &'a str,
    /// The topic that the lite topics are below.
    pub topic: &'a str,
    /// The consumer's group.
    pub group: &'a str,
    /// The greatest number of messages.
    pub batch: i32,
    /// How long no further message of the same lite topics is handed out, unless these are
    /// acknowledged.
    pub invisible: Duration,
    /// How long the broker may wait for messages.
    pub wait: Duration,
    /// A request with the same id gets the same messages again.
    pub attempt_id: Option<&'a str>,
}

/// The answer to a POP. When it is dropped, its messages are given back, unless they were
/// [taken](Self::take).
#[derive(Debug)]
pub struct Popped {
    answer: Answer,
    broker: Rc<str>,
}

impl Popped {
    /// The answer's parts, whatever its code is.
    ///
    /// # Errors
    /// If it cannot be read.
    pub fn view(&self) -> Result<UpstreamView<'_>, MessagingError> {
        self.answer.view()
    }

    /// The broker that has handed the messages out.
    #[must_use]
    pub fn broker(&self) -> &str {
        &self.broker
    }

    /// A part of the answer, which shares its memory.
    #[must_use]
    pub fn slice(&self, part: &[u8]) -> Bytes {
        self.answer.frame.slice_ref(part)
    }

    /// Takes the messages: the caller gives back those that its client does not get.
    ///
    /// # Errors
    /// If they were taken or given back already.
    pub fn take(mut self) -> Result<Popping, MessagingError> {
        self.answer.popping.take().ok_or_else(|| {
            let text = "the messages were given back: receive again";
            MessagingError::new(ErrorKind::Lost, text)
        })
    }
}

fn millis(time: Duration) -> i64 {
    i64::try_from(time.as_millis()).unwrap_or(i64::MAX)
}

impl Requests {
    /// Pops messages of a broker. An answer of any code is returned. If the call is dropped, the
    /// messages that the broker hands out all the same are given back.
    ///
    /// # Errors
    /// If the request cannot be sent, or is not answered.
    pub async fn pop(
        self: &Rc<Self>,
        broker: &Broker,
        pop: &Pop<'_>,
    ) -> Result<Popped, MessagingError> {
        let code = RequestCode::POP_MESSAGE;
        self.admit(code, pop.topic, Some(pop.group), 0)?;
        let connection = broker.connection(self.class_of_poll(), false)?;
        let wait = millis(pop.wait);
        let header = PopMessageRequest {
            broker: Some((&**broker.name()).into()),
            group: pop.group.into(),
            topic: pop.topic.into(),
            queue_id: pop.queue_id,
            max_msg_nums: pop.batch,
            invisible_time: millis(pop.invisible),
            poll_time: wait,
            // The broker takes the time at which it receives the request: clocks may differ.
            born_time: None,
            init_mode: FROM_NEXT,
            expression_type: Some(pop.filter_type.into()),
            expression: Some(pop.filter.into()),
            order: pop.order.then_some(true),
            attempt_id: pop.attempt_id.map(Into::into),
        };
        let request = Wire::new(code, &header);
        let popping = self.popping(&connection, pop.topic, pop.group);
        self.ask_popped(broker, &connection, request, wait, popping)
            .await
    }

    /// Pops messages of the lite topics that the client has subscribed to at a broker. What holds
    /// for [`pop`](Self::pop) holds here.
    ///
    /// # Errors
    /// If the request cannot be sent, or is not answered.
    pub async fn pop_lite(
        self: &Rc<Self>,
        broker: &Broker,
        pop: &PopLite<'_>,
    ) -> Result<Popped, MessagingError> {
        let code = RequestCode::POP_LITE_MESSAGE;
        self.admit(code, pop.topic, Some(pop.group), 0)?;
        let wait = millis(pop.wait);
        let header = PopLiteMessageRequest {
            broker: Some((&**broker.name()).into()),
            client_id: pop.client_id.into(),
            group: pop.group.into(),
            topic: pop.topic.into(),
            max_msg_num: pop.batch,
            invisible_time: millis(pop.invisible),
            poll_time: wait,
            // The broker takes the time at which it receives the request: clocks may differ.
            born_time: 0,
            attempt_id: pop.attempt_id.map(Into::into),
        };
        let request = Wire::new(code, &header);
        let connection = broker.connection(self.class_of_poll(), true)?;
        let popping = self.popping(&connection, pop.topic, pop.group);
        let popping = popping.of_lite_topics();
        self.ask_popped(broker, &connection, request, wait, popping)
            .await
    }

    fn popping(&self, connection: &Rc<Connection>, topic: &str, group: &str) -> Popping {
        let upstream = self.caller.upstream().clone();
        Popping::new(
            upstream,
            connection.clone(),
            topic.to_owned(),
            group.to_owned(),
        )
    }

    /// Sends a request for messages that may wait for `wait` milliseconds at the broker.
    async fn ask_popped(
        self: &Rc<Self>,
        broker: &Broker,
        connection: &Rc<Connection>,
        request: Wire,
        wait: i64,
        popping: Popping,
    ) -> Result<Popped, MessagingError> {
        let time = pop_time(wait, 0, 0);
        let answer = self.ask(connection, request, time, Some(popping)).await?;
        Ok(Popped {
            answer,
            broker: broker.name().clone(),
        })
    }
}
