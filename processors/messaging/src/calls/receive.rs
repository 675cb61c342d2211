//! Receiving messages: where they are popped, and what becomes of those that the client does not
//! get.

use std::rc::Rc;
use std::time::Duration;

use remoting_codec::body::GroupConfig;
use remoting_codec::message::{Receipt, StoredMessage, StoredMessages, property};
use remoting_codec::{ResponseCode, UpstreamView};
use route_cache::Broker;
use tokio::time::Instant;

use super::{ConfigCache, Pop, PopAnswer, PopLite, Popped, PoppedMessage, Popper, Requests};
use crate::caller::Caller;
use crate::check::Filter;
use crate::error::{ErrorKind, MessagingError};
use crate::policy::at_most;
use crate::queues::readable;

/// How long the answer that the broker keeps too many polls is held back: clients ask again at
/// once.
const FULL_PAUSE: Duration = Duration::from_millis(500);

/// The consumer of a call, in the names of brokers.
#[derive(Clone, Debug)]
pub struct Consumer {
    topic: String,
    group: String,
    config: Rc<GroupConfig>,
    is_lite: bool,
}

/// What a consumer asks for.
#[derive(Clone, Copy, Debug)]
pub struct Receive<'a> {
    /// The client, by which brokers keep its subscriptions to lite topics.
    pub client_id: &'a str,
    /// The greatest number of messages.
    pub batch: i32,
    /// How long the messages are invisible to other members.
    pub invisible: Duration,
    /// How long the broker may wait for messages.
    pub wait: Duration,
    /// The messages that are wanted.
    pub filter: Filter<'a>,
    /// A request with the same id gets the same messages again, if they are in order.
    pub attempt_id: Option<&'a str>,
    /// Until when the call must be answered.
    pub deadline: Option<Instant>,
}

/// A popped message that the client does not get.
#[derive(Debug)]
pub struct Unwanted {
    handle: String,
    message_id: String,
    lite_topic: Option<Box<str>>,
    /// Whether it was delivered as often as its group allows; else its tag only looks like one that
    /// is wanted: brokers compare hashes.
    is_exhausted: bool,
}

impl Consumer {
    /// The consumer of that topic in that group.
    ///
    /// # Errors
    /// If brokers do not answer what the group's configuration is: a group in order must not be
    /// served out of it.
    pub async fn find(
        caller: &Caller,
        configs: &Rc<ConfigCache>,
        topic: String,
        group: String,
    ) -> Result<Self, MessagingError> {
        let config = configs.group_or_default(caller, &group, &topic).await?;
        Ok(Self {
            is_lite: config.lite_topic_parent() == Some(&topic),
            topic,
            group,
            config,
        })
    }

    /// The topic.
    #[must_use]
    pub fn topic(&self) -> &str {
        &self.topic
    }

    /// The group.
    #[must_use]
    pub fn group(&self) -> &str {
        &self.group
    }

    /// Whether the group consumes lite topics of the topic.
    #[must_use]
    pub fn is_lite(&self) -> bool {
        self.is_lite
    }

    /// Whether the group consumes each queue in order.
    #[must_use]
    pub fn is_orderly(&self) -> bool {
        self.config.consume_message_orderly
    }

    /// The same consumer, which consumes each queue in order whatever the group's configuration is.
    #[must_use]
    pub fn in_order(self) -> Self {
        let config = GroupConfig {
            consume_message_orderly: true,
            ..GroupConfig::clone(&self.config)
        };
        Self {
            config: Rc::new(config),
            ..self
        }
    }

    /// How long a consumer of the group may take for a message.
    #[must_use]
    pub fn consume_time(&self) -> Duration {
        let minutes = u64::try_from(self.config.consume_timeout_minute).unwrap_or_default();
        Duration::from_secs(minutes.clamp(1, 24 * 60) * 60)
    }

    /// The lite topic that the message was popped of: none if the group consumes queues, whatever
    /// the message's properties are.
    fn lite_topic(&self, message: &StoredMessage<'_>) -> Option<Box<str>> {
        let lite_topic = match self.is_lite {
            true => message.properties.get(property::LITE_TOPIC)?,
            false => return None,
        };
        Some(lite_topic.into())
    }
}

/// The error of a topic that cannot be read.
pub(super) fn nothing_to_read() -> MessagingError {
    let text = "no readable queue: the topic's permission or its brokers do not allow to receive";
    MessagingError::new(ErrorKind::Forbidden, text)
}

