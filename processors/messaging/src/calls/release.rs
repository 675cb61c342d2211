//! What a client held that has crashed: it is made visible again, once no broker knows the client
//! any more.
//!
//! The client may have moved to another replica, and may have acknowledged there. To make an
//! acknowledged message visible would deliver it again. So it is looked for at all brokers first,
//! for as long as a client takes to move; if it is seen once, or a broker cannot be asked, nothing
//! is done, and the messages become visible when their invisible time ends.

use std::rc::Rc;
use std::time::Duration;

use remoting_codec::body::{ConsumerList, LiteSubscription};
use remoting_codec::headers::GetConsumerListByGroupRequest;
use remoting_codec::message::Receipt;
use remoting_codec::{BodyError, RemotingCommand, RequestCode, ResponseCode, UpstreamView};
use route_cache::{Class, Upstream};
use tokio::task::yield_now;
use tokio::time::{Instant, sleep};

use crate::error::{ErrorKind, MessagingError};
use crate::give_back::Popping;
use crate::own::ask;

/// For how long the client is looked for, and how often.
const GRACE: Duration = Duration::from_secs(30);
const LOOK: Duration = Duration::from_secs(3);

/// How many messages are given back in one turn.
const TURN: usize = 32;

/// The timeout of a broker's answer.
const TIME: Duration = Duration::from_secs(2);

/// What a broker answers, with this code, of a group that has no member
/// (`ConsumerManageProcessor.getConsumerListByGroup`).
const NO_MEMBERS: ErrorKind = ErrorKind::Refused(ResponseCode::SYSTEM_ERROR);
const NO_MEMBERS_REMARK: &str = "no consumer for this group";

/// A message that a client held.
#[derive(Clone, Debug)]
pub struct Released {
    /// The consumer's group.
    pub group: String,
    /// The topic that the message was sent to.
    pub topic: String,
    /// The lite topic that it is about, if the topic has some.
    pub lite_topic: Option<Box<str>>,
    /// The message's receipt.
    pub handle: String,
}

/// A client that has disconnected without a goodbye.
#[derive(Clone, Debug)]
pub struct Crashed {
    /// Its id.
    pub client_id: String,
    /// The messages that it held.
    pub held: Vec<Released>,
    /// The group and the topic of its lite topics, if it has subscribed to some.
    pub lite: Option<(String, String)>,
}

/// Makes the client's messages visible again and ends its lite subscriptions, if no broker knows
/// the client for the whole grace. `now` is the time in milliseconds since 1970: messages that are
/// visible by then are left alone, for another consumer may have acknowledged them.
pub async fn release(upstream: Rc<Upstream>, crashed: Crashed, now: impl Fn() -> i64) {
    let Crashed {
        client_id,
        held,
        lite,
    } = crashed;
    let until = Instant::now() + GRACE;
    let mut groups: Vec<&str> = held.iter().map(|one| one.group.as_str()).collect();
    groups.extend(lite.as_ref().map(|(group, _)| group.as_str()));
    groups.sort_unstable();
    groups.dedup();
    while Instant::now() < until {
        sleep(LOOK).await;
        for group in &groups {
            match is_listed(&upstream, group, &client_id).await {
                Ok(false) => {}
                Ok(true) => {
                    tracing::debug!(client_id, "the client is at another replica");
                    return;
                }
                Err(error) => {
                    tracing::debug!(client_id, %error, "cannot find out whether the client lives");
                    return;
                }
            }
        }
    }
    tracing::debug!(
        client_id,
        messages = held.len(),
        "the client is gone: giving back"
    );
    if let Some((group, topic)) = &lite {
        end_lite(&upstream, &client_id, group, topic).await;
    }
    for (nth, one) in held.into_iter().enumerate() {
        if nth % TURN == 0 {
            yield_now().await;
        }
        let receipt = Receipt::parse(&one.handle).ok();
        let Some(receipt) = receipt.filter(|receipt| now() < receipt.visible_time()) else {
            continue;
        };
        let Some(broker) = upstream.known_broker(receipt.broker) else {
            continue;
        };
        if let Ok(connection) = broker.connection(Class::Request, false) {
            let popping = Popping::new(upstream.clone(), connection, one.topic, one.group);
            popping.give_back_one(&receipt, one.lite_topic.as_deref(), true);
        }
    }
}

/// Ends the client's subscriptions to lite topics. Until then a broker keeps messages for it, for
/// five minutes at most.
async fn end_lite(upstream: &Rc<Upstream>, client_id: &str, group: &str, topic: &str) {
    let body = LiteSubscription::none(client_id, group, topic).encode();
    for broker in upstream.all_brokers().await {
        if let Ok(connection) = broker.connection(Class::Request, true) {
            let request = RemotingCommand::request(RequestCode::LITE_SUBSCRIPTION_CTL);
            let request = request.with_body(body.clone());
            // Not signed: nobody has verified the client. A broker that refuses it ends the
            // subscriptions by its own timeout.
            if let Err(error) = connection.call(request.to_bytes(), TIME).await {
                tracing::debug!(client_id, %error, "lite subscriptions end by the broker's timeout");
            }
        }
    }
}

/// Whether any broker lists the client as a member of the group.
async fn is_listed(
    upstream: &Rc<Upstream>,
    group: &str,
    client_id: &str,
) -> Result<bool, MessagingError> {
    for broker in upstream.all_brokers().await {
        if broker.addresses().master().is_none() {
            continue;
        }
        let connection = broker.connection(Class::Request, true)?;
        let header = GetConsumerListByGroupRequest {
            group: group.into(),
        };
        let code = RequestCode::GET_CONSUMER_LIST_BY_GROUP;
        let request = RemotingCommand::request(code).with_header(&header);
        match ask(&connection, upstream.config(), request, TIME).await {
            Ok(answer) => {
                let view = UpstreamView::decode_answer(&answer)?;
                let unreadable =
                    |error: BodyError| MessagingError::new(ErrorKind::Invalid, error.to_string());
                let list = ConsumerList::decode(view.body()).map_err(unreadable)?;
                if list.consumer_id_list.iter().any(|id| id == client_id) {
                    return Ok(true);
                }
            }
            Err(error)
                if error.kind() == NO_MEMBERS && error.text().contains(NO_MEMBERS_REMARK) => {}
            Err(error) => return Err(error),
        }
    }
    Ok(false)
}
