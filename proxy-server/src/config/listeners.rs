//! Where clients connect.

use std::net::{IpAddr, SocketAddr};

use super::address::{HostPort, socket_address};
use super::error::ConfigError;
use super::keys::{BrokerListener, File, Listener};
use crate::protocol::Protocols;

/// A client's VIP channel is at its broker's port minus this (`MixAll.brokerVIPChannel`).
const VIP_OFFSET: u16 = 2;

/// One port for clients.
#[derive(Clone, Debug)]
pub struct ListenerConfig {
    /// The address and port to listen at.
    pub bind: SocketAddr,
    /// The address that its clients get for every broker; without it, the address that they
    /// connected to.
    pub advertise: Option<HostPort>,
    /// Where it listens as well, for clients' VIP channel: the port minus two.
    pub vip: Option<SocketAddr>,
    /// Whether connections start with a PROXY protocol header.
    pub proxy_protocol: bool,
    /// The protocols that it takes; a connection of any other is refused.
    pub protocols: Protocols,
}

/// One port for one broker's clients.
#[derive(Clone, Debug)]
pub struct BrokerListenerConfig {
    /// The broker's name.
    pub broker: String,
    /// The address and port to listen at.
    pub bind: SocketAddr,
    /// The address that clients get for this broker; without it, the host that they connected to
    /// and this port.
    pub advertise: Option<HostPort>,
    /// Where it listens as well, for clients' VIP channel: the port minus two.
    pub vip: Option<SocketAddr>,
    /// Whether connections start with a PROXY protocol header.
    pub proxy_protocol: bool,
}

/// All listeners: the shared ones, and those of single brokers.
///
/// # Errors
/// Names the key whose value cannot be used.
pub(super) fn listeners(
    file: &File,
) -> Result<(Vec<ListenerConfig>, Vec<BrokerListenerConfig>), ConfigError> {
    let shared = file.listener.iter().map(listener);
    let shared = shared.collect::<Result<Vec<_>, _>>()?;
    let own = broker_listeners(file)?;
    refuse_vip_collisions(&shared, &own)?;
    Ok((shared, own))
}

fn listener(given: &Listener) -> Result<ListenerConfig, ConfigError> {
    let advertise = given.advertise.as_deref();
    let advertise = advertise.map(|text| advertised("listener.advertise", text));
    let bind = socket_address("listener.bind", &given.bind)?;
    Ok(ListenerConfig {
        bind,
        advertise: advertise.transpose()?,
        vip: vip("listener.bind", bind, given.vip)?,
        proxy_protocol: given.proxy_protocol,
        protocols: protocols(&given.protocols)?,
    })
}

/// Reads the names of a listener's protocols, of which there must be at least one.
fn protocols(given: &[String]) -> Result<Protocols, ConfigError> {
    let mut protocols = Protocols {
        remoting: false,
        grpc: false,
        http: false,
    };
    for name in given {
        match name.as_str() {
            "remoting" => protocols.remoting = true,
            "grpc" => protocols.grpc = true,
            "http" => protocols.http = true,
            other => {
                let allowed = "protocols of these: remoting, grpc, http";
                return Err(ConfigError::value("listener.protocols", other, allowed));
            }
        }
    }
    match given {
        [] => Err(ConfigError::Missing {
            key: "listener.protocols",
            allowed: "name at least one of remoting, grpc and http".into(),
        }),
        _ => Ok(protocols),
    }
}

/// An address that clients get to connect to.
fn advertised(key: &str, text: &str) -> Result<HostPort, ConfigError> {
    let advertised = HostPort::parse(key, text)?;
    if advertised.ip().is_some_and(|ip| ip.is_unspecified()) {
        let allowed = "an address that clients can connect to";
        return Err(ConfigError::value(key, text, allowed));
    }
    Ok(advertised)
}

/// Where a listener's VIP channel is, if it is wanted.
fn vip(key: &str, bind: SocketAddr, wanted: bool) -> Result<Option<SocketAddr>, ConfigError> {
    if !wanted {
        return Ok(None);
    }
    let port = bind.port().checked_sub(VIP_OFFSET).filter(|port| *port > 0);
    let Some(port) = port else {
        let allowed = "an address whose port is above 2, which vip = true takes";
        return Err(ConfigError::value(key, bind, allowed));
    };
    Ok(Some(SocketAddr::new(bind.ip(), port)))
}

fn broker_listeners(file: &File) -> Result<Vec<BrokerListenerConfig>, ConfigError> {
    let mut listeners = Vec::<BrokerListenerConfig>::new();
    for listener in &file.broker_listener {
        let BrokerListener {
            broker,
            bind,
            advertise,
            vip,
            proxy_protocol,
        } = listener;
        if broker.is_empty() {
            return Err(ConfigError::Missing {
                key: "broker_listener.broker",
                allowed: "each [[broker_listener]] names the broker that its clients use".into(),
            });
        }
        if listeners.iter().any(|l| l.broker == *broker) {
            let allowed = "the name of a broker that has no other listener";
            return Err(ConfigError::value(
                "broker_listener.broker",
                broker,
                allowed,
            ));
        }
        let bind = socket_address("broker_listener.bind", bind)?;
        let advertise = advertise.as_deref();
        let advertise = advertise.map(|text| advertised("broker_listener.advertise", text));
        let vip = self::vip("broker_listener.bind", bind, *vip)?;
        listeners.push(BrokerListenerConfig {
            broker: broker.clone(),
            bind,
            advertise: advertise.transpose()?,
            vip,
            proxy_protocol: *proxy_protocol,
        });
    }
    Ok(listeners)
}

