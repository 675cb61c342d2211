//! Debian's Prometheus.

use std::{
    fs,
    io::{Read, Write},
    net::{Ipv4Addr, SocketAddr, TcpStream},
    path::Path,
    time::Duration,
};

use anyhow::{Context, Result, bail, ensure};
use integration_tests::{
    ports::free_port,
    process::{Process, mortal, tail},
    wait::wait_until,
    workspace::crate_dir,
};
use serde_json::Value;

const START_LIMIT: Duration = Duration::from_secs(30);

/// A running Prometheus with the rules that are shipped.
pub(crate) struct Prometheus {
    process: Process,
    address: SocketAddr,
}

impl Prometheus {
    /// Starts it; it scrapes that address every second.
    pub(crate) fn start(dir: &Path, scraped: SocketAddr) -> Result<Self> {
        let rules = crate_dir().join("../deploy/prometheus");
        let rules = rules.canonicalize().context("the rules")?;
        let config = dir.join("prometheus.yml");
        let text = format!(
            "global:\n  scrape_interval: 1s\n  evaluation_interval: 1s\nrule_files: [\"{}/*.rules.yaml\"]\n\
             scrape_configs:\n  - job_name: remora\n    static_configs:\n      - targets: [\"{scraped}\"]\n        \
             labels: {{namespace: here}}\n",
            rules.display()
        );
        fs::write(&config, text)?;
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, free_port()?));
        let mut command = mortal("prometheus");
        command
            .arg(format!("--config.file={}", config.display()))
            .arg(format!(
                "--storage.tsdb.path={}",
                dir.join("data").display()
            ))
            .arg(format!("--web.listen-address={address}"));
        let mut process = Process::spawn("prometheus", &mut command, &dir.join("prometheus.log"))
            .context("Debian's prometheus; benches/scripts/install.sh prometheus")?;
        wait_until("prometheus to be ready", START_LIMIT, || {
            if let Some(status) = process.exited()? {
                bail!("prometheus ended: {status}");
            }
            let ready = get(address, "/-/ready").is_ok_and(|(status, _)| status == 200);
            Ok(ready.then_some(()))
        })
        .with_context(|| tail(process.log(), 20))?;
        Ok(Self { process, address })
    }

    /// How many series an expression has now.
    pub(crate) fn query(&self, expression: &str) -> Result<usize> {
        Ok(self.result(expression)?.len())
    }

    /// The value of an expression that has one.
    pub(crate) fn value(&self, expression: &str) -> Result<f64> {
        let result = self.result(expression)?;
        let value = result.first().and_then(|series| series.pointer("/value/1"));
        let text = value.and_then(Value::as_str).context("it has no value")?;
        Ok(text.parse()?)
    }

    fn result(&self, expression: &str) -> Result<Vec<Value>> {
        let path = format!("/api/v1/query?query={}", encode(expression));
        let (status, body) = get(self.address, &path)?;
        ensure!(status == 200, "{expression}: {body}");
        let answer: Value = serde_json::from_str(&body)?;
        let result = answer.pointer("/data/result").and_then(Value::as_array);
        Ok(result.context("a result")?.clone())
    }

    pub(crate) fn stop(mut self) -> Result<()> {
        self.process.kill()
    }
}

/// Everything but letters and digits, as a query needs it.
fn encode(text: &str) -> String {
    text.bytes()
        .map(|byte| match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' => (byte as char).to_string(),
            _ => format!("%{byte:02X}"),
        })
        .collect()
}

/// Status and body. Asked as HTTP/1.0, for an answer that is in one piece.
pub(crate) fn get(address: SocketAddr, path: &str) -> Result<(u16, String)> {
    let mut stream = TcpStream::connect(address)?;
    stream.set_read_timeout(Some(Duration::from_secs(10)))?;
    write!(stream, "GET {path} HTTP/1.0\r\nHost: {address}\r\n\r\n")?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    let (head, body) = answer.split_once("\r\n\r\n").context("an answer")?;
    let status = head.split(' ').nth(1).context("a status")?.parse()?;
    Ok((status, body.to_owned()))
}
