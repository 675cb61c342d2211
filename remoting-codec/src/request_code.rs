//! Request codes.

use std::fmt;

/// The code of a request (`RequestCode` in Java). A newtype, so that unknown codes are kept. The
/// table of `processors/remoting` decides which codes are served.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct RequestCode(pub i32);

/// Declares the constants and the names together, so that they cannot drift apart.
macro_rules! request_codes {
    ($($code:literal $name:ident)*) => {
        #[allow(missing_docs, reason = "named as in the reference; the processors' table has more")]
        impl RequestCode {
            $(pub const $name: Self = Self($code);)*

            /// The code's name in the reference; `None` for a code that the reference does not
            /// have.
            #[must_use]
            pub fn name(self) -> Option<&'static str> {
                match self.0 {
                    $($code => Some(stringify!($name)),)*
                    _ => None,
                }
            }
        }
    };
}

impl RequestCode {
    /// Whether it is a long poll: the broker may hold the answer until there is a message.
    #[must_use]
    pub fn is_long_poll(self) -> bool {
        matches!(
            self,
            Self::PULL_MESSAGE
                | Self::LITE_PULL_MESSAGE
                | Self::POP_MESSAGE
                | Self::POP_LITE_MESSAGE
                | Self::NOTIFICATION
        )
    }
}

request_codes! {
    10 SEND_MESSAGE
    11 PULL_MESSAGE
    12 QUERY_MESSAGE
    14 QUERY_CONSUMER_OFFSET
    15 UPDATE_CONSUMER_OFFSET
    17 UPDATE_AND_CREATE_TOPIC
    18 UPDATE_AND_CREATE_TOPIC_LIST
    21 GET_ALL_TOPIC_CONFIG
    25 UPDATE_BROKER_CONFIG
    26 GET_BROKER_CONFIG
    28 GET_BROKER_RUNTIME_INFO
    29 SEARCH_OFFSET_BY_TIMESTAMP
    30 GET_MAX_OFFSET
    31 GET_MIN_OFFSET
    32 GET_EARLIEST_MSG_STORETIME
    33 VIEW_MESSAGE_BY_ID
    34 HEART_BEAT
    35 UNREGISTER_CLIENT
    36 CONSUMER_SEND_MSG_BACK
    37 END_TRANSACTION
    38 GET_CONSUMER_LIST_BY_GROUP
    39 CHECK_TRANSACTION_STATE
    40 NOTIFY_CONSUMER_IDS_CHANGED
    41 LOCK_BATCH_MQ
    42 UNLOCK_BATCH_MQ
    43 GET_ALL_CONSUMER_OFFSET
    45 GET_ALL_DELAY_OFFSET
    46 CHECK_CLIENT_CONFIG
    100 PUT_KV_CONFIG
    101 GET_KV_CONFIG
    102 DELETE_KV_CONFIG
    103 REGISTER_BROKER
    104 UNREGISTER_BROKER
    105 GET_ROUTEINFO_BY_TOPIC
    106 GET_BROKER_CLUSTER_INFO
    200 UPDATE_AND_CREATE_SUBSCRIPTIONGROUP
    201 GET_ALL_SUBSCRIPTIONGROUP_CONFIG
    202 GET_TOPIC_STATS_INFO
    203 GET_CONSUMER_CONNECTION_LIST
    204 GET_PRODUCER_CONNECTION_LIST
    205 WIPE_WRITE_PERM_OF_BROKER
    206 GET_ALL_TOPIC_LIST_FROM_NAMESERVER
    207 DELETE_SUBSCRIPTIONGROUP
    208 GET_CONSUME_STATS
    215 DELETE_TOPIC_IN_BROKER
    216 DELETE_TOPIC_IN_NAMESRV
    217 REGISTER_TOPIC_IN_NAMESRV
    219 GET_KVLIST_BY_NAMESPACE
    220 RESET_CONSUMER_CLIENT_OFFSET
    221 GET_CONSUMER_STATUS_FROM_CLIENT
    222 INVOKE_BROKER_TO_RESET_OFFSET
    223 INVOKE_BROKER_TO_GET_CONSUMER_STATUS
    224 GET_TOPICS_BY_CLUSTER
    225 UPDATE_AND_CREATE_SUBSCRIPTIONGROUP_LIST
    300 QUERY_TOPIC_CONSUME_BY_WHO
    303 QUERY_CONSUME_TIME_SPAN
    304 GET_SYSTEM_TOPIC_LIST_FROM_NS
    305 GET_SYSTEM_TOPIC_LIST_FROM_BROKER
    306 CLEAN_EXPIRED_CONSUMEQUEUE
    307 GET_CONSUMER_RUNNING_INFO
    308 QUERY_CORRECTION_OFFSET
    309 CONSUME_MESSAGE_DIRECTLY
    310 SEND_MESSAGE_V2
    311 GET_UNIT_TOPIC_LIST
    312 GET_HAS_UNIT_SUB_TOPIC_LIST
    313 GET_HAS_UNIT_SUB_UNUNIT_TOPIC_LIST
    314 CLONE_GROUP_OFFSET
    315 VIEW_BROKER_STATS_DATA
    316 CLEAN_UNUSED_TOPIC
    317 GET_BROKER_CONSUME_STATS
    318 UPDATE_NAMESRV_CONFIG
    319 GET_NAMESRV_CONFIG
    320 SEND_BATCH_MESSAGE
    321 QUERY_CONSUME_QUEUE
    322 QUERY_DATA_VERSION
    323 RESUME_CHECK_HALF_MESSAGE
    324 SEND_REPLY_MESSAGE
    325 SEND_REPLY_MESSAGE_V2
    326 PUSH_REPLY_MESSAGE_TO_CLIENT
    327 ADD_WRITE_PERM_OF_BROKER
    328 GET_ALL_PRODUCER_INFO
    329 DELETE_EXPIRED_COMMITLOG
    343 QUERY_TOPICS_BY_CONSUMER
    345 QUERY_SUBSCRIPTION_BY_CONSUMER
    351 GET_TOPIC_CONFIG
    352 GET_SUBSCRIPTIONGROUP_CONFIG
    353 UPDATE_AND_GET_GROUP_FORBIDDEN
    361 LITE_PULL_MESSAGE
    370 RECALL_MESSAGE
    400 QUERY_ASSIGNMENT
    401 SET_MESSAGE_REQUEST_MODE
    402 GET_ALL_MESSAGE_REQUEST_MODE
    513 UPDATE_AND_CREATE_STATIC_TOPIC
    200050 POP_MESSAGE
    200051 ACK_MESSAGE
    200052 PEEK_MESSAGE
    200053 CHANGE_MESSAGE_INVISIBLETIME
    200054 NOTIFICATION
    200055 POLLING_INFO
    200056 POP_ROLLBACK
    200070 POP_LITE_MESSAGE
    200071 LITE_SUBSCRIPTION_CTL
    200073 NOTIFY_UNSUBSCRIBE_LITE
    200151 BATCH_ACK_MESSAGE
}

impl fmt::Display for RequestCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.name() {
            Some(name) => write!(f, "{name} ({})", self.0),
            None => write!(f, "{}", self.0),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_code_shows_its_name() {
        assert_eq!(
            RequestCode::SEND_MESSAGE_V2.to_string(),
            "SEND_MESSAGE_V2 (310)"
        );
        assert_eq!(RequestCode(4711).to_string(), "4711");
    }
}
