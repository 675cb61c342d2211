//! Headers in both serializations: what is read of one is what is passed on of it.

use std::fs;

use bytes::Bytes;
use integration_tests::workspace::crate_dir;
use remoting_codec::{
    CommandView, DecodeError, FrameLimits, RemotingCommand, SerializeType, frame_length,
};

use crate::random::Random;
use crate::{Target, generate, outcome};

/// An input is a header.
pub(crate) const JSON: Target = Target {
    name: "json-header",
    run: |header| run(header, SerializeType::Json),
    longest: 8_192,
    tokens: TOKENS,
    seeds: || golden_headers(SerializeType::Json),
    generate: Some(|random| made_up(random, SerializeType::Json)),
};

/// An input is a header.
pub(crate) const BINARY: Target = Target {
    name: "binary-header",
    run: |header| run(header, SerializeType::RocketMq),
    longest: 8_192,
    tokens: &[
        b"\0\0\0\0",
        b"\xff\xff\xff\xff",
        b"\x7f\xff\xff\xff",
        b"\x80\0\0\0",
        b"\xff\xff",
        b"\x7f\xff",
        b"\0\x01a\0\0\0\x01b",
        b"\0\x01a\0\0\0\0",
        b"\0\0\0\0\0\x01b",
        b"\x0d\x72",
        b"\x0d\xd7",
        b"\xed\xa0\x80",
        b"\xf0\x9f\x98\x80",
        b"\xc3",
    ],
    seeds: || golden_headers(SerializeType::RocketMq),
    generate: Some(|random| made_up(random, SerializeType::RocketMq)),
};

const TOKENS: &[&[u8]] = &[
    b"{",
    b"}",
    b"[",
    b"]",
    b"\"",
    b",",
    b":",
    b"\\",
    b"'",
    b" ",
    b"\n",
    b"//",
    b"/*",
    b"*/",
    b"{\"a\":",
    b"[[[[[[[[",
    b"{}",
    b"\"\":",
    b"null",
    b"true",
    b"false",
    b"NaN",
    b"-1",
    b"-0",
    b"007",
    b"1e9",
    b"1.50",
    b"9999999999999999999",
    b"2147483648",
    b"\\u0000",
    b"\\u00e9",
    b"\\ud83d",
    b"\\ude00",
    b"\\x41",
    b"\xff",
    b"\xc3",
    b"\xed\xa0\x80",
    b"\xf0\x9f\x98\x80",
    b"\0",
    b"\xef\xbb\xbf",
    b"@type",
    b"$ref",
    b"\"opaque\":9,",
    b"\"\\u006fpaque\":9,",
    b"\"topic\":{\"a\":[1]},",
    b"\"extFields\":{",
    b"\"extFields\":null,",
    b"\"remark\":\"",
    b"\"code\":10,",
    b"\"flag\":1,",
    b"\"language\":\"CPP\",",
    b"\"language\":13,",
    b"\"version\":\"401\",",
    b"\"serializeTypeCurrentRPC\":\"ROCKETMQ\",",
    b"\"a\":1,",
];

/// What is behind every header.
const BODY: &[u8] = b"what is behind it";

/// Under which everything is passed on.
const OPAQUE: i32 = -1_234_567_890;

/// Frames that real clients, name servers and brokers have written.
pub(crate) fn golden_frames() -> Vec<Vec<u8>> {
    let folder = crate_dir().join("../remoting-codec/tests/golden");
    let entries = fs::read_dir(folder).expect("the golden frames");
    let files = entries.map(|entry| entry.expect("a file").path());
    let mut files: Vec<_> = files
        .filter(|file| file.extension().is_some_and(|name| name == "bin"))
        .collect();
    // The order of a folder is not the same everywhere.
    files.sort();
    files
        .iter()
        .map(|file| fs::read(file).expect("a golden frame"))
        .collect()
}

fn golden_headers(kind: SerializeType) -> Vec<Vec<u8>> {
    let frames = golden_frames().into_iter();
    let frames = frames.filter(|frame| frame[4] == kind as u8);
    frames.map(|frame| header_of(&frame[4..])).collect()
}

/// The header of a frame without its length field.
fn header_of(frame: &[u8]) -> Vec<u8> {
    let length = u32::from_be_bytes([0, frame[1], frame[2], frame[3]]) as usize;
    frame[4..4 + length].to_vec()
}

/// As the judge makes them up.
fn made_up(random: &mut Random, kind: SerializeType) -> Vec<u8> {
    loop {
        let frame = generate::frame(random);
        if frame[0] == kind as u8 {
            return header_of(&frame);
        }
    }
}

