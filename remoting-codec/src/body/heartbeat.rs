//! The request of HEART_BEAT (`HeartbeatData`).
//!
//! A remoting client's heartbeat is only read, and forwarded to brokers unchanged. For clients of
//! other protocols, Remora writes one. The C++ client writes enums as
//! ordinals and leaves out empty sets. One client may subscribe to 10,000 topics, so names are
//! stored together and sorted: a look-up is a binary search, and a set of names needs two
//! allocations.

use std::borrow::Cow;
use std::fmt;
use std::marker::PhantomData;
use std::sync::Arc;

use serde::de::{SeqAccess, Visitor};
use serde::{Deserialize, Deserializer};
use serde_json::value::RawValue;

use super::names::Names;
use super::{read, write};
use crate::error::BodyError;
use crate::java::java_hash;

/// A client's id, groups and subscribed topics.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Heartbeat {
    /// The client's id, unique among all clients.
    pub client_id: String,
    /// The groups in which it sends, ordered by name.
    pub producer_groups: Names,
    /// Its consumer groups, ordered by name. If a group occurs twice, brokers keep the last.
    pub consumers: Vec<ConsumerData>,
    /// The topics that its consumers subscribe to.
    pub topics: Arc<Names>,
}

/// The body as JSON.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Written {
    #[serde(rename = "clientID")]
    client_id: String,
    #[serde(default, deserialize_with = "names::<ProducerData<'_>, _>")]
    producer_data_set: Names,
    #[serde(default, deserialize_with = "null_is_empty")]
    consumer_data_set: Vec<ConsumerData>,
}

/// A producer group of a client.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct ProducerData<'a> {
    #[serde(borrow)]
    group_name: Cow<'a, str>,
}

/// A consumer group of a client.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq)]
#[serde(rename_all = "camelCase")]
pub struct ConsumerData {
    /// The group's name, by which brokers count its members.
    pub group_name: Box<str>,
    /// How its members divide the messages.
    #[serde(default)]
    pub message_model: MessageModel,
    /// How messages reach the application.
    #[serde(default)]
    pub consume_type: ConsumeType,
    /// The topics that it consumes.
    #[serde(
        default,
        rename = "subscriptionDataSet",
        deserialize_with = "shared_topics"
    )]
    pub topics: Arc<Names>,
}

/// One topic that a group consumes.
#[derive(Deserialize)]
struct Subscription<'a> {
    #[serde(borrow)]
    topic: Cow<'a, str>,
}

/// One topic that a group consumes; further fields of the subscription are not read.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq)]
pub struct SubscriptionData {
    /// The topic, which may be the group's retry topic.
    pub topic: String,
}

/// A consumer group of a client whose heartbeat Remora writes.
#[derive(Clone, Copy, Debug)]
pub struct WrittenConsumer<'a> {
    /// The group's name, as the broker registers it.
    pub group: &'a str,
    /// `CONSUME_ACTIVELY` or `CONSUME_PASSIVELY` (`ConsumeType`).
    pub consume_type: &'a str,
    /// `CLUSTERING`, or from 5.5 on `LITE_SELECTIVE` (`MessageModel`).
    pub message_model: &'a str,
    /// The topics that it consumes.
    pub subscriptions: &'a [WrittenSubscription<'a>],
}

/// A topic of a [`WrittenConsumer`], with its filter.
#[derive(Clone, Copy, Debug)]
pub struct WrittenSubscription<'a> {
    /// The topic's name at the broker.
    pub topic: &'a str,
    /// `TAG` or `SQL92`.
    pub expression_type: &'a str,
    /// The tags, with `||` between them, or the SQL expression; `*` for all messages.
    pub expression: &'a str,
    /// When it was made: milliseconds since 1970.
    pub version: i64,
}

/// How the members of a group divide messages.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum MessageModel {
    /// Every member gets every message, and keeps its own offsets.
    Broadcasting,
    /// Each message is consumed by one member.
    #[default]
    Clustering,
}

impl<'de> Deserialize<'de> for MessageModel {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        // The value may be anything of any size: it is read in place, not built.
        let text = <&RawValue>::deserialize(deserializer)?.get();
        Ok(match text {
            r#""BROADCASTING""# | "0" => Self::Broadcasting,
            _ => Self::Clustering,
        })
    }
}

/// How messages reach the application (`ConsumeType`).
#[derive(Clone, Copy, Debug, Default, Eq, Ord, PartialEq, PartialOrd)]
pub enum ConsumeType {
    /// The application pulls them.
    Actively,
    /// The client pulls, and calls the application.
    #[default]
    Passively,
    /// The client pops, and calls the application.
    Pop,
}

impl ConsumeType {
    /// The value of the label `consume_mode` in metrics.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Actively => "pull",
            Self::Passively => "push",
            Self::Pop => "pop",
        }
    }
}

impl<'de> Deserialize<'de> for ConsumeType {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = <&RawValue>::deserialize(deserializer)?.get();
        Ok(match text {
            r#""CONSUME_ACTIVELY""# | "0" => Self::Actively,
            r#""CONSUME_POP""# | "2" => Self::Pop,
            _ => Self::Passively,
        })
    }
}

