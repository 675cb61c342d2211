//! The declarations of a client, and the lanes that register it at brokers.

use std::rc::Rc;
use std::sync::Arc;

use bytes::Bytes;
use remoting_codec::body::{ConsumeType, ConsumerData, Heartbeat, MessageModel, Names};
use remoting_codec::{RemotingCommand, RequestCode};
use route_cache::rate::shown;
use route_cache::{Broker, Connection, Lane, Registration};
use tokio::sync::Mutex;
use tokio::time::Instant;

use super::client::Client;
use super::declaration::{Declaration, Declared, Groups, Identity};
use crate::error::{ErrorKind, MessagingError};

/// The most client ids on one connection. A client has one; the limit is for abusive connections.
const CLIENT_IDS_MAX: usize = 8;

/// The most groups of a client that has not declared itself.
const STAND_IN_MAX: usize = 64;

/// The longest name of a group (`Validators.CHARACTER_MAX_LENGTH`). Brokers send nothing for a
/// group of a longer name.
const GROUP_MAX: usize = 255;

/// The groups of one client connection.
///
/// It is kept only for brokers, which hold the membership: it is sent to them again when a lane is
/// reconnected.
#[derive(Debug, Default)]
pub(super) struct Membership {
    clients: Vec<Client>,
    lanes: Vec<Rc<Lane>>,
    registration: Rc<Registration>,
    /// The brokers that the client has sent to before it declared itself.
    sent_to: Vec<Rc<Broker>>,
    /// The groups of messages that the client has sent before it declared itself, if brokers will
    /// send something because of the messages.
    stand_in: Vec<Box<str>>,
    /// Whether the client sends requests that other clients reply to.
    requester: bool,
    closed: bool,
    /// The client's id in the form that logs show, once the membership is closed.
    was: Option<String>,
    /// The bytes of what was decoded from the heartbeats.
    decoded: usize,
    /// See [`Member::turn`](super::Member::turn).
    turn: Rc<Mutex<()>>,
}

impl Membership {
    /// The declaration of a heartbeat with that body, if it contains nothing new. The same body
    /// under another signature is new, because brokers check it again.
    pub(super) fn declared(&self, body: &[u8], signature: Option<&str>) -> Option<Declared> {
        let mut clients = self.clients.iter().enumerate();
        let (key, same) =
            clients.find(|(_, c)| !c.has_unregistered && c.declaration.body() == body)?;
        let is_signed_alike = same.declaration.signature.as_deref() == signature;
        is_signed_alike.then(|| same.declared(key))
    }

    /// Stores a declaration, in place of an earlier one of the same client id. Refused if the
    /// connection has [`CLIENT_IDS_MAX`] other client ids.
    pub(super) fn declare(&mut self, declaration: Declaration) -> Result<Declared, MessagingError> {
        let known = self.key(&declaration.heartbeat.client_id);
        let key = known.unwrap_or(self.clients.len());
        if key == CLIENT_IDS_MAX {
            let text = format!(
                "more than {CLIENT_IDS_MAX} client ids on one connection: open one for each client"
            );
            return Err(MessagingError::new(ErrorKind::Invalid, text));
        }
        let frame = declaration.frame.clone();
        let client = Client::new(declaration);
        let declared = client.declared(key);
        self.decoded += client.decoded;
        match self.clients.get_mut(key) {
            Some(known) => {
                self.decoded -= known.decoded;
                let replies = std::mem::take(&mut known.replies);
                *known = Client { replies, ..client };
            }
            None => self.clients.push(client),
        }
        if !std::mem::take(&mut self.stand_in).is_empty() {
            self.registration.clear();
            // Brokers keep the first id that they receive on a connection.
            for lane in &self.lanes {
                lane.renew();
            }
        }
        self.registration.set_heartbeat(key, frame);
        Ok(declared)
    }

    /// The latest declaration; the first client's if there are several.
    pub(super) fn latest(&self) -> Option<Declared> {
        Some(self.clients.first()?.declared(0))
    }

    /// The number of bytes that are kept of the client's declarations.
    pub(super) fn held_bytes(&self) -> usize {
        let names: usize = self.stand_in.iter().map(|group| group.len()).sum();
        let sent_to = self.sent_to.len() * size_of::<Rc<Broker>>();
        self.registration.bytes() + self.decoded + names + sent_to
    }

    /// The length of the latest heartbeat under that key, in bytes.
    pub(super) fn length(&self, key: usize) -> usize {
        let client = self.clients.get(key);
        client.map_or(0, |client| client.declaration.frame.len())
    }

