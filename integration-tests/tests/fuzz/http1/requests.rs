//! Requests as clients send them, each with a target of its own, and what spoils them.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use flate2::Crc;
use http_api::sdk::digest::Digest;

use super::framing::Asked;
use crate::random::Random;

/// How a request is sent, beside its operation.
pub(super) const CHUNKED: u8 = 0x10;
const COMPRESSED: u8 = 0x20;
const LAST: u8 = 0x40;
const LINE_FEEDS: u8 = 0x80;

/// Stands in the targets of requests that must not be answered: they are parts of a body, or behind
/// the last request of a connection.
pub(super) const HIDDEN: &str = "hidden";

/// One after another, a request of each of these kinds; and what the server must read of them.
pub(super) fn stream(kinds: &[u8], random: &mut Random) -> (Vec<u8>, Vec<Asked>) {
    let (mut bytes, mut all) = (Vec::new(), Vec::new());
    let mut is_over = false;
    for (nth, kind) in kinds.iter().enumerate() {
        let topic = match is_over {
            true => HIDDEN.to_owned(),
            false => format!("M{nth}"),
        };
        let (asked, is_last) = request(*kind, &topic, random, &mut bytes);
        if !is_over {
            all.push(asked);
        }
        is_over |= is_last;
    }
    (bytes, all)
}

/// Writes a request; returns what it asks for, and whether it is the last of its connection.
fn request(kind: u8, topic: &str, random: &mut Random, bytes: &mut Vec<u8>) -> (Asked, bool) {
    let has = |option| kind & option != 0;
    let message = |text: &[u8]| {
        let text = String::from_utf8_lossy(text);
        format!("<Message><MessageBody><![CDATA[{text}]]></MessageBody></Message>")
    };
    let (method, target) = match kind % 12 {
        0 => ("GET", format!("/v1/topics/{topic}")),
        1 => ("GET", format!("/v1/{topic}")),
        2 => ("OPTIONS", format!("/v1/topics/{topic}")),
        3 => ("HEAD", format!("/v1/topics/{topic}")),
        4 => ("GET", format!("/topics/{topic}/messages?consumer=G")),
        5 if topic != HIDDEN => ("GET", "/v1/openapi.json".to_owned()),
        6 => ("POST", format!("/topics/{topic}/messages")),
        7 => ("DELETE", format!("/topics/{topic}/messages?consumer=G")),
        8 => ("POST", format!("/v1/topics/{topic}/requests")),
        9 => ("POST", format!("/v1/topics/{topic}/groups/G/messages:pull")),
        _ => ("POST", format!("/v1/topics/{topic}/messages")),
    };
    let body = match (method, kind % 12) {
        ("POST" | "DELETE", 6 | 7) => Some(message(&body(random)).into_bytes()),
        ("POST", _) => Some(body(random)),
        _ => None,
    };
    let end: &[u8] = if has(LINE_FEEDS) { b"\n" } else { b"\r\n" };
    let mut line = |parts: &[&[u8]]| {
        bytes.extend(parts.concat());
        bytes.extend_from_slice(end);
    };
    line(&[method.as_bytes(), b" ", target.as_bytes(), b" HTTP/1.1"]);
    line(&[b"Host: h"]);
    if random.once_in(4) {
        line(&[b"X-A: \xff\xc3(\x80 ", &b"a".repeat(random.below(4_000))]);
    }
    // No request accepts gzip: the server's compressor needs more stack than is left here, too.
    if has(LAST) {
        line(&[b"connection: close"]);
    }
    // A request in chunks is the last, too.
    let is_last = has(LAST) || has(CHUNKED) && body.is_some();
    if let Some(body) = body {
        if method != "POST" || target.starts_with("/topics") {
            let digest = STANDARD.encode(Digest::of(&body).to_hex());
            line(&[b"Content-MD5: ", digest.as_bytes()]);
        }
        let body = match has(COMPRESSED) {
            true => gzip(&body),
            false => body,
        };
        if has(COMPRESSED) {
            line(&[b"Content-Encoding: gzip"]);
        }
        if random.once_in(4) {
            line(&[b"Expect: 100-continue"]);
        }
        if has(CHUNKED) {
            line(&[b"Transfer-Encoding: chunked"]);
            line(&[]);
            chunks(&body, random, bytes);
        } else {
            line(&[b"Content-Length: ", body.len().to_string().as_bytes()]);
            line(&[]);
            bytes.extend(body);
        }
    } else {
        line(&[]);
    }
    let asked = Asked {
        method: method.to_owned(),
        target,
    };
    (asked, is_last)
}

