//! Clients with a Telemetry stream: consoles see them, and brokers ask them.

use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use bytes::Bytes;
use grpc::proto::Duration as ProtoDuration;
use grpc::proto::{
    Code, Command, EndTransactionRequest, EndTransactionResponse, MessageType, PubSub, Publishing,
    Settings, Subscription, SubscriptionEntry, TelemetryCommand, TransactionResolution,
};
use h2::SendStream;
use integration_tests::fake::request;
use integration_tests::grpc_client::{Answers, GrpcClient, framed, path, send_all};
use integration_tests::raw::RawConnection;
use integration_tests::scenario::Scenario;
use integration_tests::suite::TestFn;
use remoting_codec::RequestCode;
use tokio::time::timeout;

use crate::common::{
    begin, client, client_named, expect, message, receive_all, resource, run, send,
};

pub(crate) const TESTS: &[(&str, TestFn)] = &[
    (
        "brokers_know_a_consumer_while_its_stream_is_open",
        brokers_know_a_consumer,
    ),
    ("settings_that_cannot_be_end_the_stream", wrong_settings),
    (
        "an_undecided_transaction_is_asked_about",
        an_undecided_transaction,
    ),
];

/// A stream whose settings were answered.
pub(crate) async fn present(
    client: &GrpcClient,
    settings: Settings,
) -> Result<(Answers, SendStream<Bytes>)> {
    let (answer, mut stream) = client.begin(&path("Telemetry")).await?;
    let command = TelemetryCommand {
        status: None,
        command: Some(Command::Settings(settings)),
    };
    send_all(&mut stream, framed(&command), false).await?;
    let mut answers = Answers::of(answer).await?;
    let answer: TelemetryCommand = answers.message().await?;
    expect(answer.status.as_ref(), Code::Ok)?;
    ensure!(
        matches!(answer.command, Some(Command::Settings(_))),
        "{answer:?}"
    );
    Ok((answers, stream))
}

pub(crate) fn producing(topic: &str) -> Settings {
    Settings {
        client_type: Some(1),
        pub_sub: Some(PubSub::Publishing(Publishing {
            topics: resource(topic).into_iter().collect(),
            ..Publishing::default()
        })),
        ..Settings::default()
    }
}

pub(crate) fn consuming(group: &str, topic: &str) -> Settings {
    Settings {
        client_type: Some(2),
        pub_sub: Some(PubSub::Subscription(Subscription {
            group: resource(group),
            subscriptions: vec![SubscriptionEntry {
                topic: resource(topic),
                expression: None,
            }],
            ..Subscription::default()
        })),
        ..Settings::default()
    }
}

/// What a broker knows of the members of a group.
fn members(it: &Scenario<'_>, broker: usize, group: &str) -> Result<String> {
    let broker = it.cluster().brokers().get(broker).context("no broker")?;
    let code = RequestCode::GET_CONSUMER_CONNECTION_LIST;
    let ask = request(code, 1, &[("consumerGroup", group)]);
    let answer = RawConnection::connect(broker.address())?.call(&ask)?;
    Ok(String::from_utf8_lossy(&answer.body).into_owned())
}

