//! SEND_MESSAGE (10), SEND_MESSAGE_V2 (310), SEND_BATCH_MESSAGE (320), replies (324, 325),
//! CONSUMER_SEND_MSG_BACK (36) and RECALL_MESSAGE (370).

use super::{Text, header};

header! {
    /// A message that a producer sends, in long names: SEND_MESSAGE and SEND_REPLY_MESSAGE
    /// (`SendMessageRequestHeader`). Go sends all single messages in this form.
    pub struct SendMessageRequest<'a> {
        /// Name of the broker that must store the message. Only newer Java clients always send it.
        broker: Option<Text<'a>> = "bname",
        /// The producer's group.
        producer_group: Text<'a> = "producerGroup",
        /// The topic to store the message in. A broker may create it with the settings of
        /// `default_topic`.
        topic: Text<'a> = "topic",
        /// The topic whose settings a new topic gets: `TBW102`.
        default_topic: Text<'a> = "defaultTopic",
        /// How many queues a new topic gets at most.
        default_topic_queue_nums: i32 = "defaultTopicQueueNums",
        /// The queue's number at its broker; less than 0 for any.
        queue_id: i32 = "queueId",
        /// Bits of [`SysFlag`](crate::message::SysFlag).
        sys_flag: i32 = "sysFlag",
        /// When the message was made: milliseconds since 1970, by the producer's clock.
        born_timestamp: i64 = "bornTimestamp",
        /// A number of the application's own.
        flag: i32 = "flag",
        /// [`Properties`](crate::message::Properties) in their text form.
        properties: Option<Text<'a>> = "properties",
        /// How often consumption of the message has failed; for retry topics.
        reconsume_times: Option<i32> = "reconsumeTimes",
        /// Whether it is a topic of a unit, a concept internal to Alibaba.
        unit_mode: Option<bool> = "unitMode",
        /// Whether the body is [a batch](crate::message::BatchMessages).
        batch: Option<bool> = "batch",
        /// After how many failures the message becomes a dead letter; for retry topics.
        max_reconsume_times: Option<i32> = "maxReconsumeTimes",
    }
}

header! {
    /// The same in names of one letter: SEND_MESSAGE_V2, SEND_BATCH_MESSAGE and
    /// SEND_REPLY_MESSAGE_V2 (`SendMessageRequestHeaderV2`).
    pub struct SendMessageRequestV2<'a> {
        /// Name of the broker that must store the message; there is no `bname`.
        broker: Option<Text<'a>> = "n",
        /// The producer's group.
        producer_group: Text<'a> = "a",
        /// The topic to store the message in. A broker may create it with the settings of
        /// `default_topic`.
        topic: Text<'a> = "b",
        /// The topic whose settings a new topic gets: `TBW102`.
        default_topic: Text<'a> = "c",
        /// How many queues a new topic gets at most.
        default_topic_queue_nums: i32 = "d",
        /// The queue's number at its broker; less than 0 for any.
        queue_id: i32 = "e",
        /// Bits of [`SysFlag`](crate::message::SysFlag).
        sys_flag: i32 = "f",
        /// When the message was made: milliseconds since 1970, by the producer's clock.
        born_timestamp: i64 = "g",
        /// A number of the application's own.
        flag: i32 = "h",
        /// [`Properties`](crate::message::Properties) in their text form.
        properties: Option<Text<'a>> = "i",
        /// How often consumption of the message has failed; for retry topics.
        reconsume_times: Option<i32> = "j",
        /// Whether it is a topic of a unit, a concept internal to Alibaba.
        unit_mode: Option<bool> = "k",
        /// After how many failures the message becomes a dead letter; for retry topics.
        max_reconsume_times: Option<i32> = "l",
        /// Whether the body is [a batch](crate::message::BatchMessages). The request code does not
        /// show it.
        batch: Option<bool> = "m",
    }
}

