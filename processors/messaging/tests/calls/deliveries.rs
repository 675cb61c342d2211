//! Messages that are popped, sorted, written to a client or not, and given back.

use std::cell::RefCell;
use std::rc::Rc;
use std::time::Duration;

use messaging::check::Filter;
use messaging::{
    Batch, ConfigCache, Consumer, Outgoing, Placed, PopAnswer, Receive, Requests, now_millis,
};
use remoting_codec::RequestCode;
use remoting_codec::message::{PropertiesBuf, StoredMessage, StoredVersion, SysFlag};
use tokio::task::yield_now;

use crate::fake::{Broker, Cluster, Got, run, stored, success, until};
use crate::requests::message;

/// A message with that tag at that offset, which was consumed in vain so many times.
fn encode(tag: &str, offset: i64, times: i32, out: &mut Vec<u8>) {
    let mut properties = PropertiesBuf::new();
    properties.push("TAGS", tag).unwrap();
    properties
        .push("UNIQ_KEY", &format!("id-{offset}"))
        .unwrap();
    let host = "10.0.0.9:50123".parse().unwrap();
    let message = StoredMessage {
        version: StoredVersion::V1,
        body_crc: 0,
        queue_id: 0,
        flag: 0,
        queue_offset: offset,
        commit_log_offset: 4711 + offset,
        sys_flag: SysFlag(0),
        born_time: 0,
        born_host: host,
        store_time: 0,
        store_host: host,
        reconsume_times: times,
        prepared_transaction_offset: 0,
        body: b"body",
        topic: "orders",
        properties: properties.as_properties(),
    };
    message.encode(out).unwrap();
}

/// A broker that hands out five messages: of the wanted tag three, one of another tag, and one that
/// was delivered too often.
async fn popped(cluster: &Cluster, requests: &Rc<Requests>) -> (Batch, Rc<Broker>) {
    let broker = &cluster.brokers[0];
    let mut body = Vec::new();
    for (tag, offset, times) in [
        ("red", 10, 0),
        ("blue", 11, 0),
        ("red", 12, 1),
        ("red", 13, 17),
        ("red", 14, 0),
    ] {
        encode(tag, offset, times, &mut body);
    }
    for broker in &cluster.brokers {
        let body = body.clone();
        broker.answer(move |got| match RequestCode(got.code) {
            RequestCode::GET_SUBSCRIPTIONGROUP_CONFIG => {
                Some(success().with_body(r#"{"groupName":"billing","retryMaxTimes":16}"#))
            }
            RequestCode::POP_MESSAGE => Some(
                success()
                    .with_field("popTime", now_millis().to_string())
                    .with_field("invisibleTime", "60000")
                    .with_field("reviveQid", "3")
                    .with_field("restNum", "0")
                    .with_field("startOffsetInfo", "0 0 10")
                    .with_field("msgOffsetInfo", "0 0 10,11,12,13,14")
                    .with_body(body.clone()),
            ),
            _ => None,
        });
    }
    let configs = Rc::<ConfigCache>::default();
    let (topic, group) = ("orders".to_owned(), "billing".to_owned());
    let consumer = Consumer::find(requests.caller(), &configs, topic, group).await;
    let consumer = consumer.unwrap();
    let from = requests.broker_to_read("orders", Some("broker-a")).await;
    let filter = Filter::new(false, "red").unwrap();
    let receive = Receive {
        client_id: "c",
        batch: 16,
        invisible: Duration::from_secs(60),
        wait: Duration::ZERO,
        filter,
        attempt_id: None,
        deadline: None,
    };
    let popped = requests.receive(&from.unwrap(), &consumer, &receive).await;
    let popped = popped.unwrap();
    let view = popped.view().unwrap();
    let answer = PopAnswer::read(&view, consumer.is_lite()).unwrap();
    let placed = RefCell::new(Vec::new());
    let unwanted = popped.sort(&view, &answer, &consumer, &filter, |message, popped, _| {
        assert_eq!(popped.attempt(message), message.reconsume_times + 1);
        let start = placed.borrow().len() * 100;
        placed.borrow_mut().push(Placed {
            start,
            end: start + 100,
            handle: popped.handle,
            lite_topic: None,
        });
    });
    let popping = Rc::new(popped.take().unwrap());
    requests.drop_unwanted(&consumer, unwanted);
    (Batch::new(popping, placed.take()), broker.clone())
}

/// The offsets of messages that were made visible again.
fn given_back(broker: &Broker) -> Vec<String> {
    let changed = broker.all(RequestCode::CHANGE_MESSAGE_INVISIBLETIME);
    let offset = |got: &Got| {
        assert_eq!(
            (got.field("invisibleTime"), got.field("suspend")),
            ("1", "true")
        );
        got.field("offset").to_owned()
    };
    changed.iter().map(offset).collect()
}

#[test]
fn what_was_not_written_as_a_whole_is_given_back() {
    run(async {
        let cluster = Cluster::start().await;
        let (mut batch, broker) = popped(&cluster, &cluster.requests()).await;
        let offsets = |batch: &Batch| batch.messages().len();
        assert_eq!(offsets(&batch), 3);
        let written = batch.written(199);
        assert_eq!((written.delivered, written.bytes), (1, 100));
        assert_eq!(written.lost.len(), 2);
        until(|| (given_back(&broker).len() == 2).then_some(())).await;
        assert_eq!(given_back(&broker), ["12", "14"]);
        // That is known once.
        drop(batch);
        yield_now().await;
        assert_eq!(given_back(&broker).len(), 2);
        // The tag only looks like a wanted one, and the fourth was delivered too often.
        until(|| (broker.all(RequestCode::ACK_MESSAGE).len() == 2).then_some(())).await;
        let acknowledged = broker.all(RequestCode::ACK_MESSAGE);
        assert_eq!(acknowledged[0].field("offset"), "11");
        let dead = broker.all(RequestCode::CONSUMER_SEND_MSG_BACK);
        assert_eq!(dead[0].field("offset"), "4724");
        assert_eq!(acknowledged[1].field("offset"), "13");
    });
}

#[test]
fn what_is_never_written_is_given_back() {
    run(async {
        let cluster = Cluster::start().await;
        let (batch, broker) = popped(&cluster, &cluster.requests()).await;
        drop(batch);
        until(|| (given_back(&broker).len() == 3).then_some(())).await;
    });
}

#[test]
fn messages_of_a_call_go_in_as_few_requests_as_may_be() {
    run(async {
        let cluster = Cluster::start().await;
        for broker in &cluster.brokers {
            broker.answer(|_| Some(stored()));
        }
        let requests = cluster.requests();
        let route = requests.caller().route("orders").await.unwrap();
        let messages: Vec<Outgoing> = ["", "", "order-1", "order-3"]
            .map(|group| message("orders", group))
            .into();
        let offsets = requests
            .send_all("orders", &route, &messages, None, |_, _, offset| offset)
            .await;
        let offsets: Vec<i64> = offsets.into_iter().map(Result::unwrap).collect();
        assert_eq!(offsets, [3, 4, 3, 3]);
        let count = |code| {
            let all = cluster.brokers.iter();
            all.map(|broker| broker.all(code).len()).sum::<usize>()
        };
        assert_eq!(count(RequestCode::SEND_BATCH_MESSAGE), 1);
        assert_eq!(count(RequestCode::SEND_MESSAGE_V2), 2);
    });
}
