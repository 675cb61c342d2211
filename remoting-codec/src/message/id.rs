//! The two ids of a message: by its place, and by its producer.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::str::FromStr;

use super::hex;
use crate::error::TextError;

/// The place of a message: the broker that has stored it, and the offset in the commit log
/// (`MessageDecoder.createMessageId`, `MessageId`).
///
/// The text has 32 upper-case hexadecimal digits, or 56 for IPv6: address, port in 32 bits, offset
/// in 64. It is `msgId` of an answer to a send. A client connects to the address in it directly
/// (VIEW_MESSAGE_BY_ID).
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub struct OffsetMessageId {
    /// The broker's address.
    pub store_host: SocketAddr,
    /// The message's place in that broker's commit log, in bytes.
    pub commit_log_offset: i64,
}

impl fmt::Display for OffsetMessageId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_ip(self.store_host.ip(), f)?;
        write!(f, "{:08X}", self.store_host.port())?;
        hex::write(&self.commit_log_offset.to_be_bytes(), f)
    }
}

impl FromStr for OffsetMessageId {
    type Err = TextError;

    fn from_str(text: &str) -> Result<Self, TextError> {
        let error = || TextError::new("an offset message id", text);
        let (ip, rest) = read_ip(text).ok_or_else(error)?;
        let [p0, p1, p2, p3, offset @ ..] = hex::read::<12>(rest).ok_or_else(error)?;
        let port = u16::try_from(u32::from_be_bytes([p0, p1, p2, p3])).map_err(|_| error())?;
        Ok(Self {
            store_host: SocketAddr::new(ip, port),
            commit_log_offset: i64::from_be_bytes(offset),
        })
    }
}

/// The id that a producer gives a message, its property [`UNIQ_KEY`](super::property::UNIQ_KEY)
/// (`MessageClientIDSetter.createUniqID`).
///
/// The text has 32 upper-case hexadecimal digits, or 56 for IPv6. Clients over gRPC and others make
/// ids of other forms, so a text that cannot be read here may still be a valid id.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub struct UniqueId {
    /// The producer's address, or any four bytes instead.
    pub ip: IpAddr,
    /// The producer's process id, its low 16 bits.
    pub process: u16,
    /// Distinguishes the clients of one process.
    pub salt: u32,
    /// Milliseconds since the first of the month, by the producer's clock and in its time zone.
    pub month_millis: u32,
    /// A count of messages that wraps around.
    pub counter: u16,
}

impl UniqueId {
    /// Milliseconds since the first of the month in UTC, of a time in milliseconds since 1970: a
    /// value for [`month_millis`](Self::month_millis). The reference uses the producer's time zone.
    /// Clients up to 4.9 search a message by its id among those stored since the time in it, by
    /// their own time zone (`MQAdminImpl.queryMessageByUniqKey`), later ones among those of three
    /// days.
    #[must_use]
    pub fn month_millis(unix_millis: u64) -> u32 {
        const DAY: u64 = 24 * 60 * 60 * 1000;
        // Of the days from 1 March of year 0 on, 146,097 are 400 years, and a year's months from
        // March on have 153 days in every five, so that each month starts at (153 m + 2) / 5.
        let day = unix_millis / DAY + 719_468;
        let day_of_era = day % 146_097;
        let year_of_era =
            (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
        let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
        let month = (5 * day_of_year + 2) / 153;
        let day_of_month = day_of_year - (153 * month + 2) / 5;
        (day_of_month * DAY + unix_millis % DAY) as u32
    }
}

impl fmt::Display for UniqueId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_ip(self.ip, f)?;
        let (process, salt) = (self.process, self.salt);
        write!(f, "{process:04X}{salt:08X}")?;
        write!(f, "{:08X}{:04X}", self.month_millis, self.counter)
    }
}

impl FromStr for UniqueId {
    type Err = TextError;

