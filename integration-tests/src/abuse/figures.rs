//! The figures of a process: those that it exposes itself, and those of the system.

use std::{
    collections::BTreeMap,
    fs,
    io::{Read, Write},
    net::{SocketAddr, TcpStream},
    time::Duration,
};

use anyhow::{Context, Result, ensure};

/// What `GET` of a path at the admin listener answers: the body.
///
/// # Errors
/// When it does not answer with 200 within the limit.
pub fn admin_get(admin: SocketAddr, path: &str, limit: Duration) -> Result<String> {
    let mut connection = TcpStream::connect_timeout(&admin, limit)?;
    connection.set_read_timeout(Some(limit))?;
    let request = format!("GET {path} HTTP/1.1\r\nHost: remora\r\nConnection: close\r\n\r\n");
    connection.write_all(request.as_bytes())?;
    let mut answer = Vec::new();
    connection.read_to_end(&mut answer)?;
    let answer = String::from_utf8_lossy(&answer);
    let (head, body) = answer.split_once("\r\n\r\n").context("no HTTP answer")?;
    let status = head.split_whitespace().nth(1);
    ensure!(status == Some("200"), "{path}: {head}");
    Ok(body.to_owned())
}

/// Gauges of a proxy by name, summed over their labels.
#[derive(Clone, Debug, Default)]
pub struct Figures(BTreeMap<String, f64>);

/// Gauges that do not show what is held: they are caches, moments, or marks of the build.
const OTHERS: [&str; 8] = [
    "rocketmq_proxy_up",
    "rocketmq_proxy_routes",
    "rocketmq_proxy_route_oldest_seconds",
    "rocketmq_proxy_build_info",
    "rocketmq_proxy_certificate_expiry_timestamp_seconds",
    "rocketmq_proxy_draining",
    // Those that clients share stay for the next.
    "rocketmq_proxy_broker_connections",
    "rocketmq_proxy_limits",
];

impl Figures {
    /// Asks the proxy for them.
    ///
    /// # Errors
    /// When it does not answer.
    pub fn ask(admin: SocketAddr) -> Result<Self> {
        Ok(Self::parse(&admin_get(
            admin,
            "/metrics",
            Duration::from_secs(5),
        )?))
    }

    fn parse(text: &str) -> Self {
        let mut gauges = BTreeMap::new();
        let types = text.lines().filter_map(|line| line.strip_prefix("# TYPE "));
        for line in types {
            if let Some((name, "gauge")) = line.split_once(' ')
                && name.starts_with("rocketmq_")
                && !OTHERS.contains(&name)
            {
                gauges.insert(name.to_owned(), 0.0);
            }
        }
        for line in text.lines().filter(|line| !line.starts_with('#')) {
            let name = line.split(['{', ' ']).next().unwrap_or_default();
            let value = line.rsplit(' ').next().and_then(|value| value.parse().ok());
            if let (Some(sum), Some(value)) = (gauges.get_mut(name), value) {
                *sum += f64::max(value, 0.0);
            }
        }
        Self(gauges)
    }

    /// One of them.
    #[must_use]
    pub fn gauge(&self, name: &str) -> f64 {
        self.0.get(name).copied().unwrap_or_default()
    }

    /// Which of them are well above what they were before, as text; empty when none is.
    #[must_use]
    pub fn above(&self, before: &Self) -> Vec<String> {
        let grown = self.0.iter().filter_map(|(name, now)| {
            let then = before.gauge(name);
            // Healthy clients come and go by a few, and have a few outstanding.
            let slack = if name.contains("bytes") {
                1_048_576.0
            } else if name.ends_with("_failing") {
                0.0
            } else {
                16.0
            };
            (*now > then + slack).then(|| format!("{name} is {now}, was {then}"))
        });
        grown.collect()
    }
}

/// The memory of a process that is resident, in bytes.
///
/// # Errors
/// When there is no such process.
pub fn resident_memory(pid: u32) -> Result<u64> {
    status(pid, "VmRSS:")
}

/// The most that was ever resident, in bytes.
///
/// # Errors
/// When there is no such process.
pub fn peak_memory(pid: u32) -> Result<u64> {
    status(pid, "VmHWM:")
}

fn status(pid: u32, key: &str) -> Result<u64> {
    let status = fs::read_to_string(format!("/proc/{pid}/status"))?;
    let line = status.lines().find_map(|line| line.strip_prefix(key));
    let kilobytes: u64 = line
        .and_then(|line| line.split_whitespace().next())
        .context("a process has memory")?
        .parse()?;
    Ok(kilobytes * 1024)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn gauges_are_summed_and_compared() {
        let text = "# TYPE rocketmq_proxy_lanes gauge\nrocketmq_proxy_lanes{broker=\"a b\"} 2\n\
                    rocketmq_proxy_lanes{broker=\"c\"} 30\n# TYPE rocketmq_x counter\nrocketmq_x 7\n";
        let figures = Figures::parse(text);
        assert!((figures.gauge("rocketmq_proxy_lanes") - 32.0).abs() < f64::EPSILON);
        assert_eq!(figures.0.len(), 1);
        assert_eq!(figures.above(&Figures::default()).len(), 1);
        assert!(figures.above(&figures).is_empty());
    }

    #[test]
    fn own_memory_is_known() {
        let pid = std::process::id();
        assert!(peak_memory(pid).unwrap() >= resident_memory(pid).unwrap() / 2);
    }
}
