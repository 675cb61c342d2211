//! Metrics of the process, from the kernel.

use std::fs;

/// Metrics of this process, named as Prometheus clients do.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Process {
    pub(super) cpu_seconds: f64,
    pub(super) resident_bytes: u64,
    pub(super) open_descriptors: u64,
    pub(super) most_descriptors: u64,
    pub(super) threads: u64,
    pub(super) started: f64,
}

impl Process {
    /// The current values; 0 for those that the kernel does not provide.
    pub(super) fn now() -> Self {
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
