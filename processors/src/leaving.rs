//! A client that is to go to another replica: the proxy drains, or the connection is old.
//!
//! Java clients newer than 5.3.1 are told so: GO_AWAY (1500) has them connect anew and ask again. All others are closed, and
//! do not notice a close under a request before that times out. So they are closed at a moment when nothing is outstanding,
//! right behind an answer: the end of the stream then comes with it, before the client can ask again. Long polls are
//! answered empty for that moment to come.

use std::time::Duration;

use remoting_codec::{CommandView, Language, RemotingCommand, RequestCode, ResponseCode, Version};
use route_cache::Origin;

use crate::metrics::Limit;
use crate::session::Session;

/// A client that asks nothing for so long is closed without another answer to close behind.
const SILENCE: Duration = Duration::from_secs(1);

/// The newest Java client that does not know GO_AWAY (`NettyRemotingServer` sends it to newer ones only).
const V5_3_1: Version = Version(475);

impl Session {
    /// Has the client go, as soon as it can be done without loss.
    pub fn leave(&self) {
        if self.leaving.get().is_none() {
            self.leaving.set(Some(self.upstream.buffers().now()));
        }
    }

    /// Whether the client is to go.
    #[must_use]
    pub fn is_leaving(&self) -> bool {
        self.leaving.get().is_some()
    }

    /// To be called now and then for a client that is to go: ends its connection when nothing was outstanding for a while.
    pub fn leave_if_silent(&self) {
        let now = self.upstream.buffers().now();
        let since = self.heard().max(self.leaving.get());
        if self.outstanding.get() == 0
            && since.is_some_and(|since| now.saturating_duration_since(since) >= SILENCE)
        {
            self.finish();
        }
    }

    /// Ends the connection behind the last answer.
    pub(crate) fn leave_if_done(&self) {
        let is_told = self
            .identity()
            .is_some_and(|(language, version)| knows_go_away(language, version));
        if self.is_leaving() && !is_told && self.outstanding.get() == 0 && !self.outbox.is_closed()
        {
            self.finish();
        }
    }

    /// What a request is answered with, if it is not to be served now: the client is to go, or there is no room for it.
    pub(crate) fn refusal(&self, view: &CommandView<'_>) -> Option<RemotingCommand> {
        let refuse = |code, remark: &'static str| {
            let refusal = RemotingCommand::response(code, view.opaque(), view.serialize_type());
            Some(refusal.with_remark(remark))
        };
        let (language, version) = (view.language(), view.version());
        let is_told = knows_go_away(language, version)
            && !view.is_oneway()
            && view.request_code() != RequestCode::UNREGISTER_CLIENT;
        if self.is_leaving() && is_told {
            // Brokers forget the client before it comes to them by another way.
            self.membership.borrow_mut().close();
            self.metrics.go_away.add(1);
            return refuse(
                ResponseCode::GO_AWAY,
                "connect again: this proxy is about to go",
            );
        }
        let waiting = self.upstream.buffers().waiting();
        if waiting > self.settings.buffered_limit && !view.body().is_empty() {
            self.metrics.limit(Limit::Buffered);
            return refuse(
                ResponseCode::SYSTEM_BUSY,
                "more waits to be written than limits.buffered_bytes allows",
            );
        }
        None
    }
}

fn knows_go_away(language: Language, version: Version) -> bool {
    language == Language::JAVA && version > V5_3_1
}

/// The empty answer to a long poll.
pub(crate) fn nothing_found(origin: &Origin) -> RemotingCommand {
    let answer = |code| RemotingCommand::response(code, origin.opaque, origin.serialize_type);
    match origin.code {
        RequestCode::POP_MESSAGE => answer(ResponseCode::POLLING_TIMEOUT),
        RequestCode::NOTIFICATION => answer(ResponseCode::SUCCESS).with_field("hasMsg", "false"),
        _ => {
            // The offset to go on from is the one that was asked for.
            let offset = origin.ticket.note.to_string();
            answer(ResponseCode::PULL_NOT_FOUND)
                .with_field("nextBeginOffset", offset)
                .with_field("minOffset", "0")
                .with_field("maxOffset", origin.ticket.note.to_string())
                .with_field("suggestWhichBrokerId", "0")
        }
    }
}
