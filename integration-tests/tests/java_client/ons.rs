//! Alibaba's `ons-client`, whose headers have keys and values that Apache's clients do not write.

use std::process::Stdio;

use anyhow::{Result, ensure};
use integration_tests::{java::ons_client, scenario::Scenario, suite::TestFn};

pub(crate) const TESTS: &[(&str, TestFn)] =
    &[("ons_client_sends_and_consumes", sends_and_consumes)];

const MESSAGES: &str = "100";

fn sends_and_consumes(it: &Scenario<'_>) -> Result<()> {
    let topic = it.topic()?;
    let mut client = ons_client(&it.dir("ons")?)?;
    client
        .args(["-Xmx128m", "remora.ons.Main"])
        .arg(&it.target().name_server)
        .args([topic, it.name("consumers")])
        .arg(MESSAGES)
        .stdin(Stdio::null());
    let output = it.target().place(client).output()?;
    ensure!(
        output.status.success(),
        "{}\n{}\n{}",
        output.status,
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
    Ok(())
}
