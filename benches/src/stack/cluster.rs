//! A real name server and a real broker.
//!
//! `integration_tests` starts them as well, but for tests: there the virtual machine does without
//! its optimising compiler, and its process id is hidden.

use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result, bail};
use integration_tests::java::Java;
use integration_tests::ports::{free_port, free_ports};
use integration_tests::process::{Process, tail};
use integration_tests::wait::wait_until;
use remoting_codec::SerializeType;
use remoting_codec::body::TopicRouteData;

use super::{FULL_SPEED, local};
use crate::load::Receiving;
use crate::requests::{
    PULL_MESSAGES, PULLED_BODY, PULLED_LEAST, commit, create_group, create_topic, pull, route, send,
};
use crate::shape::QUEUES;
use crate::wire::{Client, ask};

/// The broker's name.
pub const BROKER: &str = "broker-a";

const START_LIMIT: Duration = Duration::from_secs(120);

/// A broker stops after it has written its store.
const STOP_LIMIT: Duration = Duration::from_secs(60);

/// What is set besides addresses. No consumer of a trace, no timers, no transactions: what would
/// run beside the load. `waitTimeMillsInSendQueue` and `osPageCacheBusyTimeOutMills` have a broker
/// bear load on a machine that is short of cores, where it would shed it. The last three are about
/// what is pulled, which all that is sent comes after: however old it is, a pull gets as many
/// messages of it, and it is kept. (Of what lies more than 40 % of the machine's memory behind the
/// end of the log, a pull would get 8 messages: `DefaultMessageStore.isTheBatchFull`.)
const BROKER_SETTINGS: &str = "\
brokerClusterName=DefaultCluster
brokerId=0
brokerIP1=127.0.0.1
autoCreateTopicEnable=true
mappedFileSizeCommitLog=134217728
mappedFileSizeConsumeQueue=600000
registerNameServerPeriod=10000
transactionOpBatchInterval=86400000
transactionOpMsgMaxSize=1
waitTimeMillsInSendQueue=5000
osPageCacheBusyTimeOutMills=10000
maxTransferCountOnMessageInDisk=32
maxTransferBytesOnMessageInDisk=262144
diskMaxUsedSpaceRatio=95
";

/// A running cluster; it is killed when dropped.
#[derive(Debug)]
pub struct Cluster {
    name_server: SocketAddr,
    broker: SocketAddr,
    processes: Vec<Process>,
    home: PathBuf,
}

impl Cluster {
    /// Starts a name server and a broker below `dir` and waits until the broker can be found.
    ///
    /// # Errors
    /// When one of them does not start.
    pub fn start(java: &Java, dir: &Path) -> Result<Self> {
        let home = dir.join("name-server");
        fs::create_dir_all(&home)?;
        let name_server = local(free_port()?);
        let config = home.join("namesrv.conf");
        fs::write(&config, format!("listenPort={}\n", name_server.port()))?;
        let mut command = java.cluster(&home);
        command
            .args([
                "-Xmx256m",
                "org.apache.rocketmq.namesrv.NamesrvStartup",
                "-c",
            ])
            .arg(config);
        let first = Process::spawn("name-server", &mut command, &home.join("output.log"))?;

        // Besides its own port a broker opens the one two below and one for replicas.
        let ports = free_ports(4)?;
        let home = dir.join("broker");
        fs::create_dir_all(&home)?;
        let config = home.join("broker.conf");
        let settings = format!(
            "{BROKER_SETTINGS}brokerName={BROKER}\nnamesrvAddr={name_server}\nlistenPort={}\nhaListenPort={}\n\
             storePathRootDir={store}\nstorePathCommitLog={store}/commitlog\n",
            ports + 2,
            ports + 3,
            store = home.join("store").display(),
        );
        fs::write(&config, settings)?;
        let mut command = java.cluster(&home);
        command
            .args(["-Xms1g", "-Xmx1g", "-XX:MaxDirectMemorySize=1g"])
            .args(FULL_SPEED)
            // A machine whose disk is nearly full can measure all the same.
            .args([
                "-Drocketmq.broker.diskSpaceWarningLevelRatio=0.99",
                "-Drocketmq.broker.diskSpaceCleanForciblyRatio=0.98",
            ])
            .args(["org.apache.rocketmq.broker.BrokerStartup", "-c"])
            .arg(config);
        let second = Process::spawn("broker", &mut command, &home.join("output.log"))?;
        let mut cluster = Self {
            name_server,
            broker: local(ports + 2),
            processes: vec![first, second],
            home,
        };
        cluster.wait_for_route("TBW102")?;
        Ok(cluster)
    }

