//! Moves a client to another replica: the proxy drains, or the connection is old.
//!
//! Java clients newer than 5.3.1 get GO_AWAY (1500): they reconnect and send the request again.
//!
//! The connections of all other clients are closed. Most of those clients do not notice a close
//! while a request is outstanding, before the request times out. So a client is closed when all its
//! requests are answered:
//!
//! - A client that sends and waits is closed directly behind an answer. The end of the stream
//!   arrives with the answer, before the client can send the next request.
//! - The polls of a client that polls are kept until it sends nothing more, because then all its
//!   requests are here. They are answered empty, all at once, with the end of the stream behind
//!   them.

use std::cell::{Cell, RefCell};
use std::time::Duration;

use remoting_codec::{CommandView, Language, RemotingCommand, RequestCode, ResponseCode, Version};
use route_cache::{Class, Origin, Slot, Ticket};
use tokio::time::Instant;

use crate::answers;
use crate::session::Session;
use crate::session::request::Asked;
use crate::table::Field;

/// A client that polls and sends nothing else for this long has sent all its requests.
const QUIET: Duration = Duration::from_millis(200);

/// A client that polls and never pauses is closed behind any answer after this time.
const RESTLESS: Duration = Duration::from_secs(2);

/// A client that sends nothing for this long is closed without an answer in front of the close.
const SILENCE: Duration = Duration::from_secs(1);

/// The newest Java client that does not know GO_AWAY (`NettyRemotingServer` sends it to newer
/// clients only).
const V5_3_1: Version = Version(475);

/// From this number of outstanding requests or polls on, the next ones of a client use a connection
/// that only such clients share. A consumer has a poll for each queue. Sends and commits of offsets
/// are excepted, because they must stay in order.
const MANY_REQUESTS: usize = 512;
const MANY_POLLS: usize = 256;

/// The memory of a poll that is kept, in bytes.
const KEPT_BYTES: usize = size_of::<Origin>();

/// The memory of a poll that is outstanding at a broker, in bytes: it may be held for minutes.
const POLL_BYTES: usize = 160;

/// The state of a client that must leave.
#[derive(Debug, Default)]
pub(crate) struct Leaving {
    since: Cell<Option<Instant>>,
    /// The number of polls that are outstanding at brokers.
    polls: Cell<usize>,
    /// The polls that arrived since, and are not relayed.
    kept: RefCell<Vec<Origin>>,
    /// Whether polls are given up now.
    gives_up: Cell<bool>,
}

impl Leaving {
    /// Drops the kept polls, because the client has disconnected. Returns the bytes that were kept.
    pub(crate) fn forget(&self) -> usize {
        self.kept.take().len() * KEPT_BYTES
    }
}

impl Session {
    /// Makes the client leave, as soon as that loses no request.
    pub fn leave(&self) {
        if self.leaving.since.get().is_none() {
            let now = self.now();
            self.leaving.since.set(Some(now));
        }
    }

    /// Whether the client must leave.
    #[must_use]
    pub fn is_leaving(&self) -> bool {
        self.leaving.since.get().is_some()
    }

    /// The number of outstanding requests, long polls excluded.
    pub(crate) fn requests(&self) -> usize {
        let polls = self.leaving.polls.get();
        self.outstanding.get().saturating_sub(polls)
    }

    /// Whether the client has [`MANY_REQUESTS`] or more outstanding, long polls excluded: requests
    /// of other clients would wait behind its next ones.
    pub(crate) fn has_many_requests(&self) -> bool {
        self.requests() >= MANY_REQUESTS
    }

    /// The class of the client's next poll: `class`, unless the client has many polls outstanding.
    pub(crate) fn class_of_poll(&self, class: Class) -> Class {
        match class {
            Class::Pull if self.leaving.polls.get() >= MANY_POLLS => Class::Crowd,
            class => class,
        }
    }

    /// Counts a poll that was relayed to a broker.
    pub(crate) fn begin_poll(&self) {
        self.leaving.polls.set(self.leaving.polls.get() + 1);
        self.account().add(POLL_BYTES);
    }

    /// Notes that a relayed request was answered, or will never be.
    pub(crate) fn end_of(&self, origin: &Origin) {
        let is_poll = origin.code.is_long_poll();
        if is_poll {
            let polls = self.leaving.polls.get();
            self.leaving.polls.set(polls.saturating_sub(1));
            self.account().take(POLL_BYTES);
        }
        if origin.ticket.is_bulk {
            self.bulk.set(self.bulk.get().saturating_sub(1));
        }
        self.at_brokers.end(origin.ticket.slot, is_poll);
        self.end();
    }

