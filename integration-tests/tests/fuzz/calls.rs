//! gRPC: bodies of calls, and the texts in headers and messages.

use std::time::Duration;

use bytes::{Bytes, BytesMut};
use grpc::check;
use grpc::codec::{self, Decoder};
use grpc::convert::{Names, endpoints_of, outgoing};
use grpc::metadata::{self, Authorization, Metadata, timeout};
use grpc::proto::{self, Weigh};
use messaging::check::{Limits, batch_size, receipt_handle};
use messaging::queues::shard;
use messaging::token::{ReplyToken, TransactionToken};
use messaging::{MessageKind, Sender};
use prost::Message;

use crate::{Target, outcome};

/// An input is two bytes, which name the call and how its body is cut into pieces, and the body.
pub(crate) const BODIES: Target = Target {
    name: "grpc-bodies",
    run: bodies,
    longest: 4_096,
    tokens: &[
        b"\0\0\0\0",
        b"\0\0\0\0\x02",
        b"\x01\0\0\0\0",
        b"\xff\xff\xff\xff",
        b"\x0a\x02\x1a\0",
        b"\x0a\x05\x12\x03abc",
        b"\x12\x04\x32\x02\x12\0",
        b"TRAN_MSG",
        b"\x30\x04",
    ],
    seeds: calls,
    generate: None,
};

/// The headers that are read.
const HEADERS: [&str; 4] = [
    metadata::CLIENT_ID,
    metadata::NAMESPACE,
    metadata::LANGUAGE,
    metadata::AUTHORIZATION,
];

/// An input is text: a header, a name, a token or a receipt handle.
pub(crate) const TEXTS: Target = Target {
    name: "grpc-texts",
    run: texts,
    longest: 1_024,
    tokens: &[
        b"MQv2-HMAC-SHA1 Credential=AK/x, SignedHeaders=x-mq-date-time, Signature=0A",
        b"R1.AAhicm9rZXItYQAAAAAAAAADAAAAAAAAEmcwMUYw",
        b"Q1.AAABoiSZ-AAACGJyb2tlci1hAA1DX1JFUExZX1RPUElDAAJpZAADY0Ax",
        b"99999999H",
        b"[2001:db8::1]:8081",
        b"%RETRY%",
        b"%DLQ%",
        b"0 1700000000000 60000 7 0 broker-a 3 12 99",
        b"||",
        b"*",
    ],
    seeds: crate::no_seeds,
    generate: None,
};

pub(crate) fn message() -> proto::Message {
    proto::Message {
        topic: Some(resource("topic")),
        user_properties: [("colour".to_owned(), "red".to_owned())].into(),
        system_properties: Some(proto::SystemProperties {
            tag: Some("tag".to_owned()),
            keys: vec!["key".to_owned()],
            message_id: "01F0B1D2C3A4E50A1B06C6F6D200000000".to_owned(),
            born_timestamp: Some(proto::Timestamp::from_millis(1)),
            delivery_timestamp: Some(proto::Timestamp::from_millis(2)),
            message_group: Some("group".to_owned()),
            priority: Some(1),
            ..proto::SystemProperties::default()
        }),
        body: Bytes::from_static(b"body"),
    }
}

pub(crate) fn resource(name: &str) -> proto::Resource {
    proto::Resource {
        resource_namespace: String::new(),
        name: name.to_owned(),
    }
}

/// One seed for each kind of call, in one piece and in small ones.
fn calls() -> Vec<Vec<u8>> {
    fn body(call: u8, message: &impl Message) -> Vec<u8> {
        let mut body = BytesMut::from(&[call, 0][..]);
        codec::encode(message, &mut body);
        body.to_vec()
    }
    let settings = proto::Settings {
        pub_sub: Some(proto::PubSub::Subscription(proto::Subscription {
            subscriptions: vec![proto::SubscriptionEntry::default()],
            ..proto::Subscription::default()
        })),
        ..proto::Settings::default()
    };
    let mut calls = vec![
        body(
            0,
            &proto::SendMessageRequest {
                messages: vec![message(), message()],
            },
        ),
        body(
            1,
            &proto::TelemetryCommand {
                status: None,
                command: Some(proto::Command::Settings(settings)),
            },
        ),
        body(
            2,
            &proto::ReceiveMessageRequest {
                group: Some(resource("group")),
                batch_size: 32,
                ..proto::ReceiveMessageRequest::default()
            },
        ),
        body(
            3,
            &proto::AckMessageRequest {
                entries: vec![proto::AckMessageEntry::default()],
                ..proto::AckMessageRequest::default()
            },
        ),
        body(
            4,
            &proto::QueryRouteRequest {
                topic: Some(resource("topic")),
                endpoints: endpoints_of(["10.0.0.1:8081"]),
            },
        ),
    ];
    let mut pieces = calls.clone();
    for call in &mut pieces {
        call[1] = 3;
    }
    calls.append(&mut pieces);
    calls
}

/// Cuts the body, reads its messages and does with them what a server would.
fn bodies(input: &[u8]) -> u64 {
    let Some((&[call, cut], body)) = input.split_first_chunk::<2>() else {
        return 0;
    };
    let pieces = match cut {
        0 => body.len().max(1),
        size => usize::from(size),
    };
    let mut decoder = Decoder::new(2_048);
    let mut outcomes = Vec::new();
    'pieces: for piece in body.chunks(pieces) {
        decoder.push(Bytes::copy_from_slice(piece));
        assert!(decoder.held() <= body.len());
        loop {
            match decoder.next_message() {
                Ok(None) => break,
                Ok(Some(message)) => outcomes.push(read(call, message)),
                Err(error) => {
                    outcomes.push(u64::from(error.grpc_status()));
                    break 'pieces;
                }
            }
        }
    }
    outcome((call % 5, outcomes))
}