fn null_is_empty<'de, D, T>(deserializer: D) -> Result<Vec<T>, D::Error>
where
    D: Deserializer<'de>,
    T: Deserialize<'de>,
{
    Ok(Option::deserialize(deserializer)?.unwrap_or_default())
}

/// An element of a set, of which only the name is read.
trait Named<'a>: Deserialize<'a> {
    fn name(self) -> Cow<'a, str>;
}

impl<'a> Named<'a> for ProducerData<'a> {
    fn name(self) -> Cow<'a, str> {
        self.group_name
    }
}

impl<'a> Named<'a> for Subscription<'a> {
    fn name(self) -> Cow<'a, str> {
        self.topic
    }
}

/// Reads the names of a set. Null is an empty set.
fn names<'de, T, D>(deserializer: D) -> Result<Names, D::Error>
where
    T: Named<'de>,
    D: Deserializer<'de>,
{
    struct Set<T>(PhantomData<T>);

    impl<'de, T: Named<'de>> Visitor<'de> for Set<T> {
        type Value = Names;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("a set")
        }

        fn visit_unit<E>(self) -> Result<Names, E> {
            Ok(Names::default())
        }

        fn visit_seq<A: SeqAccess<'de>>(self, mut set: A) -> Result<Names, A::Error> {
            let mut failed = None;
            let names = std::iter::from_fn(|| match set.next_element::<T>() {
                Ok(element) => element.map(Named::name),
                Err(error) => {
                    failed = Some(error);
                    None
                }
            });
            let names = Names::new(names);
            failed.map_or(Ok(names), Err)
        }
    }

    deserializer.deserialize_any(Set::<T>(PhantomData))
}

fn shared_topics<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Arc<Names>, D::Error> {
    names::<Subscription<'de>, D>(deserializer).map(Arc::new)
}

impl Heartbeat {
    /// Reads the body. That takes about 10 ns a byte: workers leave long bodies to another thread.
    ///
    /// # Errors
    /// When the body is not JSON of this form.
    pub fn decode(body: &[u8]) -> Result<Self, BodyError> {
        let written: Written = read("heartbeat", body)?;
        let mut consumers = written.consumer_data_set;
        consumers.sort_by(|a, b| a.group_name.cmp(&b.group_name));
        consumers.dedup_by(|later, kept| {
            let again = later.group_name == kept.group_name;
            if again {
                std::mem::swap(later, kept);
            }
            again
        });
        let topics = match &consumers[..] {
            [only] => only.topics.clone(),
            _ => {
                let all = consumers.iter().flat_map(|consumer| consumer.topics.iter());
                Arc::new(Names::new(all))
            }
        };
        Ok(Self {
            client_id: written.client_id,
            producer_groups: written.producer_data_set,
            consumers,
            topics,
        })
    }

    /// The consumer group of that name, found by a binary search; `None` when there is none.
    #[must_use]
    pub fn consumer(&self, group: &str) -> Option<&ConsumerData> {
        let found = self
            .consumers
            .binary_search_by(|consumer| (*consumer.group_name).cmp(group));
        self.consumers.get(found.ok()?)
    }

    /// Removes the consumer group of that name. Returns false when there is none.
    pub fn remove_consumer(&mut self, group: &str) -> bool {
        let found = self
            .consumers
            .binary_search_by(|consumer| (*consumer.group_name).cmp(group));
        found.map(|at| self.consumers.remove(at)).is_ok()
    }

    /// Its approximate size in memory, in bytes.
    #[must_use]
    pub fn memory(&self) -> usize {
        let consumers = self.consumers.iter().map(|consumer| {
            // Two further allocations, each with the allocator's overhead.
            let overhead = size_of::<ConsumerData>() + size_of::<Names>() + 48;
            overhead + consumer.group_name.len() + consumer.topics.memory()
        });
        let shared = matches!(&self.consumers[..], [_]);
        let topics = if shared { 0 } else { self.topics.memory() };
        self.client_id.len() + self.producer_groups.memory() + consumers.sum::<usize>() + topics
    }

