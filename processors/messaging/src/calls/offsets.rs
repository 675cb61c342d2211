//! Offsets of queues and groups.

use std::rc::Rc;

use remoting_codec::RequestCode;
use remoting_codec::headers::{
    GetMaxOffsetRequest, Header as _, OffsetResponse, QueryConsumerOffsetRequest, QueueRequest,
    SearchOffsetRequest, UpdateConsumerOffsetRequest,
};
use route_cache::Class;

use super::{Requests, Wire};
use crate::error::MessagingError;
use crate::policy::Patience;

/// A queue.
#[derive(Clone, Copy, Debug)]
pub struct Queue<'a> {
    /// Its broker.
    pub broker: &'a str,
    /// Its topic.
    pub topic: &'a str,
    /// Its number at the broker.
    pub id: i32,
}

/// A place in a queue.
#[derive(Clone, Copy, Debug)]
pub enum Boundary {
    /// The first message.
    First,
    /// The place of the next message.
    Next,
    /// The first message that was stored at that time or later: milliseconds since 1970.
    At(i64),
}

impl Requests {
    /// The offset of a place in a queue.
    ///
    /// # Errors
    /// If the broker refuses, or has not answered in time.
    pub async fn find_offset(
        self: &Rc<Self>,
        queue: Queue<'_>,
        boundary: Boundary,
    ) -> Result<i64, MessagingError> {
        let (broker, topic) = (Some(queue.broker.into()), queue.topic.into());
        let queue_id = queue.id;
        let request = match boundary {
            Boundary::First => {
                let header = QueueRequest {
                    broker,
                    topic,
                    queue_id,
                };
                Wire::new(RequestCode::GET_MIN_OFFSET, &header)
            }
            Boundary::Next => {
                let header = GetMaxOffsetRequest {
                    broker,
                    topic,
                    queue_id,
                    committed: None,
                };
                Wire::new(RequestCode::GET_MAX_OFFSET, &header)
            }
            Boundary::At(timestamp) => {
                let header = SearchOffsetRequest {
                    broker,
                    topic,
                    queue_id,
                    timestamp,
                    boundary_type: None,
                    lite_topic: None,
                };
                let code = RequestCode::SEARCH_OFFSET_BY_TIMESTAMP;
                Wire::new(code, &header)
            }
        };
        self.offset(queue, None, request).await
    }

    /// The offset up to which a group has consumed a queue.
    ///
    /// # Errors
    /// QUERY_NOT_FOUND if the group has none; if the broker has not answered in time.
    pub async fn consumed_offset(
        self: &Rc<Self>,
        queue: Queue<'_>,
        group: &str,
    ) -> Result<i64, MessagingError> {
        let header = QueryConsumerOffsetRequest {
            broker: Some(queue.broker.into()),
            group: group.into(),
            topic: queue.topic.into(),
            queue_id: queue.id,
            set_zero_if_not_found: Some(false),
        };
        let code = RequestCode::QUERY_CONSUMER_OFFSET;
        let request = Wire::new(code, &header);
        self.offset(queue, Some(group), request).await
    }

    /// Stores the offset up to which a group has consumed a queue.
    ///
    /// # Errors
    /// If the broker refuses, or has not answered in time.
    pub async fn commit_offset(
        self: &Rc<Self>,
        queue: Queue<'_>,
        group: &str,
        offset: i64,
    ) -> Result<(), MessagingError> {
        let header = UpdateConsumerOffsetRequest {
            broker: Some(queue.broker.into()),
            group: group.into(),
            topic: queue.topic.into(),
            queue_id: queue.id,
            commit_offset: offset,
        };
        let code = RequestCode::UPDATE_CONSUMER_OFFSET;
        let request = Wire::new(code, &header);
        self.ask_about(queue, Some(group), request).await.map(drop)
    }

    async fn offset(
        self: &Rc<Self>,
        queue: Queue<'_>,
        group: Option<&str>,
        request: Wire,
    ) -> Result<i64, MessagingError> {
        let answer = self.ask_about(queue, group, request).await?;
        Ok(OffsetResponse::read(answer.view()?.ext_fields())?.offset)
    }

    async fn ask_about(
        self: &Rc<Self>,
        queue: Queue<'_>,
        group: Option<&str>,
        request: Wire,
    ) -> Result<super::Answer, MessagingError> {
        self.admit(request.code, queue.topic, group, 0)?;
        let broker = self.caller.upstream().broker(queue.broker).await?;
        let connection = broker.connection(Class::Request, false)?;
        let time = self.caller.policy().time(Patience::Offset);
        let answer = self.ask(&connection, request, time, None).await?;
        answer.succeeded()?;
        Ok(answer)
    }
}
