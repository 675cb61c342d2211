//! The request of QUERY_ASSIGNMENT (`QueryAssignmentRequestBody`).

use serde::Deserialize;

use super::read;
use crate::error::BodyError;

/// Asks which queues of a topic a consumer should consume.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq)]
#[serde(rename_all = "camelCase")]
pub struct AssignmentQuery {
    /// The topic whose queues are divided.
    pub topic: String,
    /// The group of the consumer: the broker divides the queues among its members.
    pub consumer_group: String,
}

impl AssignmentQuery {
    /// Reads the body.
    ///
    /// # Errors
    /// When the body is not JSON of this form.
    pub fn decode(body: &[u8]) -> Result<Self, BodyError> {
        read("assignment query", body)
    }
}
