//! A departure releases all that was held: clients that must leave, brokers that move.

use std::time::Duration;

use anyhow::{Result, ensure};
use integration_tests::fake::{FakeBroker, Reply, request};
use remoting_codec::{RemotingCommand, RequestCode, ResponseCode, SerializeType, Version};
use tokio::time::{Instant, sleep};

use crate::World;
use crate::operation::figure;
use crate::relay::send;

async fn wait_figure(world: &World, start: &str, value: f64, limit: Duration) -> Result<()> {
    let begun = Instant::now();
    loop {
        let metrics = world.proxy.admin("GET /metrics").await?;
        let is = figure(&metrics, start);
        if is == Some(value) {
            return Ok(());
        }
        ensure!(begun.elapsed() < limit, "{start}: {is:?}");
        sleep(Duration::from_millis(100)).await;
    }
}

/// Its last answers are waiting for it, and it never takes them.
#[tokio::test]
async fn a_client_that_is_to_go_and_reads_nothing_is_ended() -> Result<()> {
    const CONNECTIONS: &str = "rocketmq_proxy_connections{";
    let file = "admin = \"127.0.0.1:0\"\nworkers = 1\n[connection_age]\nmax_ms = 1000\njitter_percent = 0\n";
    let world = World::with(file).await?;
    let code = RequestCode::QUERY_CONSUMER_OFFSET;
    let large = RemotingCommand::response(ResponseCode::SUCCESS, 0, SerializeType::Json);
    world
        .a
        .on(code, Reply::Command(large.with_body(vec![7; 4 << 20])));
    let mut deaf = world.proxy.client().await?;
    for opaque in 0..6 {
        let asks = request(code, opaque, &[("bname", "broker-a")]);
        let asks = RemotingCommand {
            version: Version::V4_9_5,
            ..asks
        };
        deaf.send(&asks).await?;
    }
    world.a.wait_received(code, 1).await?;
    wait_figure(&world, CONNECTIONS, 1.0, Duration::from_secs(1)).await?;
    wait_figure(&world, CONNECTIONS, 0.0, Duration::from_secs(16)).await?;
    drop(deaf);
    Ok(())
}

/// The circuit of the old address is forgotten.
#[tokio::test]
async fn a_broker_that_has_moved_is_not_said_to_fail() -> Result<()> {
    const FAILING: &str = "rocketmq_proxy_broker_failing{cluster=\"DefaultCluster\",node_type=\"proxy\",node_id=\"here\",broker=\"broker-b\"}";
    let file = "node_id = \"here\"\nadmin = \"127.0.0.1:0\"\nworkers = 1\nsend_elsewhere = false\n[routes]\nrefresh_ms = 200\nbroker_refresh_ms = 200\n[breaker]\nfailures = 1\n";
    let world = World::with(file).await?;
    let mut client = world.proxy.client().await?;
    let to_b = send(1, "both", "broker-b");
    assert_eq!(client.call(&to_b).await?.code, 0);
    world.b.stop().await;
    let begun = Instant::now();
    while figure(&world.proxy.admin("GET /metrics").await?, FAILING) != Some(1.0) {
        ensure!(begun.elapsed() < Duration::from_secs(5), "no circuit opens");
        let refused = client.call(&to_b).await?;
        assert_eq!(refused.code, ResponseCode::SERVICE_NOT_AVAILABLE.0);
    }
    let elsewhere = FakeBroker::start("broker-b").await?;
    world
        .name_server
        .add_broker("broker-b", &[(0, elsewhere.address())]);
    let begun = Instant::now();
    while client.call(&to_b).await?.code != 0 {
        ensure!(begun.elapsed() < Duration::from_secs(5), "it is not found");
        sleep(Duration::from_millis(20)).await;
    }
    wait_figure(&world, FAILING, 0.0, Duration::from_secs(2)).await
}
