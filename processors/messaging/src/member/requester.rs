//! Request and reply: a client that sends requests must be found by whichever broker the reply reaches.
//!
//! A replier sends its reply to any broker of the cluster's reply topic, and that broker looks the
//! requester up by its client id. So a client that sends requests is made known to every master.
//!
//! The broker's table of client ids has a trap (`ProducerManager` in the reference): whenever any
//! connection of an id ends, the id is taken out, and only a group that is new on its connection puts it
//! back. The end of a lane in another replica, from which the client has just moved, may come after the
//! start of its lane here. So with each of its first heartbeats such a client is also registered
//! under a group that is new every time. That is signed with Remora's own key, on lanes on which the broker has taken
//! the client's own heartbeat. Without a key, a broker that demands signatures refuses it, and a client that moved
//! between replicas in just that order gets no replies before it connects again.

use remoting_codec::body::Heartbeat;
use remoting_codec::{RemotingCommand, RequestCode};
use route_cache::UpstreamError;
use tokio::task::JoinSet;
use tokio::time::Instant;

use super::declaration::Identity;
use super::{Declared, Member};

/// Prefix of the groups that are registered for replies.
const GROUP_PREFIX: &str = "REMORA_REPLY_";

/// Heartbeats with which a new group is registered. Whatever ends late in another replica has ended by
/// then: there, a client that sends nothing is given up after two minutes. After that the last group is
/// only kept alive, because leaving one makes the client unknown for a moment.
const ROUNDS: u32 = 6;

impl Member {
    /// Waits until every lane is registered, for a bounded time. A broker that cannot be reached now takes
    /// no reply either.
    pub(super) async fn introduce_requester(&self) {
        self.open_to_masters().await;
        let time = self.caller().policy().introduction_time;
        let mut waiting = JoinSet::new();
        for lane in self.lanes() {
            waiting.spawn_local(async move { lane.settled(time).await });
        }
        waiting.join_all().await;
    }

    /// Whether it sends requests that others reply to.
    #[must_use]
    pub fn is_requester(&self) -> bool {
        self.membership.borrow().is_requester()
    }

    /// Registers a client id for replies under a new group, on the lanes on which its declaration was taken; after the first
    /// times, no more often than a declaration that has not changed is announced. For one that sends requests only.
    pub async fn renew_replies(&self, declared: &Declared) {
        let (key, policy) = (declared.key, self.caller().policy());
        let now = Instant::now();
        let since = now.checked_sub(policy.heartbeat_repeat).unwrap_or(now);
        let round = {
            let mut membership = self.membership.borrow_mut();
            membership.next_reply_round(key, ROUNDS, since)
        };
        let Some((round, identity)) = round else {
            return;
        };
        let time = policy.heartbeat_time;
        let config = self.caller().upstream().config();
        let group = round.min(ROUNDS);
        let leaving = (round <= ROUNDS).then(|| leave(&identity, group - 1));
        let requests = [leaving, Some(join(&identity, group))];
        let frames = requests.map(|request| Some(config.signed(request?).to_bytes()));
        let mut telling = JoinSet::new();
        let lanes = self.lanes();
        let lanes = lanes.iter().filter(|lane| lane.has_taken(key));
        for connection in lanes.filter_map(|lane| lane.registered()) {
            let frames = frames.clone();
            telling.spawn_local(async move {
                for frame in frames.into_iter().flatten() {
                    connection.call(frame, time).await?;
                }
                Ok::<_, UpstreamError>(())
            });
        }
        telling.join_all().await;
    }
}

/// Leaving the last round's group comes first, because it takes the id out of the table; and were none
/// left, a broker would close the lane once one of them had been silent for two minutes.
fn leave(identity: &Identity, round: u32) -> RemotingCommand {
    request(identity, RequestCode::UNREGISTER_CLIENT)
        .with_field("clientID", identity.client_id.clone())
        .with_field("producerGroup", format!("{GROUP_PREFIX}{round}"))
}

fn join(identity: &Identity, round: u32) -> RemotingCommand {
    let group = format!("{GROUP_PREFIX}{round}");
    let body = Heartbeat::of_producer(&identity.client_id, &group);
    request(identity, RequestCode::HEART_BEAT).with_body(body)
}

/// A request with the client's language and version, as brokers note them down.
fn request(identity: &Identity, code: RequestCode) -> RemotingCommand {
    RemotingCommand {
        language: identity.language,
        version: identity.version,
        ..RemotingCommand::request(code)
    }
}