/// Complaint 21.
fn brokers_know_a_consumer(it: &Scenario<'_>) -> Result<()> {
    let topic = it.topic()?;
    run(async {
        let (client, group) = (client(it).await?, it.name("group"));
        let (answers, stream) = present(&client, consuming(&group, &topic)).await?;
        let id = it.name("client");
        for broker in 0..2 {
            let mut seen = String::new();
            for _ in 0..50 {
                seen = members(it, broker, &group)?;
                if seen.contains(&id) {
                    break;
                }
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
            ensure!(seen.contains(&id), "not at broker {broker}: {seen}");
            ensure!(seen.contains("JAVA") && seen.contains(&topic), "{seen}");
        }
        drop((answers, stream));
        for broker in 0..2 {
            let mut seen = id.clone();
            for _ in 0..50 {
                seen = members(it, broker, &group)?;
                if !seen.contains(&id) {
                    break;
                }
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
            ensure!(!seen.contains(&id), "still at broker {broker}: {seen}");
        }
        Ok(())
    })
}

/// Complaint 24: what comes first on the stream may be anything.
fn wrong_settings(it: &Scenario<'_>) -> Result<()> {
    run(async {
        let client = client(it).await?;
        let wrong = [
            Settings::default(),
            consuming("a group", "topic"),
            producing("no/topic"),
        ];
        for settings in wrong {
            let (answer, mut stream) = client.begin(&path("Telemetry")).await?;
            let command = TelemetryCommand {
                status: None,
                command: Some(Command::Settings(settings)),
            };
            send_all(&mut stream, framed(&command), false).await?;
            let mut answers = Answers::of(answer).await?;
            ensure!(answers.next().await?.is_none(), "an answer");
            ensure!(answers.ended()?.status == "3", "another status");
        }
        // Nothing, or an answer to no question, ends nothing.
        let (_answer, mut stream) = client.begin(&path("Telemetry")).await?;
        send_all(&mut stream, framed(&TelemetryCommand::default()), false).await?;
        let stray = TelemetryCommand {
            status: None,
            command: Some(Command::VerifyMessageResult(
                grpc::proto::VerifyMessageResult {
                    nonce: "7".to_owned(),
                },
            )),
        };
        send_all(&mut stream, framed(&stray), false).await?;
        let other = client_named(it, "other").await?;
        let topic = it.topic()?;
        crate::common::send_ok(&other, message(&topic, "m")).await?;
        Ok(())
    })
}

/// Complaint 9: the producer is asked although it has been idle since, and its answer counts.
fn an_undecided_transaction(it: &Scenario<'_>) -> Result<()> {
    let topic = it.name("topic");
    create_typed(it, &topic, "TRANSACTION")?;
    run(async {
        let (client, group) = (client(it).await?, it.name("group"));
        begin(it, &client, &group, &topic).await?;
        let (mut answers, _stream) = present(&client, producing(&topic)).await?;
        let mut half = message(&topic, "half");
        if let Some(system) = &mut half.system_properties {
            system.message_type = MessageType::Transaction.into();
            system.orphaned_transaction_recovery_duration = Some(ProtoDuration::from_millis(1_000));
        }
        let answer = send(&client, half).await?;
        expect(answer.status.as_ref(), Code::Ok)?;
        let sent = answer.entries.first().context("no entry")?;
        ensure!(sent.transaction_id.starts_with("R1."), "{sent:?}");
        let asked = timeout(
            Duration::from_secs(90),
            answers.message::<TelemetryCommand>(),
        );
        let asked = asked.await.context("no question")??;
        let Some(Command::RecoverOrphanedTransaction(question)) = asked.command else {
            anyhow::bail!("{asked:?}");
        };
        let about = question.message.context("no message")?;
        ensure!(about.body == "half".as_bytes(), "{about:?}");
        let id = about.system_properties.map(|system| system.message_id);
        ensure!(id.as_deref() == Some("half"), "{id:?}");
        let end = EndTransactionRequest {
            topic: resource(&topic),
            message_id: "half".to_owned(),
            transaction_id: question.transaction_id,
            resolution: TransactionResolution::Commit.into(),
            source: 2,
            trace_context: String::new(),
        };
        let ended: EndTransactionResponse = client.unary("EndTransaction", &end).await?;
        expect(ended.status.as_ref(), Code::Ok)?;
        let got = receive_all(it, &client, &group, &topic, 1).await?;
        ensure!(got.len() == 1, "{got:?}");
        Ok(())
    })
}

/// Makes a topic for messages of that type.
pub(crate) fn create_typed(it: &Scenario<'_>, topic: &str, kind: &str) -> Result<()> {
    let attributes = format!("+message.type={kind}");
    for broker in it.cluster().brokers() {
        let ask = request(
            RequestCode::UPDATE_AND_CREATE_TOPIC,
            1,
            &[
                ("topic", topic),
                ("defaultTopic", "TBW102"),
                ("readQueueNums", "4"),
                ("writeQueueNums", "4"),
                ("perm", "6"),
                ("topicFilterType", "SINGLE_TAG"),
                ("topicSysFlag", "0"),
                ("order", "false"),
                ("attributes", &attributes),
            ],
        );
        let answer = RawConnection::connect(broker.address())?.call(&ask)?;
        ensure!(answer.is_success(), "{:?}", answer.remark);
    }
    // Brokers tell the name server.
    integration_tests::wait::wait_until("the topic", Duration::from_secs(20), || {
        Ok(it
            .cluster()
            .queues(topic)
            .is_ok_and(|queues| queues.len() == 8)
            .then_some(()))
    })
}
