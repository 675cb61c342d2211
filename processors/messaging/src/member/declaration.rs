//! Declarations of clients, and what lanes need of them.

use std::ops::Range;
use std::sync::Arc;

use bytes::Bytes;
use remoting_codec::body::{Heartbeat, Names, WrittenConsumer};
use remoting_codec::{BodyError, CommandView, Language, RemotingCommand, RequestCode, Version};
use tokio::time::Instant;

use crate::error::{ErrorKind, MessagingError};

/// The declaration of a client: its groups and subscriptions, and the HEART_BEAT that registers it
/// at brokers.
///
/// This is the boundary to a protocol. If the protocol's clients send heartbeats, its crate passes
/// them on byte for byte, with their signature. Otherwise it builds the frame from its knowledge of
/// the client, and signs it with Remora's own key.
#[derive(Debug)]
pub struct Declaration {
    /// The groups and topics that the client declares, read from the body.
    pub heartbeat: Heartbeat,
    /// The whole frame: a request that wants an answer.
    pub frame: Bytes,
    /// The range of the body in the frame: by it, a repeated heartbeat is recognised.
    pub body: Range<usize>,
    /// The frame's signature, if the client signs.
    pub signature: Option<Box<str>>,
    /// The client's language, as brokers record it.
    pub language: Language,
    /// The client's version, as brokers record it.
    pub version: Version,
}

impl Declaration {
    /// The declaration of a client that sends no heartbeats: a producer in these groups, and a
    /// consumer in those. It is not signed: nobody has verified the client.
    ///
    /// # Errors
    /// Never, as far as known: it is read back.
    pub fn written(
        client_id: &str,
        producers: &[&str],
        consumers: &[WrittenConsumer<'_>],
        (language, version): (Language, Version),
    ) -> Result<Self, MessagingError> {
        let body = Heartbeat::of_client(client_id, producers, consumers);
        let request = RemotingCommand {
            language,
            version,
            ..RemotingCommand::request(RequestCode::HEART_BEAT)
        };
        let frame = request.with_body(body).to_bytes();
        let view = CommandView::decode(&frame)?;
        let unreadable =
            |error: BodyError| MessagingError::new(ErrorKind::Invalid, error.to_string());
        Ok(Self {
            heartbeat: Heartbeat::decode(view.body()).map_err(unreadable)?,
            body: view.body_range(),
            signature: None,
            language,
            version,
            frame: frame.clone(),
        })
    }

    pub(super) fn body(&self) -> &[u8] {
        self.frame.get(self.body.clone()).unwrap_or_default()
    }
}

/// The parts of a stored declaration that lanes depend on.
#[derive(Debug)]
pub struct Declared {
    /// The client id's key in the registration.
    pub key: usize,
    /// The topics that its consumer groups subscribe to.
    pub topics: Arc<Names>,
    /// When an equal declaration was last announced to brokers and accepted by one.
    pub announced: Option<Instant>,
}

/// The groups that a client unregisters in one request. Java names one; C++ names both and leaves
/// one empty.
#[derive(Debug, Default)]
pub struct Groups {
    /// The producer group to unregister; `None` for none.
    pub producer: Option<String>,
    /// The consumer group to unregister; `None` for none.
    pub consumer: Option<String>,
}

/// A client as brokers record it.
#[derive(Debug)]
pub(super) struct Identity {
    pub(super) client_id: String,
    pub(super) language: Language,
    pub(super) version: Version,
}
