//! Request and reply: a client that sends requests must be registered at every broker that a reply
//! may reach.
//!
//! A replier sends its reply to any broker of the cluster's reply topic, and that broker looks the
//! requester up by its client id. So a client that sends requests is registered at every master.
//!
//! The broker's table of client ids has a pitfall (`ProducerManager` in the reference): when any
//! connection of an id ends, the id is removed, and only a group that is new on its connection adds
//! it again. If the client has moved from another replica, its lane there may end after its lane
//! here has started. So with each of its first heartbeats, such a client is also registered under a
//! group that is new every time. That registration is signed with Remora's own key, and sent on
//! lanes on which the broker has accepted the client's own heartbeat. Without a key, a broker that
//! requires signatures refuses it. A client that moved between replicas in that order then gets no
//! replies before it reconnects.

use remoting_codec::body::Heartbeat;
use remoting_codec::{RemotingCommand, RequestCode};
use route_cache::UpstreamError;
use tokio::task::JoinSet;
use tokio::time::Instant;

use super::declaration::Identity;
use super::{Declared, Member};

/// The prefix of the producer groups by which Remora registers a client for replies at brokers.
const GROUP_PREFIX: &str = "REMORA_REPLY_";

/// The number of heartbeats with which a new group is registered. After that many, every lane in
/// another replica has ended, because a client that sends nothing is closed there after two
/// minutes. From then on, only the last group is kept registered, because leaving a group makes the
/// client unknown for a moment.
const ROUNDS: u32 = 6;

impl Member {
    /// Waits until every lane is registered, for a limited time. A broker that cannot be reached
    /// now accepts no reply either.
    pub(crate) async fn introduce_requester(&self) {
        self.membership.borrow_mut().note_requester();
        self.open_to_masters().await;
        self.wait_settled().await;
    }

    /// Whether it sends requests that other clients reply to.
    #[must_use]
    pub fn is_requester(&self) -> bool {
        self.membership.borrow().is_requester()
    }

    /// Starts the rounds of [`renew_replies`](Self::renew_replies) again if the client has
    /// connected to a broker again, or to another one, since this was called last: the broker may
    /// yet end the former connection, and forget the client id thereby. Returns whether it has. The
    /// first call only notes the connections.
    pub(crate) fn restart_replies(&self, declared: &Declared) -> bool {
        let lanes = self.lanes();
        let connections = lanes.iter().filter_map(|lane| lane.registered());
        let mut membership = self.membership.borrow_mut();
        membership.restart_replies(declared.key, ROUNDS, connections)
    }

    /// Registers the client id of a requester for replies under a new group, on the lanes on which
    /// its declaration was accepted. After the first rounds, it does so no more often than an
    /// unchanged declaration is announced.
    pub async fn renew_replies(&self, declared: &Declared) {
        let (key, policy) = (declared.key, self.caller().policy());
        let now = Instant::now();
        let since = now.checked_sub(policy.heartbeat_repeat).unwrap_or(now);
        let round = {
            let mut membership = self.membership.borrow_mut();
            membership.next_reply_round(key, ROUNDS, since)
        };
        let Some((round, until, identity)) = round else {
            return;
        };
        let time = policy.heartbeat_time;
        let config = self.caller().upstream().config();
        let group = round.min(until);
        let leaving = (round <= until).then(|| leave(&identity, group - 1));
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

/// The last round's group is left first, because that removes the id from the table. If no group
/// were left, a broker would close the lane once one of the groups had been silent for two minutes.
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

/// A request with the client's language and version, as brokers record them.
fn request(identity: &Identity, code: RequestCode) -> RemotingCommand {
    RemotingCommand {
        language: identity.language,
        version: identity.version,
        ..RemotingCommand::request(code)
    }
}
