//! What a client has said of itself, and the lanes on which brokers were told.

use std::rc::Rc;
use std::sync::Arc;

use bytes::Bytes;
use remoting_codec::body::{ConsumeType, Heartbeat, MessageModel};
use remoting_codec::{CommandView, RemotingCommand, RequestCode};
use route_cache::{Broker, Lane, Registration};
use tokio::time::Instant;

use crate::error::ProcessError;

/// Most client ids on one connection. A client has one; the bound is for what is no client.
const CLIENT_IDS_MAX: usize = 8;

/// Most unregistrations that are said again on a new lane. Each makes a heartbeat that it came after
/// true again; a client that has sent so many since its last heartbeat will send one soon.
const UNREGISTERED_MAX: usize = 64;

/// The ext field with a request's signature.
const SIGNATURE: &str = "Signature";

/// Most groups of a client that has not said who it is.
const STAND_IN_MAX: usize = 64;

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
    stand_in: Vec<String>,
    /// Whether the client sends requests that others reply to.
    requester: bool,
    /// How often brokers were told whom replies are for.
    reply_round: u32,
    closed: bool,
    /// The client's id, once it is closed.
    was: Option<String>,
}

/// One client id of the connection.
#[derive(Debug)]
struct Client {
    heartbeat: Heartbeat,
    /// The frame of its latest heartbeat.
    frame: Bytes,
    /// Where in it the body begins.
    body_at: usize,
    /// The frame's signature, for a client that signs.
    signature: Option<Box<str>>,
    /// The frames in which it has unregistered groups since.
    unregistered: Vec<Bytes>,
    /// When brokers were told last, and took it.
    told: Option<Instant>,
}

/// What a heartbeat says, as far as lanes depend on it.
#[derive(Debug)]
pub(crate) struct Said {
    pub(crate) client_id: String,
    /// What its consumer groups subscribe to.
    pub(crate) topics: Vec<String>,
    /// When brokers were told the same last, and took it.
    pub(crate) told: Option<Instant>,
}

impl Client {
    fn said(&self) -> Said {
        Said {
            client_id: self.heartbeat.client_id.clone(),
            topics: self.heartbeat.topics().map(str::to_owned).collect(),
            told: self.told,
        }
    }

    fn body(&self) -> &[u8] {
        self.frame.get(self.body_at..).unwrap_or_default()
    }
}

fn signature(view: &CommandView<'_>) -> Option<Box<str>> {
    let signature = view.ext_fields().value(SIGNATURE)?;
    Some(signature.text().into())
}

impl Membership {
    /// What a heartbeat says, if it says nothing new. The same under another key is new: brokers judge it anew.
    pub(crate) fn said(&self, view: &CommandView<'_>) -> Option<Said> {
        let mut clients = self.clients.iter();
        let same = clients.find(|c| c.unregistered.is_empty() && c.body() == view.body())?;
        (same.signature == signature(view)).then(|| same.said())
    }

    /// Takes in a heartbeat, which is `view` of `frame`.
    pub(crate) fn update(
        &mut self,
        heartbeat: Heartbeat,
        frame: Bytes,
        view: &CommandView<'_>,
    ) -> Result<Said, ProcessError> {
        let id = &heartbeat.client_id;
        let known = self
            .clients
            .iter()
            .position(|c| c.heartbeat.client_id == *id);
        if known.is_none() && self.clients.len() == CLIENT_IDS_MAX {
            return Err(ProcessError::ClientIds(CLIENT_IDS_MAX));
        }
        let client = Client {
            heartbeat,
            frame,
            body_at: view.body_offset(),
            signature: signature(view),
            unregistered: Vec::new(),
            told: None,
        };
        let said = client.said();
        match known.and_then(|at| self.clients.get_mut(at)) {
            Some(known) => *known = client,
            None => self.clients.push(client),
        }
        if !std::mem::take(&mut self.stand_in).is_empty() {
            // Brokers keep the first id that they hear on a connection.
            for lane in &self.lanes {
                lane.renew();
            }
        }
        self.register();
        Ok(said)
    }

    /// Whether lanes say that the client is in the group, before it has said who it is.
    pub(crate) fn stands_in(&self, group: &str) -> bool {
        self.stand_in.iter().any(|known| known == group)
    }

