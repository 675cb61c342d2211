//! The kinds of configurations: how brokers are asked for them, and what they weigh.

use std::collections::BTreeMap;
use std::time::Duration;

use remoting_codec::body::{GroupConfig, TopicConfig};
use remoting_codec::{BodyError, RemotingCommand, RequestCode, UpstreamView};
use route_cache::{Broker, Class};

use super::members::Members;
use super::{ConfigCache, Known, TIME};
use crate::calls::refused;
use crate::error::{ErrorKind, MessagingError};

/// How long a configuration is used before it is asked for again.
pub(super) const FRESH: Duration = Duration::from_secs(10);
const MEMBERS_FRESH: Duration = Duration::from_secs(60);

/// A configuration that a broker answers.
pub(super) trait Configuration: Sized + 'static {
    /// Those that are known of its kind.
    fn known(cache: &ConfigCache) -> &Known<Self>;
    /// Asks a broker for that of a name.
    async fn ask(broker: &Broker, name: &str) -> Result<Self, MessagingError>;
    /// Its bytes of memory.
    fn bytes(&self) -> usize;

    /// If it is older, it is asked for again.
    fn fresh(&self) -> Duration {
        FRESH
    }
}

/// Asks a question that takes one request.
async fn ask_once<T>(
    broker: &Broker,
    request: RemotingCommand,
    decode: impl FnOnce(&[u8]) -> Result<T, BodyError>,
) -> Result<T, MessagingError> {
    let connection = broker.connection(Class::Request, false)?;
    // Not signed: nobody has verified the client that it is asked for.
    let answer = connection.call(request.to_bytes(), TIME).await?;
    let view = UpstreamView::decode_answer(&answer)?;
    let unreadable = |error: BodyError| MessagingError::new(ErrorKind::Invalid, error.to_string());
    match view.is_success() {
        true => decode(view.body()).map_err(unreadable),
        false => Err(refused(&view)),
    }
}

impl Configuration for TopicConfig {
    fn known(cache: &ConfigCache) -> &Known<Self> {
        &cache.topics
    }

    async fn ask(broker: &Broker, name: &str) -> Result<Self, MessagingError> {
        let request = RemotingCommand::request(RequestCode::GET_TOPIC_CONFIG);
        let request = request.with_field("topic", name.to_owned());
        ask_once(broker, request, Self::decode).await
    }

    fn bytes(&self) -> usize {
        size_of::<Self>() + bytes_of(self.attributes.as_ref())
    }
}

impl Configuration for GroupConfig {
    fn known(cache: &ConfigCache) -> &Known<Self> {
        &cache.groups
    }

    async fn ask(broker: &Broker, name: &str) -> Result<Self, MessagingError> {
        let request = RemotingCommand::request(RequestCode::GET_SUBSCRIPTIONGROUP_CONFIG);
        let request = request.with_field("group", name.to_owned());
        ask_once(broker, request, Self::decode).await
    }

    fn bytes(&self) -> usize {
        let policy = self.group_retry_policy.as_ref();
        let name = policy.and_then(|policy| policy.r#type.as_ref());
        let listed = policy.and_then(|policy| policy.customized_retry_policy.as_ref());
        size_of::<Self>()
            + bytes_of(self.attributes.as_ref())
            + name.map_or(0, String::len)
            + listed.map_or(0, |listed| listed.next.len() * size_of::<i64>())
    }
}

impl Configuration for Members {
    fn known(cache: &ConfigCache) -> &Known<Self> {
        &cache.members
    }

    async fn ask(broker: &Broker, name: &str) -> Result<Self, MessagingError> {
        Self::ask(broker, name).await
    }

    fn bytes(&self) -> usize {
        size_of::<Self>() + self.classic.as_ref().map_or(0, String::len)
    }

    /// Each of the group's members is asked.
    fn fresh(&self) -> Duration {
        match self.is_settled {
            true => MEMBERS_FRESH,
            false => FRESH,
        }
    }
}

/// The bytes of attributes.
fn bytes_of(attributes: Option<&BTreeMap<String, String>>) -> usize {
    /// Of one beside its text: its place in the map.
    const ATTRIBUTE: usize = 2 * size_of::<String>() + 16;
    let all = attributes.into_iter().flatten();
    all.map(|(name, value)| ATTRIBUTE + name.len() + value.len())
        .sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_bytes_of_what_a_broker_answers_count() {
        let empty = TopicConfig::default().bytes();
        let body = br#"{"attributes":{"message.type":"FIFO"}}"#;
        let config = TopicConfig::decode(body).unwrap();
        assert!(config.bytes() > empty + "message.typeFIFO".len());
        let body = br#"{"groupRetryPolicy":{"type":"CUSTOMIZED","customizedRetryPolicy":{"next":[1,2,3]}}}"#;
        let config = GroupConfig::decode(body).unwrap();
        assert_eq!(config.bytes() - GroupConfig::default().bytes(), 10 + 3 * 8);
        let body = br#"{"attributes":{"lite.bind.topic":"t"}}"#;
        let config = GroupConfig::decode(body).unwrap();
        assert!(config.bytes() > GroupConfig::default().bytes() + "lite.bind.topict".len());
    }
}
