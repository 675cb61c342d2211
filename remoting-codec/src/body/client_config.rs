//! The request of CHECK_CLIENT_CONFIG (`CheckClientRequestBody`).

use serde::Deserialize;

use super::heartbeat::SubscriptionData;
use super::read;
use crate::error::BodyError;

/// The subscription that a consumer asks the broker to check before it starts: a filter that is not
/// by tag.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq)]
#[serde(rename_all = "camelCase")]
pub struct ClientConfig {
    /// The consumer's client id.
    #[serde(default)]
    pub client_id: String,
    /// The consumer's group.
    #[serde(default)]
    pub group: String,
    /// Topic and filter.
    pub subscription_data: SubscriptionData,
}

impl ClientConfig {
    /// Reads the body.
    ///
    /// # Errors
    /// When the body is not JSON of this form.
    pub fn decode(body: &[u8]) -> Result<Self, BodyError> {
        read("client config", body)
    }
}
