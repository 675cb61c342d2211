//! Alibaba's `ons-client`, whose headers have keys and values that Apache's clients do not write.

use std::process::Stdio;

use anyhow::{Result, ensure};
use integration_tests::{
    java::ons_client, ports::lone_port, proxy_process::Remora, scenario::Scenario, suite::TestFn,
};

pub(crate) const TESTS: &[(&str, TestFn)] =
    &[("ons_client_sends_and_consumes", sends_and_consumes)];

const MESSAGES: &str = "100";

fn sends_and_consumes(it: &Scenario<'_>) -> Result<()> {
    let topic = it.topic()?;
    // It names no broker in its requests: each has a port of its own.
    let remora = match it.remora_binary() {
        Some(binary) => {
            let brokers = it.cluster().brokers().iter();
            let listeners = brokers
                .map(|broker| Ok((broker.name(), lone_port()?)))
                .collect::<Result<Vec<_>>>()?;
            let name_server = &it.cluster().target().name_server;
            let dir = it.dir("remora")?;
            Some(Remora::start_with_broker_listeners(
                binary,
                &dir,
                name_server,
                &listeners,
            )?)
        }
        None => None,
    };
    let target = remora.as_ref().map_or(it.target(), Remora::target);
    let mut client = ons_client(&it.dir("ons")?)?;
    client
        .args(["-Xmx128m", "remora.ons.Main"])
        .arg(&target.name_server)
        .args([topic, it.name("consumers")])
        .arg(MESSAGES)
        .stdin(Stdio::null());
    let output = target.place(client).output()?;
    ensure!(
        output.status.success(),
        "{}\n{}\n{}",
        output.status,
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
    remora.map_or(Ok(()), |remora| remora.stop(&[]))
}
