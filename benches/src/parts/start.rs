//! From the start to serving.

use std::fs;
use std::net::TcpStream;
use std::path::Path;
use std::process::Command;
use std::thread;
use std::time::Duration;

use anyhow::{Result, bail};
use integration_tests::ports::free_port;
use integration_tests::process::{Process, tail};
use integration_tests::proxy_process::remora_binary;
use tokio::time::Instant;

use super::Options;
use crate::checks::{Bound, Outcome};
use crate::report::Section;
use crate::requests::route;
use crate::shape::SEND_TOPIC;
use crate::stack::{Sinks, local};
use crate::stats::Spread;
use crate::tables;
use crate::wire::ask;

/// How often it is started.
const TIMES: usize = 20;

/// How often we look whether it serves.
const LOOK: Duration = Duration::from_micros(200);

const LIMIT: Duration = Duration::from_secs(10);

pub(super) fn run(options: &Options, dir: &Path) -> Result<()> {
    let sinks = Sinks::start(dir, 1)?;
    let binary = remora_binary()?;
    let home = dir.join("remora");
    fs::create_dir_all(&home)?;
    let mut times = Vec::new();
    for _ in 0..TIMES {
        let address = local(free_port()?);
        let mut command = Command::new(&binary);
        command
            .current_dir(&home)
            .args(["--name-server", &sinks.name_server().to_string()])
            .args(["--listen", &address.to_string()]);
        let begun = Instant::now();
        let mut remora = Process::spawn("remora", &mut command, &home.join("remora.log"))?;
        // It serves when it answers a request for which it must ask a name server.
        while TcpStream::connect(address).is_err() || ask(address, &route(SEND_TOPIC)).is_err() {
            if begun.elapsed() > LIMIT {
                bail!("remora does not serve\n{}", tail(remora.log(), 20));
            }
            thread::sleep(LOOK);
        }
        times.push(begun.elapsed().as_secs_f64() * 1e3);
        remora.kill()?;
    }
    let outcomes: Vec<_> = Spread::of(times)
        .map(|figure| Outcome {
            shape: "start".to_owned(),
            what: "ms until a route is answered".to_owned(),
            figure,
            bound: Bound::AtMost(100.0),
        })
        .into_iter()
        .collect();
    Section {
        part: "start",
        title: "From the start to serving".to_owned(),
        peers: Vec::new(),
        method: format!("{TIMES} times, with a name server that answers at once."),
        body: tables::outcomes(&outcomes),
    }
    .publish(&options.results)
}
