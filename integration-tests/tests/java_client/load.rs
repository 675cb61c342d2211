//! The load generators that come with RocketMQ, unchanged.

use std::{fs, time::Duration};

use anyhow::{Context, Result, bail, ensure};
use integration_tests::{
    connections::ConnectionWatch,
    process::{Process, tail},
    scenario::Scenario,
    suite::TestFn,
    wait::wait_until,
};

pub(crate) const TESTS: &[(&str, TestFn)] =
    &[("official_load_generators", official_load_generators)];

/// How many reports, one a second, of each generator are judged.
const REPORTS: usize = 10;
const REPORT_LIMIT: Duration = Duration::from_secs(60);

fn official_load_generators(it: &Scenario<'_>) -> Result<()> {
    let topic = it.topic()?;
    let mut consumer =
        Generator::start(it, "Consumer", &["-t", &topic, "-g", &it.name("consumers")])?;
    let mut producer = Generator::start(it, "Producer", &["-t", &topic, "-w", "8"])?;

    let produced = producer.wait_reports("Send TPS", REPORTS)?;
    let rates = figures(&produced, "Send TPS")?;
    ensure!(rates.iter().all(|rate| *rate > 0), "send rates: {rates:?}");
    for kind in ["Send Failed", "Response Failed"] {
        let failed = figures(&produced, kind)?;
        ensure!(failed.iter().all(|count| *count == 0), "{kind}: {failed:?}");
    }
    let consumed = consumer.wait_reports("TPS", REPORTS)?;
    let rates = figures(&consumed, "TPS")?;
    ensure!(
        rates.iter().any(|rate| *rate > 0),
        "consume rates: {rates:?}"
    );
    producer.kill()?;
    consumer.kill()
}

/// A running load generator.
struct Generator {
    process: Process,
    watch: ConnectionWatch,
}

impl Generator {
    fn start(it: &Scenario<'_>, class: &str, arguments: &[&str]) -> Result<Self> {
        let home = it.dir(class)?;
        let mut command = it.java().cluster(&home);
        command
            .arg("-Xmx256m")
            .arg(format!("org.apache.rocketmq.example.benchmark.{class}"))
            .args(["-n", &it.target().name_server, "-ri", "1000"])
            .args(arguments);
        let process = Process::spawn(class, &mut command, &home.join("output.log"))?;
        let watch = ConnectionWatch::start(class, process.pid(), it.target());
        Ok(Self { process, watch })
    }

    /// Waits until the generator has printed this many reports, recognised by a word.
    fn wait_reports(&mut self, word: &str, count: usize) -> Result<Vec<String>> {
        wait_until("the load generator's reports", REPORT_LIMIT, || {
            if let Some(status) = self.process.exited()? {
                bail!(
                    "{} ended with {status}:\n{}",
                    self.process.name(),
                    tail(self.process.log(), 20)
                );
            }
            let output = fs::read_to_string(self.process.log())?;
            // The last line may be half written.
            let (complete, _) = output.rsplit_once('\n').unwrap_or_default();
            let reports: Vec<String> = complete
                .lines()
                .filter(|line| line.contains(word))
                .map(str::to_owned)
                .collect();
            Ok((reports.len() >= count).then_some(reports))
        })
    }

    /// A generator has no end of its own.
    fn kill(mut self) -> Result<()> {
        self.process.kill()?;
        self.watch.finish()
    }
}

/// The figures after `name: ` in each of the reports.
fn figures(reports: &[String], name: &str) -> Result<Vec<u64>> {
    let figure = |report: &String| {
        let (_, rest) = report.split_once(&format!("{name}: "))?;
        rest.split([' ', '|', ',']).next()?.parse().ok()
    };
    reports
        .iter()
        .map(|report| figure(report).with_context(|| format!("no {name} in {report:?}")))
        .collect()
}
