//! One request: who makes it, what it has in its head, and its body.

use std::cell::Cell;
use std::net::SocketAddr;
use std::rc::Rc;

use bytes::Bytes;
use http::header::CONTENT_ENCODING;
use http::request::Parts;
use http::{HeaderMap, HeaderValue};
use http_body::Body as _;
use hyper::body::Incoming;
use messaging::check::Names;
use messaging::{Caller, ConfigCache, Requests};
use remoting_transport::{Account, Held};

use crate::client::Connection;
use crate::encoding::{GunzipError, gunzip};
use crate::json::{Problem, Word};
use crate::render;

/// The header that names the namespace of topics and groups.
const NAMESPACE: &str = "x-mq-namespace";

/// A request.
pub(crate) struct Call<'a> {
    pub(crate) connection: &'a Rc<Connection>,
    pub(crate) head: &'a Parts,
    body: Cell<Option<Incoming>>,
    /// Whether all of the body was read, so that another request may follow it.
    is_read: Cell<bool>,
}

impl<'a> Call<'a> {
    pub(crate) fn new(connection: &'a Rc<Connection>, head: &'a Parts, body: Incoming) -> Self {
        Self {
            connection,
            head,
            is_read: Cell::new(body.is_end_stream()),
            body: Cell::new(Some(body)),
        }
    }

    /// The client's address.
    pub(crate) fn peer(&self) -> SocketAddr {
        self.connection.peer()
    }

    /// The account of what the request makes the worker hold.
    pub(crate) fn account(&self) -> &'a Rc<Account> {
        self.connection.account()
    }

    /// The client as decisions about its requests see it.
    pub(crate) fn caller(&self) -> &'a Caller {
        self.connection.requests.caller()
    }

    /// The client's requests to brokers.
    pub(crate) fn requests(&self) -> &'a Rc<Requests> {
        &self.connection.requests
    }

    /// The configurations of topics and groups.
    pub(crate) fn configs(&self) -> &'a Rc<ConfigCache> {
        &self.connection.server.configs
    }

    /// The headers of the request.
    pub(crate) fn headers(&self) -> &'a HeaderMap {
        &self.head.headers
    }

    /// The names of topics and groups in the namespace of the header `x-mq-namespace`.
    ///
    /// # Errors
    /// If the header is there twice, or cannot be a part of names.
    pub(crate) fn names(&self) -> Result<Names<'a>, Problem> {
        let mut values = self.headers().get_all(NAMESPACE).iter();
        let text = match (values.next(), values.next()) {
            (None, _) => Some(""),
            (Some(value), None) => value.to_str().ok(),
            _ => None,
        };
        let Some(text) = text else {
            let detail = "the header x-mq-namespace must be there once, in visible ASCII";
            return Err(Problem::invalid(detail).of("header x-mq-namespace"));
        };
        Names::new(text.trim()).map_err(render::read)
    }

    /// Reads the body, of `limit` bytes at most and no more than the settings allow, within the
    /// time that a request may take. It is charged while the second part of the result lives. Once
    /// it was read, it is empty.
    ///
    /// # Errors
    /// If it is too long, too slow, malformed or encoded otherwise than in gzip, or the client
    /// holds more than its share.
    pub(crate) async fn body(&self, limit: usize) -> Result<(Bytes, Held), Problem> {
        let mut encodings = self.headers().get_all(CONTENT_ENCODING).iter();
        let is = |encoding: &HeaderValue, name: &str| {
            encoding.as_bytes().eq_ignore_ascii_case(name.as_bytes())
        };
        let is_compressed = match (encodings.next(), encodings.next()) {
            (None, _) => false,
            (Some(encoding), None) if is(encoding, "identity") => false,
            (Some(encoding), None) if is(encoding, "gzip") => true,
            _ => {
                let detail = "the body is encoded: send it as it is, or in gzip";
                let problem = Problem::new(Word::WrongMedia, detail);
                return Err(problem.of("header content-encoding"));
            }
        };
        let Some(body) = self.body.take() else {
            return Ok((Bytes::new(), self.account().hold(0)));
        };
        let limit = limit.min(self.connection.settings.body_limit);
        let read = http_server::read(self.connection, body, limit).await;
        let (bytes, mut held) = read.map_err(|error| render::of_body(&error, limit))?;
        self.is_read.set(true);
        if !is_compressed {
            return Ok((bytes, held));
        }
        match gunzip(&bytes, limit, &mut held).await {
            Ok(plain) => {
                held.resize(plain.len());
                Ok((plain, held))
            }
            Err(GunzipError::TooLarge) => {
                let detail = format!("the body is longer than {limit} bytes");
                Err(Problem::new(Word::TooLarge, detail))
            }
            Err(GunzipError::Malformed) => {
                let detail = "the body is no gzip, or is cut off";
                Err(Problem::new(Word::InvalidBody, detail))
            }
        }
    }

    /// Whether another request may follow on the same connection of HTTP/1.
    pub(crate) fn is_read(&self) -> bool {
        self.is_read.get()
    }
}
