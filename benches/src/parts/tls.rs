//! TLS to clients, which HAProxy takes off, and Remora.

use std::fs;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result};
use integration_tests::ports::free_ports;
use integration_tests::proxy_process::{Remora, remora_binary};
use integration_tests::target::Target as Addresses;
use integration_tests::tls::Authority;

use super::side_by_side::body;
use super::{Options, through};
use crate::load::NAME;
use crate::plot;
use crate::report::Section;
use crate::rounds::Plan;
use crate::shape::on_sinks;
use crate::sink::broker_name;
use crate::stack::{Haproxy, Sinks, Target, haproxy_version, local};

/// The file of the plot.
const PLOT: &str = "tls.svg";

pub(super) fn run(options: &Options, dir: &Path) -> Result<()> {
    let authority = Authority::new()?;
    let issued = authority.issue(NAME)?;
    let (certificate, key) = issued.write(dir)?;
    let both = dir.join("both.pem");
    fs::write(&both, format!("{}{}", issued.certificate, issued.key))?;

    let sinks = Sinks::start(dir, 1)?;
    let haproxy = Haproxy::start_secured(&dir.join("haproxy"), sinks.brokers(), &both)?;
    let first = free_ports(2)?;
    let (listen, admin) = (local(first), local(first + 1));
    let text = format!(
        "name_servers = [\"{}\"]\nadmin = \"{admin}\"\n[[listener]]\nbind = \"{listen}\"\n\
         [tls]\nmode = \"required\"\n[[tls.certificate]]\ncertificate = {certificate:?}\nkey = {key:?}\n",
        sinks.name_server()
    );
    let addresses = Addresses::new(listen, []);
    let folder = dir.join("remora");
    let remora = Remora::start_file(&remora_binary()?, &folder, &text, admin, addresses)?;
    let tls = Some(authority.connector(None)?);
    let secured = |target| Target {
        tls: tls.clone(),
        ..target
    };
    let plan = Plan {
        targets: vec![secured(haproxy.target()), secured(through(&remora))],
        broker: sinks.pid(),
        broker_address: None,
        brokers: vec![broker_name(0)],
        shapes: options.chosen(on_sinks(1)),
        rounds: options.rounds,
        timing: options.timing(),
    };
    plan.warm_up(Duration::from_millis(options.warm_up / 2))?;
    let measured = plan.measure().context("by TLS")?;
    remora.stop(&[""])?;
    let title = "With TLS to clients";
    plot::write(&options.results.join(PLOT), title, &measured)?;
    Section {
        part: "tls",
        title: title.to_owned(),
        peers: vec![format!(
            "HAProxy {} (TCP, two threads, terminates TLS)",
            haproxy_version()?
        )],
        method: options.method(
            "one sink; TLS 1.3 and a certificate with a P-256 key, connections made before; figures are medians, quartiles in brackets.",
        ),
        body: body(&measured, false, PLOT),
    }
    .publish(&options.results)
}
