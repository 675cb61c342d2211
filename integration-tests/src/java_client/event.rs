//! What the Java client reports; the other side is `Events.java`.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::Value;

/// One line of the client's output.
#[derive(Clone, Debug, Deserialize)]
#[serde(tag = "event", rename_all = "kebab-case")]
pub enum Event {
    /// The client has started.
    Ready,
    /// The client could not start; the process ends.
    StartFailed {
        /// Why.
        error: String,
    },
    /// A message was sent.
    Sent(Sent),
    /// A message was not sent, as far as the client knows.
    SendFailed(SendFailed),
    /// A message arrived.
    Received(Received),
    /// The queues that a push consumer holds have changed.
    Assignment(Assignment),
    /// A push consumer has pulled for the first time.
    FirstPull {
        /// How long after its first heartbeat, in microseconds.
        micros: u64,
    },
    /// A broker asked how a transaction has ended.
    Checked(Checked),
    /// A command was carried out.
    Done {
        /// The number of the command, from 1.
        command: u64,
        /// The result of the command.
        result: Value,
    },
    /// A command failed.
    Failed {
        /// The number of the command, from 1.
        command: u64,
        /// Why.
        error: String,
    },
    /// The client has shut down in order; the process ends.
    Stopped,
}

/// A message that was sent.
#[derive(Clone, Debug, Deserialize)]
pub struct Sent {
    /// The name in its body.
    pub body: String,
    /// `SEND_OK`, or `ONEWAY` where there is no answer.
    pub status: String,
    /// The unique id that the client gave it.
    #[serde(default)]
    pub id: Option<String>,
    /// Broker name and queue id, as `broker-a:0`.
    #[serde(default)]
    pub queue: Option<String>,
    /// The MD5 digest of its body, which SDKs for HTTP are answered.
    #[serde(default)]
    pub digest: Option<String>,
    /// What a delayed message can be recalled by.
    #[serde(default)]
    pub recall_handle: Option<String>,
    /// When the send was started, in milliseconds since the epoch.
    pub started_at: u64,
    /// When it had succeeded.
    pub at: u64,
}

/// A message whose send failed.
#[derive(Clone, Debug, Deserialize)]
pub struct SendFailed {
    /// The name in its body.
    pub body: String,
    /// Why.
    pub error: String,
    /// When the send was started.
    pub started_at: u64,
    /// When it had failed.
    pub at: u64,
}

/// A message that arrived. Clients that speak gRPC or HTTP report neither shard nor queue; only
/// they report a group, only Java clients of the remoting protocol the producer's address, and only
/// those that speak HTTP a digest and times.
#[derive(Clone, Debug, Default, Deserialize)]
pub struct Received {
    /// The name in its body.
    pub body: String,
    /// The length of its body in bytes.
    pub size: usize,
    /// Whether the body is what was sent.
    pub intact: bool,
    /// Its topic, as the client's application sees it.
    pub topic: String,
    /// Its tag.
    pub tag: Option<String>,
    /// The shard that the producer's queue selector was given.
    #[serde(default)]
    pub shard: Option<String>,
    /// Its keys.
    #[serde(default)]
    pub keys: Vec<String>,
    /// What the producer's application has set.
    #[serde(default)]
    pub properties: BTreeMap<String, String>,
    /// The address of the producer's client, if a proxy has noted it.
    #[serde(default)]
    pub born_host: Option<String>,
    /// The group of messages that are consumed in order.
    #[serde(default)]
    pub message_group: Option<String>,
    /// The unique id that the producer gave it.
    pub id: String,
    /// Broker name and queue id, as `broker-a:0`.
    #[serde(default)]
    pub queue: String,
    /// Its place in the queue.
    #[serde(default)]
    pub offset: i64,
    /// How often it had failed before.
    pub reconsume_times: u32,
    /// The MD5 digest of its body.
    #[serde(default)]
    pub digest: Option<String>,
    /// When it was published, in milliseconds since the epoch.
    #[serde(default)]
    pub published_at: Option<u64>,
    /// When it was consumed for the first time.
    #[serde(default)]
    pub first_consumed_at: Option<u64>,
    /// When it will be consumed again, unless it is acknowledged.
    #[serde(default)]
    pub next_consumed_at: Option<u64>,
    /// When it arrived, in milliseconds since the epoch.
    pub at: u64,
}

/// A broker's question about a transaction.
#[derive(Clone, Debug, Deserialize)]
pub struct Checked {
    /// The name in the message's body.
    pub body: String,
    /// What the producer answered.
    pub verdict: String,
    /// The message's id, of clients that speak HTTP.
    #[serde(default)]
    pub id: Option<String>,
    /// When it was asked, in milliseconds since the epoch.
    pub at: u64,
}

/// What a push consumer holds.
#[derive(Clone, Debug, Deserialize)]
pub struct Assignment {
    /// Sorted, as `broker-a:0`.
    pub queues: Vec<String>,
    /// Since when, in milliseconds since the epoch.
    pub at: u64,
}
