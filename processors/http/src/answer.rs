//! Writing answers.

use std::rc::Rc;

use bytes::Bytes;
use http::header::{
    CACHE_CONTROL, CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_TYPE, RETRY_AFTER, VARY,
};
use http::{HeaderValue, Response, StatusCode};
use http_body::Body as _;
use http_server::{Chunk, Reply};
use remoting_transport::Account;
use serde::Serialize;

use crate::call::Call;
use crate::encoding::{accepts_gzip, gzip};
use crate::json::Problem;

/// The content type of documents.
pub(crate) const JSON: &str = "application/json";

/// An answer that is not yet written.
pub(crate) type Answer = Response<Reply>;

/// An answer without a body.
pub(crate) fn empty(status: StatusCode) -> Answer {
    let mut answer = Response::new(Reply::empty());
    *answer.status_mut() = status;
    answer
}

/// An answer with a body of that type, charged to the account until it is written. It must not be
/// stored by what is in between: the next answer to the same request is another.
pub(crate) fn whole(
    status: StatusCode,
    content_type: &'static str,
    body: impl Into<Bytes>,
    account: &Rc<Account>,
) -> Answer {
    of_chunk(status, content_type, Chunk::new(body.into(), account))
}

/// The same with a body that is charged already.
pub(crate) fn of_chunk(status: StatusCode, content_type: &'static str, chunk: Chunk) -> Answer {
    let mut answer = Response::new(Reply::one(chunk, None));
    *answer.status_mut() = status;
    let headers = answer.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    answer
}

/// An answer with a JSON document.
pub(crate) fn json(status: StatusCode, document: &impl Serialize, account: &Rc<Account>) -> Answer {
    document_of("application/json", status, document, account)
}

/// An answer with a document, compressed if the client takes that and it is not short.
pub(crate) async fn document(
    call: &Call<'_>,
    status: StatusCode,
    document: impl Into<Bytes>,
) -> Answer {
    let (document, is_gzip) = encoded(call, document.into()).await;
    let chunk = Chunk::new(document, call.account());
    let mut answer = of_chunk(status, JSON, chunk);
    note_encoding(&mut answer, is_gzip);
    answer
}

/// The document as it is answered, and whether it is compressed.
pub(crate) async fn encoded(call: &Call<'_>, document: Bytes) -> (Bytes, bool) {
    let compressed = match accepts_gzip(call.headers()) {
        true => gzip(&document).await,
        false => None,
    };
    match compressed {
        Some(compressed) => (compressed.into(), true),
        None => (document, false),
    }
}

/// Notes that the answer depends on the encodings that the client takes, and its own.
pub(crate) fn note_encoding(answer: &mut Answer, is_gzip: bool) {
    let headers = answer.headers_mut();
    headers.append(VARY, HeaderValue::from_static("accept-encoding"));
    if is_gzip {
        headers.insert(CONTENT_ENCODING, HeaderValue::from_static("gzip"));
    }
}

/// The answer to a request that is not done.
pub(crate) fn problem(problem: &Problem, account: &Rc<Account>) -> Answer {
    let status = StatusCode::from_u16(problem.word.status());
    let status = status.unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let mut answer = document_of("application/problem+json", status, problem, account);
    if let Some(seconds) = problem.retry_after {
        answer.headers_mut().insert(RETRY_AFTER, seconds.into());
    }
    answer
}

fn document_of(
    content_type: &'static str,
    status: StatusCode,
    document: &impl Serialize,
    account: &Rc<Account>,
) -> Answer {
    match serde_json::to_vec(document) {
        Ok(body) => whole(status, content_type, body, account),
        // Documents have no keys that are no texts, and no other reason to fail.
        Err(_) => empty(StatusCode::INTERNAL_SERVER_ERROR),
    }
}

/// The same answer as HEAD has it: its headers only, the length of the body among them.
pub(crate) fn head_of(answer: Answer) -> Answer {
    let length = answer.body().size_hint().exact();
    let mut answer = answer.map(|_| Reply::empty());
    if let Some(length) = length {
        answer.headers_mut().insert(CONTENT_LENGTH, length.into());
    }
    answer
}
