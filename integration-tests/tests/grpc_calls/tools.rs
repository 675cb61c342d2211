//! What `mqadmin` shows of clients that speak gRPC.

use std::time::Duration;

use anyhow::{Result, ensure};
use grpc::proto::{Code, ReceiveMessageRequest, Settings};
use integration_tests::rocketmq::MessageType;
use integration_tests::scenario::Scenario;
use integration_tests::suite::TestFn;
use tokio::time::Instant;

use crate::common::{
    acknowledge, begin, client, expect, message, receive, receiving, run, send_ok,
};
use crate::presence::{consuming, present, producing};

pub(crate) const TESTS: &[(&str, TestFn)] = &[
    ("mqadmin_shows_a_producer", a_producer),
    (
        "mqadmin_shows_a_consumer_and_its_lag",
        a_consumer_and_its_lag,
    ),
];

/// How long the tool may take to show something, on a busy machine: it takes seconds itself.
const LIMIT: Duration = Duration::from_secs(60);

/// Runs the tool at the brokers until it prints all of these texts.
async fn wait_shown(it: &Scenario<'_>, arguments: &[&str], texts: &[&str]) -> Result<()> {
    let until = Instant::now() + LIMIT;
    loop {
        let output = match it.mqadmin(it.cluster().target(), arguments) {
            Ok(output) => output,
            // It fails while there is no member.
            Err(error) => format!("{error:#}"),
        };
        if texts.iter().all(|text| output.contains(text)) {
            return Ok(());
        }
        ensure!(Instant::now() < until, "{texts:?} are not in:\n{output}");
        // The client's connection was not served meanwhile.
        tokio::time::sleep(Duration::from_millis(500)).await;
    }
}

/// A client as the one for Go: another language and version than those of this suite's clients.
const LANGUAGE: &str = "GO";
const VERSION: (&str, &str) = ("5.1.3", "V5_1_3");

/// Of a topic for transactions: its producers are known to brokers, in the group of that name.
fn a_producer(it: &Scenario<'_>) -> Result<()> {
    let topic = it.name("topic");
    it.cluster()
        .create_typed_topic(&topic, MessageType::Transaction, 1)?;
    run(async {
        let client = client(it).await?.with("x-mq-language", LANGUAGE);
        let client = client.with("x-mq-client-version", VERSION.0);
        let _stream = present(&client, producing(&topic)).await?;
        let arguments = ["producerConnection", "-g", &topic, "-t", &topic];
        wait_shown(it, &arguments, &[&it.name("client"), LANGUAGE, VERSION.1]).await
    })
}

/// A member is shown while its stream is open, and the group's lag is what is left to acknowledge.
fn a_consumer_and_its_lag(it: &Scenario<'_>) -> Result<()> {
    const SENT: usize = 6;
    const FIRST: usize = 4;
    let (topic, group) = (it.name("topic"), it.name("group"));
    it.cluster().create_topic(&topic, 1)?;
    run(async {
        let client = client(it).await?.with("x-mq-language", LANGUAGE);
        let client = client.with("x-mq-client-version", VERSION.0);
        begin(it, &client, &group, &topic).await?;
        let settings = Settings {
            client_type: Some(grpc::proto::ClientType::SimpleConsumer.into()),
            ..consuming(&group, &topic)
        };
        let _stream = present(&client, settings).await?;
        let arguments = ["consumerConnection", "-g", &group];
        let name = it.name("client");
        // A simple consumer is one that pulls.
        let kind = "CONSUME_ACTIVELY";
        wait_shown(it, &arguments, &[&name, LANGUAGE, VERSION.1, kind, &topic]).await?;

        for nth in 0..SENT {
            send_ok(&client, message(&topic, &format!("m{nth}"))).await?;
        }
        let mut acknowledged = 0;
        for wanted in [FIRST, SENT] {
            let brokers = it.cluster().brokers().iter().cycle();
            // Each broker has half of the messages, and there are more turns than messages.
            for broker in brokers.take(4 * SENT) {
                if acknowledged == wanted {
                    break;
                }
                let request = ReceiveMessageRequest {
                    batch_size: 1,
                    ..receiving(&group, &topic, broker.name())
                };
                let client = client.with("grpc-timeout", "4S");
                for message in receive(&client, &request).await?.1 {
                    let done = acknowledge(&client, &group, &topic, &message).await?;
                    expect(done.status.as_ref(), Code::Ok)?;
                    acknowledged += 1;
                }
            }
            ensure!(acknowledged == wanted, "{acknowledged} messages");
            let lag = format!("Diff Total: {}", SENT - wanted);
            wait_shown(it, &["consumerProgress", "-g", &group], &[&lag]).await?;
        }
        Ok(())
    })
}
