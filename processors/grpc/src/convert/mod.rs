//! Between the protocol's messages and what brokers take, store and hand out.

mod answer;
mod digest;
mod endpoints;
mod namespace;
mod queues;
mod receive;
mod send;
mod settings;
mod shard;
mod transaction;

pub use answer::{Sent, combined, of_broker, send_entry, send_response};
pub use endpoints::{endpoints_of, scheme_of};
pub use namespace::Names;
pub use queues::{BrokerAt, assignments, message_queues, readable_brokers};
pub use receive::{Received, changed_handle, received};
pub use send::{Outgoing, Sender, outgoing};
pub use settings::{GroupSettings, RetryTimes, consumer_settings, producer_settings};
pub use shard::{consistent_bucket, shard};
pub use transaction::TransactionToken;
