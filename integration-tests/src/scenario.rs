//! What a test works with: the environment that all tests of a suite share, and its own clients in
//! it.

use std::{
    fmt::Display,
    fs,
    path::PathBuf,
    sync::atomic::{AtomicUsize, Ordering},
};

use anyhow::{Result, ensure};
use parking_lot::Mutex;

use crate::{
    java::{Java, NEWEST_CLIENT},
    java_client::JavaClient,
    mqadmin::mqadmin,
    program::Program,
    proxy_process::Remora,
    rocketmq::{Cluster, Key, QUEUES_PER_BROKER, tools_file},
    target::Target,
    workspace::Scratch,
};

/// Everything that runs while a suite does.
#[derive(Debug)]
pub struct Environment {
    /// The Java side.
    pub java: Java,
    /// Where files go.
    pub scratch: Scratch,
    /// The real thing.
    pub cluster: Cluster,
    /// The proxy's binary and the proxy itself; `None` when clients must connect directly.
    pub remora: Option<(PathBuf, Remora)>,
}

/// One test, while it runs.
#[derive(Debug)]
pub struct Scenario<'a> {
    name: String,
    environment: &'a Environment,
    client: &'a str,
    /// `None` for the Java client of that version.
    program: Option<&'a dyn Program>,
    target: &'a Target,
    tools: AtomicUsize,
    started: AtomicUsize,
    finished: AtomicUsize,
}

impl<'a> Scenario<'a> {
    /// The scenario of the test with this name.
    #[must_use]
    pub fn new(name: &str, environment: &'a Environment) -> Self {
        let target = match &environment.remora {
            Some((_, remora)) => remora.target(),
            None => environment.cluster.target(),
        };
        Self::with_client(name, environment, NEWEST_CLIENT, target)
    }

    /// The same with clients of another version and another target.
    #[must_use]
    pub fn with_client(
        name: &str,
        environment: &'a Environment,
        client: &'a str,
        target: &'a Target,
    ) -> Self {
        Self {
            name: name.to_owned(),
            environment,
            client,
            program: None,
            target,
            tools: AtomicUsize::new(0),
            started: AtomicUsize::new(0),
            finished: AtomicUsize::new(0),
        }
    }

    /// The same with clients that are not the Java one.
    #[must_use]
    pub fn with_program(
        name: &str,
        environment: &'a Environment,
        program: &'a dyn Program,
        target: &'a Target,
    ) -> Self {
        Self {
            program: Some(program),
            ..Self::with_client(name, environment, NEWEST_CLIENT, target)
        }
    }

    /// The cluster.
    #[must_use]
    pub fn cluster(&self) -> &'a Cluster {
        &self.environment.cluster
    }

    /// The Java side.
    #[must_use]
    pub fn java(&self) -> &'a Java {
        &self.environment.java
    }

    /// The version of the Java client.
    #[must_use]
    pub fn client_version(&self) -> &'a str {
        self.client
    }

    /// The proxy's binary; `None` when clients must connect directly.
    #[must_use]
    pub fn remora_binary(&self) -> Option<&'a PathBuf> {
        self.environment
            .remora
            .as_ref()
            .filter(|_| self.target.name_server != self.cluster().target().name_server)
            .map(|(binary, _)| binary)
    }

    /// The target that clients connect to unless a test names another.
    #[must_use]
    pub fn target(&self) -> &'a Target {
        self.target
    }

    /// A name that no other test uses, for a topic or a group.
    #[must_use]
    pub fn name(&self, suffix: &str) -> String {
        format!("{}-{suffix}", self.name)
    }

    /// A folder for this test.
    ///
    /// # Errors
    /// When it cannot be made.
    pub fn dir(&self, name: &str) -> Result<PathBuf> {
        let dir = self.environment.scratch.path().join(&self.name).join(name);
        fs::create_dir_all(&dir)?;
        Ok(dir)
    }

    /// Makes a topic with [`QUEUES_PER_BROKER`] queues on each broker.
    ///
    /// # Errors
    /// When it cannot be made.
    pub fn topic(&self) -> Result<String> {
        let topic = self.name("topic");
        self.cluster().create_topic(&topic, QUEUES_PER_BROKER)?;
        Ok(topic)
    }

    /// A producer, not yet started.
    #[must_use]
    pub fn producer(&self) -> ClientBuilder<'_> {
        self.client("producer")
            .option("group", self.name("producers"))
    }

    /// A push consumer of the test's group, not yet started. It starts at the first offset.
    #[must_use]
    pub fn push_consumer(&self, topic: &str) -> ClientBuilder<'_> {
        self.client("push-consumer")
            .option("group", self.name("consumers"))
            .option("topic", topic)
    }

    /// A lite pull consumer of the test's group, not yet started.
    #[must_use]
    pub fn lite_pull_consumer(&self, topic: &str) -> ClientBuilder<'_> {
        self.client("lite-pull-consumer")
            .option("group", self.name("pullers"))
            .option("topic", topic)
    }

    /// A producer of transactions, not yet started, with its verdict for brokers that ask.
    #[must_use]
    pub fn transaction_producer(&self, at_check: &str) -> ClientBuilder<'_> {
        self.producer().option("check", at_check)
    }

    /// A sender of requests, not yet started.
    #[must_use]
    pub fn requester(&self) -> ClientBuilder<'_> {
        self.client("requester")
            .option("group", self.name("requesters"))
    }

    /// The client that answers the requests of a topic, not yet started.
    #[must_use]
    pub fn replier(&self, topic: &str) -> ClientBuilder<'_> {
        self.client("replier")
            .option("group", self.name("repliers"))
            .option("topic", topic)
    }

    /// A client of the test's group that pops a topic when it is ordered to, not yet started.
    #[must_use]
    pub fn popper(&self, topic: &str) -> ClientBuilder<'_> {
        self.client("popper")
            .option("group", self.name("poppers"))
            .option("topic", topic)
    }

    /// A client for an administrator's questions, not yet started.
    #[must_use]
    pub fn admin(&self) -> ClientBuilder<'_> {
        self.client("admin")
    }

    /// Runs `mqadmin`, the cluster's own tool, against a target and returns what it printed.
    ///
    /// # Errors
    /// When it fails.
    pub fn mqadmin(&self, target: &Target, arguments: &[&str]) -> Result<String> {
        let number = self.tools.fetch_add(1, Ordering::Relaxed);
        let home = self.dir(&format!("mqadmin-{number}"))?;
        if let Some(root) = self.cluster().root() {
            tools_file(&home, root)?;
        }
        mqadmin(self.java(), &home, target, arguments)
    }

    /// A client in this role, not yet started.
    #[must_use]
    pub fn client(&self, role: &'static str) -> ClientBuilder<'_> {
        ClientBuilder {
            scenario: self,
            role,
            version: self.client,
            program: self.program,
            target: self.target().clone(),
            options: Vec::new(),
            flags: Vec::new(),
        }
    }

    /// Stops clients in the orderly way, at the same time.
    ///
    /// # Errors
    /// When one of them does not stop as it should.
    pub fn stop(&self, clients: impl IntoIterator<Item = JavaClient>) -> Result<()> {
        let mut clients: Vec<JavaClient> = clients.into_iter().collect();
        for client in &mut clients {
            client.begin_stop()?;
        }
        for client in &mut clients {
            client.end_stop()?;
            self.finished.fetch_add(1, Ordering::Relaxed);
        }
        Ok(())
    }

    /// Kills a client.
    ///
    /// # Errors
    /// When it had a connection that leads past its target.
    pub fn kill(&self, mut client: JavaClient) -> Result<()> {
        self.finished.fetch_add(1, Ordering::Relaxed);
        client.kill()
    }

    /// Ends the test: connections of a client are only checked when it is stopped.
    ///
    /// # Errors
    /// When there is such a client.
    pub fn finish(self) -> Result<()> {
        let (started, finished) = (self.started.into_inner(), self.finished.into_inner());
        ensure!(
            started == finished,
            "the test started {started} clients and stopped only {finished}"
        );
        Ok(())
    }
}

