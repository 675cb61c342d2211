//! Response codes.

use std::fmt;

/// The code of a response (`ResponseCode`, `RemotingSysResponseCode` in Java). A newtype, so that
/// unknown codes are kept.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub struct ResponseCode(pub i32);

/// Declares the constants and the names together, so that they cannot drift apart.
macro_rules! response_codes {
    ($($(#[$doc:meta])* $code:literal $name:ident)*) => {
        impl ResponseCode {
            $($(#[$doc])* pub const $name: Self = Self($code);)*

            /// All codes that have a name here, in their order, with their names in the reference.
            pub const NAMED: &'static [(Self, &'static str)] =
                &[$((Self::$name, stringify!($name)),)*];
        }
    };
}

response_codes! {
    /// The request was carried out.
    0 SUCCESS
    /// An error without a code of its own; the remark describes it.
    1 SYSTEM_ERROR
    /// Overloaded, or late: a producer tries another broker.
    2 SYSTEM_BUSY
    /// The receiver does not serve that request code.
    3 REQUEST_CODE_NOT_SUPPORTED
    /// A transaction could not be carried out.
    4 TRANSACTION_FAILED
    /// The message is stored, but was not written to disk in time.
    10 FLUSH_DISK_TIMEOUT
    /// The message is stored, but the broker has no slave that could take it.
    11 SLAVE_NOT_AVAILABLE
    /// The message is stored, but no slave took it in time.
    12 FLUSH_SLAVE_TIMEOUT
    /// The message is too large, or has properties that are not allowed.
    13 MESSAGE_ILLEGAL
    /// The broker cannot be reached: a producer tries another broker.
    14 SERVICE_NOT_AVAILABLE
    /// The client is too old for its request; from Remora: the request does not name its broker.
    15 VERSION_NOT_SUPPORTED
    /// The settings of the broker, topic or group, or its access control, do not permit the
    /// request.
    16 NO_PERMISSION
    /// The name server or broker has no such topic, and the broker does not create it.
    17 TOPIC_NOT_EXIST
    /// A pull found nothing new.
    19 PULL_NOT_FOUND
    /// A pull found no message that passes its filter: the client must pull again without a pause.
    20 PULL_RETRY_IMMEDIATELY
    /// A pull asked for an offset that the queue does not have.
    21 PULL_OFFSET_MOVED
    /// No message has the key; the broker has no offset of the group for the queue.
    22 QUERY_NOT_FOUND
    /// A subscription's expression cannot be read.
    23 SUBSCRIPTION_PARSE_FAILED
    /// The broker does not know the group's subscription.
    24 SUBSCRIPTION_NOT_EXIST
    /// The broker has an older subscription of the group.
    25 SUBSCRIPTION_NOT_LATEST
    /// The broker has no such consumer group, and does not create it.
    26 SUBSCRIPTION_GROUP_NOT_EXIST
    /// No member of the consumer group is connected to the broker.
    206 CONSUMER_NOT_ONLINE
    /// The broker keeps no more POPs waiting.
    209 POLLING_FULL
    /// The wait of a POP ended without a message.
    210 POLLING_TIMEOUT
    /// Too many requests: the client must slow down. Clients before 4.9.8 and 5.0 do not know it.
    215 FLOW_CONTROL
    /// The client must open another connection and repeat its request there. Clients before 5.2 do
    /// not know it.
    1500 GO_AWAY
}

impl ResponseCode {
    /// The code's name in the reference; `None` for a code that has none [here](Self::NAMED).
    #[must_use]
    pub fn name(self) -> Option<&'static str> {
        let named = Self::NAMED.iter().find(|(code, _)| *code == self);
        named.map(|(_, name)| *name)
    }
}

impl fmt::Display for ResponseCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}
