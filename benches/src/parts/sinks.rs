//! Brokers that answer immediately, so that the proxy is what is measured.

use std::fmt::Write;
use std::path::Path;
use std::time::Duration;

use anyhow::Result;

use super::side_by_side::body;
use super::{Options, start_remora, through};
use crate::plot;
use crate::report::Section;
use crate::rounds::Plan;
use crate::shape::on_sinks;
use crate::sink::broker_name;
use crate::stack::{Haproxy, Sinks, haproxy_version};

/// How many brokers.
const COUNTS: [usize; 3] = [1, 4, 16];

pub(super) fn run(options: &Options, dir: &Path) -> Result<()> {
    let mut text = String::new();
    for brokers in COUNTS {
        let shapes = options.chosen(on_sinks(brokers));
        if shapes.is_empty() {
            continue;
        }
        let sinks = Sinks::start(dir, brokers)?;
        let haproxy = Haproxy::start(&dir.join(format!("haproxy-{brokers}")), sinks.brokers())?;
        let remora = start_remora(&dir.join(format!("{brokers}")), sinks.name_server())?;
        let plan = Plan {
            targets: vec![sinks.target(), haproxy.target(), through(&remora)],
            broker: sinks.pid(),
            broker_address: None,
            brokers: (0..brokers).map(broker_name).collect(),
            shapes,
            rounds: options.rounds,
            timing: options.timing(),
        };
        // There is no virtual machine here, but there are caches.
        plan.warm_up(Duration::from_millis(options.warm_up / 2))?;
        let measured = plan.measure()?;
        remora.stop(&[""])?;
        let file = format!("sinks-{brokers}.svg");
        let title = format!("On {brokers} sink brokers");
        plot::write(&options.results.join(&file), &title, &measured)?;
        let figures = body(&measured, false, &file).replace("### ", "#### ");
        writeln!(text, "### Brokers: {brokers}\n\n{figures}")?;
    }
    Section {
        part: "sinks",
        title: "On brokers that answer at once".to_owned(),
        peers: vec![format!("HAProxy {} (TCP, two threads)", haproxy_version()?)],
        method: options.method("figures are medians, quartiles in brackets."),
        body: text,
    }
    .publish(&options.results)
}
