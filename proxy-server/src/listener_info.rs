//! What the accepting thread and the workers both need: a listener as its clients see it, and a
//! connection on its way to a worker.

use std::collections::HashMap;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use parking_lot::Mutex;
use route_cache::{Advertised, Permit};

use crate::config::{BrokerListenerConfig, Config, ListenerConfig};
use crate::protocol::Protocols;

/// Most addresses whose advertised addresses are kept. A host has few, and so has a balancer.
const KNOWN_MAX: usize = 256;

/// The address that a client has connected to.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub(crate) struct ConnectedTo {
    /// The address of this host that the connection was made to.
    pub(crate) local: IpAddr,
    /// The address at the balancer, from its PROXY header.
    pub(crate) at_balancer: Option<SocketAddr>,
}

/// A listener as its clients see it: the addresses that they get from it, and the broker that it
/// belongs to.
#[derive(Debug)]
pub(crate) struct ListenerInfo {
    /// The address of all brokers that its clients get, if one is configured.
    pub(crate) advertise: Option<Arc<str>>,
    /// The listeners of single brokers, whose addresses clients get for these brokers.
    pub(crate) brokers: Arc<[BrokerListenerConfig]>,
    /// The advertised port when no address is configured: two more than `port`, if this is a shared
    /// listener's VIP channel.
    pub(crate) shared_port: u16,
    /// The broker that every request here is for, at a broker's own listener.
    pub(crate) broker: Option<Arc<str>>,
    /// Its index among all listeners, for metrics.
    pub(crate) number: usize,
    /// The port that it listens at, after 0 was replaced by a free one.
    pub(crate) port: u16,
    /// Whether connections start with a PROXY header.
    pub(crate) balanced: bool,
    /// The protocols that it takes; a connection of any other is refused.
    pub(crate) protocols: Protocols,
    /// Advertised addresses, kept for at most [`KNOWN_MAX`] addresses that clients have connected
    /// to.
    pub(crate) known: Mutex<HashMap<ConnectedTo, Arc<Advertised>>>,
}

impl ListenerInfo {
    /// The brokers' addresses for a client that has connected to that address.
    pub(crate) fn advertised(&self, there: ConnectedTo) -> Arc<Advertised> {
        let mut known = self.known.lock();
        if let Some(advertised) = known.get(&there) {
            return advertised.clone();
        }
        if known.len() >= KNOWN_MAX {
            known.clear();
        }
        let advertised = Arc::new(self.find_advertised(there));
        known.insert(there, advertised.clone());
        advertised
    }

    fn find_advertised(&self, there: ConnectedTo) -> Advertised {
        let ConnectedTo {
            local,
            at_balancer: destination,
        } = there;
        let host = destination.map_or(local, |there| there.ip());
        let at = |port| Arc::from(SocketAddr::new(host, port).to_string());
        // A balancer's port is known for this listener only; the others' are taken to be the same
        // there as here.
        let this = destination.map_or(self.port, |there| there.port());
        let shared = || match &self.broker {
            None if destination.is_some() => {
                at(this.saturating_add(self.shared_port.saturating_sub(self.port)))
            }
            _ => at(self.shared_port),
        };
        let own = |listener: &BrokerListenerConfig| match &listener.advertise {
            Some(advertise) => Arc::from(advertise.as_str()),
            None if self.broker.as_deref() == Some(&*listener.broker)
                && self.advertise.is_none() =>
            {
                // Two less than that of the listener, if this is its VIP channel.
                at(this.saturating_add(listener.bind.port().saturating_sub(self.port)))
            }
            // A client that reaches the shared address at a host reaches brokers' ports there, too.
            None => match self.advertise.as_deref().and_then(|at| at.rsplit_once(':')) {
                Some((host, _)) => format!("{host}:{}", listener.bind.port()).into(),
                None => at(listener.bind.port()),
            },
        };
        let brokers = self.brokers.iter();
        Advertised {
            shared: self.advertise.clone().unwrap_or_else(shared),
            brokers: brokers.map(|l| (l.broker.clone(), own(l))).collect(),
        }
    }
}

