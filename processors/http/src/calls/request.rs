//! Requests that are replied to, and replies.

use std::time::Duration;

use http::header::CACHE_CONTROL;
use http::{HeaderValue, Response, StatusCode};
use http_server::{Chunk, Reply};
use messaging::queues::broker_of;
use messaging::token::ReplyToken;
use messaging::{Place, RECOVERY, Sender, now_millis};
use remoting_codec::body::TopicRouteData;

use super::rendered::INFLATED_MAX;
use super::send::outgoing;
use super::{Outcome, body, inflate, read_message, topic_of};
use crate::answer;
use crate::call::Call;
use crate::json::{Problem, QueueOf, Span, read_reply, read_request, reply_headers};
use crate::render;

/// How long a reply is waited for, unless the client says so; and the longest wait.
const TIMEOUT: Duration = Duration::from_secs(5);
const TIMEOUT_MAX: Duration = Duration::from_mins(1);
const TIMEOUT_MIN: Duration = Duration::from_millis(1);

/// Sends a request; the answer is its reply.
pub(super) async fn request(call: &Call<'_>, topic: &str) -> Outcome {
    let name = topic_of(call, topic)?;
    let (body, held) = body(call).await?;
    let (draft, options) = read_message(call, body, read_request).await?;
    let time = timeout(options.timeout)?;
    let caller = call.caller();
    let route = caller.route(&name).await;
    let route = route.map_err(|error| render::read(error.into()))?;
    let kind = call.configs().topic_type(caller, &name).await;
    let message = outgoing(&draft, &sender(call, &name));
    let message = message.and_then(|message| {
        kind.check(&name, message.kind)?;
        Ok(message)
    });
    let message = message.map_err(render::read)?;
    drop((draft, held));
    let place = match (&options.queue, &options.selector) {
        (Some(queue), _) => place(route.data(), queue)?,
        (None, Some(key)) => Place::Key(key),
        (None, None) => Place::Any,
    };
    let requester = &call.connection.server.requester;
    let replied = requester.request(call.requests(), &name, &route, message, place, time);
    let reply = replied.await.map_err(render::change)?;
    let bytes = reply.body();
    let inflated = inflate(&bytes, reply.sys_flag(), INFLATED_MAX).await;
    let headers = reply_headers(&reply.properties(), inflated.encoding);
    let bytes = match inflated.bytes {
        std::borrow::Cow::Owned(inflated) => inflated.into(),
        std::borrow::Cow::Borrowed(_) => bytes.clone(),
    };
    let chunk = Chunk::new(bytes, call.account());
    let mut answer = Response::new(Reply::one(chunk, None));
    *answer.headers_mut() = headers;
    let no_store = HeaderValue::from_static("no-store");
    answer.headers_mut().insert(CACHE_CONTROL, no_store);
    Ok(answer)
}

fn timeout(asked: Option<Span>) -> Result<Duration, Problem> {
    let time = asked.map_or(TIMEOUT, |span| span.0);
    match (TIMEOUT_MIN..=TIMEOUT_MAX).contains(&time) {
        true => Ok(time),
        false => {
            let (least, most) = (Span(TIMEOUT_MIN), Span(TIMEOUT_MAX));
            let detail = format!("timeout must be {least} to {most}");
            Err(Problem::invalid(detail).of("timeout"))
        }
    }
}

/// The queue that the client names, if the topic has it.
fn place<'a>(route: &TopicRouteData, queue: &'a QueueOf) -> Result<Place<'a>, Problem> {
    let mut all = route.queue_datas.iter();
    let has = all.any(|queues| {
        queues.broker_name == queue.broker
            && (0..queues.write_queue_nums).contains(&queue.id)
            && broker_of(route, queues).is_some()
    });
    match has {
        true => Ok(Place::Queue(&queue.broker, queue.id)),
        false => {
            let detail = "the topic has no such queue: GET /v1/topics/{topic} names its brokers";
            Err(Problem::invalid(detail).of("queue"))
        }
    }
}

fn sender<'a>(call: &'a Call<'_>, topic: &'a str) -> Sender<'a> {
    Sender {
        topic,
        remote: Some(call.peer()),
        now: now_millis(),
        recovery: RECOVERY,
        limits: &call.connection.settings.limits,
    }
}

/// Replies to a request, through whichever replica: the token has all that is needed.
pub(super) async fn reply(call: &Call<'_>, token: &str) -> Outcome {
    let (body, _held) = body(call).await?;
    let draft = read_message(call, body, read_reply).await?;
    let token = ReplyToken::decode(token).map_err(render::read)?;
    let message = outgoing(&draft, &sender(call, &token.topic));
    let message = message.map_err(render::read)?;
    let clocks = call.configs().clocks();
    let sent = call.requests().reply(clocks, &token, message).await;
    sent.map_err(render::change)?;
    Ok(answer::empty(StatusCode::NO_CONTENT))
}