fn read(call: u8, bytes: Bytes) -> u64 {
    match call % 5 {
        0 => with::<proto::SendMessageRequest>(bytes, send),
        1 => with::<proto::TelemetryCommand>(bytes, |command| {
            let command = command.command.as_ref();
            outcome(command.map(std::mem::discriminant))
        }),
        2 => with::<proto::ReceiveMessageRequest>(bytes, receive),
        3 => with::<proto::AckMessageRequest>(bytes, |request| {
            let handles = request.entries.iter().map(|entry| &entry.receipt_handle);
            let checked = handles.map(|handle| receipt_handle(handle, 0, 0).is_ok());
            outcome(checked.collect::<Vec<_>>())
        }),
        _ => with::<proto::QueryRouteRequest>(bytes, |request| {
            let topic = Names::default().topic(request.topic.as_ref());
            let endpoints = check::endpoints(request.endpoints.as_ref());
            outcome((topic.is_ok(), endpoints.is_ok()))
        }),
    }
}

/// What is read is written, and read again.
fn with<M: Message + Default + Weigh>(bytes: Bytes, then: impl Fn(&M) -> u64) -> u64 {
    let Ok(message) = codec::read::<M>(bytes) else {
        return 1;
    };
    let written = Bytes::from(message.encode_to_vec());
    let again = M::decode(written.clone()).expect("what is written is read");
    assert_eq!(again.encoded_len(), written.len());
    then(&message)
}

fn send(request: &proto::SendMessageRequest) -> u64 {
    let limits = Limits::default();
    let sender = Sender {
        topic: "topic",
        remote: None,
        now: 1,
        recovery: Duration::from_secs(60),
        limits: &limits,
    };
    let sent = request.messages.iter().map(|message| {
        let sent = outgoing(message, &sender).map_err(|error| error.code)?;
        // No text of a client's becomes a property that the client has not named.
        let properties = sent.properties.as_properties();
        let own = message.user_properties.len();
        assert!(properties.iter().count() <= own + 16);
        for (name, value) in &message.user_properties {
            let stored = properties.get(name);
            assert_eq!(stored.as_deref().unwrap_or_default(), value);
        }
        Ok(sent.kind)
    });
    let sent: Vec<Result<MessageKind, proto::Code>> = sent.collect();
    outcome(sent)
}

fn receive(request: &proto::ReceiveMessageRequest) -> u64 {
    let limits = Limits::default();
    let poll = check::Poll {
        asked: request.long_polling_timeout,
        remaining: Some(Duration::from_secs(8)),
        request_timeout: request.invisible_duration,
        version: request.attempt_id.as_deref(),
    };
    let time = check::polling_time(&poll, &limits).expect("there is time");
    assert!(time <= Duration::from_millis(7_500));
    let invisible = check::received_invisible_time(request.invisible_duration, &limits);
    let group = Names::default().group(request.group.as_ref());
    let filter = check::filter(request.filter_expression.as_ref());
    let batch = batch_size(request.batch_size);
    outcome((
        invisible.is_ok(),
        group.is_ok(),
        filter.is_ok(),
        batch.is_ok(),
    ))
}

fn texts(input: &[u8]) -> u64 {
    let text = String::from_utf8_lossy(input);
    let token = TransactionToken::decode(&text);
    if let Ok(token) = &token {
        let again = TransactionToken::decode(&token.encode());
        assert_eq!(again.as_ref(), Ok(token));
    }
    let reply = ReplyToken::decode(&text);
    if let Ok(reply) = &reply {
        let again = ReplyToken::decode(&reply.encode());
        assert_eq!(again.as_ref(), Ok(reply));
        assert!(reply.topic.ends_with("_REPLY_TOPIC"));
    }
    let names = Names::new(&text);
    if let Ok(names) = names {
        for name in ["T", "%RETRY%G", "%DLQ%G", "a%T"] {
            let asked = resource(name);
            if let Ok(topic) = names.topic(Some(&asked)) {
                assert_eq!(names.shown("", &topic), asked);
            }
        }
    }
    let topic = Names::default().topic(Some(&resource(&text)));
    if let Ok(topic) = &topic {
        assert_eq!(topic, &*text);
    }
    let headers = HEADERS.iter().map(|name| (*name, text.as_bytes()));
    let metadata = Metadata::read(headers);
    let endpoints = endpoints_of(text.split(','));
    if let Some(endpoints) = &endpoints {
        assert_eq!(check::endpoints(Some(endpoints)), Ok(endpoints));
    }
    assert!(shard(&text, 7) < 7);
    let handle = receipt_handle(&text, 0, 0);
    outcome((
        (
            token.is_ok(),
            reply.is_ok(),
            names.is_ok(),
            topic.is_ok(),
            endpoints.is_some(),
        ),
        (
            timeout(&text),
            Authorization::parse(&text).is_some(),
            handle.is_ok(),
        ),
        (metadata.client_id().is_ok(), metadata.language().0),
    ))
}