/// The addresses to listen at, in the order of the configuration; the listeners of single brokers
/// are last. Ports and numbers are set when they are bound.
pub(crate) fn listener_infos(config: &Config) -> Vec<(SocketAddr, ListenerInfo)> {
    let brokers: Arc<[_]> = config.broker_listeners.clone().into();
    let info = |listener: &ListenerConfig, own: Option<&BrokerListenerConfig>| ListenerInfo {
        advertise: listener.advertise.as_ref().map(|at| Arc::from(at.as_str())),
        brokers: brokers.clone(),
        shared_port: listener.bind.port(),
        broker: own.map(|own| Arc::from(own.broker.as_str())),
        // Both are known later.
        number: 0,
        port: 0,
        balanced: own.map_or(listener.proxy_protocol, |own| own.proxy_protocol),
        protocols: own.map_or(listener.protocols, |_| Protocols::REMOTING),
        known: Mutex::default(),
    };
    let mut all = Vec::new();
    for listener in &config.listeners {
        let at = std::iter::once(listener.bind).chain(listener.vip);
        all.extend(at.map(|at| (at, info(listener, None))));
    }
    // A route from a broker's listener has the first shared listener's address for other brokers.
    if let Some(first) = config.listeners.first() {
        for listener in &config.broker_listeners {
            let at = std::iter::once(listener.bind).chain(listener.vip);
            all.extend(at.map(|at| (at, info(first, Some(listener)))));
        }
    }
    all
}

/// A connection that was accepted, and that no worker serves yet.
#[derive(Debug)]
pub(crate) struct Accepted {
    pub(crate) stream: std::net::TcpStream,
    /// The permit for the connection's descriptor.
    pub(crate) permit: Permit,
    /// Where it comes from: the client, or its balancer.
    pub(crate) peer: SocketAddr,
    /// The address here that it was made to.
    pub(crate) local: IpAddr,
    pub(crate) listener: Arc<ListenerInfo>,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn to(at_balancer: Option<SocketAddr>) -> ConnectedTo {
        ConnectedTo {
            local: IpAddr::from([10, 0, 0, 1]),
            at_balancer,
        }
    }

    fn info(port: u16, broker: Option<&str>) -> ListenerInfo {
        let listener = |broker: &str, port: u16, vip| BrokerListenerConfig {
            broker: broker.to_owned(),
            bind: SocketAddr::from(([0, 0, 0, 0], port)),
            advertise: None,
            vip: SocketAddr::from(([0, 0, 0, 0], port - 2)).into(),
            proxy_protocol: vip,
        };
        ListenerInfo {
            protocols: Protocols::ALL,
            advertise: None,
            brokers: [listener("a", 10910, true), listener("b", 10920, true)].into(),
            shared_port: 8080,
            broker: broker.map(Arc::from),
            port,
            number: 0,
            balanced: true,
            known: Mutex::default(),
        }
    }

    #[test]
    fn clients_get_the_address_that_they_connected_to() {
        let balancer = "203.0.113.7:20000".parse().ok();
        for (info, destination, shared, a, b) in [
            (
                info(8080, None),
                None,
                "10.0.0.1:8080",
                "10.0.0.1:10910",
                "10.0.0.1:10920",
            ),
            (
                info(8080, None),
                balancer,
                "203.0.113.7:20000",
                "203.0.113.7:10910",
                "203.0.113.7:10920",
            ),
            (
                info(10910, Some("a")),
                balancer,
                "203.0.113.7:8080",
                "203.0.113.7:20000",
                "203.0.113.7:10920",
            ),
            (
                info(10918, Some("b")),
                balancer,
                "203.0.113.7:8080",
                "203.0.113.7:10910",
                "203.0.113.7:20002",
            ),
            (
                info(10918, Some("b")),
                None,
                "10.0.0.1:8080",
                "10.0.0.1:10910",
                "10.0.0.1:10920",
            ),
        ] {
            for _ in 0..2 {
                let advertised = info.advertised(to(destination));
                assert_eq!(&*advertised.shared, shared);
                assert_eq!(
                    (&*advertised.brokers["a"], &*advertised.brokers["b"]),
                    (a, b)
                );
            }
        }
        // The VIP channel of the shared listener.
        let vip = ListenerInfo {
            shared_port: 8080,
            ..info(8078, None)
        };
        for (destination, shared) in [
            (None, "10.0.0.1:8080"),
            ("203.0.113.7:19998".parse().ok(), "203.0.113.7:20000"),
        ] {
            assert_eq!(&*vip.advertised(to(destination)).shared, shared);
        }
        let info = ListenerInfo {
            advertise: Some("mq.example.com:8080".into()),
            ..info(8080, None)
        };
        let advertised = info.advertised(to(balancer));
        assert_eq!(&*advertised.shared, "mq.example.com:8080");
    }

    #[test]
    fn the_kept_addresses_do_not_grow() {
        let info = info(8080, None);
        for port in 1..2000 {
            let destination = SocketAddr::from(([10, 0, 0, 1], port));
            let shared = info.advertised(to(Some(destination))).shared.clone();
            assert!(shared.ends_with(&port.to_string()), "{shared}");
        }
        assert!(info.known.lock().len() <= KNOWN_MAX);
    }
}