/// A body in which requests stand, and what a reader may take for the end of a body.
fn body(random: &mut Random) -> Vec<u8> {
    let mut body = Vec::new();
    for _ in 0..random.below(5) {
        match random.below(6) {
            0 => body.extend_from_slice(b"0\r\n\r\n"),
            1 => body.extend_from_slice(b"\r\n"),
            2 => body.extend((0..random.below(40)).map(|_| random.next() as u8)),
            3 => body.resize(body.len() + random.below(3_000), b'b'),
            _ => {
                let hidden = format!("GET /v1/{HIDDEN} HTTP/1.1\r\nhost: h\r\n\r\n");
                body.extend_from_slice(hidden.as_bytes());
            }
        }
    }
    if random.once_in(30) {
        body.resize(body.len() + random.below(100_000), b'l');
    }
    body
}

fn chunks(body: &[u8], random: &mut Random, bytes: &mut Vec<u8>) {
    let most = random.pick(&[3, 100, 10_000]).max(body.len() / 100);
    let mut rest = body;
    while !rest.is_empty() {
        let (chunk, more) = rest.split_at(rest.len().min(1 + random.below(most)));
        rest = more;
        let size = match random.below(4) {
            0 => format!("{:X};a=\"b\"\r\n", chunk.len()),
            1 => format!("00{:x} \r\n", chunk.len()),
            _ => format!("{:x}\r\n", chunk.len()),
        };
        bytes.extend([size.as_bytes(), chunk, b"\r\n"].concat());
    }
    bytes.extend_from_slice(match random.below(4) {
        0 => b"0\r\nx-b: c\r\ncontent-length: 9\r\n\r\n",
        1 => b"000;a\r\n\r\n",
        _ => b"0\r\n\r\n",
    });
}

/// In gzip (RFC 1952), without compression: a compressor of a debug build needs more stack than is
/// left here.
fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut crc = Crc::new();
    crc.update(bytes);
    let mut packed = b"\x1f\x8b\x08\0\0\0\0\0\0\xff".to_vec();
    for block in bytes.chunks(0xffff) {
        let length = block.len() as u16;
        packed.extend(
            [
                &[0][..],
                &length.to_le_bytes(),
                &(!length).to_le_bytes(),
                block,
            ]
            .concat(),
        );
    }
    packed.extend(b"\x01\0\0\xff\xff");
    packed.extend(crc.sum().to_le_bytes());
    packed.extend((bytes.len() as u32).to_le_bytes());
    packed
}

/// Puts some of these between the lines of a stream, or in place of one.
pub(super) fn spoil(bytes: &mut Vec<u8>, tokens: &[&[u8]], random: &mut Random) {
    for _ in 0..=random.below(3) {
        let ends: Vec<usize> = (0..bytes.len()).filter(|at| bytes[*at] == b'\n').collect();
        // Few stand in bodies.
        let nth = random.below(ends.len().min(40));
        let Some(from) = ends.get(nth).map(|at| at + 1) else {
            return;
        };
        let until = match ends.get(nth + 1) {
            Some(at) if random.once_in(3) => at + 1,
            _ => from,
        };
        drop(bytes.splice(from..until, random.pick(tokens).iter().copied()));
    }
}
