//! Sends, and their fail-over when a broker is unavailable.

pub(crate) mod elsewhere;
pub(crate) mod send;
