//! How a call ended, in the answer's body.

use super::declare::{enumeration, message};

message! {
    /// How a call, or one part of it, ended. The transport's own status is OK beside it.
    pub struct Status {
        /// The code.
        code: i32 = enumeration<Code>(1),
        /// What happened and what to do, or the code's name where there is no more to it.
        message: String = string(2),
    }
}

enumeration! {
    /// How a call ended. What is in the forty thousands, the client can cure; what is in the fifty
    /// thousands, it cannot.
    pub enum Code {
        /// None.
        Unspecified = 0 "CODE_UNSPECIFIED",
        /// Done.
        Ok = 20000 "OK",
        /// The parts of a call ended differently: each has its own status.
        MultipleResults = 30000 "MULTIPLE_RESULTS",

        /// Something required is missing, or something is out of its limits that has no code.
        BadRequest = 40000 "BAD_REQUEST",
        /// The endpoints are none.
        IllegalAccessPoint = 40001 "ILLEGAL_ACCESS_POINT",
        /// No name of a topic, or one that clients may not use.
        IllegalTopic = 40002 "ILLEGAL_TOPIC",
        /// No name of a consumer group, or one that clients may not use.
        IllegalConsumerGroup = 40003 "ILLEGAL_CONSUMER_GROUP",
        /// No tag.
        IllegalMessageTag = 40004 "ILLEGAL_MESSAGE_TAG",
        /// No key.
        IllegalMessageKey = 40005 "ILLEGAL_MESSAGE_KEY",
        /// No message group, or too long a one.
        IllegalMessageGroup = 40006 "ILLEGAL_MESSAGE_GROUP",
        /// No name or value of a property, or a reserved one.
        IllegalMessagePropertyKey = 40007 "ILLEGAL_MESSAGE_PROPERTY_KEY",
        /// No transaction id, or one of another origin.
        InvalidTransactionId = 40008 "INVALID_TRANSACTION_ID",
        /// No message id.
        IllegalMessageId = 40009 "ILLEGAL_MESSAGE_ID",
        /// The filter cannot be read.
        IllegalFilterExpression = 40010 "ILLEGAL_FILTER_EXPRESSION",
        /// The invisible time is out of its limits.
        IllegalInvisibleTime = 40011 "ILLEGAL_INVISIBLE_TIME",
        /// The delivery time is too far away.
        IllegalDeliveryTime = 40012 "ILLEGAL_DELIVERY_TIME",
        /// No receipt handle, or one that is too old. Final for clients: they do not try again.
        InvalidReceiptHandle = 40013 "INVALID_RECEIPT_HANDLE",
        /// The message has what its type or its topic's type excludes.
        MessagePropertyConflictWithType = 40014 "MESSAGE_PROPERTY_CONFLICT_WITH_TYPE",
        /// The kind of client is not known: the client sends its settings again.
        UnrecognizedClientType = 40015 "UNRECOGNIZED_CLIENT_TYPE",
        /// The message is not whole, or the call has none.
        MessageCorrupted = 40016 "MESSAGE_CORRUPTED",
        /// The header `x-mq-client-id` is missing.
        ClientIdRequired = 40017 "CLIENT_ID_REQUIRED",
        /// The deadline leaves no time for a poll.
        IllegalPollingTime = 40018 "ILLEGAL_POLLING_TIME",
        /// No offset.
        IllegalOffset = 40019 "ILLEGAL_OFFSET",
        /// No name of a lite topic.
        IllegalLiteTopic = 40020 "ILLEGAL_LITE_TOPIC",

        /// The credentials are missing or wrong.
        Unauthorized = 40100 "UNAUTHORIZED",
        /// An account was not paid for: of hosted services.
        PaymentRequired = 40200 "PAYMENT_REQUIRED",
        /// Not permitted.
        Forbidden = 40300 "FORBIDDEN",
        /// Not there, whatever it is.
        NotFound = 40400 "NOT_FOUND",
        /// No message: a poll has waited for nothing.
        MessageNotFound = 40401 "MESSAGE_NOT_FOUND",
        /// No such topic.
        TopicNotFound = 40402 "TOPIC_NOT_FOUND",
        /// No such consumer group.
        ConsumerGroupNotFound = 40403 "CONSUMER_GROUP_NOT_FOUND",
        /// The group has no offset there.
        OffsetNotFound = 40404 "OFFSET_NOT_FOUND",
        /// The client did not connect, read or write in time.
        RequestTimeout = 40800 "REQUEST_TIMEOUT",
        /// The call is too large.
        PayloadTooLarge = 41300 "PAYLOAD_TOO_LARGE",
        /// The message's body is too large.
        MessageBodyTooLarge = 41301 "MESSAGE_BODY_TOO_LARGE",
        /// The message has no body.
        MessageBodyEmpty = 41302 "MESSAGE_BODY_EMPTY",
        /// Something must be done before, as starting the client.
        PreconditionFailed = 42800 "PRECONDITION_FAILED",
        /// Too many calls: wait, then try again.
        TooManyRequests = 42900 "TOO_MANY_REQUESTS",
        /// Too many lite topics.
        LiteTopicQuotaExceeded = 42901 "LITE_TOPIC_QUOTA_EXCEEDED",
        /// Too many subscriptions to lite topics.
        LiteSubscriptionQuotaExceeded = 42902 "LITE_SUBSCRIPTION_QUOTA_EXCEEDED",
        /// The call's headers are too large.
        RequestHeaderFieldsTooLarge = 43100 "REQUEST_HEADER_FIELDS_TOO_LARGE",
        /// The message's properties are too many or too large.
        MessagePropertiesTooLarge = 43101 "MESSAGE_PROPERTIES_TOO_LARGE",

        /// Something failed, here or in the client.
        InternalError = 50000 "INTERNAL_ERROR",
        /// Something failed here or at a broker.
        InternalServerError = 50001 "INTERNAL_SERVER_ERROR",
        /// The message is stored, but its broker has no slave that follows.
        HaNotAvailable = 50002 "HA_NOT_AVAILABLE",
        /// The call, or the broker's code for it, is not served.
        NotImplemented = 50100 "NOT_IMPLEMENTED",
        /// The broker did not answer in time.
        ProxyTimeout = 50400 "PROXY_TIMEOUT",
        /// The message is stored, but was not on disk in time.
        MasterPersistenceTimeout = 50401 "MASTER_PERSISTENCE_TIMEOUT",
        /// The message is stored, but was not at a slave in time.
        SlavePersistenceTimeout = 50402 "SLAVE_PERSISTENCE_TIMEOUT",
        /// Not supported.
        Unsupported = 50500 "UNSUPPORTED",
        /// Not in this version.
        VersionUnsupported = 50501 "VERSION_UNSUPPORTED",
        /// A consumer in order cannot be given a message to verify.
        VerifyFifoMessageUnsupported = 50502 "VERIFY_FIFO_MESSAGE_UNSUPPORTED",

        /// The application has failed to consume the message.
        FailedToConsumeMessage = 60000 "FAILED_TO_CONSUME_MESSAGE",
    }
}

impl Status {
    /// With the code's name as message.
    #[must_use]
    pub fn of(code: Code) -> Self {
        Self::new(code, code.name())
    }

    /// With a message.
    #[must_use]
    pub fn new(code: Code, message: impl Into<String>) -> Self {
        Self {
            code: code.into(),
            message: message.into(),
        }
    }
}
