//! gRPC clients on one real broker: the Java proxy and Remora.

use std::path::Path;
use std::time::Duration;

use anyhow::Result;
use integration_tests::java::Java;

use super::side_by_side::body;
use super::{Options, start_remora, through};
use crate::machine;
use crate::plot;
use crate::report::Section;
use crate::rounds::Plan;
use crate::shape::{QUEUES, RECEIVED, RECEIVED_BODY, RECEIVED_TOPIC, SEND_TOPIC, of_grpc};
use crate::stack::{BROKER, Cluster, JavaProxy, wait_until_served};

/// The file of the plot.
const PLOT: &str = "grpc.svg";

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
    let plan = Plan {
        targets: vec![java_proxy.grpc_target(), through(&remora)],
        broker: cluster.broker_pid(),
        broker_address: Some(cluster.broker()),
        brokers: vec![BROKER.to_owned()],
        shapes: options.chosen(of_grpc()),
        rounds: options.rounds,
        timing: options.timing(),
    };
    plan.warm_up(Duration::from_millis(options.warm_up * 3))?;
    let measured = plan.measure()?;
    drop(java_proxy);
    // No warning about its brokers matters here.
    remora.stop(&[""])?;
    cluster.stop()?;

    let title = "gRPC on one real broker";
    plot::write(&options.results.join(PLOT), title, &measured)?;
    Section {
        part: "grpc",
        title: title.to_owned(),
        peers: vec![
            "RocketMQ broker and Java proxy 5.5.0 (1 GB heap each, G1)".to_owned(),
            machine::java(),
        ],
        method: options.method(
            "sends of 128 bytes with the headers of the Java client; receives of 32 messages of 1 KB \
             with one acknowledgement of all, by groups of which each gets all messages; \
             connections × streams; figures are medians, quartiles in brackets.",
        ),
        body: body(&measured, true, PLOT),
    }
    .publish(&options.results)
}
