//! The one table of request codes.
//!
//! A code that is not in it is answered with REQUEST_CODE_NOT_SUPPORTED and a remark that names it.
//! Field names and what is required are those of the reference's header classes
//! (`SendMessageRequestHeaderV2`, `PullMessageRequestHeader`, …); required here is what a broker fails
//! without.

use std::sync::LazyLock;

use remoting_codec::FieldKind::{Int, Long, Text};
use remoting_codec::{FieldSpec, Fields, RequestCode as Code};
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
    /// `batch_ack`: relayed to the broker that the body names.
    BatchAck,
    /// `client_config`: relayed to a broker of the topic that the body names.
    ClientConfig,
    /// `connections`: relayed to every broker, and their answers joined.
    Connections,
    /// `create_topic`: relayed to every broker of the route.
    CreateTopic,
    /// `consumer_list`: relayed to a broker that knows the group.
    ConsumerList,
    /// `push`: brokers ask clients this; a client that asks it is refused.
    FromBroker,
    /// `heartbeat`: relayed on the client's lanes.
    Heartbeat,
    /// `lock_batch`: relayed to the broker that the body names.
    LockBatch,
    /// `pop`: relayed once the broker knows the consumer; what nobody takes any more is given back.
    Pop,
    /// `pull`: relayed once the broker knows the consumer.
    Pull,
    /// `query_message`: the n-th of the same goes to the n-th broker.
    QueryMessage,
    /// `assignment`: relayed to a broker of the topic that knows the group.
    QueryAssignment,
    /// `receipt`: relayed to the broker that the header or its receipt names.
    Receipt,
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

/// Places of a send's own fields.
pub mod send_field {
    /// `producerGroup`, `a`.
    pub const GROUP: usize = 2;
    /// `queueId`, `e`.
    pub const QUEUE: usize = 3;
    /// `sysFlag`, `f`.
    pub const SYS_FLAG: usize = 4;
    /// `properties`, `i`.
    pub const PROPERTIES: usize = 8;
}

/// Places of the own fields of POP_MESSAGE and its kin.
pub mod pop_field {
    /// `consumerGroup`.
    pub const GROUP: usize = 2;
    /// `pollTime`.
    pub const POLL_TIME: usize = 3;
    /// `extraInfo` of a receipt.
    pub const EXTRA_INFO: usize = 3;
}

