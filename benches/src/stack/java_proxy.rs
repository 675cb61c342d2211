//! The Java proxy.

use std::fs;
use std::net::SocketAddr;
use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, ensure};
use integration_tests::java::Java;
use integration_tests::ports::free_port;
use integration_tests::process::{Process, tail};
use integration_tests::workspace::target_dir;
use serde_json::json;

use super::cluster::wait_until_served;
use super::{FULL_SPEED, JAVA, Target, local};

/// A running Java proxy; it is killed when dropped.
#[derive(Debug)]
pub struct JavaProxy {
    process: Process,
    address: SocketAddr,
}

impl JavaProxy {
    /// Starts it in front of a cluster and waits until a message to that topic gets through.
    ///
    /// # Errors
    /// When it does not start.
    pub fn start(java: &Java, dir: &Path, name_server: SocketAddr, topic: &str) -> Result<Self> {
        let classes = class_path()?;
        fs::create_dir_all(dir)?;
        let address = local(free_port()?);
        let config = dir.join("proxy.json");
        let settings = json!({
            "rocketMQClusterName": "DefaultCluster",
            "localServeAddr": "127.0.0.1",
            "remotingListenPort": address.port(),
            "grpcServerPort": free_port()?,
        });
        fs::write(&config, settings.to_string())?;
        let mut command = java.cluster(dir);
        command
            .env("CLASSPATH", classes)
            .env("RMQ_PROXY_HOME", dir)
            .args(["-Xms1g", "-Xmx1g", "-XX:MaxDirectMemorySize=1g"])
            .args(FULL_SPEED)
            .args(["org.apache.rocketmq.proxy.ProxyStartup", "-pm", "cluster"])
            .args(["-n", &name_server.to_string(), "-pc"])
            .arg(config);
        let process = Process::spawn("java-proxy", &mut command, &dir.join("output.log"))?;
        wait_until_served(address, topic).with_context(|| tail(process.log(), 20))?;
        Ok(Self { process, address })
    }

    /// The way through it.
    #[must_use]
    pub fn target(&self) -> Target {
        Target {
            name: JAVA,
            addresses: vec![self.address],
            proxy: Some(self.process.pid()),
            tls: None,
        }
    }
}

/// Resolves its class path; quick when that was done before.
fn class_path() -> Result<String> {
    let out = target_dir().join("java");
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("scripts/build-java-proxy.sh");
    let status = Command::new(script).arg(&out).status()?;
    ensure!(status.success(), "build-java-proxy.sh failed: {status}");
    let file = out.join("java-proxy.classpath");
    fs::read_to_string(&file).context("the class path was resolved")
}
