//! What a client has said of itself, and the lanes on which brokers were told.

use std::ops::Range;
use std::rc::Rc;
use std::sync::Arc;

use bytes::Bytes;
use remoting_codec::body::{ConsumeType, ConsumerData, Heartbeat, MessageModel, Names};
use remoting_codec::{CommandView, RemotingCommand, RequestCode};
use route_cache::rate::shown;
use route_cache::{Broker, Lane, Registration};
use tokio::sync::Mutex;
use tokio::time::Instant;

use crate::error::ProcessError;

/// Most client ids on one connection. A client has one; the bound is for what is no client.
const CLIENT_IDS_MAX: usize = 8;

/// The ext field with a request's signature.
const SIGNATURE: &str = "Signature";

/// Most groups of a client that has not said who it is.
const STAND_IN_MAX: usize = 64;

/// Longest name of a group (`Validators.CHARACTER_MAX_LENGTH`). A longer one is none that anything could come back to.
const GROUP_MAX: usize = 255;

/// Longest id that a reply can name: it is among the properties of a message, which brokers keep in a `short`'s length.
const REPLY_ID_MAX: usize = 32767;

/// The groups of one client connection.
///
/// Kept only to tell brokers: they hold the membership, and this is what is said to them again when
/// a lane is made anew.
#[derive(Debug, Default)]
pub(crate) struct Membership {
    clients: Vec<Client>,
    lanes: Vec<Rc<Lane>>,
    registration: Rc<Registration>,
    /// Brokers that the client has sent to before it said who it is.
    sent_to: Vec<Rc<Broker>>,
    /// Groups in whose name the client has sent what something will come back to, before it has said
    /// who it is.
    stand_in: Vec<Box<str>>,
    /// Whether the client sends requests that others reply to.
    requester: bool,
    closed: bool,
    /// The client's id, as far as it is shown, once it is closed.
    was: Option<String>,
    /// Bytes of what was made of the heartbeats.
    decoded: usize,
    /// Held while something that the client says is taken in: long heartbeats are read elsewhere, and what came first
    /// counts first.
    turn: Rc<Mutex<()>>,
}

/// One client id of the connection. Its place among them is its key in the registration.
#[derive(Debug)]
struct Client {
    heartbeat: Heartbeat,
    /// Bytes of that.
    decoded: usize,
    /// The frame of its latest heartbeat.
    frame: Bytes,
    /// Where in it the body is.
    body: Range<usize>,
    /// The frame's signature, for a client that signs.
    signature: Option<Box<str>>,
    /// Whether it has unregistered groups since.
    has_unregistered: bool,
    /// When brokers were told last, and took it.
    told: Option<Instant>,
    /// How often brokers were told whom replies are for, and when last.
    replies: Replies,
}

#[derive(Clone, Copy, Debug, Default)]
struct Replies {
    round: u32,
    told: Option<Instant>,
}

/// What a heartbeat says, as far as lanes depend on it.
#[derive(Debug)]
pub(crate) struct Said {
    /// The client id's key in the registration.
    pub(crate) key: usize,
    /// What its consumer groups subscribe to.
    pub(crate) topics: Arc<Names>,
    /// When brokers were told the same last, and took it.
    pub(crate) told: Option<Instant>,
}

impl Client {
    fn said(&self, key: usize) -> Said {
        Said {
            key,
            topics: self.heartbeat.topics.clone(),
            told: self.told,
        }
    }

    fn body(&self) -> &[u8] {
        self.frame.get(self.body.clone()).unwrap_or_default()
    }
}

fn signature(view: &CommandView<'_>) -> Option<Box<str>> {
    let signature = view.ext_fields().value(SIGNATURE)?;
    Some(signature.text().into())
}

