//! `make run`: a real cluster and Remora in front of it, shown to work with one message, until
//! Ctrl-C.

#![allow(
    clippy::print_stderr,
    clippy::print_stdout,
    reason = "it writes to the terminal in which `make run` was typed"
)]

use std::{
    env,
    net::{SocketAddr, TcpListener},
    path::Path,
    process::ExitCode,
};

use anyhow::{Context, Result, bail};
use integration_tests::{
    delivery::wait_exactly_once,
    java::Java,
    ports::lone_port,
    proxy_process::{Remora, remora_binary},
    rocketmq::{Cluster, Layout},
    scenario::{Environment, Scenario},
    workspace::{Scratch, target_dir},
};
use tokio::signal::unix::{SignalKind, signal};

/// The only broker.
const BROKER: &str = "broker-a";

/// How often the first message is tried: a machine that has just started a cluster may be too busy
/// for the client's patience.
const GREETINGS: usize = 3;

fn main() -> ExitCode {
    let prepare = || Ok((listen_address()?, Scratch::create("run")?));
    let (listen, scratch) = match prepare() {
        Ok(prepared) => prepared,
        Err::<_, anyhow::Error>(error) => {
            eprintln!("error: {error:#}");
            return ExitCode::FAILURE;
        }
    };
    let logs = Logs::of(scratch.path());
    match run(listen, scratch, &logs) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}\n\n{logs}");
            ExitCode::FAILURE
        }
    }
}

/// Where the processes log.
struct Logs(String);

impl Logs {
    fn of(scratch: &Path) -> Self {
        Self(format!(
            "Logs, until the next `make run`, are below {}:\n\
             \x20 remora/remora.log\n\
             \x20 broker-a/logs/rocketmqlogs/broker.log\n\
             \x20 name-server/logs/rocketmqlogs/namesrv.log",
            scratch.display()
        ))
    }
}

