//! One connection of a load over HTTP/1.1: what is answered is asked again on the same connection.

use std::rc::Rc;
use std::str;
use std::sync::atomic::Ordering;

use anyhow::{Context, Result, bail, ensure};
use bytes::Bytes;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::Instant;

use super::connection::Shared;
use super::{Load, STOP};

/// Bytes of an answer that one read takes at least.
const READ_SIZE: usize = 16 * 1024;

/// What is in front of each handle in the answer to a pull. Handles need no escapes.
const HANDLE: &str = "\"handle\":\"";

const JSON: &str = "application/json";

/// The header that says how long an answer is.
const LENGTH: &[u8] = b"content-length:";

/// What the connections of a load ask by HTTP.
#[derive(Clone, Debug)]
pub enum Exchange {
    /// The same request again and again.
    Send(Sending),
    /// A pull, and the acknowledgement of all that it returned.
    Receive {
        /// What a pull asks for, as JSON.
        pull: &'static str,
        /// Bytes of the body of each message.
        body: usize,
        /// Messages after which a connection goes on with the next of its groups.
        enough: usize,
    },
}

/// A request that sends messages.
#[derive(Clone, Debug)]
pub struct Sending {
    /// The whole request.
    pub request: Bytes,
    /// Bytes of the messages' bodies in it.
    pub bodies: usize,
    /// What is in the body of an answer only if a message was refused.
    pub refusal: &'static str,
}

/// The bytes of a request with a body, with the headers that most clients send.
#[must_use]
pub fn request(method: &str, path: &str, content_type: &str, body: &[u8]) -> Bytes {
    let head = format!(
        "{method} {path} HTTP/1.1\r\nhost: benchmark\r\nuser-agent: benchmark/1.0\r\naccept: */*\r\n\
         content-type: {content_type}\r\ncontent-length: {}\r\n\r\n",
        body.len()
    );
    [head.as_bytes(), body].concat().into()
}

/// The head of an answer.
#[derive(Debug, Eq, PartialEq)]
struct Head {
    status: u16,
    /// Bytes until the body starts.
    length: usize,
    /// Bytes of the body.
    body: usize,
}

impl Head {
    /// Reads it; `None` if it has not all arrived.
    fn read(bytes: &[u8]) -> Result<Option<Self>> {
        let end = bytes.windows(4).position(|four| four == b"\r\n\r\n");
        let Some((head, _)) = end.and_then(|end| bytes.split_at_checked(end)) else {
            return Ok(None);
        };
        let status = head.get(9..12).and_then(|code| str::from_utf8(code).ok());
        let status = status.and_then(|code| code.parse().ok());
        let mut lengths = head.split(|byte| *byte == b'\n').filter_map(|line| {
            let (name, value) = line.split_at_checked(LENGTH.len())?;
            name.eq_ignore_ascii_case(LENGTH).then_some(value)
        });
        let length = lengths.next().and_then(|value| str::from_utf8(value).ok());
        let body = length.and_then(|value| value.trim().parse().ok());
        Ok(Some(Self {
            status: status.context("an answer without a status")?,
            length: head.len() + 4,
            body: body.context("an answer without a length")?,
        }))
    }
}

/// A connection whose requests have not started.
pub(super) struct Connection {
    shared: Rc<Shared>,
    wire: Wire,
    work: Work,
}

/// A connection, with the last answer.
struct Wire {
    stream: TcpStream,
    answer: Vec<u8>,
}

enum Work {
    Send(Sending),
    Receive(Receive),
}

/// What a consumer does again and again.
struct Receive {
    /// The groups that are left after this one, the next of them last.
    groups: Vec<Consumer>,
    now: Consumer,
    body: usize,
    /// Messages that a group may receive, and those that the present one has.
    enough: usize,
    received: usize,
}

/// A group.
struct Consumer {
    /// The whole request that pulls.
    pull: Bytes,
    /// The path of acknowledgements.
    ack: String,
}

impl Receive {
    fn count(&mut self, messages: usize) {
        self.received += messages;
        if self.received >= self.enough
            && let Some(next) = self.groups.pop()
        {
            self.now = next;
            self.received = 0;
        }
    }
}

