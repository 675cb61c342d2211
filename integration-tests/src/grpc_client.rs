//! A client of the gRPC protocol, call by call: what real clients do not do on demand.

use std::net::SocketAddr;
use std::time::Duration;

use anyhow::{Context as _, Result, bail, ensure};
use bytes::{Bytes, BytesMut};
use grpc::codec::{self, Decoder};
use grpc::proto::SERVICE;
use h2::client::{self, ResponseFuture, SendRequest};
use h2::{RecvStream, SendStream};
use http::{HeaderMap, Request};
use prost::Message;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::time::timeout;

/// By when an answer must have started.
const ANSWER_TIME: Duration = Duration::from_secs(30);

/// Most bytes of an answer's message.
const LIMIT: usize = 64 << 20;

/// How a call ended, by the transport.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Ended {
    /// `grpc-status`.
    pub status: String,
    /// `grpc-message`.
    pub message: String,
}

/// A client with one connection.
#[derive(Clone, Debug)]
pub struct GrpcClient {
    sender: SendRequest<Bytes>,
    headers: Vec<(&'static str, String)>,
}

/// An answer that arrives.
#[derive(Debug)]
pub struct Answers {
    body: RecvStream,
    decoder: Decoder,
    ended: Option<Ended>,
}

impl GrpcClient {
    /// Connects as the client of that id. Must be called within a runtime, which drives the
    /// connection.
    ///
    /// # Errors
    /// If there is no connection.
    pub async fn connect(address: SocketAddr, client_id: &str) -> Result<Self> {
        Self::connect_with(address, client_id, client::Builder::new()).await
    }

    /// The same with other settings of HTTP/2.
    ///
    /// # Errors
    /// If there is no connection.
    pub async fn connect_with(
        address: SocketAddr,
        client_id: &str,
        builder: client::Builder,
    ) -> Result<Self> {
        let stream = TcpStream::connect(address).await?;
        stream.set_nodelay(true)?;
        Self::connect_over(stream, client_id, builder).await
    }

    /// The same over a stream that is open: one of TLS, say.
    ///
    /// # Errors
    /// If the server does not speak HTTP/2.
    pub async fn connect_over(
        stream: impl AsyncRead + AsyncWrite + Send + Unpin + 'static,
        client_id: &str,
        builder: client::Builder,
    ) -> Result<Self> {
        let (sender, connection) = builder.handshake(stream).await?;
        tokio::spawn(async move {
            // A test that expects the end of the connection sees it by its calls.
            let _ = connection.await;
        });
        Ok(Self::over(sender, client_id))
    }

    /// The client of that id, whose calls share a connection with other requests.
    #[must_use]
    pub fn over(sender: SendRequest<Bytes>, client_id: &str) -> Self {
        Self {
            sender,
            headers: vec![
                ("x-mq-client-id", client_id.to_owned()),
                ("x-mq-language", "JAVA".to_owned()),
                ("x-mq-client-version", "5.2.0".to_owned()),
                ("x-mq-protocol", "v2".to_owned()),
            ],
        }
    }

    /// The same client with another value of a header; without it, if the value is empty.
    #[must_use]
    pub fn with(&self, name: &'static str, value: &str) -> Self {
        let mut headers = self.headers.clone();
        headers.retain(|(known, _)| *known != name);
        if !value.is_empty() {
            headers.push((name, value.to_owned()));
        }
        Self {
            sender: self.sender.clone(),
            headers,
        }
    }

    /// Starts a call; its request is not ended.
    ///
    /// # Errors
    /// If the connection has ended.
    pub async fn begin(&self, path: &str) -> Result<(ResponseFuture, SendStream<Bytes>)> {
        let mut request = Request::post(format!("http://remora{path}"))
            .header("content-type", "application/grpc")
            .header("te", "trailers");
        for (name, value) in &self.headers {
            request = request.header(*name, value);
        }
        let sender = timeout(ANSWER_TIME, self.sender.clone().ready()).await??;
        let mut sender = sender;
        Ok(sender.send_request(request.body(())?, false)?)
    }

    /// Sends the bytes as the whole body of a request; returns how the call ended, and the messages
    /// of the answer.
    ///
    /// # Errors
    /// If there is no answer.
    pub async fn exchange(&self, path: &str, body: Bytes) -> Result<(Ended, Vec<Bytes>)> {
        let (answer, mut stream) = self.begin(path).await?;
        send_all(&mut stream, body, true).await?;
        let mut answers = Answers::of(answer).await?;
        let mut all = Vec::new();
        while let Some(message) = answers.next().await? {
            all.push(message);
        }
        Ok((answers.ended()?, all))
    }