    /// See [`Member::turn`](super::Member::turn).
    pub(super) fn turn(&self) -> Rc<Mutex<()>> {
        self.turn.clone()
    }

    /// Whether lanes register a stand-in for the client in the group, before it has declared
    /// itself.
    pub(super) fn stands_in(&self, group: &str) -> bool {
        self.stand_in.iter().any(|known| &**known == group)
    }

    /// Until the client declares itself, lanes register a stand-in of that id in the group. True if
    /// lanes that are already registered must still register it.
    ///
    /// The stand-in is never signed. No broker has authenticated the client yet, and with Remora's
    /// own key any client could get the transaction checks of any group. A broker that requires
    /// signatures refuses it, and knows the producer from its first heartbeat on, as without a
    /// proxy.
    pub(super) fn stand_in(&mut self, client_id: &str, group: &str) -> bool {
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
        self.registration.set_heartbeat(key, heartbeat.to_bytes());
        true
    }

    /// Notes that the client sends requests.
    pub(super) fn note_requester(&mut self) {
        self.requester = true;
    }

    /// Whether the client sends requests.
    pub(super) fn is_requester(&self) -> bool {
        self.requester
    }

    /// Starts the rounds of registrations for replies again, if one of these connections is new;
    /// returns whether it is.
    pub(super) fn restart_replies(
        &mut self,
        key: usize,
        rounds: u32,
        connections: impl Iterator<Item = Rc<Connection>>,
    ) -> bool {
        let Some(client) = self.clients.get_mut(key) else {
            return false;
        };
        let connections = connections.map(|connection| Rc::downgrade(&connection));
        client.restart_replies(rounds, connections.collect())
    }

    /// Of the client of that key, how often it was registered for replies, this time included; the
    /// last round with a group of its own; and the client as brokers record it. `None` if no
    /// registration is needed: no reply could name the id, or it was registered in all `rounds` and
    /// again since that moment.
    pub(super) fn next_reply_round(
        &mut self,
        key: usize,
        rounds: u32,
        since: Instant,
    ) -> Option<(u32, u32, Identity)> {
        let client = self.clients.get_mut(key)?;
        match self.requester {
            true => client.next_reply_round(rounds, since),
            false => None,
        }
    }

    /// Notes that a broker has accepted the declaration of that key.
    pub(super) fn set_announced(&mut self, key: usize) {
        if let Some(client) = self.clients.get_mut(key) {
            client.announced = Some(Instant::now());
        }
    }

    /// Removes a group that the client unregisters in `frame`, a request that wants an answer.
    /// False if the group is not there: a client unregisters once per broker, all to one address.
    pub(super) fn unregister(&mut self, client_id: &str, groups: &Groups, frame: Bytes) -> bool {
        let key = self.key(client_id);
        let Some((key, client)) = key.and_then(|key| Some(key).zip(self.clients.get_mut(key)))
        else {
            return false;
        };
        let taken = client.unregister(groups);
        if taken {
            self.registration.add_unregistration(key, frame);
        }
        taken
    }

    fn key(&self, client_id: &str) -> Option<usize> {
        let mut clients = self.clients.iter();
        clients.position(|client| client.declaration.heartbeat.client_id == client_id)
    }

    /// The client's id; the first if there are several.
    pub(super) fn client_id(&self) -> Option<&str> {
        let first = self.clients.first();
        first.map_or(self.was.as_deref(), |first| {
            Some(&first.declaration.heartbeat.client_id)
        })
    }

    /// Whether the client is in a producer group.
    pub(super) fn is_producer(&self) -> bool {
        let mut clients = self.clients.iter();
        clients.any(|client| !client.declaration.heartbeat.producer_groups.is_empty())
    }

    /// The consumer groups that the client is in, each with its way of consuming.
    pub(super) fn groups(&self) -> impl Iterator<Item = (&str, ConsumeType)> {
        let groups = self
            .clients
            .iter()
            .flat_map(|client| &client.declaration.heartbeat.consumers);
        groups.map(|consumer| (&*consumer.group_name, consumer.consume_type))
    }

    /// How the members of that consumer group divide messages, if the client is a member.
    pub(super) fn consumer(&self, group: &str) -> Option<MessageModel> {
        Some(self.consumer_data(group)?.message_model)
    }

    /// The topics of that consumer group, if the client is in it.
    pub(super) fn topics(&self, group: &str) -> Option<Arc<Names>> {
        Some(self.consumer_data(group)?.topics.clone())
    }