/// A client that is not started yet.
#[derive(Clone)]
pub struct ClientBuilder<'a> {
    scenario: &'a Scenario<'a>,
    role: &'static str,
    version: &'a str,
    /// `None` for the Java client.
    program: Option<&'a dyn Program>,
    target: Target,
    options: Vec<String>,
    flags: Vec<String>,
}

impl<'a> ClientBuilder<'a> {
    /// Sets an option of the role; the last one of a name wins.
    #[must_use]
    pub fn option(mut self, name: &str, value: impl Display) -> Self {
        self.options.push(format!("{name}={value}"));
        self
    }

    /// Has the client sign everything with a key.
    #[must_use]
    pub fn key(mut self, key: Key) -> Self {
        self.options.extend(key.options());
        self
    }

    /// Adds a flag of the virtual machine.
    #[must_use]
    pub fn flag(mut self, flag: &str) -> Self {
        self.flags.push(flag.to_owned());
        self
    }

    /// Takes a version of the Java client other than the test's; the suite must have it
    /// (`java_versions`).
    #[must_use]
    pub fn version(mut self, version: &'a str) -> Self {
        self.version = version;
        self
    }

    /// Takes another client than the test's.
    #[must_use]
    pub fn program(mut self, program: &'a dyn Program) -> Self {
        self.program = Some(program);
        self
    }

    /// Takes the Java client of the test's version, connected to the cluster itself.
    #[must_use]
    pub fn classic(mut self) -> Self {
        self.program = None;
        self.target = self.scenario.cluster().target().clone();
        self
    }

    /// Points the client at something else than the test's usual target.
    #[must_use]
    pub fn target(mut self, target: &Target) -> Self {
        self.target = target.clone();
        self
    }

    /// Starts the client and waits until it has started.
    ///
    /// # Errors
    /// When it does not start.
    pub fn start(self) -> Result<JavaClient> {
        /// Virtual machines start one at a time. A client's time-outs are fixed: where several
        /// start together on few cores, a request may wait longer than that and be repeated, or
        /// missed until the next poll.
        static STARTING: Mutex<()> = Mutex::new(());
        let number = self.scenario.started.fetch_add(1, Ordering::Relaxed);
        let name = format!("{}-{number}", self.role);
        let home = self.scenario.dir(&name)?;
        let mut address = "name-server";
        let mut command = match self.program {
            Some(program) => {
                address = program.address_option();
                program.command(&home)
            }
            None => {
                let mut java = self.scenario.java().client_of(self.version, &home);
                java.arg("-Xmx128m")
                    .args(&self.flags)
                    .arg("remora.client.Main");
                java
            }
        };
        command
            .arg(self.role)
            .arg(format!("{address}={}", self.target.name_server))
            .args(&self.options);
        let mut command = self.target.place(command);
        let _starting = STARTING.lock();
        let mut client =
            JavaClient::spawn(&name, &mut command, &home.join("output.log"), &self.target)?;
        client.wait_ready()?;
        Ok(client)
    }
}
