//! The cost of looking up a known route, among few and among many.

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a bench that cannot continue panics, as a test does"
)]

use std::hint::black_box;
use std::sync::Arc;
use std::time::Duration;

use criterion::{Criterion, criterion_group, criterion_main};
use integration_tests::fake::{FakeBroker, FakeNameServer};
use route_cache::{Advertised, BrokerTable, RouteCache, RouteConfig, UpstreamConfig, name_servers};
use tokio::runtime::Builder;
use tokio::task::LocalSet;

/// No route is loaded again while it is measured.
const FOREVER: Duration = Duration::from_secs(24 * 60 * 60);

fn routes(criterion: &mut Criterion) {
    let advertised = Arc::new(Advertised {
        shared: "mq.example.com:8080".into(),
        brokers: [].into(),
    });
    let mut group = criterion.benchmark_group("route");
    for count in [1, 10_000] {
        let topics: Vec<String> = (0..count).map(|nth| format!("topic-{nth}")).collect();
        let runtime = Builder::new_current_thread().enable_all().build().unwrap();
        let all = LocalSet::new();
        let cache = all.block_on(&runtime, async {
            let broker = FakeBroker::start("broker-a").await.unwrap();
            let server = FakeNameServer::start(&[&broker]).await.unwrap();
            let (asked, client) = name_servers(
                vec![server.address().to_string()],
                UpstreamConfig::default(),
            );
            tokio::task::spawn_local(client.run());
            let config = RouteConfig {
                refresh_after: FOREVER,
                expire_after: FOREVER,
                ..RouteConfig::default()
            };
            let table = Arc::new(BrokerTable::new(asked.clone()));
            let cache = RouteCache::new(config, table, asked);
            for topic in &topics {
                server.add_topic(topic, &["broker-a"]);
                cache.route(topic).await.unwrap();
            }
            cache
        });
        let mut turn = topics.iter().cycle();
        group.bench_function(format!("one of {count}"), |bencher| {
            bencher.iter(|| {
                let topic = turn.next().unwrap();
                all.block_on(&runtime, async {
                    black_box(cache.route(topic).await).is_ok()
                })
            });
        });
        let mut turn = topics.iter().cycle();
        group.bench_function(format!("one of {count}, as clients get it"), |bencher| {
            bencher.iter(|| {
                let topic = turn.next().unwrap();
                let route = all.block_on(&runtime, cache.route(topic)).unwrap();
                route.encoded(&advertised, false, None).len()
            });
        });
    }
}

criterion_group!(benches, routes);
criterion_main!(benches);