    fn consumer_data(&self, group: &str) -> Option<&ConsumerData> {
        let mut clients = self.clients.iter();
        clients.find_map(|client| client.declaration.heartbeat.consumer(group))
    }

    /// Whether the client has declared itself.
    pub(super) fn is_known(&self) -> bool {
        !self.clients.is_empty()
    }

    /// Notes that the client has sent to a broker, so that a lane is opened when it declares
    /// itself.
    pub(super) fn note_sent_to(&mut self, broker: &Rc<Broker>) {
        if !self.sent_to.iter().any(|known| Rc::ptr_eq(known, broker)) {
            self.sent_to.push(broker.clone());
        }
    }

    /// Takes the noted brokers out.
    pub(super) fn take_sent_to(&mut self) -> Vec<Rc<Broker>> {
        std::mem::take(&mut self.sent_to)
    }

    /// The lane to that address of that broker; `None` if none was opened.
    pub(super) fn lane(&self, broker: &str, address: &Arc<str>) -> Option<&Rc<Lane>> {
        self.lanes.get(self.place(broker, address).ok()?)
    }

    /// The index of that lane among the lanes, or the one at which it would be inserted.
    fn place(&self, broker: &str, address: &str) -> Result<usize, usize> {
        self.lanes
            .binary_search_by(|lane| (&**lane.broker(), &**lane.address()).cmp(&(broker, address)))
    }

    /// All lanes, ordered by broker and address.
    pub(super) fn lanes(&self) -> &[Rc<Lane>] {
        &self.lanes
    }

    /// The registration that is sent first on new lanes; `None` once the client has left.
    pub(super) fn registration(&self) -> Option<Rc<Registration>> {
        (!self.closed && (self.is_known() || !self.stand_in.is_empty()))
            .then(|| self.registration.clone())
    }

    /// Adds a lane that was opened. Lanes are ordered by broker, so that all members of a group try
    /// the brokers in the same order.
    pub(super) fn add_lane(&mut self, lane: Rc<Lane>) {
        let (Ok(at) | Err(at)) = self.place(lane.broker(), lane.address());
        self.lanes.insert(at, lane);
    }

    /// Ends the lanes for which `keep` returns false.
    pub(super) fn retain_lanes(&mut self, keep: impl Fn(&Lane) -> bool) {
        self.lanes.retain(|lane| {
            let kept = keep(lane);
            if !kept {
                lane.close();
            }
            kept
        });
    }

    /// Ends all lanes, because the client has disconnected.
    pub(super) fn close(&mut self) {
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

#[cfg(test)]
mod tests {
    use remoting_codec::CommandView;

    use super::*;

    fn declare(membership: &mut Membership, id: &str) -> Result<Declared, MessagingError> {
        let body = format!(r#"{{"clientID":"{id}","producerDataSet":[{{"groupName":"p"}}]}}"#);
        let heartbeat = RemotingCommand::request(RequestCode::HEART_BEAT).with_body(body);
        let frame = heartbeat.to_bytes();
        let view = CommandView::decode(&frame)?;
        membership.declare(Declaration {
            heartbeat: Heartbeat::decode(view.body()).unwrap(),
            frame: frame.clone(),
            body: view.body_range(),
            signature: None,
            language: view.language(),
            version: view.version(),
        })
    }

    #[test]
    fn declarations_are_bounded_and_counted() {
        let mut membership = Membership::default();
        for group in 0..2 * STAND_IN_MAX {
            membership.stand_in("peer", &format!("g{group}"));
        }
        assert_eq!(membership.stand_in.len(), STAND_IN_MAX);
        assert!(!membership.stand_in("peer", &"g".repeat(GROUP_MAX + 1)));
        assert!(membership.held_bytes() > STAND_IN_MAX * 100);
        // The client declares itself twice; an equal declaration is kept once.
        declare(&mut membership, "c0").unwrap();
        let one = membership.held_bytes();
        assert!(one > 100 && one < STAND_IN_MAX * 100);
        declare(&mut membership, "c0").unwrap();
        assert_eq!(membership.held_bytes(), one);
        let long = "c".repeat(900_000);
        declare(&mut membership, &long).unwrap();
        assert!(membership.held_bytes() > one + 2 * long.len());
        for id in 1..CLIENT_IDS_MAX - 1 {
            declare(&mut membership, &format!("c{id}")).unwrap();
        }
        assert!(declare(&mut membership, "one more").is_err());
        membership.close();
        assert_eq!(membership.held_bytes(), 0);
    }
}
