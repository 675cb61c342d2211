//! Messages in order, whose answers are lost.

use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use grpc::proto::Duration as ProtoDuration;
use grpc::proto::{Code, Message, MessageType, ReceiveMessageRequest};
use h2::client;
use integration_tests::grpc_client::GrpcClient;
use integration_tests::rocketmq::{Group, MessageType as TopicType};
use integration_tests::scenario::Scenario;
use integration_tests::suite::TestFn;
use tokio::time::Instant;

use crate::common::{acknowledge, client, expect, message, receive, receiving, run, send_ok};

pub(crate) const TESTS: &[(&str, TestFn)] = &[
    ("a_repeated_attempt_gets_the_same_messages", repeated),
    (
        "an_answer_in_order_that_is_not_read_blocks_no_group",
        unread,
    ),
];

/// Enough for both brokers, each of which has one queue.
const GROUPS: usize = 6;

/// How long messages are invisible: longer than a test takes.
const INVISIBLE: i64 = 60_000;

/// Makes the topic and the group, and sends two messages of each message group.
async fn fill(it: &Scenario<'_>, client: &GrpcClient) -> Result<(String, String)> {
    let (topic, group) = (it.name("topic"), it.name("group"));
    it.cluster()
        .create_typed_topic(&topic, TopicType::Fifo, 1)?;
    it.cluster().create_group(Group {
        orderly: true,
        ..Group::new(&group)
    })?;
    for broker in it.cluster().brokers() {
        try_receive(client, &group, &topic, broker.name(), "before").await?;
    }
    for turn in 0..2 {
        for number in 0..GROUPS {
            let mut one = message(&topic, &format!("{number}-{turn}"));
            if let Some(system) = &mut one.system_properties {
                system.message_type = MessageType::Fifo.into();
                system.message_group = Some(format!("group-{number}"));
            }
            send_ok(client, one).await?;
        }
    }
    Ok((topic, group))
}

fn attempt(group: &str, topic: &str, broker: &str, id: &str) -> ReceiveMessageRequest {
    ReceiveMessageRequest {
        invisible_duration: Some(ProtoDuration::from_millis(INVISIBLE)),
        long_polling_timeout: Some(ProtoDuration::from_millis(1)),
        attempt_id: Some(id.to_owned()),
        ..receiving(group, topic, broker)
    }
}

/// What a receive without a long poll gets.
async fn try_receive(
    client: &GrpcClient,
    group: &str,
    topic: &str,
    broker: &str,
    id: &str,
) -> Result<Vec<Message>> {
    let request = attempt(group, topic, broker, id);
    let (status, messages) = receive(client, &request).await?;
    let code = match messages.is_empty() {
        true => Code::MessageNotFound,
        false => Code::Ok,
    };
    expect(status.as_ref(), code)?;
    Ok(messages)
}

fn bodies(messages: &[Message]) -> Vec<String> {
    let bodies = messages.iter().map(|message| &message.body);
    bodies
        .map(|body| String::from_utf8_lossy(body).into_owned())
        .collect()
}

/// Complaint 17: after an answer was lost, the same attempt gets the same messages in the same
/// order, and another one none; the queues of other brokers are not held up.
fn repeated(it: &Scenario<'_>) -> Result<()> {
    run(async {
        let client = client(it).await?;
        let (topic, group) = fill(it, &client).await?;
        let mut total = 0;
        for broker in it.cluster().brokers() {
            let get = async |id| try_receive(&client, &group, &topic, broker.name(), id).await;
            // The client library makes an id for each call, and keeps it for a repetition.
            let lost = get("one").await?;
            ensure!(lost.len() >= 2, "{:?}", bodies(&lost));
            total += lost.len();
            let other = get("other").await?;
            ensure!(other.is_empty(), "{:?} overtake", bodies(&other));
            let again = get("one").await?;
            ensure!(
                bodies(&again) == bodies(&lost),
                "{:?} instead of {:?}",
                bodies(&again),
                bodies(&lost)
            );
            let attempts = again.iter().map(|message| {
                let system = message.system_properties.as_ref();
                system.and_then(|system| system.delivery_attempt)
            });
            let attempts: Vec<_> = attempts.collect();
            ensure!(attempts.iter().all(|nth| *nth == Some(1)), "{attempts:?}");
            for message in &again {
                let answer = acknowledge(&client, &group, &topic, message).await?;
                expect(answer.status.as_ref(), Code::Ok)?;
            }
            let after = get("one").await?;
            ensure!(after.is_empty(), "{:?} come again", bodies(&after));
        }
        ensure!(total == 2 * GROUPS, "{total} messages");
        Ok(())
    })
}

/// Complaint 17: what a client leaves unread is free for the next one long before its time.
fn unread(it: &Scenario<'_>) -> Result<()> {
    run(async {
        let other = client(it).await?;
        let (topic, group) = fill(it, &other).await?;
        let mut builder = client::Builder::new();
        builder.initial_window_size(0);
        let address = it.target().name_server.parse()?;
        let shut = GrpcClient::connect_with(address, &it.name("shut"), builder).await?;
        let broker = it.cluster().brokers().first().context("no broker")?;
        let request = attempt(&group, &topic, broker.name(), "shut");
        let open = shut.open("ReceiveMessage", &request).await?;
        tokio::time::sleep(Duration::from_secs(1)).await;
        let held = try_receive(&other, &group, &topic, broker.name(), "early").await?;
        ensure!(held.is_empty(), "the first client had nothing");
        drop((open, shut));
        let begun = Instant::now();
        loop {
            let got = try_receive(&other, &group, &topic, broker.name(), "later").await?;
            if got.len() >= 2 {
                return Ok(());
            }
            let time = begun.elapsed();
            ensure!(time < Duration::from_secs(15), "blocked for {time:?}");
            tokio::time::sleep(Duration::from_millis(300)).await;
        }
    })
}
