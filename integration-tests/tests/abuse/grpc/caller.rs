//! A client of gRPC that keeps to none of its rules by itself.

use std::time::Duration;

use anyhow::Result;
use bytes::BytesMut;
use grpc::{
    codec,
    proto::{
        Broker, ClientType, Command, Duration as ProtoDuration, MessageQueue, PubSub,
        QueryRouteRequest, ReceiveMessageRequest, Resource, Settings, Subscription,
        SubscriptionEntry, TelemetryCommand,
    },
};
use integration_tests::{
    abuse::{BROKERS, Line},
    http2::{
        DATA, END_HEADERS, END_STREAM, HEADERS, PREFACE, RST_STREAM, SETTINGS, call_head, frame,
    },
};
use prost::Message;

/// The setting of a stream's window.
const INITIAL_WINDOW: u8 = 4;

/// A connection, and what waits to be written to it.
pub(super) struct Caller {
    line: Line,
    next: u32,
    out: Vec<u8>,
    client: String,
}

impl Caller {
    /// Opens HTTP/2 as the client of that id; answers may have so many bytes before more is
    /// allowed, which it never is.
    pub(super) fn over(line: Line, client: &str, window: u32) -> Self {
        let mut out = PREFACE.to_vec();
        let [a, b, c, d] = window.to_be_bytes();
        frame(&mut out, SETTINGS, 0, 0, &[0, INITIAL_WINDOW, a, b, c, d]);
        Self {
            line,
            next: 1,
            out,
            client: client.to_owned(),
        }
    }

    /// From now on calls are that client's.
    pub(super) fn become_client(&mut self, client: &str) {
        client.clone_into(&mut self.client);
    }

    /// Begins a call that may take a minute.
    pub(super) fn begin(&mut self, rpc: &str) -> u32 {
        let further = [
            ("x-mq-client-id", &*self.client),
            ("x-mq-client-version", "5.2.0"),
            ("grpc-timeout", "60S"),
        ];
        let block = call_head(rpc, &further);
        self.frame(HEADERS, END_HEADERS, self.next, &block);
        self.next += 2;
        self.next - 2
    }

    /// Makes a call of one message.
    pub(super) fn call(&mut self, rpc: &str, message: &impl Message) -> u32 {
        let stream = self.begin(rpc);
        self.frame(DATA, END_STREAM, stream, &framed(message));
        stream
    }

    pub(super) fn reset(&mut self, stream: u32) {
        const CANCEL: u32 = 8;
        self.frame(RST_STREAM, 0, stream, &CANCEL.to_be_bytes());
    }

    pub(super) fn frame(&mut self, kind: u8, flags: u8, stream: u32, payload: &[u8]) {
        frame(&mut self.out, kind, flags, stream, payload);
    }

    /// Writes what waits.
    pub(super) async fn write(&mut self) -> Result<()> {
        let out = std::mem::take(&mut self.out);
        self.line.write(&out).await
    }

    /// Writes what waits, and drops what comes within that time.
    pub(super) async fn write_and_read(&mut self, time: Duration) -> Result<()> {
        self.write().await?;
        self.line.drain_for(time).await
    }

    /// Drops what comes until the proxy ends the connection.
    pub(super) async fn drain(&mut self) -> Result<()> {
        self.line.drain().await
    }

    /// Reads nothing for so long.
    pub(super) async fn idle(&self, time: Duration) {
        self.line.idle(time).await;
    }
}

/// A message in its frame.
pub(super) fn framed(message: &impl Message) -> Vec<u8> {
    let mut out = BytesMut::new();
    codec::encode(message, &mut out);
    out.to_vec()
}

pub(super) fn resource(name: &str) -> Option<Resource> {
    Some(Resource {
        resource_namespace: String::new(),
        name: name.to_owned(),
    })
}

/// A question for a topic's route.
pub(super) fn route(topic: &str) -> QueryRouteRequest {
    QueryRouteRequest {
        topic: resource(topic),
        endpoints: None,
    }
}

/// A long poll of half a minute.
pub(super) fn receive(group: &str, topic: &str) -> ReceiveMessageRequest {
    ReceiveMessageRequest {
        group: resource(group),
        message_queue: Some(MessageQueue {
            topic: resource(topic),
            id: -1,
            broker: Some(Broker {
                name: BROKERS[0].to_owned(),
                ..Broker::default()
            }),
            ..MessageQueue::default()
        }),
        batch_size: 32,
        invisible_duration: Some(ProtoDuration::from_millis(30_000)),
        long_polling_timeout: Some(ProtoDuration::from_millis(30_000)),
        ..ReceiveMessageRequest::default()
    }
}

/// The first message of the Telemetry stream of a push consumer.
pub(super) fn settings(group: &str, topic: &str) -> TelemetryCommand {
    TelemetryCommand {
        status: None,
        command: Some(Command::Settings(Settings {
            client_type: Some(ClientType::PushConsumer.into()),
            pub_sub: Some(PubSub::Subscription(Subscription {
                group: resource(group),
                subscriptions: vec![SubscriptionEntry {
                    topic: resource(topic),
                    ..SubscriptionEntry::default()
                }],
                ..Subscription::default()
            })),
            ..Settings::default()
        })),
    }
}
