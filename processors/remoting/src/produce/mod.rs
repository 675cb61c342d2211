//! Sends, and where they go when their broker cannot be had.

pub(crate) mod elsewhere;
pub(crate) mod send;
