//! Reads a message's bytes from front to back, with checked lengths.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use crate::error::MessageError;

/// The rest of a message.
pub(super) struct Reader<'a> {
    rest: &'a [u8],
}

impl<'a> Reader<'a> {
    pub(super) fn new(bytes: &'a [u8]) -> Self {
        Self { rest: bytes }
    }

    /// The next bytes, as many as the array has room for.
    pub(super) fn array<const N: usize>(&mut self) -> Result<[u8; N], MessageError> {
        let (array, rest) = self
            .rest
            .split_first_chunk::<N>()
            .ok_or(MessageError::Truncated)?;
        self.rest = rest;
        Ok(*array)
    }

    pub(super) fn bytes(&mut self, length: usize) -> Result<&'a [u8], MessageError> {
        let (bytes, rest) = self
            .rest
            .split_at_checked(length)
            .ok_or(MessageError::Truncated)?;
        self.rest = rest;
        Ok(bytes)
    }

    pub(super) fn int(&mut self) -> Result<i32, MessageError> {
        Ok(i32::from_be_bytes(self.array()?))
    }

    pub(super) fn long(&mut self) -> Result<i64, MessageError> {
        Ok(i64::from_be_bytes(self.array()?))
    }

    /// An address: 4 or 16 bytes, and a port in 32 bits.
    pub(super) fn host(&mut self, is_v6: bool) -> Result<SocketAddr, MessageError> {
        let ip = match is_v6 {
            true => IpAddr::from(Ipv6Addr::from(self.array::<16>()?)),
            false => IpAddr::from(Ipv4Addr::from(self.array::<4>()?)),
        };
        let port = self.int()?;
        let port = u16::try_from(port).map_err(|_| MessageError::Port(port))?;
        Ok(SocketAddr::new(ip, port))
    }

    /// Bytes with their length of 32 bits before them. The reference takes a negative one for 0.
    pub(super) fn sized_by_int(&mut self) -> Result<&'a [u8], MessageError> {
        let length = self.int()?;
        self.bytes(usize::try_from(length).unwrap_or_default())
    }

    /// Bytes with their length of 16 bits before them. The reference takes a negative one for 0.
    pub(super) fn sized_by_short(&mut self) -> Result<&'a [u8], MessageError> {
        let length = i16::from_be_bytes(self.array()?);
        self.bytes(usize::try_from(length).unwrap_or_default())
    }

    /// Fails if bytes are left.
    pub(super) fn end(&self) -> Result<(), MessageError> {
        match self.rest {
            [] => Ok(()),
            rest => Err(MessageError::TrailingBytes(rest.len())),
        }
    }
}

/// Takes a message from the front of `rest`; its first four bytes are its length, themselves
/// included.
pub(super) fn take_sized<'a>(rest: &mut &'a [u8]) -> Result<&'a [u8], MessageError> {
    let length = rest.first_chunk::<4>().ok_or(MessageError::Truncated)?;
    let length = i32::from_be_bytes(*length);
    let whole = usize::try_from(length)
        .ok()
        .and_then(|length| rest.split_at_checked(length));
    let (message, after) = whole.ok_or(MessageError::Length(length))?;
    *rest = after;
    Ok(message)
}

/// Writes an address as [`Reader::host`] reads it.
pub(super) fn write_host(host: SocketAddr, out: &mut Vec<u8>) {
    match host.ip() {
        IpAddr::V4(ip) => out.extend_from_slice(&ip.octets()),
        IpAddr::V6(ip) => out.extend_from_slice(&ip.octets()),
    }
    out.extend_from_slice(&i32::from(host.port()).to_be_bytes());
}
