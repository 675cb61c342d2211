//! Texts that clients get from one call and return in a later one, through whichever replica. What
//! a later call needs is in them, so that Remora keeps nothing.
//!
//! A client may return anything: no length in a token is trusted, and no token is longer than its
//! limit.

mod recall;
mod reply;
mod transaction;

pub use recall::broker_of_recall;
pub use reply::ReplyToken;
pub use transaction::TransactionToken;