    /// Writes the body of a client of a protocol without heartbeats.
    ///
    /// Brokers compare `subVersion`: a subscription of a lower one does not replace another.
    #[must_use]
    pub fn of_client(
        client_id: &str,
        producers: &[&str],
        consumers: &[WrittenConsumer<'_>],
    ) -> Vec<u8> {
        let consumers = consumers.iter().map(|consumer| {
            let subscriptions = consumer.subscriptions.iter().map(|subscription| {
                let is_tags = subscription.expression_type == "TAG";
                let tags = subscription.expression.split("||").map(str::trim);
                let tags: Vec<_> = tags
                    .filter(|tag| is_tags && !tag.is_empty() && *tag != "*")
                    .collect();
                // Brokers filter tags by these.
                let codes: Vec<i32> = tags.iter().map(|tag| java_hash(tag)).collect();
                serde_json::json!({
                    "classFilterMode": false,
                    "codeSet": codes,
                    "expressionType": subscription.expression_type,
                    "subString": subscription.expression,
                    "subVersion": subscription.version,
                    "tagsSet": tags,
                    "topic": subscription.topic,
                })
            });
            serde_json::json!({
                "consumeFromWhere": "CONSUME_FROM_LAST_OFFSET",
                "consumeType": consumer.consume_type,
                "groupName": consumer.group,
                "messageModel": consumer.message_model,
                "subscriptionDataSet": subscriptions.collect::<Vec<_>>(),
                "unitMode": false,
            })
        });
        let producers = producers
            .iter()
            .map(|group| serde_json::json!({"groupName": group}));
        write(&serde_json::json!({
            "clientID": client_id,
            "consumerDataSet": consumers.collect::<Vec<_>>(),
            "producerDataSet": producers.collect::<Vec<_>>(),
        }))
    }

    /// Writes the body of a client with that producer group and nothing else.
    #[must_use]
    pub fn of_producer(client_id: &str, group: &str) -> Vec<u8> {
        Self::of_client(client_id, &[group], &[])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sets_may_be_left_out_or_null() {
        for body in [
            r#"{"clientID":"c"}"#,
            r#"{"clientID":"c","consumerDataSet":null,"producerDataSet":[]}"#,
        ] {
            let heartbeat = Heartbeat::decode(body.as_bytes()).unwrap();
            assert_eq!(heartbeat.topics.len(), 0);
            assert!(heartbeat.producer_groups.is_empty());
        }
        // As the C++ client writes it.
        let body = r#"{"clientID":"c","consumerDataSet":[{"consumeFromWhere":0,"consumeType":1,"groupName":"g","messageModel":1,"subscriptionDataSet":[{"subString":"*","subVersion":"1700000000000","topic":"T"}]}]}"#;
        let heartbeat = Heartbeat::decode(body.as_bytes()).unwrap();
        assert_eq!(heartbeat.topics.iter().collect::<Vec<_>>(), ["T"]);
    }

    #[test]
    fn names_are_sorted_and_unique() {
        let consumer = |group: &str, topics: &str| {
            format!(r#"{{"groupName":"{group}","subscriptionDataSet":[{topics}]}}"#)
        };
        let body = format!(
            r#"{{"clientID":"c","consumerDataSet":[{},{},{}],"producerDataSet":[{{"groupName":"q"}},{{"groupName":"p"}},{{"groupName":"q"}}]}}"#,
            consumer("h", r#"{"topic":"T"},{"topic":"S"}"#),
            consumer("g", r#"{"topic":"old"}"#),
            consumer("g", r#"{"topic":"\u0054"},{"topic":"R"}"#),
        );
        let mut heartbeat = Heartbeat::decode(body.as_bytes()).unwrap();
        let names = |names: &Names| names.iter().map(str::to_owned).collect::<Vec<_>>();
        assert_eq!(names(&heartbeat.producer_groups), ["p", "q"]);
        assert_eq!(names(&heartbeat.topics), ["R", "S", "T"]);
        let g = heartbeat.consumer("g").unwrap();
        assert_eq!(names(&g.topics), ["R", "T"]);
        assert!(heartbeat.remove_consumer("g"));
        assert!(!heartbeat.remove_consumer("g"));
        assert!(heartbeat.consumer("g").is_none() && heartbeat.consumer("h").is_some());
    }

    #[test]
    fn types_are_read_as_names_and_as_numbers() {
        for (text, consume_type) in [
            (r#""CONSUME_ACTIVELY""#, ConsumeType::Actively),
            ("0", ConsumeType::Actively),
            (r#""CONSUME_PASSIVELY""#, ConsumeType::Passively),
            ("1", ConsumeType::Passively),
            (r#""CONSUME_POP""#, ConsumeType::Pop),
            ("null", ConsumeType::Passively),
        ] {
            let body = format!(
                r#"{{"clientID":"c","consumerDataSet":[{{"groupName":"g","consumeType": {text} }}]}}"#
            );
            let heartbeat = Heartbeat::decode(body.as_bytes()).unwrap();
            let consumer = heartbeat.consumers.first().unwrap();
            assert_eq!(consumer.consume_type, consume_type);
        }
    }

    #[test]
    fn models_are_read_as_names_and_as_numbers() {
        for (text, model) in [
            (r#""BROADCASTING""#, MessageModel::Broadcasting),
            ("0", MessageModel::Broadcasting),
            (r#""CLUSTERING""#, MessageModel::Clustering),
            ("1", MessageModel::Clustering),
            ("null", MessageModel::Clustering),
            (r#"{"a":[0]}"#, MessageModel::Clustering),
        ] {
            let body = format!(
                r#"{{"clientID":"c","consumerDataSet":[{{"groupName":"g","messageModel": {text} }}]}}"#
            );
            let heartbeat = Heartbeat::decode(body.as_bytes()).unwrap();
            let consumer = heartbeat.consumers.first().unwrap();
            assert_eq!(consumer.message_model, model);
        }
    }
}
