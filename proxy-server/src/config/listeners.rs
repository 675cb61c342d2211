//! Where clients connect.

use std::net::SocketAddr;

use super::address::{HostPort, socket_address};
use super::error::ConfigError;
use super::keys::{BrokerListener, File, Listener};

/// A client's VIP channel is at its broker's port minus this (`MixAll.brokerVIPChannel`).
const VIP_OFFSET: u16 = 2;

/// One port for clients.
#[derive(Clone, Debug)]
pub struct ListenerConfig {
    /// Where it listens.
    pub bind: SocketAddr,
    /// What its clients are told; without it, the address that they connected to.
    pub advertise: Option<HostPort>,
    /// Where it listens as well, for clients' VIP channel: the port minus two.
    pub vip: Option<SocketAddr>,
    /// Whether connections begin with a PROXY protocol header.
    pub proxy_protocol: bool,
}

/// One port for one broker's clients.
#[derive(Clone, Debug)]
pub struct BrokerListenerConfig {
    /// The broker's name.
    pub broker: String,
    /// Where it listens.
    pub bind: SocketAddr,
    /// What clients are told; without it, the host that they connected to and this port.
    pub advertise: Option<HostPort>,
    /// Where it listens as well, for clients' VIP channel: the port minus two.
    pub vip: Option<SocketAddr>,
    /// Whether connections begin with a PROXY protocol header.
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
    let advertise = advertise.map(|text| HostPort::parse("listener.advertise", text));
    let bind = socket_address("listener.bind", &given.bind)?;
    Ok(ListenerConfig {
        bind,
        advertise: advertise.transpose()?,
        vip: vip("listener.bind", bind, given.vip)?,
        proxy_protocol: given.proxy_protocol,
    })
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
        if broker.is_empty() || listeners.iter().any(|l| l.broker == *broker) {
            let allowed = "the name of a broker that has no other listener";
            return Err(ConfigError::value(
                "broker_listener.broker",
                broker,
                allowed,
            ));
        }
        let bind = socket_address("broker_listener.bind", bind)?;
        let advertise = advertise.as_deref();
        let advertise = advertise.map(|text| HostPort::parse("broker_listener.advertise", text));
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

/// A client's VIP channel must not end at another listener: no advertised port may be another's minus two. Of a shared listener
/// that has none, clients with a VIP channel go astray anyway.
fn refuse_vip_collisions(
    listeners: &[ListenerConfig],
    brokers: &[BrokerListenerConfig],
) -> Result<(), ConfigError> {
    let told = |bind: &SocketAddr, advertise: &Option<HostPort>| {
        advertise.as_ref().map_or(bind.port(), HostPort::port)
    };
    let shared = listeners.iter().map(|l| {
        let told = told(&l.bind, &l.advertise);
        ("listener.bind", l.bind, told, l.vip.is_some())
    });
    let own = brokers.iter().map(|l| {
        let told = told(&l.bind, &l.advertise);
        ("broker_listener.bind", l.bind, told, true)
    });
    let all: Vec<_> = shared.chain(own).collect();
    for (key, bind, port, has_vip) in &all {
        let vip = port.checked_sub(VIP_OFFSET).filter(|_| *has_vip);
        let ends_elsewhere = |(.., told, _): &(_, _, u16, _)| vip == Some(*told);
        if all.iter().any(ends_elsewhere) {
            return Err(ConfigError::value(
                key,
                bind,
                "a port that clients do not know as another listener's plus two: some also use the port minus two",
            ));
        }
    }
    Ok(())
}
