//! Any replica serves what another has begun.

use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use grpc::proto::Duration as ProtoDuration;
use grpc::proto::{
    Code, EndTransactionRequest, EndTransactionResponse, MessageType, ReceiveMessageRequest,
    TransactionResolution,
};
use integration_tests::grpc_client::GrpcClient;
use integration_tests::proxy_process::Remora;
use integration_tests::scenario::Scenario;
use integration_tests::suite::TestFn;

use crate::common::{
    acknowledge, begin, expect, message, receive, receive_all, receiving, resource, run, send,
    send_ok,
};
use crate::presence::create_typed;

pub(crate) const TESTS: &[(&str, TestFn)] = &[
    ("a_replica_dies_between_receive_and_ack", a_replica_dies),
    ("a_commit_through_another_replica", a_commit_elsewhere),
    ("a_drain_answers_polls_and_closes", a_drain),
];

/// One more replica.
fn replica(it: &Scenario<'_>, name: &str) -> Result<Remora> {
    let binary = it.remora_binary().context("no binary")?;
    let name_server = it.cluster().target().name_server.clone();
    Remora::start(binary, &it.dir(name)?, &name_server)
}

async fn client_of(remora: &Remora, id: &str) -> Result<GrpcClient> {
    GrpcClient::connect(remora.target().name_server.parse()?, id).await
}

/// Complaint 1.
fn a_replica_dies(it: &Scenario<'_>) -> Result<()> {
    let topic = it.topic()?;
    let (one, other) = (replica(it, "one")?, replica(it, "other")?);
    run(async {
        let (client, group) = (client_of(&one, &it.name("client")).await?, it.name("group"));
        begin(it, &client, &group, &topic).await?;
        send_ok(&client, message(&topic, "m")).await?;
        let got = receive_all(it, &client, &group, &topic, 1).await?;
        one.kill()?;
        let client = client_of(&other, &it.name("client")).await?;
        for message in &got {
            let answer = acknowledge(&client, &group, &topic, message).await?;
            expect(answer.status.as_ref(), Code::Ok)?;
        }
        // It would come again after its invisible time of 30 s.
        tokio::time::sleep(Duration::from_secs(35)).await;
        for broker in it.cluster().brokers() {
            let request = ReceiveMessageRequest {
                long_polling_timeout: Some(ProtoDuration::from_millis(1)),
                ..receiving(&group, &topic, broker.name())
            };
            let (_, again) = receive(&client, &request).await?;
            ensure!(again.is_empty(), "{again:?}");
        }
        Ok(())
    })?;
    other.stop(&[])
}

/// Complaint 8.
fn a_commit_elsewhere(it: &Scenario<'_>) -> Result<()> {
    let topic = it.name("topic");
    create_typed(it, &topic, "TRANSACTION")?;
    let (one, other) = (replica(it, "one")?, replica(it, "other")?);
    run(async {
        let (client, group) = (client_of(&one, &it.name("client")).await?, it.name("group"));
        begin(it, &client, &group, &topic).await?;
        let elsewhere = client_of(&other, &it.name("client")).await?;
        for (body, resolution) in [
            ("committed", TransactionResolution::Commit),
            ("rolled back", TransactionResolution::Rollback),
        ] {
            let mut half = message(&topic, body);
            if let Some(system) = &mut half.system_properties {
                system.message_id = body.replace(' ', "-");
                system.message_type = MessageType::Transaction.into();
            }
            let answer = send(&client, half).await?;
            expect(answer.status.as_ref(), Code::Ok)?;
            let entry = answer.entries.first().context("no entry")?;
            let end = EndTransactionRequest {
                topic: resource(&topic),
                message_id: entry.message_id.clone(),
                transaction_id: entry.transaction_id.clone(),
                resolution: resolution.into(),
                source: 1,
                trace_context: String::new(),
            };
            let ended: EndTransactionResponse = elsewhere.unary("EndTransaction", &end).await?;
            expect(ended.status.as_ref(), Code::Ok)?;
        }
        let got = receive_all(it, &client, &group, &topic, 1).await?;
        let bodies: Vec<_> = got.iter().map(|message| message.body.clone()).collect();
        ensure!(bodies == ["committed".as_bytes()], "{bodies:?}");
        Ok(())
    })?;
    one.stop(&[])?;
    other.stop(&[])
}

/// A replica that drains answers long polls without messages, and its connections end.
fn a_drain(it: &Scenario<'_>) -> Result<()> {
    let topic = it.topic()?;
    let one = replica(it, "one")?;
    run(async {
        let (client, group) = (client_of(&one, &it.name("client")).await?, it.name("group"));
        begin(it, &client, &group, &topic).await?;
        let broker = it.cluster().brokers().first().context("no broker")?;
        let request = ReceiveMessageRequest {
            long_polling_timeout: Some(ProtoDuration::from_millis(20_000)),
            ..receiving(&group, &topic, broker.name())
        };
        let polling = {
            let (client, request) = (client.clone(), request);
            tokio::spawn(async move { receive(&client, &request).await })
        };
        tokio::time::sleep(Duration::from_millis(500)).await;
        let drained = tokio::task::spawn_blocking(move || one.drain(&[]));
        let (status, messages) = polling.await??;
        expect(status.as_ref(), Code::MessageNotFound)?;
        ensure!(messages.is_empty(), "{messages:?}");
        drained.await?
    })
}
