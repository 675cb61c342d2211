//! What attackers have in common.

use std::{fmt, net::SocketAddr, sync::Arc, time::Duration};

use anyhow::{Context, Result};
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt},
    net::TcpStream,
    task::JoinSet,
    time::{sleep, timeout},
};

use super::{
    upstream::Seen,
    wire::{Frame, FrameReader, Request},
};

/// Stands for the number of a request, in those of which many are sent.
pub const NUMBER: &str = "10000000";
const FIRST: i32 = 10_000_000;

/// Where an attack takes place.
#[derive(Clone, Debug)]
pub struct Ground {
    /// The proxy.
    pub proxy: SocketAddr,
    /// Its admin listener.
    pub admin: SocketAddr,
    /// What the servers behind it see.
    pub seen: Arc<Seen>,
}

impl Ground {
    /// A connection to the proxy.
    ///
    /// # Errors
    /// When it does not take it.
    pub async fn line(&self) -> Result<Line> {
        Line::open(self.proxy).await
    }

    /// That many connections, each for one run of `each`, until all of them have ended. That one
    /// fails is no error: the proxy may refuse it.
    pub async fn many<F>(&self, count: usize, each: impl Fn(Line, usize) -> F)
    where
        F: Future<Output = Result<()>> + 'static,
    {
        self.many_of(count, || self.line(), each).await;
    }

    /// The same with connections that `open` makes.
    pub async fn many_of<F>(
        &self,
        count: usize,
        open: impl AsyncFn() -> Result<Line>,
        each: impl Fn(Line, usize) -> F,
    ) where
        F: Future<Output = Result<()>> + 'static,
    {
        let mut running = JoinSet::new();
        for nth in 0..count {
            // Listeners have a backlog; one that is refused is refused.
            let Ok(Ok(line)) = timeout(Duration::from_secs(2), open()).await else {
                continue;
            };
            running.spawn_local(each(line, nth));
        }
        while running.join_next().await.is_some() {}
    }

    /// Waits until the attack's time is over, with its connections still open.
    pub async fn stay(&self) {
        std::future::pending::<()>().await;
    }
}

/// What an attacker's connection is made of.
pub trait Stream: AsyncRead + AsyncWrite + Unpin + fmt::Debug {}

impl<S: AsyncRead + AsyncWrite + Unpin + fmt::Debug> Stream for S {}

/// One connection of an attacker.
#[derive(Debug)]
pub struct Line {
    stream: Box<dyn Stream>,
    reader: FrameReader,
    opaque: i32,
}

impl Line {
    /// Connects.
    ///
    /// # Errors
    /// When the connection is not accepted.
    pub async fn open(address: SocketAddr) -> Result<Self> {
        let stream = TcpStream::connect(address).await?;
        stream.set_nodelay(true)?;
        Ok(Self::of(stream))
    }

    /// One that is made of that, over TLS for one.
    pub fn of(stream: impl Stream + 'static) -> Self {
        Self {
            stream: Box::new(stream),
            reader: FrameReader::default(),
            opaque: 0,
        }
    }

    /// The number for the next request.
    pub fn number(&mut self) -> i32 {
        self.opaque += 1;
        self.opaque
    }

    /// Writes bytes.
    ///
    /// # Errors
    /// When the connection has ended.
    pub async fn write(&mut self, bytes: &[u8]) -> Result<()> {
        self.stream.write_all(bytes).await?;
        // TLS keeps some of it otherwise.
        Ok(self.stream.flush().await?)
    }

    /// Sends a request.
    ///
    /// # Errors
    /// When the connection has ended.
    pub async fn send(&mut self, request: &Request) -> Result<()> {
        let opaque = self.number();
        self.write(&request.to_frame(opaque)).await
    }

    /// Sends that many of a request, some hundred at a time. Where [`NUMBER`] stands in it, each
    /// has its own number.
    ///
    /// # Errors
    /// When the connection has ended.
    pub async fn send_many(&mut self, request: &Request, count: usize) -> Result<()> {
        const BATCH: usize = 250;
        let frame = request.to_frame(FIRST);
        let marks: Vec<usize> = frame
            .windows(NUMBER.len())
            .enumerate()
            .filter(|(_, window)| *window == NUMBER.as_bytes())
            .map(|(at, _)| at)
            .collect();
        let mut left = count;
        let mut bytes = Vec::new();
        while left > 0 {
            let batch = left.min(BATCH);
            bytes.clear();
            for _ in 0..batch {
                let number = (FIRST + self.number() % FIRST).to_string();
                let start = bytes.len();
                bytes.extend_from_slice(&frame);
                for mark in &marks {
                    let place = start + mark..start + mark + NUMBER.len();
                    if let Some(place) = bytes.get_mut(place) {
                        place.copy_from_slice(number.as_bytes());
                    }
                }
            }
            self.write(&bytes).await?;
            left -= batch;
            tokio::task::yield_now().await;
        }
        Ok(())
    }

    /// The next frame.
    ///
    /// # Errors
    /// When none arrives within ten seconds, or the connection has ended.
    pub async fn receive(&mut self) -> Result<Frame> {
        let next = timeout(Duration::from_secs(10), self.reader.next(&mut self.stream));
        let (frame, _) = next
            .await
            .context("nothing arrives")??
            .context("the connection was closed")?;
        Ok(frame)
    }

    /// Sends a request and receives its answer.
    ///
    /// # Errors
    /// When there is none.
    pub async fn call(&mut self, request: &Request) -> Result<Frame> {
        self.send(request).await?;
        loop {
            let frame = self.receive().await?;
            if frame.is_response() && frame.opaque == self.opaque {
                return Ok(frame);
            }
        }
    }

    /// Reads and drops all bytes until the connection ends.
    ///
    /// # Errors
    /// When it ends badly.
    pub async fn drain(&mut self) -> Result<()> {
        let mut buffer = vec![0; 65536];
        while self.stream.read(&mut buffer).await? > 0 {}
        Ok(())
    }

    /// Whether the proxy closes the connection within that time; bytes that arrive before are
    /// dropped.
    pub async fn is_closed_within(&mut self, limit: Duration) -> bool {
        timeout(limit, self.drain()).await.is_ok()
    }

    /// Reads and drops the bytes that arrive within that time.
    ///
    /// # Errors
    /// When the connection ends meanwhile.
    pub async fn drain_for(&mut self, time: Duration) -> Result<()> {
        match timeout(time, self.drain()).await {
            Err(_) => Ok(()),
            Ok(ended) => ended.and_then(|()| Err(anyhow::anyhow!("the connection was closed"))),
        }
    }

    /// Sends nothing and reads nothing for that time.
    pub async fn idle(&self, time: Duration) {
        sleep(time).await;
    }
}
