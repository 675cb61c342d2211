//! The settings of requests to a cluster, and the timeouts of brokers' answers.

use std::time::Duration;

use tokio::time::Instant;

/// The kinds of requests by how long clients wait for an answer; [`Policy`] has the timeouts.
/// Remora answers a little before its client gives up, because a Java client whose request times
/// out closes its connection, and with it all of its long polls. A pull carries its own timeout.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Patience {
    /// Requests that the broker first passes to another client, for which it waits 10 s. Java tools
    /// wait 5 s by default; without a proxy the broker would answer no sooner.
    Client,
    /// Requests for which Java waits 3 s (`ClientConfig.mqClientApiTimeout`; `ASYNC_TIMEOUT` of
    /// `DefaultMQPushConsumerImpl`).
    ///
    /// For an assignment, Java waits 1 s, then 2 s, then 3 s (`RebalanceImpl.tryQueryAssignment`).
    /// After a timeout it asks again. After an error it divides the queues by itself from then on,
    /// so Remora does not answer an error sooner.
    General,
    /// Locks: Java waits 1 s (`MQClientAPIImpl.lockBatchMQ` as called by `RebalanceImpl.lock`).
    Lock,
    /// Requests for which Java waits 5 s (offsets, messages sent back, `DefaultMQAdminExt`) or 6 s
    /// (`MQAdminImpl`).
    Offset,
    /// A search in the brokers' indexes: Java waits 18 s (`MQAdminImpl.queryMessage`).
    Search,
    /// A send: Java waits 3 s in all (`DefaultMQProducer.sendMsgTimeout`).
    Send,
}

/// The timeout of a request that the broker passes to another client: it waits 10 s for that client
/// (`Broker2Client.callClient` in the reference), and answers then.
const CLIENT_TIME: Duration = Duration::from_secs(11);

/// The timeout of a search in the broker's index. Java waits 18 s (`MQAdminImpl.queryMessage`).
const SEARCH_TIME: Duration = Duration::from_secs(16);

/// The longest wait of a long poll that is accepted.
const WAIT_MAX: Duration = Duration::from_secs(600);

/// The time that a broker gets in addition to a pull's own wait: it checks waiting pulls every 5 s
/// (`PullRequestHoldService` in the reference). Java waits 10 to 15 s longer.
const PULL_MARGIN: Duration = Duration::from_secs(8);

/// The timeout of a pull that may not wait. Java waits 10 s.
const PULL_NO_WAIT: Duration = Duration::from_secs(9);

/// The time that a broker gets in addition to a POP's own wait, which it measures by its own clock.
/// Java waits 10 s longer.
const POP_MARGIN: Duration = Duration::from_secs(5);

/// The settings of requests to a cluster.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Policy {
    /// The timeout of most requests.
    pub general_time: Duration,
    /// How long heartbeats that declare nothing new are answered without being relayed. A client
    /// sends one per broker of its routes, all to one address.
    pub heartbeat_repeat: Duration,
    /// How long a heartbeat waits for brokers' answers: less than the 3 s that clients wait.
    pub heartbeat_time: Duration,
    /// How long a half message or a request waits until brokers know its producer.
    pub introduction_time: Duration,
    /// The timeout of locking and unlocking queues.
    pub lock_time: Duration,
    /// The timeout of requests about offsets and of messages sent back.
    pub offset_time: Duration,
    /// The most requests of one client that may be outstanding; above it, the client is not read
    /// further. The same number of long polls is allowed; further ones are refused.
    pub outstanding_limit: usize,
    /// Whether consumers of other protocols are refused in a group that has consumers of the
    /// remoting protocol.
    pub refuses_mixed_groups: bool,
    /// How long a pull waits until the broker knows its consumer.
    pub registration_time: Duration,
    /// Whether a message whose broker is unavailable goes to another broker of the topic.
    pub send_elsewhere: bool,
    /// The timeout of a broker's answer to a send.
    pub send_time: Duration,
}

impl Default for Policy {
    fn default() -> Self {
        Self {
            general_time: Duration::from_millis(2500),
            heartbeat_repeat: Duration::from_secs(5),
            heartbeat_time: Duration::from_secs(2),
            introduction_time: Duration::from_secs(1),
            lock_time: Duration::from_millis(800),
            offset_time: Duration::from_millis(4500),
            outstanding_limit: 16 * 1024,
            refuses_mixed_groups: false,
            registration_time: Duration::from_secs(3),
            send_elsewhere: true,
            send_time: Duration::from_millis(2500),
        }
    }
}