    /// Where the name server is.
    #[must_use]
    pub fn name_server(&self) -> SocketAddr {
        self.name_server
    }

    /// Where the broker is.
    #[must_use]
    pub fn broker(&self) -> SocketAddr {
        self.broker
    }

    /// The broker's process.
    #[must_use]
    pub fn broker_pid(&self) -> u32 {
        self.processes.last().map_or(0, Process::pid)
    }

    /// Makes a topic and waits until it can be found.
    ///
    /// # Errors
    /// When that takes too long.
    pub fn create_topic(&mut self, topic: &str, queues: i32) -> Result<()> {
        ask(self.broker, &create_topic(topic, queues))?;
        self.wait_for_route(topic)
    }

    /// Puts what one pull answers with, and some more, into every queue of a topic, and waits until
    /// it can be pulled. Answers how long a pull's body is.
    ///
    /// # Errors
    /// When that takes too long.
    pub fn fill(&self, topic: &str, queues: i32) -> Result<usize> {
        let mut client = Client::connect(self.broker)?;
        for queue in 0..queues {
            for _ in 0..2 * PULL_MESSAGES {
                let message = send(BROKER, topic, queue, PULLED_BODY, SerializeType::Json);
                client.succeed(&message)?;
            }
        }
        let mut least = usize::MAX;
        for queue in 0..queues {
            let pull = pull(BROKER, topic, queue, "fill", SerializeType::Json);
            let pulled = wait_until("messages to pull", START_LIMIT, || {
                let answer = client.call(&pull)?;
                let whole = answer.code == 0 && answer.body.len() >= PULLED_LEAST;
                Ok(whole.then_some(answer.body.len()))
            })?;
            least = least.min(pulled);
        }
        Ok(least)
    }

    /// Stores messages with bodies of that size.
    ///
    /// # Errors
    /// When the broker refuses one.
    pub fn store(&self, topic: &str, count: usize, body: usize) -> Result<()> {
        let mut client = Client::connect(self.broker)?;
        for (nth, queue) in (0..count).zip((0..QUEUES).cycle()) {
            let message = send(BROKER, topic, queue, body, SerializeType::Json);
            client
                .succeed(&message)
                .with_context(|| format!("message {nth}"))?;
        }
        Ok(())
    }

    fn wait_for_route(&mut self, topic: &str) -> Result<()> {
        let name_server = self.name_server;
        let what = format!("the route of {topic}");
        let (home, processes) = (&self.home, &mut self.processes);
        wait_until(&what, START_LIMIT, || {
            for process in processes.iter_mut() {
                if let Some(status) = process.exited()? {
                    bail!(
                        "{} ended: {status}\n{}",
                        process.name(),
                        tail(process.log(), 20)
                    );
                }
            }
            // The name server may not even listen yet.
            let Ok(answer) = ask(name_server, &route(topic)) else {
                return Ok(None);
            };
            let route = TopicRouteData::decode(&answer.body)?;
            Ok((!route.broker_datas.is_empty()).then_some(()))
        })
        .map_err(|error| error.context(tail(&home.join("output.log"), 20)))
    }

    /// Stops both in order.
    ///
    /// # Errors
    /// When one does not stop.
    pub fn stop(mut self) -> Result<()> {
        for process in self.processes.iter_mut().rev() {
            process.terminate(STOP_LIMIT)?;
        }
        Ok(())
    }
}

/// Waits until a message can be sent there; the Java proxy refuses them until it has looked at the
/// topic.
///
/// # Errors
/// When that takes too long.
pub fn wait_until_served(address: SocketAddr, topic: &str) -> Result<()> {
    let message = send(BROKER, topic, -1, 16, SerializeType::Json);
    wait_until("the first message through a proxy", START_LIMIT, || {
        let sent = Client::connect(address).and_then(|mut client| client.succeed(&message));
        Ok(sent.is_ok().then_some(()))
    })
}

/// Makes groups that receive a topic from its first message on.
///
/// # Errors
/// When the broker refuses.
pub fn create_groups(broker: SocketAddr, receiving: &Receiving) -> Result<()> {
    let mut client = Client::connect(broker)?;
    for group in &receiving.groups {
        client.succeed(&create_group(group))?;
        for queue in 0..QUEUES {
            client.succeed(&commit(group, &receiving.topic, queue, 0))?;
        }
    }
    Ok(())
}
