//! A real RocketMQ cluster: one name server and some brokers, as plain processes.

mod admin;
mod declare;
mod layout;
mod server;

use std::{
    fs,
    net::{Ipv4Addr, SocketAddr},
    path::Path,
    time::Duration,
};

use anyhow::{Context, Result, ensure};
use remoting_codec::{RemotingCommand, RequestCode};

use layout::{SLAVE_SETTINGS, figures_at};

use crate::{
    balancer::{Balancer, Direction, Which},
    java::Java,
    ports::{free_port, free_ports},
    raw::RawConnection,
    target::Target,
    wait::wait_until,
};

pub use admin::Admin;
pub use declare::{Group, MessageType};
pub use layout::{Key, Layout, QUEUES_PER_BROKER, ROOT, tools_file};
pub use server::Server;

/// Virtual machines that start together on few cores.
const START_LIMIT: Duration = Duration::from_secs(120);

/// A running cluster. Dropping it kills it; [`stop`](Self::stop) stops it in order.
#[derive(Debug)]
pub struct Cluster {
    name_server: Server,
    brokers: Vec<Server>,
    slaves: Vec<Server>,
    layout: Layout,
    target: Target,
    admin: Admin,
    /// What stands before each server; empty in a plain cluster.
    fronts: Vec<Balancer>,
    figures: Vec<SocketAddr>,
}

/// The address that the brokers of a cluster with fronts register; a front has its broker's port
/// there.
const FRONT: Ipv4Addr = Ipv4Addr::new(127, 0, 0, 2);

impl Cluster {
    /// Starts a name server and a broker with each of these names, below `dir`, and waits until all
    /// of them can be used.
    ///
    /// # Errors
    /// When one of them does not start.
    pub fn start(java: &Java, dir: &Path, broker_names: &[&str]) -> Result<Self> {
        Self::start_as(java, dir, broker_names, Layout::default())
    }

    /// The same with slaves, or with users.
    ///
    /// # Errors
    /// As for [`start`](Self::start).
    pub fn start_as(
        java: &Java,
        dir: &Path,
        broker_names: &[&str],
        layout: Layout,
    ) -> Result<Self> {
        let at = if layout.with_fronts {
            FRONT
        } else {
            Ipv4Addr::LOCALHOST
        };
        Self::start_at(java, dir, broker_names, at, layout)
    }

    /// The same with something before each server that can [break](Self::disconnect) the
    /// connections to it.
    ///
    /// # Errors
    /// As for [`start`](Self::start).
    pub fn start_with_fronts(java: &Java, dir: &Path, broker_names: &[&str]) -> Result<Self> {
        Self::start_at(java, dir, broker_names, FRONT, Layout::default())
    }

    fn start_at(
        java: &Java,
        dir: &Path,
        broker_names: &[&str],
        at: Ipv4Addr,
        layout: Layout,
    ) -> Result<Self> {
        let name_server = name_server(java, &dir.join("name-server"), layout)?;
        let address = name_server.address();
        let mut figures = Vec::new();
        let brokers = broker_names
            .iter()
            .map(|name| {
                let mut settings = layout.master_settings(name);
                if layout.tells_figures {
                    let port = free_port()?;
                    settings.push_str(&figures_at(port));
                    figures.push(SocketAddr::from((Ipv4Addr::LOCALHOST, port)));
                }
                broker(
                    java,
                    &dir.join(name),
                    name,
                    address,
                    at,
                    (layout, &settings),
                )
            })
            .collect::<Result<Vec<_>>>()?;
        let slaves = layout
            .with_slave
            .iter()
            .map(|name| {
                let home = dir.join(format!("{name}-slave"));
                broker(java, &home, name, address, at, (layout, SLAVE_SETTINGS))
            })
            .collect::<Result<Vec<_>>>()?;
        name_server.start()?;
        for broker in brokers.iter().chain(&slaves) {
            broker.start()?;
        }
        let (target, fronts) = match at {
            FRONT => fronts(&name_server, &brokers)?,
            _ => {
                let all = brokers.iter().chain(&slaves);
                let target = Target::new(address, all.map(Server::address));
                (target, Vec::new())
            }
        };
        let admin = Admin::start(java, &dir.join("admin"), &target, layout.root())?;
        let cluster = Self {
            name_server,
            brokers,
            slaves,
            layout,
            target,
            admin,
            fronts,
            figures,
        };
        cluster
            .wait_registered()
            .with_context(|| cluster.last_log_lines(20))?;
        Ok(cluster)
    }

    /// The name server.
    #[must_use]
    pub fn name_server(&self) -> &Server {
        &self.name_server
    }

    /// The brokers, in the order of their names at the start.
    #[must_use]
    pub fn brokers(&self) -> &[Server] {
        &self.brokers
    }

