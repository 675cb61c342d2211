//! One client id of a connection: what the client has declared under it, and how far brokers know
//! it.

use std::rc::Weak;

use route_cache::Connection;
use tokio::time::Instant;

use super::declaration::{Declaration, Declared, Groups, Identity};

/// The longest client id that a reply can name: it is among the properties of a message, whose
/// length brokers keep in a `short`.
const REPLY_ID_MAX: usize = 32767;

/// One client id of the connection. Its index among them is its key in the registration.
#[derive(Debug)]
pub(super) struct Client {
    pub(super) declaration: Declaration,
    /// The length of its decoded heartbeat, in bytes.
    pub(super) decoded: usize,
    /// Whether it has unregistered groups since its last heartbeat.
    pub(super) has_unregistered: bool,
    /// When it was last announced to brokers and accepted by one.
    pub(super) announced: Option<Instant>,
    /// How often it was registered for replies, and when last.
    pub(super) replies: Replies,
}

#[derive(Clone, Debug, Default)]
pub(super) struct Replies {
    round: u32,
    /// Rounds before those that were started again last.
    before: u32,
    renewed: Option<Instant>,
    /// The connections on which it was registered at the last round.
    connections: Vec<Weak<Connection>>,
}

impl Client {
    /// A client id that no broker knows yet.
    pub(super) fn new(declaration: Declaration) -> Self {
        Self {
            decoded: declaration.heartbeat.memory(),
            declaration,
            has_unregistered: false,
            announced: None,
            replies: Replies::default(),
        }
    }

    /// What lanes need of the declaration, which is stored under that key.
    pub(super) fn declared(&self, key: usize) -> Declared {
        Declared {
            key,
            topics: self.declaration.heartbeat.topics.clone(),
            announced: self.announced,
        }
    }

    /// Starts the rounds again if one of these connections is new since the last time; returns
    /// whether it is.
    pub(super) fn restart_replies(
        &mut self,
        rounds: u32,
        connections: Vec<Weak<Connection>>,
    ) -> bool {
        let replies = &mut self.replies;
        let known = std::mem::replace(&mut replies.connections, connections);
        let mut now = replies.connections.iter();
        let has_new = now.any(|one| !known.iter().any(|other| other.ptr_eq(one)));
        let must_restart = has_new && !known.is_empty();
        if must_restart {
            // Of later rounds, all were under the group of the last one.
            replies.round = replies.round.min(replies.before.saturating_add(rounds));
            replies.before = replies.round;
        }
        must_restart
    }

    /// How often it was registered for replies, this time included; the last round with a group of
    /// its own; and the client as brokers record it. `None` if no registration is needed: no reply
    /// could name the id, or it was registered in all `rounds` and again since that moment.
    pub(super) fn next_reply_round(
        &mut self,
        rounds: u32,
        since: Instant,
    ) -> Option<(u32, u32, Identity)> {
        let id = &self.declaration.heartbeat.client_id;
        let replies = &mut self.replies;
        let until = replies.before.saturating_add(rounds);
        let is_recent = replies.renewed.is_some_and(|renewed| renewed >= since);
        if id.len() > REPLY_ID_MAX || (replies.round >= until && is_recent) {
            return None;
        }
        replies.round = replies.round.saturating_add(1);
        replies.renewed = Some(Instant::now());
        let identity = Identity {
            client_id: id.clone(),
            language: self.declaration.language,
            version: self.declaration.version,
        };
        Some((replies.round, until, identity))
    }

    /// Removes groups. False if none of them is there.
    pub(super) fn unregister(&mut self, groups: &Groups) -> bool {
        let heartbeat = &mut self.declaration.heartbeat;
        let producers = &mut heartbeat.producer_groups;
        let producer = groups.producer.as_deref();
        let mut taken = producer.is_some_and(|group| producers.remove(group));
        let consumer = groups.consumer.as_deref();
        taken |= consumer.is_some_and(|group| heartbeat.remove_consumer(group));
        self.has_unregistered |= taken;
        taken
    }
}
