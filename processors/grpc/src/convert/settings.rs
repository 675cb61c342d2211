//! The settings that a client gets for its own (`GrpcClientSettingsManager`). Nothing is kept of
//! them: what a later call needs follows from the call and the group's configuration.

use messaging::check::Limits;

use crate::proto::{
    CustomizedBackoff, Duration, ExponentialBackoff, Metric, PubSub, RetryPolicy, RetryStrategy,
    Settings,
};

/// How often a producer tries (`grpcClientProducerMaxAttempts`).
const PRODUCER_ATTEMPTS: i32 = 3;
/// After which times in milliseconds, and by how much they grow (`grpcClientProducerBackoff…`).
const PRODUCER_BACKOFF: (i64, i64, f32) = (10, 1_000, 2.0);
/// How many messages a consumer asks for (`grpcClientConsumerLongPollingBatchSize`).
const RECEIVE_BATCH: i32 = 32;
/// How often a message is delivered in a group that is not configured: once, and 16 times again
/// (`SubscriptionGroupConfig.retryMaxTimes`).
const DEFAULT_ATTEMPTS: i32 = 17;
/// How many lite topics a client of a group that is not configured may subscribe to
/// (`SubscriptionGroupAttributes`).
pub const DEFAULT_LITE_QUOTA: i32 = 2_000;
/// Seconds until the second delivery, the third and so on (`CustomizedRetryPolicy`).
const DEFAULT_RETRY_SECONDS: [i64; 18] = [
    1, 5, 10, 30, 60, 120, 180, 240, 300, 360, 420, 480, 540, 600, 1_200, 1_800, 3_600, 7_200,
];

/// After which times a group's messages are delivered again (`GroupRetryPolicy`), in milliseconds.
#[derive(Clone, Debug, PartialEq)]
pub enum RetryTimes {
    /// One by one; the last one for all that follow.
    Listed(Vec<i64>),
    /// Each longer than the one before, by the same factor.
    Growing {
        /// The time after the first failure.
        initial: i64,
        /// The longest time.
        max: i64,
        /// How many times longer each is than the one before.
        multiplier: f32,
    },
}

/// What consumers of a group need of its configuration.
#[derive(Clone, Debug, PartialEq)]
pub struct GroupSettings {
    /// Whether it consumes in order (`consumeMessageOrderly`).
    pub fifo: bool,
    /// How often a message is delivered at most (`retryMaxTimes` and one).
    pub max_attempts: i32,
    /// After which times a message that was not acknowledged is delivered again.
    pub retry: RetryTimes,
    /// How many lite topics a client may subscribe to (`liteSubClientQuota`).
    pub lite_quota: i32,
}

impl Default for GroupSettings {
    fn default() -> Self {
        Self {
            fifo: false,
            max_attempts: DEFAULT_ATTEMPTS,
            retry: RetryTimes::Listed(DEFAULT_RETRY_SECONDS.map(|secs| secs * 1000).into()),
            lite_quota: DEFAULT_LITE_QUOTA,
        }
    }
}

/// A producer's settings, with what it should keep to.
#[must_use]
pub fn producer_settings(mut settings: Settings, limits: &Limits) -> Settings {
    let (initial, max, multiplier) = PRODUCER_BACKOFF;
    settings.backoff_policy = Some(RetryPolicy {
        max_attempts: PRODUCER_ATTEMPTS,
        strategy: Some(growing(initial, max, multiplier)),
    });
    if let Some(PubSub::Publishing(publishing)) = &mut settings.pub_sub {
        publishing.validate_message_type = true;
        publishing.max_body_size = i32::try_from(limits.body).unwrap_or(i32::MAX);
    }
    without_metrics(settings)
}

