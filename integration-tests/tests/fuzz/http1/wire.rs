//! The answers of a server, read as a client reads them.

use std::ops::Range;

/// An answer, not counting interim ones.
#[derive(Debug)]
pub(super) struct One {
    pub(super) status: u16,
    /// Whether it announces that the connection ends.
    pub(super) closes: bool,
    pub(super) body: Vec<u8>,
}

/// What the server has written.
#[derive(Debug, Default)]
pub(super) struct Answers {
    unread: Vec<u8>,
    /// Bytes of `unread` without which the next answer is not complete.
    needed: usize,
    pub(super) all: Vec<One>,
    /// Interim answers (1xx).
    pub(super) interim: usize,
    /// Whether the server has ended the connection.
    pub(super) has_ended: bool,
}

impl Answers {
    /// Reads on. What a server writes are answers, whatever it has read. `is_head` is whether the
    /// request with this number has asked for the head of an answer alone.
    pub(super) fn take_in(&mut self, bytes: &[u8], is_head: impl Fn(usize) -> bool) {
        self.unread.extend_from_slice(bytes);
        while self.unread.len() > self.needed {
            let Some(end) = self.unread.windows(4).position(|four| four == b"\r\n\r\n") else {
                assert!(self.unread.len() < 16_384, "an answer's head does not end");
                return;
            };
            let (mut one, body) = head(&self.unread[..end], is_head(self.all.len()));
            let Some((body, length)) = framed(&self.unread[end + 4..], &body) else {
                self.needed = match body {
                    Framing::Length(length) => end + 4 + length - 1,
                    Framing::Chunked => self.unread.len(),
                };
                return;
            };
            one.body = body;
            self.unread.drain(..end + 4 + length);
            self.needed = 0;
            match one.status {
                100..200 => self.interim += 1,
                _ => {
                    let last = self.all.last();
                    let is_over = last.is_some_and(|last| last.closes);
                    assert!(
                        !is_over,
                        "an answer follows the last one: {last:?}, {one:?}"
                    );
                    self.all.push(one);
                }
            }
        }
    }

    /// What has arrived of an answer that is not complete.
    pub(super) fn unread(&self) -> &[u8] {
        &self.unread
    }
}

enum Framing {
    Length(usize),
    Chunked,
}

fn head(bytes: &[u8], is_head: bool) -> (One, Framing) {
    let text = std::str::from_utf8(bytes).expect("the head of an answer is text");
    let mut lines = text.split("\r\n");
    let first = lines.next().unwrap_or_default();
    let version = first.get(..9);
    assert!(
        matches!(version, Some("HTTP/1.1 " | "HTTP/1.0 ")),
        "{first} starts no answer"
    );
    let status = first.get(9..12).and_then(|digits| digits.parse().ok());
    let status: u16 = status.expect("an answer has a status");
    let (mut length, mut is_chunked) = (None, false);
    let is_old = first.starts_with("HTTP/1.0");
    let mut closes = is_old;
    for line in lines {
        let (name, value) = line.split_once(": ").expect("a header has a name");
        match name {
            "content-length" => {
                assert!(length.is_none(), "an answer has two lengths: {text}");
                length = Some(value.parse().expect("a length is a number"));
            }
            "transfer-encoding" => is_chunked = true,
            "connection" => closes = value == "close" || is_old && value != "keep-alive",
            _ => {}
        }
    }
    let framing = match (length, is_chunked) {
        _ if is_head || matches!(status, 100..200 | 204 | 304) => Framing::Length(0),
        (Some(length), false) => Framing::Length(length),
        (None, true) => Framing::Chunked,
        // To a HEAD that is refused. If a body followed, it would be taken for an answer.
        (None, false) if status == 400 && closes => Framing::Length(0),
        _ => panic!("where the answer ends is not clear: {text}"),
    };
    let body = Vec::new();
    let one = One {
        status,
        closes,
        body,
    };
    (one, framing)
}

/// The body of an answer and how many bytes it takes, if it is complete.
fn framed(bytes: &[u8], framing: &Framing) -> Option<(Vec<u8>, usize)> {
    if let Framing::Length(length) = framing {
        return Some((bytes.get(..*length)?.to_vec(), *length));
    }
    let (mut body, mut at) = (Vec::new(), 0);
    loop {
        let line = line(bytes, at)?;
        let size = std::str::from_utf8(&bytes[line.clone()]).ok();
        let size = size.and_then(|size| usize::from_str_radix(size, 16).ok());
        let size = size.expect("a chunk has a size");
        let from = line.end + 2;
        let data = bytes.get(from..from + size + 2)?;
        assert!(data.ends_with(b"\r\n"), "a chunk does not end");
        body.extend_from_slice(&data[..size]);
        at = from + size + 2;
        if size == 0 {
            return Some((body, at));
        }
    }
}

/// The place of the line that starts there.
fn line(bytes: &[u8], from: usize) -> Option<Range<usize>> {
    let rest = bytes.get(from..)?;
    let end = rest.windows(2).position(|two| two == b"\r\n")?;
    Some(from..from + end)
}
