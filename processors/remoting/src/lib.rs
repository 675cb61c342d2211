//! What Remora does with each request.
//!
//! Read [`table`] first: it lists every request code with the processor that serves it and what there
//! is to know of it. A client connection is a [`Session`], which takes the connection's frames as a
//! [`FrameHandler`](remoting_transport::FrameHandler).
//!
//! What is not about the remoting protocol (which broker, how long it may take, which client is in which group)
//! is decided by the crate `messaging`, for every protocol alike.
//!
//! Most requests are relayed: the broker's name is read, the opaque replaced, and the same bytes put
//! into the connection to that broker, at once and without a task of their own. The few that need more
//! (an answer from a name server, several brokers, a lane that is not there yet) become a task.

mod admin_relay;
mod answers;
mod client;
mod consume;
mod dispatch;
mod error;
mod member;
pub mod metrics;
mod notice;
mod produce;
mod relay;
mod session;
mod settings;
pub mod table;
mod topic;

pub use error::ProcessError;
pub use session::slow_log::SlowLog;
pub use session::{ClientSummary, Session, SessionMetrics};
pub use settings::{BrokerAddresses, Settings};
