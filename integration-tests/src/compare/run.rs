//! What a feature works with on one of the ways: the cluster, its own clients, and the facts that
//! it has found.

use std::{
    fmt::Display,
    path::{Path, PathBuf},
    sync::atomic::{AtomicUsize, Ordering},
};

use anyhow::{Context, Result, ensure};
use parking_lot::Mutex;

use super::folder;
use crate::{
    java_client::JavaClient,
    program::Program,
    rocketmq::{Cluster, QUEUES_PER_BROKER},
    ways::Way,
};

/// One feature on one way, while it runs.
pub struct Run<'a> {
    feature: &'static str,
    way: &'a Way,
    cluster: &'a Cluster,
    program: &'a dyn Program,
    dir: PathBuf,
    facts: Mutex<Vec<String>>,
    started: AtomicUsize,
    finished: AtomicUsize,
}

impl<'a> Run<'a> {
    pub(super) fn new(
        feature: &'static str,
        way: &'a Way,
        cluster: &'a Cluster,
        program: &'a dyn Program,
        dir: &Path,
    ) -> Self {
        Self {
            feature,
            way,
            cluster,
            program,
            dir: dir.to_owned(),
            facts: Mutex::default(),
            started: AtomicUsize::new(0),
            finished: AtomicUsize::new(0),
        }
    }

    /// The cluster.
    #[must_use]
    pub fn cluster(&self) -> &'a Cluster {
        self.cluster
    }

    /// A name that nothing else uses, for a topic or a group.
    #[must_use]
    pub fn name(&self, suffix: &str) -> String {
        format!("{}{suffix}", self.prefix())
    }

    fn prefix(&self) -> String {
        format!("{}-{}-", self.feature, self.way.name)
    }

    /// A folder of its own.
    ///
    /// # Errors
    /// When it cannot be made.
    pub fn dir(&self, name: &str) -> Result<PathBuf> {
        folder(&self.dir, name)
    }

    /// Makes a topic with [`QUEUES_PER_BROKER`] queues on each broker.
    ///
    /// # Errors
    /// When it cannot be made.
    pub fn topic(&self) -> Result<String> {
        let topic = self.name("topic");
        self.cluster.create_topic(&topic, QUEUES_PER_BROKER)?;
        Ok(topic)
    }

    /// Keeps something to compare with the other way.
    pub fn fact(&self, fact: impl Into<String>) {
        self.facts.lock().push(fact.into());
    }

    /// A producer, not yet started.
    #[must_use]
    pub fn producer(&self) -> ClientBuilder<'_> {
        self.client("producer")
            .option("group", self.name("producers"))
    }

    /// A push consumer of the feature's group, not yet started. It starts at the first offset.
    #[must_use]
    pub fn push_consumer(&self, topic: &str) -> ClientBuilder<'_> {
        self.client("push-consumer")
            .option("group", self.name("consumers"))
            .option("topic", topic)
    }

    /// A client in this role, not yet started.
    #[must_use]
    pub fn client(&self, role: &'static str) -> ClientBuilder<'_> {
        ClientBuilder {
            run: self,
            role,
            options: Vec::new(),
        }
    }

    /// Asks clients for their facts and stops them in the orderly way, at the same time.
    ///
    /// # Errors
    /// When one of them does not stop as it should, or has connected to anything but its target.
    pub fn stop(&self, clients: impl IntoIterator<Item = JavaClient>) -> Result<()> {
        self.stop_all(clients, true)
    }

    /// Like [`stop`](Self::stop), for clients each of which may have other facts when it runs
    /// again, such as members that share queues; asks nothing.
    ///
    /// # Errors
    /// As for [`stop`](Self::stop).
    pub fn stop_unasked(&self, clients: impl IntoIterator<Item = JavaClient>) -> Result<()> {
        self.stop_all(clients, false)
    }

    fn stop_all(&self, clients: impl IntoIterator<Item = JavaClient>, ask: bool) -> Result<()> {
        let mut clients: Vec<JavaClient> = clients.into_iter().collect();
        for client in &mut clients {
            if ask {
                let facts: Vec<String> = serde_json::from_value(client.run("facts", &[])?)?;
                // Names differ by way.
                let facts = facts.iter().map(|fact| fact.replace(&self.prefix(), ""));
                self.facts.lock().extend(facts);
            }
            client.begin_stop()?;
        }
        for client in &mut clients {
            client.end_stop()?;
            self.finished.fetch_add(1, Ordering::Relaxed);
        }
        Ok(())
    }

    /// Ends the run and returns its facts: connections of a client are only checked when it is
    /// stopped.
    pub(super) fn finish(self) -> Result<Vec<String>> {
        let (started, finished) = (self.started.into_inner(), self.finished.into_inner());
        ensure!(
            started == finished,
            "the test started {started} clients and stopped only {finished}"
        );
        Ok(self.facts.into_inner())
    }
}

/// A client that is not started yet.
#[derive(Clone)]
pub struct ClientBuilder<'a> {
    run: &'a Run<'a>,
    role: &'static str,
    options: Vec<String>,
}

impl ClientBuilder<'_> {
    /// Sets an option of the role; the last one of a name wins.
    #[must_use]
    pub fn option(mut self, name: &str, value: impl Display) -> Self {
        self.options.push(format!("{name}={value}"));
        self
    }

    /// Starts the client and waits until it has started.
    ///
    /// # Errors
    /// When it does not start.
    pub fn start(self) -> Result<JavaClient> {
        let run = self.run;
        let number = run.started.fetch_add(1, Ordering::Relaxed);
        let name = format!("{}-{number}", self.role);
        let home = folder(&run.dir, &name)?;
        let target = &run.way.target;
        let mut command = run.program.command(&home);
        command
            .arg(self.role)
            .arg(format!("name-server={}", target.name_server))
            .args(&self.options);
        let mut command = target.place(command);
        let mut client = JavaClient::spawn(&name, &mut command, &home.join("output.log"), target)?;
        client
            .wait_ready()
            .with_context(|| format!("{} did not start", self.role))?;
        Ok(client)
    }
}
