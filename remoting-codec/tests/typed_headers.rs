//! Typed headers: all fields that real clients and brokers wrote are read, and written headers are
//! read again.

#![allow(clippy::unwrap_used, reason = "a test that panics fails")]

use std::{collections::BTreeMap, fs, path::PathBuf};

use bytes::Bytes;
use proptest::{option, prelude::*};
use remoting_codec::{
    CommandView, ExtFields, FieldError, Fields, RemotingCommand, RequestCode, SerializeType,
    headers::{
        ConsumerSendMsgBackRequest, GetConsumerListByGroupRequest, GetEarliestMsgStoretimeResponse,
        GetMaxOffsetRequest, GetRouteInfoRequest, Header, NotificationResponse, OffsetResponse,
        PopMessageRequest, PullMessageRequest, PullMessageResponse, QueryConsumerOffsetRequest,
        QueueRequest, SearchOffsetRequest, SendMessageRequest, SendMessageRequestV2,
        SendMessageResponse, UnregisterClientRequest, UpdateConsumerOffsetRequest,
    },
};

const SERIALIZATIONS: [(&str, SerializeType); 2] = [
    ("json", SerializeType::Json),
    ("binary", SerializeType::RocketMq),
];

fn frame(name: &str, serialization: &str) -> Bytes {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/golden");
    let file = folder.join(format!("{name}.{serialization}.bin"));
    fs::read(&file)
        .unwrap_or_else(|error| panic!("{}: {error}", file.display()))
        .into()
}

fn written<'a>(header: &impl Header<'a>) -> BTreeMap<&'static str, String> {
    let mut fields = BTreeMap::new();
    header.visit(&mut |name, text| {
        assert_eq!(fields.insert(name, text.to_owned()), None, "{name} twice");
    });
    fields
}

