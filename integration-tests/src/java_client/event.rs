//! What the Java client reports; the other side is `Events.java`.

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
        /// What it found out.
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
    /// When the send was begun, in milliseconds since the epoch.
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
    /// When the send was begun.
    pub started_at: u64,
    /// When it had failed.
    pub at: u64,
}

/// A message that arrived.
#[derive(Clone, Debug, Deserialize)]
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
    pub shard: Option<String>,
    /// The unique id that the producer gave it.
    pub id: String,
    /// Broker name and queue id, as `broker-a:0`.
    pub queue: String,
    /// Its place in the queue.
    pub offset: i64,
    /// How often it had failed before.
    pub reconsume_times: u32,
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
