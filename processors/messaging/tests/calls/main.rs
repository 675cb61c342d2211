//! Typed calls, with brokers that answer as real ones do.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a test may fail"
)]

mod deliveries;
mod fake;
mod pollers;
mod requests;
