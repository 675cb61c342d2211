//! The operations of the existing SDKs' protocol, one function each.

mod acknowledge;
mod consume;
mod errors;
mod half;
mod publish;
mod text;

use std::cell::Cell;

use bytes::Bytes;
use http::header::{ALLOW, AUTHORIZATION, DATE, HOST};
use http::{HeaderMap, HeaderName, HeaderValue, Method as HttpMethod, StatusCode};
use http_server::Chunk;
use messaging::check::Names;
use remoting_transport::Held;

use crate::answer::{self, Answer};
use crate::call::Call;
use crate::metrics::Operation;
use crate::sdk::answer::{Answer as Document, failed};
use crate::sdk::authorization::Authorization;
use crate::sdk::digest::Digest;
use crate::sdk::target::{Kind, Method, Operation as Asked, Target};
use crate::sdk::{self, Code, SdkError};

const REQUEST_ID: HeaderName = HeaderName::from_static(sdk::REQUEST_ID_HEADER);
const VERSION: HeaderName = HeaderName::from_static(sdk::VERSION_HEADER);
const CONTENT_MD5: HeaderName = HeaderName::from_static("content-md5");

/// The methods of the protocol, and OPTIONS.
const METHODS: HeaderValue = HeaderValue::from_static("DELETE, GET, OPTIONS, POST");

/// An answer that is done, or one that ends with messages to write.
enum Served {
    Document(Document),
    /// With what becomes of the messages in it.
    Messages(Document, Box<dyn http_server::OnEnd>),
}

/// Answers a request below `/topics/`; `note` gets what it asks for.
pub(crate) async fn serve(call: &Call<'_>, note: impl FnOnce(Operation)) -> Answer {
    let method = &call.head.method;
    let id = request_id();
    let mut answer = if method == HttpMethod::OPTIONS {
        note(Operation::Options);
        with_methods(answer::empty(StatusCode::NO_CONTENT))
    } else if let Some(method) = Method::of(method.as_str()) {
        note(match method {
            Method::Publish => Operation::SdkPublish,
            Method::Consume => Operation::SdkConsume,
            Method::Acknowledge => Operation::SdkAcknowledge,
        });
        match try_serve(call, method).await {
            Ok(served) => written(call, served),
            Err(error) => written(call, Served::Document(failed(&error, &id, host(call)))),
        }
    } else {
        let error = SdkError::new(
            Code::InvalidRequestUrl,
            "the method is none of the protocol: POST, GET and DELETE are",
        );
        let document = failed(&error, &id, host(call));
        let mut answer = with_methods(written(call, Served::Document(document)));
        *answer.status_mut() = StatusCode::METHOD_NOT_ALLOWED;
        answer
    };
    let headers = answer.headers_mut();
    if let Ok(id) = HeaderValue::try_from(id) {
        headers.insert(REQUEST_ID, id);
    }
    headers.insert(VERSION, HeaderValue::from_static(sdk::VERSION));
    answer
}

async fn try_serve(call: &Call<'_>, method: Method) -> Result<Served, SdkError> {
    let target = call.head.uri.path_and_query();
    let target = target.map_or("", |target| target.as_str());
    let target = Target::read(method, target)?;
    check_headers(call.headers())?;
    let names = Names::new(&target.namespace).map_err(errors::of_cluster)?;
    let topic = names.topic("", &target.topic).map_err(errors::of_cluster)?;
    let group = |group: &str| names.group("", group).map_err(errors::of_cluster);
    match target.operation {
        Asked::Publish => publish::publish(call, &topic).await.map(Served::Document),
        Asked::Consume(consume) => {
            // There is no body, but SDKs send its length, or its digest.
            read_body(call, 0).await?;
            let group = group(&consume.group)?;
            match consume.kind {
                Kind::Half => {
                    let served = half::consume(call, &topic, &consume).await;
                    served.map(Served::Document)
                }
                Kind::Unordered | Kind::Orderly => {
                    consume::consume(call, topic, group, &consume).await
                }
            }
        }
        Asked::Acknowledge { group: name } => {
            let group = group(&name)?;
            let served = acknowledge::acknowledge(call, &topic, &group).await;
            served.map(Served::Document)
        }
        Asked::End(outcome) => {
            let served = half::end(call, &topic, outcome).await;
            served.map(Served::Document)
        }
    }
}

/// Checks what must have a certain form. Credentials are not verified yet, and may be absent.
fn check_headers(headers: &HeaderMap) -> Result<(), SdkError> {
    if let Some(authorization) = headers.get(AUTHORIZATION) {
        Authorization::read(text(authorization, Code::InvalidAuthorizationHeader)?)?;
    }
    if let Some(date) = headers.get(DATE) {
        sdk::date::read(text(date, Code::InvalidDateHeader)?)?;
    }
    Ok(())
}

fn text(value: &HeaderValue, code: Code) -> Result<&str, SdkError> {
    let text = value.to_str();
    text.map_err(|_| SdkError::new(code, "the header has other characters than visible ASCII"))
}

/// Reads the body, of `limit` bytes at most, and compares it with its digest if the request has
/// one. It is charged while the second part of the result lives.
async fn read_body(call: &Call<'_>, limit: usize) -> Result<(Bytes, Held), SdkError> {
    let digest = call.headers().get(CONTENT_MD5);
    let digest = match digest {
        Some(digest) => Some(Digest::read(text(digest, Code::InvalidDigest)?)?),
        None => None,
    };
    let (body, held) = call.body(limit).await.map_err(errors::of_body)?;
    if let Some(digest) = digest {
        digest.check(text::digest_of(&body).await)?;
    }
    Ok((body, held))
}

/// The host that the client has asked for.
fn host<'a>(call: &Call<'a>) -> &'a str {
    let uri = &call.head.uri;
    let header = call.headers().get(HOST).and_then(|host| host.to_str().ok());
    let host = header.or_else(|| uri.authority().map(|authority| authority.as_str()));
    host.unwrap_or_default()
}

/// An id that no other request has, in 24 digits as Alibaba's have them.
fn request_id() -> String {
    thread_local! {
        static LAST: (u64, Cell<u32>) = (messaging::random(), Cell::default());
    }
    LAST.with(|(worker, last)| {
        let number = last.get();
        last.set(number.wrapping_add(1));
        format!("{worker:016X}{number:08X}")
    })
}

fn with_methods(mut answer: Answer) -> Answer {
    answer.headers_mut().insert(ALLOW, METHODS);
    answer
}

/// The answer, charged to the client's account until it is written.
fn written(call: &Call<'_>, served: Served) -> Answer {
    let (document, on_end) = match served {
        Served::Document(document) => (document, None),
        Served::Messages(document, on_end) => (document, Some(on_end)),
    };
    let status = StatusCode::from_u16(document.status);
    let status = status.unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    if document.body.is_empty() {
        return answer::empty(status);
    }
    let chunk = Chunk::new(document.body.into(), call.account());
    let chunk = match on_end {
        Some(on_end) => chunk.with_end(on_end),
        None => chunk,
    };
    answer::of_chunk(status, sdk::CONTENT_TYPE, chunk)
}
