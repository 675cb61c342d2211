//! Opaques: what ties a response to its request, within one connection.
//!
//! A relayed frame has another opaque on each of its two connections, and under the wrong one an answer would get to another
//! client. So the two sides have types of their own, and neither can be taken for the other:
//!
//! ```compile_fail
//! let given_by_the_client: remoting_codec::Opaque = remoting_codec::UpstreamOpaque(1).into();
//! ```

/// An opaque on a client's connection: given by the client to a request, or by Remora to what a broker asks of the client.
#[derive(Clone, Copy, Debug, Default, Eq, Hash, PartialEq)]
pub struct Opaque(pub i32);

/// An opaque on a connection to a broker or name server: given by Remora to a request, or by the broker to what it asks.
#[derive(Clone, Copy, Debug, Default, Eq, Hash, PartialEq)]
pub struct UpstreamOpaque(pub i32);

impl From<i32> for Opaque {
    fn from(number: i32) -> Self {
        Self(number)
    }
}

impl From<i32> for UpstreamOpaque {
    fn from(number: i32) -> Self {
        Self(number)
    }
}

impl From<Opaque> for i32 {
    fn from(opaque: Opaque) -> Self {
        opaque.0
    }
}

impl From<UpstreamOpaque> for i32 {
    fn from(opaque: UpstreamOpaque) -> Self {
        opaque.0
    }
}
