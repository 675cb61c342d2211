//! Lite topics: many within one topic, to which clients subscribe one by one.

use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use bytes::Bytes;
use grpc::proto::Duration as ProtoDuration;
use grpc::proto::{
    AckMessageEntry, AckMessageRequest, AckMessageResponse, ClientType, Code, Command, Message,
    MessageType, NotifyClientTerminationRequest, NotifyClientTerminationResponse,
    ReceiveMessageRequest, Settings, SyncLiteSubscriptionRequest, SyncLiteSubscriptionResponse,
    TelemetryCommand,
};
use integration_tests::fake::request;
use integration_tests::grpc_client::GrpcClient;
use integration_tests::raw::RawConnection;
use integration_tests::rocketmq::{Group, MessageType as TopicType};
use integration_tests::scenario::Scenario;
use integration_tests::suite::TestFn;
use remoting_codec::RequestCode;
use serde_json::Value;
use tokio::time::{Instant, timeout};

use crate::common::{
    begin, client, client_named, expect, message, receive, receiving, resource, run, send_ok,
};
use crate::delivery::BACK;
use crate::presence::{consuming, present};

pub(crate) const TESTS: &[(&str, TestFn)] = &[
    (
        "lite_subscriptions_end_with_their_client",
        subscriptions_end,
    ),
    ("lite_topics_need_no_stream", without_a_stream),
    ("a_lite_topic_moves_to_another_client", a_topic_moves),
    ("lite_subscriptions_that_cannot_be", wrong_subscriptions),
    ("queues_of_lite_topics_are_consumed", queues_of_lite_topics),
];

/// `GET_LITE_CLIENT_INFO`: what a broker keeps of a client's subscriptions.
const CLIENT_INFO: RequestCode = RequestCode(200_077);

/// Actions of SyncLiteSubscription.
const PARTIAL_ADD: i32 = 0;
const PARTIAL_REMOVE: i32 = 1;

/// A topic with lite topics, and a group that consumes them.
fn lite(it: &Scenario<'_>, exclusive: bool) -> Result<(String, String)> {
    let (topic, group) = (it.name("topic"), it.name("group"));
    it.cluster()
        .create_typed_topic(&topic, TopicType::Lite, 1)?;
    it.cluster().create_group(Group {
        lite_topic: Some(&topic),
        exclusive,
        ..Group::new(&group)
    })?;
    Ok((topic, group))
}

fn change(topic: &str, group: &str, action: i32, of: &[&str]) -> SyncLiteSubscriptionRequest {
    SyncLiteSubscriptionRequest {
        action,
        topic: resource(topic),
        group: resource(group),
        lite_topic_set: of.iter().map(|&name| name.to_owned()).collect(),
        version: Some(1),
        offset_option: None,
    }
}

async fn sync(
    client: &GrpcClient,
    change: &SyncLiteSubscriptionRequest,
) -> Result<SyncLiteSubscriptionResponse> {
    client.unary("SyncLiteSubscription", change).await
}

/// A message of a lite topic.
fn of_lite(topic: &str, lite_topic: &str, body: &str) -> Message {
    let mut message = message(topic, body);
    if let Some(system) = &mut message.system_properties {
        system.message_type = MessageType::Lite.into();
        system.lite_topic = Some(lite_topic.to_owned());
    }
    message
}

/// Receives from each broker in turn until a message is there.
async fn receive_one(
    it: &Scenario<'_>,
    client: &GrpcClient,
    group: &str,
    topic: &str,
) -> Result<Message> {
    let until = Instant::now() + Duration::from_secs(30);
    while Instant::now() < until {
        for broker in it.cluster().brokers() {
            let request = ReceiveMessageRequest {
                batch_size: 1,
                long_polling_timeout: Some(ProtoDuration::from_millis(1_000)),
                ..receiving(group, topic, broker.name())
            };
            if let Some(first) = receive(client, &request).await?.1.into_iter().next() {
                return Ok(first);
            }
        }
    }
    anyhow::bail!("no message")
}

