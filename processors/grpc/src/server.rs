//! From a request of HTTP/2 to the call that it is, and from the call's result to the answer.

use std::rc::Rc;
use std::time::Duration;

use http::{HeaderMap, HeaderValue, Method, Request, Response, StatusCode};
use http_server::{Reply, Version, Watched};
use hyper::body::Incoming;
use prost::Message;
use route_cache::rate::{LogThrottle, shown};
use tokio::time::{Instant, timeout_at};
use tracing::info;

use crate::calls;
use crate::client::{Call, Connection, metadata, presence};
use crate::error::CallError;
use crate::metrics::Ended;
use crate::proto::{self, Status, Weigh};
use crate::rpc::Rpc;
use crate::transport::{self, Failure, GrpcStatus, Messages, framed};

/// Calls that took long.
static SLOW: LogThrottle = LogThrottle::per_second(10);

/// Bytes of memory of a call beside its message: its stream, its headers and its task.
const CALL_BYTES: usize = 4 * 1024;

/// Bytes of memory of a header: those that a client repeats take one byte each on the wire.
const HEADER_BYTES: usize = 160;

/// Most bytes of a message of all calls but SendMessage: what is read at once delays others.
const SHORT_MESSAGE: usize = 512 * 1024;

/// An answer whose status is in its message.
pub(crate) trait InBand: Message {
    /// The answer of a call that has failed.
    fn failed(status: Status) -> Self;
    /// The code of the answer's status.
    fn code(&self) -> i32;
}

macro_rules! in_band {
    ($($answer:ident)*) => {
        $(impl InBand for proto::$answer {
            fn failed(status: Status) -> Self {
                let mut failed = Self::default();
                failed.status = Some(status);
                failed
            }

            fn code(&self) -> i32 {
                self.status.as_ref().map_or(0, |status| status.code)
            }
        })*
    };
}

in_band! {
    AckMessageResponse ChangeInvisibleDurationResponse EndTransactionResponse
    ForwardMessageToDeadLetterQueueResponse GetOffsetResponse HeartbeatResponse
    NotifyClientTerminationResponse QueryAssignmentResponse QueryOffsetResponse QueryRouteResponse
    RecallMessageResponse SendMessageResponse SyncLiteSubscriptionResponse UpdateOffsetResponse
}

/// Serves one request, whatever it is. What its stream costs is charged until the answer is
/// written.
pub async fn answer(connection: Rc<Connection>, request: Request<Incoming>) -> Response<Watched> {
    let over = connection.over().clone();
    let headers = request.headers().len() * HEADER_BYTES;
    let mut held = connection.account().hold(CALL_BYTES + headers);
    let answer = serve(connection, request).await;
    held.resize(CALL_BYTES);
    answer.map(|reply| over.body(reply).charged(held))
}

/// Checks method and headers, makes the call, counts it, and logs it if it was slow.
async fn serve(connection: Rc<Connection>, request: Request<Incoming>) -> Response<Reply> {
    let begun = connection.upstream().buffers().stamp();
    let (head, body) = request.into_parts();
    if let Some(status) = refusal(&head.method, &head.headers) {
        let mut refused = Response::new(Reply::empty());
        *refused.status_mut() = status;
        return refused;
    }
    let rpc = Rpc::of_path(head.uri.path());
    let mut counting = Counting {
        connection: &connection,
        rpc,
        begun,
        ended: Ended::Cancelled,
    };
    let exchange = Exchange {
        connection: &connection,
        headers: &head.headers,
        begun,
    };
    let answered = match rpc {
        None => {
            let text = format!(
                "{} is no call of {}",
                shown(head.uri.path()),
                proto::SERVICE
            );
            Err(Failure::new(GrpcStatus::Unimplemented, text))
        }
        Some(rpc) => exchange.serve(rpc, body).await,
    };
    let (ended, answer) = match answered {
        Ok((code, reply)) => (Ended::Answered(code), ok(reply)),
        Err(failure) => (Ended::Failed, failure.answer()),
    };
    counting.ended = ended;
    log_if_slow(&connection, rpc, ended, begun.elapsed(), &head.headers);
    answer
}

