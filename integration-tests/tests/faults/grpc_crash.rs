//! What a gRPC consumer held that crashes, at a broker that answers what the test wants.

use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::{Context as _, Result};
use grpc::proto::{
    Code, Command, PubSub, ReceiveMessageRequest, Settings, Subscription, SubscriptionEntry,
    TelemetryCommand,
};
use h2::client;
use integration_tests::fake::Reply;
use integration_tests::grpc_client::{Answers, GrpcClient, framed, path, send_all};
use remoting_codec::{RemotingCommand, RequestCode, ResponseCode, SerializeType};
use tokio::time::sleep;

use crate::grpc::{POPPED, receiving, resource, success, world};

/// A push consumer (`ClientType`).
const PUSH_CONSUMER: i32 = 2;

fn consuming() -> TelemetryCommand {
    TelemetryCommand {
        status: None,
        command: Some(Command::Settings(Settings {
            client_type: Some(PUSH_CONSUMER),
            pub_sub: Some(PubSub::Subscription(Subscription {
                group: resource("g"),
                subscriptions: vec![SubscriptionEntry {
                    topic: resource("one"),
                    expression: None,
                }],
                ..Subscription::default()
            })),
            ..Settings::default()
        })),
    }
}

/// Of eight messages, the first two are in the client's window when it crashes. Each is made
/// visible once: those that it has not got at once, the others when no broker has listed the client
/// for half a minute, and as a failed delivery.
#[tokio::test]
async fn what_a_crashed_consumer_held_is_given_back_once() -> Result<()> {
    let world = world("").await?;
    let no_members = RemotingCommand::response(ResponseCode::SYSTEM_ERROR, 0, SerializeType::Json)
        .with_remark("no consumer for this group, g");
    let listing = RequestCode::GET_CONSUMER_LIST_BY_GROUP;
    for broker in [&world.a, &world.b] {
        broker.on(listing, Reply::Command(no_members.clone()));
    }
    let given_back = RequestCode::CHANGE_MESSAGE_INVISIBLETIME;
    world.a.on(given_back, Reply::Command(success()));

    let mut builder = client::Builder::new();
    builder
        .initial_window_size(60_000)
        .initial_connection_window_size(1 << 20);
    let address = world.proxy.address();
    let crashing = GrpcClient::connect_with(address, "crashing", builder).await?;
    let (answer, mut stream) = crashing.begin(&path("Telemetry")).await?;
    send_all(&mut stream, framed(&consuming()), false).await?;
    let mut answers = Answers::of(answer).await?;
    let settings: TelemetryCommand = answers.message().await?;
    let status = settings.status.context("no status")?;
    assert_eq!(status.code, i32::from(Code::Ok));
    let request = ReceiveMessageRequest {
        auto_renew: true,
        invisible_duration: None,
        ..receiving("g")
    };
    let receiving = crashing.open("ReceiveMessage", &request).await?;
    world.a.wait_received(RequestCode::POP_MESSAGE, 1).await?;
    sleep(Duration::from_secs(1)).await;
    assert!(world.a.received(given_back).is_empty());
    drop((receiving, stream, answers, crashing));

    let unwritten = usize::try_from(POPPED)? - 2;
    world.a.wait_received(given_back, unwritten).await?;
    sleep(Duration::from_secs(3)).await;
    assert_eq!(world.a.received(given_back).len(), unwritten);
    sleep(Duration::from_secs(35)).await;
    let mut by_offset = BTreeMap::<i64, Vec<bool>>::new();
    for one in world.a.received(given_back) {
        let field = |name| one.command.field(name).context(name);
        let offset = field("offset")?.parse()?;
        let is_suspended = field("suspend")? == "true";
        by_offset.entry(offset).or_default().push(is_suspended);
    }
    let expected = (0..POPPED).map(|nth| (100 + nth, vec![nth >= 2]));
    assert_eq!(by_offset, expected.collect());
    Ok(())
}
