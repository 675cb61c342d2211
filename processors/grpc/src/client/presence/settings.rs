//! The settings that a client sends with its Telemetry stream: what it is, and what it produces and
//! consumes. The client gets them back with what it should keep to.

use std::rc::Rc;

use messaging::check::Limits;
use messaging::{Caller, ConfigCache, Declaration, MessagingError};
use remoting_codec::body::{WrittenConsumer, WrittenSubscription};
use remoting_codec::{Language, Version};

use crate::check;
use crate::convert::{
    DEFAULT_LITE_QUOTA, GroupSettings, Names, RetryTimes, consumer_settings, producer_settings,
};
use crate::error::CallError;
use crate::proto::{ClientType, Code, PubSub, Settings};

/// Most topics of a client.
const TOPICS_MAX: usize = 1024;

/// A client's settings, in the names of brokers.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub(super) struct Declared {
    /// The topics that it sends to.
    pub(super) publishes: Vec<String>,
    /// The group that it consumes in.
    pub(super) group: Option<String>,
    /// The topics that it consumes, each with the type of its filter and the filter.
    pub(super) subscribes: Vec<(String, &'static str, String)>,
    /// `ConsumeType` of its group.
    pub(super) consume_type: &'static str,
    /// Whether it subscribes to lite topics of its topics.
    pub(super) is_lite: bool,
}

impl Declared {
    /// Reads settings.
    ///
    /// # Errors
    /// If there are neither topics that it sends to nor a group, or a name must not be used.
    pub(super) fn of(settings: &Settings, names: Names<'_>) -> Result<Self, CallError> {
        let too_many = |count: usize| match count {
            0..=TOPICS_MAX => Ok(()),
            _ => {
                let text = format!("the settings have more than {TOPICS_MAX} topics");
                Err(CallError::new(Code::BadRequest, text))
            }
        };
        match &settings.pub_sub {
            Some(PubSub::Publishing(publishing)) => {
                too_many(publishing.topics.len())?;
                let topics = publishing.topics.iter();
                let topics = topics.map(|topic| names.topic(Some(topic)));
                Ok(Self {
                    publishes: topics.collect::<Result<_, _>>()?,
                    ..Self::default()
                })
            }
            Some(PubSub::Subscription(subscription)) => {
                too_many(subscription.subscriptions.len())?;
                let mut subscribes = Vec::new();
                for entry in &subscription.subscriptions {
                    let topic = names.topic(entry.topic.as_ref())?;
                    let filter = check::filter(entry.expression.as_ref())?;
                    subscribes.push((topic, filter.kind(), filter.expression.to_owned()));
                }
                Ok(Self {
                    publishes: Vec::new(),
                    group: Some(names.group(subscription.group.as_ref())?),
                    subscribes,
                    consume_type: consume_type(settings.client_type),
                    is_lite: is_lite(settings.client_type),
                })
            }
            None => Err(CallError::new(
                Code::UnrecognizedClientType,
                "the settings have neither publishing nor subscription: send one of them",
            )),
        }
    }

    /// The topics whose brokers must know the client.
    pub(super) fn topics(&self) -> impl Iterator<Item = &str> {
        let subscribed = self.subscribes.iter().map(|(topic, ..)| topic.as_str());
        self.publishes.iter().map(String::as_str).chain(subscribed)
    }

    /// What registers the client at brokers.
    pub(super) fn declaration(
        &self,
        client_id: &str,
        language: Language,
        version: Version,
        now: i64,
    ) -> Result<Declaration, MessagingError> {
        let subscriptions: Vec<_> = self
            .subscribes
            .iter()
            .map(|(topic, kind, expression)| WrittenSubscription {
                topic,
                expression_type: kind,
                expression,
                version: now,
            })
            .collect();
        let consumer = self.group.as_deref().map(|group| WrittenConsumer {
            group,
            consume_type: self.consume_type,
            message_model: match self.is_lite {
                true => "LITE_SELECTIVE",
                false => "CLUSTERING",
            },
            subscriptions: &subscriptions,
        });
        // A producer has no group but its topics: brokers ask about transactions by it.
        let producers: Vec<&str> = self.publishes.iter().map(String::as_str).collect();
        let consumers: Vec<_> = consumer.into_iter().collect();
        Declaration::written(client_id, &producers, &consumers, (language, version))
    }
}

/// Whether a client of that type consumes lite topics.
fn is_lite(client_type: Option<i32>) -> bool {
    let client_type = client_type.and_then(|kind| ClientType::try_from(kind).ok());
    matches!(
        client_type,
        Some(ClientType::LitePushConsumer | ClientType::LiteSimpleConsumer)
    )
}

/// How messages reach the application (`GrpcConverter.buildConsumeType`).
fn consume_type(client_type: Option<i32>) -> &'static str {
    let client_type = client_type.and_then(|kind| ClientType::try_from(kind).ok());
    match client_type {
        Some(ClientType::PushConsumer | ClientType::LitePushConsumer) => "CONSUME_PASSIVELY",
        _ => "CONSUME_ACTIVELY",
    }
}

/// The settings with what the client should keep to.
pub(super) async fn answer(
    settings: Settings,
    declared: &Declared,
    caller: &Caller,
    configs: &Rc<ConfigCache>,
    limits: &Limits,
) -> Settings {
    let Some(group) = &declared.group else {
        return producer_settings(settings, limits);
    };
    let topic = declared
        .subscribes
        .first()
        .map(|(topic, ..)| topic.as_str());
    let config = match topic {
        Some(topic) => configs.group(caller, group, topic).await.ok(),
        None => None,
    };
    let group = config.map_or_else(GroupSettings::default, |config| GroupSettings::of(&config));
    consumer_settings(settings, &group, limits)
}

impl GroupSettings {
    fn of(config: &remoting_codec::body::GroupConfig) -> Self {
        let mut settings = Self {
            fifo: config.consume_message_orderly,
            max_attempts: config.retry_max_times.max(0).saturating_add(1),
            lite_quota: config.lite_quota().unwrap_or(DEFAULT_LITE_QUOTA),
            ..Self::default()
        };
        let policy = config.group_retry_policy.as_ref();
        let is_growing = policy.and_then(|policy| policy.r#type.as_deref()) == Some("EXPONENTIAL");
        if is_growing {
            let growing = policy.and_then(|policy| policy.exponential_retry_policy);
            let growing = growing.unwrap_or_default();
            settings.retry = RetryTimes::Growing {
                initial: growing.initial,
                max: growing.max,
                multiplier: growing.multiplier as f32,
            };
        } else if let Some(listed) =
            policy.and_then(|policy| policy.customized_retry_policy.as_ref())
            && !listed.next.is_empty()
        {
            settings.retry = RetryTimes::Listed(listed.next.clone());
        }
        settings
    }
}
