//! A call that is answered with an error.

use thiserror::Error;

use crate::proto::{Code, Status};

/// Why a call, or one part of it, is not done: the status that the client gets.
#[derive(Clone, Debug, Eq, Error, PartialEq)]
#[error("{}: {message}", .code.name())]
pub struct CallError {
    /// The code of the status in the answer; the status of gRPC itself stays OK.
    pub code: Code,
    /// What is wrong and what to do, for people.
    pub message: String,
}

impl CallError {
    /// An error for the client's status, of which the message may be shown to the client.
    pub fn new(code: Code, message: impl Into<String>) -> Self {
        Self {
            code,
            message: message.into(),
        }
    }
}

impl From<CallError> for Status {
    fn from(error: CallError) -> Self {
        Self::new(error.code, error.message)
    }
}
