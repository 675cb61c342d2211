//! What is done for each message: `bin/hot-path.rs` does it again and again under callgrind.

mod grpc;
mod relayed;

pub use grpc::grpc;
pub use relayed::relayed;
