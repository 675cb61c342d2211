//! A client that asks something: which broker it means, and its share of look-ups.

use std::net::IpAddr;
use std::rc::Rc;
use std::sync::Arc;

use remoting_codec::headers::Text;
use route_cache::{
    Address, Broker, Class, MOCK_PREFIX, NameServerError, RouteError, TopicRoute, Upstream,
};
use tokio::sync::Semaphore;

use crate::error::{ErrorKind, MessagingError};
use crate::policy::Policy;

/// Most look-ups of one client at a time. Made-up topics of one client so delay those of others by so many at most.
const LOOK_UPS_MAX: usize = 32;

/// A client, as far as it matters to what it asks. It lives as long as the client is connected.
#[derive(Debug)]
pub struct Caller {
    upstream: Rc<Upstream>,
    policy: Arc<Policy>,
    /// What it shares with other clients of its address.
    address: Rc<Address>,
    /// The broker that everything it asks is for, if it has connected to the listener of one.
    broker: Option<Rc<str>>,
    /// The turns of its look-ups of routes.
    look_ups: Arc<Semaphore>,
}

/// Which broker a request is for, as far as the request says.
#[derive(Clone, Copy, Debug)]
pub struct Target<'a> {
    /// The broker's name, or the mark of a static topic.
    pub broker: Option<Text<'a>>,
    /// The topic; empty if there is none.
    pub topic: &'a str,
    /// The queue's number.
    pub queue: Option<i32>,
    /// Whether any broker of the topic will do if there are several.
    pub any: bool,
}

impl Caller {
    /// A client that has connected from `from`, to the listener of `broker` if it is one's.
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

    /// The worker's connections, and its way to what all workers share.
    #[must_use]
    pub fn upstream(&self) -> &Rc<Upstream> {
        &self.upstream
    }

    /// Times and limits.
    #[must_use]
    pub fn policy(&self) -> &Policy {
        &self.policy
    }

    /// What it shares with other clients of its address.
    #[must_use]
    pub fn address(&self) -> &Rc<Address> {
        &self.address
    }

    /// The broker that everything it asks is for, on a listener that belongs to one.
    #[must_use]
    pub fn broker(&self) -> Option<&str> {
        self.broker.as_deref()
    }

    /// The broker that a request is for, if it is known without asking a name server: the listener's, or the one of that
    /// name.
    #[inline]
    #[must_use]
    pub fn known_broker(&self, named: Option<Text<'_>>) -> Option<Rc<Broker>> {
        if let Some(name) = &self.broker {
            return self.upstream.known_broker(name);
        }
        self.upstream.known_broker(&named?.text())
    }

    /// The broker that a request is for: the listener's, the one that it names, or the only one that its
    /// topic has. `None` when the topic has several and the request names none.
    ///
    /// # Errors
    /// When there is no such broker or topic, or no name server answers.
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
        // Where there is one broker, it is meant, whatever the topic is or whether it exists.
        if let [only] = &*self.upstream.all_brokers().await {
            return Ok(Some(only.clone()));
        }
        if topic.is_empty() {
            return Ok(None);
        }
        let route = self.route(topic).await?;
        match route.brokers() {
            [meant] => Ok(Some(self.upstream.broker(&meant.broker_name).await?)),
            [first, ..] if target.any => Ok(Some(self.upstream.broker(&first.broker_name).await?)),
            _ => Ok(None),
        }
    }

    /// The broker of that name. For a static topic, clients name none that exists, but a mark; the broker is
    /// then the one that has the queue.
    ///
    /// # Errors
    /// When there is no such broker or topic, or no name server answers.
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

    /// The broker to ask where any of a topic's will do: the listener's, or the first that can be reached.
    ///
    /// # Errors
    /// When there is no such topic, none of its brokers can be reached, or no name server answers.
    pub async fn any_broker(&self, topic: &str) -> Result<Rc<Broker>, MessagingError> {
        if let Some(name) = &self.broker {
            return Ok(self.upstream.broker(name).await?);
        }
        let route = self.route(topic).await?;
        let mut failed = None;
        for data in route.brokers() {
            match self.upstream.broker(&data.broker_name).await {
                // One that could not be reached a moment ago fails here.
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

    /// The topic's route. Where it is not known, the client's look-ups take turns, and those of its address.
    ///
    /// # Errors
    /// When there is no such topic, or no name server answers.
    pub async fn route(&self, topic: &str) -> Result<Arc<TopicRoute>, RouteError> {
        let routes = self.upstream.routes();
        if let Some(route) = routes.cached(topic) {
            return Ok(route);
        }
        let turn = self.look_ups.clone().acquire_owned().await.ok();
        let turn_of_address = self.address.look_ups().clone().acquire_owned().await.ok();
        // In a task: the look-up goes on when no request waits for it any more, and it has its turn for as long.
        let (routes, topic) = (routes.clone(), topic.to_owned());
        let looking = tokio::task::spawn_local(async move {
            let _turns = (turn, turn_of_address);
            routes.route(&topic).await
        });
        let ended = || NameServerError::Unreachable("the look-up has ended".into());
        looking.await.unwrap_or_else(|_| Err(ended().into()))
    }
}
