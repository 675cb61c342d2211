//! The request of CHECK_CLIENT_CONFIG (`CheckClientRequestBody`).

use serde::Deserialize;

use super::heartbeat::SubscriptionData;
use super::read;
use crate::error::BodyError;

/// What a consumer asks to have checked before it starts: a filter that is not by tag.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq)]
#[serde(rename_all = "camelCase")]
pub struct ClientConfig {
    /// Who asks.
    #[serde(default)]
    pub client_id: String,
    /// For which group.
    #[serde(default)]
    pub group: String,
    /// Topic and filter.
    pub subscription_data: SubscriptionData,
}

impl ClientConfig {
    /// Reads the body.
    ///
    /// # Errors
    /// When it is not such a body.
    pub fn decode(body: &[u8]) -> Result<Self, BodyError> {
        read("client config", body)
    }
}
