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

#[cfg(test)]
mod tests {
    use remoting_codec::{RemotingCommand, RequestCode};

    use super::*;

    #[test]
    fn only_newer_java_names_brokers() {
        let names = |language, version| {
            let request = RemotingCommand {
                language,
                version,
                ..RemotingCommand::request(RequestCode::GET_ROUTEINFO_BY_TOPIC)
            };
            let frame = request.to_bytes();
            names_brokers(&CommandView::decode(&frame).unwrap())
        };
        for version in [403, 411, 433, 513] {
            assert!(names(Language::JAVA, Version(version)), "{version}");
        }
        for version in [401, 402, 413, 415, 432] {
            assert!(!names(Language::JAVA, Version(version)), "{version}");
        }
        for language in [Language::GO, Language::CPP, Language::OTHER] {
            assert!(!names(language, Version::V5_5_0));
        }
    }
}
