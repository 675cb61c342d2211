//! A client of HTTP/1.1 that sends what it is asked to, and reads answers as they are.

use std::net::SocketAddr;
use std::time::Duration;

use anyhow::{Context as _, Result, bail, ensure};
use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::timeout;

/// How long an answer may take.
const PATIENCE: Duration = Duration::from_secs(60);

/// A request.
#[derive(Clone, Debug)]
pub struct Request {
    /// The method.
    pub method: &'static str,
    /// The path, with a query if there is one.
    pub target: String,
    /// Headers beside those that every request has.
    pub headers: Vec<(String, String)>,
    /// The body.
    pub body: Bytes,
}

/// An answer.
#[derive(Clone, Debug)]
pub struct Answer {
    /// The status.
    pub status: u16,
    /// The headers.
    pub headers: HeaderMap,
    /// The whole body.
    pub body: Bytes,
}

impl Request {
    /// A request without headers of its own and without a body.
    #[must_use]
    pub fn new(method: &'static str, target: impl Into<String>) -> Self {
        Self {
            method,
            target: target.into(),
            headers: Vec::new(),
            body: Bytes::new(),
        }
    }

    /// The same with a header.
    #[must_use]
    pub fn header(mut self, name: &str, value: &str) -> Self {
        self.headers.push((name.to_owned(), value.to_owned()));
        self
    }

    /// The same with a body.
    #[must_use]
    pub fn body(mut self, body: impl Into<Bytes>) -> Self {
        self.body = body.into();
        self
    }

    /// Its bytes; the connection is for this request alone.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut head = format!(
            "{} {} HTTP/1.1\r\nhost: remora\r\nconnection: close\r\n",
            self.method, self.target
        );
        for (name, value) in &self.headers {
            head.push_str(&format!("{name}: {value}\r\n"));
        }
        if !self.body.is_empty() || self.method == "POST" {
            head.push_str(&format!("content-length: {}\r\n", self.body.len()));
        }
        head.push_str("\r\n");
        let mut bytes = head.into_bytes();
        bytes.extend_from_slice(&self.body);
        bytes
    }

    /// Opens a connection and sends the request.
    ///
    /// # Errors
    /// If that fails.
    pub async fn start(&self, address: SocketAddr) -> Result<TcpStream> {
        let mut stream = TcpStream::connect(address).await?;
        stream.set_nodelay(true)?;
        stream.write_all(&self.to_bytes()).await?;
        Ok(stream)
    }

    /// Sends the request, and reads its answer.
    ///
    /// # Errors
    /// If there is none in time, or it is malformed.
    pub async fn send(&self, address: SocketAddr) -> Result<Answer> {
        let mut stream = self.start(address).await?;
        let mut bytes = Vec::new();
        let read = timeout(PATIENCE, stream.read_to_end(&mut bytes)).await;
        let target = &self.target;
        read.with_context(|| format!("no answer to {target} in time"))??;
        Answer::parse(&bytes).with_context(|| format!("the answer to {target}"))
    }
}

impl Answer {
    /// Reads an answer whose connection has ended.
    ///
    /// # Errors
    /// If it is malformed.
    pub fn parse(bytes: &[u8]) -> Result<Self> {
        let end = bytes.windows(4).position(|part| part == b"\r\n\r\n");
        let end = end.context("no end of the headers")?;
        let (head, body) = bytes.split_at_checked(end + 4).context("a head")?;
        let head = std::str::from_utf8(head)?;
        let mut lines = head.split("\r\n").filter(|line| !line.is_empty());
        let status = lines.next().context("no status")?;
        let status = status.split(' ').nth(1).context("no status")?.parse()?;
        let mut headers = HeaderMap::new();
        for line in lines {
            let (name, value) = line.split_once(':').context("no header")?;
            let name: HeaderName = name.parse()?;
            headers.append(name, HeaderValue::from_str(value.trim())?);
        }
        let body = match headers.get("transfer-encoding") {
            Some(coding) if coding == "chunked" => unchunked(body)?,
            Some(other) => bail!("transfer coding {other:?}"),
            None => body.to_vec(),
        };
        if let Some(length) = headers.get("content-length") {
            let length: usize = length.to_str()?.parse()?;
            ensure!(
                body.is_empty() || body.len() == length,
                "{} of {length} bytes",
                body.len()
            );
        }
        Ok(Self {
            status,
            headers,
            body: body.into(),
        })
    }

    /// A header as text; empty if it is not there.
    #[must_use]
    pub fn header(&self, name: &str) -> &str {
        let value = self.headers.get(name).and_then(|value| value.to_str().ok());
        value.unwrap_or_default()
    }

    /// The body as JSON.
    ///
    /// # Errors
    /// If it is none.
    pub fn json(&self) -> Result<serde_json::Value> {
        serde_json::from_slice(&self.body).with_context(|| format!("{self:?} is no JSON"))
    }
}

/// What is in chunks; those that are not complete are left out.
fn unchunked(mut bytes: &[u8]) -> Result<Vec<u8>> {
    let mut body = Vec::new();
    while let Some(end) = bytes.windows(2).position(|part| part == b"\r\n") {
        let (size, rest) = bytes.split_at_checked(end).context("a size")?;
        let size = usize::from_str_radix(std::str::from_utf8(size)?, 16)?;
        let Some((chunk, rest)) = rest.get(2..).and_then(|rest| rest.split_at_checked(size)) else {
            break;
        };
        body.extend_from_slice(chunk);
        bytes = rest.get(2..).unwrap_or_default();
        if size == 0 {
            break;
        }
    }
    Ok(body)
}