async fn receive_for_a_second(
    it: &Scenario<'_>,
    client: &GrpcClient,
    group: &str,
    topic: &str,
) -> Result<Vec<Message>> {
    let mut all = Vec::new();
    for broker in it.cluster().brokers() {
        let request = ReceiveMessageRequest {
            long_polling_timeout: Some(ProtoDuration::from_millis(1_000)),
            ..receiving(group, topic, broker.name())
        };
        all.extend(receive(client, &request).await?.1);
    }
    Ok(all)
}

async fn acknowledge(
    client: &GrpcClient,
    group: &str,
    topic: &str,
    message: &Message,
) -> Result<()> {
    let system = message.system_properties.clone().unwrap_or_default();
    let request = AckMessageRequest {
        group: resource(group),
        topic: resource(topic),
        entries: vec![AckMessageEntry {
            message_id: system.message_id,
            receipt_handle: system.receipt_handle.unwrap_or_default(),
            lite_topic: system.lite_topic,
        }],
    };
    let answer: AckMessageResponse = client.unary("AckMessage", &request).await?;
    expect(answer.status.as_ref(), Code::Ok)
}

/// How many lite topics the brokers keep for a client, in all; -1 for each that knows none.
fn subscribed(it: &Scenario<'_>, topic: &str, group: &str, client_id: &str) -> Result<i64> {
    let mut count = 0;
    for broker in it.cluster().brokers() {
        let fields = [
            ("parentTopic", topic),
            ("group", group),
            ("clientId", client_id),
            ("maxCount", "10"),
        ];
        let ask = request(CLIENT_INFO, 1, &fields);
        let answer = RawConnection::connect(broker.address())?.call(&ask)?;
        ensure!(answer.is_success(), "{:?}", answer.remark);
        let body: Value = serde_json::from_slice(&answer.body)?;
        count += body
            .get("liteTopicCount")
            .and_then(Value::as_i64)
            .context("no count")?;
    }
    Ok(count)
}

/// A client that says goodbye is unsubscribed at once; one that does not, when no broker has seen
/// it for half a minute.
fn subscriptions_end(it: &Scenario<'_>) -> Result<()> {
    let (topic, group) = lite(it, false)?;
    run(async {
        let settings = Settings {
            client_type: Some(ClientType::LitePushConsumer.into()),
            ..consuming(&group, &topic)
        };
        let subscribe = change(&topic, &group, PARTIAL_ADD, &["red", "blue"]);
        let none = -i64::try_from(it.cluster().brokers().len())?;
        let count = |name: &str| subscribed(it, &topic, &group, &it.name(name));

        let polite = client_named(it, "polite").await?;
        let _stream = present(&polite, settings.clone()).await?;
        let answer = sync(&polite, &subscribe).await?;
        expect(answer.status.as_ref(), Code::Ok)?;
        let before = count("polite")?;
        ensure!(before >= 2, "{before}");
        let bye = NotifyClientTerminationRequest {
            group: resource(&group),
        };
        let answer: NotifyClientTerminationResponse =
            polite.unary("NotifyClientTermination", &bye).await?;
        expect(answer.status.as_ref(), Code::Ok)?;
        tokio::time::sleep(Duration::from_secs(3)).await;
        ensure!(count("polite")? == none, "{}", count("polite")?);

        let crashed = client_named(it, "crashed").await?;
        let stream = present(&crashed, settings).await?;
        let answer = sync(&crashed, &subscribe).await?;
        expect(answer.status.as_ref(), Code::Ok)?;
        drop((stream, crashed));
        tokio::time::sleep(Duration::from_secs(5)).await;
        ensure!(count("crashed")? == before, "{}", count("crashed")?);
        let until = Instant::now() + Duration::from_secs(60);
        while count("crashed")? != none {
            ensure!(Instant::now() < until, "{}", count("crashed")?);
            tokio::time::sleep(Duration::from_secs(1)).await;
        }
        Ok(())
    })
}

