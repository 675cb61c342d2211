//! UpdateOffset, GetOffset, QueryOffset and PullMessage: for consumers that keep their own place.
//! The Java proxy has none of them.

use std::collections::VecDeque;

use bytes::Buf as _;
use messaging::check::batch_size;
use messaging::{Boundary, Pull, Queue};
use remoting_codec::ResponseCode;
use remoting_codec::headers::{Header as _, PullMessageResponse as PullHeader};
use remoting_codec::message::StoredMessages;

use super::{Streamed, status_only};
use crate::check::{self, Poll};
use crate::client::Call;
use crate::convert::{Received, of_broker, received};
use crate::error::CallError;
use crate::proto::{
    Code, GetOffsetRequest, GetOffsetResponse, MessageQueue, PullContent, PullMessageRequest,
    PullMessageResponse, QueryOffsetPolicy, QueryOffsetRequest, QueryOffsetResponse, Resource,
    Status, UpdateOffsetRequest, UpdateOffsetResponse,
};
use crate::transport::framed;

/// The queue of a call.
struct Named {
    broker: String,
    topic: String,
    id: i32,
    resource: Resource,
}

impl Named {
    fn of(call: &Call<'_>, queue: Option<MessageQueue>) -> Result<Self, CallError> {
        let queue = queue.unwrap_or_default();
        let topic = call.names.topic(queue.topic.as_ref())?;
        let broker = queue.broker.unwrap_or_default().name;
        if broker.is_empty() || queue.id < 0 {
            let text = "the queue has no broker or no number: send one of QueryRoute";
            return Err(CallError::new(Code::BadRequest, text));
        }
        Ok(Self {
            broker,
            topic,
            id: queue.id,
            resource: queue.topic.unwrap_or_default(),
        })
    }

    fn queue(&self) -> Queue<'_> {
        Queue {
            broker: &self.broker,
            topic: &self.topic,
            id: self.id,
        }
    }
}

/// Stores the offset up to which a group has consumed a queue.
pub(crate) async fn update_offset(
    call: &Call<'_>,
    request: UpdateOffsetRequest,
) -> Result<UpdateOffsetResponse, CallError> {
    let group = call.names.group(request.group.as_ref())?;
    let named = Named::of(call, request.message_queue)?;
    offset(request.offset)?;
    let requests = call.requests();
    requests
        .commit_offset(named.queue(), &group, request.offset)
        .await?;
    Ok(UpdateOffsetResponse {
        status: super::ok(),
    })
}

fn offset(offset: i64) -> Result<(), CallError> {
    match offset {
        0.. => Ok(()),
        _ => {
            let text = format!("the offset must be 0 or more; it is {offset}");
            Err(CallError::new(Code::IllegalOffset, text))
        }
    }
}

/// The offset up to which a group has consumed a queue.
pub(crate) async fn get_offset(
    call: &Call<'_>,
    request: GetOffsetRequest,
) -> Result<GetOffsetResponse, CallError> {
    let group = call.names.group(request.group.as_ref())?;
    let named = Named::of(call, request.message_queue)?;
    let requests = call.requests();
    let offset = requests.consumed_offset(named.queue(), &group).await?;
    Ok(GetOffsetResponse {
        status: super::ok(),
        offset,
    })
}

/// The offset of a place in a queue.
pub(crate) async fn query_offset(
    call: &Call<'_>,
    request: QueryOffsetRequest,
) -> Result<QueryOffsetResponse, CallError> {
    let named = Named::of(call, request.message_queue)?;
    let boundary = match QueryOffsetPolicy::try_from(request.query_offset_policy) {
        Ok(QueryOffsetPolicy::Beginning) => Boundary::First,
        Ok(QueryOffsetPolicy::End) => Boundary::Next,
        Ok(QueryOffsetPolicy::Timestamp) => match request.timestamp {
            Some(time) => Boundary::At(time.to_millis()),
            None => {
                let text = "the timestamp is missing, which the policy TIMESTAMP needs";
                return Err(CallError::new(Code::BadRequest, text));
            }
        },
        Err(_) => {
            let text = "query_offset_policy must be BEGINNING, END or TIMESTAMP";
            return Err(CallError::new(Code::BadRequest, text));
        }
    };
    let offset = call.requests().find_offset(named.queue(), boundary).await?;
    Ok(QueryOffsetResponse {
        status: super::ok(),
        offset,
    })
}

/// Messages of a queue from an offset on.
pub(crate) async fn pull(call: &Call<'_>, request: PullMessageRequest) -> Streamed {
    let account = call.connection.account();
    match try_pull(call, request).await {
        Ok(streamed) => streamed,
        Err(error) => status_only(error.into(), account),
    }
}

async fn try_pull(call: &Call<'_>, request: PullMessageRequest) -> Result<Streamed, CallError> {
    let group = call.names.group(request.group.as_ref())?;
    let named = Named::of(call, request.message_queue)?;
    offset(request.offset)?;
    let batch = batch_size(request.batch_size)?;
    let filter = check::filter(request.filter_expression.as_ref())?;
    let poll = Poll {
        asked: request.long_polling_timeout,
        remaining: call.remaining(),
        request_timeout: None,
        version: call.metadata.version,
    };
    let wait = check::polling_time(&poll, &call.connection.settings.limits)?;
    let pull = Pull {
        queue: named.queue(),
        group: &group,
        offset: request.offset,
        batch,
        wait,
        filter_type: filter.kind(),
        filter: filter.expression,
    };
    let answer = call.requests().pull(&pull).await?;
    let view = answer.view()?;
    let code = view.response_code();
    // These have the offset to go on from.
    let has_next = matches!(code.0, 0 | 19..=21);
    let header = match has_next {
        true => Some(PullHeader::read(view.ext_fields()).map_err(messaging::MessagingError::from)?),
        false => None,
    };
    let status = match code {
        ResponseCode::SUCCESS => Status::of(Code::Ok),
        ResponseCode(21) => Status::new(
            Code::IllegalOffset,
            "the queue has no message of that offset: go on from the next offset",
        ),
        code => of_broker(code, Some(&view.remark())),
    };
    let status_code = status.code;
    let account = call.connection.account();
    let mut parts: VecDeque<http_server::Chunk> = VecDeque::new();
    let mut push = |content| {
        let answer = PullMessageResponse {
            content: Some(content),
        };
        let part = framed(&answer, account);
        let length = part.remaining();
        parts.push_back(part);
        length
    };
    push(PullContent::Status(status));
    if code == ResponseCode::SUCCESS {
        let (mut count, mut bytes) = (0, 0);
        for message in StoredMessages::new(view.body()).flatten() {
            let passes = filter.matches(
                message
                    .properties
                    .get(remoting_codec::message::property::TAGS)
                    .as_deref(),
            );
            if !passes {
                continue;
            }
            let body = answer.slice(message.body);
            let of = Received {
                names: call.names,
                resource_namespace: &named.resource.resource_namespace,
                group: &group,
                ..Received::default()
            };
            bytes += push(PullContent::Message(received(&message, body, of)));
            count += 1;
        }
        let metrics = &call.connection.server.metrics;
        metrics.delivered(&named.topic, &group, count, bytes);
    }
    if let Some(header) = header {
        push(PullContent::NextOffset(header.next_begin_offset));
    }
    Ok(Streamed {
        code: status_code,
        parts,
    })
}
