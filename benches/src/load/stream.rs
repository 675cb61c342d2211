//! What a connection of a load writes to and reads from.

use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::task::{Context as TaskContext, Poll};

use anyhow::{Context, Result};
use integration_tests::tls::connect;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWriteExt, ReadBuf};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

/// The name that certificates are for.
pub const NAME: &str = "remora";

/// A connection in plain text, or by TLS.
pub(super) enum Stream {
    Plain(TcpStream),
    Secured(Box<TlsStream<TcpStream>>),
}

impl Stream {
    pub(super) async fn open(address: SocketAddr, tls: Option<&TlsConnector>) -> Result<Self> {
        let context = || format!("connecting to {address}");
        Ok(match tls {
            Some(tls) => {
                let stream = connect(tls, address, NAME, &[]).await;
                let stream = stream.with_context(context)?;
                stream.get_ref().0.set_nodelay(true)?;
                Self::Secured(Box::new(stream))
            }
            None => {
                let stream = TcpStream::connect(address).await;
                let stream = stream.with_context(context)?;
                stream.set_nodelay(true)?;
                Self::Plain(stream)
            }
        })
    }

    pub(super) fn poll_read(
        &mut self,
        cx: &mut TaskContext<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        match self {
            Self::Plain(stream) => Pin::new(stream).poll_read(cx, buffer),
            Self::Secured(stream) => Pin::new(stream).poll_read(cx, buffer),
        }
    }

    pub(super) async fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self {
            Self::Plain(stream) => stream.read(buffer).await,
            Self::Secured(stream) => stream.read(buffer).await,
        }
    }

    /// Writes what the socket takes immediately; nothing by TLS, where each write is a record of
    /// its own.
    pub(super) fn try_write(&self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Self::Plain(stream) => match stream.try_write(bytes) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(0),
                written => written,
            },
            Self::Secured(_) => Ok(0),
        }
    }

    pub(super) async fn write_all(&mut self, bytes: &[u8]) -> io::Result<()> {
        match self {
            Self::Plain(stream) => stream.write_all(bytes).await,
            Self::Secured(stream) => {
                stream.write_all(bytes).await?;
                stream.flush().await
            }
        }
    }
}
