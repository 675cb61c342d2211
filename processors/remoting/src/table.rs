//! The table of request codes.
//!
//! A code without a row is answered with REQUEST_CODE_NOT_SUPPORTED and a remark that names it.
//! Field names are those of the reference's header classes (`SendMessageRequestHeaderV2`,
//! `PullMessageRequestHeader`, …). A field is required only if Remora cannot serve the request
//! without it: all other fields are validated by the broker.

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

/// A request code, its processor, and the properties that relaying depends on.
#[derive(Debug)]
pub struct Row {
    /// The request code, by which a row is found.
    pub code: Code,
    /// The processor that serves the code; several codes may share one.
    pub processor: Processor,
    /// The ext fields that Remora reads.
    pub fields: &'static [FieldSpec],
    places: Places,
    /// The kind of data connection that it uses.
    pub class: Class,
    /// Whether only a master can serve it. Otherwise a slave does while there is no master.
    pub needs_master: bool,
    /// The timeout of the broker's answer.
    pub patience: Patience,
}

/// The processor of a request, by module.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Processor {
    /// `admin_relay`: relayed to a name server or to the listener's broker, if `admin_relay` is
    /// enabled. Serves the codes that have no row.
    Admin,
    /// `batch_ack`: relayed to the broker that the body names.
    BatchAck,
    /// `client_config`: relayed to a broker of the topic that the body names.
    ClientConfig,
    /// `connections`: relayed to every broker, and the answers joined.
    Connections,
    /// `create_topic`: relayed to every broker of the route.
    CreateTopic,
    /// `consumer_list`: relayed to a broker that knows the group.
    ConsumerList,
    /// `push`: only brokers send this, to clients; refused if a client sends it.
    FromBroker,
    /// `heartbeat`: relayed on the client's lanes.
    Heartbeat,
    /// `lock_batch`: relayed to the broker that the body names.
    LockBatch,
    /// `pop`: relayed once the broker knows the consumer; messages that no client can take any more
    /// are given back.
    Pop,
    /// `pull`: relayed once the broker knows the consumer.
    Pull,
    /// `query_message`: relayed to every broker of the topic, and the answers distributed or
    /// joined.
    QueryMessage,
    /// `assignment`: relayed to a broker of the topic that knows the group.
    QueryAssignment,
    /// `receipt`: relayed to the broker that the header or its receipt names.
    Receipt,
    /// `relay`: relayed to the broker that the header names.
    Relay,
    /// `send`: relayed, and the producer is registered at the broker.
    Send,
    /// `topic_route`: answered by Remora.
    TopicRoute,
    /// `unregister`: relayed on the client's lanes.
    Unregister,
}

/// Which addresses of a broker can serve a request.
enum Needs {
    Any,
    Master,
}

macro_rules! table {
    ($($code:ident $processor:ident $columns:ident $class:ident $needs:ident $patience:ident;)*) => {
        /// Every code that is served, in ascending order.
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

/// The row that stands for every code without a row.
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
    /// The declaration of the field, if the code has it.
    pub(crate) fn spec(&self, field: Field) -> Option<&'static FieldSpec> {
        self.fields.get(self.field(field))
    }

    /// The index of the field in `fields`; past their end, if the code does not have it.
    #[inline]
    pub(crate) fn field(&self, field: Field) -> usize {
        self.places.of_field(field)
    }

    /// The row of the code, if it is served.
    #[must_use]
    pub fn find(code: Code) -> Option<&'static Self> {
        TABLE.get(Self::place(code)?)
    }

    /// The index of the code's row in the table.
    #[must_use]
    pub fn place(code: Code) -> Option<usize> {
        // Nearly all codes are small. They are looked up in an array, because every request needs
        // it twice.
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
