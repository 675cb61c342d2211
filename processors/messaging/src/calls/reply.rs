//! Replying to requests (RIP-16).

use std::rc::Rc;

use remoting_codec::headers::SendMessageRequestV2;
use remoting_codec::message::property;
use remoting_codec::{RequestCode, ResponseCode};
use route_cache::Broker;

use super::send::{DEFAULT_QUEUES, DEFAULT_TOPIC};
use super::{Requests, Wire};
use crate::clocks::{Clocks, now_millis};
use crate::draft::{Outgoing, push};
use crate::error::{ErrorKind, MessagingError};
use crate::policy::Patience;
use crate::token::ReplyToken;

/// The property [`property::MSG_TYPE`] of replies (`MixAll.REPLY_MESSAGE_FLAG`).
const REPLY: &str = "reply";

/// The producer's group of replies. Nothing is registered under it.
const GROUP: &str = "REMORA_REPLIER";

/// What a broker answers, with SYSTEM_ERROR, to a reply whose requester is not registered there
/// (`ReplyMessageProcessor.pushReplyMessage`).
const NO_CHANNEL: (&str, &str) = ("channel of <", "not found");

impl Requests {
    /// Sends the reply to a request: to the broker that has handed the request out, where the
    /// requester is registered. If that cannot be reached, to another broker of the cluster: a
    /// requester is registered at all. The message was made for the topic of the token.
    ///
    /// # Errors
    /// [`ErrorKind::Expired`] if the requester does not wait any more; if the broker has not
    /// answered in time, the requester may have the reply.
    pub async fn reply(
        self: &Rc<Self>,
        clocks: &Clocks,
        token: &ReplyToken,
        mut message: Outgoing,
    ) -> Result<(), MessagingError> {
        let ahead = clocks.ahead(&token.broker).unwrap_or_default();
        token.check(now_millis().saturating_add(ahead))?;
        let code = RequestCode::SEND_REPLY_MESSAGE_V2;
        self.admit(code, &token.topic, Some(GROUP), message.body.len())?;
        let properties = &mut message.properties;
        push(properties, property::MSG_TYPE, REPLY)?;
        push(properties, property::CORRELATION_ID, &token.correlation_id)?;
        push(properties, property::REPLY_TO_CLIENT, &token.client_id)?;
        let upstream = self.caller.upstream();
        let sent = match upstream.broker(&token.broker).await {
            Ok(broker) => self.send_reply(&broker, token, &message).await,
            Err(error) => Err(error.into()),
        };
        let Err(mut failed) = sent else {
            return Ok(());
        };
        if !failed.is_unsent() {
            return Err(failed);
        }
        let Ok(route) = self.caller.route(&token.topic).await else {
            return Err(failed);
        };
        let others = route.brokers().iter().map(|data| &data.broker_name);
        for name in others.filter(|name| **name != token.broker) {
            let Ok(broker) = upstream.broker(name).await else {
                continue;
            };
            match self.send_reply(&broker, token, &message).await {
                Ok(()) => return Ok(()),
                Err(error) if error.is_unsent() => failed = error,
                Err(error) => return Err(error),
            }
        }
        Err(failed)
    }

    async fn send_reply(
        self: &Rc<Self>,
        broker: &Broker,
        token: &ReplyToken,
        message: &Outgoing,
    ) -> Result<(), MessagingError> {
        let header = SendMessageRequestV2 {
            broker: Some((&**broker.name()).into()),
            producer_group: GROUP.into(),
            topic: (&*token.topic).into(),
            default_topic: DEFAULT_TOPIC.into(),
            default_topic_queue_nums: DEFAULT_QUEUES,
            queue_id: -1,
            sys_flag: message.sys_flag.0,
            born_timestamp: message.born_time,
            flag: 0,
            properties: Some(message.properties.as_str().into()),
            reconsume_times: Some(0),
            unit_mode: Some(false),
            max_reconsume_times: None,
            batch: Some(false),
        };
        let code = RequestCode::SEND_REPLY_MESSAGE_V2;
        let request = Wire::with_body(code, &header, &message.body);
        // The broker waits for the requester to take the reply.
        let time = self.caller.policy().time(Patience::Client);
        let answer = self.ask_master(broker, request, time).await?;
        match answer.succeeded() {
            Ok(_) => Ok(()),
            Err(error) if is_without_requester(&error) => {
                let text = "the client that has sent the request does not wait any more: it has \
                            left, or lost its connection to the broker";
                Err(MessagingError::new(ErrorKind::Expired, text))
            }
            Err(error) => Err(error),
        }
    }
}

fn is_without_requester(error: &MessagingError) -> bool {
    let (start, end) = NO_CHANNEL;
    error.kind() == ErrorKind::Refused(ResponseCode::SYSTEM_ERROR)
        && error.text().contains(start)
        && error.text().contains(end)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_broker_says_that_the_requester_has_left() {
        for (code, remark, has_left) in [
            (
                1,
                "push reply message fail, channel of <c@1> not found.",
                true,
            ),
            (1, "push reply message to c@1fail.", false),
            (16, "channel of <c@1> not found.", false),
        ] {
            let kind = ErrorKind::Refused(ResponseCode(code));
            let error = MessagingError::new(kind, remark);
            assert_eq!(is_without_requester(&error), has_left, "{remark}");
        }
    }
}
