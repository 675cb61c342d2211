//! What an answer says.

use std::fmt;

/// The code of a response (`ResponseCode`, `RemotingSysResponseCode` in Java). A newtype, so that
/// an unknown one travels.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub struct ResponseCode(pub i32);

impl ResponseCode {
    /// Done.
    pub const SUCCESS: Self = Self(0);
    /// Something failed; the remark says what.
    pub const SYSTEM_ERROR: Self = Self(1);
    /// Overloaded, or late: a producer tries elsewhere.
    pub const SYSTEM_BUSY: Self = Self(2);
    /// Nobody here serves that request code.
    pub const REQUEST_CODE_NOT_SUPPORTED: Self = Self(3);
    /// Too large, or with properties that are not allowed.
    pub const MESSAGE_ILLEGAL: Self = Self(13);
    /// The broker cannot be reached: a producer tries another.
    pub const SERVICE_NOT_AVAILABLE: Self = Self(14);
    /// The client is too old for what it asks; here: it does not name the broker.
    pub const VERSION_NOT_SUPPORTED: Self = Self(15);
    /// Not permitted.
    pub const NO_PERMISSION: Self = Self(16);
    /// No such topic.
    pub const TOPIC_NOT_EXIST: Self = Self(17);
    /// A pull found nothing new.
    pub const PULL_NOT_FOUND: Self = Self(19);
    /// A pull found nothing of use: ask again at once.
    pub const PULL_RETRY_IMMEDIATELY: Self = Self(20);
    /// Too much: slow down. Clients before 4.9.8 and 5.0 do not know it.
    pub const FLOW_CONTROL: Self = Self(215);
    /// A POP has waited for nothing.
    pub const POLLING_TIMEOUT: Self = Self(210);
    /// Leave this connection and ask again on another. Clients before 5.2 do not know it.
    pub const GO_AWAY: Self = Self(1500);
}

impl fmt::Display for ResponseCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}
