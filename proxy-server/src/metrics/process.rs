//! Metrics of the process, from the kernel.

use std::fmt;
use std::fs;

use super::writer::Writer;

/// The metrics of this process, named as Prometheus clients do.
pub(super) fn expose(out: &mut Writer<'_, '_>) -> fmt::Result {
    let process = Process::now();
    out.counter("process_cpu_seconds", "CPU time", process.cpu_seconds)?;
    let resident = process.resident_bytes as f64;
    out.gauge(
        "process_resident_memory_bytes",
        "Memory that is held",
        resident,
    )?;
    let open = process.open_descriptors as f64;
    out.gauge("process_open_fds", "Open descriptors", open)?;
    let most = process.most_descriptors as f64;
    out.gauge("process_max_fds", "Most descriptors that may be open", most)?;
    out.gauge("process_threads", "Threads", process.threads as f64)?;
    let name = "process_start_time_seconds";
    out.gauge(name, "When the process was started", process.started)
}

/// The values of the metrics.
#[derive(Clone, Copy, Debug, Default)]
struct Process {
    cpu_seconds: f64,
    resident_bytes: u64,
    open_descriptors: u64,
    most_descriptors: u64,
    threads: u64,
    started: f64,
}

impl Process {
    /// The current values; 0 for those that the kernel does not provide.
    fn now() -> Self {
        let stat = fs::read_to_string("/proc/self/stat").unwrap_or_default();
        // Behind the command's name, which may have anything in it; the first there is the third
        // field.
        let fields: Vec<u64> = stat
            .rsplit_once(')')
            .map(|(_, rest)| rest.split_whitespace())
            .into_iter()
            .flatten()
            .map(|field| field.parse().unwrap_or_default())
            .collect();
        let field = |number: usize| fields.get(number - 3).copied().unwrap_or_default();
        let ticks = rustix::param::clock_ticks_per_second() as f64;
        let limit = rustix::process::getrlimit(rustix::process::Resource::Nofile);
        Self {
            cpu_seconds: (field(14) + field(15)) as f64 / ticks,
            resident_bytes: field(24) * rustix::param::page_size() as u64,
            open_descriptors: fs::read_dir("/proc/self/fd").map_or(0, |all| all.count() as u64),
            most_descriptors: limit.current.unwrap_or_default(),
            threads: field(20),
            started: boot_time() + field(22) as f64 / ticks,
        }
    }
}

/// When the machine was started, in seconds since 1970.
fn boot_time() -> f64 {
    let stat = fs::read_to_string("/proc/stat").unwrap_or_default();
    let line = stat.lines().find_map(|line| line.strip_prefix("btime "));
    line.and_then(|seconds| seconds.trim().parse().ok())
        .unwrap_or_default()
}
