//! What the tests share: a client, messages, and the calls that most of them make.

use std::future::Future;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use bytes::Bytes;
use grpc::proto::Duration as ProtoDuration;
use grpc::proto::{
    AckMessageEntry, AckMessageRequest, AckMessageResponse, Broker, Code, Message, MessageQueue,
    MessageType, ReceiveContent, ReceiveMessageRequest, ReceiveMessageResponse, Resource,
    SendMessageRequest, SendMessageResponse, Status, SystemProperties,
};
use integration_tests::grpc_client::GrpcClient;
use integration_tests::scenario::Scenario;

/// Runs a test's calls.
pub(crate) fn run(test: impl Future<Output = Result<()>>) -> Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    runtime.block_on(test)
}

/// A client of the suite's Remora.
pub(crate) async fn client(it: &Scenario<'_>) -> Result<GrpcClient> {
    client_named(it, "client").await
}

pub(crate) async fn client_named(it: &Scenario<'_>, name: &str) -> Result<GrpcClient> {
    let address = it.target().name_server.parse()?;
    GrpcClient::connect(address, &it.name(name)).await
}

pub(crate) fn resource(name: &str) -> Option<Resource> {
    Some(Resource {
        resource_namespace: String::new(),
        name: name.to_owned(),
    })
}

/// A message of that body, whose id is the body.
pub(crate) fn message(topic: &str, body: &str) -> Message {
    Message {
        topic: resource(topic),
        system_properties: Some(SystemProperties {
            message_id: body.to_owned(),
            message_type: MessageType::Normal.into(),
            tag: Some("tag".to_owned()),
            keys: vec!["key".to_owned()],
            ..SystemProperties::default()
        }),
        user_properties: [("own".to_owned(), "property".to_owned())].into(),
        body: Bytes::copy_from_slice(body.as_bytes()),
    }
}

pub(crate) async fn send(client: &GrpcClient, message: Message) -> Result<SendMessageResponse> {
    let request = SendMessageRequest {
        messages: vec![message],
    };
    let answer: SendMessageResponse = client.unary("SendMessage", &request).await?;
    Ok(answer)
}

pub(crate) async fn send_ok(client: &GrpcClient, message: Message) -> Result<SendMessageResponse> {
    let answer = send(client, message).await?;
    expect(answer.status.as_ref(), Code::Ok)?;
    Ok(answer)
}

pub(crate) fn expect(status: Option<&Status>, code: Code) -> Result<()> {
    let status = status.context("no status")?;
    ensure!(
        status.code == i32::from(code),
        "{status:?} instead of {}",
        code.name()
    );
    Ok(())
}

/// A request for messages of any queue of a broker; of any broker, if the name is empty.
pub(crate) fn receiving(group: &str, topic: &str, broker: &str) -> ReceiveMessageRequest {
    ReceiveMessageRequest {
        group: resource(group),
        message_queue: Some(MessageQueue {
            topic: resource(topic),
            id: -1,
            broker: Some(Broker {
                name: broker.to_owned(),
                ..Broker::default()
            }),
            ..MessageQueue::default()
        }),
        batch_size: 16,
        invisible_duration: Some(ProtoDuration::from_millis(30_000)),
        long_polling_timeout: Some(ProtoDuration::from_millis(5_000)),
        ..ReceiveMessageRequest::default()
    }
}

/// The messages of an answer, and its status.
pub(crate) fn sorted(answers: Vec<ReceiveMessageResponse>) -> (Option<Status>, Vec<Message>) {
    let (mut status, mut messages) = (None, Vec::new());
    for answer in answers {
        match answer.content {
            Some(ReceiveContent::Status(one)) => status = Some(one),
            Some(ReceiveContent::Message(message)) => messages.push(message),
            _ => {}
        }
    }
    (status, messages)
}

pub(crate) async fn receive(
    client: &GrpcClient,
    request: &ReceiveMessageRequest,
) -> Result<(Option<Status>, Vec<Message>)> {
    Ok(sorted(client.stream("ReceiveMessage", request).await?))
}

/// Receives from all brokers until so many messages are there.
pub(crate) async fn receive_all(
    it: &Scenario<'_>,
    client: &GrpcClient,
    group: &str,
    topic: &str,
    count: usize,
) -> Result<Vec<Message>> {
    let mut all = Vec::new();
    for _ in 0..20 {
        for broker in it.cluster().brokers() {
            let request = receiving(group, topic, broker.name());
            let request = ReceiveMessageRequest {
                long_polling_timeout: Some(ProtoDuration::from_millis(5_000)),
                ..request
            };
            all.extend(receive(client, &request).await?.1);
            if all.len() >= count {
                return Ok(all);
            }
        }
    }
    anyhow::bail!("only {} of {count} messages came", all.len())
}

/// The handle of a message.
pub(crate) fn handle(message: &Message) -> String {
    let system = message.system_properties.as_ref();
    let handle = system.and_then(|system| system.receipt_handle.clone());
    handle.unwrap_or_default()
}

pub(crate) fn acknowledging(group: &str, topic: &str, message: &Message) -> AckMessageRequest {
    AckMessageRequest {
        group: resource(group),
        topic: resource(topic),
        entries: vec![AckMessageEntry {
            message_id: String::from_utf8_lossy(&message.body).into_owned(),
            receipt_handle: handle(message),
            lite_topic: None,
        }],
    }
}

pub(crate) async fn acknowledge(
    client: &GrpcClient,
    group: &str,
    topic: &str,
    message: &Message,
) -> Result<AckMessageResponse> {
    let request = acknowledging(group, topic, message);
    client.unary("AckMessage", &request).await
}

/// Makes brokers know the group: a new one begins with messages that come later.
pub(crate) async fn begin(
    it: &Scenario<'_>,
    client: &GrpcClient,
    group: &str,
    topic: &str,
) -> Result<()> {
    for broker in it.cluster().brokers() {
        let request = ReceiveMessageRequest {
            long_polling_timeout: Some(ProtoDuration::from_millis(1)),
            ..receiving(group, topic, broker.name())
        };
        receive(&client.with("grpc-timeout", "1500m"), &request).await?;
    }
    tokio::time::sleep(Duration::from_millis(100)).await;
    Ok(())
}
