//! The one table of request codes.
//!
//! A code that is not in it is answered with REQUEST_CODE_NOT_SUPPORTED and a remark that names it.
//! Field names and what is required are those of the reference's header classes
//! (`SendMessageRequestHeaderV2`, `PullMessageRequestHeader`, …); required here is what a broker fails
//! without.

use remoting_codec::FieldKind::{Int, Long, Text};
use remoting_codec::{FieldSpec, RequestCode as Code};
use route_cache::Class;

/// A request code, who serves it, and what there is to know of it.
#[derive(Debug)]
pub struct Row {
    /// The code.
    pub code: Code,
    /// Who serves it.
    pub processor: Processor,
    /// The ext fields that are read. A relayed request has the broker's name at [`BROKER`] and the
    /// topic at [`TOPIC`].
    pub fields: &'static [FieldSpec],
    /// Which of a broker's connections it takes.
    pub class: Class,
    /// Whether only a master can do it.
    pub needs_master: bool,
    /// How long the broker may take.
    pub patience: Patience,
}

/// Kinds of requests by how long clients wait for an answer; [`crate::Settings`] has the times. A
/// request is answered a little before its client gives up, for a Java client that waits in vain
/// closes its connection, and with it all of its long polls. A pull says itself how long it may take.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Patience {
    /// What Java waits 3 s for.
    General,
    /// Java waits 1 s for a lock.
    Lock,
    /// What Java waits 5 s for, or more.
    Offset,
    /// A send: Java waits 3 s in all.
    Send,
}

/// Who serves a request.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Processor {
    /// `client_config`: relayed to a broker of the topic that the body names.
    ClientConfig,
    /// `consumer_list`: relayed to a broker that knows the group.
    ConsumerList,
    /// `push`: brokers ask clients this; a client that asks it is refused.
    FromBroker,
    /// `heartbeat`: relayed on the client's lanes.
    Heartbeat,
    /// `lock_batch`: relayed to the broker that the body names.
    LockBatch,
    /// `pull`: relayed once the broker knows the consumer.
    Pull,
    /// `relay`: relayed to the broker that the header names.
    Relay,
    /// `send`: relayed, and the broker gets to know the producer.
    Send,
    /// `topic_route`: answered here.
    TopicRoute,
    /// `unregister`: relayed on the client's lanes.
    Unregister,
}

/// Where a relayed request's broker name stands among its fields.
pub const BROKER: usize = 0;
/// Where a relayed request's topic stands among its fields.
pub const TOPIC: usize = 1;

/// Places of PULL_MESSAGE's own fields.
pub mod pull_field {
    /// `consumerGroup`.
    pub const GROUP: usize = 2;
    /// `sysFlag`.
    pub const SYS_FLAG: usize = 3;
    /// `suspendTimeoutMillis`.
    pub const SUSPEND: usize = 4;
}

const SEND: &[FieldSpec] = &[
    FieldSpec::optional("bname", Text),
    FieldSpec::required("topic", Text),
    FieldSpec::required("producerGroup", Text),
    FieldSpec::required("queueId", Int),
    FieldSpec::required("sysFlag", Int),
    FieldSpec::required("bornTimestamp", Long),
    FieldSpec::required("flag", Int),
    FieldSpec::optional("defaultTopicQueueNums", Int),
];

/// The same fields in the short names of `SendMessageRequestHeaderV2`.
const SEND_V2: &[FieldSpec] = &[
    FieldSpec::optional("n", Text),
    FieldSpec::required("b", Text),
    FieldSpec::required("a", Text),
    FieldSpec::required("e", Int),
    FieldSpec::required("f", Int),
    FieldSpec::required("g", Long),
    FieldSpec::required("h", Int),
    FieldSpec::optional("d", Int),
];

const PULL: &[FieldSpec] = &[
    FieldSpec::optional("bname", Text),
    FieldSpec::required("topic", Text),
    FieldSpec::required("consumerGroup", Text),
    FieldSpec::required("sysFlag", Int),
    FieldSpec::optional("suspendTimeoutMillis", Long),
    FieldSpec::required("queueId", Int),
    FieldSpec::required("queueOffset", Long),
    FieldSpec::required("maxMsgNums", Int),
];

const QUEUE: &[FieldSpec] = &[
    FieldSpec::optional("bname", Text),
    FieldSpec::required("topic", Text),
    FieldSpec::required("queueId", Int),
];

const QUEUE_AT_TIME: &[FieldSpec] = &[
    FieldSpec::optional("bname", Text),
    FieldSpec::required("topic", Text),
    FieldSpec::required("queueId", Int),
    FieldSpec::required("timestamp", Long),
];

const QUERY_OFFSET: &[FieldSpec] = &[
    FieldSpec::optional("bname", Text),
    FieldSpec::required("topic", Text),
    FieldSpec::required("consumerGroup", Text),
    FieldSpec::required("queueId", Int),
];

