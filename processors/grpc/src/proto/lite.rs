//! SyncLiteSubscription: which lite topics a consumer wants; from 5.5 on.

use super::declare::{enumeration, message, oneof};
use super::{Resource, Status};

enumeration! {
    /// What becomes of the topics that a call lists.
    pub enum LiteSubscriptionAction {
        /// They are subscribed to as well.
        PartialAdd = 0 "PARTIAL_ADD",
        /// They are no longer subscribed to.
        PartialRemove = 1 "PARTIAL_REMOVE",
        /// They are all that is subscribed to.
        CompleteAdd = 2 "COMPLETE_ADD",
        /// Nothing is subscribed to any more.
        CompleteRemove = 3 "COMPLETE_REMOVE",
    }
}

message! {
    /// Where consumption of a lite topic starts.
    #[derive(Copy)]
    pub struct OffsetOption {
    } oneof {
        /// Where.
        offset_type: OffsetType = "OffsetType"("1, 2, 3, 4"),
    }
}

oneof! {
    /// A place in a lite topic.
    #[derive(Copy)]
    pub enum OffsetType {
        /// By rule.
        Policy(i32) = policy: enumeration<OffsetOptionPolicy>(1),
        /// At an offset.
        Offset(i64) = offset: int64(2),
        /// So many messages before the end.
        TailN(i64) = tail_n: int64(3),
        /// At a time: milliseconds since 1970.
        Timestamp(i64) = timestamp: int64(4),
    }
}

enumeration! {
    /// A rule for where consumption starts.
    pub enum OffsetOptionPolicy {
        /// Where the group was last.
        Last = 0 "LAST",
        /// At the first message that is still there.
        Min = 1 "MIN",
        /// At the next message.
        Max = 2 "MAX",
    }
}

message! {
    /// Which lite topics a consumer wants.
    pub struct SyncLiteSubscriptionRequest {
        /// What becomes of those in the list.
        action: i32 = enumeration<LiteSubscriptionAction>(1),
        /// The topic that they are below.
        topic: Option<Resource> = message(2, optional),
        /// The consumer's group.
        group: Option<Resource> = message(3, optional),
        /// The lite topics.
        lite_topic_set: Vec<String> = string(4, repeated),
        /// The subscription's version: an older one is ignored.
        version: Option<i64> = int64(5, optional),
        /// Where their consumption starts.
        offset_option: Option<OffsetOption> = message(6, optional),
    }
}

message! {
    /// The answer to [`SyncLiteSubscriptionRequest`].
    pub struct SyncLiteSubscriptionResponse {
        /// How the call ended.
        status: Option<Status> = message(1, optional),
    }
}
