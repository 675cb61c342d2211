//! The request of BATCH_ACK_MESSAGE (`BatchAckMessageRequestBody`).

use serde::Deserialize;

use super::read;
use crate::error::BodyError;

/// Many acknowledgements for one broker; only the broker's name is read.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq)]
#[serde(rename_all = "camelCase")]
pub struct BatchAck {
    /// The name of the broker that the messages were popped from.
    pub broker_name: String,
}

impl BatchAck {
    /// Reads the body.
    ///
    /// # Errors
    /// When the body is not JSON of this form.
    pub fn decode(body: &[u8]) -> Result<Self, BodyError> {
        read("batch ack", body)
    }
}
