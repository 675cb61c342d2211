//! `make run`: a real cluster and Remora in front of it, shown to work with one message, until Ctrl-C.

#![allow(
    clippy::print_stderr,
    clippy::print_stdout,
    reason = "it talks to whoever has typed `make run`"
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
    proxy_process::{Remora, remora_binary},
    rocketmq::Cluster,
    scenario::{Environment, Scenario},
    workspace::{Scratch, target_dir},
};
use tokio::signal::unix::{SignalKind, signal};

/// How often the first message is tried: a machine that has just started a cluster may be too busy for the client's patience.
const GREETINGS: usize = 3;

fn main() -> ExitCode {
    let begin = || Ok((listen_address()?, Scratch::create("run")?));
    let (listen, scratch) = match begin() {
        Ok(begun) => begun,
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

/// Where everybody logs.
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
    let cluster = Cluster::start(&java, scratch.path(), &["broker-a"])?;
    let name_server = cluster.target().name_server.clone();
    println!("starting remora --name-server {name_server} --listen {listen}");
    let remora = Remora::start_at(
        &binary,
        &scratch.path().join("remora"),
        &name_server,
        listen,
    )?;
    let admin = remora.admin();
    // What clients connect to: Remora may listen everywhere.
    let address = remora.target().name_server.clone();
    let environment = Environment {
        java,
        scratch,
        cluster,
        remora: Some((binary, remora)),
    };
    println!("sending a message through Remora and consuming it");
    let topic = greet_patiently(&environment)?;

    println!(
        "\n\
         Remora    {listen}   the name server address of your clients\n\
         admin     http://{admin}/metrics   also /livez, /readyz, /config\n\
         RocketMQ  {name_server}   the name server itself; the broker is behind it\n\n\
         First commands, in another shell: RocketMQ's own tool sends a message through Remora and reads all there are.\n\
         \x20 mqadmin() {{ {mqadmin} \"$@\" -n {address} | grep -v '|-'; }}\n\
         \x20 mqadmin sendMessage -t {topic} -p 'my first message'\n\
         \x20 mqadmin consumeMessage -t {topic}\n\n\
         {logs}\n\n\
         Ctrl-C stops everything and removes it.",
        mqadmin = mqadmin_command(),
    );
    wait_for_signal()?;
    println!("\nstopping");
    let Environment {
        scratch,
        cluster,
        remora,
        ..
    } = environment;
    if let Some((_, remora)) = remora {
        // Whoever plays with a cluster may well cause a warning.
        remora.stop(&[""])?;
    }
    cluster.stop()?;
    scratch.remove();
    Ok(())
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
        bail!("cannot listen at {address}: {error}; say where else: make run LISTEN=ADDRESS:PORT");
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
