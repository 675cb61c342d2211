//! One blocking connection that sends exactly the given bytes, for tests that no client can make.

use std::{
    io::{Read, Write},
    net::{SocketAddr, TcpStream},
    time::Duration,
};

use anyhow::{Context, Result, ensure};
use bytes::Bytes;
use remoting_codec::{FLAG_RESPONSE, RemotingCommand};

/// Longer than any deadline of the proxy.
const LIMIT: Duration = Duration::from_secs(40);

/// A connection to a server or to a proxy.
#[derive(Debug)]
pub struct RawConnection {
    stream: TcpStream,
}

impl RawConnection {
    /// Connects.
    ///
    /// # Errors
    /// When no process listens there.
    pub fn connect(address: SocketAddr) -> Result<Self> {
        let stream = TcpStream::connect_timeout(&address, LIMIT)?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(LIMIT))?;
        stream.set_write_timeout(Some(LIMIT))?;
        Ok(Self { stream })
    }

    /// The same connection, to be read by one thread and written to by another.
    ///
    /// # Errors
    /// When the system has none to give.
    pub fn try_clone(&self) -> Result<Self> {
        let stream = self.stream.try_clone()?;
        Ok(Self { stream })
    }

    /// Sends a command.
    ///
    /// # Errors
    /// When the connection has ended.
    pub fn send(&mut self, command: &RemotingCommand) -> Result<()> {
        Ok(self.stream.write_all(&command.to_bytes())?)
    }

    /// The next command that arrives.
    ///
    /// # Errors
    /// When none arrives in time, or the connection has ended.
    pub fn receive(&mut self) -> Result<RemotingCommand> {
        Ok(RemotingCommand::decode(&self.receive_frame()?)?)
    }

    /// The next frame that arrives, as it is.
    ///
    /// # Errors
    /// When none arrives in time, or the connection has ended.
    pub fn receive_frame(&mut self) -> Result<Bytes> {
        let mut length = [0; 4];
        self.stream
            .read_exact(&mut length)
            .context("no answer arrives")?;
        let mut frame = vec![0; 4 + u32::from_be_bytes(length) as usize];
        let (head, rest) = frame.split_at_mut(4);
        head.copy_from_slice(&length);
        self.stream.read_exact(rest)?;
        Ok(frame.into())
    }

    /// Sends a request and receives the answer; requests from the other side that arrive meanwhile
    /// are dropped.
    ///
    /// # Errors
    /// When another answer arrives, or none.
    pub fn call(&mut self, request: &RemotingCommand) -> Result<RemotingCommand> {
        self.send(request)?;
        loop {
            let answer = self.receive()?;
            if answer.flag & FLAG_RESPONSE == 0 {
                continue;
            }
            ensure!(
                answer.opaque == request.opaque,
                "{answer:?} is not the answer to {request:?}"
            );
            return Ok(answer);
        }
    }
}