impl Membership {
    /// What a heartbeat says, if it says nothing new. The same under another key is new: brokers judge it anew.
    pub(crate) fn said(&self, view: &CommandView<'_>) -> Option<Said> {
        let mut clients = self.clients.iter().enumerate();
        let (key, same) = clients.find(|(_, c)| !c.has_unregistered && c.body() == view.body())?;
        (same.signature == signature(view)).then(|| same.said(key))
    }

    /// Takes in a heartbeat, which is `view`, a request that wants an answer and has the bytes `frame`.
    pub(crate) fn update(
        &mut self,
        heartbeat: Heartbeat,
        frame: Bytes,
        view: &CommandView<'_>,
    ) -> Result<Said, ProcessError> {
        let known = self.key(&heartbeat.client_id);
        let key = known.unwrap_or(self.clients.len());
        if key == CLIENT_IDS_MAX {
            return Err(ProcessError::ClientIds(CLIENT_IDS_MAX));
        }
        let client = Client {
            decoded: heartbeat.memory(),
            heartbeat,
            frame: frame.clone(),
            body: view.body_range(),
            signature: signature(view),
            has_unregistered: false,
            told: None,
            replies: Replies::default(),
        };
        let said = client.said(key);
        self.decoded += client.decoded;
        match self.clients.get_mut(key) {
            Some(known) => {
                self.decoded -= known.decoded;
                let replies = known.replies;
                *known = Client { replies, ..client };
            }
            None => self.clients.push(client),
        }
        if !std::mem::take(&mut self.stand_in).is_empty() {
            self.registration.clear();
            // Brokers keep the first id that they hear on a connection.
            for lane in &self.lanes {
                lane.renew();
            }
        }
        self.registration.say(key, frame);
        Ok(said)
    }

    /// How many bytes are kept of what the client has said of itself.
    pub(crate) fn held_bytes(&self) -> usize {
        let names: usize = self.stand_in.iter().map(|group| group.len()).sum();
        let sent_to = self.sent_to.len() * size_of::<Rc<Broker>>();
        self.registration.bytes() + self.decoded + names + sent_to
    }

    /// To be held while something that the client says is taken in.
    pub(crate) fn turn(&self) -> Rc<Mutex<()>> {
        self.turn.clone()
    }

    /// Whether lanes say that the client is in the group, before it has said who it is.
    pub(crate) fn stands_in(&self, group: &str) -> bool {
        self.stand_in.iter().any(|known| &**known == group)
    }

    /// Has lanes say, until the client says who it is, that a client of that id is in the group. True
    /// when lanes that are registered already do not say that yet.
    ///
    /// That is never signed: nobody has judged the client yet, and with Remora's own key anybody could be told of a
    /// group's transactions. A broker that demands signatures refuses it, and knows the producer from its first
    /// heartbeat on, as without a proxy.
    pub(crate) fn stand_in(&mut self, client_id: &str, group: &str) -> bool {
        if self.closed
            || self.is_known()
            || group.len() > GROUP_MAX
            || self.stand_in.len() == STAND_IN_MAX
            || self.stands_in(group)
        {
            return false;
        }
        let key = CLIENT_IDS_MAX + self.stand_in.len();
        self.stand_in.push(group.into());
        let body = Heartbeat::of_producer(client_id, group);
        let heartbeat = RemotingCommand::request(RequestCode::HEART_BEAT).with_body(body);
        self.registration.say(key, heartbeat.to_bytes());
        true
    }

    /// Notes that the client sends requests.
    pub(crate) fn note_requester(&mut self) {
        self.requester = true;
    }

    /// Whether the client sends requests.
    pub(crate) fn is_requester(&self) -> bool {
        self.requester
    }