impl Requests {
    /// The broker of that name, or one that the topic can be read from: each in turn.
    ///
    /// # Errors
    /// [`ErrorKind::Forbidden`] if the topic cannot be read; if there is no such topic, or no name
    /// server answers.
    pub async fn broker_to_read(
        &self,
        topic: &str,
        named: Option<&str>,
    ) -> Result<Rc<Broker>, MessagingError> {
        let upstream = self.caller.upstream();
        let named = named.filter(|name| !name.is_empty());
        if let Some(broker) = named.and_then(|name| upstream.known_broker(name)) {
            return Ok(broker);
        }
        let route = self.caller.route(topic).await?;
        let brokers: Vec<_> = readable(route.data()).collect();
        let chosen = self
            .next_turn()
            .checked_rem(brokers.len())
            .and_then(|at| brokers.get(at));
        let chosen = chosen.ok_or_else(nothing_to_read)?;
        Ok(upstream.broker(&chosen.broker_name).await?)
    }

    /// Pops messages for a consumer, of a broker's queues or of lite topics. An answer of any code
    /// is returned; that the broker keeps too many polls, after a pause. If the call is dropped,
    /// the messages that the broker hands out all the same are given back.
    ///
    /// # Errors
    /// If the request cannot be sent, or is not answered.
    pub async fn receive(
        self: &Rc<Self>,
        broker: &Broker,
        consumer: &Consumer,
        receive: &Receive<'_>,
    ) -> Result<Popped, MessagingError> {
        let Receive {
            batch,
            invisible,
            wait,
            attempt_id,
            ..
        } = *receive;
        let popped = if consumer.is_lite {
            let pop = PopLite {
                client_id: receive.client_id,
                topic: &consumer.topic,
                group: &consumer.group,
                batch,
                invisible,
                wait,
                attempt_id,
            };
            self.pop_lite(broker, &pop).await?
        } else {
            let pop = Pop {
                topic: &consumer.topic,
                group: &consumer.group,
                queue_id: -1,
                batch,
                invisible,
                wait,
                filter_type: receive.filter.kind(),
                filter: receive.filter.expression,
                order: consumer.is_orderly(),
                attempt_id,
            };
            self.pop(broker, &pop).await?
        };
        if popped.view()?.response_code() == ResponseCode::POLLING_FULL {
            tokio::time::sleep(at_most(FULL_PAUSE, receive.deadline)).await;
        }
        Ok(popped)
    }

    /// Acknowledges, in separate tasks, what the filter does not let pass, and makes dead letters
    /// of what was delivered too often.
    pub fn drop_unwanted(self: &Rc<Self>, consumer: &Consumer, unwanted: Vec<Unwanted>) {
        for one in unwanted {
            let requests = self.clone();
            let (topic, group) = (consumer.topic.clone(), consumer.group.clone());
            tokio::task::spawn_local(async move {
                let Ok(receipt) = Receipt::parse(&one.handle) else {
                    return;
                };
                let popper = Popper {
                    group: &group,
                    topic: &topic,
                    lite_topic: one.lite_topic.as_deref(),
                };
                let done = match one.is_exhausted {
                    true => {
                        requests
                            .dead_letter(&receipt, popper, &one.message_id)
                            .await
                    }
                    false => requests.acknowledge(&receipt, popper).await,
                };
                if let Err(error) = done {
                    tracing::debug!(%error, "a message that no client gets is delivered again");
                }
            });
        }
    }
}

impl Popped {
    /// Sorts the messages of an answer of success by what becomes of them. Those that the client
    /// gets go to `wanted`, with their lite topics; the others are returned, to be
    /// [dropped](Requests::drop_unwanted) once the messages were [taken](Popped::take). A message
    /// that cannot be acknowledged is neither; it is delivered again.
    #[must_use]
    pub fn sort<'a>(
        &self,
        view: &'a UpstreamView<'_>,
        answer: &PopAnswer<'_>,
        consumer: &Consumer,
        filter: &Filter<'_>,
        mut wanted: impl FnMut(&StoredMessage<'a>, PoppedMessage, Option<Box<str>>),
    ) -> Vec<Unwanted> {
        let mut unwanted = Vec::new();
        let retries = consumer.config.retry_max_times.max(0);
        for (nth, message) in StoredMessages::new(view.body()).flatten().enumerate() {
            let Some(popped) = answer.message(nth, &message, self.broker()) else {
                continue;
            };
            let tag = message.properties.get(property::TAGS);
            let times = popped.reconsume_times.unwrap_or(message.reconsume_times);
            let is_exhausted = times > retries;
            let lite_topic = consumer.lite_topic(&message);
            if is_exhausted || !filter.matches(tag.as_deref()) {
                let id = message.properties.get(property::UNIQ_KEY);
                unwanted.push(Unwanted {
                    handle: popped.handle,
                    message_id: id.map(|id| id.into_owned()).unwrap_or_default(),
                    lite_topic,
                    is_exhausted,
                });
            } else {
                wanted(&message, popped, lite_topic);
            }
        }
        unwanted
    }
}
