//! The bodies of answers: messages in their frames, then the status in trailers.

use std::collections::VecDeque;
use std::rc::Rc;

use bytes::BytesMut;
use http::{HeaderMap, HeaderValue};
use http_server::{Chunk, Part, Reply};
use prost::Message;
use remoting_transport::Account;
use tokio::sync::mpsc;

use crate::codec;

/// A chunk of one message in its frame, charged to the account until it is dropped.
pub(crate) fn framed<M: Message>(message: &M, account: &Rc<Account>) -> Chunk {
    let mut bytes = BytesMut::new();
    codec::encode(message, &mut bytes);
    Chunk::new(bytes.freeze(), account)
}

/// A whole answer of one message.
pub(crate) fn one(chunk: Chunk) -> Reply {
    Reply::one(chunk, Some(trailers()))
}

/// An answer of several parts, in their order.
pub(crate) fn whole(parts: VecDeque<Chunk>) -> Reply {
    Reply::chunks(parts, Some(trailers()))
}

/// An answer of all chunks that come, until their sender is dropped, or has sent the trailers of a
/// [`Failure`](super::Failure).
pub(crate) fn stream(chunks: mpsc::Receiver<Part>) -> Reply {
    Reply::stream(chunks, Some(trailers()))
}

/// The transport's status OK.
fn trailers() -> HeaderMap {
    let mut trailers = HeaderMap::with_capacity(1);
    trailers.insert("grpc-status", HeaderValue::from_static("0"));
    trailers
}
