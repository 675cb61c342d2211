//! Dead letters: messages that a consumer gives up.

use std::rc::Rc;

use remoting_codec::RequestCode;
use remoting_codec::headers::ConsumerSendMsgBackRequest;
use remoting_codec::message::Receipt;
use route_cache::Broker;

use super::{Popper, Requests, Wire};
use crate::error::{ErrorKind, MessagingError, Part};
use crate::policy::Patience;

impl Requests {
    /// Makes a dead letter of a popped message of that unique id, and acknowledges it. It is a dead
    /// letter before it is acknowledged: if that fails, it is delivered again, and not lost.
    ///
    /// # Errors
    /// [`Part::ReceiptHandle`] if the receipt has no place in the commit log; if the broker
    /// refuses, or has not answered in time.
    pub async fn dead_letter(
        self: &Rc<Self>,
        receipt: &Receipt<'_>,
        popper: Popper<'_>,
        message_id: &str,
    ) -> Result<(), MessagingError> {
        let Some(place) = receipt.commit_log_offset else {
            let text = "the receipt handle has no place in the commit log: send the one that the \
                        message came with";
            let kind = ErrorKind::Illegal(Part::ReceiptHandle);
            return Err(MessagingError::new(kind, text));
        };
        let broker = self.caller.upstream().broker(receipt.broker).await?;
        let giving_up = GivingUp {
            requests: self.clone(),
            topic: popper.topic.to_owned(),
            group: popper.group.to_owned(),
            lite_topic: popper.lite_topic.map(str::to_owned),
            handle: receipt.to_string(),
            message_id: message_id.to_owned(),
        };
        // A task of its own: if the client cancels in between, a message that is a dead letter
        // would be delivered again.
        let done = tokio::task::spawn_local(giving_up.run(broker, place));
        done.await.unwrap_or_else(|_| {
            let text = "the proxy is stopping: send it again";
            Err(MessagingError::new(ErrorKind::Lost, text))
        })
    }

    /// Makes a dead letter of a message. `place` is that in the broker's commit log.
    async fn make_dead_letter(
        self: &Rc<Self>,
        broker: &Broker,
        popper: Popper<'_>,
        message_id: &str,
        place: i64,
    ) -> Result<(), MessagingError> {
        let code = RequestCode::CONSUMER_SEND_MSG_BACK;
        let Popper { group, topic, .. } = popper;
        self.admit(code, topic, Some(group), 0)?;
        let header = ConsumerSendMsgBackRequest {
            broker: Some((&**broker.name()).into()),
            offset: place,
            group: group.into(),
            delay_level: -1,
            origin_msg_id: Some(message_id.into()),
            origin_topic: Some(topic.into()),
            unit_mode: Some(false),
            max_reconsume_times: Some(0),
        };
        let request = Wire::new(code, &header);
        let time = self.caller.policy().time(Patience::Offset);
        let answer = self.ask_master(broker, request, time).await?;
        answer.succeeded().map(drop)
    }
}

/// A message that its consumer gives up.
struct GivingUp {
    requests: Rc<Requests>,
    topic: String,
    group: String,
    lite_topic: Option<String>,
    handle: String,
    message_id: String,
}

impl GivingUp {
    async fn run(self, broker: Rc<Broker>, place: i64) -> Result<(), MessagingError> {
        let popper = Popper {
            group: &self.group,
            topic: &self.topic,
            lite_topic: self.lite_topic.as_deref(),
        };
        self.requests
            .make_dead_letter(&broker, popper, &self.message_id, place)
            .await?;
        let Ok(receipt) = Receipt::parse(&self.handle) else {
            return Ok(());
        };
        if self.requests.acknowledge(&receipt, popper).await.is_err() {
            self.requests.acknowledge(&receipt, popper).await?;
        }
        Ok(())
    }
}
