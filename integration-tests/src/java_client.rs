//! A RocketMQ client in a Java process, which takes commands and reports events; see
//! `clients/java`.

mod event;

use std::{
    collections::BTreeSet,
    fmt::Write as _,
    io::{BufRead, BufReader, Write},
    path::Path,
    process::{ChildStdin, ChildStdout, Command},
    sync::Arc,
    thread,
    time::Duration,
};

use anyhow::{Context, Result, bail, ensure};
use parking_lot::{Condvar, Mutex};
use serde_json::Value;

use crate::{
    connections::ConnectionWatch,
    process::{Process, tail},
    target::Target,
    wait::Deadline,
};

pub use event::{Assignment, Checked, Event, Received, SendFailed, Sent};

/// A virtual machine on a busy machine takes its time.
const START_LIMIT: Duration = Duration::from_secs(60);
/// Longer than any single client call with its own retries.
const COMMAND_LIMIT: Duration = Duration::from_secs(60);
const STOP_LIMIT: Duration = Duration::from_secs(40);

/// Everything that was reported so far, shared with the thread that reads it.
#[derive(Debug, Default)]
struct Journal {
    events: Mutex<Vec<Event>>,
    changed: Condvar,
}

/// A running client. Its connections are watched from start to end.
#[derive(Debug)]
pub struct JavaClient {
    process: Process,
    stdin: ChildStdin,
    commands: u64,
    journal: Arc<Journal>,
    /// `None` once the client has ended and its connections were judged.
    watch: Option<ConnectionWatch>,
    /// Its connections end as soon as they are made.
    is_brief: bool,
}

impl JavaClient {
    /// Starts the process without waiting for it.
    ///
    /// # Errors
    /// When it cannot be started.
    pub fn spawn(name: &str, command: &mut Command, log: &Path, target: &Target) -> Result<Self> {
        let (process, stdin, stdout) = Process::spawn_piped(name, command, log)?;
        let watch = Some(ConnectionWatch::start(name, process.pid(), target));
        let journal = Arc::new(Journal::default());
        thread::spawn({
            let journal = Arc::clone(&journal);
            move || read_events(stdout, &journal)
        });
        Ok(Self {
            process,
            stdin,
            commands: 0,
            journal,
            watch,
            is_brief: false,
        })
    }

    /// The process itself.
    #[must_use]
    pub fn process(&self) -> &Process {
        &self.process
    }

    /// Its connections may end between two looks: none of them need be seen.
    pub fn expect_brief(&mut self) {
        self.is_brief = true;
    }

    /// Waits until the client has started.
    ///
    /// # Errors
    /// When it could not start.
    pub fn wait_ready(&mut self) -> Result<()> {
        self.wait_for("the client's start", START_LIMIT, |events| {
            events.iter().find_map(|event| match event {
                Event::Ready => Some(Ok(())),
                Event::StartFailed { error } => {
                    Some(Err(anyhow::anyhow!("the client did not start: {error}")))
                }
                _ => None,
            })
        })?
    }

    /// How long after its first heartbeat a push consumer, started with the option `first-pull`,
    /// has pulled for the first time.
    ///
    /// # Errors
    /// When it does not pull.
    pub fn first_pull(&mut self) -> Result<Duration> {
        self.wait_for("the first pull", START_LIMIT, |events| {
            events.iter().find_map(|event| match event {
                Event::FirstPull { micros } => Some(Duration::from_micros(*micros)),
                _ => None,
            })
        })
    }

    /// Gives a command without waiting for its end, and returns its number.
    ///
    /// # Errors
    /// When the process has ended.
    pub fn begin(&mut self, verb: &str, options: &[(&str, &str)]) -> Result<u64> {
        let mut line = verb.to_owned();
        for (key, value) in options {
            write!(line, "\t{key}={value}")?;
        }
        line.push('\n');
        self.stdin
            .write_all(line.as_bytes())
            .with_context(|| format!("{} has ended", self.process.name()))?;
        self.commands += 1;
        Ok(self.commands)
    }

    /// Waits for the end of a command and returns its result.
    ///
    /// # Errors
    /// When the command failed or takes too long.
    pub fn end(&mut self, number: u64) -> Result<Value> {
        self.wait_for("the end of a command", COMMAND_LIMIT, |events| {
            events.iter().rev().find_map(|event| match event {
                Event::Done { command, result } if *command == number => Some(Ok(result.clone())),
                Event::Failed { command, error } if *command == number => {
                    Some(Err(anyhow::anyhow!("{error}")))
                }
                _ => None,
            })
        })?
    }

    /// Gives a command and waits for its end.
    ///
    /// # Errors
    /// When the command failed or takes too long.
    pub fn run(&mut self, verb: &str, options: &[(&str, &str)]) -> Result<Value> {
        let number = self.begin(verb, options)?;
        self.end(number)
            .with_context(|| format!("{}: command {verb} {options:?}", self.process.name()))
    }

    /// Sends `count` messages with the bodies `name-0`, `name-1`, … and returns the bodies, in
    /// order.
    ///
    /// # Errors
    /// When not every one of them was sent.
    pub fn send(
        &mut self,
        topic: &str,
        name: &str,
        count: usize,
        options: &[(&str, &str)],
    ) -> Result<Vec<String>> {
        let count_text = count.to_string();
        let mut all = vec![("topic", topic), ("name", name), ("count", &count_text)];
        all.extend(options);
        self.run("send", &all)?;
        let bodies: Vec<String> = (0..count).map(|i| format!("{name}-{i}")).collect();
        let failures = self.send_failures();
        ensure!(
            failures.is_empty(),
            "{}: sends failed: {failures:?}",
            self.process.name()
        );
        let sent: BTreeSet<String> = self.sent().into_iter().map(|sent| sent.body).collect();
        let missing: Vec<_> = bodies.iter().filter(|body| !sent.contains(*body)).collect();
        ensure!(
            missing.is_empty(),
            "{}: no result for the sends of {missing:?}",
            self.process.name()
        );
        Ok(bodies)
    }