/// The declared fields of a header that a frame has.
fn declared<'a, H: Header<'a>>(ext_fields: ExtFields<'a>) -> BTreeMap<&'static str, String> {
    let names = H::FIELDS.iter().map(|spec| spec.name);
    let value = |name| Some((name, ext_fields.value(name)?.text().into_owned()));
    names
        .filter_map(value)
        .filter(|(_, text)| !text.is_empty())
        .collect()
}

/// Asserts that its header reads all fields of each frame.
macro_rules! whole {
    ($($name:literal $header:ident)*) => {
        $(for (serialization, _) in SERIALIZATIONS {
            let frame = frame($name, serialization);
            let view = CommandView::decode(&frame).unwrap();
            let header = $header::read(view.ext_fields()).unwrap();
            let there = declared::<$header<'_>>(view.ext_fields());
            assert_eq!(written(&header), there, "{} {serialization}", $name);
            assert!(!there.is_empty());
            Fields::read(view.ext_fields(), $header::FIELDS).unwrap();
            // The same when its fields are searched for again.
            let again = CommandView::decode_upstream(&frame).unwrap();
            assert_eq!($header::read(again.ext_fields()).unwrap(), header);
        })*
    };
}

/// A header without text has no lifetime; the macro above needs one.
macro_rules! whole_numbers {
    ($($name:literal $header:ident)*) => {
        $(for (serialization, _) in SERIALIZATIONS {
            let frame = frame($name, serialization);
            let view = CommandView::decode_upstream(&frame).unwrap();
            let header = $header::read(view.ext_fields()).unwrap();
            let there = declared::<$header>(view.ext_fields());
            assert_eq!(written(&header), there, "{} {serialization}", $name);
            let again = CommandView::decode(&frame).unwrap();
            assert_eq!($header::read(again.ext_fields()).unwrap(), header);
        })*
    };
}

#[test]
fn all_fields_that_java_wrote_are_read() {
    whole! {
        "send-message.request" SendMessageRequest
        "send-message-v2.request" SendMessageRequestV2
        "send-batch.request" SendMessageRequestV2
        "send-message-v2.response" SendMessageResponse
        "send-batch.response" SendMessageResponse
        "send-back.request" ConsumerSendMsgBackRequest
        "pull-message.request" PullMessageRequest
        "lite-pull-message.request" PullMessageRequest
        "query-consumer-offset.request" QueryConsumerOffsetRequest
        "update-consumer-offset.request" UpdateConsumerOffsetRequest
        "search-offset.request" SearchOffsetRequest
        "max-offset.request" GetMaxOffsetRequest
        "min-offset.request" QueueRequest
        "earliest-store-time.request" QueueRequest
        "route.request" GetRouteInfoRequest
        "consumer-list.request" GetConsumerListByGroupRequest
        "unregister-client.request" UnregisterClientRequest
    }
    whole_numbers! {
        "pull-message.response" PullMessageResponse
        "pull-message-19.response" PullMessageResponse
        "query-consumer-offset.response" OffsetResponse
        "search-offset.response" OffsetResponse
        "max-offset.response" OffsetResponse
        "min-offset.response" OffsetResponse
        "earliest-store-time.response" GetEarliestMsgStoretimeResponse
    }
}

#[test]
fn no_field_that_java_wrote_is_undeclared() {
    /// The fields that clients add to any request.
    const ANYWHERE: [&str; 4] = ["nsd", "ns", "lo", "ReqT"];
    macro_rules! complete {
        ($($name:literal $header:ident)*) => {
            $(
                let answer = frame($name, "json");
                let view = CommandView::decode(&answer).unwrap();
                let names: Vec<_> = $header::FIELDS.iter().map(|spec| spec.name).collect();
                view.ext_fields().visit(|name, _| {
                    let is_known = names.contains(&name) || ANYWHERE.contains(&name);
                    assert!(is_known, "{} has {name}", $name);
                });
            )*
        };
    }
    complete! {
        "send-message.request" SendMessageRequest
        "send-message-v2.request" SendMessageRequestV2
        "send-message-v2.response" SendMessageResponse
        "send-back.request" ConsumerSendMsgBackRequest
        "lite-pull-message.request" PullMessageRequest
        "pull-message.response" PullMessageResponse
        "query-consumer-offset.request" QueryConsumerOffsetRequest
        "update-consumer-offset.request" UpdateConsumerOffsetRequest
        "search-offset.request" SearchOffsetRequest
        "max-offset.request" GetMaxOffsetRequest
        "route.request" GetRouteInfoRequest
        "unregister-client.request" UnregisterClientRequest
    }
}

#[test]
fn both_names_of_a_send_are_the_same_send() {
    let long = frame("send-message.request", "json");
    let long = CommandView::decode(&long).unwrap();
    let long = SendMessageRequest::read(long.ext_fields()).unwrap();
    let short = frame("send-message-v2.request", "json");
    let short = CommandView::decode(&short).unwrap();
    let short = SendMessageRequest::from(SendMessageRequestV2::read(short.ext_fields()).unwrap());
    assert_eq!(long.producer_group, short.producer_group);
    assert_eq!(long.topic.text(), "GoldenTopic");
    assert_eq!(long.topic, short.topic);
    let names = |header: &SendMessageRequest<'_>| written(header).into_keys().collect::<Vec<_>>();
    // In the short form, Java leaves out fields that it does not need.
    for name in names(&short) {
        assert!(names(&long).contains(&name), "{name}");
    }
}

#[test]
fn errors_name_the_field() {
    let request = |fields: &[(&'static str, &'static str)]| {
        let mut request = RemotingCommand::request(RequestCode::UPDATE_CONSUMER_OFFSET);
        for (name, value) in fields {
            request = request.with_field(*name, *value);
        }
        request.to_bytes()
    };
    let read = |frame: &Bytes| {
        let view = CommandView::decode(frame).unwrap();
        let read = UpdateConsumerOffsetRequest::read(view.ext_fields());
        read.map(|header| (header.queue_id, header.commit_offset))
    };
    let most = [
        ("consumerGroup", "g"),
        ("topic", "T"),
        ("queueId", "2147483647"),
    ];
    assert_eq!(
        read(&request(&most)),
        Err(FieldError::Missing("commitOffset"))
    );
    let with = |value| request(&[&most[..], &[("commitOffset", value)]].concat());
    assert_eq!(read(&with("-1")), Ok((i32::MAX, -1)));
    assert_eq!(read(&with("")), Err(FieldError::Missing("commitOffset")));
    let malformed = FieldError::Malformed {
        name: "commitOffset",
        expected: "a 64 bit number",
        found: "9223372036854775808".to_owned(),
    };
    assert_eq!(read(&with("9223372036854775808")), Err(malformed));
    // Of a name that occurs twice, the last counts.
    let twice = request(&[&most[..], &[("commitOffset", "x"), ("commitOffset", "7")]].concat());
    assert_eq!(read(&twice), Ok((i32::MAX, 7)));
}

#[test]
fn booleans_are_read_as_in_java() {
    for (text, has_msg) in [("true", true), ("TRUE", true), ("1", false), ("x", false)] {
        let frame = RemotingCommand::request(RequestCode::NOTIFICATION)
            .with_field("hasMsg", text)
            .to_bytes();
        let view = CommandView::decode(&frame).unwrap();
        let answer = NotificationResponse::read(view.ext_fields()).unwrap();
        assert_eq!(answer.has_msg, has_msg, "{text}");
        assert_eq!(answer.polling_full, None);
    }
}

/// Text in the form of names, properties and filters, and any other. Empty text counts as absent.
fn text() -> impl Strategy<Value = String> {
    prop_oneof![
        "[a-zA-Z0-9_%-]{1,20}",
        "([A-Z]{1,8}\u{1}[a-z]{1,8}\u{2}){1,4}",
        ".{1,12}",
        proptest::collection::vec(any::<char>(), 1..8).prop_map(String::from_iter),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 512, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn written_headers_are_read(
        texts in (option::of(text()), text(), text(), option::of(text()), option::of(text())),
        ints in (any::<i32>(), any::<i32>(), any::<i32>()),
        longs in (any::<i64>(), any::<i64>(), option::of(any::<i64>())),
        order in option::of(any::<bool>()),
        binary in any::<bool>(),
    ) {
        let header = PopMessageRequest {
            broker: texts.0.as_deref().map(Into::into),
            group: texts.1.as_str().into(),
            topic: texts.2.as_str().into(),
            queue_id: ints.0,
            max_msg_nums: ints.1,
            invisible_time: longs.0,
            poll_time: longs.1,
            born_time: longs.2,
            init_mode: ints.2,
            expression_type: None,
            expression: texts.3.as_deref().map(Into::into),
            order,
            attempt_id: texts.4.as_deref().map(Into::into),
        };
        let (_, serialize_type) = SERIALIZATIONS[usize::from(binary)];
        let command = RemotingCommand {
            serialize_type,
            ..RemotingCommand::request(RequestCode::PULL_MESSAGE).with_field("first", "1")
        };
        let command = command.with_header(&header);
        let frame = command.to_bytes();
        prop_assert_eq!(RemotingCommand::decode(&frame).unwrap(), command);
        let view = CommandView::decode(&frame).unwrap();
        prop_assert_eq!(PopMessageRequest::read(view.ext_fields()).unwrap(), header);
    }
}
