//! The Java proxy as a process: its behaviour shows what a gRPC client can do at all.

use std::{
    fs,
    net::{Ipv4Addr, SocketAddr, TcpStream},
    path::Path,
    time::Duration,
};

use anyhow::{Context, Result, bail};
use serde_json::json;

use crate::{
    java,
    ports::free_port,
    process::{Process, tail},
    target::Target,
    wait::wait_until,
};

const READY_LIMIT: Duration = Duration::from_secs(120);

/// A running Java proxy in cluster mode; it is killed when dropped.
#[derive(Debug)]
pub struct JavaProxy {
    process: Process,
    target: Target,
}

impl JavaProxy {
    /// Starts it in front of these name servers (`host:port;host:port`), with a certificate for
    /// clients that speak TLS, and waits until it takes connections.
    ///
    /// # Errors
    /// When it does not start.
    pub fn start(
        dir: &Path,
        name_servers: &str,
        (certificate, key): (&Path, &Path),
    ) -> Result<Self> {
        fs::create_dir_all(dir)?;
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, free_port()?));
        let settings = json!({
            "rocketMQClusterName": "DefaultCluster",
            "localServeAddr": address.ip(),
            "remotingListenPort": free_port()?,
            "grpcServerPort": address.port(),
            "tlsTestModeEnable": false,
            "tlsCertPath": certificate,
            "tlsKeyPath": key,
        });
        let config = dir.join("proxy.json");
        fs::write(&config, settings.to_string())?;
        let mut command = java::java_proxy(dir)?;
        command
            .env("RMQ_PROXY_HOME", dir)
            .args(["-Xmx512m", "-XX:MaxDirectMemorySize=512m"])
            .args(["org.apache.rocketmq.proxy.ProxyStartup", "-pm", "cluster"])
            .args(["-n", name_servers, "-pc"])
            .arg(config);
        let mut process = Process::spawn("java-proxy", &mut command, &dir.join("output.log"))?;
        wait_until("the Java proxy to take connections", READY_LIMIT, || {
            if let Some(status) = process.exited()? {
                bail!("the Java proxy ended: {status}");
            }
            Ok(TcpStream::connect(address).is_ok().then_some(()))
        })
        .with_context(|| tail(process.log(), 20))?;
        Ok(Self {
            process,
            target: Target::new(address, []),
        })
    }

    /// The target of clients that go through it and speak gRPC.
    #[must_use]
    pub fn target(&self) -> &Target {
        &self.target
    }

    /// Kills it.
    ///
    /// # Errors
    /// When it cannot be waited for.
    pub fn stop(mut self) -> Result<()> {
        self.process.kill()
    }
}
