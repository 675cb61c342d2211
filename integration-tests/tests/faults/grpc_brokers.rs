//! gRPC clients, and brokers that refuse, that have no master, that keep too many polls, and that
//! are dead.

use std::collections::BTreeSet;
use std::time::Duration;

use anyhow::{Context as _, Result};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use grpc::proto::{
    AckMessageEntry, AckMessageRequest, AckMessageResponse, Code, Message, MessageType,
    QueryAssignmentRequest, QueryAssignmentResponse, QueryRouteRequest, QueryRouteResponse,
    ReceiveContent, ReceiveMessageRequest, ReceiveMessageResponse, SendMessageRequest,
    SendMessageResponse, Status, SystemProperties,
};
use integration_tests::fake::{FakeBroker, Reply};
use integration_tests::grpc_client::GrpcClient;
use remoting_codec::{RemotingCommand, RequestCode, ResponseCode, SerializeType};
use serde_json::Value;
use tokio::time::Instant;

use crate::World;
use crate::grpc::{POPPED, config, connect, popped, receiving, resource, success, world};

const ACK: RequestCode = RequestCode::ACK_MESSAGE;
const SEND: RequestCode = RequestCode::SEND_MESSAGE_V2;

/// The broker has too many polls (`ResponseCode.POLLING_FULL`).
const POLLING_FULL: ResponseCode = ResponseCode(209);

fn refusal(code: ResponseCode) -> Reply {
    let answer = RemotingCommand::response(code, 0, SerializeType::Json);
    Reply::Command(answer.with_remark("refused"))
}

fn code_of(status: Option<&Status>) -> i32 {
    status.map(|status| status.code).unwrap_or_default()
}

/// The messages of an answer, and its status.
fn sorted(answers: Vec<ReceiveMessageResponse>) -> (i32, Vec<Message>) {
    let (mut code, mut messages) = (0, Vec::new());
    for answer in answers {
        match answer.content {
            Some(ReceiveContent::Status(status)) => code = status.code,
            Some(ReceiveContent::Message(message)) => messages.push(message),
            _ => {}
        }
    }
    (code, messages)
}

/// The request for several acknowledgements.
const BATCH: RequestCode = RequestCode::BATCH_ACK_MESSAGE;

/// Complaint 4: what could not be acknowledged can be later, by the same handle.
#[tokio::test]
async fn a_refused_acknowledgement_can_be_repeated() -> Result<()> {
    let world = world("workers = 1\n").await?;
    let client = connect(&world, "client").await?;
    // Once as a consumer that holds its handles itself, once with those that Remora watches.
    for auto_renew in [false, true] {
        let request = ReceiveMessageRequest {
            auto_renew,
            ..receiving("g")
        };
        let (code, messages) = sorted(client.stream("ReceiveMessage", &request).await?);
        assert_eq!(code, i32::from(Code::Ok));
        assert_eq!(messages.len(), usize::try_from(POPPED)?);
        let systems = messages
            .into_iter()
            .filter_map(|message| message.system_properties);
        let entries: Vec<_> = systems
            .map(|system| AckMessageEntry {
                message_id: system.message_id,
                receipt_handle: system.receipt_handle.unwrap_or_default(),
                lite_topic: None,
            })
            .collect();
        let request = AckMessageRequest {
            group: resource("g"),
            topic: resource("one"),
            entries,
        };
        let before = world.a.received(BATCH).len();
        for (reply, is_ok) in [
            (refusal(ResponseCode::SYSTEM_ERROR), false),
            (Reply::Close, false),
            (Reply::Command(success()), true),
        ] {
            world.a.on(BATCH, reply);
            let answer: AckMessageResponse = client.unary("AckMessage", &request).await?;
            for status in answer.entries.iter().map(|entry| entry.status.as_ref()) {
                let is_as_expected = (code_of(status) == i32::from(Code::Ok)) == is_ok;
                assert!(is_as_expected, "{status:?}, expected OK: {is_ok}");
                // The client library gives up a handle with this code.
                assert_ne!(code_of(status), i32::from(Code::InvalidReceiptHandle));
            }
            assert_eq!(answer.entries.len(), usize::try_from(POPPED)?);
        }
        let received = world.a.received(BATCH);
        let sent = received.iter().skip(before);
        let sent: BTreeSet<_> = sent.map(|one| one.command.body.clone()).collect();
        assert_eq!(sent.len(), 1, "{sent:?}");
        let body: Value = serde_json::from_slice(sent.first().context("a body")?)?;
        let parts = body["acks"].as_array().context("acks")?.iter();
        let bits = parts.filter_map(|part| STANDARD.decode(part["b"].as_str()?).ok());
        let count: u32 = bits.flatten().map(u8::count_ones).sum();
        assert_eq!(usize::try_from(count)?, usize::try_from(POPPED)?, "{body}");
    }
    Ok(())
}

