//! `10.0.0.0/8`.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use super::error::ConfigError;

/// The addresses that begin alike.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Network {
    address: IpAddr,
    /// The number of leading bits that the addresses share.
    prefix: u8,
}

impl Network {
    /// Parses one value of a key: an address and, unless it is only this one, a prefix.
    ///
    /// # Errors
    /// When it is no network: bits behind the prefix are most likely a mistake.
    pub fn parse(key: &str, text: &str) -> Result<Self, ConfigError> {
        let allowed = "a network such as 10.0.0.0/8 or fd00::/8, or an address";
        let parse = || {
            let (address, prefix) = text.split_once('/').unzip();
            let address: IpAddr = address.unwrap_or(text).parse().ok()?;
            let longest = if address.is_ipv4() { 32 } else { 128 };
            let prefix = prefix.map_or(Some(longest), |prefix| prefix.parse().ok())?;
            let network = Self { address, prefix };
            (prefix <= longest && network.first() == address).then_some(network)
        };
        parse().ok_or_else(|| ConfigError::value(key, text, allowed))
    }

    /// Whether the address is in the network; an IPv4 address in IPv6 form counts as IPv4.
    #[must_use]
    pub fn contains(&self, address: IpAddr) -> bool {
        let address = address.to_canonical();
        let other = Self { address, ..*self };
        address.is_ipv4() == self.address.is_ipv4() && other.first() == self.address
    }

    /// The address with nothing behind the prefix.
    fn first(&self) -> IpAddr {
        let prefix = u32::from(self.prefix);
        match self.address {
            IpAddr::V4(address) => {
                let mask = u32::MAX.checked_shl(32 - prefix.min(32)).unwrap_or(0);
                Ipv4Addr::from_bits(address.to_bits() & mask).into()
            }
            IpAddr::V6(address) => {
                let mask = u128::MAX.checked_shl(128 - prefix.min(128)).unwrap_or(0);
                Ipv6Addr::from_bits(address.to_bits() & mask).into()
            }
        }
    }
}

impl fmt::Display for Network {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.address, self.prefix)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_network_has_what_begins_alike() {
        for (network, inside, outside) in [
            ("10.0.0.0/8", "10.255.0.1", "11.0.0.0"),
            ("10.1.2.3", "10.1.2.3", "10.1.2.4"),
            ("10.1.2.0/31", "10.1.2.1", "10.1.2.2"),
            ("0.0.0.0/0", "203.0.113.9", "::1"),
            ("::/0", "2001:db8::1", "10.0.0.1"),
            ("fd00::/8", "fdff::1", "fe00::1"),
            ("2001:db8::1", "2001:db8::1", "2001:db8::2"),
            // As a listener for both sees an IPv4 client.
            ("10.0.0.0/8", "::ffff:10.1.1.1", "::ffff:11.1.1.1"),
        ] {
            let network = Network::parse("key", network).unwrap();
            assert!(network.contains(inside.parse().unwrap()), "{network}");
            assert!(!network.contains(outside.parse().unwrap()), "{network}");
        }
    }

    #[test]
    fn what_is_no_network_is_refused() {
        for text in [
            "",
            "here",
            "10.0.0.0/33",
            "10.0.0.1/8",
            "10.0.0.0/",
            "10.0.0.0/-1",
            "::/129",
            "10.0/8",
        ] {
            let refusal = Network::parse("key", text).unwrap_err().to_string();
            assert!(refusal.starts_with(&format!("key: {text:?} is not ")));
        }
    }
}
