//! The operations of the JSON API, one function each. They know nothing of HTTP but what a call
//! has. In [`sdk`]: those of the existing SDKs' protocol.

mod check;
mod events;
mod outstanding;
mod pull;
mod recall;
mod rendered;
mod request;
pub(crate) mod sdk;
mod send;
mod settle;
mod topic;
mod transaction;

use std::borrow::Cow;

use bytes::Bytes;
use http::{HeaderMap, StatusCode};
use messaging::{Elsewhere, LONG};
use remoting_codec::message::SysFlag;
use remoting_transport::Held;
use serde::Serialize;
use tokio::task::JoinError;

use crate::answer::{self, Answer};
use crate::call::Call;
use crate::encoding::read_within;
use crate::json::{self, Inflate, MediaType, Operation, Problem, Query, Word};
use crate::render;

/// What a request has led to.
type Outcome = Result<Answer, Problem>;

/// The answer of an operation, whose method is right. Each is large, and a request is for one.
pub(crate) async fn serve(call: &Call<'_>, operation: &Operation) -> Outcome {
    match operation {
        Operation::Send { topic } => Box::pin(send::send(call, topic)).await,
        Operation::SendBatch { topic } => Box::pin(send::batch(call, topic)).await,
        Operation::Pull { topic, group } => Box::pin(pull::pull(call, topic, group)).await,
        Operation::Settle { topic, group } => Box::pin(settle::settle(call, topic, group)).await,
        Operation::Acknowledge {
            topic,
            group,
            handle,
        } => Box::pin(settle::acknowledge(call, topic, group, handle)).await,
        Operation::Events { topic, group } => Box::pin(events::events(call, topic, group)).await,
        Operation::Commit { token } => Box::pin(transaction::commit(call, token)).await,
        Operation::Rollback { token } => Box::pin(transaction::rollback(call, token)).await,
        Operation::Recall { handle } => Box::pin(recall::recall(call, handle)).await,
        Operation::Describe { topic } => topic::describe(call, topic).await,
        Operation::Document => document(call).await,
        Operation::Check { topic } => Box::pin(check::check(call, topic)).await,
        Operation::Request { topic } => Box::pin(request::request(call, topic)).await,
        Operation::Reply { token } => Box::pin(request::reply(call, token)).await,
    }
}

/// The description of the API.
async fn document(call: &Call<'_>) -> Outcome {
    no_query(call)?;
    let text = Bytes::from_static(json::DOCUMENT.as_bytes());
    Ok(answer::document(call, StatusCode::OK, text).await)
}

/// An answer with results.
async fn results(call: &Call<'_>, results: &impl Serialize) -> Outcome {
    let document = serde_json::to_vec(results).map_err(|error| {
        let detail = format!("the results cannot be written: {error}");
        Problem::new(Word::Internal, detail)
    })?;
    Ok(answer::document(call, StatusCode::OK, document).await)
}

/// The topic's name to brokers.
fn topic_of(call: &Call<'_>, topic: &str) -> Result<String, Problem> {
    call.names()?.topic("", topic).map_err(render::read)
}

/// The group's name to brokers.
fn group_of(call: &Call<'_>, group: &str) -> Result<String, Problem> {
    call.names()?.group("", group).map_err(render::read)
}

/// Refuses a query: the operation has no parameters.
fn no_query(call: &Call<'_>) -> Result<(), Problem> {
    Query::read(call.head.uri.query(), &[]).map(drop)
}

/// The body of a message with these flags, decompressed if it has no more than `limit` bytes then.
/// Others have their turn meanwhile: a short body may become a long one.
async fn inflate(body: &[u8], flags: SysFlag, limit: usize) -> Inflate<'_> {
    let packed = json::packed(body, flags);
    let inflated = match packed.plain {
        Some(plain) => read_within(plain, limit, |_| ()).await.ok(),
        None => None,
    };
    match inflated {
        Some(inflated) => Inflate {
            bytes: Cow::Owned(inflated),
            encoding: None,
        },
        None => Inflate {
            bytes: Cow::Borrowed(body),
            encoding: packed.encoding,
        },
    }
}

/// Where long documents are read, two at a time by all workers together.
static READING: Elsewhere = Elsewhere::new(2);

/// Reads a document.
async fn read<T: Send + 'static>(
    document: Bytes,
    read: impl FnOnce(&Bytes) -> Result<T, Problem> + Send + 'static,
) -> Result<T, Problem> {
    let reading = READING.run(document.len(), move || read(&document));
    reading.await.unwrap_or_else(unread)
}

/// Reads a message of a raw request. Only what is one of CloudEvents is a document.
async fn read_message<T: Send + 'static>(
    call: &Call<'_>,
    body: Bytes,
    read: fn(Option<&str>, &HeaderMap, Bytes) -> Result<T, Problem>,
) -> Result<T, Problem> {
    let (query, headers) = (call.head.uri.query(), call.headers());
    let is_event = || {
        let media = json::content_type(headers).and_then(MediaType::of);
        matches!(media, Ok(MediaType::Event))
    };
    if body.len() <= LONG || !is_event() {
        return read(query, headers, body);
    }
    let (query, headers) = (query.map(str::to_owned), headers.clone());
    let reading = READING.run(body.len(), move || read(query.as_deref(), &headers, body));
    reading.await.unwrap_or_else(unread)
}

/// The answer if a reader has panicked.
fn unread<T>(error: JoinError) -> Result<T, Problem> {
    let detail = format!("the body was not read: {error}");
    Err(Problem::new(Word::Internal, detail))
}

/// The whole body of the request, charged while the second part of the result lives.
async fn body(call: &Call<'_>) -> Result<(Bytes, Held), Problem> {
    call.body(call.connection.settings.body_limit).await
}
