//! Pulling messages from an offset on.

use std::rc::Rc;
use std::time::Duration;

use bytes::Bytes;
use remoting_codec::headers::PullMessageRequest;
use remoting_codec::{RequestCode, UpstreamView};
use route_cache::Class;

use super::{Answer, Queue, Requests, Wire};
use crate::error::MessagingError;
use crate::policy::pull_time;

/// Bits of a pull's `sysFlag` (`PullSysFlag`): the broker may wait; the request has its filter.
const SUSPEND: i32 = 2;
const SUBSCRIPTION: i32 = 4;

/// A request for the messages of a queue.
#[derive(Clone, Copy, Debug)]
pub struct Pull<'a> {
    /// The queue.
    pub queue: Queue<'a>,
    /// The consumer's group.
    pub group: &'a str,
    /// The offset of the first message.
    pub offset: i64,
    /// The greatest number of messages.
    pub batch: i32,
    /// How long the broker may wait for messages.
    pub wait: Duration,
    /// `TAG` or `SQL92`.
    pub filter_type: &'a str,
    /// The filter.
    pub filter: &'a str,
}

/// The answer to a pull. It is charged to the client's account until it is dropped.
#[derive(Debug)]
pub struct Pulled(Answer);

impl Pulled {
    /// The answer's parts, whatever its code is.
    ///
    /// # Errors
    /// If it cannot be read.
    pub fn view(&self) -> Result<UpstreamView<'_>, MessagingError> {
        self.0.view()
    }

    /// A part of the answer, which shares its memory.
    #[must_use]
    pub fn slice(&self, part: &[u8]) -> Bytes {
        self.0.frame.slice_ref(part)
    }
}

impl Requests {
    /// Pulls messages of a queue. An answer of any code is returned.
    ///
    /// # Errors
    /// If the request cannot be sent, or is not answered.
    pub async fn pull(self: &Rc<Self>, pull: &Pull<'_>) -> Result<Pulled, MessagingError> {
        let code = RequestCode::PULL_MESSAGE;
        let Queue { broker, topic, id } = pull.queue;
        self.admit(code, topic, Some(pull.group), 0)?;
        let wait = i64::try_from(pull.wait.as_millis()).unwrap_or(i64::MAX);
        let header = PullMessageRequest {
            broker: Some(broker.into()),
            group: pull.group.into(),
            topic: topic.into(),
            queue_id: id,
            queue_offset: pull.offset,
            max_msg_nums: pull.batch,
            sys_flag: SUSPEND | SUBSCRIPTION,
            commit_offset: 0,
            suspend_timeout_millis: wait,
            subscription: Some(pull.filter.into()),
            sub_version: 0,
            expression_type: Some(pull.filter_type.into()),
            max_msg_bytes: None,
            request_source: None,
            proxy_forward_client_id: None,
            lite_topic: None,
        };
        let request = Wire::new(code, &header);
        let broker = self.caller.upstream().broker(broker).await?;
        let connection = broker.connection(self.class_of_poll(), false)?;
        let time = pull_time(Some(wait));
        Ok(Pulled(self.ask(&connection, request, time, None).await?))
    }

    /// The class of a long poll: a client with many polls uses the connection for such clients.
    pub(super) fn class_of_poll(&self) -> Class {
        /// A consumer has a poll for each queue.
        const CROWD_MIN: usize = 256;
        match self.polls.get() < CROWD_MIN {
            true => Class::Pull,
            false => Class::Crowd,
        }
    }
}