    /// The id and latest heartbeat's frame of that client, and how often brokers were told that replies are for it; that is
    /// now once more. `None` when there is no need to: no reply could name the id, or that has been done as often as
    /// `rounds`, and since that moment.
    pub(crate) fn next_reply_round(
        &mut self,
        key: usize,
        rounds: u32,
        since: Instant,
    ) -> Option<(u32, String, Bytes)> {
        let client = self.clients.get_mut(key)?;
        let id = &client.heartbeat.client_id;
        let replies = &mut client.replies;
        let is_recent = replies.told.is_some_and(|told| told >= since);
        if !self.requester || id.len() > REPLY_ID_MAX || (replies.round >= rounds && is_recent) {
            return None;
        }
        replies.round = replies.round.saturating_add(1);
        replies.told = Some(Instant::now());
        Some((replies.round, id.clone(), client.frame.clone()))
    }

    /// Brokers have been told.
    pub(crate) fn set_told(&mut self, key: usize) {
        if let Some(client) = self.clients.get_mut(key) {
            client.told = Some(Instant::now());
        }
    }

    /// Takes out a group that the client unregisters in `frame`, a request that wants an answer. False when it is not there:
    /// a client unregisters once per broker, all to one address.
    pub(crate) fn unregister(
        &mut self,
        client_id: &str,
        group: &Unregistered,
        frame: Bytes,
    ) -> bool {
        let key = self.key(client_id);
        let Some((key, client)) = key.and_then(|key| Some(key).zip(self.clients.get_mut(key)))
        else {
            return false;
        };
        let producers = &mut client.heartbeat.producer_groups;
        let producer = group.producer.as_deref();
        let mut taken = producer.is_some_and(|group| producers.remove(group));
        let consumer = group.consumer.as_deref();
        taken |= consumer.is_some_and(|group| client.heartbeat.remove_consumer(group));
        if taken {
            client.has_unregistered = true;
            self.registration.unsay(key, frame);
        }
        taken
    }

    /// The key of that client id.
    fn key(&self, client_id: &str) -> Option<usize> {
        let mut clients = self.clients.iter();
        clients.position(|client| client.heartbeat.client_id == client_id)
    }

    /// The client's id, the first where there are several.
    pub(crate) fn client_id(&self) -> Option<&str> {
        let first = self.clients.first();
        first.map_or(self.was.as_deref(), |first| {
            Some(&first.heartbeat.client_id)
        })
    }

    /// Whether the client is in a producer group.
    pub(crate) fn is_producer(&self) -> bool {
        let mut clients = self.clients.iter();
        clients.any(|client| !client.heartbeat.producer_groups.is_empty())
    }

    /// The consumer groups that the client is in, and how it gets messages in each.
    pub(crate) fn groups(&self) -> impl Iterator<Item = (&str, ConsumeType)> {
        let groups = self
            .clients
            .iter()
            .flat_map(|client| &client.heartbeat.consumers);
        groups.map(|consumer| (&*consumer.group_name, consumer.consume_type))
    }

    /// How the members of that consumer group divide messages, if the client is one.
    pub(crate) fn consumer(&self, group: &str) -> Option<MessageModel> {
        self.consumer_data(group)
            .map(|consumer| consumer.message_model)
    }

    /// The topics of that consumer group, if the client is in it.
    pub(crate) fn topics(&self, group: &str) -> Option<Arc<Names>> {
        self.consumer_data(group)
            .map(|consumer| consumer.topics.clone())
    }

    fn consumer_data(&self, group: &str) -> Option<&ConsumerData> {
        let mut clients = self.clients.iter();
        clients.find_map(|client| client.heartbeat.consumer(group))
    }

    /// Whether the client has said who it is.
    pub(crate) fn is_known(&self) -> bool {
        !self.clients.is_empty()
    }

    /// Notes that the client has sent to a broker, for when it says who it is.
    pub(crate) fn note_sent_to(&mut self, broker: &Rc<Broker>) {
        if !self.sent_to.iter().any(|known| Rc::ptr_eq(known, broker)) {
            self.sent_to.push(broker.clone());
        }
    }

    /// The brokers that were noted; they are forgotten with that.
    pub(crate) fn take_sent_to(&mut self) -> Vec<Rc<Broker>> {
        std::mem::take(&mut self.sent_to)
    }

