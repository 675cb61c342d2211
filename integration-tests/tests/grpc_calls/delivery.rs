//! Messages on their way to a client that cancels, does not read, or has little time.

use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use bytes::Bytes;
use grpc::proto::Duration as ProtoDuration;
use grpc::proto::{Code, ReceiveMessageRequest};
use h2::client;
use integration_tests::grpc_client::GrpcClient;
use integration_tests::scenario::Scenario;
use integration_tests::suite::TestFn;
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio::time::Instant;

use crate::common::{
    begin, client, client_named, expect, message, receive, receive_all, receiving, run, send_ok,
};
use crate::presence::{consuming, present};

pub(crate) const TESTS: &[(&str, TestFn)] = &[
    ("a_cancelled_poll_gives_its_message_back", a_cancelled_poll),
    (
        "a_client_that_does_not_read_gets_nothing",
        a_client_that_does_not_read,
    ),
    ("a_short_deadline_is_kept", a_short_deadline_is_kept),
    ("push_consumers_need_no_invisible_time", push_consumers),
    ("a_slow_listener_gets_a_message_once", a_slow_listener),
    ("an_open_poll_gets_messages_at_once", an_open_poll),
];

/// By when a message that was given back is delivered to the next consumer: the broker alone takes
/// 3 to 6 s.
pub(crate) const BACK: Duration = Duration::from_secs(9);

/// Complaint 15: the stream is cancelled while the broker waits, and in the moment of the delivery.
fn a_cancelled_poll(it: &Scenario<'_>) -> Result<()> {
    it.cluster().create_topic(&it.name("topic"), 1)?;
    run(async {
        let topic = it.name("topic");
        let (one, other) = (client(it).await?, client_named(it, "other").await?);
        let group = it.name("group");
        begin(it, &one, &group, &topic).await?;
        for (nth, pause) in [0, 1, 2, 5, 20].into_iter().enumerate() {
            let broker = it.cluster().brokers().first().context("no broker")?;
            let request = ReceiveMessageRequest {
                invisible_duration: Some(ProtoDuration::from_millis(60_000)),
                long_polling_timeout: Some(ProtoDuration::from_millis(20_000)),
                ..receiving(&group, &topic, broker.name())
            };
            let (answer, mut stream) = one.open("ReceiveMessage", &request).await?;
            tokio::time::sleep(Duration::from_millis(300)).await;
            if nth == 0 {
                stream.send_reset(h2::Reason::CANCEL);
            }
            send_ok(&one, message(&topic, &format!("m{nth}"))).await?;
            tokio::time::sleep(Duration::from_millis(pause)).await;
            stream.send_reset(h2::Reason::CANCEL);
            drop(answer);
            let begun = Instant::now();
            let got = receive_all(it, &other, &group, &topic, 1).await?;
            let time = begun.elapsed();
            ensure!(time < BACK, "after {time:?}");
            for message in &got {
                let done = crate::common::acknowledge(&other, &group, &topic, message).await?;
                expect(done.status.as_ref(), Code::Ok)?;
            }
        }
        Ok(())
    })
}

/// A client whose window is shut gets no message, and once it leaves, the next consumer has it.
fn a_client_that_does_not_read(it: &Scenario<'_>) -> Result<()> {
    it.cluster().create_topic(&it.name("topic"), 1)?;
    run(async {
        let topic = it.name("topic");
        let group = it.name("group");
        let other = client(it).await?;
        begin(it, &other, &group, &topic).await?;
        for nth in 0..4 {
            send_ok(&other, message(&topic, &format!("m{nth}"))).await?;
        }
        let mut builder = client::Builder::new();
        builder.initial_window_size(0);
        let address = it.target().name_server.parse()?;
        let shut = GrpcClient::connect_with(address, &it.name("shut"), builder).await?;
        let mut open = Vec::new();
        for broker in it.cluster().brokers() {
            let request = receiving(&group, &topic, broker.name());
            open.push(shut.open("ReceiveMessage", &request).await?);
        }
        tokio::time::sleep(Duration::from_secs(2)).await;
        drop(open);
        let begun = Instant::now();
        let got = receive_all(it, &other, &group, &topic, 4).await?;
        let time = begun.elapsed();
        ensure!(time < BACK, "{} after {time:?}", got.len());
        Ok(())
    })
}

/// Complaint 18.
fn a_short_deadline_is_kept(it: &Scenario<'_>) -> Result<()> {
    let topic = it.topic()?;
    run(async {
        let (client, group) = (client(it).await?, it.name("group"));
        begin(it, &client, &group, &topic).await?;
        let broker = it.cluster().brokers().first().context("no broker")?;
        let request = ReceiveMessageRequest {
            long_polling_timeout: Some(ProtoDuration::from_millis(20_000)),
            ..receiving(&group, &topic, broker.name())
        };
        let begun = Instant::now();
        let (status, _) = receive(&client.with("grpc-timeout", "3S"), &request).await?;
        let time = begun.elapsed();
        expect(status.as_ref(), Code::MessageNotFound)?;
        ensure!(time < Duration::from_secs(3), "after {time:?}");
        // Too short for any wait.
        let (status, _) = receive(&client.with("grpc-timeout", "300m"), &request).await?;
        expect(status.as_ref(), Code::IllegalPollingTime)?;
        // A call whose deadline has passed ends by the transport.
        let body = Bytes::from_static(&[0, 0, 0, 0, 0]);
        let path = integration_tests::grpc_client::path("Heartbeat");
        let (ended, _) = client
            .with("grpc-timeout", "1n")
            .exchange(&path, body)
            .await?;
        ensure!(matches!(&*ended.status, "0" | "4"), "{ended:?}");
        Ok(())
    })
}

