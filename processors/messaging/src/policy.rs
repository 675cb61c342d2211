//! What can be set about what clients ask of a cluster, and how long a broker may take.

use std::time::Duration;

use tokio::time::Instant;

/// Kinds of requests by how long clients wait for an answer; [`Policy`] has the times. A
/// request is answered a little before its client gives up, because a Java client that waits in vain
/// closes its connection, and with it all of its long polls. A pull names its time itself.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Patience {
    /// What the broker asks another client first, for which it has 10 s. Tools of Java wait 5 s unless set otherwise; a
    /// broker that is asked directly answers no sooner.
    Client,
    /// What Java waits 3 s for (`ClientConfig.mqClientApiTimeout`; `ASYNC_TIMEOUT` of `DefaultMQPushConsumerImpl`).
    ///
    /// For an assignment it waits 1 s, then 2 s, then 3 s (`RebalanceImpl.tryQueryAssignment`). Silence has it ask again, and
    /// any error has it divide queues by itself from then on: so it is not answered sooner.
    General,
    /// Java waits 1 s for a lock (`MQClientAPIImpl.lockBatchMQ` as it is called by `RebalanceImpl.lock`).
    Lock,
    /// What Java waits 5 s for (offsets, messages sent back, `DefaultMQAdminExt`) or 6 s (`MQAdminImpl`).
    Offset,
    /// A search in the brokers' indexes: Java waits 18 s (`MQAdminImpl.queryMessage`).
    Search,
    /// A send: Java waits 3 s in all (`DefaultMQProducer.sendMsgTimeout`).
    Send,
}

/// How long a broker may take for what it asks another client: it waits 10 s for that (`Broker2Client.callClient` in the
/// reference), and answers then.
const CLIENT_TIME: Duration = Duration::from_secs(11);

/// How long a broker may take to search its index. Java waits 18 s (`MQAdminImpl.queryMessage`).
const SEARCH_TIME: Duration = Duration::from_secs(16);

/// The longest wait of a long poll that is believed.
const WAIT_MAX: Duration = Duration::from_secs(600);

/// What a broker may take longer than a pull allowed it to wait for messages: it looks at those that wait
/// every 5 s (`PullRequestHoldService` in the reference). Java waits 10 to 15 s longer.
const PULL_MARGIN: Duration = Duration::from_secs(8);

/// What a broker may take for a pull that may not wait. Java waits 10 s.
const PULL_NO_WAIT: Duration = Duration::from_secs(9);

/// What a broker may take longer than a POP allowed it to wait for messages, by its clock and not by this one. Java waits
/// 10 s longer.
const POP_MARGIN: Duration = Duration::from_secs(5);

/// What can be set about what clients ask of a cluster.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Policy {
    /// How long a broker may take for most requests.
    pub general_time: Duration,
    /// How long a heartbeat that declares nothing new is answered without asking brokers. A client sends
    /// one per broker of its routes, all to one address.
    pub heartbeat_repeat: Duration,
    /// How long a heartbeat waits for brokers' answers. Below the 3 s that clients wait.
    pub heartbeat_time: Duration,
    /// How long a half message or a request waits until brokers know its producer.
    pub introduction_time: Duration,
    /// How long a broker may take to lock or unlock queues.
    pub lock_time: Duration,
    /// How long a broker may take for offsets and for messages sent back.
    pub offset_time: Duration,
    /// Most requests of one client that may be outstanding; with more, it is not read further. As many long polls; further
    /// ones are refused.
    pub outstanding_limit: usize,
    /// How long a pull waits until the broker knows its consumer.
    pub registration_time: Duration,
    /// Whether a message whose broker is unavailable goes to another broker of the topic.
    pub send_elsewhere: bool,
    /// How long a broker may take for a send.
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
            registration_time: Duration::from_secs(3),
            send_elsewhere: true,
            send_time: Duration::from_millis(2500),
        }
    }
}

impl Policy {
    /// How long a broker may take for such a request.
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

    /// What is left of the time for such a request that was read at `begun`; nothing if it is over.
    #[must_use]
    pub fn time_left(&self, patience: Patience, begun: Instant, now: Instant) -> Option<Duration> {
        let waited = now.saturating_duration_since(begun);
        let left = self.time(patience).saturating_sub(waited);
        (!left.is_zero()).then_some(left)
    }
}

/// How long a broker may take for a pull that allows it to wait for messages that many milliseconds, or not at all.
#[must_use]
pub fn pull_time(wait: Option<i64>) -> Duration {
    let Some(wait) = wait else {
        return PULL_NO_WAIT;
    };
    let wait = u64::try_from(wait).unwrap_or_default();
    Duration::from_millis(wait).min(WAIT_MAX) + PULL_MARGIN
}

/// How long a broker may take for a POP that was made at `born` by the client's clock, when it is `now` by this one, and
/// allows it to wait for messages for `wait`: all in milliseconds, the first two since 1970. It answers at `born` + `wait` of
/// its own clock at the latest (`PopLongPollingService.polling` in the reference): the poll of a client whose clock is ahead
/// is kept longer by as much.
#[must_use]
pub fn pop_time(wait: i64, born: i64, now: i64) -> Duration {
    let ahead = born.saturating_sub(now).max(0);
    let wait = wait.max(0).saturating_add(ahead).unsigned_abs();
    Duration::from_millis(wait).min(WAIT_MAX) + POP_MARGIN
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
        // What cannot be believed.
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
    fn what_was_waited_counts() {
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
