//! A send by gRPC.

use std::net::{Ipv4Addr, SocketAddr};
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use ::grpc::metrics::GrpcMetrics;
use anyhow::{Context, Result, ensure};
use http::HeaderValue;
use http_server::{Connection, Version};
use messaging::metrics::{Labels, TopicMetrics};
use route_cache::{BrokerTable, RouteCache, RouteConfig, TICK, Upstream, UpstreamConfig};
use tokio::io::{DuplexStream, duplex};
use tokio::runtime::Builder;
use tokio::task::{LocalSet, spawn_local};

use crate::aside::Aside;
use crate::load::{Call, Caller};
use crate::shape::{Shape, Work};
use crate::sink;

/// The message's body.
const BODY: usize = 128;

/// Bytes that may be under way.
const UNDER_WAY: usize = 64 * 1024;

/// Routes are loaded once.
const FOREVER: Duration = Duration::from_secs(24 * 60 * 60);

/// Sends a message so many times, one after the other, as a Java client does that signs its calls:
/// over a connection in memory, through the server of gRPC and a connection of the loopback, to a
/// broker that answers at once.
///
/// The client, the broker and the name server run [`Aside`].
///
/// # Errors
/// When a message is not sent.
pub fn grpc(times: u32) -> Result<()> {
    let runtime = Builder::new_current_thread().enable_all().build()?;
    LocalSet::new().block_on(&runtime, async {
        let (near, far) = duplex(UNDER_WAY);
        let name_server = *sink::start(1).await?.first().context("a name server")?;
        let serving = spawn_local(serve(near, name_server));
        Aside::new(send(far, times)).await?;
        // The client has left.
        serving.await?
    })
}

async fn serve(stream: DuplexStream, name_server: SocketAddr) -> Result<()> {
    let config = UpstreamConfig::default();
    let (asked, client) = route_cache::name_servers(vec![name_server.to_string()], config.clone());
    spawn_local(Aside::new(client.run()));
    let routes = RouteConfig {
        refresh_after: FOREVER,
        expire_after: FOREVER,
        ..RouteConfig::default()
    };
    let table = Arc::new(BrokerTable::new(asked.clone()));
    let routes = RouteCache::new(routes, table.clone(), asked);
    let upstream = Upstream::new(Rc::default(), config, table, routes, Arc::default());
    spawn_local(Aside::new(tick(upstream.clone())));
    let topics = TopicMetrics::new(Labels::of_topics(&[]).into(), Labels::of_groups(&[]).into());
    let metrics = Arc::new(GrpcMetrics::new(topics.into()));
    let server = grpc::Server::new(Rc::default(), grpc::Settings::default(), metrics);
    let endpoint = http_server::Endpoint {
        peer: (Ipv4Addr::LOCALHOST, 40_000).into(),
        advertised: "127.0.0.1:8080".into(),
        meter: Arc::default(),
    };
    let settings = http_server::Settings::default();
    let over = Connection::new(
        upstream,
        &settings,
        Arc::default(),
        Version::Http2,
        endpoint,
    );
    let connection = grpc::Connection::new(server, over.clone());
    let answer = move |request| grpc::answer(connection.clone(), request);
    http_server::serve(&over, stream, answer).await?;
    Ok(())
}

/// Counts time as a worker does. How often depends on the machine, so it is not counted.
async fn tick(upstream: Rc<Upstream>) {
    let mut ticks = tokio::time::interval(TICK);
    loop {
        ticks.tick().await;
        upstream.tick();
    }
}

async fn send(stream: DuplexStream, times: u32) -> Result<()> {
    let call = Shape::new(Work::GrpcSend(BODY), 1, 1).call();
    let mut call = Call::clone(&*call.context("a shape of gRPC")?);
    // With the eleven that all calls of the load have: thirteen.
    let signature = "MQv2-HMAC-SHA1 Credential=AK, SignedHeaders=x-mq-date-time, \
                     Signature=95C7563DF302F4617802B2C60AD9903F565782A8";
    let headers = &mut call.headers;
    headers.insert("authorization", HeaderValue::from_static(signature));
    let caller = Caller::over(stream).await?;
    for nth in 0..times {
        // These two differ with each call.
        let id = format!("b1f8a6f0-5a0c-4b8b-9a3e-6d7b{nth:08x}");
        let headers = &mut call.headers;
        headers.insert("x-mq-request-id", HeaderValue::from_str(&id)?);
        let left = format!("{}u", 2_990_000 + nth % 9_999);
        headers.insert("grpc-timeout", HeaderValue::from_str(&left)?);
        ensure!(call.headers.len() == 13, "{} headers", call.headers.len());
        caller.call(&call).await?;
    }
    Ok(())
}