/// A consumer's settings, with what it should keep to: of its group's configuration, or of that
/// which a broker gives a group that has none.
#[must_use]
pub fn consumer_settings(
    mut settings: Settings,
    group: &GroupSettings,
    limits: &Limits,
) -> Settings {
    let strategy = match &group.retry {
        RetryTimes::Listed(times) => RetryStrategy::CustomizedBackoff(CustomizedBackoff {
            next: times.iter().copied().map(Duration::from_millis).collect(),
        }),
        RetryTimes::Growing {
            initial,
            max,
            multiplier,
        } => growing(*initial, *max, *multiplier),
    };
    settings.backoff_policy = Some(RetryPolicy {
        max_attempts: group.max_attempts,
        strategy: Some(strategy),
    });
    if let Some(PubSub::Subscription(subscription)) = &mut settings.pub_sub {
        let poll = i64::try_from(limits.max_poll.as_millis()).unwrap_or(i64::MAX);
        subscription.fifo = Some(group.fifo);
        subscription.receive_batch_size = Some(RECEIVE_BATCH);
        subscription.long_polling_timeout = Some(Duration::from_millis(poll));
        subscription.lite_subscription_quota = Some(group.lite_quota);
        let lite_topic = i32::try_from(limits.lite_topic).unwrap_or(i32::MAX);
        subscription.max_lite_topic_size = Some(lite_topic);
    }
    without_metrics(settings)
}

fn growing(initial: i64, max: i64, multiplier: f32) -> RetryStrategy {
    RetryStrategy::ExponentialBackoff(ExponentialBackoff {
        initial: Some(Duration::from_millis(initial)),
        max: Some(Duration::from_millis(max)),
        multiplier,
    })
}

/// Clients do not report metrics: Remora takes none.
fn without_metrics(settings: Settings) -> Settings {
    Settings {
        metric: Some(Metric {
            on: false,
            endpoints: None,
        }),
        ..settings
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::proto::{ClientType, Publishing, Resource, Subscription};

    fn sent(client_type: ClientType, pub_sub: PubSub) -> Settings {
        Settings {
            client_type: Some(client_type.into()),
            request_timeout: Some(Duration::from_millis(3_000)),
            pub_sub: Some(pub_sub),
            ..Settings::default()
        }
    }

    #[test]
    fn producers_get_limits() {
        let topic = Resource {
            resource_namespace: String::new(),
            name: "T".to_owned(),
        };
        let publishing = |max_body_size, validate_message_type| {
            PubSub::Publishing(Publishing {
                topics: vec![topic.clone()],
                max_body_size,
                validate_message_type,
            })
        };
        let sent = sent(ClientType::Producer, publishing(0, false));
        let settings = producer_settings(sent.clone(), &Limits::default());
        assert_eq!(settings.pub_sub, Some(publishing(4_194_304, true)));
        let policy = settings.backoff_policy.clone().unwrap();
        assert_eq!(policy.max_attempts, 3);
        assert_eq!(policy.strategy, Some(growing(10, 1_000, 2.0)));
        assert!(!settings.metric.as_ref().unwrap().on);
        assert_eq!(settings.request_timeout, sent.request_timeout);
        assert_eq!(settings.client_type, sent.client_type);
    }

    #[test]
    fn consumers_get_what_their_group_has() {
        let sent = sent(
            ClientType::PushConsumer,
            PubSub::Subscription(Subscription::default()),
        );
        let limits = Limits::default();
        let settings = consumer_settings(sent.clone(), &GroupSettings::default(), &limits);
        let Some(PubSub::Subscription(subscription)) = settings.pub_sub else {
            panic!("{settings:?}");
        };
        assert_eq!(subscription.fifo, Some(false));
        assert_eq!(subscription.receive_batch_size, Some(32));
        assert_eq!(
            subscription.long_polling_timeout,
            Some(Duration::from_millis(20_000))
        );
        assert_eq!(subscription.max_lite_topic_size, Some(64));
        let policy = settings.backoff_policy.unwrap();
        assert_eq!(policy.max_attempts, 17);
        let Some(RetryStrategy::CustomizedBackoff(times)) = policy.strategy else {
            panic!("{policy:?}");
        };
        assert_eq!(times.next.len(), 18);
        assert_eq!(times.next[17], Duration::from_millis(7_200_000));

        let group = GroupSettings {
            fifo: true,
            max_attempts: 4,
            retry: RetryTimes::Growing {
                initial: 5_000,
                max: 60_000,
                multiplier: 1.5,
            },
            lite_quota: 7,
        };
        let settings = consumer_settings(sent, &group, &limits);
        let Some(PubSub::Subscription(subscription)) = settings.pub_sub else {
            panic!("{settings:?}");
        };
        assert_eq!(subscription.fifo, Some(true));
        assert_eq!(subscription.lite_subscription_quota, Some(7));
        let policy = settings.backoff_policy.unwrap();
        assert_eq!(policy.strategy, Some(growing(5_000, 60_000, 1.5)));
        assert_eq!(policy.max_attempts, 4);
    }
}