    /// The lane to that address of that broker.
    pub(crate) fn lane(&self, broker: &str, address: &Arc<str>) -> Option<&Rc<Lane>> {
        self.lanes.get(self.place(broker, address).ok()?)
    }

    /// Where among the lanes that one is, or would be.
    fn place(&self, broker: &str, address: &str) -> Result<usize, usize> {
        self.lanes
            .binary_search_by(|lane| (&**lane.broker(), &**lane.address()).cmp(&(broker, address)))
    }

    /// All lanes.
    pub(crate) fn lanes(&self) -> &[Rc<Lane>] {
        &self.lanes
    }

    /// What new lanes begin with saying; nothing once the client has gone.
    pub(crate) fn registration(&self) -> Option<Rc<Registration>> {
        (!self.closed && (self.is_known() || !self.stand_in.is_empty()))
            .then(|| self.registration.clone())
    }

    /// Takes in a lane that was opened; ordered by broker, so that all members of a group look at a
    /// broker first that is first for all.
    pub(crate) fn add_lane(&mut self, lane: Rc<Lane>) {
        let (Ok(at) | Err(at)) = self.place(lane.broker(), lane.address());
        self.lanes.insert(at, lane);
    }

    /// Ends the lanes that `keep` does not want.
    pub(crate) fn retain_lanes(&mut self, keep: impl Fn(&Lane) -> bool) {
        self.lanes.retain(|lane| {
            let kept = keep(lane);
            if !kept {
                lane.close();
            }
            kept
        });
    }

    /// The client has gone: so have its lanes.
    pub(crate) fn close(&mut self) {
        self.closed = true;
        self.retain_lanes(|_| false);
        self.was = self.client_id().map(|id| shown(id).to_owned());
        self.clients.clear();
        self.decoded = 0;
        self.sent_to.clear();
        self.stand_in.clear();
        self.registration.clear();
    }
}

/// The groups that one UNREGISTER_CLIENT takes back; Java names one, C++ both and leaves one empty.
#[derive(Debug, Default)]
pub(crate) struct Unregistered {
    pub(crate) producer: Option<String>,
    pub(crate) consumer: Option<String>,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn say(membership: &mut Membership, id: &str) -> Result<Said, ProcessError> {
        let body = format!(r#"{{"clientID":"{id}","producerDataSet":[{{"groupName":"p"}}]}}"#);
        let heartbeat = RemotingCommand::request(RequestCode::HEART_BEAT).with_body(body);
        let frame = heartbeat.to_bytes();
        let view = CommandView::decode(&frame)?;
        membership.update(Heartbeat::decode(view.body())?, frame.clone(), &view)
    }

    #[test]
    fn what_is_kept_is_bounded_and_counted() {
        let mut membership = Membership::default();
        for group in 0..2 * STAND_IN_MAX {
            membership.stand_in("peer", &format!("g{group}"));
        }
        assert_eq!(membership.stand_in.len(), STAND_IN_MAX);
        assert!(!membership.stand_in("peer", &"g".repeat(GROUP_MAX + 1)));
        assert!(membership.held_bytes() > STAND_IN_MAX * 100);
        // The client says who it is, and again: the same is kept once.
        say(&mut membership, "c0").unwrap();
        let one = membership.held_bytes();
        assert!(one > 100 && one < STAND_IN_MAX * 100);
        say(&mut membership, "c0").unwrap();
        assert_eq!(membership.held_bytes(), one);
        let long = "c".repeat(900_000);
        say(&mut membership, &long).unwrap();
        assert!(membership.held_bytes() > one + 2 * long.len());
        for id in 1..CLIENT_IDS_MAX - 1 {
            say(&mut membership, &format!("c{id}")).unwrap();
        }
        assert!(say(&mut membership, "one more").is_err());
        membership.close();
        assert_eq!(membership.held_bytes(), 0);
    }
}
