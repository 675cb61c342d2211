//! Clients by HTTP on one real broker: Remora, beside its own remoting and the Java proxy's gRPC.

use std::path::Path;
use std::time::Duration;

use anyhow::Result;
use integration_tests::java::Java;

use super::side_by_side::{figures, goals};
use super::{Options, start_remora, through};
use crate::checks::of_http as outcomes;
use crate::load::Sample;
use crate::machine;
use crate::report::Section;
use crate::rounds::{Measured, Plan};
use crate::shape::{
    HTTP_BATCH, QUEUES, RECEIVED, RECEIVED_BODY, RECEIVED_TOPIC, SEND_TOPIC, Shape, Work, of_http,
};
use crate::stack::{
    BROKER, Cluster, JAVA_GRPC, JavaProxy, REMORA_HTTP, REMORA_REMOTING, Target, Webdis,
    wait_until_served,
};
use crate::tables;

pub(super) fn run(options: &Options, dir: &Path) -> Result<()> {
    let java = Java::build()?;
    let mut cluster = Cluster::start(&java, dir)?;
    cluster.create_topic(SEND_TOPIC, QUEUES)?;
    cluster.create_topic(RECEIVED_TOPIC, QUEUES)?;
    cluster.store(RECEIVED_TOPIC, RECEIVED, RECEIVED_BODY)?;
    let java_proxy = JavaProxy::start(&dir.join("java-proxy"), cluster.name_server(), SEND_TOPIC)?;
    let remora = start_remora(dir, cluster.name_server())?;
    for address in through(&remora).addresses {
        wait_until_served(address, SEND_TOPIC)?;
    }
    let mut targets = vec![
        Target {
            name: REMORA_HTTP,
            ..through(&remora)
        },
        Target {
            name: REMORA_REMOTING,
            instead: by_remoting,
            ..through(&remora)
        },
        Target {
            name: JAVA_GRPC,
            instead: by_grpc,
            ..java_proxy.grpc_target()
        },
    ];
    let mut peers = vec![
        "RocketMQ broker and Java proxy 5.5.0 (1 GB heap each, G1)".to_owned(),
        machine::java(),
    ];
    let webdis = match options.bridge {
        true => Some(Webdis::start(&dir.join("webdis"))?),
        false => None,
    };
    if let Some(webdis) = &webdis {
        targets.push(Target {
            instead: to_webdis,
            ..webdis.target()
        });
        peers.push(Webdis::version()?);
    }
    let plan = Plan {
        targets,
        broker: cluster.broker_pid(),
        broker_address: Some(cluster.broker()),
        brokers: vec![BROKER.to_owned()],
        shapes: options.chosen(of_http()),
        rounds: options.rounds,
        timing: options.timing(),
    };
    plan.warm_up(Duration::from_millis(options.warm_up * 3))?;
    let measured = plan.measure()?;
    drop((java_proxy, webdis));
    // No warning about its brokers matters here.
    remora.stop(&[""])?;
    cluster.stop()?;

    Section {
        part: "http",
        title: "HTTP on one real broker".to_owned(),
        peers,
        method: options.method(&format!(
            "bodies of 128 bytes by HTTP/1.1 keep-alive, one request at a time on each connection; \
             a batch is {HTTP_BATCH} messages as JSON in one request; a pull of 32 messages of 1 KB \
             is acknowledged as a whole, by groups of which each gets all messages; by remoting and \
             gRPC the same number of connections sends single messages, and receives as in the \
             part grpc; connections × requests; figures are medians, quartiles in brackets.",
        )),
        body: body(&measured),
    }
    .publish(&options.results)
}

/// What remoting clients send instead: single messages.
fn by_remoting(shape: &Shape) -> Option<Shape> {
    let Work::HttpSend(size) = shape.work else {
        return None;
    };
    Some(shape.with(Work::Send(size)))
}

/// What gRPC clients do instead: they have no batches across queues.
fn by_grpc(shape: &Shape) -> Option<Shape> {
    match shape.work {
        Work::HttpSend(size) => Some(shape.with(Work::GrpcSend(size))),
        Work::HttpReceive => Some(shape.with(Work::GrpcReceive)),
        _ => None,
    }
}

/// What clients of Webdis send instead: it has no batches.
fn to_webdis(shape: &Shape) -> Option<Shape> {
    let Work::HttpSend(size) = shape.work else {
        return None;
    };
    Some(shape.with(Work::WebdisSend(size)))
}

fn body(measured: &[Measured]) -> String {
    // All bodies of a shape are of one size.
    let messages = |shape: &Shape, sample: &Sample| {
        let size = shape.message_size()?;
        Some(sample.bodies * 1e6 / size as f64)
    };
    let cpu = |shape: &Shape, sample: &Sample| {
        Some(sample.proxy_cpu? * sample.rate / messages(shape, sample)?)
    };
    format!(
        "{}\n### Messages per second\n\n{}\n### CPU time of the proxy per message, µs\n\n{}{}",
        goals(&outcomes(measured)),
        tables::figures_of(measured, messages),
        tables::figures_of(measured, cpu),
        figures(measured)
    )
}
