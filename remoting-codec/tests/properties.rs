//! Properties of the codec that hold for every input.

#![allow(
    clippy::indexing_slicing,
    clippy::unwrap_used,
    reason = "a test that panics fails"
)]

use std::collections::HashSet;
use std::ops::Range;

use bytes::Bytes;
use proptest::{collection::vec, option, prelude::*, sample::Index};
use remoting_codec::{
    CommandView, DEFAULT_FRAME_LIMIT, DEFAULT_HEADER_LIMIT, FieldKind, FieldSpec, Fields,
    FrameLimits, Language, Opaque, RemotingCommand, SerializeType, Version, body, frame_length,
};

const LIMIT: FrameLimits = FrameLimits {
    frame: DEFAULT_FRAME_LIMIT,
    header: DEFAULT_HEADER_LIMIT,
};

/// Frames that brokers and clients wrote, to be damaged.
const FRAMES: [&[u8]; 4] = [
    b"\0\0\0\x7f\0\0\0\x7b{\"code\":105,\"extFields\":{\"topic\":\"T\"},\"flag\":0,\"language\":\"JAVA\",\"opaque\":7,\"serializeTypeCurrentRPC\":\"JSON\",\"version\":479}",
    b"\0\0\0\x2a\x01\0\0\x24\0\x69\0\x01\xdf\0\0\0\x07\0\0\0\0\0\0\0\x03h\xc3\xa9\0\0\0\x0c\0\x05topic\0\0\0\x01TBB",
    include_bytes!("golden/send-message-v2.request.json.bin"),
    include_bytes!("golden/send-message-v2.request.binary.bin"),
];

const BODIES: [&str; 6] = [
    r#"{"brokerDatas":[{"brokerAddrs":{0:"10.0.0.1:10911",-1:"10.0.0.2:10911"},"brokerName":"broker-a","cluster":"c"}],"filterServerTable":{},"queueDatas":[{"brokerName":"broker-a","perm":6,"readQueueNums":4,"topicSysFlag":0,"writeQueueNums":4}]}"#,
    r#"{"brokerAddrTable":{"broker-a":{"brokerAddrs":{0:"10.0.0.1:10911"},"brokerName":"broker-a"}},"clusterAddrTable":{"c":["broker-a"]}}"#,
    r#"{"clientID":"10.0.0.1@1","consumerDataSet":[{"groupName":"g","messageModel":0,"subscriptionDataSet":[{"topic":"T"}]}],"producerDataSet":[{"groupName":"p"}]}"#,
    r#"{"clientId":"10.0.0.1@1","group":"g","subscriptionData":{"topic":"T"}}"#,
    r#"{"clientId":"c","consumerGroup":"g","mqSet":[{"brokerName":"b","queueId":1,"topic":"T"}],"onlyThisBroker":false}"#,
    r#"{"consumerIdList":["a","b"]}"#,
];

/// Text that JSON and the binary form write differently.
const TOKENS: [&[u8]; 22] = [
    b"{",
    b"}",
    b"[",
    b"]",
    b"\"",
    b",",
    b":",
    b"\\",
    b"\\u00e9",
    b"\\ud800",
    b"null",
    b"-1",
    b"1e999",
    b"\"opaque\":9,",
    b"\"\\u006fpaque\":9,",
    b"\"topic\":{\"a\":[1]},",
    b"\xff",
    b"\0",
    b"\x7f\xff\xff\xff",
    b"\xff\xff\xff\xff",
    b"\0\x01",
    b"\xf0\x9f\x98\x80",
];

/// Text in the form of message properties, and any other.
fn text() -> impl Strategy<Value = String> {
    prop_oneof![
        "[a-zA-Z0-9_%-]{1,20}",
        "([A-Z]{1,8}\u{1}[a-z]{1,8}\u{2}){1,4}",
        ".{1,12}",
        vec(any::<char>(), 1..8).prop_map(String::from_iter),
    ]
}

/// In the binary form, a field must have a name.
fn key() -> impl Strategy<Value = String> {
    prop_oneof!["[a-zA-Z_]{1,12}", ".{1,8}"].prop_filter("no instruction", |key| {
        !matches!(&**key, "@type" | "$ref") && !key.contains('\0')
    })
}

fn command() -> impl Strategy<Value = RemotingCommand> {
    let head = (
        any::<i32>(),
        0..14_u8,
        any::<i32>(),
        any::<i32>(),
        any::<i32>(),
    );
    let rest = (
        option::of(text()),
        vec((key(), text()), 0..6),
        vec(any::<u8>(), 0..64),
        any::<bool>(),
    );
    (head, rest).prop_map(|(head, rest)| {
        let (code, language, version, opaque, flag) = head;
        let (remark, ext_fields, body, binary) = rest;
        let ext_fields = ext_fields.into_iter();
        let mut names = HashSet::new();
        // The binary form has 16 bits for some.
        let narrow = |number: i32| {
            if binary {
                i32::from(number as i16)
            } else {
                number
            }
        };
        RemotingCommand {
            code: match narrow(code) {
                3442..=3448 | 3543 => 0,
                code => code,
            },
            language: Language(language),
            version: Version(narrow(version)),
            opaque: Opaque(opaque),
            flag,
            remark: remark.map(Into::into),
            // A rewritten header has each name once.
            ext_fields: ext_fields
                .filter(|(name, _)| names.insert(name.clone()))
                .map(|(name, value)| (name.into(), value.into()))
                .collect(),
            body: body.into(),
            serialize_type: if binary {
                SerializeType::RocketMq
            } else {
                SerializeType::Json
            },
        }
    })
}