    /// The slaves, in the order of their masters' names at the start.
    #[must_use]
    pub fn slaves(&self) -> &[Server] {
        &self.slaves
    }

    /// Where brokers serve their metrics, if they do.
    #[must_use]
    pub fn figures(&self) -> &[SocketAddr] {
        &self.figures
    }

    /// The user that may do everything, if the cluster has users.
    #[must_use]
    pub fn root(&self) -> Option<Key> {
        self.layout.root()
    }

    /// The target of clients that are connected directly.
    #[must_use]
    pub fn target(&self) -> &Target {
        &self.target
    }

    /// Breaks every connection that clients have to a server; new ones are accepted immediately.
    /// Does nothing without fronts.
    pub fn disconnect(&self) {
        self.fronts.iter().for_each(Balancer::disconnect);
    }

    /// The same with every second connection, as when one of two servers dies.
    pub fn disconnect_half(&self) {
        self.fronts.iter().for_each(Balancer::disconnect_half);
    }

    /// Has established connections to brokers [fall silent](Balancer::silence). Answers how many;
    /// without fronts, none.
    pub fn silence(&self, direction: Direction, which: Which) -> usize {
        // The first is the name server's.
        let fronts = self.fronts.iter().skip(1);
        fronts.map(|front| front.silence(direction, which)).sum()
    }

    /// Makes a topic with this many queues on every broker and waits until the name server knows
    /// all of them.
    ///
    /// # Errors
    /// When that does not happen.
    pub fn create_topic(&self, topic: &str, queues: usize) -> Result<()> {
        self.admin
            .create_topic(topic, queues, queues * self.brokers.len())
    }

    /// Has every broker know that a group, which is registered, commits offsets of a topic. A
    /// broker that learns of that from several commits at the same moment keeps only some of them
    /// (`ConsumerOffsetManager.commitOffset` makes the group's table without a lock), whichever way
    /// they come. What is committed here is for a queue that does not exist.
    ///
    /// # Errors
    /// When a broker does not take it.
    pub fn begin_commits(&self, group: &str, topic: &str) -> Result<()> {
        let commit = RemotingCommand::request(RequestCode::UPDATE_CONSUMER_OFFSET)
            .with_field("consumerGroup", group.to_owned())
            .with_field("topic", topic.to_owned())
            .with_field("queueId", "1000")
            .with_field("commitOffset", "0");
        for broker in &self.brokers {
            let answer = RawConnection::connect(broker.address())?.call(&commit)?;
            ensure!(answer.code == 0, "{}: {answer:?}", broker.name());
        }
        Ok(())
    }

    /// The queues of a topic that the name server knows, as `broker-a:0`.
    ///
    /// # Errors
    /// When the administrator has ended.
    pub fn queues(&self, topic: &str) -> Result<Vec<String>> {
        self.admin.queues(topic)
    }

    /// Waits until the name server knows every broker that runs.
    ///
    /// # Errors
    /// When that takes too long.
    pub fn wait_registered(&self) -> Result<()> {
        /// Every broker that makes topics by itself has this one, from which they are made.
        const ON_EVERY_BROKER: &str = "TBW102";
        wait_until(
            "the brokers to register at the name server",
            START_LIMIT,
            || {
                for server in self.servers() {
                    server.check_alive()?;
                }
                let queues = self.queues(ON_EVERY_BROKER)?;
                let registered = |name: &str| {
                    queues
                        .iter()
                        .any(|queue| queue.split(':').next() == Some(name))
                };
                let mut running = self.brokers.iter().filter(|broker| broker.is_running());
                Ok(running
                    .all(|broker| registered(broker.name()))
                    .then_some(()))
            },
        )
    }

    /// The last log lines of every server, for a failure's report.
    #[must_use]
    pub fn last_log_lines(&self, lines: usize) -> String {
        self.servers()
            .map(|server| server.last_log_lines(lines))
            .collect()
    }

    /// Kills everything: an orderly stop takes a broker ten seconds and more, and its store is not
    /// read again.
    ///
    /// # Errors
    /// When a server has ended by itself before.
    pub fn stop(mut self) -> Result<()> {
        self.admin.stop()?;
        self.servers().try_for_each(Server::check_alive)?;
        let mut running = self.servers().filter(|server| server.is_running());
        running.try_for_each(Server::kill)
    }

    fn servers(&self) -> impl Iterator<Item = &Server> {
        let brokers = self.brokers.iter().chain(&self.slaves);
        [&self.name_server].into_iter().chain(brokers)
    }
}

