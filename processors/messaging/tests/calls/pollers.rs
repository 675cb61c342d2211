//! Members for clients that poll, and their checks of transactions.

use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use messaging::metrics::CheckMetrics;
use messaging::token::TransactionToken;
use messaging::{ErrorKind, Pollers};
use remoting_codec::headers::CheckTransactionStateRequest;
use remoting_codec::message::{
    PropertiesBuf, StoredMessage, StoredVersion, SysFlag, TransactionType, property,
};
use remoting_codec::{RemotingCommand, RequestCode};
use tokio::task::spawn_local;
use tokio::time::Instant;

use crate::fake::{Cluster, run, until};

const SECOND: Duration = Duration::from_secs(1);

fn pollers(cluster: &Cluster) -> (Rc<Pollers>, Arc<CheckMetrics>) {
    let metrics = Arc::<CheckMetrics>::default();
    let (upstream, policy) = (cluster.upstream.clone(), cluster.policy.clone());
    let pollers = Pollers::new(upstream, policy, metrics.clone(), "http", "host-1");
    (pollers, metrics)
}

/// A check of a half message with that id, as a broker sends it.
fn check(id: &str, place: i64) -> RemotingCommand {
    let mut properties = PropertiesBuf::new();
    properties.push(property::UNIQ_KEY, id).unwrap();
    let host = "10.0.0.9:50123".parse().unwrap();
    let message = StoredMessage {
        version: StoredVersion::V1,
        body_crc: 0,
        queue_id: 2,
        flag: 0,
        queue_offset: place,
        commit_log_offset: 4711,
        sys_flag: SysFlag(0),
        born_time: 0,
        born_host: host,
        store_time: 0,
        store_host: host,
        reconsume_times: 0,
        prepared_transaction_offset: 0,
        body: b"half",
        topic: "orders",
        properties: properties.as_properties(),
    };
    let mut stored = Vec::new();
    message.encode(&mut stored).unwrap();
    let header = CheckTransactionStateRequest {
        broker: Some("broker-a".into()),
        topic: Some("RMQ_SYS_TRANS_HALF_TOPIC".into()),
        tran_state_table_offset: place,
        commit_log_offset: 4711,
        msg_id: Some(id.into()),
        transaction_id: Some(id.into()),
        offset_msg_id: None,
    };
    let check = RemotingCommand::request(RequestCode::CHECK_TRANSACTION_STATE).oneway();
    check.with_header(&header).with_body(stored)
}

