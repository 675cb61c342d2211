//! Sending messages, and recalling delayed ones.

use std::rc::Rc;
use std::time::Duration;

use bytes::Bytes;
use remoting_codec::headers::{
    Header as _, RecallMessageRequest, RecallMessageResponse, SendMessageRequestV2,
    SendMessageResponse,
};
use remoting_codec::message::SysFlag;
use remoting_codec::{RequestCode, ResponseCode};
use route_cache::Broker;

use super::{Requests, Wire, refused};
use crate::error::{ErrorKind, MessagingError, Part};
use crate::policy::Patience;
use crate::token::broker_of_recall;

/// The topic whose settings a new topic gets (`TopicValidator.AUTO_CREATE_TOPIC_KEY_TOPIC`).
pub(super) const DEFAULT_TOPIC: &str = "TBW102";

/// How many queues a new topic gets at most (`DefaultMQProducer.defaultTopicQueueNums`).
pub(super) const DEFAULT_QUEUES: i32 = 4;

/// A message, or several as one batch.
#[derive(Clone, Debug)]
pub struct Send<'a> {
    /// The topic.
    pub topic: &'a str,
    /// The producer's group.
    pub group: &'a str,
    /// The queue's number at its broker; less than 0 for any.
    pub queue_id: i32,
    /// Compression and transaction.
    pub sys_flag: SysFlag,
    /// When it was made: milliseconds since 1970.
    pub born_time: i64,
    /// The message's properties in their text form; of a batch, those of its first message.
    pub properties: &'a str,
    /// The body; of a batch, its messages one after the other.
    pub body: Bytes,
    /// Whether it is a batch.
    pub is_batch: bool,
}

/// A broker's answer to a message: it is stored, though perhaps less safely than configured.
#[derive(Clone, Debug)]
pub struct SendReceipt {
    /// SUCCESS, or FLUSH_DISK_TIMEOUT (10), SLAVE_NOT_AVAILABLE (11), FLUSH_SLAVE_TIMEOUT (12).
    pub code: ResponseCode,
    /// The broker's remark.
    pub remark: String,
    /// The broker that has stored it.
    pub broker: Rc<str>,
    /// Its offset id; of a batch, those of its messages with commas between them.
    pub offset_id: String,
    /// Its queue.
    pub queue_id: i32,
    /// Its place in the queue; of a batch, that of the first message.
    pub queue_offset: i64,
    /// The transaction's id.
    pub transaction_id: String,
    /// The handle for a recall, if the message is delayed; else empty.
    pub recall_handle: String,
}

impl Requests {
    /// Sends a message to a broker.
    ///
    /// # Errors
    /// If the broker has not stored it, or has not answered in time: it may be stored then.
    pub async fn send(
        self: &Rc<Self>,
        broker: &Broker,
        message: &Send<'_>,
        time: Duration,
    ) -> Result<SendReceipt, MessagingError> {
        let code = match message.is_batch {
            true => RequestCode::SEND_BATCH_MESSAGE,
            false => RequestCode::SEND_MESSAGE_V2,
        };
        let (topic, group) = (message.topic, message.group);
        self.admit(code, topic, Some(group), message.body.len())?;
        let header = SendMessageRequestV2 {
            broker: Some((&**broker.name()).into()),
            producer_group: group.into(),
            topic: topic.into(),
            default_topic: DEFAULT_TOPIC.into(),
            default_topic_queue_nums: DEFAULT_QUEUES,
            queue_id: message.queue_id,
            sys_flag: message.sys_flag.0,
            born_timestamp: message.born_time,
            flag: 0,
            properties: Some(message.properties.into()),
            reconsume_times: Some(0),
            unit_mode: Some(false),
            max_reconsume_times: None,
            batch: Some(message.is_batch),
        };
        let request = Wire::with_body(code, &header, &message.body);
        let answer = self.ask_master(broker, request, time).await?;
        let view = answer.view()?;
        let code = view.response_code();
        if !matches!(code.0, 0 | 10..=12) {
            return Err(refused(&view));
        }
        let stored = SendMessageResponse::read(view.ext_fields())?;
        let text = |text: Option<remoting_codec::headers::Text<'_>>| {
            text.map(|text| text.text().into_owned())
                .unwrap_or_default()
        };
        Ok(SendReceipt {
            code,
            remark: view.remark().into_owned(),
            broker: broker.name().clone(),
            offset_id: stored.msg_id.text().into_owned(),
            queue_id: stored.queue_id,
            queue_offset: stored.queue_offset,
            transaction_id: text(stored.transaction_id),
            recall_handle: text(stored.recall_handle),
        })
    }

    /// Recalls a delayed message of that handle; returns the message's unique id.
    ///
    /// # Errors
    /// [`Part::RecallHandle`] if it is no handle of the topic; if the broker refuses: the message
    /// was delivered, or recalls are not enabled there.
    pub async fn recall(
        self: &Rc<Self>,
        topic: &str,
        handle: &str,
    ) -> Result<String, MessagingError> {
        let Some(broker) = broker_of_recall(handle, topic) else {
            let text =
                "not a recall handle of this topic: send the one that the answer to the send has";
            let kind = ErrorKind::Illegal(Part::RecallHandle);
            return Err(MessagingError::new(kind, text));
        };
        let broker = self.caller.upstream().broker(&broker).await?;
        let code = RequestCode::RECALL_MESSAGE;
        self.admit(code, topic, Some(topic), 0)?;
        let header = RecallMessageRequest {
            broker: Some((&**broker.name()).into()),
            producer_group: Some(topic.into()),
            topic: topic.into(),
            recall_handle: handle.into(),
        };
        let request = Wire::new(code, &header);
        let time = self.caller.policy().time(Patience::Send);
        let answer = self.ask_master(&broker, request, time).await?;
        let view = answer.succeeded()?;
        let recalled = RecallMessageResponse::read(view.ext_fields())?;
        Ok(recalled.msg_id.text().into_owned())
    }
}

impl From<remoting_codec::FieldError> for MessagingError {
    fn from(error: remoting_codec::FieldError) -> Self {
        Self::new(ErrorKind::Invalid, error.to_string())
    }
}