impl std::fmt::Display for Logs {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

fn run(listen: SocketAddr, scratch: Scratch, logs: &Logs) -> Result<()> {
    let binary = remora_binary()?;
    let java = Java::build()?;
    println!("starting a name server and a broker, which takes some ten seconds");
    let layout = Layout {
        loopback_only: true,
        ..Layout::default()
    };
    let cluster = Cluster::start_as(&java, scratch.path(), &[BROKER], layout)?;
    let name_server = cluster.target().name_server.clone();
    let remora = start_remora(&binary, &scratch, &name_server, listen)?;
    let environment = Environment {
        java,
        scratch,
        cluster,
        remora: Some((binary, remora)),
    };
    println!("sending a message through Remora and consuming it");
    let topic = greet_patiently(&environment)?;
    println!("\n{}", first_steps(&environment, listen, &topic));
    println!("\n{logs}\n\nCtrl-C stops everything and removes it.");
    wait_for_signal()?;
    println!("\nstopping");
    let Environment {
        scratch,
        cluster,
        remora,
        ..
    } = environment;
    if let Some((_, remora)) = remora {
        // A user who tries things may well cause a warning.
        remora.stop(&[""])?;
    }
    cluster.stop()?;
    scratch.remove();
    Ok(())
}

/// Starts Remora. Where only this machine reaches it, it relays administrative requests too, which
/// takes a port for the broker that routes name to every client.
fn start_remora(
    binary: &Path,
    scratch: &Scratch,
    name_server: &str,
    listen: SocketAddr,
) -> Result<Remora> {
    let mut brokers = Vec::new();
    let mut arguments = Vec::new();
    if listen.ip().is_loopback() {
        brokers.push((BROKER, lone_port()?));
        arguments = vec!["--admin-relay=true", "--broker-addresses=always"];
    }
    println!(
        "starting remora --name-server {name_server} --listen {listen} {}",
        arguments.join(" ")
    );
    let dir = scratch.path().join("remora");
    Remora::start_with(binary, &dir, name_server, listen, &brokers, &arguments)
}

/// What listens where, and what to try first.
fn first_steps(environment: &Environment, listen: SocketAddr, topic: &str) -> String {
    let mut text = String::new();
    let mut line = |line: &str| {
        text.push_str(line);
        text.push('\n');
    };
    let cluster = &environment.cluster;
    let name_server = &cluster.target().name_server;
    // What clients connect to: Remora may listen on all addresses.
    let mut address = listen.to_string();
    line(&format!(
        "Remora    {listen}   the name-server address for your clients"
    ));
    if let Some((_, remora)) = &environment.remora {
        remora.target().name_server.clone_into(&mut address);
        let admin = remora.admin();
        line(&format!(
            "admin     http://{admin}/metrics   also /livez, /readyz, /config, /log"
        ));
    }
    line(&format!(
        "RocketMQ  {name_server}   the name server itself; the broker is behind it"
    ));
    for broker in cluster.brokers() {
        line(&format!(
            "          They listen on 127.0.0.1 only, except the broker's replication port {}:\n          \
             RocketMQ has no setting for its address. It may be reached from outside.",
            broker.replication_port()
        ));
    }
    line("");
    line("In another shell, by HTTP:");
    line(&format!(
        "  curl -d 'by curl' http://{address}/v1/topics/{topic}/messages"
    ));
    line(&format!(
        "  curl --json '{{\"wait\": \"5s\"}}' http://{address}/v1/topics/{topic}/groups/first/messages:pull"
    ));
    line("");
    line(
        "In another shell: RocketMQ's own tool sends a message through Remora and reads all messages of a topic.",
    );
    line(&format!(
        "  mqadmin() {{ {} \"$@\" -n {address} | grep -v '|-'; }}",
        mqadmin_command()
    ));
    line(&format!(
        "  mqadmin sendMessage -t {topic} -p 'my first message'"
    ));
    line(&format!("  mqadmin consumeMessage -t {topic}"));
    if listen.ip().is_loopback() {
        line("  mqadmin clusterList");
        line(
            "Administrative commands such as the last work because only this machine reaches Remora, so it was\n\
             started with admin_relay, and with a port for the broker. Both are off by default.",
        );
    } else {
        line(
            "Commands that do what clients do work, such as topicRoute and printMsg. Administrative ones, such as\n\
             clusterList, need admin_relay, which is off because other machines may reach Remora at this address.",
        );
    }
    text.truncate(text.trim_end().len());
    text
}

/// RocketMQ's own tool as it is typed in a shell.
fn mqadmin_command() -> String {
    let class_path = target_dir().join("java/cluster.classpath");
    format!(
        "java -cp \"$(cat {})\" org.apache.rocketmq.tools.command.MQAdminStartup",
        class_path.display()
    )
}

/// The address from the command line, which must be free.
fn listen_address() -> Result<SocketAddr> {
    let text = env::args().nth(1).context("usage: run-cluster HOST:PORT")?;
    let address: SocketAddr = text
        .parse()
        .with_context(|| format!("not an address with a port: {text}"))?;
    if let Err(error) = TcpListener::bind(address) {
        bail!(
            "cannot listen at {address}: {error}; name another address: make run LISTEN=ADDRESS:PORT"
        );
    }
    Ok(address)
}

/// Greets until it works; answers with the topic that has been made for it.
fn greet_patiently(environment: &Environment) -> Result<String> {
    let mut nth = 1;
    loop {
        match greet(environment, &format!("hello-{nth}")) {
            Err(error) if nth < GREETINGS => {
                println!("that failed ({error:#}); trying again");
                nth += 1;
            }
            topic => return topic.context("the first message did not get through"),
        }
    }
}

/// Sends a message and receives it, both by the Java client and through Remora.
fn greet(environment: &Environment, name: &str) -> Result<String> {
    let it = Scenario::new(name, environment);
    let topic = it.topic()?;
    let consumer = it.push_consumer(&topic).start()?;
    let mut producer = it.producer().start()?;
    let bodies = producer.send(&topic, "hello", 1, &[])?;
    for sent in producer.sent() {
        println!(
            "sent     {} to {}, id {}",
            sent.body,
            sent.queue.unwrap_or_default(),
            sent.id.unwrap_or_default()
        );
    }
    wait_exactly_once(&[&consumer], &bodies)?;
    for received in consumer.received() {
        println!(
            "received {} from {}, id {}",
            received.body, received.queue, received.id
        );
    }
    it.stop([producer, consumer])?;
    it.finish()?;
    Ok(topic)
}

/// Waits for Ctrl-C or SIGTERM.
fn wait_for_signal() -> Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_io()
        .build()?;
    runtime.block_on(async {
        let mut interrupt = signal(SignalKind::interrupt())?;
        let mut terminate = signal(SignalKind::terminate())?;
        tokio::select! {
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
        }
        Ok(())
    })
}