impl<'a> From<SendMessageRequestV2<'a>> for SendMessageRequest<'a> {
    fn from(short: SendMessageRequestV2<'a>) -> Self {
        Self {
            broker: short.broker,
            producer_group: short.producer_group,
            topic: short.topic,
            default_topic: short.default_topic,
            default_topic_queue_nums: short.default_topic_queue_nums,
            queue_id: short.queue_id,
            sys_flag: short.sys_flag,
            born_timestamp: short.born_timestamp,
            flag: short.flag,
            properties: short.properties,
            reconsume_times: short.reconsume_times,
            unit_mode: short.unit_mode,
            batch: short.batch,
            max_reconsume_times: short.max_reconsume_times,
        }
    }
}

header! {
    /// The answer to all of them (`SendMessageResponseHeader`), with SUCCESS and with the three
    /// codes of a message that is stored, but less safely than configured: FLUSH_DISK_TIMEOUT (10),
    /// SLAVE_NOT_AVAILABLE (11), FLUSH_SLAVE_TIMEOUT (12).
    pub struct SendMessageResponse<'a> {
        /// [`OffsetMessageId`](crate::message::OffsetMessageId); of a batch, those of its messages
        /// with commas between them.
        msg_id: Text<'a> = "msgId",
        /// The queue that the message is in.
        queue_id: i32 = "queueId",
        /// Its place there; of a batch, that of its first message.
        queue_offset: i64 = "queueOffset",
        /// The message's unique id. Java returns the text unchanged when it ends the transaction.
        transaction_id: Option<Text<'a>> = "transactionId",
        /// The unique id of a batch that is stored as one message.
        batch_uniq_id: Option<Text<'a>> = "batchUniqId",
        /// The handle for RECALL_MESSAGE, if the message is delayed.
        recall_handle: Option<Text<'a>> = "recallHandle",
        /// The broker's region, for tracing.
        msg_region: Option<Text<'a>> = "MSG_REGION",
        /// Whether the client must trace the message; absent means yes.
        trace_on: Option<bool> = "TRACE_ON",
    }
}

header! {
    /// Asks for a message to be delivered again later, or to become a dead letter:
    /// CONSUMER_SEND_MSG_BACK (`ConsumerSendMsgBackRequestHeader`). The answer has no fields.
    pub struct ConsumerSendMsgBackRequest<'a> {
        /// The broker that has stored the message: no other can find it.
        broker: Option<Text<'a>> = "bname",
        /// The message's place in that broker's commit log.
        offset: i64 = "offset",
        /// The group that the message is delivered to again.
        group: Text<'a> = "group",
        /// Delay level: 0 lets the broker choose by the number of retries, less than 0 makes a dead
        /// letter immediately.
        delay_level: i32 = "delayLevel",
        /// The message's unique id.
        origin_msg_id: Option<Text<'a>> = "originMsgId",
        /// The message's topic, as the consumer has it.
        origin_topic: Option<Text<'a>> = "originTopic",
        /// Whether it is a topic of a unit, a concept internal to Alibaba.
        unit_mode: Option<bool> = "unitMode",
        /// After how many failures the message becomes a dead letter.
        max_reconsume_times: Option<i32> = "maxReconsumeTimes",
    }
}

header! {
    /// Recalls a delayed message: RECALL_MESSAGE (`RecallMessageRequestHeader`).
    pub struct RecallMessageRequest<'a> {
        /// Name of the broker that keeps the message until it is due.
        broker: Option<Text<'a>> = "bname",
        /// The group of the producer that recalls the message.
        producer_group: Option<Text<'a>> = "producerGroup",
        /// The topic that the message was sent to.
        topic: Text<'a> = "topic",
        /// The `recall_handle` of the answer to the send.
        recall_handle: Text<'a> = "recallHandle",
    }
}

header! {
    /// The answer to RECALL_MESSAGE (`RecallMessageResponseHeader`).
    pub struct RecallMessageResponse<'a> {
        /// The unique id of the recalled message.
        msg_id: Text<'a> = "msgId",
    }
}