    /// Gives up the client's polls, from the next check on.
    pub(crate) fn give_up_polls(&self) {
        self.leaving.gives_up.set(true);
    }

    /// Whether polls are given up now.
    pub(crate) fn gives_up_polls(&self) -> bool {
        self.leaving.gives_up.get()
    }

    /// Whether the client's library reacts to GO_AWAY; `false` before its first frame.
    fn gets_go_away(&self) -> bool {
        let knows = |(language, version)| knows_go_away(language, version);
        self.identity().is_some_and(knows)
    }

    /// Whether nothing but polls is outstanding.
    fn only_polls(&self) -> bool {
        self.outstanding.get() == self.leaving.polls.get()
    }

    /// The number of outstanding long polls, at brokers or here.
    pub(crate) fn polls(&self) -> usize {
        self.leaving.polls.get() + self.leaving.kept.borrow().len()
    }

    /// Ends the connection of a client that must leave, once it sends nothing more. Called
    /// periodically.
    pub fn leave_if_quiet(&self) {
        let Some(since) = self.leaving.since.get() else {
            return;
        };
        let heard = self.heard().map_or(since, |heard| heard.max(since));
        let quiet = self.now().saturating_duration_since(heard);
        // A client that gets GO_AWAY need not be closed while it may still have a request here.
        let wait = match self.polls() > 0 && !self.gets_go_away() {
            true => QUIET,
            false => SILENCE,
        };
        if self.only_polls() && quiet >= wait && !self.outbox.is_closed() {
            self.go();
        }
    }

    /// Called before an answer is written: the connection may end behind it.
    pub(crate) fn leave_behind_answer(&self) {
        let Some(since) = self.leaving.since.get() else {
            return;
        };
        if !self.only_polls() || self.gets_go_away() || self.outbox.is_closed() {
            return;
        }
        let time = self.now().saturating_duration_since(since);
        if self.polls() == 0 || time >= RESTLESS {
            self.go();
        }
    }

    /// Answers all polls, and ends the connection behind them.
    fn go(&self) {
        self.leaving.gives_up.set(true);
        self.upstream.release();
        let kept = self.leaving.kept.take();
        self.account().take(kept.len() * KEPT_BYTES);
        for origin in kept {
            self.answer_empty(&origin);
        }
        self.finish();
    }

    /// Answers a poll, with no messages, that no broker will answer any more.
    pub(crate) fn answer_empty(&self, origin: &Origin) {
        let nothing = answers::nothing_found(origin);
        self.count_own(origin.code, nothing.code, origin.ticket.begun);
        self.outbox.push(&nothing);
    }

    /// Keeps a poll of a client that must leave, and answers a poll of a client that has left.
    /// False if the poll must be served.
    pub(crate) fn keeps(&self, asked: &Asked<'_>) -> bool {
        let view = asked.view();
        let is_kept = self.gives_up_polls() || (self.is_leaving() && !self.gets_go_away());
        if !is_kept || !view.request_code().is_long_poll() {
            return false;
        }
        let ticket = Ticket {
            begun: asked.incoming.begun,
            offset: asked.long(Field::QueueOffset).unwrap_or_default(),
            tag: 0,
            slot: Slot::default(),
            is_bulk: false,
        };
        let origin = Origin {
            opaque: view.opaque(),
            code: view.request_code(),
            serialize_type: view.serialize_type(),
            ticket,
        };
        if self.gives_up_polls() {
            self.answer_empty(&origin);
        } else {
            self.account().add(KEPT_BYTES);
            self.leaving.kept.borrow_mut().push(origin);
        }
        true
    }

    /// The answer to a request in place of serving it, if the client must leave and knows GO_AWAY.
    pub(crate) fn go_away(&self, view: &CommandView<'_>) -> Option<RemotingCommand> {
        let knows = knows_go_away(view.language(), view.version())
            && !view.is_oneway()
            && view.request_code() != RequestCode::UNREGISTER_CLIENT;
        if !self.is_leaving() || !knows {
            return None;
        }
        // Brokers must unregister the client before it connects through another replica.
        self.member.close();
        self.metrics.go_away.add(1);
        let code = ResponseCode::GO_AWAY;
        let answer = RemotingCommand::response(code, view.opaque(), view.serialize_type());
        Some(answer.with_remark("reconnect: this proxy is closing the connection"))
    }
}

fn knows_go_away(language: Language, version: Version) -> bool {
    language == Language::JAVA && version > V5_3_1
}