/// Complaint 26: with `auto_renew`, the messages stay invisible for as long as the group's
/// consumers may take.
fn push_consumers(it: &Scenario<'_>) -> Result<()> {
    let topic = it.topic()?;
    run(async {
        let (client, group) = (client(it).await?, it.name("group"));
        begin(it, &client, &group, &topic).await?;
        send_ok(&client, message(&topic, "m")).await?;
        let mut got = Vec::new();
        for broker in it.cluster().brokers() {
            let request = ReceiveMessageRequest {
                auto_renew: true,
                invisible_duration: None,
                long_polling_timeout: Some(ProtoDuration::from_millis(1_000)),
                ..receiving(&group, &topic, broker.name())
            };
            got.extend(receive(&client, &request).await?.1);
        }
        let first = got.first().context("no message")?;
        let system = first.system_properties.as_ref().context("no properties")?;
        let time = system.invisible_duration.context("no invisible time")?;
        ensure!(time.to_millis() == 15 * 60 * 1000, "{time:?}");
        Ok(())
    })
}

/// Complaint 2: a push consumer takes three times the invisible time for a message, and gets it
/// once. Another group, that wants no renewal, gets it again in that time.
fn a_slow_listener(it: &Scenario<'_>) -> Result<()> {
    const INVISIBLE: Duration = Duration::from_secs(10);
    let topic = it.topic()?;
    run(async {
        let client = client(it).await?;
        let (slow, impatient) = (it.name("slow"), it.name("impatient"));
        let _stream = present(&client, consuming(&slow, &topic)).await?;
        for group in [&slow, &impatient] {
            begin(it, &client, group, &topic).await?;
        }
        send_ok(&client, message(&topic, "m")).await?;
        // Once from each broker.
        let sweep = async |group: &str, auto_renew, wait| {
            let mut got = Vec::new();
            for broker in it.cluster().brokers() {
                let request = ReceiveMessageRequest {
                    auto_renew,
                    invisible_duration: Some(ProtoDuration::from_millis(10_000)),
                    long_polling_timeout: Some(ProtoDuration::from_millis(wait)),
                    ..receiving(group, &topic, broker.name())
                };
                got.extend(receive(&client, &request).await?.1);
            }
            anyhow::Ok(got)
        };
        let got = sweep(&slow, true, 1_000).await?;
        let first = got.first().context("no message")?;
        ensure!(sweep(&impatient, false, 1_000).await?.len() == 1);
        tokio::time::sleep(3 * INVISIBLE + Duration::from_secs(5)).await;
        let again = sweep(&impatient, false, 1_000).await?;
        ensure!(again.len() == 1, "a message without renewal: {again:?}");
        let again = sweep(&slow, true, 1).await?;
        ensure!(again.is_empty(), "while it is consumed: {again:?}");
        let done = crate::common::acknowledge(&client, &slow, &topic, first).await?;
        expect(done.status.as_ref(), Code::Ok)
    })
}

/// Polls again and again; says when each message has arrived.
async fn poll(
    consumer: GrpcClient,
    request: ReceiveMessageRequest,
    arrived: mpsc::UnboundedSender<(Bytes, Instant)>,
) -> Result<()> {
    loop {
        for message in receive(&consumer, &request).await?.1 {
            arrived.send((message.body, Instant::now()))?;
        }
    }
}

/// Complaint 19: what is sent while a poll is open does not wait for the poll's end.
fn an_open_poll(it: &Scenario<'_>) -> Result<()> {
    const COUNT: usize = 40;
    it.cluster().create_topic(&it.name("topic"), 1)?;
    run(async {
        let (topic, group) = (it.name("topic"), it.name("group"));
        let producer = client(it).await?;
        begin(it, &producer, &group, &topic).await?;
        let (sender, mut arrived) = mpsc::unbounded_channel();
        let mut polls = JoinSet::new();
        for broker in it.cluster().brokers() {
            let consumer = client_named(it, broker.name()).await?;
            let request = ReceiveMessageRequest {
                long_polling_timeout: Some(ProtoDuration::from_millis(20_000)),
                ..receiving(&group, &topic, broker.name())
            };
            let sender = sender.clone();
            polls.spawn(poll(consumer, request, sender));
        }
        let mut times = Vec::new();
        for nth in 0..COUNT {
            tokio::time::sleep(Duration::from_millis(100)).await;
            let begun = Instant::now();
            send_ok(&producer, message(&topic, &format!("m{nth}"))).await?;
            let next = tokio::time::timeout(Duration::from_secs(30), arrived.recv()).await?;
            let (body, at) = next.context("no poll is left")?;
            ensure!(body == format!("m{nth}").as_bytes(), "{body:?}");
            times.push(at - begun);
        }
        times.sort_unstable();
        let (median, longest) = (times.get(COUNT / 2), times.last());
        ensure!(median < Some(&Duration::from_millis(100)), "{times:?}");
        ensure!(longest < Some(&Duration::from_secs(2)), "{times:?}");
        Ok(())
    })
}