/// One way to damage bytes.
#[derive(Clone, Debug)]
enum Spoil {
    Cut(Index),
    Flip(Index, u8),
    Insert(Index, &'static [u8]),
    Remove(Index, usize),
    Repeat(Index, usize),
}

impl Spoil {
    fn apply(&self, bytes: &mut Vec<u8>) {
        if bytes.is_empty() {
            return;
        }
        let range = |at: &Index, length: usize| -> Range<usize> {
            let start = at.index(bytes.len());
            start..bytes.len().min(start + length)
        };
        match self {
            Self::Cut(at) => bytes.truncate(at.index(bytes.len())),
            Self::Flip(at, bit) => {
                let at = at.index(bytes.len());
                bytes[at] ^= 1 << bit;
            }
            Self::Insert(at, token) => {
                let at = at.index(bytes.len());
                bytes.splice(at..at, token.iter().copied());
            }
            Self::Remove(at, length) => {
                let range = range(at, *length);
                bytes.drain(range);
            }
            Self::Repeat(at, length) => {
                let range = range(at, *length);
                let copy = bytes[range.clone()].to_vec();
                bytes.splice(range.start..range.start, copy);
            }
        }
    }
}

fn spoil() -> impl Strategy<Value = Spoil> {
    prop_oneof![
        1 => any::<Index>().prop_map(Spoil::Cut),
        2 => (any::<Index>(), 0..8_u8).prop_map(|(at, bit)| Spoil::Flip(at, bit)),
        3 => (any::<Index>(), prop::sample::select(&TOKENS[..]))
            .prop_map(|(at, token)| Spoil::Insert(at, token)),
        1 => (any::<Index>(), 1..20_usize).prop_map(|(at, n)| Spoil::Remove(at, n)),
        1 => (any::<Index>(), 1..40_usize).prop_map(|(at, n)| Spoil::Repeat(at, n)),
    ]
}

/// Corrects the lengths of a frame whose header was damaged; the body is unchanged.
fn with_true_lengths(mut frame: Vec<u8>, body: usize) -> Vec<u8> {
    if frame.len() >= 8 + body {
        let header = (frame.len() - 8 - body) as u32;
        let total = (frame.len() - 4) as u32;
        frame[..4].copy_from_slice(&total.to_be_bytes());
        let serialize_type = u32::from(frame[4] & 1) << 24;
        frame[4..8].copy_from_slice(&(serialize_type | header).to_be_bytes());
    }
    frame
}

fn fields_of(view: &CommandView<'_>) -> Vec<(String, String)> {
    let mut fields = Vec::new();
    view.ext_fields()
        .visit(|name, value| fields.push((name.to_owned(), value.text().into_owned())));
    fields
}

/// Calls all readers of frames with this one. None may panic. If the frame can be read, it has the
/// same contents after a change of its opaque.
fn read_everything(frame: &[u8], opaque: i32) {
    const SPECS: &[FieldSpec] = &[
        FieldSpec::required("topic", FieldKind::Text),
        FieldSpec::optional("e", FieldKind::Int),
        FieldSpec::optional("g", FieldKind::Long),
    ];
    let _ = frame_length(frame, LIMIT);
    let Ok(view) = CommandView::decode(frame) else {
        assert!(RemotingCommand::decode(&Bytes::copy_from_slice(frame)).is_err());
        return;
    };
    view.ext_fields().visit(|name, value| {
        let _ = (value.int(), value.long(), value.is_true(), value.is_empty());
        assert!(view.ext_fields().value(name).is_some());
        // Resolving escapes never makes text longer, except for half surrogate pairs.
        assert!(value.text().len() <= frame.len());
    });
    if let Err(error) = Fields::read(view.ext_fields(), SPECS) {
        assert!(error.to_string().len() < 500);
    }
    let mut patched = Vec::new();
    view.encode_head_with_opaque(opaque, &mut patched);
    patched.extend_from_slice(view.body());
    let again = CommandView::decode(&patched).unwrap();
    assert_eq!(again.opaque(), Opaque(opaque));
    assert_eq!(again.code(), view.code());
    assert_eq!(again.flag(), view.flag());
    assert_eq!(again.language(), view.language());
    assert_eq!(again.version(), view.version());
    assert_eq!(again.serialize_type(), view.serialize_type());
    assert_eq!(again.remark(), view.remark());
    assert_eq!(again.body(), view.body());
    assert_eq!(fields_of(&again), fields_of(&view));
}

fn read_every_body(body: &[u8]) {
    let _ = body::ClientConfig::decode(body);
    let _ = body::ConsumerList::decode(body);
    let _ = body::Heartbeat::decode(body).map(|heartbeat| heartbeat.topics.len());
    let _ = body::LockBatch::decode(body).map(|lock| lock.encode());
    let _ = body::LockBatchResponse::decode(body).map(|lock| lock.encode());
    if let Ok(info) = body::ClusterInfo::decode(body) {
        assert_eq!(body::ClusterInfo::decode(&info.encode()), Ok(info));
    }
    if let Ok(route) = body::TopicRouteData::decode(body) {
        assert_eq!(body::TopicRouteData::decode(&route.encode()), Ok(route));
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 512, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_split_of_a_stream_yields_the_same_frames(
        commands in vec(command(), 1..5),
        splits in vec(any::<Index>(), 0..12),
    ) {
        let frames: Vec<Bytes> = commands.iter().map(RemotingCommand::to_bytes).collect();
        let stream = frames.concat();
        let mut splits: Vec<usize> = splits.iter().map(|at| at.index(stream.len())).collect();
        splits.push(stream.len());
        splits.sort_unstable();
        let mut arrived = Vec::new();
        let mut cut = Vec::new();
        let mut read = 0;
        for split in splits {
            arrived.extend_from_slice(&stream[read..split]);
            read = split;
            while let Some(length) = frame_length(&arrived, LIMIT).unwrap() {
                if arrived.len() < length {
                    break;
                }
                cut.push(Bytes::from(arrived.drain(..length).collect::<Vec<u8>>()));
            }
        }
        prop_assert!(arrived.is_empty());
        prop_assert_eq!(cut, frames);
    }

    #[test]
    fn a_frames_length_is_known_from_its_first_four_bytes(command in command(), seen in any::<Index>()) {
        let frame = command.to_bytes();
        let seen = seen.index(frame.len());
        let length = frame_length(&frame[..seen], LIMIT).unwrap();
        prop_assert_eq!(length, (seen >= 4).then_some(frame.len()));
        let less = FrameLimits {
            frame: frame.len() - 1,
            ..LIMIT
        };
        prop_assert!(frame_length(&frame, less).is_err());
    }

    #[test]
    fn encoded_commands_are_decoded(command in command()) {
        let frame = command.to_bytes();
        prop_assert_eq!(frame_length(&frame, LIMIT), Ok(Some(frame.len())));
        let decoded = RemotingCommand::decode(&frame).unwrap();
        prop_assert_eq!(&decoded, &command);
        prop_assert_eq!(decoded.to_bytes(), frame);
    }

    #[test]
    fn another_opaque_changes_nothing_else(command in command(), opaque in any::<i32>()) {
        let frame = command.to_bytes();
        let view = CommandView::decode(&frame).unwrap();
        // Bytes that are in the buffer already stay.
        let mut patched = b"before".to_vec();
        view.encode_head_with_opaque(opaque, &mut patched);
        prop_assert_eq!(patched.drain(..6).collect::<Vec<_>>(), b"before");
        patched.extend_from_slice(view.body());
        prop_assert_eq!(frame_length(&patched, LIMIT), Ok(Some(patched.len())));
        let decoded = RemotingCommand::decode(&patched.clone().into()).unwrap();
        let expected = RemotingCommand { opaque: Opaque(opaque), ..command.clone() };
        prop_assert_eq!(decoded, expected);
        let mut back = Vec::new();
        let view = CommandView::decode(&patched).unwrap();
        view.encode_head_with_opaque(command.opaque, &mut back);
        back.extend_from_slice(view.body());
        prop_assert_eq!(back, frame);
    }

    #[test]
    fn arbitrary_bytes_cause_no_panic(
        serialize_type in 0..3_u8,
        header in vec(any::<u8>(), 0..80),
        bytes in vec(any::<u8>(), 0..80),
    ) {
        read_everything(&bytes, 1);
        read_every_body(&bytes);
        let mut frame = vec![0, 0, 0, 4 + header.len() as u8, serialize_type, 0, 0, header.len() as u8];
        frame.extend_from_slice(&header);
        read_everything(&frame, 1);
    }

    #[test]
    fn damaged_frames_cause_no_panic(
        frame in prop_oneof![
            prop::sample::select(&FRAMES[..]).prop_map(<[u8]>::to_vec),
            command().prop_map(|command| command.to_bytes().to_vec()),
        ],
        spoils in vec(spoil(), 1..6),
        true_lengths in any::<bool>(),
        opaque in any::<i32>(),
    ) {
        let body = CommandView::decode(&frame).unwrap().body().len();
        let mut frame = frame;
        for spoil in spoils {
            spoil.apply(&mut frame);
        }
        if true_lengths {
            frame = with_true_lengths(frame, body);
        }
        read_everything(&frame, opaque);
    }

    #[test]
    fn damaged_bodies_cause_no_panic(
        body in prop::sample::select(&BODIES[..]),
        spoils in vec(spoil(), 0..6),
    ) {
        let mut body = body.as_bytes().to_vec();
        for spoil in spoils {
            spoil.apply(&mut body);
        }
        read_every_body(&body);
    }
}