    /// Everything that was reported so far.
    #[must_use]
    pub fn events(&self) -> Vec<Event> {
        self.journal.events.lock().clone()
    }

    /// The messages that arrived so far.
    #[must_use]
    pub fn received(&self) -> Vec<Received> {
        select(&self.events(), |event| match event {
            Event::Received(received) => Some(received.clone()),
            _ => None,
        })
    }

    /// The messages that were sent so far.
    #[must_use]
    pub fn sent(&self) -> Vec<Sent> {
        select(&self.events(), |event| match event {
            Event::Sent(sent) => Some(sent.clone()),
            _ => None,
        })
    }

    /// The sends that failed so far.
    #[must_use]
    pub fn send_failures(&self) -> Vec<SendFailed> {
        select(&self.events(), |event| match event {
            Event::SendFailed(failed) => Some(failed.clone()),
            _ => None,
        })
    }

    /// The transactions that brokers have asked about so far.
    #[must_use]
    pub fn checked(&self) -> Vec<Checked> {
        select(&self.events(), |event| match event {
            Event::Checked(checked) => Some(checked.clone()),
            _ => None,
        })
    }

    /// The queues that are held now.
    #[must_use]
    pub fn assignment(&self) -> Vec<String> {
        let events = self.journal.events.lock();
        let last = events.iter().rev().find_map(|event| match event {
            Event::Assignment(assignment) => Some(assignment.queues.clone()),
            _ => None,
        });
        last.unwrap_or_default()
    }

    /// Waits until `probe` finds something in what was reported.
    ///
    /// # Errors
    /// When the limit has passed, or the process has ended.
    pub fn wait_for<T>(
        &mut self,
        what: &str,
        limit: Duration,
        mut probe: impl FnMut(&[Event]) -> Option<T>,
    ) -> Result<T> {
        let deadline = Deadline::after(limit);
        loop {
            // Asked before the events are read: what a process that has ended reported is all
            // there.
            let exited = self.process.exited()?;
            let mut events = self.journal.events.lock();
            if let Some(found) = probe(&events) {
                return Ok(found);
            }
            let Some(left) = deadline.remaining() else {
                drop(events);
                bail!(
                    "{}: waited {limit:?} in vain for {what}{}",
                    self.process.name(),
                    self.last_words()
                );
            };
            if exited.is_none() {
                self.journal
                    .changed
                    .wait_for(&mut events, left.min(Duration::from_millis(100)));
                continue;
            }
            drop(events);
            bail!(
                "{} ended before {what}{}",
                self.process.name(),
                self.last_words()
            );
        }
    }

    /// Shuts the client down in the orderly way.
    ///
    /// # Errors
    /// When it does not, or ends with an error, or had a connection that leads past its target.
    pub fn stop(&mut self) -> Result<()> {
        self.begin_stop()?;
        self.end_stop()
    }

    /// Asks the client to shut down.
    ///
    /// # Errors
    /// When the process has ended.
    pub fn begin_stop(&mut self) -> Result<()> {
        if let Some(watch) = self.watch.as_ref().filter(|_| !self.is_brief) {
            watch.wait_seen();
        }
        self.stdin
            .write_all(b"stop\n")
            .with_context(|| format!("{} has ended", self.process.name()))
    }

    /// Waits until the client has shut down.
    ///
    /// # Errors
    /// As for [`stop`](Self::stop).
    pub fn end_stop(&mut self) -> Result<()> {
        let status = self.process.wait(STOP_LIMIT)?;
        ensure!(
            status.success(),
            "{} ended with {status}{}",
            self.process.name(),
            self.last_words()
        );
        self.judge_connections()
    }

    /// Kills the process.
    ///
    /// # Errors
    /// When it had a connection that leads past its target.
    pub fn kill(&mut self) -> Result<()> {
        if let Some(watch) = self.watch.as_ref().filter(|_| !self.is_brief) {
            watch.wait_seen();
        }
        self.process.kill()?;
        self.judge_connections()
    }

    fn judge_connections(&mut self) -> Result<()> {
        match self.watch.take() {
            None => Ok(()),
            Some(watch) if self.is_brief => watch.finish_brief(),
            Some(watch) => watch.finish(),
        }
    }

    fn last_words(&self) -> String {
        let words = tail(self.process.log(), 20);
        if words.is_empty() {
            words
        } else {
            format!("; its last words:\n{words}")
        }
    }
}

/// Reads events until the process ends. Other lines, such as those of a logging library, mean
/// nothing.
fn read_events(stdout: ChildStdout, journal: &Journal) {
    for line in BufReader::new(stdout).lines().map_while(Result::ok) {
        if let Ok(event) = serde_json::from_str(&line) {
            journal.events.lock().push(event);
            journal.changed.notify_all();
        }
    }
}

fn select<T>(events: &[Event], choose: impl Fn(&Event) -> Option<T>) -> Vec<T> {
    events.iter().filter_map(choose).collect()
}
