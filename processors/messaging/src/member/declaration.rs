//! What a client declares of itself, and what becomes of that.

use std::ops::Range;
use std::sync::Arc;

use bytes::Bytes;
use remoting_codec::body::{Heartbeat, Names};
use remoting_codec::{Language, Version};
use tokio::time::Instant;

/// What a client declares of itself: its groups and subscriptions, and the HEART_BEAT that registers it at brokers.
///
/// This is where a protocol ends. One whose clients send heartbeats passes on theirs, byte for byte, with their signature; one
/// whose clients send none makes the frame of what it knows of them, and signs it with Remora's own key.
#[derive(Debug)]
pub struct Declaration {
    /// Its content.
    pub heartbeat: Heartbeat,
    /// The whole frame: a request that wants an answer.
    pub frame: Bytes,
    /// Where in the frame its body is.
    pub body: Range<usize>,
    /// The frame's signature, if the client signs.
    pub signature: Option<Box<str>>,
    /// The client's language, as brokers note it down.
    pub language: Language,
    /// The client's version, as brokers note it down.
    pub version: Version,
}

impl Declaration {
    pub(super) fn body(&self) -> &[u8] {
        self.frame.get(self.body.clone()).unwrap_or_default()
    }
}

/// A declaration that was taken in, as far as lanes depend on it.
#[derive(Debug)]
pub struct Declared {
    /// The client id's key in the registration.
    pub key: usize,
    /// What its consumer groups subscribe to.
    pub topics: Arc<Names>,
    /// When the same was announced to brokers last, and a broker took it.
    pub announced: Option<Instant>,
}

/// The groups that a client unregisters at once; Java names one, C++ both and leaves one empty.
#[derive(Debug, Default)]
pub struct Groups {
    /// The producer group.
    pub producer: Option<String>,
    /// The consumer group.
    pub consumer: Option<String>,
}

/// A client as brokers note it down.
#[derive(Debug)]
pub(super) struct Identity {
    pub(super) client_id: String,
    pub(super) language: Language,
    pub(super) version: Version,
}
