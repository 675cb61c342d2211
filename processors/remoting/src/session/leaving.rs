//! A client that is to go to another replica: the proxy drains, or the connection is old.
//!
//! Java clients newer than 5.3.1 are told so: GO_AWAY (1500) has them connect anew and ask again. All others are closed, and
//! most of them do not notice a close under a request before that times out. So no request may be on its way when they are
//! closed. One that sends and waits is closed right behind an answer: the end of the stream comes with it, before the client
//! can ask again. One that polls has its polls kept until it asks nothing more, for then all that it has to ask is here; they
//! are answered empty then, all at once, with the end of the stream behind them.

use std::cell::{Cell, RefCell};
use std::time::Duration;

use remoting_codec::{CommandView, Language, RemotingCommand, RequestCode, ResponseCode, Version};
use route_cache::{Class, Origin, Slot, Ticket};
use tokio::time::Instant;

use crate::answers;
use crate::session::Session;
use crate::session::request::Asked;
use crate::table::Field;

/// A client that polls and asks nothing else for so long has asked all that it has to.
const QUIET: Duration = Duration::from_millis(200);

/// One that polls and never pauses is closed behind any answer after this.
const RESTLESS: Duration = Duration::from_secs(2);

/// A client that asks nothing for so long is closed without an answer to close behind.
const SILENCE: Duration = Duration::from_secs(1);

/// The newest Java client that does not know GO_AWAY (`NettyRemotingServer` sends it to newer ones only).
const V5_3_1: Version = Version(475);

/// With so many requests or polls outstanding, the next ones of a client go over a connection that only such clients share. A
/// consumer has a poll for each queue. Sends and offsets are excepted: they must stay in their order.
const MANY_REQUESTS: usize = 512;
const MANY_POLLS: usize = 256;

/// What a poll takes that is kept.
const KEPT_BYTES: usize = size_of::<Origin>();

/// What a poll takes that is outstanding at a broker: it may be for minutes.
const POLL_BYTES: usize = 160;

/// What is kept of a client that is to go.
#[derive(Debug, Default)]
pub(crate) struct Leaving {
    since: Cell<Option<Instant>>,
    /// Polls that are outstanding at brokers.
    polls: Cell<usize>,
    /// Polls that came since, and go to no broker.
    kept: RefCell<Vec<Origin>>,
    /// Polls are given up now.
    gives_up: Cell<bool>,
}

impl Leaving {
    /// The client has gone. Answers how many bytes were kept.
    pub(crate) fn forget(&self) -> usize {
        self.kept.take().len() * KEPT_BYTES
    }
}

impl Session {
    /// Has the client go, as soon as it can be done without loss.
    pub fn leave(&self) {
        if self.leaving.since.get().is_none() {
            let now = self.now();
            self.leaving.since.set(Some(now));
        }
    }

    /// Whether the client is to go.
    #[must_use]
    pub fn is_leaving(&self) -> bool {
        self.leaving.since.get().is_some()
    }

    /// How many requests are outstanding, long polls not among them.
    pub(crate) fn requests(&self) -> usize {
        let polls = self.leaving.polls.get();
        self.outstanding.get().saturating_sub(polls)
    }

    /// Whether the client has so many requests outstanding, long polls not among them, that those of other clients would wait
    /// behind its next ones.
    pub(crate) fn has_many_requests(&self) -> bool {
        self.requests() >= MANY_REQUESTS
    }

    /// The class of the client's next poll, which is `class` unless it has many outstanding.
    pub(crate) fn class_of_poll(&self, class: Class) -> Class {
        match class {
            Class::Pull if self.leaving.polls.get() >= MANY_POLLS => Class::Crowd,
            class => class,
        }
    }

    /// A poll went to a broker.
    pub(crate) fn begin_poll(&self) {
        self.leaving.polls.set(self.leaving.polls.get() + 1);
        self.account().add(POLL_BYTES);
    }

    /// A request that went to a broker was answered or will not be.
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

    /// Polls are given up from now on, soon.
    pub(crate) fn give_up_polls(&self) {
        self.leaving.gives_up.set(true);
    }

    /// Whether polls are given up now.
    pub(crate) fn gives_up_polls(&self) -> bool {
        self.leaving.gives_up.get()
    }

    /// Whether the client is one that is told to go.
    fn is_told(&self) -> bool {
        let told = |(language, version)| knows_go_away(language, version);
        self.identity().is_some_and(told)
    }

    /// Whether nothing but polls is outstanding.
    fn only_polls(&self) -> bool {
        self.outstanding.get() == self.leaving.polls.get()
    }

    /// How many long polls are outstanding, at brokers or here.
    pub(crate) fn polls(&self) -> usize {
        self.leaving.polls.get() + self.leaving.kept.borrow().len()
    }

    /// To be called now and then for a client that is to go: ends its connection once it asks nothing.
    pub fn leave_if_quiet(&self) {
        let Some(since) = self.leaving.since.get() else {
            return;
        };
        let heard = self.heard().map_or(since, |heard| heard.max(since));
        let quiet = self.now().saturating_duration_since(heard);
        // One that is told has no need to be closed while it may still be here.
        let wait = match self.polls() > 0 && !self.is_told() {
            true => QUIET,
            false => SILENCE,
        };
        if self.only_polls() && quiet >= wait && !self.outbox.is_closed() {
            self.go();
        }
    }

    /// An answer is about to be written: the connection may end behind it.
    pub(crate) fn leave_behind_answer(&self) {
        let Some(since) = self.leaving.since.get() else {
            return;
        };
        if !self.only_polls() || self.is_told() || self.outbox.is_closed() {
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

    /// Answers a poll that no broker will answer any more.
    pub(crate) fn answer_empty(&self, origin: &Origin) {
        let nothing = answers::nothing_found(origin);
        self.count_own(origin.code, nothing.code, origin.ticket.begun);
        self.outbox.push(&nothing);
    }

    /// Keeps a poll of a client that must leave; answers that of one that has left. False when it must be served.
    pub(crate) fn keeps(&self, asked: &Asked<'_>) -> bool {
        let view = asked.view();
        let is_kept = self.gives_up_polls() || (self.is_leaving() && !self.is_told());
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

    /// What a request is answered with instead of being served, if the client must leave and can be told so.
    pub(crate) fn go_away(&self, view: &CommandView<'_>) -> Option<RemotingCommand> {
        let is_told = knows_go_away(view.language(), view.version())
            && !view.is_oneway()
            && view.request_code() != RequestCode::UNREGISTER_CLIENT;
        if !self.is_leaving() || !is_told {
            return None;
        }
        // Brokers forget the client before it connects to them by another way.
        self.member.close();
        self.metrics.go_away.add(1);
        let code = ResponseCode::GO_AWAY;
        let answer = RemotingCommand::response(code, view.opaque(), view.serialize_type());
        Some(answer.with_remark("connect again: this proxy is about to go"))
    }
}

fn knows_go_away(language: Language, version: Version) -> bool {
    language == Language::JAVA && version > V5_3_1
}
