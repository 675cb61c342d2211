//! The kind of a client, by language and version.

use remoting_codec::{CommandView, Language, Version};

use super::Session;
use crate::settings::AdvertiseBrokers;

/// Whether the client's routes have the addresses of broker listeners.
pub(crate) fn uses_own_listeners(session: &Session, view: &CommandView<'_>) -> bool {
    match session.settings.broker_addresses {
        AdvertiseBrokers::Always => true,
        AdvertiseBrokers::Never => false,
        AdvertiseBrokers::Auto => !names_brokers(view),
    }
}

/// Whether clients of this language and version name the broker in every request that needs it.
pub(crate) fn names_brokers(view: &CommandView<'_>) -> bool {
    let version = view.version();
    view.language() == Language::JAVA
        && (version >= Version::V5_1_0 || (Version::V4_9_5..Version::V5_0_0).contains(&version))
}
