//! A program under callgrind, which writes a file at each poll of a task.

use std::collections::BTreeMap;
use std::fs;
use std::io::Write;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::thread;
use std::time::Duration;

use anyhow::{Context, Result, ensure};

/// What the runtime calls for each turn of a task.
const POLL: &str = "tokio::runtime::task::raw::poll*";

/// The prefix of the names of workers' threads.
const WORKER: &str = "remora-";

/// How long nothing more must have been written before all is.
const QUIET: Duration = Duration::from_millis(200);

/// A program that runs another under callgrind, without counting yet.
pub(super) fn wrapper(dir: &Path, program: &Path) -> Result<PathBuf> {
    let path = dir.join("counted.sh");
    let mut script = fs::File::create(&path)?;
    writeln!(
        script,
        "#!/bin/sh\nexec valgrind --tool=callgrind --instr-atstart=no --separate-threads=yes \
         --dump-before='{POLL}' --callgrind-out-file='{}/out' '{}' \"$@\"",
        dir.display(),
        program.canonicalize()?.display()
    )?;
    script.set_permissions(fs::Permissions::from_mode(0o755))?;
    Ok(path)
}

/// The running program.
pub(super) struct Counted {
    dir: PathBuf,
    pid: u32,
    /// The worker's number, as it is at the end of its files' names.
    worker: String,
    /// The file that gets a copy of the longest part.
    keep: Option<PathBuf>,
}

impl Counted {
    /// Starts to count; a copy of the file with the longest part is kept as `keep`.
    pub(super) fn new(dir: &Path, pid: u32, keep: Option<PathBuf>) -> Result<Self> {
        // Callgrind numbers threads as they start, and so does the kernel.
        let mut threads = Vec::new();
        for thread in fs::read_dir(format!("/proc/{pid}/task"))? {
            let thread = thread?;
            let name = fs::read_to_string(thread.path().join("comm"))?;
            let id: u32 = thread.file_name().to_string_lossy().parse()?;
            threads.push((id, name));
        }
        threads.sort_unstable();
        let worker = threads
            .iter()
            .position(|(_, name)| name.starts_with(WORKER));
        let number = worker.context("there is no worker")? + 1;
        let counted = Self {
            dir: dir.to_owned(),
            pid,
            worker: format!("{number:02}"),
            keep,
        };
        counted.control("--instr=on")?;
        Ok(counted)
    }

    /// Drops what was counted so far.
    pub(super) fn forget(&self) -> Result<()> {
        self.turns().map(drop)
    }

    /// The instructions of the turns since it was asked last.
    pub(super) fn turns(&self) -> Result<Vec<u64>> {
        self.control("--dump")?;
        let mut files = self.files()?;
        loop {
            thread::sleep(QUIET);
            let now = self.files()?;
            if now.len() == files.len() {
                break;
            }
            files = now;
        }
        // By the number of the part: what the worker needed, and what others did.
        let mut parts = BTreeMap::<u32, (u64, u64)>::new();
        let mut most = 0;
        for file in files {
            let name = file.to_string_lossy();
            let place = name
                .rsplit_once('.')
                .and_then(|(_, end)| end.split_once('-'));
            if let (Some((part, thread)), Some(sum)) = (place, summary(&file)?) {
                let (worker, others) = parts.entry(part.parse()?).or_default();
                if thread == self.worker {
                    *worker += sum;
                    if let (Some(keep), true) = (&self.keep, sum > most) {
                        most = sum;
                        fs::copy(&file, keep)?;
                    }
                } else {
                    *others += sum;
                }
            }
            fs::remove_file(&file)?;
        }
        let (mut turns, mut turn) = (Vec::new(), 0);
        for (worker, others) in parts.into_values() {
            turn += worker;
            // The part may have ended with another thread's turn, in the midst of the worker's.
            if others == 0 {
                turns.push(turn);
                turn = 0;
            }
        }
        turns.push(turn);
        Ok(turns)
    }

    fn files(&self) -> Result<Vec<PathBuf>> {
        let mut files = Vec::new();
        for entry in fs::read_dir(&self.dir)? {
            let path = entry?.path();
            let name = path.file_name().unwrap_or_default().to_string_lossy();
            if name.starts_with("out.") {
                files.push(path);
            }
        }
        Ok(files)
    }

    fn control(&self, order: &str) -> Result<()> {
        let status = Command::new("callgrind_control")
            .args([order, &self.pid.to_string()])
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .status()?;
        ensure!(status.success(), "callgrind_control {order}: {status}");
        Ok(())
    }
}

/// All instructions of a file.
fn summary(file: &Path) -> Result<Option<u64>> {
    let text = fs::read(file)?;
    let text = String::from_utf8_lossy(&text);
    let of = |key| text.lines().find_map(|line: &str| line.strip_prefix(key));
    let sum = of("summary: ").or_else(|| of("totals: "));
    Ok(sum.and_then(|sum| sum.trim().parse().ok()))
}
