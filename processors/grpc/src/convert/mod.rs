//! Between the protocol's messages and what brokers take, store and hand out.

mod answer;
mod endpoints;
mod namespace;
mod queues;
mod receive;
mod send;
mod settings;

pub use answer::{Sent, combined, of_broker, send_entry, send_response};
pub use endpoints::{endpoints_of, scheme_of};
pub use namespace::Names;
pub use queues::{BrokerAt, assignments, message_queues, message_type};
pub use receive::{Received, received};
pub use send::outgoing;
pub use settings::{
    DEFAULT_LITE_QUOTA, GroupSettings, RetryTimes, consumer_settings, producer_settings,
};