#[test]
fn a_group_that_is_polled_has_a_member() {
    run(async {
        let cluster = Cluster::start().await;
        let (pollers, _) = pollers(&cluster);
        let from = cluster.requests().caller().address().key();
        let poll = pollers.consume(from, "billing", "orders").unwrap();
        let lanes: Vec<_> = {
            let mut lanes = Vec::new();
            for broker in &cluster.brokers {
                lanes.push(until(|| broker.link_of("billing")).await);
            }
            lanes
        };
        let heartbeat = lanes[0].heartbeat.borrow().clone();
        for text in [
            r#""clientID":"http@host-1#"#,
            r#""consumeType":"CONSUME_ACTIVELY""#,
            r#""topic":"orders""#,
        ] {
            assert!(heartbeat.contains(text), "{heartbeat}");
        }
        // Another topic of the group is added to the same member, another group is another one.
        let _other = pollers.consume(from, "billing", "refunds").unwrap();
        let broker = &cluster.brokers[0];
        until(|| broker.link_of("refunds")).await;
        assert!(lanes[0].heartbeat.borrow().contains("refunds"));
        assert_eq!(pollers.len(), 1);
        let _third = pollers.consume(from, "shipping", "orders").unwrap();
        until(|| broker.link_of("shipping")).await;
        assert_eq!(pollers.len(), 2);
        // A console asks how it consumes.
        let question = RemotingCommand::request(RequestCode::GET_CONSUMER_RUNNING_INFO);
        lanes[0].push(&question.with_field("consumerGroup", "billing"));
        let answer = until(|| {
            let got = broker.got.borrow();
            got.iter().find(|got| got.is_response).cloned()
        });
        let info = answer.await.text();
        assert!(info.contains(r#""PROP_CLIENT_PROTOCOL":"http""#), "{info}");
        // In a drain it leaves at once, although it is polled for.
        pollers.leave();
        assert!(pollers.is_empty());
        until(|| lanes[0].is_closed.get().then_some(())).await;
        assert!(pollers.consume(from, "billing", "orders").is_none());
        drop(poll);
    });
}

#[test]
fn an_address_causes_a_part_of_the_members() {
    run(async {
        let cluster = Cluster::start().await;
        let (pollers, _) = pollers(&cluster);
        let from = cluster.requests().caller().address().key();
        let made = (0..1_000).filter(|nth| {
            let group = format!("g{nth}");
            pollers.consume(from, &group, "orders").is_some()
        });
        assert_eq!(made.count(), 128);
        let elsewhere = std::net::IpAddr::from([10, 0, 0, 10]).into();
        assert!(pollers.consume(elsewhere, "more", "orders").is_some());
        pollers.leave();
    });
}

#[test]
fn checks_go_to_a_poll_and_their_token_ends_the_transaction() {
    run(async {
        let cluster = Cluster::start().await;
        let (pollers, metrics) = pollers(&cluster);
        let requests = cluster.requests();
        let (all, asking) = (pollers.clone(), requests.clone());
        let poll =
            spawn_local(async move { all.poll_checks(&asking, "orders", 16, 30 * SECOND).await });
        let broker = &cluster.brokers[0];
        let lane = until(|| broker.link_of(r#""groupName":"orders""#)).await;
        assert_eq!(requests.polls(), 1);
        lane.push(&check("id-1", 17));
        let checks = poll.await.unwrap().unwrap();
        assert_eq!((checks.len(), requests.polls()), (1, 0));
        let message = checks[0].message().unwrap();
        assert_eq!((message.topic, message.body), ("orders", &b"half"[..]));
        assert_eq!(&checks[0].slice(message.body)[..], b"half");
        let token = TransactionToken::decode(checks[0].token()).unwrap();
        requests
            .end_transaction("orders", &token, "id-1", TransactionType::Commit)
            .await
            .unwrap();
        let ended = broker.all(RequestCode::END_TRANSACTION);
        for (name, value) in [
            ("producerGroup", "orders"),
            ("tranStateTableOffset", "17"),
            ("commitLogOffset", "4711"),
            ("commitOrRollback", "8"),
            ("fromTransactionCheck", "true"),
        ] {
            assert_eq!(ended[0].field(name), value);
        }
        // What arrives between two polls waits for the next.
        lane.push(&check("id-2", 18));
        until(|| (metrics.arrived.get() == 2).then_some(())).await;
        let checks = pollers.poll_checks(&requests, "orders", 16, SECOND).await;
        assert_eq!(checks.unwrap().len(), 1);
        assert_eq!(metrics.handed_out.get(), 2);
    });
}

/// Where no poll waits any more, brokers must not ask.
#[test]
fn a_producer_leaves_soon_after_its_polls_have_waited() {
    run(async {
        let cluster = Cluster::start().await;
        let (pollers, _) = pollers(&cluster);
        let requests = cluster.requests();
        let broker = &cluster.brokers[0];
        let none = pollers.poll_checks(&requests, "orders", 16, SECOND);
        let (lane, none) = tokio::join!(until(|| broker.link_of(r#""groupName":"orders""#)), none);
        assert!(none.unwrap().is_empty());
        let begun = Instant::now();
        until(|| lane.is_closed.get().then_some(())).await;
        assert!((2 * SECOND..10 * SECOND).contains(&begun.elapsed()));
        assert!(pollers.is_empty());
        // One that only takes what there is remains: its next poll comes soon.
        let none = pollers.poll_checks(&requests, "orders", 16, Duration::ZERO);
        assert!(none.await.unwrap().is_empty());
        tokio::time::sleep(4 * SECOND).await;
        assert_eq!(pollers.len(), 1);
    });
}

#[test]
fn a_poll_without_checks_ends_in_time_and_in_a_drain_at_once() {
    run(async {
        let cluster = Cluster::start().await;
        let (pollers, _) = pollers(&cluster);
        let begun = Instant::now();
        let requests = cluster.requests();
        let none = pollers
            .poll_checks(&requests, "orders", 16, SECOND / 5)
            .await;
        assert!(none.unwrap().is_empty());
        assert!(begun.elapsed() >= SECOND / 5);
        let start = || {
            let (all, asking) = (pollers.clone(), cluster.requests());
            let requests = asking.clone();
            let poll = async move { all.poll_checks(&asking, "orders", 16, 60 * SECOND).await };
            (spawn_local(poll), requests)
        };
        // The client must leave.
        let (poll, requests) = start();
        until(|| (requests.polls() == 1).then_some(())).await;
        requests.give_up_polls();
        assert_eq!(poll.await.unwrap().unwrap_err().kind(), ErrorKind::GivenUp);
        // The worker drains.
        let (poll, requests) = start();
        until(|| (requests.polls() == 1).then_some(())).await;
        pollers.leave();
        assert_eq!(poll.await.unwrap().unwrap_err().kind(), ErrorKind::GivenUp);
        let (poll, _) = start();
        assert_eq!(poll.await.unwrap().unwrap_err().kind(), ErrorKind::GivenUp);
        assert!(begun.elapsed() < 30 * SECOND);
    });
}
