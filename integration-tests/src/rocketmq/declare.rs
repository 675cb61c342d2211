//! Topics and groups with attributes, made at the brokers as `mqadmin` makes them.

use anyhow::{Result, ensure};
use remoting_codec::{RemotingCommand, RequestCode};
use serde_json::json;

use super::Cluster;
use crate::raw::RawConnection;

/// What the messages of a topic are: its attribute `message.type`.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum MessageType {
    /// Without order or delay.
    Normal,
    /// In order within their group.
    Fifo,
    /// Delivered at a time.
    Delay,
    /// Sent in transactions.
    Transaction,
    /// Some before others.
    Priority,
    /// Each for one of many topics within the topic.
    Lite,
}

impl MessageType {
    fn attribute(self) -> &'static str {
        match self {
            Self::Normal => "+message.type=NORMAL",
            Self::Fifo => "+message.type=FIFO",
            Self::Delay => "+message.type=DELAY",
            Self::Transaction => "+message.type=TRANSACTION",
            Self::Priority => "+message.type=PRIORITY",
            Self::Lite => "+message.type=LITE",
        }
    }
}

/// A consumer group.
#[derive(Clone, Copy, Debug)]
pub struct Group<'a> {
    /// Its name.
    pub name: &'a str,
    /// Whether its members get messages in order.
    pub orderly: bool,
    /// How often a message is delivered again before it is given up.
    pub retries: u32,
    /// The one topic whose lite topics it consumes, if it does.
    pub lite_topic: Option<&'a str>,
    /// Whether one of its members at a time may have a lite topic.
    pub exclusive: bool,
}

impl<'a> Group<'a> {
    /// One like those that brokers make by themselves.
    #[must_use]
    pub fn new(name: &'a str) -> Self {
        Self {
            name,
            orderly: false,
            retries: 16,
            lite_topic: None,
            exclusive: false,
        }
    }
}

impl Cluster {
    /// Makes a topic for messages of this type, with this number of queues on every broker, and
    /// waits until the name server knows all of them.
    ///
    /// # Errors
    /// When that does not happen.
    pub fn create_typed_topic(&self, topic: &str, of: MessageType, queues: usize) -> Result<()> {
        let count = queues.to_string();
        let request = RemotingCommand::request(RequestCode::UPDATE_AND_CREATE_TOPIC)
            .with_field("topic", topic.to_owned())
            .with_field("defaultTopic", "TBW102")
            .with_field("readQueueNums", count.clone())
            .with_field("writeQueueNums", count)
            .with_field("perm", "6")
            .with_field("topicFilterType", "SINGLE_TAG")
            .with_field("topicSysFlag", "0")
            .with_field("order", "false")
            .with_field("attributes", of.attribute());
        self.ask_brokers(&request)?;
        self.admin.wait_route(topic, queues * self.brokers.len())
    }

    /// Makes a consumer group on every broker, or changes it.
    ///
    /// # Errors
    /// When a broker refuses it.
    pub fn create_group(&self, group: Group<'_>) -> Result<()> {
        let model = if group.exclusive {
            "Exclusive"
        } else {
            "Shared"
        };
        let attributes = group
            .lite_topic
            .map(|topic| json!({ "+lite.bind.topic": topic, "+lite.sub.model": model }));
        let config = json!({
            "groupName": group.name,
            "consumeMessageOrderly": group.orderly,
            "retryMaxTimes": group.retries,
            "attributes": attributes,
        });
        let request = RemotingCommand::request(RequestCode::UPDATE_AND_CREATE_SUBSCRIPTIONGROUP)
            .with_body(config.to_string());
        self.ask_brokers(&request)
    }

    fn ask_brokers(&self, request: &RemotingCommand) -> Result<()> {
        for broker in &self.brokers {
            let answer = RawConnection::connect(broker.address())?.call(request)?;
            ensure!(answer.code == 0, "{}: {answer:?}", broker.name());
        }
        Ok(())
    }
}
