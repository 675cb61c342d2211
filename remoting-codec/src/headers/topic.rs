//! GET_ROUTEINFO_BY_TOPIC (105), UPDATE_AND_CREATE_TOPIC (17), QUERY_MESSAGE (12) and
//! VIEW_MESSAGE_BY_ID (33).

use super::{Text, header};

header! {
    /// Asks a name server for a topic's brokers and queues: GET_ROUTEINFO_BY_TOPIC
    /// (`GetRouteInfoRequestHeader`), answered in the body.
    pub struct GetRouteInfoRequest<'a> {
        /// The topic whose route is returned.
        topic: Text<'a> = "topic",
        /// Whether keys must be in quotes, as in standard JSON; clients from 4.9.4 on always get
        /// that.
        accept_standard_json_only: Option<bool> = "acceptStandardJsonOnly",
        /// Whether to return only brokers of the client's zone (`MixAll.ZONE_MODE`).
        zone_mode: Option<bool> = "__ZONE_MODE",
        /// The client's zone (`MixAll.ZONE_NAME`).
        zone_name: Option<Text<'a>> = "__ZONE_NAME",
    }
}

header! {
    /// Creates or changes a topic: UPDATE_AND_CREATE_TOPIC (`CreateTopicRequestHeader`). The answer
    /// has no fields.
    pub struct CreateTopicRequest<'a> {
        /// Name of the broker to create it at. Only newer Java clients always send it.
        broker: Option<Text<'a>> = "bname",
        /// The topic to create or change.
        topic: Text<'a> = "topic",
        /// The topic whose brokers get it.
        default_topic: Text<'a> = "defaultTopic",
        /// How many queues consumers use, numbered from 0.
        read_queue_nums: i32 = "readQueueNums",
        /// How many queues producers use, numbered from 0.
        write_queue_nums: i32 = "writeQueueNums",
        /// Permissions: 4 read, 2 write.
        perm: i32 = "perm",
        /// `SINGLE_TAG` or `MULTI_TAG`.
        topic_filter_type: Text<'a> = "topicFilterType",
        /// Bits of the topic's (`TopicSysFlag`).
        topic_sys_flag: Option<i32> = "topicSysFlag",
        /// Whether its messages are in order. Declared as required, with `false` for absent.
        order: Option<bool> = "order",
        /// Its attributes: `+name=value`, with commas between them.
        attributes: Option<Text<'a>> = "attributes",
        /// Whether names that brokers reserve for themselves are allowed.
        force: Option<bool> = "force",
    }
}

header! {
    /// Searches messages by a key: QUERY_MESSAGE (`QueryMessageRequestHeader`).
    pub struct QueryMessageRequest<'a> {
        /// Name of the broker to search, which clients mostly leave out.
        broker: Option<Text<'a>> = "bname",
        /// The topic of the messages.
        topic: Text<'a> = "topic",
        /// A key of the messages, or a unique id.
        key: Text<'a> = "key",
        /// The greatest number of messages to return.
        max_num: i32 = "maxNum",
        /// Stored from then on: milliseconds since 1970.
        begin_timestamp: i64 = "beginTimestamp",
        /// Stored until then: milliseconds since 1970.
        end_timestamp: i64 = "endTimestamp",
        /// Whether the key is a unique id (`MixAll.UNIQUE_MSG_QUERY_FLAG`).
        unique_key_query: Option<bool> = "_UNIQUE_KEY_QUERY",
        /// 5.5: the kind of the key: `K` a key, `U` a unique id, `T` a tag.
        index_type: Option<Text<'a>> = "indexType",
        /// 5.5: the end of an earlier answer, to continue from.
        last_key: Option<Text<'a>> = "lastKey",
    }
}

header! {
    /// The answer to QUERY_MESSAGE (`QueryMessageResponseHeader`): up to where the broker has
    /// indexed its messages.
    pub struct QueryMessageResponse {
        /// When the last one was stored: milliseconds since 1970.
        index_last_update_timestamp: i64 = "indexLastUpdateTimestamp",
        /// Its place in the commit log.
        index_last_update_phyoffset: i64 = "indexLastUpdatePhyoffset",
    }
}

header! {
    /// Asks for a message at the broker that has stored it: VIEW_MESSAGE_BY_ID
    /// (`ViewMessageRequestHeader`), answered in the body.
    pub struct ViewMessageRequest<'a> {
        /// The topic; from 5.x on.
        topic: Option<Text<'a>> = "topic",
        /// The message's place in the commit log.
        offset: i64 = "offset",
    }
}
