//! The command line tool of RocketMQ's distribution, unchanged.

use std::{fs, path::Path, time::Duration};

use anyhow::{Context, Result, ensure};

use crate::{connections::ConnectionWatch, java::Java, process::Process, target::Target};

/// A virtual machine's start, and the tool's own patience.
const LIMIT: Duration = Duration::from_secs(60);

/// Runs one command against a target and returns everything that it printed.
///
/// # Errors
/// When it does not end well, or connects to anything but the target.
pub fn mqadmin(java: &Java, home: &Path, target: &Target, arguments: &[&str]) -> Result<String> {
    let log = home.join("output.log");
    // The output is this run's alone.
    if log.exists() {
        fs::remove_file(&log)?;
    }
    fs::create_dir_all(home)?;
    let mut command = java.cluster(home);
    command
        .arg("-Xmx128m")
        .arg("org.apache.rocketmq.tools.command.MQAdminStartup")
        .args(arguments)
        .args(["-n", &target.name_server]);
    let mut process = Process::spawn("mqadmin", &mut command, &log)?;
    let watch = ConnectionWatch::start("mqadmin", process.pid(), target);
    let status = process.wait(LIMIT)?;
    let output = fs::read_to_string(&log).context("mqadmin's output")?;
    ensure!(
        status.success(),
        "mqadmin {arguments:?}: {status}\n{output}"
    );
    watch
        .finish_brief()
        .with_context(|| format!("mqadmin {arguments:?}: {output}"))?;
    Ok(output)
}
