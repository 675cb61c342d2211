//! The JSON API of HTTP: what clients send, and messages on their way to them.

use std::borrow::Cow;
use std::io::Read as _;
use std::net::SocketAddr;

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue};
use http_api::json::{
    Check, Delivered, Draft, Events, Format, Handle, Inflate, Name, Operation, Problem, Pull, Span,
    Stamp, TransactionToken, packed, read_batch, read_reply, read_request, read_settlement,
    read_single,
};
use remoting_codec::message::{Properties, Receipt, StoredMessage, StoredVersion, SysFlag};

use crate::{Target, outcome};

/// An input is a byte that names the reader, and what it reads: a path, a query, a body, the lines
/// of a request, a handle or a token, a time.
pub(crate) const REQUESTS: Target = Target {
    name: "http-json-requests",
    run: requests,
    longest: 4_096,
    tokens: &[
        b"/v1/topics/T/groups/G/messages:pull",
        b"/v1/transactions/t:commit",
        b"%25",
        b"%ff",
        b"&key=",
        b"delay=30s",
        b"at=2026-11-21T09:36:16Z",
        b"{\"messages\":[{\"body\":\"\"}]}",
        b"\"bodyBase64\":\"AP8=\"",
        b"\"json\":null",
        b"\"specversion\":\"1.0\",\"id\":\"1\",\"source\":\"s\",\"type\":\"t\"",
        b"\"handle\":\"\"",
        b"[[[[",
        b"\nx-mq-property-a: ",
        b"\ncontent-type: application/cloudevents+json",
        b"\nce-id: 1",
    ],
    seeds,
    generate: None,
};

/// An input is two bytes, which say how the body is compressed and where it ends, the body, and the
/// message's properties.
pub(crate) const DELIVERED: Target = Target {
    name: "http-json-delivered",
    run: delivered,
    longest: 4_096,
    tokens: &[
        b"\x02CE_id\x011\x02",
        b"\x02content-type\x01text/plain\x02",
        b"\x02KEYS\x01a b\x02",
        b"\x02REPLY_TO_CLIENT\x01c\x02CORRELATION_ID\x011\x02TTL\x011\x02CLUSTER\x01d\x02",
        b"\x78\x9c",
        b"\x1f\x8b\x08",
        b"\xff",
    ],
    seeds: crate::no_seeds,
    generate: None,
};

const RECEIPT: &str = "100 1795253776123 60000 7 1 broker-a 3 105 4711";

fn seeds() -> Vec<Vec<u8>> {
    let receipt = Receipt::parse(RECEIPT).expect("a receipt");
    let handle = Handle::new(&receipt, Some("lite"), "T", "G").expect("of one message");
    let transaction = TransactionToken {
        topic: "T".to_owned(),
        message_id: "1".to_owned(),
        token: "R1.AAhicm9rZXItYQ".to_owned(),
    };
    let event = r#"{"specversion":"1.0","id":"1","source":"/s","type":"t","data":{"a":[1]}}"#;
    let texts = [
        (0, "/v1/topics/%25RETRY%25G/groups/G/messages/h".to_owned()),
        (
            1,
            "tag=a&key=b&key=c&delay=30s&property=a=b&transaction&checkAfter=1m".to_owned(),
        ),
        (
            1,
            "max=3&wait=20s&invisible=30s&filter=a%7C%7Cb&attemptId=1".to_owned(),
        ),
        (1, "timeout=3s&broker=a&queue=1".to_owned()),
        (
            2,
            r#"{"messages":[{"body":"a\n","tag":"t","keys":["k"],"at":"2026-11-21T09:36:16Z",
                "properties":{"a":"b"}},{"bodyBase64":"AP8="},{"json":{"a":[1]}}]}"#
                .to_owned(),
        ),
        (3, "{\"body\":\"a\"}\n{\"json\":1}\n".to_owned()),
        (4, format!("[{event}]")),
        (
            5,
            r#"{"acks":["a"],"nacks":[{"handle":"b","delay":"5s"}],
                "extends":[{"handle":"c","invisible":"1m"}],"deadLetters":["d"]}"#
                .to_owned(),
        ),
        (
            6,
            r#"{"max":3,"wait":"20s","filter":{"sql":"a > 1"},"attemptId":"1"}"#.to_owned(),
        ),
        (
            7,
            "x-mq-tag: a\nx-mq-property-%43: %e4%b8%ad\nidempotency-key: \"1\"".to_owned(),
        ),
        (
            7,
            "ce-specversion: 1.0\nce-id: 1\nce-source: s\nce-type: t\ncontent-type: a/b".to_owned(),
        ),
        (8, handle.encode()),
        (8, transaction.encode()),
        (9, "2026-11-21T10:36:16.123+01:00".to_owned()),
        (9, "1500ms".to_owned()),
    ];
    let texts = texts.into_iter();
    texts
        .map(|(kind, text)| [&[kind], text.as_bytes()].concat())
        .collect()
}

