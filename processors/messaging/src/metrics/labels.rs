//! Topics and groups as label values.

use std::collections::HashMap;

/// The label value of topics and groups that have none of their own.
pub const OTHER: &str = "other";

/// The most names that have label values of their own: with the two others, their numbers have 12
/// bits.
const LABELS_MAX: usize = 4094;

/// The topics or groups that have label values of their own, by number. 0 stands for all others,
/// and 1 for RocketMQ's own among them.
#[derive(Debug)]
pub struct Labels {
    names: Vec<Box<str>>,
    numbers: HashMap<Box<str>, u16>,
    is_system: fn(&str) -> bool,
}

impl Labels {
    /// The labels of these topics, as far as there is room for them.
    #[must_use]
    pub fn of_topics(names: &[String]) -> Self {
        Self::new(names, is_system_topic)
    }

    /// The labels of these consumer groups.
    #[must_use]
    pub fn of_groups(names: &[String]) -> Self {
        Self::new(names, is_system_group)
    }

    fn new(names: &[String], is_system: fn(&str) -> bool) -> Self {
        let names: Vec<Box<str>> = names
            .iter()
            .take(LABELS_MAX)
            .map(|n| (**n).into())
            .collect();
        let numbered = names.iter().cloned().zip(2..);
        Self {
            numbers: numbered.collect(),
            names,
            is_system,
        }
    }

    /// The number of a name, below 4,096.
    #[must_use]
    pub fn number(&self, name: &str) -> u16 {
        let own = self.numbers.get(name).copied();
        own.unwrap_or_else(|| u16::from((self.is_system)(name)))
    }

    /// The label value of a name, and whether the name is RocketMQ's own.
    #[must_use]
    pub fn of<'a>(&'a self, name: &'a str) -> (&'a str, bool) {
        let is_own = self.numbers.contains_key(name);
        (if is_own { name } else { OTHER }, (self.is_system)(name))
    }

    /// All values by number, each with whether it is RocketMQ's own.
    pub fn values(&self) -> impl Iterator<Item = (&str, bool)> {
        let own = self.names.iter();
        [(OTHER, false), (OTHER, true)]
            .into_iter()
            .chain(own.map(|name| (&**name, (self.is_system)(name))))
    }

    pub(super) fn len(&self) -> usize {
        self.names.len() + 2
    }
}

/// Whether a topic is RocketMQ's own (`TopicValidator.isSystemTopic`).
fn is_system_topic(topic: &str) -> bool {
    const NAMED: [&str; 10] = [
        "RMQ_SYS_TRACE_TOPIC",
        "RMQ_SYS_TRANS_HALF_TOPIC",
        "RMQ_SYS_TRANS_OP_HALF_TOPIC",
        "TBW102",
        "SCHEDULE_TOPIC_XXXX",
        "BenchmarkTest",
        "TRANS_CHECK_MAX_TIME_TOPIC",
        "SELF_TEST_TOPIC",
        "OFFSET_MOVED_EVENT",
        "CHECKPOINT_TOPIC",
    ];
    // Most topics begin with another letter.
    matches!(
        topic.as_bytes(),
        [b'r' | b'R' | b'T' | b'S' | b'B' | b'O' | b'C', ..]
    ) && (topic.starts_with("rmq_sys_") || NAMED.contains(&topic))
}

/// Whether a consumer group is RocketMQ's own (`BrokerMetricsManager.isSystemGroup`).
fn is_system_group(group: &str) -> bool {
    const PREFIX: &str = "CID_RMQ_SYS_";
    let start = group.get(..PREFIX.len());
    start.is_some_and(|start| start.eq_ignore_ascii_case(PREFIX))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn topics_and_groups_of_rocketmq_itself_are_known() {
        let topics = Labels::of_topics(&["RMQ_SYS_TRACE_TOPIC".to_owned()]);
        assert_eq!(
            topics.of("RMQ_SYS_TRACE_TOPIC"),
            ("RMQ_SYS_TRACE_TOPIC", true)
        );
        assert_eq!(topics.of("rmq_sys_wheel_timer"), (OTHER, true));
        assert_eq!(topics.of("orders"), (OTHER, false));
        let groups = Labels::of_groups(&[]);
        assert_eq!(groups.of("CID_RMQ_SYS_TRANS"), (OTHER, true));
        assert_eq!(groups.of("CID_ORDERS"), (OTHER, false));
    }
}
