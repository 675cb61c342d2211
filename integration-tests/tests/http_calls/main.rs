//! HTTP byte by byte, with fake brokers: what client libraries do not send. All in this process; no
//! Java.

mod ambiguous;
mod answers;
mod connections;
mod limits;
mod listeners;
mod sdk;

use std::net::SocketAddr;
use std::time::Duration;

use anyhow::{Context as _, Result};
use integration_tests::fake::{FakeBroker, FakeNameServer, ProxyUnderTest, Reply};
use remoting_codec::{RemotingCommand, RequestCode, ResponseCode, SerializeType};
use serde_json::Value;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::timeout;

/// Nothing that is expected takes longer.
const PATIENCE: Duration = Duration::from_secs(10);

/// Two brokers, a name server that has topic `both` on both and `one` on the first, and a proxy.
struct World {
    a: FakeBroker,
    b: FakeBroker,
    name_server: FakeNameServer,
    proxy: ProxyUnderTest,
}

impl World {
    /// With that as the proxy's configuration file.
    async fn with(file: &str) -> Result<Self> {
        let a = FakeBroker::start("broker-a").await?;
        let b = FakeBroker::start("broker-b").await?;
        for broker in [&a, &b] {
            broker.on(RequestCode::GET_TOPIC_CONFIG, Reply::Command(config()));
        }
        let name_server = FakeNameServer::start(&[&a, &b]).await?;
        name_server.add_topic("both", &["broker-a", "broker-b"]);
        name_server.add_topic("one", &["broker-a"]);
        name_server.add_topic("space%one", &["broker-b"]);
        let proxy = ProxyUnderTest::start(&[name_server.address()], file)?;
        Ok(Self {
            a,
            b,
            name_server,
            proxy,
        })
    }

    async fn connect(&self) -> Result<Client> {
        Client::connect(self.proxy.address()).await
    }

    /// What is answered to these bytes, until the proxy closes the connection.
    async fn exchange(&self, bytes: impl AsRef<[u8]>) -> Result<Vec<Answer>> {
        let mut client = self.connect().await?;
        client.write(bytes).await?;
        client.rest().await
    }

    /// The answer to one request, by a connection of its own.
    async fn ask(&self, method: &str, target: &str, further: &str) -> Result<Answer> {
        let head = format!("{method} {target} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n");
        let answers = self.exchange(head + further + "\r\n").await?;
        answers.into_iter().next().context("no answer")
    }
}

/// The configuration of a topic.
fn config() -> RemotingCommand {
    RemotingCommand::response(ResponseCode::SUCCESS, 0, SerializeType::Json)
        .with_body(&br#"{"attributes":{"message.type":"FIFO"}}"#[..])
}

/// An answer of HTTP/1.1.
#[derive(Clone, Debug)]
struct Answer {
    status: u16,
    head: String,
    body: String,
}

impl Answer {
    fn header(&self, name: &str) -> Option<&str> {
        let mut lines = self.head.lines().filter_map(|line| line.split_once(": "));
        lines
            .find(|(known, _)| known.eq_ignore_ascii_case(name))
            .map(|(_, value)| value)
    }

    fn json(&self) -> Result<Value> {
        Ok(serde_json::from_str(&self.body)?)
    }

    /// The word of a problem, whose form is checked.
    fn code(&self) -> Result<String> {
        let kind = self.header("content-type");
        anyhow::ensure!(kind == Some("application/problem+json"), "{self:?}");
        let problem = self.json()?;
        let status = problem.get("status");
        anyhow::ensure!(status == Some(&self.status.into()), "{self:?}");
        let text = |name| problem.get(name).and_then(Value::as_str);
        anyhow::ensure!(
            text("detail").is_some_and(|text| !text.is_empty()),
            "{self:?}"
        );
        let code = text("code").context("no code")?;
        Ok(code.to_owned())
    }
}

/// A client of HTTP/1.1.
struct Client {
    stream: TcpStream,
    read: Vec<u8>,
}

impl Client {
    async fn connect(address: SocketAddr) -> Result<Self> {
        let stream = TcpStream::connect(address).await?;
        stream.set_nodelay(true)?;
        let read = Vec::new();
        Ok(Self { stream, read })
    }

    async fn write(&mut self, bytes: impl AsRef<[u8]>) -> Result<()> {
        Ok(self.stream.write_all(bytes.as_ref()).await?)
    }

    async fn more(&mut self) -> Result<bool> {
        let read = timeout(PATIENCE, self.stream.read_buf(&mut self.read)).await;
        Ok(read.context("no answer arrives")?? > 0)
    }

    /// The next answer; `None` at the end of the connection. One to HEAD has no body.
    async fn answer(&mut self, is_head: bool) -> Result<Option<Answer>> {
        let end = loop {
            let end = self.read.windows(4).position(|four| four == b"\r\n\r\n");
            match end {
                Some(end) => break end + 4,
                None if self.more().await? => {}
                None if self.read.is_empty() => return Ok(None),
                None => anyhow::bail!("part of an answer: {:?}", self.read),
            }
        };
        let head = String::from_utf8(self.read.drain(..end).collect())?;
        let status = head
            .strip_prefix("HTTP/1.1 ")
            .and_then(|rest| rest.get(..3));
        let mut answer = Answer {
            status: status.context("no status")?.parse()?,
            head,
            body: String::new(),
        };
        let length = answer
            .header("content-length")
            .map(str::parse)
            .transpose()?;
        let length = if is_head { 0 } else { length.unwrap_or(0) };
        while self.read.len() < length {
            anyhow::ensure!(self.more().await?, "part of a body: {answer:?}");
        }
        answer.body = String::from_utf8(self.read.drain(..length).collect())?;
        Ok(Some(answer))
    }

    /// The answers up to the end of the connection.
    async fn rest(&mut self) -> Result<Vec<Answer>> {
        let mut all = Vec::new();
        while let Some(answer) = self.answer(false).await? {
            all.push(answer);
        }
        Ok(all)
    }

    /// Whether the proxy closes the connection within that time without a further byte.
    async fn closes_within(&mut self, time: Duration) -> Result<bool> {
        match timeout(time, self.stream.read_buf(&mut self.read)).await {
            Err(_) => Ok(false),
            Ok(read) => Ok(read.is_err() || read? == 0),
        }
    }
}

fn statuses(answers: &[Answer]) -> Vec<u16> {
    answers.iter().map(|answer| answer.status).collect()
}
