//! One client's look-ups of routes.

use std::sync::Arc;

use route_cache::{RouteError, TopicRoute};
use tokio::sync::Semaphore;

use crate::session::Session;

/// Most look-ups of one client at a time. Made-up topics of one client so delay those of others by so many at most.
const LOOK_UPS_MAX: usize = 32;

/// The look-ups that one client may make.
#[derive(Debug)]
pub(crate) struct LookUps(Semaphore);

impl Default for LookUps {
    fn default() -> Self {
        Self(Semaphore::new(LOOK_UPS_MAX))
    }
}

impl Session {
    /// The topic's route. Where it is not known, the client's look-ups take turns.
    ///
    /// # Errors
    /// When there is no such topic, or no name server answers.
    pub(crate) async fn route(&self, topic: &str) -> Result<Arc<TopicRoute>, RouteError> {
        let routes = self.upstream.routes();
        if let Some(route) = routes.cached(topic) {
            return Ok(route);
        }
        let _turn = self.look_ups.0.acquire().await;
        routes.route(topic).await
    }
}