impl Policy {
    /// The timeout of such a request.
    #[must_use]
    pub fn time(&self, patience: Patience) -> Duration {
        match patience {
            Patience::Client => CLIENT_TIME,
            Patience::General => self.general_time,
            Patience::Lock => self.lock_time,
            Patience::Offset => self.offset_time,
            Patience::Search => SEARCH_TIME,
            Patience::Send => self.send_time,
        }
    }

    /// The time that is left for such a request that was read at `begun`; `None` if it has timed
    /// out.
    #[must_use]
    pub fn time_left(&self, patience: Patience, begun: Instant, now: Instant) -> Option<Duration> {
        let waited = now.saturating_duration_since(begun);
        let left = self.time(patience).saturating_sub(waited);
        (!left.is_zero()).then_some(left)
    }
}

/// The timeout of a pull that allows the broker to wait for messages for that many milliseconds, or
/// not at all.
#[must_use]
pub fn pull_time(wait: Option<i64>) -> Duration {
    let Some(wait) = wait else {
        return PULL_NO_WAIT;
    };
    let wait = u64::try_from(wait).unwrap_or_default();
    Duration::from_millis(wait).min(WAIT_MAX) + PULL_MARGIN
}

/// The timeout of a POP that was sent at `born` by the client's clock, and that allows the broker
/// to wait for messages for `wait`; `now` is the time by this clock. All are in milliseconds,
/// `born` and `now` since 1970. The broker answers at `born` + `wait` of its own clock at the
/// latest (`PopLongPollingService.polling` in the reference). If the client's clock is ahead, the
/// poll is kept longer by that difference.
#[must_use]
pub fn pop_time(wait: i64, born: i64, now: i64) -> Duration {
    let ahead = born.saturating_sub(now).max(0);
    let wait = wait.max(0).saturating_add(ahead).unsigned_abs();
    Duration::from_millis(wait).min(WAIT_MAX) + POP_MARGIN
}

/// That time, or what is left of it until the deadline.
#[must_use]
pub fn at_most(time: Duration, deadline: Option<Instant>) -> Duration {
    let left = deadline.map(|deadline| deadline.saturating_duration_since(Instant::now()));
    left.map_or(time, |left| left.min(time))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_poll_is_kept_until_the_broker_answers_it() {
        let seconds = |wait, born| (pop_time(wait, born, 1_000_000) - POP_MARGIN).as_secs();
        assert_eq!(seconds(15_000, 1_000_000), 15);
        // The client's clock is behind: the broker answers sooner.
        assert_eq!(seconds(15_000, 900_000), 15);
        assert_eq!(seconds(15_000, 1_008_000), 23);
        assert_eq!(seconds(0, 1_008_000), 8);
        // Values that are not accepted.
        assert_eq!(seconds(15_000, i64::MAX), 600);
        assert_eq!(seconds(i64::MAX, 1_008_000), 600);
        assert_eq!(seconds(-1, 0), 0);
        assert_eq!(seconds(0, i64::MIN), 0);
    }

    #[test]
    fn a_pull_is_kept_for_as_long_as_it_allows() {
        assert_eq!(pull_time(None), PULL_NO_WAIT);
        assert_eq!(pull_time(Some(15_000)).as_secs(), 23);
        assert_eq!(pull_time(Some(-1)), PULL_MARGIN);
        assert_eq!(pull_time(Some(i64::MAX)), WAIT_MAX + PULL_MARGIN);
    }

    #[test]
    fn elapsed_time_counts() {
        let policy = Policy::default();
        let (begun, time) = (Instant::now(), policy.time(Patience::Send));
        let left = |waited| policy.time_left(Patience::Send, begun, begun + waited);
        let second = Duration::from_secs(1);
        assert_eq!(left(second), Some(time - second));
        assert_eq!(left(time), None);
        assert_eq!(left(time + second), None);
        assert_eq!(
            policy.time_left(Patience::Send, begun + second, begun),
            Some(time)
        );
    }
}
