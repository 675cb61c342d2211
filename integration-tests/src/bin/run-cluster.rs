//! `make run`: a real cluster and Remora in front of it, shown to work with one message, until Ctrl-C.

#![allow(
    clippy::print_stdout,
    reason = "it talks to whoever has typed `make run`"
)]

use std::{env, net::SocketAddr};

use anyhow::{Context, Result};
use integration_tests::{
    delivery::wait_exactly_once,
    java::Java,
    ports::{free_port, is_free},
    proxy_process::{Remora, remora_binary},
    rocketmq::Cluster,
    scenario::{Environment, Scenario},
    workspace::Scratch,
};
use tokio::signal::unix::{SignalKind, signal};

fn main() -> Result<()> {
    let listen = listen_address()?;
    let binary = remora_binary()?;
    let java = Java::build()?;
    let scratch = Scratch::create("run")?;
    println!(
        "starting a name server and a broker below {}",
        scratch.path().display()
    );
    let cluster = Cluster::start(&java, scratch.path(), &["broker-a"])?;
    let name_server = cluster.target().name_server.clone();
    println!("starting remora --name-server {name_server} --listen {listen}");
    let remora = Remora::start_at(
        &binary,
        &scratch.path().join("remora"),
        &name_server,
        listen,
    )?;
    let environment = Environment {
        java,
        scratch,
        cluster,
        remora: Some((binary, remora)),
    };
    greet(&environment)?;

    println!(
        "\nRemora is at {listen}: make that the name server address of a client. Ctrl-C stops everything."
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

/// The address from the command line, or one beside it when its port is taken.
fn listen_address() -> Result<SocketAddr> {
    let text = env::args().nth(1).context("usage: run-cluster HOST:PORT")?;
    let mut address: SocketAddr = text
        .parse()
        .with_context(|| format!("not an address with a port: {text}"))?;
    if !is_free(address.port()) {
        let port = free_port()?;
        println!("port {} is taken; using {port}", address.port());
        address.set_port(port);
    }
    Ok(address)
}

/// Sends a message and receives it, both by the Java client and through Remora.
fn greet(environment: &Environment) -> Result<()> {
    let it = Scenario::new("hello", environment);
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
    it.finish()
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
