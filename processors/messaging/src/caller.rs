//! A client that makes requests: the brokers that its requests are for, and its share of look-ups.

use std::net::IpAddr;
use std::rc::Rc;
use std::sync::Arc;

use remoting_codec::body::BrokerData;
use remoting_codec::headers::Text;
use route_cache::{
    Address, Broker, Class, MOCK_PREFIX, NameServerError, RouteError, TopicRoute, Upstream,
};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::error::{ErrorKind, MessagingError};
use crate::policy::Policy;

/// The most look-ups of one client at a time. It limits how long one client's invented topics delay
/// the look-ups of other clients.
const LOOK_UPS_MAX: usize = 32;

/// A client as decisions about its requests see it. It lives as long as the client is connected.
#[derive(Clone, Debug)]
pub struct Caller {
    upstream: Rc<Upstream>,
    policy: Arc<Policy>,
    /// The state that it shares with other clients of its address.
    address: Rc<Address>,
    /// The broker that all its requests are for, if the client has connected to a broker listener.
    broker: Option<Rc<str>>,
    /// The permits of its look-ups of routes and configurations.
    look_ups: Arc<Semaphore>,
}

/// A look-up of a client in progress, until it is dropped.
#[derive(Debug)]
pub(crate) struct LookUpPermit(
    #[expect(dead_code, reason = "it is dropped")] Option<OwnedSemaphorePermit>,
    #[expect(dead_code, reason = "it is dropped")] Option<OwnedSemaphorePermit>,
);

/// The fields of a request that name its broker.
#[derive(Clone, Copy, Debug)]
pub struct Target<'a> {
    /// The broker's name, or the marker of a static topic.
    pub broker: Option<Text<'a>>,
    /// The topic; empty if the request names none.
    pub topic: &'a str,
    /// The queue's number at its broker; `None` if the request names none.
    pub queue: Option<i32>,
    /// Whether any broker of the topic will do, if there are several.
    pub any: bool,
}

impl Caller {
    /// A client that has connected from `from`. `broker` is the broker of the listener, if it
    /// belongs to one.
    #[must_use]
    pub fn new(
        upstream: Rc<Upstream>,
        policy: Arc<Policy>,
        from: IpAddr,
        broker: Option<&str>,
    ) -> Self {
        Self {
            address: upstream.address(from.into()),
            upstream,
            policy,
            broker: broker.map(Rc::from),
            look_ups: Arc::new(Semaphore::new(LOOK_UPS_MAX)),
        }
    }

    /// The worker's connections, and its access to the state that all workers share.
    #[must_use]
    pub fn upstream(&self) -> &Rc<Upstream> {
        &self.upstream
    }

    /// Timeouts and limits.
    #[must_use]
    pub fn policy(&self) -> &Policy {
        &self.policy
    }

    /// The state that it shares with other clients of its address.
    #[must_use]
    pub fn address(&self) -> &Rc<Address> {
        &self.address
    }

    /// The broker that all its requests are for, on a broker listener.
    #[must_use]
    pub fn broker(&self) -> Option<&str> {
        self.broker.as_deref()
    }

    /// The broker that a request is for, if no look-up is needed: the broker of the listener, or
    /// the one of that name.
    #[inline]
    #[must_use]
    pub fn known_broker(&self, named: Option<Text<'_>>) -> Option<Rc<Broker>> {
        if let Some(name) = &self.broker {
            return self.upstream.known_broker(name);
        }
        self.upstream.known_broker(&named?.text())
    }

    /// The broker that a request is for: the broker of the listener, the one that the request
    /// names, or the only one of the topic. `None` if the topic has several and the request names
    /// none.
    ///
    /// # Errors
    /// If there is no such broker or topic, or no name server answers.
    pub async fn find_broker(
        &self,
        target: Target<'_>,
    ) -> Result<Option<Rc<Broker>>, MessagingError> {
        let Target { topic, queue, .. } = target;
        if let Some(name) = &self.broker {
            return Ok(Some(self.upstream.broker(name).await?));
        }
        if let Some(name) = target.broker {
            let broker = self.named_broker(&name.text(), topic, queue).await?;
            return Ok(Some(broker));
        }
        // If there is only one broker, the request is for it, whatever the topic is and whether or
        // not it exists.
        if let [only] = &*self.upstream.all_brokers().await {
            return Ok(Some(only.clone()));
        }
        if topic.is_empty() {
            return Ok(None);
        }
        let route = self.route(topic).await?;
        match of_topic(route.brokers(), target.any) {
            Some(name) => Ok(Some(self.upstream.broker(name).await?)),
            None => Ok(None),
        }
    }