const UPDATE_OFFSET: &[FieldSpec] = &[
    FieldSpec::optional("bname", Text),
    FieldSpec::required("topic", Text),
    FieldSpec::required("consumerGroup", Text),
    FieldSpec::required("queueId", Int),
    FieldSpec::required("commitOffset", Long),
];

const SEND_BACK: &[FieldSpec] = &[
    FieldSpec::optional("bname", Text),
    FieldSpec::optional("originTopic", Text),
    FieldSpec::required("group", Text),
    FieldSpec::required("offset", Long),
    FieldSpec::required("delayLevel", Int),
];

const UNREGISTER: &[FieldSpec] = &[
    FieldSpec::required("clientID", Text),
    FieldSpec::optional("producerGroup", Text),
    FieldSpec::optional("consumerGroup", Text),
];

const GROUP: &[FieldSpec] = &[FieldSpec::required("consumerGroup", Text)];

const ROUTE: &[FieldSpec] = &[FieldSpec::required("topic", Text)];

/// Every code that is served, in their order.
pub static TABLE: &[Row] = &[
    row(Code::SEND_MESSAGE, Processor::Send, SEND, Patience::Send),
    row(Code::PULL_MESSAGE, Processor::Pull, PULL, Patience::General).on(Class::Pull),
    row(
        Code::QUERY_CONSUMER_OFFSET,
        Processor::Relay,
        QUERY_OFFSET,
        Patience::Offset,
    ),
    row(
        Code::UPDATE_CONSUMER_OFFSET,
        Processor::Relay,
        UPDATE_OFFSET,
        Patience::Offset,
    ),
    row(
        Code::SEARCH_OFFSET_BY_TIMESTAMP,
        Processor::Relay,
        QUEUE_AT_TIME,
        Patience::Offset,
    ),
    row(
        Code::GET_MAX_OFFSET,
        Processor::Relay,
        QUEUE,
        Patience::Offset,
    ),
    row(
        Code::GET_MIN_OFFSET,
        Processor::Relay,
        QUEUE,
        Patience::Offset,
    ),
    row(
        Code::GET_EARLIEST_MSG_STORETIME,
        Processor::Relay,
        QUEUE,
        Patience::Offset,
    ),
    row(
        Code::HEART_BEAT,
        Processor::Heartbeat,
        &[],
        Patience::General,
    ),
    row(
        Code::UNREGISTER_CLIENT,
        Processor::Unregister,
        UNREGISTER,
        Patience::General,
    ),
    row(
        Code::CONSUMER_SEND_MSG_BACK,
        Processor::Relay,
        SEND_BACK,
        Patience::Offset,
    )
    .by_master(),
    row(
        Code::GET_CONSUMER_LIST_BY_GROUP,
        Processor::ConsumerList,
        GROUP,
        Patience::General,
    ),
    row(
        Code::NOTIFY_CONSUMER_IDS_CHANGED,
        Processor::FromBroker,
        &[],
        Patience::General,
    ),
    row(
        Code::LOCK_BATCH_MQ,
        Processor::LockBatch,
        &[],
        Patience::Lock,
    )
    .by_master(),
    row(
        Code::UNLOCK_BATCH_MQ,
        Processor::LockBatch,
        &[],
        Patience::Lock,
    )
    .by_master(),
    row(
        Code::CHECK_CLIENT_CONFIG,
        Processor::ClientConfig,
        &[],
        Patience::General,
    ),
    row(
        Code::GET_ROUTEINFO_BY_TOPIC,
        Processor::TopicRoute,
        ROUTE,
        Patience::General,
    ),
    row(
        Code::SEND_MESSAGE_V2,
        Processor::Send,
        SEND_V2,
        Patience::Send,
    ),
    row(
        Code::SEND_BATCH_MESSAGE,
        Processor::Send,
        SEND_V2,
        Patience::Send,
    ),
    row(
        Code::LITE_PULL_MESSAGE,
        Processor::Pull,
        PULL,
        Patience::General,
    )
    .on(Class::Pull),
];

const fn row(
    code: Code,
    processor: Processor,
    fields: &'static [FieldSpec],
    patience: Patience,
) -> Row {
    Row {
        code,
        processor,
        fields,
        class: Class::Request,
        needs_master: matches!(processor, Processor::Send),
        patience,
    }
}

impl Row {
    const fn on(mut self, class: Class) -> Self {
        self.class = class;
        self
    }

    const fn by_master(mut self) -> Self {
        self.needs_master = true;
        self
    }

    /// The row of that code, if it is served.
    #[must_use]
    pub fn find(code: Code) -> Option<&'static Self> {
        let at = TABLE.binary_search_by_key(&code, |row| row.code).ok()?;
        TABLE.get(at)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use remoting_codec::MAX_FIELDS;

    #[test]
    fn every_row_is_found_and_named() {
        for row in TABLE {
            assert!(std::ptr::eq(Row::find(row.code).unwrap(), row));
            assert!(row.code.name().is_some());
            assert!(row.fields.len() <= MAX_FIELDS);
        }
        assert!(Row::find(Code(9999)).is_none());
    }
}
