//! What the figures were measured on, and when.

use std::fs;
use std::process::Command;
use std::thread::available_parallelism;
use std::time::{SystemTime, UNIX_EPOCH};

/// The machine: processor, cores, memory, kernel.
#[must_use]
pub fn describe() -> String {
    let cores = available_parallelism().map_or(0, usize::from);
    let model = field("/proc/cpuinfo", "model name").unwrap_or_else(|| "unknown".to_owned());
    let memory = field("/proc/meminfo", "MemTotal")
        .and_then(|text| text.split_whitespace().next()?.parse::<f64>().ok())
        .map_or(0.0, |kib| kib / 1024.0 / 1024.0);
    let kernel = fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
    format!(
        "{cores} cores ({model}), {memory:.0} GB, Linux {}",
        // The rest of the text is the builder's name.
        kernel.trim().split('-').next().unwrap_or_default()
    )
}

/// Remora's version and commit, and the compiler that built it.
#[must_use]
pub fn remora() -> String {
    let dir = env!("CARGO_MANIFEST_DIR");
    let git =
        |arguments: &[&str]| first_line(Command::new("git").args(["-C", dir]).args(arguments));
    let commit = git(&["rev-parse", "--short", "HEAD"]).unwrap_or_else(|| "unknown".to_owned());
    // Results are written by the very command, so they do not make a commit another one.
    let changed = git(&["status", "--porcelain", "--", "..", ":!."]).is_some();
    let rustc = first_line(Command::new("rustc").arg("--version")).unwrap_or_default();
    format!(
        "Remora {} ({commit}{}), {rustc}",
        env!("CARGO_PKG_VERSION"),
        if changed { " and changes" } else { "" }
    )
}

/// The virtual machine's version.
#[must_use]
pub fn java() -> String {
    let output = Command::new("java").arg("-version").output();
    let text = output.map(|output| String::from_utf8_lossy(&output.stderr).into_owned());
    let text = text.unwrap_or_default();
    text.lines().next().unwrap_or("unknown").to_owned()
}

/// Today, as `2026-11-21`.
#[must_use]
pub fn today() -> String {
    let since = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default();
    date(since.as_secs() / 86_400)
}

/// The date of a day since 1970, by counting in years that start in March, whose last day is the
/// leap day.
fn date(days: u64) -> String {
    let days = days + 719_468;
    let era = days / 146_097;
    let day = days % 146_097;
    let year = (day - day / 1460 + day / 36_524 - day / 146_096) / 365;
    let day = day - (365 * year + year / 4 - year / 100);
    let month = (5 * day + 2) / 153;
    let day = day - (153 * month + 2) / 5 + 1;
    let (month, year) = if month < 10 {
        (month + 3, year)
    } else {
        (month - 9, year + 1)
    };
    format!("{:04}-{month:02}-{day:02}", year + era * 400)
}

fn field(file: &str, name: &str) -> Option<String> {
    let text = fs::read_to_string(file).ok()?;
    let line = text.lines().find(|line| line.starts_with(name))?;
    Some(line.split_once(':')?.1.trim().to_owned())
}

fn first_line(command: &mut Command) -> Option<String> {
    let output = command.output().ok()?;
    let text = String::from_utf8_lossy(&output.stdout);
    text.lines().next().map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::date;

    #[test]
    fn days_are_dates() {
        assert_eq!(date(0), "1970-01-01");
        assert_eq!(date(11_016), "2000-02-29");
        assert_eq!(date(20_778), "2026-11-21");
    }
}