    /// The broker of that name. For a static topic, clients send a marker in place of a broker's
    /// name; the broker is then the one that has the queue.
    ///
    /// # Errors
    /// If there is no such broker or topic, or no name server answers.
    pub async fn named_broker(
        &self,
        name: &str,
        topic: &str,
        queue: Option<i32>,
    ) -> Result<Rc<Broker>, MessagingError> {
        if let Some(queue) = queue
            && name.starts_with(MOCK_PREFIX)
        {
            let route = self.route(topic).await?;
            if let Some(name) = route.broker_of_logical_queue(name, queue) {
                return Ok(self.upstream.broker(name).await?);
            }
        }
        Ok(self.upstream.broker(name).await?)
    }

    /// The broker for a request that any broker of the topic can answer: the broker of the
    /// listener, or the first that can be reached.
    ///
    /// # Errors
    /// If there is no such topic, none of its brokers can be reached, or no name server answers.
    pub async fn any_broker(&self, topic: &str) -> Result<Rc<Broker>, MessagingError> {
        if let Some(name) = &self.broker {
            return Ok(self.upstream.broker(name).await?);
        }
        let route = self.route(topic).await?;
        let mut failed = None;
        for data in route.brokers() {
            match self.upstream.broker(&data.broker_name).await {
                // A broker whose circuit is open fails here.
                Ok(broker) => match broker.connection(Class::Request, false) {
                    Ok(_) => return Ok(broker),
                    Err(error) => failed = Some(error),
                },
                Err(error) => failed = Some(error),
            }
        }
        let no_broker = || {
            let text = format!("topic {topic} has no broker");
            MessagingError::new(ErrorKind::NoSuchTopic, text)
        };
        Err(failed.map_or_else(no_broker, MessagingError::from))
    }

    /// The topic's route. If it is not cached, the look-up waits for a permit of the client and of
    /// its address.
    ///
    /// # Errors
    /// If there is no such topic, or no name server answers.
    pub async fn route(&self, topic: &str) -> Result<Arc<TopicRoute>, RouteError> {
        let routes = self.upstream.routes();
        if let Some(route) = routes.cached(topic) {
            return Ok(route);
        }
        let permit = self.look_up_permit().await;
        // The look-up runs in a task: it continues, and keeps its permit, when no request waits for
        // it any more.
        let (routes, topic) = (routes.clone(), topic.to_owned());
        let looking = tokio::task::spawn_local(async move {
            let _permit = permit;
            routes.route(&topic).await
        });
        let ended = || NameServerError::Unreachable("the look-up has ended".into());
        looking.await.unwrap_or_else(|_| Err(ended().into()))
    }

    /// Waits until the client and its address may have another look-up in progress. The look-up
    /// lasts until the permit is dropped; none may be waited for meanwhile.
    pub(crate) async fn look_up_permit(&self) -> LookUpPermit {
        let of_client = self.look_ups.clone().acquire_owned().await.ok();
        let of_address = self.address.look_ups().clone().acquire_owned().await.ok();
        LookUpPermit(of_client, of_address)
    }

    /// The same without waiting.
    pub(crate) fn try_look_up_permit(&self) -> Option<LookUpPermit> {
        let of_client = self.look_ups.clone().try_acquire_owned().ok()?;
        let of_address = self.address.look_ups().clone().try_acquire_owned().ok()?;
        Some(LookUpPermit(Some(of_client), Some(of_address)))
    }
}

/// The broker for a request that names none: the topic's only one; with `any`, its first.
fn of_topic(brokers: &[BrokerData], any: bool) -> Option<&str> {
    match brokers {
        [only] => Some(&only.broker_name),
        [first, ..] if any => Some(&first.broker_name),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_that_names_no_broker_is_for_the_only_one() {
        let broker = |name: &str| BrokerData {
            broker_name: name.to_owned(),
            ..BrokerData::default()
        };
        let all = [broker("a"), broker("b")];
        for (count, any, expected) in [
            (0, true, None),
            (1, false, Some("a")),
            (2, false, None),
            (2, true, Some("a")),
        ] {
            let brokers = all.get(..count).unwrap();
            assert_eq!(of_topic(brokers, any), expected, "{count} {any}");
        }
    }
}
