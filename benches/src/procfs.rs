//! The kernel's figures of a process.

use std::collections::HashMap;
use std::fs;
use std::path::PathBuf;

use anyhow::{Context, Result};

/// The CPU time of each thread of a process, in nanoseconds. The times of `stat` count in ticks of
/// 10 ms, too coarse for a round of a second.
#[derive(Clone, Debug, Default)]
pub struct CpuTimes(HashMap<String, u64>);

impl CpuTimes {
    /// As of now.
    ///
    /// # Errors
    /// When there is no such process.
    pub fn now(pid: u32) -> Result<Self> {
        let tasks = process(pid).join("task");
        let mut times = HashMap::new();
        for task in fs::read_dir(tasks).with_context(|| format!("process {pid} has ended"))? {
            let task = task?;
            // A thread may end while we look.
            let Ok(stat) = fs::read_to_string(task.path().join("schedstat")) else {
                continue;
            };
            let on_cpu = stat.split_whitespace().next();
            let on_cpu = on_cpu.and_then(|time| time.parse().ok()).unwrap_or(0);
            times.insert(task.file_name().to_string_lossy().into_owned(), on_cpu);
        }
        Ok(Self(times))
    }

    /// Microseconds that were spent since `earlier`. What a thread spent that has ended meanwhile
    /// is not in it.
    #[must_use]
    pub fn micros_since(&self, earlier: &Self) -> f64 {
        let spent = self.0.iter().map(|(task, now)| {
            let before = earlier.0.get(task).copied().unwrap_or_default();
            now.saturating_sub(before)
        });
        spent.sum::<u64>() as f64 / 1e3
    }
}

/// The resident memory of a process in bytes.
///
/// # Errors
/// When there is no such process.
pub fn resident(pid: u32) -> Result<u64> {
    let status = fs::read_to_string(process(pid).join("status"))?;
    let line = status.lines().find(|line| line.starts_with("VmRSS:"));
    let kib = line.and_then(|line| line.split_whitespace().nth(1)?.parse::<u64>().ok());
    Ok(kib.context("a process has resident memory")? * 1024)
}

/// How many descriptors a process has open.
///
/// # Errors
/// When there is no such process.
pub fn descriptors(pid: u32) -> Result<usize> {
    Ok(fs::read_dir(process(pid).join("fd"))?.count())
}

fn process(pid: u32) -> PathBuf {
    PathBuf::from("/proc").join(pid.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_process_is_there() {
        let pid = std::process::id();
        let before = CpuTimes::now(pid).unwrap();
        let sum: u64 = (0..1_000_000_u64).map(std::hint::black_box).sum();
        assert!(sum > 0);
        assert!(CpuTimes::now(pid).unwrap().micros_since(&before) >= 0.0);
        assert!(resident(pid).unwrap() > 100_000);
        assert!(descriptors(pid).unwrap() > 2);
    }
}
