//! A client that sends exactly the given bytes and frames.

use std::net::SocketAddr;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use remoting_codec::{RemotingCommand, RequestCode};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

use super::wire;

/// Nothing that is expected takes longer.
const PATIENCE: Duration = Duration::from_secs(10);

/// One connection to Remora.
#[derive(Debug)]
pub struct RawClient {
    stream: TcpStream,
}

impl RawClient {
    /// Connects.
    ///
    /// # Errors
    /// When no process listens there.
    pub async fn connect(address: SocketAddr) -> Result<Self> {
        let stream = TcpStream::connect(address).await?;
        stream.set_nodelay(true)?;
        Ok(Self { stream })
    }

    /// The connection itself.
    #[must_use]
    pub fn into_inner(self) -> TcpStream {
        self.stream
    }

    /// Sends bytes, whether they are a frame or not.
    ///
    /// # Errors
    /// When the connection has ended.
    pub async fn send_bytes(&mut self, bytes: &[u8]) -> Result<()> {
        Ok(self.stream.write_all(bytes).await?)
    }

    /// Sends a command.
    ///
    /// # Errors
    /// When the connection has ended.
    pub async fn send(&mut self, command: &RemotingCommand) -> Result<()> {
        self.send_bytes(&command.to_bytes()).await
    }

    /// The next command that arrives.
    ///
    /// # Errors
    /// When none arrives in time, or the connection has ended.
    pub async fn receive(&mut self) -> Result<RemotingCommand> {
        let read = timeout(PATIENCE, wire::read(&mut self.stream)).await;
        read.context("nothing arrives")??
            .context("the connection was closed")
    }

    /// Sends a request and receives what must be its answer.
    ///
    /// # Errors
    /// When something else arrives, or nothing.
    pub async fn call(&mut self, request: &RemotingCommand) -> Result<RemotingCommand> {
        self.send(request).await?;
        let answer = self.receive().await?;
        if answer.flag & remoting_codec::FLAG_RESPONSE == 0 || answer.opaque != request.opaque {
            bail!("{answer:?} is not the answer to {request:?}");
        }
        Ok(answer)
    }

    /// Whether nothing arrives for that long.
    ///
    /// # Errors
    /// When the connection has ended.
    pub async fn hears_nothing_for(&mut self, time: Duration) -> Result<bool> {
        let mut byte = [0];
        match timeout(time, self.stream.peek(&mut byte)).await {
            Err(_) => Ok(true),
            Ok(Ok(0)) => bail!("the connection was closed"),
            Ok(peeked) => Ok(peeked.map(|_| false)?),
        }
    }

    /// Whether Remora closes the connection without having sent anything.
    ///
    /// # Errors
    /// When it does neither in time.
    pub async fn is_closed(&mut self) -> Result<bool> {
        let mut byte = [0];
        match timeout(PATIENCE, self.stream.read(&mut byte)).await {
            Err(_) => bail!("the connection stays open"),
            Ok(Ok(read)) => Ok(read == 0),
            // Bytes that Remora had not read yet turn the close into a reset.
            Ok(Err(_)) => Ok(true),
        }
    }
}

/// A request as a client makes it, with these ext fields.
#[must_use]
pub fn request(code: RequestCode, opaque: i32, fields: &[(&'static str, &str)]) -> RemotingCommand {
    let fields = fields
        .iter()
        .map(|(name, value)| ((*name).into(), (*value).to_owned().into()));
    RemotingCommand {
        opaque: opaque.into(),
        ext_fields: fields.collect(),
        ..RemotingCommand::request(code)
    }
}
