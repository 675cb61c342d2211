//! Names of topics, groups and namespaces, and ids.

use super::{ensure, has_control, is_blank, shown};
use crate::error::CallError;
use crate::proto::{Code, Endpoints};

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
/// Most characters of a client id.
const CLIENT_ID: usize = 255;

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

fn name(what: &str, name: &str, most: usize, code: Code) -> Result<(), CallError> {
    ensure(!is_blank(name), code, || {
        format!("the {what} is empty: name one")
    })?;
    ensure(name.chars().count() <= most, code, || {
        format!(
            "the {what} has more than {most} characters: {}",
            shown(name)
        )
    })?;
    ensure(has_only_allowed(name), code, || {
        let name = shown(name);
        format!("the {what} may have letters, digits and %|_- only: {name}")
    })
}

/// A topic, with its namespace in front if it has one (`GrpcValidator.validateTopic`).
///
/// # Errors
/// ILLEGAL_TOPIC when it is empty, too long, has other characters, or is a broker's own.
pub fn topic(topic: &str) -> Result<(), CallError> {
    let code = Code::IllegalTopic;
    let is_group_topic = topic.starts_with("%RETRY%") || topic.starts_with("%DLQ%");
    let most = if is_group_topic { GROUP_TOPIC } else { TOPIC };
    name("topic", topic, most, code)?;
    let is_system = SYSTEM_TOPICS.contains(&topic) || topic.starts_with(SYSTEM_TOPIC_PREFIX);
    ensure(!is_system, code, || {
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
/// ILLEGAL_CONSUMER_GROUP when it is empty, too long, has other characters, or is a broker's own.
pub fn group(group: &str) -> Result<(), CallError> {
    let code = Code::IllegalConsumerGroup;
    name("consumer group", group, GROUP, code)?;
    ensure(!group.starts_with(SYSTEM_GROUP_PREFIX), code, || {
        format!(
            "{} is a group of the brokers' own: use another",
            shown(group)
        )
    })
}

/// A namespace, which may be empty. It has no `%`, which stands behind it in names.
///
/// # Errors
/// BAD_REQUEST when it is too long or has other characters. The Java proxy does not look at it.
pub fn namespace(namespace: &str) -> Result<(), CallError> {
    let is_right = namespace.len() <= NAMESPACE
        && has_only_allowed(namespace)
        && !namespace.contains(['%', '|']);
    ensure(is_right, Code::BadRequest, || {
        let namespace = shown(namespace);
        format!("the namespace may have {NAMESPACE} letters, digits and _- at most: {namespace}")
    })
}

/// The client's id, of the header `x-mq-client-id`.
///
/// # Errors
/// CLIENT_ID_REQUIRED when there is none; BAD_REQUEST when it is too long or has control
/// characters, which the Java proxy does not look at: the id is shown by consoles and stands in log
/// lines.
pub fn client_id(client_id: Option<&str>) -> Result<&str, CallError> {
    let client_id = client_id.unwrap_or_default();
    ensure(!is_blank(client_id), Code::ClientIdRequired, || {
        "the header x-mq-client-id is missing: send it with every call".to_owned()
    })?;
    let is_right = client_id.chars().count() <= CLIENT_ID && !has_control(client_id);
    ensure(is_right, Code::BadRequest, || {
        format!(
            "x-mq-client-id may have {CLIENT_ID} characters at most, and no control characters: {}",
            shown(client_id).escape_debug()
        )
    })?;
    Ok(client_id)
}

/// What EndTransaction names (`EndTransactionActivity`).
///
/// # Errors
/// INVALID_TRANSACTION_ID when there is nothing.
pub fn transaction_id(id: &str) -> Result<(), CallError> {
    ensure(!is_blank(id), Code::InvalidTransactionId, || {
        "the transaction id is empty: send the one that the answer to the send has".to_owned()
    })
}

/// The endpoints that a client was configured with.
///
/// # Errors
/// ILLEGAL_ACCESS_POINT when there are none, or a port is none, or a host is empty or too long.
pub fn endpoints(endpoints: Option<&Endpoints>) -> Result<&Endpoints, CallError> {
    /// Most bytes of a name in DNS.
    const HOST: usize = 253;
    let is_right = |endpoints: &&Endpoints| {
        let mut addresses = endpoints.addresses.iter();
        !endpoints.addresses.is_empty()
            && addresses.all(|address| {
                let host = &address.host;
                (1..=i32::from(u16::MAX)).contains(&address.port)
                    && (1..=HOST).contains(&host.len())
                    && !has_control(host)
            })
    };
    endpoints.filter(is_right).ok_or_else(|| {
        CallError::new(
            Code::IllegalAccessPoint,
            "the endpoints are missing, or a host or port of theirs is none: send those that the \
             client connects to",
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::proto::Address;

    fn code(result: Result<(), CallError>) -> Option<Code> {
        result.err().map(|error| error.code)
    }

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
            assert_eq!(code(topic(wrong)), Some(Code::IllegalTopic), "{wrong}");
        }
        assert!(topic(&longer).unwrap_err().message.len() < 200);
    }

    #[test]
    fn groups_are_checked() {
        let long = "g".repeat(GROUP);
        for right in ["G", "ns%G", &long] {
            assert_eq!(group(right), Ok(()), "{right}");
        }
        let longer = format!("{long}g");
        for wrong in ["", "a b", &longer, "CID_RMQ_SYS_TRANS"] {
            assert_eq!(
                code(group(wrong)),
                Some(Code::IllegalConsumerGroup),
                "{wrong}"
            );
        }
    }

    #[test]
    fn namespaces_are_checked() {
        let long = "n".repeat(NAMESPACE);
        for right in ["", "MQ_INST-1", &long] {
            assert_eq!(namespace(right), Ok(()), "{right}");
        }
        for wrong in ["a%b", "a|b", " ", &format!("{long}n")] {
            assert_eq!(code(namespace(wrong)), Some(Code::BadRequest), "{wrong}");
        }
    }

    #[test]
    fn ids_are_checked() {
        assert_eq!(
            client_id(Some("vm@22903@0@2qst9eyps")),
            Ok("vm@22903@0@2qst9eyps")
        );
        let long = "c".repeat(CLIENT_ID);
        assert!(client_id(Some(&long)).is_ok());
        for (wrong, expected) in [
            (None, Code::ClientIdRequired),
            (Some(" "), Code::ClientIdRequired),
            (Some("a\nb"), Code::BadRequest),
            (Some(&*format!("{long}c")), Code::BadRequest),
        ] {
            assert_eq!(client_id(wrong).unwrap_err().code, expected);
        }
        assert_eq!(transaction_id("x"), Ok(()));
        assert_eq!(code(transaction_id(" ")), Some(Code::InvalidTransactionId));
    }

    #[test]
    fn endpoints_are_checked() {
        let of = |host: &str, port| Endpoints {
            scheme: 0,
            addresses: vec![Address {
                host: host.to_owned(),
                port,
            }],
        };
        for right in [of("h", 1), of("::1", 65535), of(&"h".repeat(253), 8081)] {
            assert_eq!(endpoints(Some(&right)), Ok(&right));
        }
        let none = Endpoints::default();
        for wrong in [
            of("h", 0),
            of("h", 65536),
            of("", 1),
            of(&"h".repeat(254), 1),
            none,
        ] {
            let error = endpoints(Some(&wrong)).unwrap_err();
            assert_eq!(error.code, Code::IllegalAccessPoint);
        }
        assert!(endpoints(None).is_err());
    }
}
