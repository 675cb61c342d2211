//! A child process that cannot outlive the test.

use std::{
    collections::VecDeque,
    ffi::OsStr,
    fs::{self, File},
    io::{BufRead, BufReader},
    os::unix::process::CommandExt,
    path::{Path, PathBuf},
    process::{Child, ChildStdin, ChildStdout, Command, ExitStatus, Stdio},
    time::Duration,
};

use anyhow::{Context, Result, bail};
use rustix::process::{Pid, Signal, kill_process};

use crate::wait::wait_until;

/// A command that dies with the thread that starts it, however that ends.
///
/// `setpriv` asks the kernel for that and then becomes the program, so that the child's process id
/// is the program's. It gets a process group of its own: Ctrl-C reaches us, and we stop it in
/// order.
#[must_use]
pub fn mortal(program: impl AsRef<OsStr>) -> Command {
    let mut command = Command::new("setpriv");
    command
        .args(["--pdeathsig", "KILL", "--"])
        .arg(program)
        .process_group(0);
    command
}

/// The same command in a network namespace (see [`network`](crate::network)). `ip` becomes the
/// program, as `setpriv` does.
#[must_use]
pub fn in_namespace(namespace: &str, command: &Command) -> Command {
    let mut inside = Command::new("ip");
    inside
        .args(["netns", "exec", namespace])
        .arg(command.get_program())
        .args(command.get_args())
        .process_group(0);
    if let Some(dir) = command.get_current_dir() {
        inside.current_dir(dir);
    }
    for (name, value) in command.get_envs() {
        match value {
            Some(value) => inside.env(name, value),
            None => inside.env_remove(name),
        };
    }
    inside
}

/// A running child process. It is killed when dropped.
#[derive(Debug)]
pub struct Process {
    name: String,
    child: Child,
    log: PathBuf,
}

impl Process {
    /// Starts a command whose whole output goes to `log`.
    ///
    /// # Errors
    /// When it cannot be started.
    pub fn spawn(name: &str, command: &mut Command, log: &Path) -> Result<Self> {
        let output = append_to(log)?;
        command
            .stdin(Stdio::null())
            .stdout(output.try_clone()?)
            .stderr(output);
        Self::start(name, command, log)
    }

    /// Starts a command that is talked to by its standard input and output; its errors go to `log`.
    ///
    /// # Errors
    /// When it cannot be started.
    pub fn spawn_piped(
        name: &str,
        command: &mut Command,
        log: &Path,
    ) -> Result<(Self, ChildStdin, ChildStdout)> {
        command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(append_to(log)?);
        let mut process = Self::start(name, command, log)?;
        let stdin = process
            .child
            .stdin
            .take()
            .context("standard input is piped")?;
        let stdout = process
            .child
            .stdout
            .take()
            .context("standard output is piped")?;
        Ok((process, stdin, stdout))
    }

    fn start(name: &str, command: &mut Command, log: &Path) -> Result<Self> {
        let child = command
            .spawn()
            .with_context(|| format!("cannot start {name}"))?;
        Ok(Self {
            name: name.to_owned(),
            child,
            log: log.to_owned(),
        })
    }

    /// The name that was given at the start.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The process id.
    #[must_use]
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// The file that the output is written to.
    #[must_use]
    pub fn log(&self) -> &Path {
        &self.log
    }

    /// How the process ended, if it has.
    ///
    /// # Errors
    /// When the process cannot be asked.
    pub fn exited(&mut self) -> Result<Option<ExitStatus>> {
        Ok(self.child.try_wait()?)
    }

    /// Waits for the end of the process.
    ///
    /// # Errors
    /// When it has not ended within the limit.
    pub fn wait(&mut self, limit: Duration) -> Result<ExitStatus> {
        let what = format!("the end of {}", self.name);
        wait_until(&what, limit, || self.exited())
    }

    /// Asks the process to end (SIGTERM) and waits until it has.
    ///
    /// # Errors
    /// When it has not ended within the limit.
    pub fn terminate(&mut self, limit: Duration) -> Result<ExitStatus> {
        self.begin_termination()?;
        self.wait(limit)
    }

    /// Asks the process to end (SIGTERM).
    ///
    /// # Errors
    /// When it cannot be asked.
    pub fn begin_termination(&mut self) -> Result<()> {
        match self.exited()? {
            Some(_) => Ok(()),
            None => self.signal(Signal::TERM),
        }
    }

    /// Asks the process to end immediately (SIGINT).
    ///
    /// # Errors
    /// When it cannot be asked.
    pub fn interrupt(&mut self) -> Result<()> {
        match self.exited()? {
            Some(_) => Ok(()),
            None => self.signal(Signal::INT),
        }
    }

    /// Kills the process (SIGKILL): it closes nothing by itself.
    ///
    /// # Errors
    /// When it cannot be waited for.
    pub fn kill(&mut self) -> Result<()> {
        self.child.kill()?;
        self.child.wait()?;
        Ok(())
    }

    /// Stops the process where it is: its connections stay open and silent.
    ///
    /// # Errors
    /// When it has ended.
    pub fn freeze(&self) -> Result<()> {
        self.signal(Signal::STOP)
    }

    /// Lets a frozen process go on.
    ///
    /// # Errors
    /// When it has ended.
    pub fn thaw(&self) -> Result<()> {
        self.signal(Signal::CONT)
    }

    fn signal(&self, signal: Signal) -> Result<()> {
        let pid = i32::try_from(self.pid()).ok().and_then(Pid::from_raw);
        let Some(pid) = pid else {
            bail!("{} has no process id", self.name)
        };
        kill_process(pid, signal).with_context(|| format!("cannot signal {}", self.name))
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.kill();
    }
}

/// The last lines of a file, for a failure's report; empty when there is no such file.
#[must_use]
pub fn tail(file: &Path, lines: usize) -> String {
    /// The start of the lines that a Java logging library writes about itself.
    const CHATTER: &str = "|-INFO in ";
    let Ok(file) = File::open(file) else {
        return String::new();
    };
    let mut last = VecDeque::with_capacity(lines);
    for line in BufReader::new(file).split(b'\n').map_while(Result::ok) {
        let line = String::from_utf8_lossy(&line);
        if line.contains(CHATTER) {
            continue;
        }
        if last.len() == lines {
            last.pop_front();
        }
        last.push_back(line.into_owned());
    }
    Vec::from(last).join("\n")
}

fn append_to(log: &Path) -> Result<File> {
    if let Some(dir) = log.parent() {
        fs::create_dir_all(dir)?;
    }
    File::options()
        .create(true)
        .append(true)
        .open(log)
        .with_context(|| format!("cannot write {}", log.display()))
}
