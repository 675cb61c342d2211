//! Names of properties that brokers and clients know (`MessageConst`). An application may use any
//! other.

/// Declares the constants and the list of them together, so that they cannot drift apart.
macro_rules! properties {
    ($($(#[$doc:meta])* $name:ident = $text:literal;)*) => {
        $($(#[$doc])* pub const $name: &str = $text;)*

        const KNOWN: &[&str] = &[$($text),*];
    };
}

properties! {
    /// Keys by which the message can be searched, separated by spaces.
    KEYS = "KEYS";
    /// The tag by which consumers filter.
    TAGS = "TAGS";
    /// `false`: the producer is answered before the message is safe on disk and at slaves.
    WAIT = "WAIT";
    /// The id that its producer has given the message: [`UniqueId`](super::UniqueId) from most
    /// clients, any text from others.
    UNIQ_KEY = "UNIQ_KEY";
    /// Messages with the same value are stored and consumed in order.
    SHARDING_KEY = "__SHARDINGKEY";
    /// The lite topic of the message, below its topic; from 5.5 on.
    LITE_TOPIC = "__LITE_TOPIC";
    /// The message's priority, a number; from 5.5 on.
    PRIORITY = "_SYS_MSG_PRIORITY_";
    /// The trace that the message belongs to, as its producer writes it.
    TRACE_CONTEXT = "TRACE_CONTEXT";
    /// Region of the broker, for tracing.
    MSG_REGION = "MSG_REGION";
    /// `false`: the client must not trace this message.
    TRACE_ON = "TRACE_ON";
    /// The namespace, where it is a part of the names of topics and groups.
    INSTANCE_ID = "INSTANCE_ID";
    /// The producer's address, written by a proxy, because the broker sees that of the proxy:
    /// `host:port`.
    BORN_HOST = "__BORNHOST";
    /// When it was made, written by a proxy: milliseconds since 1970.
    BORN_TIMESTAMP = "BORN_TIMESTAMP";
    /// Checksum of properties and body, which the broker writes after all others if configured
    /// (`MessageDecoder.createCrc32`).
    CRC32 = "__CRC32#";

    /// Delay level, 1 to 18. It takes precedence over the timers.
    DELAY = "DELAY";
    /// The time of delivery: milliseconds since 1970.
    TIMER_DELIVER_MS = "TIMER_DELIVER_MS";
    /// The delay of its delivery in seconds.
    TIMER_DELAY_SEC = "TIMER_DELAY_SEC";
    /// The delay of its delivery in milliseconds.
    TIMER_DELAY_MS = "TIMER_DELAY_MS";
    /// When the broker's timer delivers it, written by the broker: milliseconds since 1970.
    TIMER_OUT_MS = "TIMER_OUT_MS";
    /// When its timer started, written by the broker: milliseconds since 1970.
    TIMER_ENQUEUE_MS = "TIMER_ENQUEUE_MS";
    /// When its timer ended, written by the broker: milliseconds since 1970.
    TIMER_DEQUEUE_MS = "TIMER_DEQUEUE_MS";
    /// Cancels the timer of another message, given by its [`UNIQ_KEY`].
    TIMER_DEL_UNIQKEY = "TIMER_DEL_UNIQKEY";
    /// How often a timer beyond the broker's maximum was set again, written by the broker.
    TIMER_ROLL_TIMES = "TIMER_ROLL_TIMES";
    /// Delay level of a message that the timer keeps, written by the broker.
    TIMER_DELAY_LEVEL = "TIMER_DELAY_LEVEL";

    /// `true`: a message that is or was a half message; [`SysFlag`](super::SysFlag::transaction)
    /// distinguishes them.
    TRAN_MSG = "TRAN_MSG";
    /// The producer's group, which a broker asks for the outcome of a half message.
    PGROUP = "PGROUP";
    /// For how many seconds the broker does not check a half message.
    CHECK_IMMUNITY_TIME_IN_SECONDS = "CHECK_IMMUNITY_TIME_IN_SECONDS";
    /// How often the broker has checked it.
    TRANSACTION_CHECK_TIMES = "TRANSACTION_CHECK_TIMES";
    /// Queue offset of the half message of which this one is a copy, made for another check.
    TRAN_PREPARED_QUEUE_OFFSET = "TRAN_PREPARED_QUEUE_OFFSET";
    /// `transactionId` of the answer to a half message, which Java's producer adds to its own copy
    /// after the send (`DefaultMQProducerImpl.sendMessageInTransaction`).
    TRANSACTION_ID = "__transactionId__";

    /// Topic of a message that its broker keeps in an internal topic until it is due or committed.
    REAL_TOPIC = "REAL_TOPIC";
    /// Queue of such a message.
    REAL_QID = "REAL_QID";
    /// Original topic of a message in a retry topic.
    RETRY_TOPIC = "RETRY_TOPIC";
    /// [`OffsetMessageId`](super::OffsetMessageId) or unique id of the message that a retry was
    /// made of.
    ORIGIN_MESSAGE_ID = "ORIGIN_MESSAGE_ID";
    /// How often consumption of the message has failed, when the client itself sends it to the
    /// retry topic.
    RECONSUME_TIME = "RECONSUME_TIME";
    /// After how many failures it becomes a dead letter.
    MAX_RECONSUME_TIMES = "MAX_RECONSUME_TIMES";
    /// Topic of a dead letter.
    DLQ_ORIGIN_TOPIC = "DLQ_ORIGIN_TOPIC";
    /// Id of the message that became a dead letter.
    DLQ_ORIGIN_MESSAGE_ID = "DLQ_ORIGIN_MESSAGE_ID";

    /// The [`Receipt`](super::Receipt) of a popped message, if the broker has written it. It takes
    /// precedence over the answer's header. Brokers remove it from messages of producers.
    POP_CK = "POP_CK";
    /// The group that a retry by POP is for, written by brokers from 5.5 on.
    ORIGIN_GROUP = "ORIGIN_GROUP";
    /// Queue offset of the checkpoint that a retry was made by.
    POP_CK_OFFSET = "POP_CK_OFFSET";
    /// When the message was popped first: milliseconds since 1970, by the broker's clock.
    FIRST_POP_TIME = "1ST_POP_TIME";

    /// Ties a reply to its request.
    CORRELATION_ID = "CORRELATION_ID";
    /// Id of the client that waits for the reply; it makes a message a request.
    REPLY_TO_CLIENT = "REPLY_TO_CLIENT";
    /// For how many milliseconds the client waits for the reply.
    TTL = "TTL";
    /// `reply` in a reply.
    MSG_TYPE = "MSG_TYPE";
    /// Name of the cluster, written by the broker. The reply to a request is sent to that cluster's
    /// reply topic.
    CLUSTER = "CLUSTER";
    /// When the broker got the reply: milliseconds since 1970.
    ARRIVE_TIME = "ARRIVE_TIME";
    /// When the broker forwarded the reply: milliseconds since 1970.
    PUSH_REPLY_TIME = "PUSH_REPLY_TIME";

    /// How many messages an inner batch has.
    INNER_NUM = "INNER_NUM";
    /// Queue offset of the first message of an inner batch.
    INNER_BASE = "INNER_BASE";
    /// Further queues that the message is in, separated by commas.
    INNER_MULTI_DISPATCH = "INNER_MULTI_DISPATCH";
    /// Its offset in each of these, separated by commas.
    INNER_MULTI_QUEUE_OFFSET = "INNER_MULTI_QUEUE_OFFSET";
}

/// Reserved names that Remora does not use.
const OTHERS: [&str; 14] = [
    "BUYER_ID",
    "CONSUME_START_TIME",
    "CORRECTION_FLAG",
    "DUP_INFO",
    "EXTEND_UNIQ_INFO",
    "MAX_OFFSET",
    "MIN_OFFSET",
    "MQ2_FLAG",
    "PROPERTY_FORWARD_QUEUE_ID",
    "REDIRECT",
    "TIMER_ROLL_LABEL",
    "TRANSFER_FLAG",
    "TRANS_OFFSET",
    "__STARTDELIVERTIME",
];

/// The prefix of the names of properties that brokers do not store
/// (`MessageConst.PROPERTY_TRANSIENT_PREFIX`).
const TRANSIENT: &str = "__RMQ.TRANSIENT.";

/// Whether brokers or clients give the name a meaning (`MessageConst.STRING_HASH_SET`, and the
/// names that are missing there): an application that uses it for its own purpose changes the
/// treatment of its message.
#[must_use]
pub fn is_reserved(name: &str) -> bool {
    KNOWN.contains(&name) || OTHERS.contains(&name) || name.starts_with(TRANSIENT)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reserved_names_are_known() {
        for name in [
            KEYS,
            SHARDING_KEY,
            "MQ2_FLAG",
            "__RMQ.TRANSIENT.TOPIC_SYS_FLAG",
        ] {
            assert!(is_reserved(name), "{name}");
        }
        for name in ["", "keys", "color"] {
            assert!(!is_reserved(name), "{name}");
        }
    }
}
