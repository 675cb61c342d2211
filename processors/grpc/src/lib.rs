//! The gRPC protocol of RocketMQ 5, `apache.rocketmq.v2.MessagingService`: its messages, and what they
//! mean to a broker. No I/O, no clock and no server; time is passed in.
//!
//! - [`proto`]: the messages.
//! - [`codec`]: their framing within an HTTP/2 body.

pub mod codec;
pub mod proto;
