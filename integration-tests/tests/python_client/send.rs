//! Sends that only some clients have, and the other client for Python.

use std::process::Stdio;

use anyhow::{Context, Result, bail};
use integration_tests::{
    compare::{Feature, Run, send_in_mode, send_orderly},
    program::Program,
    python::Python,
};

pub(crate) const FEATURES: &[Feature] = &[
    Feature::new("send_async", |it| send_in_mode(it, "async")),
    Feature::new("send_oneway_orderly", |it| {
        send_orderly(it, "oneway-orderly")
    }),
    Feature::broken(
        "send_batch",
        |it| send_in_mode(it, "batch"),
        "in vain for every message to arrive",
        "what is sent as a batch does not arrive as its messages",
    ),
    Feature::broken(
        "rocketmq_client_python_loads",
        other_binding,
        "undefined symbol",
        "its version 2.0.0 wants functions that this library does not have",
    ),
];

/// The other binding, `rocketmq-client-python`, brings no library and does not load with the one
/// that there is.
fn other_binding(it: &Run<'_>) -> Result<()> {
    let home = it.dir("other-binding")?;
    let output = Python::rocketmq_client_python()?
        .command(&home)
        .args(["producer", "name-server=127.0.0.1:1", "group=any"])
        .stdin(Stdio::null())
        .output()
        .context("cannot start Python")?;
    if !output.status.success() {
        bail!("{}", String::from_utf8_lossy(&output.stdout));
    }
    it.fact("loads");
    Ok(())
}
