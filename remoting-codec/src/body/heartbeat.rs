//! The request of HEART_BEAT (`HeartbeatData`).
//!
//! Read only: a heartbeat goes on to brokers as the bytes that it came in. The C++ client writes
//! enums as ordinals and leaves out empty sets.

use serde::{Deserialize, Deserializer};
use serde_json::value::RawValue;

use super::{read, write};
use crate::error::BodyError;

/// Who a client is and which groups live in it.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq)]
#[serde(rename_all = "camelCase")]
pub struct Heartbeat {
    /// The client's id, unique among all clients.
    #[serde(rename = "clientID")]
    pub client_id: String,
    /// Its producer groups.
    #[serde(default, deserialize_with = "null_is_empty")]
    pub producer_data_set: Vec<ProducerData>,
    /// Its consumer groups.
    #[serde(default, deserialize_with = "null_is_empty")]
    pub consumer_data_set: Vec<ConsumerData>,
}

/// A producer group of a client.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq)]
#[serde(rename_all = "camelCase")]
pub struct ProducerData {
    /// Its name.
    pub group_name: String,
}

/// A consumer group of a client.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq)]
#[serde(rename_all = "camelCase")]
pub struct ConsumerData {
    /// Its name.
    pub group_name: String,
    /// Whether its members share the messages.
    #[serde(default)]
    pub message_model: MessageModel,
    /// Who begins when messages are handed over.
    #[serde(default)]
    pub consume_type: ConsumeType,
    /// What it consumes.
    #[serde(default, deserialize_with = "null_is_empty")]
    pub subscription_data_set: Vec<SubscriptionData>,
}

/// One topic that a group consumes.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq)]
pub struct SubscriptionData {
    /// The topic.
    pub topic: String,
}

/// How the members of a group divide messages.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum MessageModel {
    /// Every member gets every message, and keeps its own offsets.
    Broadcasting,
    /// Each message goes to one member.
    #[default]
    Clustering,
}

impl<'de> Deserialize<'de> for MessageModel {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        // Anything may stand here, of any size: looked at where it is, not built.
        let text = <&RawValue>::deserialize(deserializer)?.get();
        Ok(match text {
            r#""BROADCASTING""# | "0" => Self::Broadcasting,
            _ => Self::Clustering,
        })
    }
}

/// Who begins when messages are handed over (`ConsumeType`).
#[derive(Clone, Copy, Debug, Default, Eq, Ord, PartialEq, PartialOrd)]
pub enum ConsumeType {
    /// The application asks for them.
    Actively,
    /// The client asks, and calls the application.
    #[default]
    Passively,
    /// The same by POP.
    Pop,
}

impl ConsumeType {
    /// Its name in metrics.
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

impl Heartbeat {
    /// Reads the body.
    ///
    /// # Errors
    /// When it is not such a body.
    pub fn decode(body: &[u8]) -> Result<Self, BodyError> {
        read("heartbeat", body)
    }

    /// Writes the body of a client with these producer groups and nothing else.
    #[must_use]
    pub fn of_producer(client_id: &str, groups: &[String]) -> Vec<u8> {
        let groups: Vec<_> = groups
            .iter()
            .map(|group| serde_json::json!({"groupName": group}))
            .collect();
        write(&serde_json::json!({
            "clientID": client_id,
            "consumerDataSet": [],
            "producerDataSet": groups,
        }))
    }

    /// The topics that its consumers subscribe to, each as often as it is named.
    pub fn topics(&self) -> impl Iterator<Item = &str> {
        self.consumer_data_set
            .iter()
            .flat_map(|consumer| &consumer.subscription_data_set)
            .map(|subscription| subscription.topic.as_str())
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
            assert_eq!(heartbeat.topics().count(), 0);
            assert!(heartbeat.producer_data_set.is_empty());
        }
        // As C++ writes it.
        let body = r#"{"clientID":"c","consumerDataSet":[{"consumeFromWhere":0,"consumeType":1,"groupName":"g","messageModel":1,"subscriptionDataSet":[{"subString":"*","subVersion":"1700000000000","topic":"T"}]}]}"#;
        let heartbeat = Heartbeat::decode(body.as_bytes()).unwrap();
        assert_eq!(heartbeat.topics().collect::<Vec<_>>(), ["T"]);
    }

    #[test]
    fn types_come_as_names_and_as_numbers() {
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
            let consumer = heartbeat.consumer_data_set.first().unwrap();
            assert_eq!(consumer.consume_type, consume_type);
        }
    }

    #[test]
    fn models_come_as_names_and_as_numbers() {
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
            let consumer = heartbeat.consumer_data_set.first().unwrap();
            assert_eq!(consumer.message_model, model);
        }
    }
}
