//! Names of topics, groups and namespaces.

use remoting_codec::message::is_group_topic;

use super::{ensure, is_blank, shown};
use crate::error::{MessagingError, Part};

/// Most characters of a topic (`Validators.TOPIC_MAX_LENGTH`).
const TOPIC: usize = 127;
/// Most characters of a topic of retries or of dead letters, for the group's name is in it
/// (`TopicValidator.RETRY_OR_DLQ_TOPIC_MAX_LENGTH`). The Java proxy has 127 for these too, which a
/// group within a namespace may exceed.
const GROUP_TOPIC: usize = 255;
/// Most characters of a group (`Validators.GROUP_MAX_LENGTH`).
const GROUP: usize = 120;
/// Most characters of a namespace.
const NAMESPACE: usize = 64;

/// What brokers keep for themselves (`TopicValidator.SYSTEM_TOPIC_SET` of 5.5.0).
const SYSTEM_TOPICS: [&str; 12] = [
    "TBW102",
    "SCHEDULE_TOPIC_XXXX",
    "BenchmarkTest",
    "RMQ_SYS_TRANS_HALF_TOPIC",
    "RMQ_SYS_TRACE_TOPIC",
    "RMQ_SYS_TRANS_OP_HALF_TOPIC",
    "TRANS_CHECK_MAX_TIME_TOPIC",
    "SELF_TEST_TOPIC",
    "OFFSET_MOVED_EVENT",
    "CHECKPOINT_TOPIC",
    "RMQ_SYS_ROCKSDB_TRANS_HALF_TOPIC",
    "RMQ_SYS_ROCKSDB_TRANS_OP_HALF_TOPIC",
];
/// In front of the names of further such topics (`TopicValidator.SYSTEM_TOPIC_PREFIX`).
const SYSTEM_TOPIC_PREFIX: &str = "rmq_sys_";
/// In front of the names of brokers' own groups (`MixAll.CID_RMQ_SYS_PREFIX`).
const SYSTEM_GROUP_PREFIX: &str = "CID_RMQ_SYS_";

/// Whether all characters are those that topics and groups may have
/// (`TopicValidator.isTopicOrGroupIllegal`).
fn has_only_allowed(name: &str) -> bool {
    let is_allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"%|_-".contains(&byte);
    name.bytes().all(is_allowed)
}

fn name(what: &str, name: &str, most: usize, part: Part) -> Result<(), MessagingError> {
    ensure(!is_blank(name), part, || {
        format!("the {what} is empty: name one")
    })?;
    ensure(name.chars().count() <= most, part, || {
        format!(
            "the {what} has more than {most} characters: {}",
            shown(name)
        )
    })?;
    ensure(has_only_allowed(name), part, || {
        let name = shown(name);
        format!("the {what} may have letters, digits and %|_- only: {name}")
    })
}

/// A topic, with its namespace in front if it has one (`GrpcValidator.validateTopic`).
///
/// # Errors
/// [`Part::Topic`] when it is empty, too long, has other characters, or is a broker's own.
pub fn topic(topic: &str) -> Result<(), MessagingError> {
    let part = Part::Topic;
    let most = if is_group_topic(topic) {
        GROUP_TOPIC
    } else {
        TOPIC
    };
    name("topic", topic, most, part)?;
    let is_system = SYSTEM_TOPICS.contains(&topic) || topic.starts_with(SYSTEM_TOPIC_PREFIX);
    ensure(!is_system, part, || {
        format!(
            "{} is a topic of the brokers' own: use another",
            shown(topic)
        )
    })
}

/// A consumer group, with its namespace in front if it has one
/// (`GrpcValidator.validateConsumerGroup`).
///
/// # Errors
/// [`Part::Group`] when it is empty, too long, has other characters, or is a broker's own.
pub fn group(group: &str) -> Result<(), MessagingError> {
    let part = Part::Group;
    name("consumer group", group, GROUP, part)?;
    ensure(!group.starts_with(SYSTEM_GROUP_PREFIX), part, || {
        format!(
            "{} is a group of the brokers' own: use another",
            shown(group)
        )
    })
}

/// A namespace, which may be empty. It has no `%`, which stands behind it in names.
///
/// # Errors
/// [`Part::Namespace`] when it is too long or has other characters. The Java proxy does not look at
/// it.
pub fn namespace(namespace: &str) -> Result<(), MessagingError> {
    let is_right = namespace.len() <= NAMESPACE
        && has_only_allowed(namespace)
        && !namespace.contains(['%', '|']);
    ensure(is_right, Part::Namespace, || {
        let namespace = shown(namespace);
        format!("the namespace may have {NAMESPACE} letters, digits and _- at most: {namespace}")
    })
}

#[cfg(test)]
mod tests {
    use super::super::tests::part;
    use super::*;

    #[test]
    fn topics_are_checked() {
        let long = "t".repeat(TOPIC);
        let long_retry = format!("%RETRY%{}", "t".repeat(GROUP_TOPIC - 7));
        for right in ["T", "ns%T", "%DLQ%G", "a-b_c|d%9", &long, &long_retry] {
            assert_eq!(topic(right), Ok(()), "{right}");
        }
        let (longer, longer_retry) = (format!("{long}t"), format!("{long_retry}t"));
        for wrong in [
            "",
            " \t",
            "a b",
            "a.b",
            "ä",
            "a+b",
            "T\0",
            &longer,
            &longer_retry,
            "TBW102",
            "rmq_sys_x",
            "RMQ_SYS_ROCKSDB_TRANS_HALF_TOPIC",
        ] {
            assert_eq!(part(topic(wrong)), Some(Part::Topic), "{wrong}");
        }
        assert!(topic(&longer).unwrap_err().text().len() < 200);
    }

    #[test]
    fn groups_are_checked() {
        let long = "g".repeat(GROUP);
        for right in ["G", "ns%G", &long] {
            assert_eq!(group(right), Ok(()), "{right}");
        }
        let longer = format!("{long}g");
        for wrong in ["", "a b", &longer, "CID_RMQ_SYS_TRANS"] {
            assert_eq!(part(group(wrong)), Some(Part::Group), "{wrong}");
        }
    }

    #[test]
    fn namespaces_are_checked() {
        let long = "n".repeat(NAMESPACE);
        for right in ["", "MQ_INST-1", &long] {
            assert_eq!(namespace(right), Ok(()), "{right}");
        }
        for wrong in ["a%b", "a|b", " ", &format!("{long}n")] {
            assert_eq!(part(namespace(wrong)), Some(Part::Namespace), "{wrong}");
        }
    }
}