fn requests(input: &[u8]) -> u64 {
    let Some((&kind, rest)) = input.split_first() else {
        return 0;
    };
    let text = String::from_utf8_lossy(rest);
    let body = Bytes::copy_from_slice(rest);
    let none = HeaderMap::new();
    match kind % 10 {
        0 => outcome(code(&Operation::at(&text)).map(Operation::name)),
        1 => outcome((
            code(&read_single(Some(&text), &none, body.clone())).map(of_draft),
            code(&read_request(Some(&text), &none, body)).is_ok(),
            code(&Pull::read(Some(&text), b"")).map(|pull| pull.max),
            code(&Events::read(Some(&text))).is_ok(),
            code(&Check::read(Some(&text), b"")).is_ok(),
        )),
        2 => batch(Format::Json, &body),
        3 => batch(Format::Lines, &body),
        4 => batch(Format::Events, &body),
        5 => outcome(code(&read_settlement(&body)).map(|settlements| {
            let mut handles: Vec<_> = settlements.iter().map(|one| &one.handle).collect();
            handles.sort();
            handles.dedup();
            assert_eq!(handles.len(), settlements.len(), "each handle once");
            handles.len()
        })),
        6 => outcome((
            code(&Pull::read(None, &body)).map(|pull| pull.max),
            code(&Check::read(None, &body)).map(|check| check.max),
        )),
        7 => {
            let headers = headers(rest);
            outcome((
                code(&read_single(None, &headers, body.clone())).map(of_draft),
                code(&read_request(None, &headers, body.clone())).map(|(draft, _)| of_draft(draft)),
                code(&read_reply(None, &headers, body)).map(of_draft),
            ))
        }
        8 => tokens(&text),
        _ => {
            let (stamp, span) = (Stamp::parse(&text), Span::parse(&text));
            if let Some(stamp) = stamp {
                assert_eq!(Stamp::parse(&stamp.to_string()), Some(stamp));
            }
            if let Some(span) = span {
                let again = Span::parse(&span.to_string());
                // A long one has too many digits in seconds.
                assert!(again == Some(span) || again.is_none());
            }
            outcome((stamp.is_some(), span.is_some()))
        }
    }
}

/// What was read, or the word of the problem; its document is short, whatever the input is.
fn code<T>(read: &Result<T, Problem>) -> Result<&T, &'static str> {
    read.as_ref().map_err(|problem| {
        let document = serde_json::to_string(problem).expect("a document");
        assert!(document.len() < 8_192, "{document}");
        problem.word.text()
    })
}

/// What holds of each draft, and what kind it is.
fn of_draft(draft: &Draft) -> (usize, usize, bool) {
    let mut names: Vec<_> = draft.properties.iter().map(|(name, _)| name).collect();
    names.sort();
    names.dedup();
    assert_eq!(names.len(), draft.properties.len(), "each property once");
    assert!(
        draft
            .keys
            .iter()
            .all(|key| !key.contains(' ') && !key.is_empty())
    );
    (
        draft.keys.len().min(3),
        names.len().min(5),
        draft.body.is_empty(),
    )
}

