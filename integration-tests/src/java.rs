//! The Java side: class paths and virtual machines.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context, Result, ensure};

use crate::{
    process::mortal,
    program::{ENDPOINTS, Program},
    workspace::{crate_dir, target_dir},
};

/// The client that tests use unless they name another: the one of the cluster's own release.
pub const NEWEST_CLIENT: &str = "5.5.0";

/// The resolved class paths of the cluster and of the clients.
#[derive(Debug)]
pub struct Java {
    cluster: String,
    clients: BTreeMap<String, String>,
}

impl Java {
    /// Compiles the [newest client](NEWEST_CLIENT) and resolves the class paths; quick when nothing
    /// has changed.
    ///
    /// # Errors
    /// When the build fails, for example because no Java was installed (`scripts/install-java.sh`
    /// does that).
    pub fn build() -> Result<Self> {
        Self::build_with(&[])
    }

    /// Like [`build`](Self::build), with clients of further versions.
    ///
    /// # Errors
    /// As for [`build`](Self::build).
    pub fn build_with(versions: &[&str]) -> Result<Self> {
        let versions = || [NEWEST_CLIENT].into_iter().chain(versions.iter().copied());
        let out = target_dir().join("java");
        let script = crate_dir().join("scripts/build-java.sh");
        let status = Command::new(&script)
            .arg(&out)
            .args(versions())
            .status()
            .context("cannot run build-java.sh")?;
        ensure!(status.success(), "{} failed: {status}", script.display());
        let class_path = |name: &str| {
            let file: PathBuf = out.join(format!("{name}.classpath"));
            fs::read_to_string(&file).with_context(|| format!("cannot read {}", file.display()))
        };
        Ok(Self {
            cluster: class_path("cluster")?,
            clients: versions()
                .map(|version| {
                    Ok((
                        version.to_owned(),
                        class_path(&format!("client-{version}"))?,
                    ))
                })
                .collect::<Result<_>>()?,
        })
    }

    /// A virtual machine with the cluster's classes.
    #[must_use]
    pub fn cluster(&self, home: &Path) -> Command {
        java(home, &self.cluster)
    }

    /// A virtual machine with the newest client's classes.
    #[must_use]
    pub fn client(&self, home: &Path) -> Command {
        self.client_of(NEWEST_CLIENT, home)
    }

    /// A virtual machine with the classes of the client of a version that was built; without
    /// classes if it was not.
    #[must_use]
    pub fn client_of(&self, version: &str, home: &Path) -> Command {
        let mut command = java(home, self.clients.get(version).map_or("", String::as_str));
        // The Netty of clients before 4.9 reaches into these, and does not start where it may not.
        command.args([
            "--add-opens=java.base/java.nio=ALL-UNNAMED",
            "--add-opens=java.base/sun.nio.ch=ALL-UNNAMED",
        ]);
        command
    }
}

/// The program with Alibaba's client in a virtual machine; it takes a name server, a topic, a group
/// and a number of messages.
///
/// # Errors
/// When it cannot be built.
pub fn ons_client(home: &Path) -> Result<Command> {
    Ok(Java::build_with(&["ons"])?.client_of("ons", home))
}

/// A virtual machine with the Java proxy's classes.
///
/// # Errors
/// When they cannot be resolved.
pub fn java_proxy(home: &Path) -> Result<Command> {
    Ok(Java::build_with(&["proxy"])?.client_of("proxy", home))
}

/// A Java client that speaks gRPC or HTTP; see `clients/grpc-java` and `clients/http-java`.
#[derive(Debug)]
pub struct EndpointJava {
    java: Java,
    name: String,
}

impl EndpointJava {
    /// Compiles the one that speaks gRPC, with this version of `rocketmq-client-java`.
    ///
    /// # Errors
    /// When the build fails.
    pub fn build_grpc(version: &str) -> Result<Self> {
        Self::build_of(format!("grpc-{version}"))
    }

    /// Compiles the one with the SDK for HTTP.
    ///
    /// # Errors
    /// When the build fails.
    pub fn build_http() -> Result<Self> {
        Self::build_of("http".to_owned())
    }

    fn build_of(name: String) -> Result<Self> {
        Ok(Self {
            java: Java::build_with(&[&name])?,
            name,
        })
    }
}

impl Program for EndpointJava {
    fn command(&self, home: &Path) -> Command {
        let mut command = self.java.client_of(&self.name, home);
        command.args(["-Xmx128m", "remora.client.Main"]);
        command
    }

    fn address_option(&self) -> &'static str {
        ENDPOINTS
    }
}

/// A virtual machine that writes nothing outside of `home`: RocketMQ's logs and local offsets go
/// below `user.home`.
fn java(home: &Path, class_path: &str) -> Command {
    let mut command = mortal("java");
    command
        .current_dir(home)
        .env("CLASSPATH", class_path)
        .env("ROCKETMQ_HOME", home)
        // The variable would win over the address that the test sets.
        .env_remove("NAMESRV_ADDR")
        .arg(format!("-Duser.home={}", home.display()))
        .arg(format!("-Djava.io.tmpdir={}", home.display()))
        .arg(format!("-Drocketmq.client.logRoot={}/logs", home.display()))
        .arg(format!("-Drocketmq.log.root={}/logs", home.display()))
        .arg(format!(
            "-Drocketmq.client.localOffsetStoreDir={}/offsets",
            home.display()
        ))
        // Many virtual machines share few cores: no time for the optimising compiler, no threads
        // for a collector.
        .args([
            "-Xshare:auto",
            "-XX:TieredStopAtLevel=1",
            "-XX:+UseSerialGC",
            "-XX:-UsePerfData",
        ]);
    command
}
