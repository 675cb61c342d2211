//! A connection that carries gRPC. Behind a balancer it may carry many clients, and calls of one
//! client may arrive over many connections: a client is known by `x-mq-client-id`, not by its
//! connection.

use std::cell::RefCell;
use std::collections::HashMap;
use std::ops::Deref;
use std::rc::Rc;

use super::presence::Present;
use super::{Server, Settings};
use crate::proto;

/// A connection of HTTP, with all clients of gRPC that are present on it.
pub struct Connection {
    pub(crate) server: Rc<Server>,
    pub(crate) settings: Rc<Settings>,
    /// Clients that have a Telemetry stream here, by their ids.
    pub(crate) present: RefCell<HashMap<Box<str>, Rc<Present>>>,
    /// Clients that receive here and have no Telemetry stream here.
    pub(crate) visitors: RefCell<HashMap<Box<str>, Rc<Present>>>,
    over: Rc<http_server::Connection>,
}

impl std::fmt::Debug for Connection {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Connection")
            .field("over", &self.over)
            .finish_non_exhaustive()
    }
}

/// What does not depend on the calls: the client's requests, its address, its traffic.
impl Deref for Connection {
    type Target = http_server::Connection;

    fn deref(&self) -> &Self::Target {
        &self.over
    }
}

impl Connection {
    /// What gRPC adds to that connection.
    #[must_use]
    pub fn new(server: Rc<Server>, over: Rc<http_server::Connection>) -> Rc<Self> {
        let settings = server.settings();
        Rc::new(Self {
            settings,
            server,
            present: RefCell::default(),
            visitors: RefCell::default(),
            over,
        })
    }

    /// The same connection without what is gRPC's.
    #[must_use]
    pub fn over(&self) -> &Rc<http_server::Connection> {
        &self.over
    }

    /// Ends the connection: brokers learn that its clients have left.
    pub fn close(&self) {
        for (_, present) in self.present.take().into_iter().chain(self.visitors.take()) {
            present.close();
        }
        self.over.close();
    }

    /// Asks the clients to leave: long polls are answered without messages, streams end, and no
    /// further call is taken. The connection ends when the last call is answered.
    pub fn leave(&self) {
        if self.is_leaving() {
            return;
        }
        for (_, present) in self.present.take().into_iter().chain(self.visitors.take()) {
            present.ask_to_reconnect();
        }
        self.over.leave();
    }

    /// The client of that id; `None` if it is not present on this connection.
    pub(crate) fn find_present(&self, client_id: &str) -> Option<Rc<Present>> {
        self.present.borrow().get(client_id).cloned()
    }

    /// How long a client waits for a call, if it is present here and has said so.
    pub(crate) fn request_timeout(&self, client_id: &str) -> Option<proto::Duration> {
        self.find_present(client_id)?.request_timeout()
    }

    /// Waits until brokers know the producer, if it is present here.
    pub(crate) async fn introduce(&self, client_id: &str, topic: &str) {
        if let Some(present) = self.find_present(client_id) {
            present.introduce(topic).await;
        }
    }

    /// The client does not hold the message of that handle any more.
    pub(crate) fn forget(&self, client_id: &str, handle: &str) {
        if let Some(present) = self.find_present(client_id) {
            present.forget(handle);
        }
    }

    /// The clients that are present on the connection: it may carry several.
    #[must_use]
    pub fn present(&self) -> Vec<Rc<Present>> {
        self.present.borrow().values().cloned().collect()
    }
}
