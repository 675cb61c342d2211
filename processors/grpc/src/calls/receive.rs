//! ReceiveMessage: messages are popped, and what the client does not get is given back at once.

use std::collections::VecDeque;
use std::rc::Rc;

use messaging::check::{Filter, batch_size};
use messaging::{Consumer, MessagingError, PopAnswer, Popped, Receive};
use remoting_codec::ResponseCode;

use super::delivery::{Delivery, Run};
use super::{Streamed, status_only};
use crate::check::{self, Poll};
use crate::client::presence;
use crate::client::{Call, now_millis};
use crate::convert::{Received, of_broker, received};
use crate::error::CallError;
use crate::proto::{
    Code, ReceiveContent, ReceiveMessageRequest, ReceiveMessageResponse, Resource, Status,
    Timestamp,
};
use crate::transport::framed;

/// Messages are handed to HTTP/2 together, up to this number of bytes: so far, they may be lost
/// with the client's connection.
const RUN_BYTES: usize = 32 * 1024;

/// Receives messages.
pub(crate) async fn receive(call: &Call<'_>, request: ReceiveMessageRequest) -> Streamed {
    match try_receive(call, request).await {
        Ok(streamed) => streamed,
        Err(error) => status_only(error.into(), call.connection.account()),
    }
}

/// What a ReceiveMessage asks for.
struct Wanted {
    consumer: Consumer,
    resource: Resource,
    /// Whether the client expects that its messages stay invisible until it has consumed them.
    is_held: bool,
}

async fn try_receive(
    call: &Call<'_>,
    request: ReceiveMessageRequest,
) -> Result<Streamed, CallError> {
    let queue = request.message_queue.unwrap_or_default();
    let topic = call.names.topic(queue.topic.as_ref())?;
    let group = call.names.group(request.group.as_ref())?;
    let batch = batch_size(request.batch_size)?;
    let filter = check::filter(request.filter_expression.as_ref())?;
    let limits = &call.connection.settings.limits;
    let wait = || {
        let poll = Poll {
            asked: request.long_polling_timeout,
            remaining: call.remaining(),
            request_timeout: call.connection.request_timeout(call.client_id),
            version: call.metadata.version,
        };
        check::polling_time(&poll, limits)
    };
    wait()?;
    let (caller, configs) = (call.caller(), call.configs());
    let consumer = Consumer::find(caller, configs, topic, group).await?;
    let invisible = match request.auto_renew {
        true => consumer.consume_time(),
        false => check::received_invisible_time(request.invisible_duration, limits)?,
    };
    let (topic, group) = (consumer.topic(), consumer.group());
    let mixed = &call.connection.server.metrics.mixed;
    configs.check_members(caller, group, topic, mixed).await?;
    let named = queue.broker.as_ref().map(|broker| broker.name.as_str());
    let broker = call.requests().broker_to_read(topic, named).await?;
    let is_member = request.auto_renew || consumer.is_lite();
    if is_member && call.connection.find_present(call.client_id).is_none() {
        presence::visit(call, group, topic);
    }
    let receive = Receive {
        client_id: call.client_id,
        batch,
        invisible,
        // What was asked of brokers before has taken some of the time.
        wait: wait()?,
        filter,
        attempt_id: request.attempt_id.as_deref(),
        deadline: call.deadline,
    };
    let requests = call.requests();
    let popped = requests.receive(&broker, &consumer, &receive).await?;
    let wanted = Wanted {
        consumer,
        resource: queue.topic.unwrap_or_default(),
        is_held: request.auto_renew,
    };
    answer(call, &wanted, &filter, popped)
}

fn answer(
    call: &Call<'_>,
    wanted: &Wanted,
    filter: &Filter<'_>,
    popped: Popped,
) -> Result<Streamed, CallError> {
    let account = call.connection.account();
    let view = popped.view()?;
    let code = view.response_code();
    if code != ResponseCode::SUCCESS {
        let status = of_broker(code, Some(&view.remark()));
        return Ok(status_only(status, account));
    }
    let consumer = &wanted.consumer;
    let header = PopAnswer::read(&view, consumer.is_lite()).map_err(MessagingError::from)?;
    call.clocks().note(popped.broker(), header.pop_time());
    let mut runs = Runs::default();
    let unwanted = popped.sort(
        &view,
        &header,
        consumer,
        filter,
        |message, answer, lite_topic| {
            let handle = answer.handle.clone();
            let of = Received {
                names: call.names,
                resource_namespace: &wanted.resource.resource_namespace,
                group: consumer.group(),
                popped: Some(answer),
            };
            let body = popped.slice(message.body);
            let content = ReceiveContent::Message(received(message, body, of));
            runs.push(content, handle, lite_topic);
        },
    );
    let popping = Rc::new(popped.take()?);
    call.requests().drop_unwanted(consumer, unwanted);
    let runs = runs.finish();
    if runs.is_empty() {
        let status = Status::new(Code::MessageNotFound, "the filter lets no message pass");
        return Ok(status_only(status, account));
    }
    let delivery = Rc::new(Delivery {
        popping,
        metrics: call.connection.server.metrics.clone(),
        account: account.clone(),
        holder: match wanted.is_held {
            true => call.connection.find_present(call.client_id),
            false => None,
        },
    });
    let runs = runs.into_iter().map(|run| run.into_chunk(&delivery));
    let mut parts: VecDeque<_> = runs.collect();
    let end = ReceiveMessageResponse {
        content: Some(ReceiveContent::DeliveryTimestamp(Timestamp::from_millis(
            now_millis(),
        ))),
    };
    parts.push_back(framed(&end, account));
    Ok(Streamed {
        code: Code::Ok.into(),
        parts,
    })
}

/// The messages of an answer, in runs that are handed to HTTP/2 as a whole.
#[derive(Default)]
struct Runs {
    full: Vec<Run>,
    last: Run,
}

impl Runs {
    fn push(&mut self, content: ReceiveContent, handle: String, lite_topic: Option<Box<str>>) {
        if self.full.is_empty() && self.last.bytes.is_empty() {
            let ok = ReceiveContent::Status(Status::of(Code::Ok));
            self.last.push(ok);
        }
        self.last.push_message(content, handle, lite_topic);
        if self.last.bytes.len() >= RUN_BYTES {
            self.full.push(std::mem::take(&mut self.last));
        }
    }

    /// All runs; none if there are no messages.
    fn finish(mut self) -> Vec<Run> {
        if !self.last.bytes.is_empty() {
            self.full.push(self.last);
        }
        self.full
    }
}
