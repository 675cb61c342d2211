//! The one table of request codes.
//!
//! A code that is not in it is answered with REQUEST_CODE_NOT_SUPPORTED and a remark that names it.
//! Field names are those of the reference's header classes (`SendMessageRequestHeaderV2`,
//! `PullMessageRequestHeader`, …). Required is only what Remora cannot serve the request without: what a
//! broker is asked, the broker judges.

use std::sync::LazyLock;

use remoting_codec::FieldKind::Text;
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
    /// What the broker asks another client first, for which it has 10 s. Tools of Java wait 5 s unless set otherwise; a
    /// broker that is asked directly answers no sooner.
    Client,
    /// What Java waits 3 s for (`ClientConfig.mqClientApiTimeout`; `ASYNC_TIMEOUT` of `DefaultMQPushConsumerImpl`).
    ///
    /// For an assignment it waits 1 s, then 2 s, then 3 s (`RebalanceImpl.tryQueryAssignment`). Silence has it ask again, and
    /// any error has it divide queues by itself from then on: so it is not answered sooner.
    General,
    /// Java waits 1 s for a lock (`MQClientAPIImpl.lockBatchMQ` as it is called by `RebalanceImpl.lock`).
    Lock,
    /// What Java waits 5 s for (offsets, messages sent back, `DefaultMQAdminExt`) or 6 s (`MQAdminImpl`).
    Offset,
    /// A search in the brokers' indexes: Java waits 18 s (`MQAdminImpl.queryMessage`).
    Search,
    /// A send: Java waits 3 s in all (`DefaultMQProducer.sendMsgTimeout`).
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
    /// `query_message`: relayed to every broker of the topic, and their answers shared out or joined.
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
    /// `bornTime`.
    pub const BORN_TIME: usize = 4;
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

/// Places of GET_ROUTEINFO_BY_TOPIC's fields.
pub mod route_field {
    /// `topic`.
    pub const TOPIC: usize = 0;
    /// `__ZONE_MODE`: whether the client wants brokers of its zone only.
    pub const ZONE_MODE: usize = 1;
    /// `__ZONE_NAME`: the client's zone.
    pub const ZONE_NAME: usize = 2;
}

/// A field that brokers judge, whether it is there and what it says. Remora reads what it understands of it.
const fn text(name: &'static str) -> FieldSpec {
    FieldSpec::optional(name, Text)
}

const SEND: &[FieldSpec] = &[
    text("bname"),
    text("topic"),
    text("producerGroup"),
    text("queueId"),
    text("sysFlag"),
    text("bornTimestamp"),
    text("flag"),
    text("defaultTopicQueueNums"),
    text("properties"),
];

/// The same fields in the short names of `SendMessageRequestHeaderV2`.
const SEND_V2: &[FieldSpec] = &[
    text("n"),
    text("b"),
    text("a"),
    text("e"),
    text("f"),
    text("g"),
    text("h"),
    text("d"),
    text("i"),
];

const PULL: &[FieldSpec] = &[
    text("bname"),
    text("topic"),
    text("consumerGroup"),
    text("sysFlag"),
    text("suspendTimeoutMillis"),
    text("queueId"),
    text("queueOffset"),
];

const QUEUE: &[FieldSpec] = &[text("bname"), text("topic"), text("queueId")];

const SEND_BACK: &[FieldSpec] = &[text("bname"), text("originTopic")];

const TOPIC_ONLY: &[FieldSpec] = &[text("bname"), text("topic")];

const CREATE_TOPIC: &[FieldSpec] = &[text("bname"), text("topic"), text("defaultTopic")];

/// POP_MESSAGE and NOTIFICATION.
const POP: &[FieldSpec] = &[
    text("bname"),
    text("topic"),
    text("consumerGroup"),
    text("pollTime"),
    text("bornTime"),
];

const RECEIPT: &[FieldSpec] = &[
    text("bname"),
    text("topic"),
    text("consumerGroup"),
    text("extraInfo"),
];

/// Every broker is asked: none is chosen by the group.
const NO_FIELDS: &[FieldSpec] = &[];

const UNREGISTER: &[FieldSpec] = &[
    text("clientID"),
    text("producerGroup"),
    text("consumerGroup"),
];

/// The group is what a broker is chosen by.
const GROUP: &[FieldSpec] = &[FieldSpec::required("consumerGroup", Text)];

const ROUTE: &[FieldSpec] = &[
    FieldSpec::required("topic", Text),
    text("__ZONE_MODE"),
    text("__ZONE_NAME"),
];

/// Every code that is served, in their order.
pub static TABLE: &[Row] = &[
    row(Code::SEND_MESSAGE, Processor::Send, SEND, Patience::Send),
    row(Code::PULL_MESSAGE, Processor::Pull, PULL, Patience::General).on(Class::Pull),
    row(
        Code::QUERY_MESSAGE,
        Processor::QueryMessage,
        TOPIC_ONLY,
        Patience::Search,
    )
    .on(Class::Bulk),
    row(
        Code::QUERY_CONSUMER_OFFSET,
        Processor::Relay,
        QUEUE,
        Patience::Offset,
    ),
    row(
        Code::UPDATE_CONSUMER_OFFSET,
        Processor::Relay,
        QUEUE,
        Patience::Offset,
    ),
    row(
        Code::UPDATE_AND_CREATE_TOPIC,
        Processor::CreateTopic,
        CREATE_TOPIC,
        Patience::Offset,
    )
    .by_master(),
    row(
        Code::SEARCH_OFFSET_BY_TIMESTAMP,
        Processor::Relay,
        QUEUE,
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
        TOPIC_ONLY,
        Patience::Offset,
    )
    .on(Class::Bulk),
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
        TOPIC_ONLY,
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
        NO_FIELDS,
        Patience::Offset,
    ),
    row(
        Code::GET_PRODUCER_CONNECTION_LIST,
        Processor::Connections,
        NO_FIELDS,
        Patience::Offset,
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
        Patience::Client,
    ),
    row(
        Code::CONSUME_MESSAGE_DIRECTLY,
        Processor::ConsumerList,
        GROUP,
        Patience::Client,
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
        TOPIC_ONLY,
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
    row(Code::NOTIFICATION, Processor::Pop, POP, Patience::General).on(Class::Pull),
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
