//! From requests to operations, and what holds for all of them.

use std::rc::Rc;
use std::time::Duration;

use http::header::{ALLOW, CONNECTION};
use http::{HeaderValue, Method, Request, Response, StatusCode};
use http_server::{Version, Watched};
use hyper::body::Incoming;
use route_cache::rate::{LogThrottle, shown};
use tokio::time::Instant;
use tracing::info;

use crate::answer::{self, Answer};
use crate::call::Call;
use crate::calls;
use crate::client::Connection;
use crate::json::{self, Problem, Word};
use crate::metrics::Operation;
use crate::origin;

/// Requests that took long.
static SLOW: LogThrottle = LogThrottle::per_second(10);

/// Bytes of memory of a request beside its body: its stream, its headers and its task.
const CALL_BYTES: usize = 4 * 1024;

/// Bytes of memory of a header: those that a client repeats take one byte each in HTTP/2.
const HEADER_BYTES: usize = 160;

/// Answers one request, whatever it is. What it costs is charged until the answer is written.
pub async fn answer(connection: Rc<Connection>, request: Request<Incoming>) -> Response<Watched> {
    let headers = request.headers().len() * HEADER_BYTES;
    let mut held = connection.account().hold(CALL_BYTES + headers);
    let answer = serve(&connection, request).await;
    held.resize(CALL_BYTES);
    answer.map(|reply| connection.body(reply).charged(held))
}

/// Finds the operation, counts it, and logs it if it was slow.
async fn serve(connection: &Rc<Connection>, request: Request<Incoming>) -> Answer {
    let begun = connection.upstream().buffers().stamp();
    let (head, body) = request.into_parts();
    let mut counting = Counting::begin(connection, begun);
    let call = Call::new(connection, &head, body);
    let answered = dispatch(&call, &mut counting).await;
    let answered = answered.unwrap_or_else(|problem| answer::problem(&problem, call.account()));
    let mut answer = match head.method == Method::HEAD {
        true => answer::head_of(answered),
        false => answered,
    };
    if !call.is_read() && connection.version() == Version::Http1 {
        // What is left of the body would have to be read before the next request.
        let close = HeaderValue::from_static("close");
        answer.headers_mut().insert(CONNECTION, close);
    }
    counting.status = Some(answer.status());
    log_if_slow(&call, counting.operation, answer.status(), begun.elapsed());
    answer
}

/// The part of the API that a path is of, each with errors of its own.
enum Face {
    /// The protocol of the existing SDKs.
    Sdk,
    /// The JSON API.
    Json,
    /// The server itself: the target of `OPTIONS *`.
    Server,
    None,
}

impl Face {
    fn of(path: &str) -> Self {
        match path {
            "*" => Self::Server,
            path if path.starts_with("/topics/") => Self::Sdk,
            path if path.starts_with("/v1/") => Self::Json,
            _ => Self::None,
        }
    }
}

async fn dispatch(call: &Call<'_>, counting: &mut Counting<'_>) -> Result<Answer, Problem> {
    let is_options = call.head.method == Method::OPTIONS;
    match Face::of(call.head.uri.path()) {
        Face::Json => json_face(call, counting).await,
        Face::Sdk => {
            let note = |operation| counting.operation = operation;
            Ok(Box::pin(calls::sdk::serve(call, note)).await)
        }
        Face::Server if is_options => {
            counting.operation = Operation::Options;
            Ok(answer::empty(StatusCode::NO_CONTENT))
        }
        Face::Server | Face::None => {
            let detail = "there is no such path: GET /v1/openapi.json describes those that are";
            Err(Problem::new(Word::NoSuchPath, detail))
        }
    }
}

async fn json_face(call: &Call<'_>, counting: &mut Counting<'_>) -> Result<Answer, Problem> {
    let operation = json::Operation::at(call.head.uri.path())?;
    let allow = HeaderValue::from_static(operation.allow());
    let origin = match operation {
        // Any page may know it.
        json::Operation::Document => None,
        _ => origin::check(call.headers(), &call.connection.settings.cors)?,
    };
    if call.head.method == Method::OPTIONS {
        counting.operation = Operation::Options;
        let mut answer = answer::empty(StatusCode::NO_CONTENT);
        if let Some(origin) = origin {
            origin::allow(origin, answer.headers_mut());
            origin::preflight(call.headers(), allow.clone(), answer.headers_mut());
        }
        answer.headers_mut().insert(ALLOW, allow);
        return Ok(answer);
    }
    let answered = operate(call, counting, &operation, allow).await;
    let Some(origin) = origin else {
        return answered;
    };
    // The page may read problems as well.
    let problem = |problem: Problem| answer::problem(&problem, call.account());
    let mut answer = answered.unwrap_or_else(problem);
    origin::allow(origin, answer.headers_mut());
    Ok(answer)
}

async fn operate(
    call: &Call<'_>,
    counting: &mut Counting<'_>,
    operation: &json::Operation,
    allow: HeaderValue,
) -> Result<Answer, Problem> {
    if let Err(problem) = operation.check_method(&call.head.method) {
        let mut answer = answer::problem(&problem, call.account());
        answer.headers_mut().insert(ALLOW, allow);
        return Ok(answer);
    }
    counting.operation = Operation::of(operation);
    // It is large, and most of its parts are for one operation.
    Box::pin(calls::serve(call, operation)).await
}

/// Counts a request when it is dropped: without a status, if the client has cancelled it or is
/// gone.
struct Counting<'a> {
    connection: &'a Connection,
    operation: Operation,
    begun: Instant,
    status: Option<StatusCode>,
}

impl<'a> Counting<'a> {
    fn begin(connection: &'a Connection, begun: Instant) -> Self {
        connection.server.metrics.in_flight.add(1);
        Self {
            connection,
            operation: Operation::Other,
            begun,
            status: None,
        }
    }
}

impl Drop for Counting<'_> {
    fn drop(&mut self) {
        let metrics = &self.connection.server.metrics;
        metrics.in_flight.add(-1);
        metrics.ended(self.operation, self.status, self.begun.elapsed());
    }
}

fn log_if_slow(call: &Call<'_>, operation: Operation, status: StatusCode, time: Duration) {
    let threshold = call.connection.settings.slow_threshold;
    if threshold.is_zero() || time < threshold || operation.waits() {
        return;
    }
    call.connection.server.metrics.slow.add(1);
    if let Some(not_logged) = SLOW.pass() {
        info!(
            peer = %call.peer(),
            operation = operation.name(),
            path = shown(call.head.uri.path()),
            status = status.as_u16(),
            milliseconds = time.as_millis(),
            not_logged,
            "slow request"
        );
    }
}
