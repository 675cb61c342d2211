//! Opaques: the numbers that tie a response to its request within one connection.
//!
//! A relayed frame has a different opaque on each of its two connections. With the wrong one, a
//! response would reach another client. So each side has a type of its own, and the compiler
//! refuses one for the other:
//!
//! ```compile_fail
//! let given_by_the_client: remoting_codec::Opaque = remoting_codec::UpstreamOpaque(1).into();
//! ```

/// An opaque on a client's connection: chosen by the client for its requests, and by Remora for the
/// pushes that it sends to the client.
#[derive(Clone, Copy, Debug, Default, Eq, Hash, PartialEq)]
pub struct Opaque(pub i32);

/// An opaque on a connection to a broker or name server: chosen by Remora for requests, and by the
/// broker for its pushes.
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
