//! Messages that are given up.

use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use grpc::proto::Duration as ProtoDuration;
use grpc::proto::{
    Code, ForwardMessageToDeadLetterQueueRequest, ForwardMessageToDeadLetterQueueResponse,
    ReceiveMessageRequest,
};
use integration_tests::fake::request;
use integration_tests::grpc_client::GrpcClient;
use integration_tests::raw::RawConnection;
use integration_tests::rocketmq::Group;
use integration_tests::scenario::Scenario;
use integration_tests::suite::TestFn;
use remoting_codec::RequestCode;
use tokio::time::Instant;

use crate::common::{
    begin, client, client_named, expect, handle, message, receive, receiving, resource, run,
    send_ok,
};
use crate::presence::{consuming, present};

pub(crate) const TESTS: &[(&str, TestFn)] = &[
    ("a_dead_letter_is_not_delivered_again", a_dead_letter),
    ("without_retries_there_is_a_first_delivery", no_retries),
];

/// By when the messages of a client that has crashed are delivered to the next consumer: Remora
/// waits for the client to connect again, and the broker alone takes 3 to 6 s.
const RETURNED: Duration = Duration::from_secs(60);

/// How many dead letters a group has.
fn dead_letters(it: &Scenario<'_>, group: &str) -> Result<i64> {
    let topic = format!("%DLQ%{group}");
    let mut count = 0;
    for broker in it.cluster().brokers() {
        let fields = [("topic", &*topic), ("queueId", "0")];
        let ask = request(RequestCode::GET_MAX_OFFSET, 1, &fields);
        let answer = RawConnection::connect(broker.address())?.call(&ask)?;
        if let Some(offset) = answer.field("offset") {
            count += offset.parse::<i64>()?;
        }
    }
    Ok(count)
}

/// Receives once from each broker.
async fn sweep(
    it: &Scenario<'_>,
    client: &GrpcClient,
    group: &str,
    topic: &str,
) -> Result<Vec<String>> {
    let mut bodies = Vec::new();
    for broker in it.cluster().brokers() {
        let request = ReceiveMessageRequest {
            long_polling_timeout: Some(ProtoDuration::from_millis(1)),
            ..receiving(group, topic, broker.name())
        };
        let (_, messages) = receive(client, &request).await?;
        let texts = messages.iter().map(|message| &message.body);
        bodies.extend(texts.map(|body| String::from_utf8_lossy(body).into_owned()));
    }
    Ok(bodies)
}

/// Complaint 16: a push consumer gives up a message and crashes. What it still had returns to
/// another member; the dead letter does not, and there is one of it.
fn a_dead_letter(it: &Scenario<'_>) -> Result<()> {
    let topic = it.topic()?;
    run(async {
        let (client, other) = (client(it).await?, client_named(it, "other").await?);
        let group = it.name("group");
        begin(it, &client, &group, &topic).await?;
        let stream = present(&client, consuming(&group, &topic)).await?;
        send_ok(&client, message(&topic, "dead")).await?;
        send_ok(&client, message(&topic, "held")).await?;
        let mut got = Vec::new();
        let begun = Instant::now();
        while got.len() < 2 {
            for broker in it.cluster().brokers() {
                let request = ReceiveMessageRequest {
                    auto_renew: true,
                    long_polling_timeout: Some(ProtoDuration::from_millis(500)),
                    ..receiving(&group, &topic, broker.name())
                };
                got.extend(receive(&client, &request).await?.1);
            }
            ensure!(begun.elapsed() < Duration::from_secs(30), "{got:?}");
        }
        let dead = got.iter().find(|message| message.body == "dead".as_bytes());
        let request = ForwardMessageToDeadLetterQueueRequest {
            group: resource(&group),
            topic: resource(&topic),
            receipt_handle: handle(dead.context("no message")?),
            message_id: "dead".to_owned(),
            delivery_attempt: 17,
            max_delivery_attempts: 17,
            lite_topic: None,
        };
        let answer: ForwardMessageToDeadLetterQueueResponse = client
            .unary("ForwardMessageToDeadLetterQueue", &request)
            .await?;
        expect(answer.status.as_ref(), Code::Ok)?;
        ensure!(dead_letters(it, &group)? == 1, "no dead letter");
        drop((stream, client));
        let begun = Instant::now();
        let mut returned = Vec::new();
        while returned.is_empty() {
            let time = begun.elapsed();
            ensure!(time < RETURNED, "nothing returns in {time:?}");
            tokio::time::sleep(Duration::from_millis(500)).await;
            returned.extend(sweep(it, &other, &group, &topic).await?);
        }
        // Both would be given back in the same moment.
        tokio::time::sleep(Duration::from_secs(3)).await;
        returned.extend(sweep(it, &other, &group, &topic).await?);
        ensure!(returned == ["held"], "{returned:?}");
        ensure!(dead_letters(it, &group)? == 1, "several dead letters");
        Ok(())
    })
}

/// Complaint 16: a group whose messages are delivered once gets them that one time.
fn no_retries(it: &Scenario<'_>) -> Result<()> {
    let topic = it.topic()?;
    let group = it.name("group");
    it.cluster().create_group(Group {
        retries: 0,
        ..Group::new(&group)
    })?;
    run(async {
        let client = client(it).await?;
        begin(it, &client, &group, &topic).await?;
        send_ok(&client, message(&topic, "m")).await?;
        let mut got = Vec::new();
        let begun = Instant::now();
        while got.is_empty() {
            for broker in it.cluster().brokers() {
                let request = ReceiveMessageRequest {
                    invisible_duration: Some(ProtoDuration::from_millis(10_000)),
                    long_polling_timeout: Some(ProtoDuration::from_millis(500)),
                    ..receiving(&group, &topic, broker.name())
                };
                got.extend(receive(&client, &request).await?.1);
            }
            ensure!(begun.elapsed() < Duration::from_secs(30), "no delivery");
        }
        ensure!(dead_letters(it, &group)? == 0, "it is a dead letter, too");
        // It is not acknowledged: when it would be delivered again, it is a dead letter.
        let begun = Instant::now();
        while dead_letters(it, &group)? == 0 {
            let again = sweep(it, &client, &group, &topic).await?;
            ensure!(again.is_empty(), "{again:?} came again");
            let time = begun.elapsed();
            ensure!(time < Duration::from_secs(40), "no dead letter");
            tokio::time::sleep(Duration::from_millis(500)).await;
        }
        let again = sweep(it, &client, &group, &topic).await?;
        ensure!(again.is_empty(), "{again:?} came again");
        Ok(())
    })
}