/// The front before each server, and the target of clients that must connect through the fronts.
fn fronts(name_server: &Server, brokers: &[Server]) -> Result<(Target, Vec<Balancer>)> {
    let servers = [name_server].into_iter().chain(brokers);
    let fronts = servers.map(|server| {
        let front = Balancer::start_at(SocketAddr::from((FRONT, server.address().port())))?;
        front.serve(&[server.address()]);
        Ok(front)
    });
    let fronts: Vec<Balancer> = fronts.collect::<Result<_>>()?;
    let (first, others) = fronts.split_first().context("there is a name server")?;
    let target = Target::new(first.address(), others.iter().map(Balancer::address));
    Ok((target, fronts))
}

fn name_server(java: &Java, home: &Path, layout: Layout) -> Result<Server> {
    let port = free_port()?;
    fs::create_dir_all(home)?;
    let config = home.join("namesrv.conf");
    fs::write(
        &config,
        format!("bindAddress=127.0.0.1\nlistenPort={port}\n"),
    )?;
    let mut command = java.cluster(home);
    command
        .arg("-Xmx256m")
        .args(layout.machine_flags())
        .arg("org.apache.rocketmq.namesrv.NamesrvStartup")
        .arg("-c")
        .arg(config);
    Ok(Server::new("name-server", port, home, command))
}

fn broker(
    java: &Java,
    home: &Path,
    name: &str,
    name_server: SocketAddr,
    at: Ipv4Addr,
    (layout, settings): (Layout, &str),
) -> Result<Server> {
    // Besides its own port a broker opens the one two below (the "VIP channel") and one for
    // replicas.
    let first = free_ports(4)?;
    let port = first + 2;
    fs::create_dir_all(home)?;
    let config = home.join("broker.conf");
    fs::write(
        &config,
        format!(
            "brokerClusterName=DefaultCluster\n\
             brokerName={name}\n\
             brokerId=0\n\
             brokerIP1={at}\n\
             brokerIP2={at}\n\
             bindAddress={bind}\n\
             namesrvAddr={name_server}\n\
             listenPort={port}\n\
             haListenPort={replication_port}\n\
             storePathRootDir={store}\n\
             storePathCommitLog={store}/commitlog\n\
             {BROKER_SETTINGS}{settings}",
            // A front has the same port at another address; other processes may reach a broker from
            // any network of the machine.
            bind = if at == FRONT {
                Ipv4Addr::LOCALHOST
            } else {
                Ipv4Addr::UNSPECIFIED
            },
            replication_port = port + 1,
            store = home.join("store").display(),
        ),
    )?;
    let mut command = java.cluster(home);
    command
        .args(["-Xmx1g", "-XX:MaxDirectMemorySize=1g"])
        .args(layout.machine_flags())
        .args([
            "--add-exports=java.base/sun.nio.ch=ALL-UNNAMED",
            "--add-opens=java.base/java.nio=ALL-UNNAMED",
            "--add-opens=java.base/sun.nio.ch=ALL-UNNAMED",
        ])
        // A machine whose disk is nearly full can run tests all the same.
        .args([
            "-Drocketmq.broker.diskSpaceWarningLevelRatio=0.99",
            "-Drocketmq.broker.diskSpaceCleanForciblyRatio=0.98",
        ])
        .arg("org.apache.rocketmq.broker.BrokerStartup")
        .arg("-c")
        .arg(config);
    Ok(Server::new(name, port, home, command))
}

/// The settings in which a broker differs from its defaults.
///
/// - `autoCreateTopicEnable`, `enablePropertyFilter`, `timerWheelEnable`: what the tests use. The
///   timer is made finer than its one second, so that "not early" can be asserted.
/// - `mappedFileSize…`: small files.
/// - `registerNameServerPeriod`: a name server that returns learns of the brokers in ten seconds
///   instead of thirty.
/// - `transactionOp…`: without them a broker spins a whole core after its first END_TRANSACTION.
/// - `transactionTimeOut`, `transactionCheckInterval`: a broker asks after a transaction that has
///   no end when it is six seconds old, not only after half a minute.
/// - `traceTopicEnable`: it is off although clients can trace.
/// - `waitTimeMillsInSendQueue`, `osPageCacheBusyTimeOutMills`: on a machine that is short of cores
///   a broker would shed load that any other machine bears.
const BROKER_SETTINGS: &str = "\
autoCreateTopicEnable=true
enablePropertyFilter=true
timerWheelEnable=true
timerPrecisionMs=100
mappedFileSizeCommitLog=134217728
mappedFileSizeConsumeQueue=600000
registerNameServerPeriod=10000
transactionOpBatchInterval=86400000
transactionOpMsgMaxSize=1
transactionTimeOut=6000
transactionCheckInterval=3000
traceTopicEnable=true
waitTimeMillsInSendQueue=2000
osPageCacheBusyTimeOutMills=5000
";