/// Subscriptions are kept by the client's id: any connection changes them, receives, and
/// acknowledges. Of a poll that is cancelled as it is answered, the messages are given back.
fn without_a_stream(it: &Scenario<'_>) -> Result<()> {
    let (topic, group) = lite(it, false)?;
    run(async {
        let one = client(it).await?;
        let same = client(it).await?;
        let subscribe = change(&topic, &group, PARTIAL_ADD, &["red"]);
        expect(sync(&one, &subscribe).await?.status.as_ref(), Code::Ok)?;
        for (lite_topic, body) in [("red", "m0"), ("blue", "not-wanted"), ("red", "m1")] {
            send_ok(&one, of_lite(&topic, lite_topic, body)).await?;
        }
        for expected in ["m0", "m1"] {
            let got = receive_one(it, &same, &group, &topic).await?;
            ensure!(got.body == expected.as_bytes(), "{got:?}");
            let system = got.system_properties.as_ref().context("no properties")?;
            ensure!(system.lite_topic.as_deref() == Some("red"), "{system:?}");
            ensure!(system.delivery_attempt == Some(1), "{system:?}");
            acknowledge(&one, &group, &topic, &got).await?;
        }

        let mut polls = Vec::new();
        for broker in it.cluster().brokers() {
            let request = ReceiveMessageRequest {
                invisible_duration: Some(ProtoDuration::from_millis(60_000)),
                long_polling_timeout: Some(ProtoDuration::from_millis(20_000)),
                ..receiving(&group, &topic, broker.name())
            };
            polls.push(one.open("ReceiveMessage", &request).await?);
        }
        tokio::time::sleep(Duration::from_millis(300)).await;
        for (_, stream) in &mut polls {
            stream.send_reset(h2::Reason::CANCEL);
        }
        send_ok(&one, of_lite(&topic, "red", "m2")).await?;
        let begun = Instant::now();
        let got = receive_one(it, &same, &group, &topic).await?;
        ensure!(got.body == "m2".as_bytes(), "{got:?}");
        let time = begun.elapsed();
        ensure!(time < Duration::from_secs(10), "after {time:?}");
        acknowledge(&same, &group, &topic, &got).await?;

        // With each acknowledgement, the broker notes the topic for the client again: the next poll
        // finds it empty.
        let nothing = receive_for_a_second(it, &same, &group, &topic).await?;
        ensure!(nothing.is_empty(), "{nothing:?}");
        let remove = change(&topic, &group, PARTIAL_REMOVE, &["red"]);
        expect(sync(&same, &remove).await?.status.as_ref(), Code::Ok)?;
        send_ok(&one, of_lite(&topic, "red", "too-late")).await?;
        let nothing = receive_for_a_second(it, &same, &group, &topic).await?;
        ensure!(nothing.is_empty(), "{nothing:?}");
        Ok(())
    })
}

/// In a group whose members have lite topics for themselves, the last one gets it, and the one
/// before is notified on its Telemetry stream.
fn a_topic_moves(it: &Scenario<'_>) -> Result<()> {
    let (topic, group) = lite(it, true)?;
    run(async {
        let settings = Settings {
            client_type: Some(ClientType::LitePushConsumer.into()),
            ..consuming(&group, &topic)
        };
        let (one, other) = (client(it).await?, client_named(it, "other").await?);
        let (mut answers, _stream) = present(&one, settings.clone()).await?;
        let _other_stream = present(&other, settings).await?;
        let subscribe = change(&topic, &group, PARTIAL_ADD, &["red"]);
        expect(sync(&one, &subscribe).await?.status.as_ref(), Code::Ok)?;
        expect(sync(&other, &subscribe).await?.status.as_ref(), Code::Ok)?;
        let notice = timeout(
            Duration::from_secs(10),
            answers.message::<TelemetryCommand>(),
        );
        let notice = notice.await.context("no command")??;
        let Some(Command::NotifyUnsubscribeLite(ended)) = notice.command else {
            anyhow::bail!("{notice:?}");
        };
        ensure!(ended.lite_topic == "red", "{ended:?}");
        send_ok(&one, of_lite(&topic, "red", "m")).await?;
        let got = receive_one(it, &other, &group, &topic).await?;
        acknowledge(&other, &group, &topic, &got).await
    })
}