/// Counts a call when it is dropped: without an answer, if the client has cancelled the call or is
/// gone.
struct Counting<'a> {
    connection: &'a Connection,
    rpc: Option<Rpc>,
    begun: Instant,
    ended: Ended,
}

impl Drop for Counting<'_> {
    fn drop(&mut self) {
        let metrics = &self.connection.server.metrics;
        metrics.ended(self.rpc, self.ended, self.begun.elapsed());
    }
}

/// Whether a request with these headers is a call of gRPC, by its type of content.
#[must_use]
pub fn is_call(headers: &HeaderMap) -> bool {
    let content_type = headers.get("content-type").map(HeaderValue::as_bytes);
    let rest = content_type.and_then(|kind| kind.strip_prefix(b"application/grpc"));
    rest.is_some_and(|rest| matches!(rest.first(), None | Some(b'+' | b';')))
}

/// The answer to a call over a connection that takes none.
#[must_use]
pub fn refuse(connection: &http_server::Connection) -> Response<Watched> {
    let text = match connection.version() {
        Version::Http1 => "gRPC needs HTTP/2",
        Version::Http2 => "this listener does not take gRPC (protocols)",
    };
    let failure = Failure::new(GrpcStatus::Unimplemented, text);
    failure.answer().map(|reply| connection.body(reply))
}

/// The status of HTTP that a request gets which is none of gRPC.
fn refusal(method: &Method, headers: &HeaderMap) -> Option<StatusCode> {
    match (method == Method::POST, is_call(headers)) {
        (false, _) => Some(StatusCode::METHOD_NOT_ALLOWED),
        (true, false) => Some(StatusCode::UNSUPPORTED_MEDIA_TYPE),
        (true, true) => None,
    }
}

fn ok(reply: Reply) -> Response<Reply> {
    let mut answer = Response::new(reply);
    let kind = HeaderValue::from_static("application/grpc");
    answer.headers_mut().insert("content-type", kind);
    answer
}

fn log_if_slow(
    connection: &Connection,
    rpc: Option<Rpc>,
    ended: Ended,
    time: Duration,
    headers: &HeaderMap,
) {
    let threshold = connection.settings.slow_threshold;
    let is_slow = !threshold.is_zero() && time >= threshold;
    let Some(rpc) = rpc.filter(|rpc| is_slow && !rpc.waits()) else {
        return;
    };
    connection.server.metrics.slow.add(1);
    if let Some(not_logged) = SLOW.pass() {
        let client_id = metadata(headers).raw_client_id.unwrap_or_default();
        info!(
            peer = %connection.peer(),
            client_id = shown(client_id),
            rpc = rpc.name(),
            ?ended,
            milliseconds = time.as_millis(),
            not_logged,
            "slow call"
        );
    }
}

/// A request that is served.
struct Exchange<'a> {
    connection: &'a Rc<Connection>,
    headers: &'a HeaderMap,
    begun: Instant,
}

/// The code of an answer's status, and its body.
type Answered = Result<(i32, Reply), Failure>;

impl<'a> Exchange<'a> {
    async fn serve(&self, rpc: Rpc, body: Incoming) -> Answered {
        match rpc {
            Rpc::AckMessage => self.unary(body, calls::acknowledge).await,
            Rpc::ChangeInvisibleDuration => self.unary(body, calls::change_invisible).await,
            Rpc::EndTransaction => self.unary(body, calls::end_transaction).await,
            Rpc::ForwardMessageToDeadLetterQueue => {
                self.unary(body, calls::forward_to_dead_letters).await
            }
            Rpc::GetOffset => self.unary(body, calls::get_offset).await,
            Rpc::Heartbeat => self.unary(body, presence::heartbeat).await,
            Rpc::NotifyClientTermination => self.unary(body, presence::terminate).await,
            Rpc::QueryAssignment => self.unary(body, calls::query_assignment).await,
            Rpc::QueryOffset => self.unary(body, calls::query_offset).await,
            Rpc::QueryRoute => self.unary(body, calls::query_route).await,
            Rpc::RecallMessage => self.unary(body, calls::recall).await,
            Rpc::SendMessage => {
                let limit = self.connection.settings.message_limit;
                self.unary_within(limit, body, calls::send).await
            }
            Rpc::SyncLiteSubscription => self.unary(body, presence::sync_lite).await,
            Rpc::UpdateOffset => self.unary(body, calls::update_offset).await,
            Rpc::PullMessage => self.streaming(body, calls::pull).await,
            Rpc::ReceiveMessage => self.streaming(body, calls::receive).await,
            Rpc::Telemetry => self.telemetry(body),
        }
    }

