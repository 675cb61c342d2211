//! Remora in this process.

use std::io::Write;
use std::net::SocketAddr;
use std::thread::JoinHandle;

use anyhow::{Context, Result};
use proxy_server::{Args, Config, LogFilter, Proxy, Signal, Signals};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::mpsc;

use super::client::RawClient;

/// The signals that the test sends to the proxy; when the sender is dropped, the proxy stops.
struct Caught(mpsc::UnboundedReceiver<Signal>);

impl Signals for Caught {
    async fn next(&mut self) -> Signal {
        self.0.recv().await.unwrap_or(Signal::Stop)
    }
}

/// A proxy that ends with the test.
#[derive(Debug)]
pub struct ProxyUnderTest {
    address: SocketAddr,
    admin: Option<SocketAddr>,
    signals: Option<mpsc::UnboundedSender<Signal>>,
    thread: Option<JoinHandle<Result<()>>>,
}

impl ProxyUnderTest {
    /// Starts one in front of these name servers, on a free port, with `file` as further
    /// configuration.
    ///
    /// # Errors
    /// When it does not start.
    pub fn start(name_servers: &[SocketAddr], file: &str) -> Result<Self> {
        let mut config = tempfile::NamedTempFile::new()?;
        config.write_all(file.as_bytes())?;
        let name_servers: Vec<_> = name_servers.iter().map(ToString::to_string).collect();
        let args = Args {
            name_server: Some(name_servers.join(";")),
            // A flag would win over the file.
            listen: (!file.contains("[[listener]]")).then(|| "127.0.0.1:0".to_owned()),
            config: Some(config.path().to_owned()),
            ..Args::default()
        };
        let config = Config::load(&args)?;
        let (signals, caught) = mpsc::unbounded_channel();
        let (started, address) = std::sync::mpsc::channel();
        let thread = std::thread::spawn(move || {
            let proxy = Proxy::bind(config)?;
            started.send((proxy.local_addresses()?, proxy.admin_address()))?;
            let filter = LogFilter::new("info", |_| Ok(()));
            proxy.run(args, filter, || Caught(caught))
        });
        let (addresses, admin) = address.recv().context("the proxy does not start")?;
        Ok(Self {
            address: *addresses.first().context("the proxy does not listen")?,
            admin,
            signals: Some(signals),
            thread: Some(thread),
        })
    }

    /// Where clients connect.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Where its admin listener is, if one is configured.
    #[must_use]
    pub fn admin_address(&self) -> Option<SocketAddr> {
        self.admin
    }

    /// A new client.
    ///
    /// # Errors
    /// When the proxy does not accept.
    pub async fn client(&self) -> Result<RawClient> {
        RawClient::connect(self.address).await
    }

    /// Sends it a signal.
    pub fn signal(&self, signal: Signal) {
        if let Some(signals) = &self.signals {
            // One that has ended hears nothing.
            let _ = signals.send(signal);
        }
    }

    /// Whether it has ended.
    #[must_use]
    pub fn has_ended(&self) -> bool {
        self.thread.as_ref().is_none_or(JoinHandle::is_finished)
    }

    /// What its admin listener answers, head and body, if one is configured.
    ///
    /// # Errors
    /// When it does not answer.
    pub async fn admin(&self, request: &str) -> Result<String> {
        let admin = self.admin.context("no admin listener is configured")?;
        let mut stream = TcpStream::connect(admin).await?;
        let head = format!("{request} HTTP/1.1\r\nHost: here\r\nConnection: close\r\n\r\n");
        stream.write_all(head.as_bytes()).await?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await?;
        Ok(answer)
    }

    /// Has it stop and waits until it has.
    ///
    /// # Errors
    /// When it ends badly.
    pub fn stop(mut self) -> Result<()> {
        self.end()
    }

    fn end(&mut self) -> Result<()> {
        drop(self.signals.take());
        match self.thread.take().map(JoinHandle::join) {
            Some(Ok(ended)) => ended,
            Some(Err(_)) => anyhow::bail!("the proxy panicked"),
            None => Ok(()),
        }
    }
}

impl Drop for ProxyUnderTest {
    fn drop(&mut self) {
        let _ = self.end();
    }
}
