//! Routes: the brokers and queues of topics.

mod advertised;
mod cache;
mod flights;
mod topic;
mod topic_route;

pub use advertised::Advertised;
pub use cache::{RouteCache, RouteStats};
pub use topic_route::{MOCK_PREFIX, TopicRoute};