    /// A call of one message and one answer.
    ///
    /// # Errors
    /// If it ends with another status of the transport than OK.
    pub async fn unary<M: Message, R: Message + Default>(
        &self,
        rpc: &str,
        message: &M,
    ) -> Result<R> {
        let mut all = self.stream(rpc, message).await?;
        ensure!(all.len() == 1, "{rpc}: {} answers", all.len());
        all.pop().context("no answer")
    }

    /// A call of one message and several answers.
    ///
    /// # Errors
    /// If it ends with another status of the transport than OK.
    pub async fn stream<M: Message, R: Message + Default>(
        &self,
        rpc: &str,
        message: &M,
    ) -> Result<Vec<R>> {
        let (ended, all) = self.exchange(&path(rpc), framed(message)).await?;
        ensure!(ended.status == "0", "{rpc}: {ended:?}");
        all.into_iter()
            .map(|message| R::decode(message).context("the answer cannot be read"))
            .collect()
    }

    /// Starts a call of one message whose answer is read piece by piece.
    ///
    /// # Errors
    /// If the connection has ended.
    pub async fn open<M: Message>(
        &self,
        rpc: &str,
        message: &M,
    ) -> Result<(ResponseFuture, SendStream<Bytes>)> {
        let (answer, mut stream) = self.begin(&path(rpc)).await?;
        send_all(&mut stream, framed(message), true).await?;
        Ok((answer, stream))
    }
}

/// The path of a call.
#[must_use]
pub fn path(rpc: &str) -> String {
    format!("/{SERVICE}/{rpc}")
}

/// A message in its frame.
#[must_use]
pub fn framed<M: Message>(message: &M) -> Bytes {
    let mut out = BytesMut::new();
    codec::encode(message, &mut out);
    out.freeze()
}

/// Sends bytes as the server's window allows.
///
/// # Errors
/// If the stream has ended.
pub async fn send_all(
    stream: &mut SendStream<Bytes>,
    mut bytes: Bytes,
    is_end: bool,
) -> Result<()> {
    if bytes.is_empty() && is_end {
        stream.send_data(bytes, true)?;
        return Ok(());
    }
    while !bytes.is_empty() {
        stream.reserve_capacity(bytes.len());
        let room = std::future::poll_fn(|cx| stream.poll_capacity(cx)).await;
        let room = room.context("the stream has ended")??;
        let part = bytes.split_to(room.min(bytes.len()));
        stream.send_data(part, is_end && bytes.is_empty())?;
    }
    Ok(())
}

impl Answers {
    /// The answer of a call that was started.
    ///
    /// # Errors
    /// If there is none in time.
    pub async fn of(answer: ResponseFuture) -> Result<Self> {
        let answer = timeout(ANSWER_TIME, answer).await.context("no answer")??;
        let (head, body) = answer.into_parts();
        ensure!(head.status == 200, "HTTP status {}", head.status);
        Ok(Self {
            ended: ended_in(&head.headers),
            body,
            decoder: Decoder::new(LIMIT),
        })
    }

    /// The next message's bytes; `None` at the end.
    ///
    /// # Errors
    /// If the stream is broken off.
    pub async fn next(&mut self) -> Result<Option<Bytes>> {
        loop {
            if let Some(message) = self.decoder.next_message()? {
                return Ok(Some(message));
            }
            match self.body.data().await {
                Some(data) => {
                    let data = data?;
                    self.body.flow_control().release_capacity(data.len())?;
                    self.decoder.push(data);
                }
                None => {
                    if let Some(trailers) = self.body.trailers().await? {
                        self.ended = ended_in(&trailers);
                    }
                    return Ok(None);
                }
            }
        }
    }

    /// The next message.
    ///
    /// # Errors
    /// If there is none, or it cannot be read.
    pub async fn message<R: Message + Default>(&mut self) -> Result<R> {
        let message = self.next().await?.context("the stream has ended")?;
        Ok(R::decode(message)?)
    }

    /// How the call ended.
    ///
    /// # Errors
    /// If it has not ended as a call does.
    pub fn ended(self) -> Result<Ended> {
        match self.ended {
            Some(ended) => Ok(ended),
            None => bail!("the answer has no grpc-status"),
        }
    }
}

fn ended_in(headers: &HeaderMap) -> Option<Ended> {
    let text = |name| {
        let value = headers.get(name)?.to_str().ok()?;
        Some(value.to_owned())
    };
    Some(Ended {
        status: text("grpc-status")?,
        message: text("grpc-message").unwrap_or_default(),
    })
}
