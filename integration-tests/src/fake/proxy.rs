//! Remora in this process.

use std::io::Write;
use std::net::SocketAddr;
use std::thread::JoinHandle;

use anyhow::{Context, Result};
use proxy_server::{Args, Config, Proxy};
use tokio::sync::oneshot;

use super::client::RawClient;

/// A proxy that ends with the test.
#[derive(Debug)]
pub struct ProxyUnderTest {
    address: SocketAddr,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<Result<()>>>,
}

impl ProxyUnderTest {
    /// Starts one in front of these name servers, on a free port, with `file` as further configuration.
    ///
    /// # Errors
    /// When it does not start.
    pub fn start(name_servers: &[SocketAddr], file: &str) -> Result<Self> {
        let mut config = tempfile::NamedTempFile::new()?;
        config.write_all(file.as_bytes())?;
        let name_servers: Vec<_> = name_servers.iter().map(ToString::to_string).collect();
        let config = Config::load(&Args {
            name_server: Some(name_servers.join(";")),
            listen: Some("127.0.0.1:0".to_owned()),
            config: Some(config.path().to_owned()),
            ..Args::default()
        })?;
        let (stop, stopped) = oneshot::channel();
        let (started, address) = std::sync::mpsc::channel();
        let thread = std::thread::spawn(move || {
            let proxy = Proxy::bind(config)?;
            started.send(proxy.local_addresses()?)?;
            proxy.run(|| async {
                let _ = stopped.await;
            })
        });
        let addresses = address.recv().context("the proxy does not start")?;
        Ok(Self {
            address: *addresses.first().context("the proxy does not listen")?,
            stop: Some(stop),
            thread: Some(thread),
        })
    }

    /// Where clients connect.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// A new client.
    ///
    /// # Errors
    /// When the proxy does not accept.
    pub async fn client(&self) -> Result<RawClient> {
        RawClient::connect(self.address).await
    }

    /// Has it stop and waits until it has.
    ///
    /// # Errors
    /// When it ends badly.
    pub fn stop(mut self) -> Result<()> {
        self.end()
    }

    fn end(&mut self) -> Result<()> {
        drop(self.stop.take());
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
