//! One connection of a load of gRPC calls, with a fixed number of streams at a time.

use std::future::poll_fn;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use anyhow::{Context, Result, bail, ensure};
use bytes::{Buf, Bytes, BytesMut};
use grpc::codec::{self, PREFIX};
use grpc::proto::{Code, SERVICE, SendMessageRequest, SendMessageResponse};
use h2::SendStream;
use h2::client::{self, ResponseFuture, SendRequest};
use http::{HeaderMap, HeaderName, HeaderValue, Request};
use prost::Message;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::task::JoinSet;
use tokio::time::Instant;

use super::connection::Shared;
use super::{Load, STOP};
use crate::aside::Aside;

/// Windows that never stop an answer.
const WINDOW: u32 = 16 << 20;

/// The headers of a call, as the Java client sends them.
const HEADERS: [(&str, &str); 11] = [
    ("content-type", "application/grpc"),
    ("te", "trailers"),
    ("user-agent", "grpc-java-netty/1.50.0"),
    ("grpc-accept-encoding", "gzip"),
    ("x-mq-language", "JAVA"),
    ("x-mq-protocol", "v2"),
    ("x-mq-client-version", "5.2.0"),
    ("x-mq-date-time", "20261121T095833Z"),
    ("x-mq-request-id", "b1f8a6f0-5a0c-4b8b-9a3e-6d7b8f0a1c2d"),
    ("x-mq-client-id", "benchmark@22903@0@2qst9eyps"),
    ("x-mq-namespace", ""),
];

/// A call that is made again and again.
#[derive(Clone, Debug)]
pub struct Call {
    /// Its headers.
    pub headers: HeaderMap,
    /// The message in its frame.
    pub message: Bytes,
    /// Bytes of bodies that go with it.
    pub bodies: usize,
}

impl Call {
    /// A SendMessage.
    #[must_use]
    pub fn send(request: &SendMessageRequest, bodies: usize) -> Arc<Self> {
        Arc::new(Self {
            bodies,
            ..Self::of(request, None)
        })
    }

    /// A call of a client of that id, or of the one that sends.
    #[must_use]
    pub fn of<M: Message>(request: &M, client_id: Option<&HeaderValue>) -> Self {
        let mut message = BytesMut::new();
        codec::encode(request, &mut message);
        let headers = HEADERS.map(|(name, value)| {
            let name = HeaderName::from_static(name);
            (name, HeaderValue::from_static(value))
        });
        let mut headers: HeaderMap = headers.into_iter().collect();
        if let Some(client_id) = client_id {
            headers.insert("x-mq-client-id", client_id.clone());
        }
        Self {
            headers,
            message: message.freeze(),
            bodies: 0,
        }
    }
}

/// A connection over which calls are made.
#[derive(Clone, Debug)]
pub struct Caller(SendRequest<Bytes>);

impl Caller {
    /// Opens HTTP/2 on that connection, within a [`LocalSet`](tokio::task::LocalSet).
    ///
    /// # Errors
    /// When the server does not answer.
    pub async fn over<S>(stream: S) -> Result<Self>
    where
        S: AsyncRead + AsyncWrite + Unpin + 'static,
    {
        let (sender, connection) = client::Builder::new()
            .initial_window_size(WINDOW)
            .initial_connection_window_size(WINDOW)
            .handshake(stream)
            .await?;
        tokio::task::spawn_local(Aside::new(async move {
            // Its end fails the calls.
            let _ = connection.await;
        }));
        Ok(Self(sender))
    }

    /// Makes a call; returns how many bytes of bodies its answer has.
    ///
    /// # Errors
    /// When it is not answered with OK.
    pub async fn call(&self, call: &Call) -> Result<usize> {
        let answer = self.exchange("SendMessage", call).await?;
        let answer: SendMessageResponse = only(answer)?;
        match answer.status {
            Some(status) if status.code == i32::from(Code::Ok) => Ok(0),
            status => bail!("answered with {status:?}"),
        }
    }

    /// Begins a call, and sends its message.
    ///
    /// # Errors
    /// When the connection ends.
    pub async fn begin(
        &self,
        rpc: &str,
        call: &Call,
        is_last: bool,
    ) -> Result<(ResponseFuture, SendStream<Bytes>)> {
        let request = Request::post(format!("http://benchmark/{SERVICE}/{rpc}"));
        let mut request = request.body(())?;
        *request.headers_mut() = call.headers.clone();
        let mut sender = self.0.clone().ready().await?;
        let (answer, mut stream) = sender.send_request(request, false)?;
        let mut message = call.message.clone();
        while !message.is_empty() {
            stream.reserve_capacity(message.len());
            let room = poll_fn(|cx| stream.poll_capacity(cx)).await;
            let room = room.context("the stream has ended")??;
            let part = message.split_to(room.min(message.len()));
            stream.send_data(part, is_last && message.is_empty())?;
        }
        Ok((answer, stream))
    }

    /// Makes a call, and returns all messages of the answer in their frames.
    ///
    /// # Errors
    /// When its grpc-status is not 0.
    pub async fn exchange(&self, rpc: &str, call: &Call) -> Result<Bytes> {
        let (answer, _stream) = self.begin(rpc, call, true).await?;
        let (_, mut body) = answer.await?.into_parts();
        let mut bytes = BytesMut::new();
        while let Some(data) = body.data().await {
            let data = data?;
            body.flow_control().release_capacity(data.len())?;
            bytes.extend_from_slice(&data);
        }
        let trailers = body.trailers().await?.context("no trailers")?;
        let status = trailers.get("grpc-status").map(|status| status.as_bytes());
        ensure!(status == Some(b"0"), "grpc-status {status:?}");
        Ok(bytes.freeze())
    }
}

/// The only message of an answer.
pub(super) fn only<M: Message + Default>(mut frames: Bytes) -> Result<M> {
    ensure!(frames.len() > PREFIX, "an answer without a message");
    frames.advance(PREFIX);
    Ok(M::decode(frames)?)
}

/// A connection whose calls have not started.
pub(super) struct Connection {
    shared: Rc<Shared>,
    caller: Caller,
    call: Arc<Call>,
    outstanding: usize,
}

impl Connection {
    pub(super) async fn open(
        shared: &Rc<Shared>,
        load: &Load,
        call: &Arc<Call>,
        nth: usize,
    ) -> Result<Self> {
        let address = load.addresses.get(nth % load.addresses.len().max(1));
        let stream = TcpStream::connect(address.context("a load needs an address")?).await?;
        stream.set_nodelay(true)?;
        Ok(Self {
            shared: shared.clone(),
            caller: Caller::over(stream).await?,
            call: call.clone(),
            outstanding: load.outstanding,
        })
    }

    /// Keeps calls outstanding until it must stop, and then waits for the last answers.
    pub(super) async fn run(self) -> Result<()> {
        let mut calling = JoinSet::new();
        for _ in 0..self.outstanding {
            let (shared, caller) = (self.shared.clone(), self.caller.clone());
            calling.spawn_local(again(shared, caller, self.call.clone()));
        }
        while let Some(ended) = calling.join_next().await {
            ended??;
        }
        Ok(())
    }
}

async fn again(shared: Rc<Shared>, caller: Caller, call: Arc<Call>) -> Result<()> {
    loop {
        let since = Instant::now();
        let bodies = caller.call(&call).await?;
        let phase = shared.control().phase.load(Ordering::Relaxed);
        shared.count(call.bodies + bodies, since, Instant::now(), phase);
        if phase == STOP {
            return Ok(());
        }
    }
}
