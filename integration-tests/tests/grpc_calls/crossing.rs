//! Messages that are sent by one protocol and consumed by the other.

use std::collections::HashMap;
use std::net::{Ipv4Addr, SocketAddr};

use anyhow::{Context as _, Result, ensure};
use grpc::proto::Duration as ProtoDuration;
use grpc::proto::{
    ChangeInvisibleDurationRequest, ChangeInvisibleDurationResponse, Code, Message, MessageType,
};
use h2::client::Builder;
use integration_tests::delivery::wait_tries;
use integration_tests::grpc_client::GrpcClient;
use integration_tests::http_client::{Answer, Request};
use integration_tests::scenario::Scenario;
use integration_tests::suite::TestFn;
use serde_json::{Value, json};
use tokio::net::TcpSocket;

use crate::common::{
    acknowledge, begin, client, expect, handle, message, receive_all, resource, run, send_ok,
};

pub(crate) const TESTS: &[(&str, TestFn)] = &[
    ("messages_cross_from_grpc", from_grpc),
    ("messages_cross_to_grpc", to_grpc),
    ("messages_cross_from_http_to_grpc", from_http_to_grpc),
    ("messages_cross_from_grpc_to_http", from_grpc_to_http),
];

/// The address of a client that has one of its own: brokers see Remora's, 127.0.0.1.
const OWN: Ipv4Addr = Ipv4Addr::new(127, 0, 0, 9);

/// A remoting consumer gets everything that a gRPC producer has set, with each attempt, and the
/// producer's own address.
fn from_grpc(it: &Scenario<'_>) -> Result<()> {
    let topic = it.topic()?;
    let consumer = it.push_consumer(&topic).option("fail-times", 1).start()?;
    run(async {
        let socket = TcpSocket::new_v4()?;
        socket.bind(SocketAddr::from((OWN, 0)))?;
        let stream = socket.connect(it.target().name_server.parse()?).await?;
        let id = it.name("client");
        let producer = GrpcClient::connect_over(stream, &id, Builder::new()).await?;
        let mut sent = message(&topic, "m");
        if let Some(system) = &mut sent.system_properties {
            system.keys.push("other".to_owned());
        }
        send_ok(&producer, sent).await?;
        Ok(())
    })?;
    wait_tries(&consumer, &["m".to_owned()], 2)?;
    for got in consumer.received() {
        ensure!(got.topic == topic && got.id == "m", "{got:?}");
        ensure!(got.tag.as_deref() == Some("tag"), "{got:?}");
        ensure!(got.keys == ["key", "other"], "{got:?}");
        let own = got.properties.get("own").map(String::as_str);
        ensure!(own == Some("property"), "{got:?}");
        let born_host = got.born_host.as_deref().unwrap_or_default();
        ensure!(born_host.starts_with(&format!("{OWN}:")), "{got:?}");
    }
    it.stop([consumer])
}

/// A gRPC consumer gets everything that a remoting producer has set, with each attempt. As its
/// address it gets the one that brokers see: only a proxy could note another, and none did.
fn to_grpc(it: &Scenario<'_>) -> Result<()> {
    let topic = it.topic()?;
    let mut producer = it.producer().start()?;
    let group = it.name("group");
    run(async { begin(it, &client(it).await?, &group, &topic).await })?;
    let options = [("key", "key other"), ("tags", "red")];
    producer.send(&topic, "m", 1, &options)?;
    let sent = producer.sent().pop().context("nothing was sent")?;
    let id = sent.id.context("a send returns the id")?;
    run(async {
        let client = client(it).await?;
        let got = receive_all(it, &client, &group, &topic, 1).await?;
        let first = got.first().context("no message")?;
        ensure_is_of_remoting(first, &topic, &id, 1)?;
        let change = ChangeInvisibleDurationRequest {
            group: resource(&group),
            topic: resource(&topic),
            receipt_handle: handle(first),
            invisible_duration: Some(ProtoDuration::from_millis(1_000)),
            message_id: id.clone(),
            ..ChangeInvisibleDurationRequest::default()
        };
        let changed: ChangeInvisibleDurationResponse =
            client.unary("ChangeInvisibleDuration", &change).await?;
        expect(changed.status.as_ref(), Code::Ok)?;
        let got = receive_all(it, &client, &group, &topic, 1).await?;
        let again = got.first().context("no message")?;
        ensure_is_of_remoting(again, &topic, &id, 2)?;
        let done = acknowledge(&client, &group, &topic, again).await?;
        expect(done.status.as_ref(), Code::Ok)
    })?;
    it.stop([producer])
}

