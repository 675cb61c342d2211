//! A client of a worker, of whichever protocol, as the worker looks after it.

use std::net::SocketAddr;
use std::rc::Rc;

use remoting::metrics::{Limit, RequestMetrics};
use remoting::{ClientSummary, Session};
use remoting_codec::Version;
use remoting_transport::Account;
use route_cache::rate::shown;
use tokio::time::Instant;

use crate::http::HttpClient;

/// A client's connection.
#[derive(Clone, Debug)]
pub(crate) enum Client {
    Remoting(Rc<Session>),
    Http(Rc<HttpClient>),
}

/// A client as logs name it.
#[derive(Debug)]
pub(crate) struct KnownAs {
    pub(crate) client_id: String,
    pub(crate) language: &'static str,
    pub(crate) version: String,
}

impl Client {
    pub(crate) fn peer(&self) -> SocketAddr {
        match self {
            Self::Remoting(session) => session.peer(),
            Self::Http(client) => client.over.peer(),
        }
    }

    pub(crate) fn account(&self) -> &Rc<Account> {
        match self {
            Self::Remoting(session) => session.account(),
            Self::Http(client) => client.over.account(),
        }
    }

    /// A counter that changes whenever the client sends or reads something.
    pub(crate) fn activity(&self) -> u64 {
        match self {
            Self::Remoting(session) => session.activity(),
            Self::Http(client) => client.over.activity(),
        }
    }

    /// How many requests have arrived.
    pub(crate) fn received(&self) -> u64 {
        match self {
            Self::Remoting(session) => session.received(),
            // That the connection is open counts as one.
            Self::Http(client) => client.over.received() + u64::from(client.over.is_open()),
        }
    }

    /// Whether part of a request has arrived, and the client is read for the rest. Bodies of HTTP
    /// have a time limit of their own.
    pub(crate) fn has_partial(&self) -> bool {
        match self {
            Self::Remoting(session) => session.outbox().has_partial() && !session.is_held_back(),
            Self::Http(client) => client.over.has_partial(),
        }
    }

    /// Since when it takes nothing that waits to be written to it. Remoting clients have a limit of
    /// bytes instead.
    pub(crate) fn blocked(&self) -> Option<Instant> {
        match self {
            Self::Remoting(_) => None,
            Self::Http(client) => client.over.blocked(),
        }
    }

    /// Whether its connection ends once it has read what is written.
    pub(crate) fn is_ending(&self) -> bool {
        match self {
            Self::Remoting(session) => session.outbox().is_closed(),
            Self::Http(client) => client.over.is_leaving(),
        }
    }

    /// Whether its connection has ended, or ends now.
    pub(crate) fn has_ended(&self) -> bool {
        match self {
            Self::Remoting(session) => session.outbox().has_ended(),
            Self::Http(client) => client.over.has_ended(),
        }
    }

    /// Reads on, after the client was not read for its memory.
    pub(crate) fn wake(&self) {
        if let Self::Remoting(session) = self {
            session.outbox().wake();
        }
    }

    /// Makes the client disconnect without losing a request: its protocol determines how.
    pub(crate) fn leave(&self) {
        match self {
            Self::Remoting(session) => {
                session.leave();
                session.leave_if_quiet();
            }
            Self::Http(client) => client.leave(),
        }
    }

    /// Ends its connection once the answers that are there are written.
    pub(crate) fn finish(&self) {
        match self {
            Self::Remoting(session) => session.finish(),
            Self::Http(client) => client.leave(),
        }
    }

    /// Ends its connection because it has exceeded that limit, and counts that.
    pub(crate) fn end_at(&self, limit: Limit, metrics: &RequestMetrics) {
        match self {
            Self::Remoting(session) => session.end_at(limit),
            Self::Http(client) => {
                metrics.limit(limit);
                client.close();
            }
        }
    }

    /// What metrics show of it: a connection of gRPC may carry several clients.
    pub(crate) fn summaries(&self) -> Vec<ClientSummary> {
        match self {
            Self::Remoting(session) => vec![session.summary()],
            Self::Http(client) => summaries_of(client),
        }
    }

    /// How logs name it, once it has said who it is; the first client of a connection of gRPC.
    pub(crate) fn known_as(&self) -> Option<KnownAs> {
        match self {
            Self::Remoting(session) => {
                let (client_id, language, version) = session.known_as()?;
                Some(KnownAs {
                    client_id: shown(&client_id).to_owned(),
                    language,
                    version,
                })
            }
            Self::Http(client) => {
                let first = client.present().into_iter().next()?;
                let (language, version) = first.library();
                Some(KnownAs {
                    client_id: shown(first.client_id()).to_owned(),
                    language: language.name(),
                    version: shown(version).to_owned(),
                })
            }
        }
    }
}

/// The summaries of the clients that share a connection; one without a client if there is none.
fn summaries_of(client: &HttpClient) -> Vec<ClientSummary> {
    let present = client.present();
    let nobody = ClientSummary {
        protocol: client.protocol(),
        is_connection: true,
        identity: None,
        is_producer: false,
        groups: Vec::new(),
    };
    if present.is_empty() {
        return vec![nobody];
    }
    let all = present.iter().enumerate();
    all.map(|(nth, present)| {
        let (language, version) = present.library();
        let version = Version::of_release(version).unwrap_or_default();
        ClientSummary {
            is_connection: nth == 0,
            identity: Some((language, version)),
            is_producer: present.is_producer(),
            groups: present.groups(),
            ..nobody.clone()
        }
    })
    .collect()
}
