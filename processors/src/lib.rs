//! What Remora does with each request.
//!
//! Read [`table`] first: it lists every request code with the processor that serves it and what there
//! is to know of it. A client connection is a [`Session`], which takes the connection's frames as a
//! [`FrameHandler`](remoting_transport::FrameHandler).
//!
//! Most requests are relayed: the broker's name is read, the opaque replaced, and the same bytes put
//! into the connection to that broker, at once and without a task of their own. The few that need more
//! (an answer from a name server, several brokers, a lane that is not there yet) become a task.

mod admin_relay;
mod assignment;
mod batch_ack;
mod bodies;
mod client_config;
mod connections;
mod consumer_list;
mod create_topic;
mod dispatch;
mod elsewhere;
mod error;
mod heartbeat;
mod leaving;
mod lock_batch;
mod look_ups;
mod membership;
pub mod metrics;
mod notice;
mod pop;
mod pull;
mod push;
mod query_message;
mod receipt;
mod relay;
mod replica;
mod reply;
mod request;
mod send;
mod session;
mod settings;
mod slow_log;
pub mod table;
mod topic_route;
mod unregister;

pub use error::ProcessError;
pub use session::{Counting, Described, Session};
pub use settings::{BrokerAddresses, Settings};
pub use slow_log::SlowLog;