fn ensure_is_of_remoting(got: &Message, topic: &str, id: &str, attempt: i32) -> Result<()> {
    ensure!(got.topic == resource(topic), "{:?}", got.topic);
    ensure!(got.body.starts_with(b"m-0"), "{:?}", got.body);
    let number = ("number".to_owned(), "0".to_owned());
    let own = &got.user_properties;
    ensure!(*own == HashMap::from([number]), "{own:?}");
    let system = got.system_properties.as_ref().context("no properties")?;
    ensure!(system.message_id == id, "{system:?}");
    ensure!(system.tag.as_deref() == Some("red"), "{system:?}");
    ensure!(system.keys == ["key", "other"], "{system:?}");
    ensure!(system.delivery_attempt == Some(attempt), "{system:?}");
    ensure!(system.born_host == "127.0.0.1", "{system:?}");
    ensure!(system.born_timestamp.is_some(), "{system:?}");
    let normal = i32::from(MessageType::Normal);
    ensure!(system.message_type == normal, "{system:?}");
    Ok(())
}

/// Asks the suite's Remora by HTTP.
async fn by_http(it: &Scenario<'_>, status: u16, path: &str, body: String) -> Result<Answer> {
    let request = Request::new("POST", format!("/v1/topics/{path}")).body(body);
    let answer = request.send(it.target().name_server.parse()?).await?;
    ensure!(answer.status == status, "{answer:?}");
    Ok(answer)
}

/// A gRPC consumer gets everything that a producer by HTTP has set.
fn from_http_to_grpc(it: &Scenario<'_>) -> Result<()> {
    let (topic, group) = (it.topic()?, it.name("group"));
    run(async {
        let client = client(it).await?;
        begin(it, &client, &group, &topic).await?;
        let target = format!("{topic}/messages?tag=red&key=key&key=other&property=own=x");
        let sent = by_http(it, 201, &target, "m".to_owned()).await?.json()?;
        let got = receive_all(it, &client, &group, &topic, 1).await?;
        let got = got.first().context("no message")?;
        ensure!(&*got.body == b"m", "{:?}", got.body);
        let own = got.user_properties.get("own").map(String::as_str);
        ensure!(own == Some("x"), "{:?}", got.user_properties);
        let system = got.system_properties.as_ref().context("no properties")?;
        let id = sent.get("messageId").and_then(Value::as_str);
        ensure!(Some(system.message_id.as_str()) == id, "{system:?} {sent}");
        ensure!(system.tag.as_deref() == Some("red"), "{system:?}");
        ensure!(system.keys == ["key", "other"], "{system:?}");
        ensure!(system.delivery_attempt == Some(1), "{system:?}");
        let done = acknowledge(&client, &group, &topic, got).await?;
        expect(done.status.as_ref(), Code::Ok)
    })
}

/// A consumer by HTTP gets everything that a gRPC producer has set, and settles it.
fn from_grpc_to_http(it: &Scenario<'_>) -> Result<()> {
    let (topic, group) = (it.topic()?, it.name("group"));
    let pull = format!("{topic}/groups/{group}/messages:pull");
    let settle = format!("{topic}/groups/{group}/messages:ack");
    run(async {
        // From now on, brokers know the group.
        by_http(it, 200, &pull, json!({"wait": "3s"}).to_string()).await?;
        send_ok(&client(it).await?, message(&topic, "m")).await?;
        let asked = json!({"wait": "10s", "max": 1}).to_string();
        let answer = by_http(it, 200, &pull, asked).await?.json()?;
        let got = answer.pointer("/messages/0").context("no message")?;
        for (name, expected) in [
            ("body", json!("m")),
            ("messageId", json!("m")),
            ("tag", json!("tag")),
            ("keys", json!(["key"])),
            ("attempt", json!(1)),
        ] {
            ensure!(got.get(name) == Some(&expected), "{name} of {got}");
        }
        let own = got.pointer("/properties/own");
        ensure!(own == Some(&json!("property")), "{got}");
        let acks = json!({"acks": [got.get("handle")]}).to_string();
        let settled = by_http(it, 200, &settle, acks).await?.json()?;
        let ok = settled.pointer("/results/0/ok");
        ensure!(ok == Some(&json!(true)), "{settled}");
        Ok(())
    })
}