/// Complaint 14: a topic whose broker has a slave only can be consumed; sends fail with a reason.
#[tokio::test]
async fn a_broker_without_a_master_can_be_consumed_from() -> Result<()> {
    let world = world("workers = 1\n").await?;
    let slave = FakeBroker::start("broker-s").await?;
    slave.on(
        RequestCode::GET_SUBSCRIPTIONGROUP_CONFIG,
        Reply::Command(config()),
    );
    slave.on(RequestCode::POP_MESSAGE, Reply::Command(popped()?));
    slave.on(ACK, Reply::Command(success()));
    world
        .name_server
        .add_broker("broker-s", &[(1, slave.address())]);
    world.name_server.add_topic("orphan", &["broker-s"]);
    let client = connect(&world, "client").await?;
    let request = QueryRouteRequest {
        topic: resource("orphan"),
        endpoints: None,
    };
    let route: QueryRouteResponse = client.unary("QueryRoute", &request).await?;
    assert_eq!(code_of(route.status.as_ref()), i32::from(Code::Ok));
    let queues = route.message_queues.iter();
    let brokers: Vec<_> = queues.filter_map(|queue| queue.broker.as_ref()).collect();
    assert_eq!(brokers.len(), 4);
    assert!(brokers.iter().all(|broker| broker.id == 1), "{brokers:?}");
    let request = QueryAssignmentRequest {
        topic: resource("orphan"),
        group: resource("g"),
        endpoints: None,
    };
    let assigned: QueryAssignmentResponse = client.unary("QueryAssignment", &request).await?;
    assert_eq!(code_of(assigned.status.as_ref()), i32::from(Code::Ok));
    assert_eq!(assigned.assignments.len(), 1, "{assigned:?}");
    let mut queue = receiving("g").message_queue.unwrap_or_default();
    queue.topic = resource("orphan");
    let request = ReceiveMessageRequest {
        message_queue: Some(queue),
        ..receiving("g")
    };
    let (code, messages) = sorted(client.stream("ReceiveMessage", &request).await?);
    assert_eq!(code, i32::from(Code::Ok));
    assert_eq!(messages.len(), usize::try_from(POPPED)?);
    let answer = send(&client, "orphan", MessageType::Normal, "").await?;
    assert_eq!(code_of(answer.status.as_ref()), i32::from(Code::Forbidden));
    Ok(())
}

/// Complaint 19: clients ask again 20 ms after such an answer, so it is held back; but not for
/// longer than the client waits.
#[tokio::test]
async fn clients_of_a_broker_with_too_many_polls_do_not_storm() -> Result<()> {
    let world = world("workers = 1\n").await?;
    let pop = RequestCode::POP_MESSAGE;
    world.a.on(pop, refusal(POLLING_FULL));
    let client = connect(&world, "client").await?;
    let begun = Instant::now();
    while begun.elapsed() < Duration::from_secs(3) {
        let (code, _) = sorted(client.stream("ReceiveMessage", &receiving("g")).await?);
        assert_eq!(code, i32::from(Code::TooManyRequests));
    }
    let asked = world.a.received(pop).len();
    assert!((2..=7).contains(&asked), "{asked} times in 3 s");
    let hasty = client.with("grpc-timeout", "700m");
    let begun = Instant::now();
    let (code, _) = sorted(hasty.stream("ReceiveMessage", &receiving("g")).await?);
    assert_eq!(code, i32::from(Code::TooManyRequests));
    let time = begun.elapsed();
    assert!(time < Duration::from_millis(700), "after {time:?}");
    Ok(())
}