    fn from_str(text: &str) -> Result<Self, TextError> {
        let error = || TextError::new("a unique message id", text);
        let (ip, rest) = read_ip(text).ok_or_else(error)?;
        let [p0, p1, s0, s1, s2, s3, m0, m1, m2, m3, c0, c1] =
            hex::read::<12>(rest).ok_or_else(error)?;
        Ok(Self {
            ip,
            process: u16::from_be_bytes([p0, p1]),
            salt: u32::from_be_bytes([s0, s1, s2, s3]),
            month_millis: u32::from_be_bytes([m0, m1, m2, m3]),
            counter: u16::from_be_bytes([c0, c1]),
        })
    }
}

fn write_ip(ip: IpAddr, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    match ip {
        IpAddr::V4(ip) => hex::write(&ip.octets(), f),
        IpAddr::V6(ip) => hex::write(&ip.octets(), f),
    }
}

/// The address at the start of an id, and the digits of the twelve bytes after it. The id's length
/// determines whether the address is IPv4 or IPv6.
fn read_ip(text: &str) -> Option<(IpAddr, &str)> {
    let (ip, rest) = text.split_at_checked(text.len().checked_sub(24)?)?;
    let ip = match ip.len() {
        8 => Ipv4Addr::from(hex::read::<4>(ip)?).into(),
        32 => Ipv6Addr::from(hex::read::<16>(ip)?).into(),
        _ => return None,
    };
    Some((ip, rest))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn offset_ids_are_read_and_written() {
        for (text, store_host, commit_log_offset) in [
            ("0A00000200002A9F0000000000000005", "10.0.0.2:10911", 5),
            (
                "20010DB800000000000000000000000100002A9FFFFFFFFFFFFFFFFF",
                "[2001:db8::1]:10911",
                -1,
            ),
        ] {
            let id: OffsetMessageId = text.parse().unwrap();
            assert_eq!(id.store_host, store_host.parse().unwrap());
            assert_eq!(id.commit_log_offset, commit_log_offset);
            assert_eq!(id.to_string(), text);
            assert_eq!(text.to_lowercase().parse(), Ok(id));
        }
        for none in [
            "",
            "0A00000200002A9F000000000000000",
            "0A00000200002A9F00000000000000055",
            "0A000002000F2A9F0000000000000005",
            "0A00000200002A9F000000000000000G",
            "0A00000200002A9F00000000000000é",
            "+A00000200002A9F0000000000000005",
        ] {
            assert!(none.parse::<OffsetMessageId>().is_err(), "{none}");
        }
    }

    #[test]
    fn unique_ids_are_read_and_written() {
        let text = "7F0000010A1B5B464441123456780001";
        let id: UniqueId = text.parse().unwrap();
        assert_eq!(
            id,
            UniqueId {
                ip: Ipv4Addr::LOCALHOST.into(),
                process: 0x0A1B,
                salt: 0x5B46_4441,
                month_millis: 0x1234_5678,
                counter: 1,
            }
        );
        assert_eq!(id.to_string(), text);
        let text = format!("{}{}", "FE80".repeat(8), &text[8..]);
        let id: UniqueId = text.parse().unwrap();
        assert!(id.ip.is_ipv6());
        assert_eq!(id.to_string(), text);
        // As clients over gRPC make them.
        assert!(
            "01F0B1D2C3A4E50A1B06C6F6D200000000"
                .parse::<UniqueId>()
                .is_err()
        );
    }

    #[test]
    fn a_month_starts_on_its_first_day() {
        const HOUR: u64 = 60 * 60 * 1000;
        for (unix_seconds, days) in [
            (0, 0),
            (2_678_399, 30),
            (2_678_400, 0),
            // 29 February 2000, 1 March 2000, 28 February 2100, 1 March 2100.
            (951_782_400, 28),
            (951_868_800, 0),
            (4_107_456_000, 27),
            (4_107_542_400, 0),
            // 29 November 2026.
            (1_795_910_400, 28),
        ] {
            let hours = if unix_seconds % 86_400 == 0 { 5 } else { 0 };
            let millis = UniqueId::month_millis(unix_seconds * 1000 + hours * HOUR);
            assert_eq!(u64::from(millis) / HOUR / 24, days, "{unix_seconds}");
        }
    }
}
