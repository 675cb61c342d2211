//! What Remora does with each request.
//!
//! Read [`table`] first: it lists every request code with the processor that serves it. A client
//! connection is a [`Session`], which receives the connection's frames as a
//! [`FrameHandler`](remoting_transport::FrameHandler).
//!
//! Decisions that do not depend on the remoting protocol (which broker, which timeout, which client
//! is in which group) are made by the crate `messaging`, for every protocol alike.
//!
//! Most requests are relayed: the broker's name is read, the opaque replaced, and the same bytes
//! written to the connection to that broker, at once and without a task of their own. The few that
//! need more (an answer from a name server, several brokers, a lane that is not open yet) become a
//! task.

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
pub use settings::{AdvertiseBrokers, Settings};
