//! Where topics live.

mod cache;
mod topic_route;

pub use cache::RouteCache;
pub use topic_route::TopicRoute;