fn wrong_subscriptions(it: &Scenario<'_>) -> Result<()> {
    let (topic, group) = lite(it, false)?;
    let other = it.name("other");
    it.cluster()
        .create_typed_topic(&other, TopicType::Normal, 1)?;
    run(async {
        let client = client(it).await?;
        for (change, code) in [
            (
                change(&topic, &group, PARTIAL_ADD, &["no/name"]),
                Code::IllegalLiteTopic,
            ),
            (change(&topic, &group, 9, &["red"]), Code::BadRequest),
            (
                change("no_such_topic", &group, PARTIAL_ADD, &["red"]),
                Code::TopicNotFound,
            ),
            (
                change(&topic, "no group", PARTIAL_ADD, &["red"]),
                Code::IllegalConsumerGroup,
            ),
        ] {
            let answer = sync(&client, &change).await?;
            expect(answer.status.as_ref(), code)?;
        }
        // A message of a lite topic in a topic without any, and the other way round.
        for message in [of_lite(&other, "red", "m"), message(&topic, "m")] {
            let answer = crate::common::send(&client, message).await?;
            expect(
                answer.status.as_ref(),
                Code::MessagePropertyConflictWithType,
            )?;
        }
        Ok(())
    })
}

/// A group that is not bound to the topic consumes its queues, in which the messages of all lite
/// topics are. They are acknowledged, and given back, as those of any queue, although each names
/// its lite topic, and clients name it with what they acknowledge.
fn queues_of_lite_topics(it: &Scenario<'_>) -> Result<()> {
    const INVISIBLE: u64 = 10;
    let (topic, _) = lite(it, false)?;
    let group = it.name("queues");
    it.cluster().create_group(Group::new(&group))?;
    run(async {
        let (client, other) = (client(it).await?, client_named(it, "other").await?);
        begin(it, &client, &group, &topic).await?;
        for (lite_topic, body) in [("red", "m0"), ("blue", "m1")] {
            send_ok(&client, of_lite(&topic, lite_topic, body)).await?;
        }
        let request = |broker: &str, wait| ReceiveMessageRequest {
            invisible_duration: Some(ProtoDuration::from_millis(INVISIBLE as i64 * 1_000)),
            long_polling_timeout: Some(ProtoDuration::from_millis(wait)),
            ..receiving(&group, &topic, broker)
        };
        let mut got = Vec::new();
        for broker in it.cluster().brokers().iter().cycle().take(8) {
            if got.len() < 2 {
                got.extend(receive(&client, &request(broker.name(), 1_000)).await?.1);
            }
        }
        let mut found: Vec<_> = got.iter().map(of).collect();
        found.sort();
        let expected = [("m0", "red", 1), ("m1", "blue", 1)];
        let expected = expected.map(|(body, lite_topic, attempt)| {
            (
                Bytes::from_static(body.as_bytes()),
                Some(lite_topic.to_owned()),
                Some(attempt),
            )
        });
        ensure!(found == expected, "{found:?}");
        for message in &got {
            acknowledge(&client, &group, &topic, message).await?;
        }

        // Those that a poll is cancelled over are given back; those that were acknowledged do not
        // return when their time is over.
        let mut polls = Vec::new();
        for broker in it.cluster().brokers() {
            let request = ReceiveMessageRequest {
                invisible_duration: Some(ProtoDuration::from_millis(120_000)),
                ..request(broker.name(), 20_000)
            };
            polls.push(client.open("ReceiveMessage", &request).await?);
        }
        tokio::time::sleep(Duration::from_millis(300)).await;
        for (_, stream) in &mut polls {
            stream.send_reset(h2::Reason::CANCEL);
        }
        send_ok(&client, of_lite(&topic, "red", "m2")).await?;
        drop(polls);
        let begun = Instant::now();
        let got = receive_one(it, &other, &group, &topic).await?;
        ensure!(got.body == "m2".as_bytes(), "{got:?}");
        let time = begun.elapsed();
        ensure!(time < BACK, "after {time:?}");
        acknowledge(&other, &group, &topic, &got).await?;
        tokio::time::sleep(Duration::from_secs(2 * INVISIBLE)).await;
        let more = receive_for_a_second(it, &other, &group, &topic).await?;
        ensure!(more.is_empty(), "{more:?}");
        Ok(())
    })
}

/// A message's body, lite topic and delivery attempt.
fn of(message: &Message) -> (Bytes, Option<String>, Option<i32>) {
    let system = message.system_properties.as_ref();
    let lite_topic = system.and_then(|system| system.lite_topic.clone());
    let attempt = system.and_then(|system| system.delivery_attempt);
    (message.body.clone(), lite_topic, attempt)
}