/// A client's VIP channel must not lead to another listener: no advertised port may be another's
/// minus two. Clients with a VIP channel cannot use a shared listener without one anyway.
fn refuse_vip_collisions(
    listeners: &[ListenerConfig],
    brokers: &[BrokerListenerConfig],
) -> Result<(), ConfigError> {
    let advertised = |bind: &SocketAddr, advertise: &Option<HostPort>| {
        advertise.as_ref().map_or(bind.port(), HostPort::port)
    };
    let shared = listeners.iter().map(|l| {
        let port = advertised(&l.bind, &l.advertise);
        ("listener.bind", l.bind, port, l.vip.is_some())
    });
    let own = brokers.iter().map(|l| {
        let port = advertised(&l.bind, &l.advertise);
        ("broker_listener.bind", l.bind, port, true)
    });
    let all: Vec<_> = shared.chain(own).collect();
    for (key, bind, port, has_vip) in &all {
        let vip = port.checked_sub(VIP_OFFSET).filter(|_| *has_vip);
        let other = all.iter().find(|(.., port, _)| vip == Some(*port));
        if let Some((other, at, port, _)) = other {
            let allowed = format!(
                "an address with a usable port: some clients also connect to the port minus two, which clients of {other} {at} use ({port}); choose ports in steps of 10"
            );
            return Err(ConfigError::value(key, bind, &allowed));
        }
    }
    Ok(())
}

/// No two listeners may be at one address and port, the admin listener included.
///
/// # Errors
/// Names the keys of both.
pub(super) fn refuse_taken_addresses(
    listeners: &[ListenerConfig],
    brokers: &[BrokerListenerConfig],
    admin: Option<SocketAddr>,
) -> Result<(), ConfigError> {
    let shared = listeners.iter().map(|l| ("listener", l.bind, l.vip));
    let own = brokers.iter().map(|l| ("broker_listener", l.bind, l.vip));
    let mut taken: Vec<(String, SocketAddr)> = Vec::new();
    for (table, bind, vip) in shared.chain(own) {
        let vip = vip.map(|vip| (format!("{table}.vip"), vip));
        taken.extend([(format!("{table}.bind"), bind)].into_iter().chain(vip));
    }
    taken.extend(admin.map(|admin| ("admin".to_owned(), admin)));
    let v6_only = is_v6_only();
    for (number, (key, at)) in taken.iter().enumerate() {
        let before = taken.iter().take(number);
        let mut overlapping = before.filter(|(_, other)| overlap(*at, *other, v6_only));
        if let Some((other, there)) = overlapping.next() {
            let allowed = format!("a free address: {other} listens at {there}");
            return Err(ConfigError::value(key, at, &allowed));
        }
    }
    Ok(())
}

/// Whether the kernel refuses to listen at both. Port 0 is any free port. `[::]` has all IPv4
/// addresses too, unless sockets are for IPv6 only (`net.ipv6.bindv6only`).
fn overlap(one: SocketAddr, other: SocketAddr, v6_only: bool) -> bool {
    let (a, b) = (one.ip().to_canonical(), other.ip().to_canonical());
    let scope = |address: SocketAddr| match address {
        SocketAddr::V4(_) => 0,
        SocketAddr::V6(address) => address.scope_id(),
    };
    let is_same = a == b && scope(one) == scope(other);
    let covers = |all: IpAddr, ip: IpAddr| {
        let is_in = match all {
            IpAddr::V4(_) => ip.is_ipv4(),
            IpAddr::V6(_) => ip.is_ipv6() || !v6_only,
        };
        all.is_unspecified() && is_in
    };
    one.port() == other.port() && one.port() != 0 && (is_same || covers(a, b) || covers(b, a))
}

/// Whether sockets for all IPv6 addresses are for them only. Linux has it off unless set.
fn is_v6_only() -> bool {
    let setting = std::fs::read_to_string("/proc/sys/net/ipv6/bindv6only");
    setting.is_ok_and(|setting| setting.trim() == "1")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wildcards_overlap_with_the_addresses_that_they_cover() {
        for (one, other, expected) in [
            ("127.0.0.1:1", "127.0.0.1:1", true),
            ("127.0.0.1:1", "127.0.0.1:2", false),
            ("127.0.0.1:1", "127.0.0.2:1", false),
            ("127.0.0.1:0", "127.0.0.1:0", false),
            ("0.0.0.0:0", "0.0.0.0:0", false),
            ("0.0.0.0:1", "127.0.0.1:1", true),
            ("0.0.0.0:1", "[::1]:1", false),
            ("[::]:1", "[::1]:1", true),
            ("[::]:1", "127.0.0.1:1", true),
            ("[::]:1", "0.0.0.0:1", true),
            ("[fe80::1%2]:1", "[fe80::1%3]:1", false),
            ("[fe80::1%2]:1", "[fe80::1%2]:1", true),
            ("[::ffff:127.0.0.1]:1", "127.0.0.1:1", true),
        ] {
            let [a, b] = [one, other].map(|text| text.parse().unwrap());
            assert_eq!(overlap(a, b, false), expected, "{one} {other}");
            assert_eq!(overlap(b, a, false), expected, "{other} {one}");
        }
        let [all, loopback] = ["[::]:1", "127.0.0.1:1"].map(|text| text.parse().unwrap());
        assert!(!overlap(all, loopback, true) && !overlap(loopback, all, true));
    }
}
