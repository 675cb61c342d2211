//! What a call may ask for, where it is the protocol's own: ids, addresses, and the times of polls.
//! All other checks are those of every protocol ([`messaging::check`]).

mod consume;
mod ids;

pub use consume::{Poll, changed_invisible_time, filter, polling_time, received_invisible_time};
pub use ids::{client_id, endpoints};

use crate::error::CallError;
use crate::proto::Code;

/// `Err` with that code unless `is_right`; the message is made only then.
fn ensure(is_right: bool, code: Code, message: impl FnOnce() -> String) -> Result<(), CallError> {
    match is_right {
        true => Ok(()),
        false => Err(CallError::new(code, message())),
    }
}
