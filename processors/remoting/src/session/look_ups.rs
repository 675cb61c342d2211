//! One client's look-ups of routes.

use std::sync::Arc;

use route_cache::{NameServerError, RouteError, TopicRoute};
use tokio::sync::Semaphore;

use crate::session::Session;

/// Most look-ups of one client at a time. Made-up topics of one client so delay those of others by so many at most.
const LOOK_UPS_MAX: usize = 32;

/// The look-ups that one client may make.
#[derive(Debug)]
pub(crate) struct LookUps(Arc<Semaphore>);

impl Default for LookUps {
    fn default() -> Self {
        Self(Arc::new(Semaphore::new(LOOK_UPS_MAX)))
    }
}

impl Session {
    /// The topic's route. Where it is not known, the client's look-ups take turns, and those of its address.
    ///
    /// # Errors
    /// When there is no such topic, or no name server answers.
    pub(crate) async fn route(&self, topic: &str) -> Result<Arc<TopicRoute>, RouteError> {
        let routes = self.upstream.routes();
        if let Some(route) = routes.cached(topic) {
            return Ok(route);
        }
        let turn = self.look_ups.0.clone().acquire_owned().await.ok();
        let turn_of_address = self.address.look_ups().clone().acquire_owned().await.ok();
        // In a task: the look-up goes on when nobody waits for it any more, and it has its turn for as long.
        let (routes, topic) = (routes.clone(), topic.to_owned());
        let looking = tokio::task::spawn_local(async move {
            let _turns = (turn, turn_of_address);
            routes.route(&topic).await
        });
        let ended = || NameServerError::Unreachable("the look-up has ended".into());
        looking.await.unwrap_or_else(|_| Err(ended().into()))
    }
}
