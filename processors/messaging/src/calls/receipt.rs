//! Acknowledging popped messages, and changing for how long they are invisible.

use std::rc::Rc;
use std::time::Duration;

use remoting_codec::RequestCode;
use remoting_codec::headers::{
    AckMessageRequest, ChangeInvisibleTimeRequest, ChangeInvisibleTimeResponse, Header as _,
};
use remoting_codec::message::Receipt;
use route_cache::Class;

use super::{Answer, Requests, Wire};
use crate::check::receipt_handle;
use crate::clocks::{Clocks, MARGIN, now_millis};
use crate::error::{ErrorKind, MessagingError, Part};
use crate::policy::Patience;

/// The consumer that has popped a message, and the topic that the message was sent to.
#[derive(Clone, Copy, Debug)]
pub struct Popper<'a> {
    /// The consumer's group.
    pub group: &'a str,
    /// The topic that the message was sent to, not that of its retries.
    pub topic: &'a str,
    /// The lite topic that it is about, if the topic has some.
    pub lite_topic: Option<&'a str>,
}

/// The receipt of a handle. It is refused if it has expired by its broker's clock; if that clock is
/// not known, it is not looked at.
///
/// # Errors
/// [`Part::ReceiptHandle`].
pub fn receipt_of<'a>(clocks: &Clocks, handle: &'a str) -> Result<Receipt<'a>, MessagingError> {
    let ahead = Receipt::broker_in(handle).and_then(|broker| clocks.ahead(broker));
    let now = ahead.map_or(i64::MIN, |ahead| now_millis().saturating_add(ahead));
    receipt_handle(handle, now, MARGIN)
}

/// A receipt of one message has the message's offset.
fn offset(receipt: &Receipt<'_>) -> Result<i64, MessagingError> {
    receipt.queue_offset.ok_or_else(|| {
        MessagingError::new(ErrorKind::Invalid, "the receipt is of no single message")
    })
}

impl Requests {
    /// Sends a request about a receipt to the broker that has issued it.
    pub(super) async fn ask_issuer(
        self: &Rc<Self>,
        broker: &str,
        request: Wire,
    ) -> Result<Answer, MessagingError> {
        let broker = self.caller.upstream().broker(broker).await?;
        let connection = broker.connection(Class::Request, false)?;
        let time = self.caller.policy().time(Patience::General);
        self.ask(&connection, request, time, None).await
    }

    /// Acknowledges a message. A broker answers SUCCESS to a receipt that has expired, too.
    ///
    /// # Errors
    /// If the broker refuses, or has not answered in time.
    pub async fn acknowledge(
        self: &Rc<Self>,
        receipt: &Receipt<'_>,
        popper: Popper<'_>,
    ) -> Result<(), MessagingError> {
        let code = RequestCode::ACK_MESSAGE;
        self.admit(code, popper.topic, Some(popper.group), 0)?;
        let topic = receipt.mark.stored_topic(popper.topic, popper.group);
        let (text, broker) = (receipt.to_string(), receipt.broker);
        let header = AckMessageRequest {
            broker: Some(broker.into()),
            group: popper.group.into(),
            topic: topic.as_ref().into(),
            queue_id: receipt.queue_id,
            extra_info: text.as_str().into(),
            offset: offset(receipt)?,
            lite_topic: popper.lite_topic.map(Into::into),
        };
        let request = Wire::new(code, &header);
        let answer = self.ask_issuer(broker, request).await?;
        answer.succeeded().map(drop)
    }

    /// Sets again for how long a message is invisible, from now on. With `suspend`, its next
    /// delivery does not count as a retry. Returns the message's new handle.
    ///
    /// # Errors
    /// [`Part::ReceiptHandle`] if the message is acknowledged already; if the broker refuses, or
    /// has not answered in time.
    pub async fn change_invisible(
        self: &Rc<Self>,
        receipt: &Receipt<'_>,
        popper: Popper<'_>,
        invisible: Duration,
        suspend: bool,
    ) -> Result<String, MessagingError> {
        let code = RequestCode::CHANGE_MESSAGE_INVISIBLETIME;
        self.admit(code, popper.topic, Some(popper.group), 0)?;
        let topic = receipt.mark.stored_topic(popper.topic, popper.group);
        let (text, broker) = (receipt.to_string(), receipt.broker);
        let header = ChangeInvisibleTimeRequest {
            broker: Some(broker.into()),
            group: popper.group.into(),
            topic: topic.as_ref().into(),
            queue_id: receipt.queue_id,
            extra_info: text.as_str().into(),
            offset: offset(receipt)?,
            invisible_time: i64::try_from(invisible.as_millis()).unwrap_or(i64::MAX),
            suspend: suspend.then_some(true),
            lite_topic: popper.lite_topic.map(Into::into),
        };
        let request = Wire::new(code, &header);
        let answer = self.ask_issuer(broker, request).await?;
        let changed = ChangeInvisibleTimeResponse::read(answer.succeeded()?.ext_fields())?;
        changed_handle(receipt, &changed).ok_or_else(|| {
            let text = "the message is acknowledged already, or was delivered again";
            MessagingError::new(ErrorKind::Illegal(Part::ReceiptHandle), text)
        })
    }
}

/// The receipt handle after a change of the invisible time: its queue's start is the message's own
/// place from then on, for the broker ignores an acknowledgement with another.
///
/// `None` when nothing was changed, because the message is acknowledged already.
fn changed_handle(before: &Receipt<'_>, answer: &ChangeInvisibleTimeResponse) -> Option<String> {
    let changed = Receipt {
        start_offset: before.queue_offset?,
        pop_time: answer.pop_time,
        invisible_time: answer.invisible_time,
        revive_queue: answer.revive_queue,
        ..*before
    };
    (answer.pop_time != 0).then(|| changed.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_change_makes_a_new_handle() {
        let before = "100 1700000000000 60000 3 1 broker-a 2 105 4711";
        let receipt = Receipt::parse(before).unwrap();
        let answer = ChangeInvisibleTimeResponse {
            pop_time: 1_700_000_030_000,
            invisible_time: 1_000,
            revive_queue: 5,
        };
        let after = changed_handle(&receipt, &answer);
        let expected = "105 1700000030000 1000 5 1 broker-a 2 105 4711";
        assert_eq!(after.as_deref(), Some(expected));
        let nothing = ChangeInvisibleTimeResponse {
            pop_time: 0,
            ..answer
        };
        assert_eq!(changed_handle(&receipt, &nothing), None);
    }

    #[test]
    fn a_handle_expires_by_its_broker_s_clock() {
        let clocks = Clocks::default();
        let old = "100 1700000000000 60000 3 1 broker-a 2 105 4711";
        assert!(receipt_of(&clocks, old).is_ok());
        clocks.note("broker-b", now_millis());
        assert!(receipt_of(&clocks, old).is_ok());
        clocks.note("broker-a", now_millis());
        assert!(receipt_of(&clocks, old).is_err());
        clocks.note("broker-a", 1_700_000_061_000);
        assert!(receipt_of(&clocks, old).is_ok());
    }
}
