//! The limits that can be configured.

use std::time::Duration;

/// What a call may ask for at most. The defaults are those of the Java proxy 5.5.0 (`ProxyConfig`).
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Limits {
    /// Most bytes of a message's body, as it is sent (`maxMessageSize`).
    pub body: usize,
    /// Most properties of the application's own that a message may have (`userPropertyMaxNum`).
    pub user_properties: usize,
    /// Most bytes that these, the tag and the keys may have together (`maxUserPropertySize`).
    pub properties_size: usize,
    /// A message group must have fewer bytes than this (`maxMessageGroupSize`).
    pub message_group: usize,
    /// Most bytes of a lite topic's name (`maxLiteTopicSize`).
    pub lite_topic: usize,
    /// How far away a delivery may be (`maxDelayTimeMills`). Brokers have a limit of their own
    /// (`timerMaxDelaySec`, 3 days).
    pub delay: Duration,
    /// For how long a broker may be kept from asking what becomes of a transaction
    /// (`maxTransactionRecoverySecond`).
    pub recovery: Duration,
    /// The shortest invisible time that can be received with (`minInvisibleTimeMillsForRecv`).
    pub min_invisible: Duration,
    /// The longest invisible time (`maxInvisibleTimeMills`).
    pub max_invisible: Duration,
    /// The shortest poll (`grpcClientConsumerMinLongPollingTimeoutMillis`).
    pub min_poll: Duration,
    /// The longest poll (`grpcClientConsumerMaxLongPollingTimeoutMillis`).
    pub max_poll: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        const MINUTE: Duration = Duration::from_mins(1);
        Self {
            body: 4 << 20,
            user_properties: 128,
            properties_size: 16 << 10,
            message_group: 64,
            lite_topic: 64,
            delay: 24 * 60 * MINUTE,
            recovery: 60 * MINUTE,
            min_invisible: Duration::from_secs(10),
            max_invisible: 12 * 60 * MINUTE,
            min_poll: Duration::from_secs(5),
            max_poll: Duration::from_secs(20),
        }
    }
}
