//! A client for what is asked once: routes, topics, the first answer of a server that starts.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use remoting_codec::{RemotingCommand, ResponseCode};

/// How long an answer may take.
const PATIENCE: Duration = Duration::from_secs(10);

/// A connection that waits for each answer.
#[derive(Debug)]
pub struct Client {
    stream: TcpStream,
}

impl Client {
    /// Connects.
    ///
    /// # Errors
    /// When no process listens there.
    pub fn connect(address: SocketAddr) -> Result<Self> {
        let stream = TcpStream::connect(address)?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        Ok(Self { stream })
    }

    /// Sends a request and returns the answer, which may have any code.
    ///
    /// # Errors
    /// When there is none in time.
    pub fn call(&mut self, request: &RemotingCommand) -> Result<RemotingCommand> {
        self.stream.write_all(&request.to_bytes())?;
        let mut length = [0; 4];
        self.stream.read_exact(&mut length)?;
        let mut frame = length.to_vec();
        let rest = u64::from(u32::from_be_bytes(length));
        let read = (&mut self.stream).take(rest).read_to_end(&mut frame)?;
        ensure!(read as u64 == rest, "the answer is cut short");
        Ok(RemotingCommand::decode(&frame.into())?)
    }

    /// Sends a request whose answer must be a success.
    ///
    /// # Errors
    /// When it is not.
    pub fn succeed(&mut self, request: &RemotingCommand) -> Result<RemotingCommand> {
        let answer = self.call(request)?;
        let remark = answer.remark.as_deref().unwrap_or_default();
        ensure!(
            answer.code == ResponseCode::SUCCESS.0,
            "request {} was answered with {}: {remark}",
            request.code,
            answer.code
        );
        Ok(answer)
    }
}

/// Asks once, over a connection of its own.
///
/// # Errors
/// When the answer is not a success.
pub fn ask(address: SocketAddr, request: &RemotingCommand) -> Result<RemotingCommand> {
    Client::connect(address)?
        .succeed(request)
        .with_context(|| format!("asking {address}"))
}
