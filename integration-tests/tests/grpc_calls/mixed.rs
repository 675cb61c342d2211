//! Groups with consumers of both protocols.

use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use grpc::proto::Duration as ProtoDuration;
use grpc::proto::{Code, ReceiveMessageRequest, Status};
use integration_tests::abuse::admin_get;
use integration_tests::grpc_client::GrpcClient;
use integration_tests::ports::free_port;
use integration_tests::proxy_process::Remora;
use integration_tests::scenario::Scenario;
use integration_tests::suite::TestFn;
use integration_tests::target::Target;
use tokio::time::Instant;

use crate::common::{client, expect, receive, receiving, run};
use crate::presence::{consuming, present};

pub(crate) const TESTS: &[(&str, TestFn)] = &[
    ("mixed_groups_are_warned_of_or_refused", mixed_groups),
    ("groups_of_grpc_consumers_are_not_mixed", alike_groups),
];

/// A part of what is logged of a mixed group.
const WARNING: &str = "consumers of the remoting protocol";

/// Counts receives in mixed groups.
const COUNT: &str = "rocketmq_proxy_mixed_group_receives_total{";

/// A Remora that warns of mixed groups, or refuses them.
fn remora(it: &Scenario<'_>, mixed_groups: &str) -> Result<Remora> {
    let binary = it.remora_binary().context("no binary")?;
    let name_server = &it.cluster().target().name_server;
    let address = || anyhow::Ok(SocketAddr::from((Ipv4Addr::LOCALHOST, free_port()?)));
    let (listen, admin) = (address()?, address()?);
    let text = format!(
        "name_servers = [{name_server:?}]\nadmin = \"{admin}\"\n\
         mixed_groups = {mixed_groups:?}\n[[listener]]\nbind = \"{listen}\"\n"
    );
    let target = Target::new(listen, []);
    Remora::start_file(binary, &it.dir(mixed_groups)?, &text, admin, target)
}

async fn poll(it: &Scenario<'_>, client: &GrpcClient, group: &str, topic: &str) -> Result<Status> {
    let broker = it.cluster().brokers().first().context("no broker")?;
    let request = ReceiveMessageRequest {
        long_polling_timeout: Some(ProtoDuration::from_millis(1)),
        ..receiving(group, topic, broker.name())
    };
    let (status, _) = receive(client, &request).await?;
    status.context("no status")
}

fn mixed_groups(it: &Scenario<'_>) -> Result<()> {
    let topic = it.topic()?;
    let group = it.name("consumers");
    let consumer = it.push_consumer(&topic).start()?;
    let (lenient, strict) = (remora(it, "warn")?, remora(it, "refuse")?);
    run(async {
        let refused = client_of(it, &strict).await?;
        // A consumer that has just started has no queue yet: members are looked for again.
        let until = Instant::now() + Duration::from_secs(30);
        let mut status = poll(it, &refused, &group, &topic).await?;
        while status.code != i32::from(Code::Forbidden) && Instant::now() < until {
            status = poll(it, &refused, &group, &topic).await?;
        }
        expect(Some(&status), Code::Forbidden)?;
        ensure!(status.message.contains("remoting protocol"), "{status:?}");
        let warned = client_of(it, &lenient).await?;
        // The first is served while the members are looked for.
        for _ in 0..2 {
            let status = poll(it, &warned, &group, &topic).await?;
            ensure!(status.code != i32::from(Code::Forbidden), "{status:?}");
            tokio::time::sleep(Duration::from_secs(3)).await;
        }
        Ok(())
    })?;
    let metrics = admin_get(lenient.admin(), "/metrics", Duration::from_secs(5))?;
    let mut counted = metrics.lines().filter(|line| line.starts_with(COUNT));
    ensure!(
        counted.any(|line| line.contains("protocol=\"grpc\"") && line.ends_with(" 1")),
        "{:?}",
        counted.collect::<Vec<_>>()
    );
    let lines = lenient.log_lines(WARNING)?;
    ensure!(lines.len() == 1, "{lines:?}");
    it.stop([consumer])?;
    lenient.stop(&[WARNING])?;
    strict.stop(&[WARNING])
}

/// Members that speak gRPC are known as such, whichever replica they use.
fn alike_groups(it: &Scenario<'_>) -> Result<()> {
    let topic = it.topic()?;
    let strict = remora(it, "refuse")?;
    run(async {
        let group = it.name("group");
        let member = client(it).await?;
        let _stream = present(&member, consuming(&group, &topic)).await?;
        tokio::time::sleep(Duration::from_secs(1)).await;
        let other = client_of(it, &strict).await?;
        let status = poll(it, &other, &group, &topic).await?;
        ensure!(status.code != i32::from(Code::Forbidden), "{status:?}");
        Ok(())
    })?;
    strict.stop(&[])
}

async fn client_of(it: &Scenario<'_>, remora: &Remora) -> Result<GrpcClient> {
    let address = remora.target().name_server.parse()?;
    GrpcClient::connect(address, &it.name("client-of-its-own")).await
}
