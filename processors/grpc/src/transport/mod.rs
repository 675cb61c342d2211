//! The bodies of requests and answers, and failures of the transport. With `server`, the only part
//! that knows hyper.

mod failure;
mod reply;
mod request;

pub(crate) use failure::{Failure, GrpcStatus};
pub(crate) use reply::{framed, one, stream, whole};
pub(crate) use request::{Messages, only};
