//! Routes, new topics, and searches by key.

pub(crate) mod create_topic;
pub(crate) mod query_message;
pub(crate) mod topic_route;