impl Connection {
    pub(super) async fn open(
        shared: &Rc<Shared>,
        load: &Load,
        exchange: &Exchange,
        nth: usize,
    ) -> Result<Self> {
        ensure!(
            load.outstanding == 1,
            "HTTP/1.1 answers one after the other"
        );
        let address = load.addresses.get(nth % load.addresses.len().max(1));
        let stream = TcpStream::connect(address.context("a load needs an address")?).await?;
        stream.set_nodelay(true)?;
        let work = match exchange {
            Exchange::Send(sending) => Work::Send(sending.clone()),
            Exchange::Receive { pull, body, enough } => {
                let receiving = load.receiving.as_ref();
                let receiving = receiving.context("a pull needs a topic")?;
                let groups = receiving.groups.iter().skip(nth);
                let groups = groups.step_by(load.connections.max(1)).map(|group| {
                    let path = format!("/v1/topics/{}/groups/{group}/messages:", receiving.topic);
                    let pull_path = format!("{path}pull");
                    Consumer {
                        pull: request("POST", &pull_path, JSON, pull.as_bytes()),
                        ack: format!("{path}ack"),
                    }
                });
                let mut groups: Vec<_> = groups.collect();
                Work::Receive(Receive {
                    now: groups.pop().context("a pull needs a group")?,
                    groups,
                    body: *body,
                    enough: *enough,
                    received: 0,
                })
            }
        };
        let wire = Wire {
            stream,
            answer: Vec::with_capacity(READ_SIZE),
        };
        Ok(Self {
            shared: shared.clone(),
            wire,
            work,
        })
    }

    /// Asks until it must stop.
    pub(super) async fn run(mut self) -> Result<()> {
        loop {
            let since = Instant::now();
            let bodies = self.once().await?;
            let phase = self.shared.control().phase.load(Ordering::Relaxed);
            self.shared.count(bodies, since, Instant::now(), phase);
            if phase == STOP {
                return Ok(());
            }
        }
    }

    /// Returns the bytes of the messages' bodies that were sent or received.
    async fn once(&mut self) -> Result<usize> {
        match &mut self.work {
            Work::Send(sending) => {
                let answer = self.wire.exchange(&sending.request).await?;
                ensure!(
                    !answer.contains(sending.refusal),
                    "a message was refused: {answer:.1000}"
                );
                Ok(sending.bodies)
            }
            Work::Receive(receive) => {
                let pulled = self.wire.exchange(&receive.now.pull).await?;
                let (acks, count) = acks(pulled)?;
                ensure!(count > 0, "nothing was pulled: {pulled:.1000}");
                let ack = request("POST", &receive.now.ack, JSON, acks.as_bytes());
                let acked = self.wire.exchange(&ack).await?;
                ensure!(
                    !acked.contains("\"ok\":false"),
                    "not acknowledged: {acked:.1000}"
                );
                receive.count(count);
                Ok(count * receive.body)
            }
        }
    }
}

/// The document that acknowledges all messages of an answer, and how many they are.
fn acks(pulled: &str) -> Result<(String, usize)> {
    let mut document = String::with_capacity(READ_SIZE);
    document.push_str("{\"acks\":[");
    let mut count = 0;
    for after in pulled.split(HANDLE).skip(1) {
        let (handle, _) = after.split_once('"').context("a handle without an end")?;
        document.push_str(if count == 0 { "\"" } else { ",\"" });
        document.push_str(handle);
        document.push('"');
        count += 1;
    }
    document.push_str("]}");
    Ok((document, count))
}

impl Wire {
    /// Sends a request; returns the body of the answer, which must be a success.
    async fn exchange(&mut self, request: &[u8]) -> Result<&str> {
        self.answer.clear();
        self.stream.write_all(request).await?;
        let mut head = None;
        let head = loop {
            if self.stream.read_buf(&mut self.answer).await? == 0 {
                bail!("the connection was closed");
            }
            if head.is_none() {
                head = Head::read(&self.answer)?;
            }
            let Some(head) = &head else {
                self.answer.reserve(READ_SIZE);
                continue;
            };
            let whole = head.length + head.body;
            let missing = whole.saturating_sub(self.answer.len());
            if missing == 0 {
                break head;
            }
            self.answer.reserve(missing);
        };
        let body = self.answer.get(head.length..).unwrap_or_default();
        let body = str::from_utf8(body)?;
        ensure!(
            body.len() == head.body && (200..300).contains(&head.status),
            "answered with {}: {body:.1000}",
            head.status
        );
        Ok(body)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn heads_are_read_when_they_are_whole() {
        let answer = b"HTTP/1.1 201 Created\r\nServer: x\r\nContent-Length: 5\r\n\r\n{...}";
        let whole = answer.len() - 5;
        for cut in 0..whole {
            assert_eq!(Head::read(&answer[..cut]).unwrap(), None, "{cut}");
        }
        let head = Head::read(answer).unwrap().unwrap();
        assert_eq!((head.status, head.length, head.body), (201, whole, 5));
        assert!(Head::read(b"HTTP/1.1 200 OK\r\n\r\n").is_err());
    }

    #[test]
    fn all_handles_are_acknowledged() {
        let pulled = r#"{"messages":[{"handle":"a-1","body":"x"},{"handle":"b_2"}]}"#;
        let expected = r#"{"acks":["a-1","b_2"]}"#.to_owned();
        assert_eq!(acks(pulled).unwrap(), (expected, 2));
        assert_eq!(acks(r#"{"messages":[]}"#).unwrap().1, 0);
    }
}