fn frame(header: &[u8], kind: SerializeType) -> Vec<u8> {
    let word = u32::from(kind as u8) << 24 | header.len() as u32;
    let length = (4 + header.len() + BODY.len()) as u32;
    [&length.to_be_bytes(), &word.to_be_bytes(), header, BODY].concat()
}

/// The contents of a command.
#[derive(Debug, Eq, PartialEq)]
struct Reading {
    code: i32,
    flag: i32,
    opaque: i32,
    version: i32,
    language: u8,
    remark: String,
    ext_fields: Vec<(String, String)>,
    body: Vec<u8>,
}

impl Reading {
    fn of<O: From<i32> + Into<i32>>(view: &CommandView<'_, O>) -> Self {
        let mut ext_fields = Vec::new();
        view.ext_fields().visit(|name, value| {
            ext_fields.push((name.to_owned(), value.text().into_owned()));
        });
        Self {
            code: view.code(),
            flag: view.flag(),
            opaque: view.opaque().into(),
            version: view.version().0,
            language: view.language().0,
            remark: view.remark().into_owned(),
            ext_fields,
            body: view.body().to_vec(),
        }
    }
}

/// The whole command under another opaque, as a lane gets it.
fn passed_on(view: &CommandView<'_>, opaque: i32) -> Vec<u8> {
    let mut out = Vec::new();
    view.encode_head_with_opaque(opaque, &mut out);
    out.extend_from_slice(view.body());
    out
}

fn run(header: &[u8], kind: SerializeType) -> u64 {
    const ANY: FrameLimits = FrameLimits {
        frame: usize::MAX,
        header: usize::MAX,
    };
    let frame = frame(header, kind);
    let of_a_broker = CommandView::decode_upstream(&frame);
    let view = match CommandView::decode(&frame) {
        Ok(view) => view,
        Err(error) => {
            // How far the header was read counts as progress: an input made of it may be read
            // further.
            let (which, place) = match error {
                DecodeError::Malformed(at) => (0, at.min(300)),
                DecodeError::AmbiguousKey(_) => (1, 0),
                DecodeError::Frame(_) => (2, 0),
                DecodeError::NotText => (3, 0),
                DecodeError::NotANumber(key) => (4, u32::from(key.as_bytes()[0])),
                DecodeError::Truncated => (5, 0),
                _ => (6, 0),
            };
            return outcome((which, place, of_a_broker.is_ok()));
        }
    };
    let reading = Reading::of(&view);
    if view.is_canonical() {
        assert_eq!(
            passed_on(&view, view.opaque().0),
            frame,
            "it is forwarded unchanged"
        );
        // That reader is trusting, so only what is in order can be compared.
        let of_a_broker = of_a_broker.as_ref().map(Reading::of);
        assert_eq!(of_a_broker.as_ref(), Ok(&reading), "as if of a broker");
    }
    for (name, _) in &reading.ext_fields {
        let named = |field: &&(String, String)| field.0 == *name;
        let last = reading
            .ext_fields
            .iter()
            .rfind(named)
            .map(|field| field.1.as_str());
        let value = view.ext_fields().value(name).map(|value| value.text());
        assert_eq!(value.as_deref(), last, "the last {name:?} counts");
    }

    let on = passed_on(&view, OPAQUE);
    assert!(on.len() <= view.longest());
    assert_eq!(frame_length(&on, ANY), Ok(Some(on.len())));
    let read_again = CommandView::decode(&on).expect("what is passed on can be read");
    let expected = Reading {
        opaque: OPAQUE,
        ..reading
    };
    assert_eq!(Reading::of(&read_again), expected, "what is passed on");
    assert_eq!(passed_on(&read_again, OPAQUE), on, "passed on twice");

    let command = RemotingCommand::decode(&Bytes::from(frame.clone())).expect("it was read before");
    let written = command.to_bytes();
    let read_again = RemotingCommand::decode(&written).expect("what we write, we read");
    assert_eq!(read_again, command, "what we write in our own name");
    assert_eq!(read_again.to_bytes(), written, "written twice");

    let fields = expected.ext_fields.len();
    let wide = |text: &str| (!text.is_ascii(), text.len().min(20) / 5);
    outcome((
        view.is_canonical(),
        // Up to 24 are noted, and of more, none.
        fields.min(30),
        wide(&expected.remark),
        expected
            .ext_fields
            .last()
            .map(|(name, value)| (wide(name), wide(value))),
        expected.language.min(20),
        expected.body.len(),
    ))
}