/// Places of PULL_MESSAGE's own fields.
pub mod pull_field {
    /// `consumerGroup`.
    pub const GROUP: usize = 2;
    /// `sysFlag`.
    pub const SYS_FLAG: usize = 3;
    /// `suspendTimeoutMillis`.
    pub const SUSPEND: usize = 4;
    /// `queueId`.
    pub const QUEUE: usize = 5;
    /// `queueOffset`.
    pub const QUEUE_OFFSET: usize = 6;
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
    FieldSpec::optional("properties", Text),
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
    FieldSpec::optional("i", Text),
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

const END_TRANSACTION: &[FieldSpec] = &[
    FieldSpec::optional("bname", Text),
    FieldSpec::optional("topic", Text),
    FieldSpec::required("producerGroup", Text),
    FieldSpec::required("tranStateTableOffset", Long),
    FieldSpec::required("commitLogOffset", Long),
    FieldSpec::required("commitOrRollback", Int),
];

const RECALL: &[FieldSpec] = &[
    FieldSpec::optional("bname", Text),
    FieldSpec::required("topic", Text),
    FieldSpec::required("recallHandle", Text),
];

const VIEW: &[FieldSpec] = &[
    FieldSpec::optional("bname", Text),
    FieldSpec::optional("topic", Text),
    FieldSpec::required("offset", Long),
];

const QUERY: &[FieldSpec] = &[
    FieldSpec::optional("bname", Text),
    FieldSpec::required("topic", Text),
    FieldSpec::required("key", Text),
    FieldSpec::required("maxNum", Int),
    FieldSpec::required("beginTimestamp", Long),
    FieldSpec::required("endTimestamp", Long),
];

const CREATE_TOPIC: &[FieldSpec] = &[
    FieldSpec::optional("bname", Text),
    FieldSpec::required("topic", Text),
    FieldSpec::optional("defaultTopic", Text),
];

const POP: &[FieldSpec] = &[
    FieldSpec::optional("bname", Text),
    FieldSpec::required("topic", Text),
    FieldSpec::required("consumerGroup", Text),
    FieldSpec::required("pollTime", Long),
    FieldSpec::required("queueId", Int),
    FieldSpec::required("maxMsgNums", Int),
    FieldSpec::required("invisibleTime", Long),
];

const NOTIFICATION: &[FieldSpec] = &[
    FieldSpec::optional("bname", Text),
    FieldSpec::required("topic", Text),
    FieldSpec::required("consumerGroup", Text),
    FieldSpec::required("pollTime", Long),
    FieldSpec::required("queueId", Int),
];

const RECEIPT: &[FieldSpec] = &[
    FieldSpec::optional("bname", Text),
    FieldSpec::required("topic", Text),
    FieldSpec::required("consumerGroup", Text),
    FieldSpec::required("extraInfo", Text),
    FieldSpec::required("queueId", Int),
    FieldSpec::required("offset", Long),
];

const PRODUCER_GROUP: &[FieldSpec] = &[FieldSpec::required("producerGroup", Text)];

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
        Code::QUERY_MESSAGE,
        Processor::QueryMessage,
        QUERY,
        Patience::Offset,
    ),
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
        Code::UPDATE_AND_CREATE_TOPIC,
        Processor::CreateTopic,
        CREATE_TOPIC,
        Patience::General,
    )
    .by_master(),
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
        Code::VIEW_MESSAGE_BY_ID,
        Processor::Relay,
        VIEW,
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
        Code::END_TRANSACTION,
        Processor::Relay,
        END_TRANSACTION,
        Patience::General,
    )
    .by_master(),
    row(
        Code::GET_CONSUMER_LIST_BY_GROUP,
        Processor::ConsumerList,
        GROUP,
        Patience::General,
    ),
    row(
        Code::CHECK_TRANSACTION_STATE,
        Processor::FromBroker,
        &[],
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
        Code::GET_CONSUMER_CONNECTION_LIST,
        Processor::Connections,
        GROUP,
        Patience::General,
    ),
    row(
        Code::GET_PRODUCER_CONNECTION_LIST,
        Processor::Connections,
        PRODUCER_GROUP,
        Patience::General,
    ),
    row(
        Code::RESET_CONSUMER_CLIENT_OFFSET,
        Processor::FromBroker,
        &[],
        Patience::General,
    ),
    row(
        Code::GET_CONSUMER_STATUS_FROM_CLIENT,
        Processor::FromBroker,
        &[],
        Patience::General,
    ),
    row(
        Code::GET_CONSUMER_RUNNING_INFO,
        Processor::ConsumerList,
        GROUP,
        Patience::General,
    ),
    row(
        Code::CONSUME_MESSAGE_DIRECTLY,
        Processor::ConsumerList,
        GROUP,
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
        Code::SEND_REPLY_MESSAGE,
        Processor::Send,
        SEND,
        Patience::Send,
    ),
    row(
        Code::SEND_REPLY_MESSAGE_V2,
        Processor::Send,
        SEND_V2,
        Patience::Send,
    ),
    row(
        Code::PUSH_REPLY_MESSAGE_TO_CLIENT,
        Processor::FromBroker,
        &[],
        Patience::General,
    ),
    row(
        Code::LITE_PULL_MESSAGE,
        Processor::Pull,
        PULL,
        Patience::General,
    )
    .on(Class::Pull),
    row(
        Code::RECALL_MESSAGE,
        Processor::Relay,
        RECALL,
        Patience::Send,
    )
    .by_master(),
    row(
        Code::QUERY_ASSIGNMENT,
        Processor::QueryAssignment,
        &[],
        Patience::General,
    ),
    row(Code::POP_MESSAGE, Processor::Pop, POP, Patience::General).on(Class::Pull),
    row(
        Code::ACK_MESSAGE,
        Processor::Receipt,
        RECEIPT,
        Patience::General,
    ),
    row(
        Code::PEEK_MESSAGE,
        Processor::Relay,
        QUEUE,
        Patience::General,
    )
    .on(Class::Pull),
    row(
        Code::CHANGE_MESSAGE_INVISIBLETIME,
        Processor::Receipt,
        RECEIPT,
        Patience::General,
    ),
    row(
        Code::NOTIFICATION,
        Processor::Pop,
        NOTIFICATION,
        Patience::General,
    )
    .on(Class::Pull),
    row(
        Code::POLLING_INFO,
        Processor::Relay,
        QUEUE,
        Patience::General,
    ),
    row(
        Code::BATCH_ACK_MESSAGE,
        Processor::BatchAck,
        &[],
        Patience::General,
    ),
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

    /// The queue that a request is for, if it says so.
    pub(crate) fn queue_of(&self, fields: &Fields<'_>) -> Option<i32> {
        let is_queue = |spec: &FieldSpec| matches!(spec.name, "queueId" | "e");
        fields.value(self.fields.iter().position(is_queue)?)?.int()
    }

    /// The row of that code, if it is served.
    #[must_use]
    pub fn find(code: Code) -> Option<&'static Self> {
        TABLE.get(Self::place(code)?)
    }

    /// Where in the table that row is.
    #[must_use]
    pub fn place(code: Code) -> Option<usize> {
        // Nearly all codes are small: those are looked up, which is done twice for every request.
        const SMALL: usize = 512;
        static PLACES: LazyLock<[u8; SMALL]> = LazyLock::new(|| {
            std::array::from_fn(|code| {
                let place = TABLE.binary_search_by_key(&(code as i32), |row| row.code.0);
                place.map_or(u8::MAX, |place| place as u8)
            })
        });
        match usize::try_from(code.0) {
            Ok(small @ 0..SMALL) => {
                let place = usize::from(*PLACES.get(small)?);
                (place < TABLE.len()).then_some(place)
            }
            _ => TABLE.binary_search_by_key(&code, |row| row.code).ok(),
        }
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
