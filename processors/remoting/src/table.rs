//! The one table of request codes.
//!
//! A code that is not in it is answered with REQUEST_CODE_NOT_SUPPORTED and a remark that names it.
//! Field names are those of the reference's header classes (`SendMessageRequestHeaderV2`,
//! `PullMessageRequestHeader`, …). Required is only what Remora cannot serve the request without: what a
//! broker is asked, the broker judges.

mod fields;

use std::sync::LazyLock;

use messaging::Patience;
use remoting_codec::{FieldSpec, RequestCode as Code};
use route_cache::Class;

pub use self::fields::Field;
use self::fields::{
    BACK, CREATE, GROUP, NONE, POP, PULL, Places, QUEUE, RECEIPT, ROUTE, SEND, SEND_V2, TOPIC,
    UNREGISTER,
};

/// A request code, who serves it, and what there is to know of it.
#[derive(Debug)]
pub struct Row {
    /// The code.
    pub code: Code,
    /// Who serves it.
    pub processor: Processor,
    /// The ext fields that are read.
    pub fields: &'static [FieldSpec],
    places: Places,
    /// Which of a broker's connections it takes.
    pub class: Class,
    /// Whether only a master can do it.
    pub needs_master: bool,
    /// How long the broker may take.
    pub patience: Patience,
}

/// Who serves a request.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Processor {
    /// `admin_relay`: relayed to a name server or to the listener's broker, if that is set. Codes that have no row.
    Admin,
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

/// Which of the addresses of a broker can do it.
enum Needs {
    Any,
    Master,
}

macro_rules! table {
    ($($code:ident $processor:ident $columns:ident $class:ident $needs:ident $patience:ident;)*) => {
        /// Every code that is served, in their order.
        pub static TABLE: &[Row] = &[$(Row {
            code: Code::$code,
            processor: Processor::$processor,
            fields: $columns.specs,
            places: $columns.places,
            class: Class::$class,
            needs_master: matches!(Needs::$needs, Needs::Master),
            patience: Patience::$patience,
        }),*];
    };
}

table! {
    // code                         processor       fields     class   broker patience
    SEND_MESSAGE                    Send            SEND       Request Master Send;
    PULL_MESSAGE                    Pull            PULL       Pull    Any    General;
    QUERY_MESSAGE                   QueryMessage    TOPIC      Bulk    Any    Search;
    QUERY_CONSUMER_OFFSET           Relay           QUEUE      Request Any    Offset;
    UPDATE_CONSUMER_OFFSET          Relay           QUEUE      Request Any    Offset;
    UPDATE_AND_CREATE_TOPIC         CreateTopic     CREATE     Request Master Offset;
    SEARCH_OFFSET_BY_TIMESTAMP      Relay           QUEUE      Request Any    Offset;
    GET_MAX_OFFSET                  Relay           QUEUE      Request Any    Offset;
    GET_MIN_OFFSET                  Relay           QUEUE      Request Any    Offset;
    GET_EARLIEST_MSG_STORETIME      Relay           QUEUE      Request Any    Offset;
    VIEW_MESSAGE_BY_ID              Relay           TOPIC      Bulk    Any    Offset;
    HEART_BEAT                      Heartbeat       NONE       Request Any    General;
    UNREGISTER_CLIENT               Unregister      UNREGISTER Request Any    General;
    CONSUMER_SEND_MSG_BACK          Relay           BACK       Request Master Offset;
    END_TRANSACTION                 Relay           TOPIC      Request Master General;
    GET_CONSUMER_LIST_BY_GROUP      ConsumerList    GROUP      Request Any    General;
    CHECK_TRANSACTION_STATE         FromBroker      NONE       Request Any    General;
    NOTIFY_CONSUMER_IDS_CHANGED     FromBroker      NONE       Request Any    General;
    LOCK_BATCH_MQ                   LockBatch       NONE       Request Master Lock;
    UNLOCK_BATCH_MQ                 LockBatch       NONE       Request Master Lock;
    CHECK_CLIENT_CONFIG             ClientConfig    NONE       Request Any    General;
    GET_ROUTEINFO_BY_TOPIC          TopicRoute      ROUTE      Request Any    General;
    GET_CONSUMER_CONNECTION_LIST    Connections     NONE       Request Any    Offset;
    GET_PRODUCER_CONNECTION_LIST    Connections     NONE       Request Any    Offset;
    RESET_CONSUMER_CLIENT_OFFSET    FromBroker      NONE       Request Any    General;
    GET_CONSUMER_STATUS_FROM_CLIENT FromBroker      NONE       Request Any    General;
    GET_CONSUMER_RUNNING_INFO       ConsumerList    GROUP      Request Any    Client;
    CONSUME_MESSAGE_DIRECTLY        ConsumerList    GROUP      Request Any    Client;
    SEND_MESSAGE_V2                 Send            SEND_V2    Request Master Send;
    SEND_BATCH_MESSAGE              Send            SEND_V2    Request Master Send;
    SEND_REPLY_MESSAGE              Send            SEND       Request Master Send;
    SEND_REPLY_MESSAGE_V2           Send            SEND_V2    Request Master Send;
    PUSH_REPLY_MESSAGE_TO_CLIENT    FromBroker      NONE       Request Any    General;
    LITE_PULL_MESSAGE               Pull            PULL       Pull    Any    General;
    RECALL_MESSAGE                  Relay           TOPIC      Request Master Send;
    QUERY_ASSIGNMENT                QueryAssignment NONE       Request Any    General;
    POP_MESSAGE                     Pop             POP        Pull    Any    General;
    ACK_MESSAGE                     Receipt         RECEIPT    Request Any    General;
    PEEK_MESSAGE                    Relay           QUEUE      Pull    Any    General;
    CHANGE_MESSAGE_INVISIBLETIME    Receipt         RECEIPT    Request Any    General;
    NOTIFICATION                    Pop             POP        Pull    Any    General;
    POLLING_INFO                    Relay           QUEUE      Request Any    General;
    BATCH_ACK_MESSAGE               BatchAck        NONE       Request Any    General;
}

/// What is known of a code that has no row.
pub(crate) static UNLISTED: Row = Row {
    code: Code(0),
    processor: Processor::Admin,
    fields: NONE.specs,
    places: NONE.places,
    class: Class::Request,
    needs_master: false,
    patience: Patience::Offset,
};

impl Row {
    /// The declaration of that field, if the code has it.
    pub(crate) fn spec(&self, field: Field) -> Option<&'static FieldSpec> {
        self.fields.get(self.field(field))
    }

    /// Where in `fields` that field is; behind their end, if the code does not have it.
    #[inline]
    pub(crate) fn field(&self, field: Field) -> usize {
        self.places.of_field(field)
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
            assert!(
                row.spec(Field::Topic)
                    .is_none_or(|spec| { matches!(spec.name, "topic" | "b" | "originTopic") })
            );
            let broker = row.spec(Field::Broker);
            assert!(broker.is_none_or(|spec| matches!(spec.name, "bname" | "n")));
        }
        assert!(Row::find(Code(9999)).is_none());
    }
}
