//! The connections that consumers' requests use, once the broker knows the consumer.

use std::rc::Rc;

use remoting_codec::body::MessageModel;
use route_cache::{Broker, Class, Connection, UpstreamError};

use super::Member;
use crate::error::MessagingError;

impl Member {
    /// The lane on which the broker's master knows the client, if there is one.
    #[must_use]
    pub fn lane_connection(&self, broker: &Broker) -> Option<Rc<Connection>> {
        let membership = self.membership.borrow();
        let addresses = broker.addresses();
        let lane = membership.lane(broker.name(), addresses.master()?)?;
        lane.registered()
    }

    /// The connection that a pull or POP of that group uses, of that class; `None` while the broker
    /// does not know the consumer.
    ///
    /// A broadcast consumer's pulls use its lane: the broker keeps the consumer's offsets by the
    /// connection on which it is registered (`BroadcastOffsetManager` in the reference).
    ///
    /// # Errors
    /// If the broker cannot be reached now.
    pub fn poll_connection(
        &self,
        broker: &Broker,
        group: Option<&str>,
        class: Class,
    ) -> Result<Option<Rc<Connection>>, UpstreamError> {
        let membership = self.membership.borrow();
        let Some(model) = group.and_then(|group| membership.consumer(group)) else {
            // The client has not declared that it is in the group: the broker decides how to
            // answer.
            return broker.connection(class, false).map(Some);
        };
        let addresses = broker.addresses();
        let lane = addresses
            .readable()
            .and_then(|address| membership.lane(broker.name(), address))
            .and_then(|lane| lane.registered());
        match (model, lane) {
            (_, None) => Ok(None),
            (MessageModel::Broadcasting, lane) => Ok(lane),
            (MessageModel::Clustering, _) => broker.connection(class, false).map(Some),
        }
    }

    /// The connection that a pull or POP uses, after waiting until the broker knows the consumer. A
    /// broker that does not know the consumer answers an error, after which a client pauses for
    /// seconds. `class` is called when it is needed.
    ///
    /// # Errors
    /// If the broker cannot be reached now.
    pub async fn wait_for_poll_connection(
        &self,
        broker: &Broker,
        group: Option<&str>,
        class: impl FnOnce() -> Class,
    ) -> Result<Rc<Connection>, MessagingError> {
        let address = broker.addresses().readable().cloned();
        let lane = address.and_then(|address| self.lane_to(broker, &address));
        let registered = match lane {
            Some(lane) => {
                let time = self.caller().policy().registration_time;
                lane.wait_registered(time).await
            }
            None => None,
        };
        let model = group.and_then(|group| self.consumer(group));
        match (model, registered) {
            (Some(MessageModel::Broadcasting), Some(lane)) => Ok(lane),
            _ => Ok(broker.connection(class(), false)?),
        }
    }
}