async fn send(
    client: &GrpcClient,
    topic: &str,
    message_type: MessageType,
    message_group: &str,
) -> Result<SendMessageResponse> {
    let group = Some(message_group).filter(|group| !group.is_empty());
    let message = Message {
        topic: resource(topic),
        system_properties: Some(SystemProperties {
            message_id: format!("id{message_group}"),
            message_type: message_type.into(),
            message_group: group.map(str::to_owned),
            ..SystemProperties::default()
        }),
        body: Bytes::from_static(b"body"),
        ..Message::default()
    };
    let request = SendMessageRequest {
        messages: vec![message],
    };
    client.unary("SendMessage", &request).await
}

/// A world whose topic `both` is on two brokers and takes messages of every type.
async fn two_brokers(file: &str) -> Result<World> {
    let world = World::with(file).await?;
    let topic = success().with_body(&b"{\"attributes\":{\"message.type\":\"MIXED\"}}"[..]);
    let stored = success()
        .with_field("msgId", "7F00000100002A9F0000000000000001")
        .with_field("transactionId", "t")
        .with_field("queueId", "0")
        .with_field("queueOffset", "7");
    for broker in [&world.a, &world.b] {
        broker.on(RequestCode::GET_TOPIC_CONFIG, Reply::Command(topic.clone()));
        broker.on(SEND, Reply::Command(stored.clone()));
        broker.on(RequestCode::HEART_BEAT, Reply::Command(success()));
    }
    Ok(world)
}

/// Complaint 25: no normal send fails because a broker is dead.
#[tokio::test]
async fn a_dead_broker_fails_no_normal_send() -> Result<()> {
    let world = two_brokers("").await?;
    let client = connect(&world, "client").await?;
    for _ in 0..4 {
        let answer = send(&client, "both", MessageType::Normal, "").await?;
        assert_eq!(code_of(answer.status.as_ref()), i32::from(Code::Ok));
    }
    let had = [&world.a, &world.b].map(|broker| broker.received(SEND).len());
    assert_eq!(had, [2, 2]);
    world.a.stop().await;
    for nth in 0..20 {
        let answer = send(&client, "both", MessageType::Normal, "").await?;
        let code = code_of(answer.status.as_ref());
        assert_eq!(code, i32::from(Code::Ok), "send {nth}: {answer:?}");
    }
    assert_eq!(world.b.received(SEND).len(), 22);
    // Unless that is not wanted.
    let world = two_brokers("send_elsewhere = false\n").await?;
    let client = connect(&world, "client").await?;
    world.a.stop().await;
    let mut failed = 0;
    for _ in 0..4 {
        let answer = send(&client, "both", MessageType::Normal, "").await?;
        failed += i32::from(code_of(answer.status.as_ref()) != i32::from(Code::Ok));
    }
    assert_eq!((failed, world.b.received(SEND).len()), (2, 2));
    Ok(())
}

/// Complaint 25: messages in order, and those of transactions, go to no other broker.
#[tokio::test]
async fn order_and_transactions_stay_with_their_broker() -> Result<()> {
    let world = two_brokers("").await?;
    let client = connect(&world, "client").await?;
    let groups: Vec<_> = (0..12).map(|nth| format!("group-{nth}")).collect();
    let mut of_a = Vec::new();
    for group in &groups {
        let before = world.a.received(SEND).len();
        let answer = send(&client, "both", MessageType::Fifo, group).await?;
        assert_eq!(code_of(answer.status.as_ref()), i32::from(Code::Ok));
        of_a.push(world.a.received(SEND).len() > before);
    }
    assert!(of_a.contains(&true) && of_a.contains(&false), "{of_a:?}");
    world.a.stop().await;
    let before = world.b.received(SEND).len();
    for (group, is_of_a) in groups.iter().zip(&of_a) {
        let answer = send(&client, "both", MessageType::Fifo, group).await?;
        let is_ok = code_of(answer.status.as_ref()) == i32::from(Code::Ok);
        assert_eq!(is_ok, !is_of_a, "{group}: {answer:?}");
    }
    let others = of_a.iter().filter(|is_of_a| !**is_of_a).count();
    assert_eq!(world.b.received(SEND).len(), before + others);
    let before = world.b.received(SEND).len();
    let mut failed = 0;
    for _ in 0..6 {
        let answer = send(&client, "both", MessageType::Transaction, "").await?;
        failed += i32::from(code_of(answer.status.as_ref()) != i32::from(Code::Ok));
    }
    assert_eq!((failed, world.b.received(SEND).len()), (3, before + 3));
    Ok(())
}
