//! The Java side: class paths and virtual machines.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context, Result, ensure};

use crate::{
    process::mortal,
    workspace::{crate_dir, target_dir},
};

/// The resolved class paths of the cluster and of the client.
#[derive(Debug)]
pub struct Java {
    cluster: String,
    client: String,
}

impl Java {
    /// Compiles the client and resolves the class paths; quick when nothing has changed.
    ///
    /// # Errors
    /// When the build fails, for example because no Java was installed (`scripts/install-java.sh` does that).
    pub fn build() -> Result<Self> {
        let out = target_dir().join("java");
        let script = crate_dir().join("scripts/build-java.sh");
        let status = Command::new(&script)
            .arg(&out)
            .status()
            .context("cannot run build-java.sh")?;
        ensure!(status.success(), "{} failed: {status}", script.display());
        let class_path = |name: &str| {
            let file: PathBuf = out.join(name);
            fs::read_to_string(&file).with_context(|| format!("cannot read {}", file.display()))
        };
        Ok(Self {
            cluster: class_path("cluster.classpath")?,
            client: class_path("client.classpath")?,
        })
    }

    /// A virtual machine with the cluster's classes.
    #[must_use]
    pub fn cluster(&self, home: &Path) -> Command {
        java(home, &self.cluster)
    }

    /// A virtual machine with the client's classes.
    #[must_use]
    pub fn client(&self, home: &Path) -> Command {
        java(home, &self.client)
    }
}

/// A virtual machine that writes nothing outside of `home`: RocketMQ's logs and local offsets go below `user.home`.
fn java(home: &Path, class_path: &str) -> Command {
    let mut command = mortal("java");
    command
        .current_dir(home)
        .env("CLASSPATH", class_path)
        .env("ROCKETMQ_HOME", home)
        // The variable would win over what a test says.
        .env_remove("NAMESRV_ADDR")
        .arg(format!("-Duser.home={}", home.display()))
        .arg(format!("-Djava.io.tmpdir={}", home.display()))
        .arg(format!("-Drocketmq.client.logRoot={}/logs", home.display()))
        .arg(format!(
            "-Drocketmq.client.localOffsetStoreDir={}/offsets",
            home.display()
        ))
        // Many virtual machines share few cores: no time for the optimising compiler, no threads for a collector.
        .args([
            "-Xshare:auto",
            "-XX:TieredStopAtLevel=1",
            "-XX:+UseSerialGC",
            "-XX:-UsePerfData",
        ]);
    command
}
