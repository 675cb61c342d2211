//! Bits of a header's flag (`RemotingCommand.RPC_TYPE`, `RPC_ONEWAY` in Java).

/// Bit of a header's flag: the frame is a response.
pub const FLAG_RESPONSE: i32 = 1;
/// Bit of a header's flag: the sender expects no response, not even an error.
pub const FLAG_ONEWAY: i32 = 2;