fn batch(format: Format, body: &Bytes) -> u64 {
    let read = read_batch(format, body);
    outcome(code(&read).map(|entries| {
        let entries = entries.iter().take(8);
        let entries = entries.map(|entry| code(entry).map(of_draft));
        entries.collect::<Vec<_>>()
    }))
}

/// The headers of lines such as `name: value`; those that HTTP does not allow are left out.
fn headers(lines: &[u8]) -> HeaderMap {
    let mut headers = HeaderMap::new();
    for line in lines.split(|byte| *byte == b'\n') {
        let Some(colon) = line.iter().position(|byte| *byte == b':') else {
            continue;
        };
        let name = HeaderName::from_bytes(&line[..colon]);
        let value = HeaderValue::from_bytes(line[colon + 1..].trim_ascii());
        if let (Ok(name), Ok(value)) = (name, value) {
            headers.append(name, value);
        }
    }
    headers
}

fn tokens(text: &str) -> u64 {
    let handle = Handle::decode(text, "T", "G");
    if let Ok(handle) = &handle {
        assert_eq!(handle.encode(), text, "a handle has one form");
        let receipt = handle.receipt().to_string();
        assert_eq!(Receipt::parse(&receipt), Ok(handle.receipt()));
    }
    let transaction = TransactionToken::decode(text).ok();
    if let Some(token) = &transaction {
        assert_eq!(token.encode(), text);
    }
    let handle = handle.map(drop).map_err(|error| format!("{error:?}"));
    outcome((handle, transaction.is_some()))
}

/// Delivers a message as JSON and with headers, and reads both again.
fn delivered(input: &[u8]) -> u64 {
    let Some((&[kind, length], rest)) = input.split_first_chunk::<2>() else {
        return 0;
    };
    let (body, properties) = rest.split_at(usize::from(length).min(rest.len()));
    let flags = SysFlag(i32::from(kind & 1) | i32::from(kind >> 1 & 7) << 8);
    let host: SocketAddr = ([10, 0, 0, 1], 10911).into();
    let message = StoredMessage {
        version: StoredVersion::V1,
        body_crc: 0,
        queue_id: 0,
        flag: 0,
        queue_offset: 0,
        commit_log_offset: 0,
        sys_flag: flags,
        born_time: i64::from(length),
        born_host: host,
        store_time: 0,
        store_host: host,
        reconsume_times: 0,
        prepared_transaction_offset: 0,
        body,
        topic: "T",
        properties: Properties::new(properties),
    };
    let packed = packed(body, flags);
    let plain = packed.plain.and_then(|plain| {
        let mut inflated = Vec::new();
        plain.take(65_536).read_to_end(&mut inflated).ok()?;
        Some(inflated)
    });
    let inflated = match plain {
        Some(inflated) => Inflate {
            bytes: Cow::Owned(inflated),
            encoding: None,
        },
        None => Inflate {
            bytes: Cow::Borrowed(body),
            encoding: packed.encoding,
        },
    };
    let is_left = inflated.encoding.is_some();
    let name = Name::Handle("h".to_owned());
    let bytes = inflated.bytes.clone();
    let delivered = Delivered::new(name, Cow::Borrowed("T"), &message, inflated, "broker-a");
    let document = serde_json::to_vec(&delivered).expect("a document");
    let document: serde_json::Value = serde_json::from_slice(&document).expect("JSON");
    let is_text = document.get("body").is_some();
    if let Some(text) = document["body"].as_str() {
        assert_eq!(text.as_bytes(), &*bytes, "the body is unharmed");
        assert!(!is_left);
    } else {
        let encoded = document["bodyBase64"].as_str().expect("one of both");
        let standard = base64::engine::general_purpose::STANDARD;
        let decoded = base64::Engine::decode(&standard, encoded).expect("base64");
        assert_eq!(decoded, &*bytes, "the body is unharmed");
    }
    let headers = delivered.headers();
    assert!(headers.contains_key("content-type"));
    let is_request = headers.contains_key("x-mq-reply-token");
    assert_eq!(document.get("replyToken").is_some(), is_request);
    outcome((is_left, is_text, is_request, headers.len()))
}
