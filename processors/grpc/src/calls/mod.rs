//! The calls of the service, one function each. They know nothing of HTTP/2: what they take and
//! return are the protocol's messages.

mod acknowledge;
mod delivery;
mod offsets;
mod receive;
mod route;
mod send;
mod transaction;

use std::collections::VecDeque;
use std::rc::Rc;

use http_server::{Chunk, Reply};
use remoting_transport::Account;

use crate::error::CallError;
use crate::proto::{Code, ReceiveContent, ReceiveMessageResponse, Status};
use crate::transport::{framed, whole};

pub(crate) use acknowledge::{acknowledge, change_invisible, forward_to_dead_letters};
pub(crate) use offsets::{get_offset, pull, query_offset, update_offset};
pub(crate) use receive::receive;
pub(crate) use route::{query_assignment, query_route};
pub(crate) use send::{recall, send};
pub(crate) use transaction::end_transaction;

/// The answer of a call with several parts.
pub(crate) struct Streamed {
    /// The code of its status.
    pub(crate) code: i32,
    pub(crate) parts: VecDeque<Chunk>,
}

/// The answer to a ReceiveMessage that consists of its status only.
fn status_only(status: Status, account: &Rc<Account>) -> Streamed {
    let code = status.code;
    let answer = ReceiveMessageResponse {
        content: Some(ReceiveContent::Status(status)),
    };
    let part = framed(&answer, account);
    Streamed {
        code,
        parts: VecDeque::from([part]),
    }
}

/// The answer to a ReceiveMessage or PullMessage that is refused: both have their status in the
/// same field.
pub(crate) fn refused_receive(error: CallError, account: &Rc<Account>) -> (i32, Reply) {
    let streamed = status_only(error.into(), account);
    (streamed.code, whole(streamed.parts))
}

/// The status OK.
fn ok() -> Option<Status> {
    Some(Status::of(Code::Ok))
}
