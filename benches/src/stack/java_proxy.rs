//! The Java proxy.

use std::fs;
use std::net::SocketAddr;
use std::path::Path;

use anyhow::{Context, Result};
use integration_tests::java::java_proxy;
use integration_tests::ports::free_port;
use integration_tests::process::{Process, tail};
use serde_json::json;

use super::cluster::wait_until_served;
use super::{FULL_SPEED, JAVA, Target, local};

/// A running Java proxy; it is killed when dropped.
#[derive(Debug)]
pub struct JavaProxy {
    process: Process,
    address: SocketAddr,
    /// Where it takes gRPC.
    grpc: SocketAddr,
}

impl JavaProxy {
    /// Starts it in front of a cluster and waits until a message to that topic gets through.
    ///
    /// # Errors
    /// When it does not start.
    pub fn start(dir: &Path, name_server: SocketAddr, topic: &str) -> Result<Self> {
        fs::create_dir_all(dir)?;
        let (address, grpc) = (local(free_port()?), local(free_port()?));
        let config = dir.join("proxy.json");
        let settings = json!({
            "rocketMQClusterName": "DefaultCluster",
            "localServeAddr": "127.0.0.1",
            "remotingListenPort": address.port(),
            "grpcServerPort": grpc.port(),
        });
        fs::write(&config, settings.to_string())?;
        let mut command = java_proxy(dir)?;
        command
            .env("RMQ_PROXY_HOME", dir)
            .args(["-Xms1g", "-Xmx1g", "-XX:MaxDirectMemorySize=1g"])
            .args(FULL_SPEED)
            .args(["org.apache.rocketmq.proxy.ProxyStartup", "-pm", "cluster"])
            .args(["-n", &name_server.to_string(), "-pc"])
            .arg(config);
        let process = Process::spawn("java-proxy", &mut command, &dir.join("output.log"))?;
        wait_until_served(address, topic).with_context(|| tail(process.log(), 20))?;
        Ok(Self {
            process,
            address,
            grpc,
        })
    }

    /// The way through it by gRPC.
    #[must_use]
    pub fn grpc_target(&self) -> Target {
        Target {
            addresses: vec![self.grpc],
            ..self.target()
        }
    }

    /// The way through it.
    #[must_use]
    pub fn target(&self) -> Target {
        Target::new(JAVA, vec![self.address], Some(self.process.pid()))
    }
}