    /// Has lanes say, until the client says who it is, that a client of that id is in the group. True
    /// when lanes that are registered already do not say that yet.
    ///
    /// That is never signed: nobody has judged the client yet, and with Remora's own key anybody could be told of a
    /// group's transactions. A broker that demands signatures refuses it, and knows the producer from its first
    /// heartbeat on, as without a proxy.
    pub(crate) fn stand_in(&mut self, client_id: &str, group: &str) -> bool {
        if self.stands_in(group) || self.is_known() || self.stand_in.len() == STAND_IN_MAX {
            return false;
        }
        self.stand_in.push(group.to_owned());
        let body = Heartbeat::of_producer(client_id, &self.stand_in);
        let heartbeat = RemotingCommand::request(RequestCode::HEART_BEAT).with_body(body);
        self.registration.replace(vec![heartbeat.to_bytes()]);
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

    /// For each client id, its latest heartbeat's frame and how often brokers were told whom replies
    /// are for; that is now once more.
    pub(crate) fn next_reply_round(&mut self) -> (u32, Vec<(String, Bytes)>) {
        self.reply_round = self.reply_round.saturating_add(1);
        let clients = self.clients.iter();
        let clients = clients.map(|c| (c.heartbeat.client_id.clone(), c.frame.clone()));
        (self.reply_round, clients.collect())
    }

    /// Brokers have been told.
    pub(crate) fn set_told(&mut self, client_id: &str) {
        let mut clients = self.clients.iter_mut();
        if let Some(client) = clients.find(|client| client.heartbeat.client_id == client_id) {
            client.told = Some(Instant::now());
        }
    }

    /// Takes out a group that the client unregisters in `frame`. False when it is not there: a client
    /// unregisters once per broker, all to one address.
    pub(crate) fn unregister(
        &mut self,
        client_id: &str,
        group: &Unregistered,
        frame: Bytes,
    ) -> bool {
        let mut clients = self.clients.iter_mut();
        let Some(client) = clients.find(|client| client.heartbeat.client_id == client_id) else {
            return false;
        };
        let producers = &mut client.heartbeat.producer_data_set;
        let consumers = &mut client.heartbeat.consumer_data_set;
        let before = producers.len() + consumers.len();
        producers.retain(|producer| Some(&producer.group_name) != group.producer.as_ref());
        consumers.retain(|consumer| Some(&consumer.group_name) != group.consumer.as_ref());
        if producers.len() + consumers.len() == before {
            return false;
        }
        if client.unregistered.len() == UNREGISTERED_MAX {
            client.unregistered.remove(0);
        }
        client.unregistered.push(frame);
        self.register();
        true
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
        clients.any(|client| !client.heartbeat.producer_data_set.is_empty())
    }

    /// The consumer groups that the client is in, and how it gets messages in each.
    pub(crate) fn groups(&self) -> impl Iterator<Item = (&str, ConsumeType)> {
        let groups = self
            .clients
            .iter()
            .flat_map(|client| &client.heartbeat.consumer_data_set);
        groups.map(|consumer| (consumer.group_name.as_str(), consumer.consume_type))
    }

    /// How the members of that consumer group divide messages, if the client is one.
    pub(crate) fn consumer(&self, group: &str) -> Option<MessageModel> {
        let mut consumers = self
            .clients
            .iter()
            .flat_map(|client| &client.heartbeat.consumer_data_set);
        consumers
            .find(|consumer| consumer.group_name == group)
            .map(|consumer| consumer.message_model)
    }

    /// The topics of that consumer group, if the client is in it.
    pub(crate) fn topics(&self, group: &str) -> Option<Vec<String>> {
        let mut consumers = self
            .clients
            .iter()
            .flat_map(|client| &client.heartbeat.consumer_data_set);
        let consumer = consumers.find(|consumer| consumer.group_name == group)?;
        let topics = consumer.subscription_data_set.iter();
        Some(
            topics
                .map(|subscription| subscription.topic.clone())
                .collect(),
        )
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
        self.lanes
            .iter()
            .find(|lane| lane.address() == address && &**lane.broker() == broker)
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
        self.lanes.push(lane);
        self.lanes
            .sort_by(|a, b| (a.broker(), a.address()).cmp(&(b.broker(), b.address())));
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
        self.was = self.client_id().map(str::to_owned);
        self.clients.clear();
        self.sent_to.clear();
    }

    /// Has new lanes begin with what the client says now.
    fn register(&self) {
        let frames = self
            .clients
            .iter()
            .flat_map(|client| std::iter::once(&client.frame).chain(&client.unregistered));
        self.registration.replace(frames.cloned().collect());
    }
}

/// The groups that one UNREGISTER_CLIENT takes back; Java names one, C++ both and leaves one empty.
#[derive(Debug, Default)]
pub(crate) struct Unregistered {
    pub(crate) producer: Option<String>,
    pub(crate) consumer: Option<String>,
}
