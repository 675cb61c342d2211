//! Request and reply: a client that sends requests must be found by whichever broker the reply reaches.
//!
//! A replier sends its reply to any broker of the cluster's reply topic, and that broker looks the
//! requester up by its client id. So a client that sends requests is made known to every master.
//!
//! The broker's table of client ids has a trap (`ProducerManager` in the reference): whenever any
//! connection of an id ends, the id is taken out, and only a group that is new on its connection puts it
//! back. The end of a lane in another replica, from which the client has just moved, may come after the
//! beginning of its lane here. So with each of its first heartbeats such a client is also registered
//! under a group that is new every time. That is signed with Remora's own key, on lanes on which the broker has taken
//! the client's own heartbeat. Without a key, a broker that demands signatures refuses it, and a client that moved
//! between replicas in just that order gets no replies before it connects anew.

use std::rc::Rc;

use bytes::Bytes;
use remoting_codec::body::Heartbeat;
use remoting_codec::{CommandView, RemotingCommand, RequestCode};
use route_cache::UpstreamError;
use tokio::task::JoinSet;
use tokio::time::Instant;

use crate::session::Session;
use crate::session::lanes;

/// Prefix of the groups that are registered for replies.
const GROUP_PREFIX: &str = "REMORA_REPLY_";

/// Heartbeats with which a new group is registered. Whatever ends late in another replica has ended by
/// then: there, a client that says nothing is given up after two minutes. After that the last group is
/// only kept alive, for leaving one makes the client unknown for a moment.
const ROUNDS: u32 = 6;

/// Waits until every lane is registered, for a bounded time. A broker that cannot be reached now takes
/// no reply either.
pub(crate) async fn introduce(session: &Rc<Session>) {
    lanes::open_to_masters(session).await;
    let time = session.settings.introduction_time;
    let lanes = session.membership.borrow().lanes().to_vec();
    let mut waiting = JoinSet::new();
    for lane in lanes {
        waiting.spawn_local(async move { lane.settled(time).await });
    }
    waiting.join_all().await;
}

/// Registers a client id for replies under a new group, on the lanes on which its heartbeat was taken; after the first times,
/// no more often than brokers are told of anything that has not changed.
pub(crate) async fn renew(session: &Session, key: usize) {
    let now = Instant::now();
    let since = now
        .checked_sub(session.settings.heartbeat_repeat)
        .unwrap_or(now);
    let (round, lanes) = {
        let mut membership = session.membership.borrow_mut();
        let round = membership.next_reply_round(key, ROUNDS, since);
        (round, membership.lanes().to_vec())
    };
    let Some((round, client_id, heartbeat)) = round else {
        return;
    };
    let time = session.settings.heartbeat_time;
    let config = session.upstream.config();
    let group = round.min(ROUNDS);
    let leaving = (round <= ROUNDS).then(|| leave(&heartbeat, &client_id, group - 1));
    let said = [leaving.flatten(), join(&heartbeat, &client_id, group)];
    let said = said.map(|request| Some(config.signed(request?).to_bytes()));
    let mut telling = JoinSet::new();
    let lanes = lanes.iter().filter(|lane| lane.has_taken(key));
    for connection in lanes.filter_map(|lane| lane.registered()) {
        let frames = said.clone();
        telling.spawn_local(async move {
            for frame in frames.into_iter().flatten() {
                connection.call(frame, time).await?;
            }
            Ok::<_, UpstreamError>(())
        });
    }
    telling.join_all().await;
}

/// Leaving the last round's group comes first, for it takes the id out of the table; and were none
/// left, a broker would close the lane once one of them had been silent for two minutes.
fn leave(heartbeat: &Bytes, client_id: &str, round: u32) -> Option<RemotingCommand> {
    let request = like(heartbeat, RequestCode::UNREGISTER_CLIENT)?
        .with_field("clientID", client_id.to_owned())
        .with_field("producerGroup", format!("{GROUP_PREFIX}{round}"));
    Some(request)
}

fn join(heartbeat: &Bytes, client_id: &str, round: u32) -> Option<RemotingCommand> {
    let body = Heartbeat::of_producer(client_id, &format!("{GROUP_PREFIX}{round}"));
    Some(like(heartbeat, RequestCode::HEART_BEAT)?.with_body(body))
}

/// A request that says to come from the client, as brokers note down language and version.
fn like(heartbeat: &Bytes, code: RequestCode) -> Option<RemotingCommand> {
    let client = CommandView::decode(heartbeat).ok()?;
    Some(RemotingCommand {
        language: client.language(),
        version: client.version(),
        ..RemotingCommand::request(code)
    })
}
