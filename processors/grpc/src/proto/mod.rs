//! The messages of `apache.rocketmq.v2.MessagingService`, by call.
//!
//! Each is a Rust type whose fields stand beside their numbers on the wire (`declare.rs`), once. A
//! message that refers to another holds it in an `Option`: proto3 has no required fields, and
//! absent is not the same as empty. An enumeration's field is an `i32`, so that a number that is
//! not known here is not lost; the enumeration's `try_from` reads it. Fields that are not known are
//! skipped.

mod consume;
mod declare;
#[doc(hidden)]
pub mod describe;
mod lite;
mod message;
mod offset;
mod route;
mod send;
mod settings;
mod status;
mod telemetry;
mod time;
mod weigh;

pub use consume::*;
pub use lite::*;
pub use message::*;
pub use offset::*;
pub use route::*;
pub use send::*;
pub use settings::*;
pub use status::*;
pub use telemetry::*;
pub use time::*;
pub use weigh::Weigh;

/// The path of the service: `/apache.rocketmq.v2.MessagingService/SendMessage`.
pub const SERVICE: &str = "apache.rocketmq.v2.MessagingService";

/// Lists all messages and all enumerations of the service, by which the descriptor is compared.
macro_rules! all {
    (messages: $($message:ident)*; enumerations: $($enumeration:ident)*;) => {
        /// The descriptions of all messages.
        #[doc(hidden)]
        pub const MESSAGES: &[describe::MessageDescription] =
            &[$(<$message as describe::DescribedMessage>::DESCRIPTION),*];

        /// The descriptions of all enumerations.
        #[doc(hidden)]
        pub const ENUMERATIONS: &[describe::EnumerationDescription] =
            &[$(<$enumeration as describe::DescribedEnumeration>::DESCRIPTION),*];
    };
}

all! {
    messages:
        AckMessageEntry AckMessageRequest AckMessageResponse AckMessageResultEntry Address
        Assignment Broker ChangeInvisibleDurationRequest ChangeInvisibleDurationResponse
        CustomizedBackoff DeadLetterQueue Digest Duration EndTransactionRequest
        EndTransactionResponse Endpoints ExponentialBackoff FilterExpression
        ForwardMessageToDeadLetterQueueRequest ForwardMessageToDeadLetterQueueResponse
        GetOffsetRequest GetOffsetResponse HeartbeatRequest HeartbeatResponse Message MessageQueue
        Metric NotifyClientTerminationRequest NotifyClientTerminationResponse
        NotifyUnsubscribeLiteCommand OffsetOption PrintThreadStackTraceCommand Publishing
        PullMessageRequest PullMessageResponse QueryAssignmentRequest QueryAssignmentResponse
        QueryOffsetRequest QueryOffsetResponse QueryRouteRequest QueryRouteResponse
        RecallMessageRequest RecallMessageResponse ReceiveMessageRequest ReceiveMessageResponse
        ReconnectEndpointsCommand RecoverOrphanedTransactionCommand Resource RetryPolicy
        SendMessageRequest SendMessageResponse SendResultEntry Settings Status Subscription
        SubscriptionEntry SyncLiteSubscriptionRequest SyncLiteSubscriptionResponse SystemProperties
        TelemetryCommand ThreadStackTrace Timestamp UA UpdateOffsetRequest UpdateOffsetResponse
        VerifyMessageCommand VerifyMessageResult;
    enumerations:
        AddressScheme ClientType Code DigestType Encoding FilterType Language
        LiteSubscriptionAction MessageType OffsetOptionPolicy Permission QueryOffsetPolicy
        TransactionResolution TransactionSource;
}