    fn call(&self) -> Result<Call<'a>, CallError> {
        Call::read(self.connection, metadata(self.headers), self.begun)
    }

    /// A call of one short message and one answer.
    async fn unary<M, R>(
        &self,
        body: Incoming,
        serve: impl AsyncFnOnce(&Call<'a>, M) -> Result<R, CallError>,
    ) -> Answered
    where
        M: Message + Default + Weigh,
        R: InBand,
    {
        self.unary_within(SHORT_MESSAGE, body, serve).await
    }

    /// A call of one message, of `limit` bytes at most, and one answer.
    async fn unary_within<M, R>(
        &self,
        limit: usize,
        body: Incoming,
        serve: impl AsyncFnOnce(&Call<'a>, M) -> Result<R, CallError>,
    ) -> Answered
    where
        M: Message + Default + Weigh,
        R: InBand,
    {
        let (message, _held) = self.read(body, limit).await?;
        let answer = match self.call() {
            Ok(call) => {
                let serving = Box::pin(serve(&call, message));
                self.in_time(&call, serving).await?
            }
            Err(error) => Err(error),
        };
        let answer = answer.unwrap_or_else(|error| R::failed(error.into()));
        let chunk = framed(&answer, self.connection.account());
        Ok((answer.code(), transport::one(chunk)))
    }

    /// A call of one message that is answered with several parts; its own limits keep it within
    /// the client's deadline.
    async fn streaming<M>(
        &self,
        body: Incoming,
        serve: impl AsyncFnOnce(&Call<'a>, M) -> calls::Streamed,
    ) -> Answered
    where
        M: Message + Default + Weigh,
    {
        let (message, _held) = self.read(body, SHORT_MESSAGE).await?;
        let call = match self.call() {
            Ok(call) => call,
            Err(error) => return Ok(calls::refused_receive(error, self.connection.account())),
        };
        let streamed = Box::pin(serve(&call, message)).await;
        Ok((streamed.code, transport::whole(streamed.parts)))
    }

    /// The stream of a client that is present.
    fn telemetry(&self, body: Incoming) -> Answered {
        let messages = Messages::new(body, SHORT_MESSAGE, self.connection.account().clone());
        if self.connection.present.borrow().len() >= presence::PRESENT_MAX {
            let text = "too many clients are present on this connection: open another";
            return Err(Failure::new(GrpcStatus::ResourceExhausted, text));
        }
        match self.call() {
            Ok(call) => {
                let code = proto::Code::Ok.into();
                Ok((
                    code,
                    transport::stream(presence::telemetry(&call, messages)),
                ))
            }
            Err(error) => Err(Failure::new(GrpcStatus::InvalidArgument, error.to_string())),
        }
    }

    async fn read<M>(
        &self,
        body: Incoming,
        limit: usize,
    ) -> Result<(M, remoting_transport::Held), Failure>
    where
        M: Message + Default + Weigh,
    {
        let connection = self.connection;
        let limit = limit.min(connection.settings.message_limit);
        transport::only(body, limit, connection.account(), connection.frame_time()).await
    }

    /// The result of a call, unless the client's deadline passes before.
    async fn in_time<T>(
        &self,
        call: &Call<'_>,
        serving: impl Future<Output = T>,
    ) -> Result<T, Failure> {
        match call.deadline {
            None => Ok(serving.await),
            Some(deadline) => timeout_at(deadline, serving)
                .await
                .map_err(|_| Failure::late()),
        }
    }
}
