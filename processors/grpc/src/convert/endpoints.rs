//! Addresses as clients see them.

use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};

use crate::proto::{Address, AddressScheme, Endpoints};

/// What a host is: an address without brackets, or else a name.
#[must_use]
pub fn scheme_of(host: &str) -> AddressScheme {
    if host.parse::<Ipv4Addr>().is_ok() {
        return AddressScheme::Ipv4;
    }
    match host.parse::<Ipv6Addr>() {
        Ok(_) => AddressScheme::Ipv6,
        Err(_) => AddressScheme::DomainName,
    }
}

/// Endpoints of `host:port` or `[address]:port`, as a listener advertises them; of several, all
/// must be of one kind, which the scheme is. A name stands alone, for clients take one only.
///
/// `None` when there is none, when one cannot be read, or when they are of several kinds.
#[must_use]
pub fn endpoints_of<'a>(addresses: impl IntoIterator<Item = &'a str>) -> Option<Endpoints> {
    let mut scheme = None;
    let mut read = Vec::new();
    for text in addresses {
        let address = address_of(text)?;
        let kind = scheme_of(&address.host);
        match scheme {
            None => scheme = Some(kind),
            Some(first) if first == kind && kind != AddressScheme::DomainName => {}
            Some(_) => return None,
        }
        read.push(address);
    }
    Some(Endpoints {
        scheme: scheme?.into(),
        addresses: read,
    })
}

/// Most bytes of a name in DNS.
const LONGEST_NAME: usize = 253;

fn address_of(text: &str) -> Option<Address> {
    let (host, port) = match text.parse::<SocketAddr>() {
        Ok(address) => (address.ip().to_canonical().to_string(), address.port()),
        Err(_) => {
            let (host, port) = text.rsplit_once(':')?;
            let is_allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"-._".contains(&byte);
            let is_name = (1..=LONGEST_NAME).contains(&host.len()) && host.bytes().all(is_allowed);
            (is_name.then(|| host.to_owned())?, port.parse().ok()?)
        }
    };
    let port = i32::from(port);
    (port != 0).then_some(Address { host, port })
}

/// Endpoints that a client was configured with, for answers: its own addresses, with the scheme
/// that they have where it has sent none. A client without a scheme in its routes does not start
/// (C++, clients#700).
#[must_use]
pub(super) fn answered(asked: &Endpoints) -> Endpoints {
    let mut endpoints = asked.clone();
    if AddressScheme::try_from(asked.scheme)
        .is_ok_and(|scheme| scheme != AddressScheme::Unspecified)
    {
        return endpoints;
    }
    let host = endpoints.addresses.first().map(|first| first.host.as_str());
    endpoints.scheme = scheme_of(host.unwrap_or_default()).into();
    endpoints
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn schemes_follow_from_hosts() {
        for (host, scheme) in [
            ("10.0.0.1", AddressScheme::Ipv4),
            ("::1", AddressScheme::Ipv6),
            ("2001:db8::1", AddressScheme::Ipv6),
            ("remora.example", AddressScheme::DomainName),
            ("10.0.0.256", AddressScheme::DomainName),
            ("[::1]", AddressScheme::DomainName),
        ] {
            assert_eq!(scheme_of(host), scheme, "{host}");
        }
    }

    #[test]
    fn advertised_addresses_are_read() {
        let read = |addresses: &[&str]| {
            let endpoints = endpoints_of(addresses.iter().copied())?;
            let hosts = endpoints.addresses.iter();
            let hosts: Vec<_> = hosts.map(|at| (at.host.clone(), at.port)).collect();
            Some((endpoints.scheme, hosts))
        };
        let one = |scheme, host: &str, port| Some((scheme, vec![(host.to_owned(), port)]));
        assert_eq!(read(&["10.0.0.1:8081"]), one(1, "10.0.0.1", 8081));
        assert_eq!(read(&["[2001:db8::1]:80"]), one(2, "2001:db8::1", 80));
        assert_eq!(read(&["[::ffff:10.0.0.1]:80"]), one(1, "10.0.0.1", 80));
        assert_eq!(
            read(&["remora.example:65535"]),
            one(3, "remora.example", 65535)
        );
        assert_eq!(read(&["10.0.0.1:1", "10.0.0.2:1"]).unwrap().1.len(), 2);
        for wrong in [
            &[][..],
            &["10.0.0.1"],
            &["10.0.0.1:0"],
            &["remora:65536"],
            &[":80"],
            &["::1:80"],
            &["[::1:80"],
            &["a b:80"],
            &["\u{7f}:80"],
            &["10.0.0.1:1", "[::1]:1"],
            &["a.example:1", "b.example:1"],
        ] {
            assert_eq!(read(wrong), None, "{wrong:?}");
        }
    }

    #[test]
    fn a_missing_scheme_is_added() {
        let asked = |scheme, host: &str| Endpoints {
            scheme,
            addresses: vec![Address {
                host: host.to_owned(),
                port: 8081,
            }],
        };
        for (scheme, host, expected) in [
            (0, "10.0.0.1", 1),
            (0, "::1", 2),
            (7, "remora", 3),
            (3, "10.0.0.1", 3),
        ] {
            assert_eq!(answered(&asked(scheme, host)).scheme, expected);
        }
    }
}
