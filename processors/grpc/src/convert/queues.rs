//! Where a topic is, as clients see it (`RouteActivity`): brokers by name, all at the proxy's own
//! addresses.

use messaging::MessageKind;
use messaging::check::TopicType;
use messaging::queues::{READ, WRITE, broker_of, readable};
use remoting_codec::body::{QueueData, TopicRouteData};

use super::endpoints;
use crate::error::CallError;
use crate::proto::{
    Assignment, Broker, Code, Endpoints, MessageQueue, MessageType, Permission, Resource,
};

/// How clients get to a topic's brokers.
#[derive(Clone, Copy, Debug)]
pub struct BrokerAt<'a> {
    /// The topic, as the client has named it.
    pub topic: &'a Resource,
    /// The addresses that the client uses, or the listener advertises.
    pub endpoints: &'a Endpoints,
}

impl BrokerAt<'_> {
    fn broker(&self, name: &str, id: i64) -> Broker {
        Broker {
            name: name.to_owned(),
            id: i32::try_from(id).unwrap_or(i32::MAX),
            endpoints: Some(endpoints::answered(self.endpoints)),
        }
    }

    fn queue(&self, broker: Broker, id: i32, permission: Permission) -> MessageQueue {
        MessageQueue {
            topic: Some(self.topic.clone()),
            id,
            permission: permission.into(),
            broker: Some(broker),
            accept_message_types: Vec::new(),
        }
    }
}

/// Most queues of a broker that an answer lists; a route with more is broken.
const MAX_QUEUES: i32 = 1 << 16;

/// How many queues of a broker can be read only, written only, both, neither.
fn counts(queues: &QueueData) -> [(i32, Permission); 4] {
    let read = queues.read_queue_nums.clamp(0, MAX_QUEUES);
    let write = queues.write_queue_nums.clamp(0, MAX_QUEUES);
    let (is_readable, is_writable) = (queues.perm & READ != 0, queues.perm & WRITE != 0);
    let (read_only, write_only, both, none) = match (is_readable, is_writable) {
        (true, true) => (
            read - read.min(write),
            write - read.min(write),
            read.min(write),
            0,
        ),
        (true, false) => (read, 0, 0, 0),
        (false, true) => (0, write, 0, 0),
        (false, false) => (0, 0, 0, read.max(write).max(1)),
    };
    [
        (read_only, Permission::Read),
        (write_only, Permission::Write),
        (both, Permission::ReadWrite),
        (none, Permission::None),
    ]
}

/// A message's kind in the protocol.
#[must_use]
pub fn message_type(kind: MessageKind) -> MessageType {
    match kind {
        MessageKind::Normal => MessageType::Normal,
        MessageKind::Fifo => MessageType::Fifo,
        MessageKind::Delay => MessageType::Delay,
        MessageKind::Transaction => MessageType::Transaction,
        MessageKind::Priority => MessageType::Priority,
        MessageKind::Lite => MessageType::Lite,
    }
}

/// The types of messages that a topic takes. One whose type is not known takes those of an
/// unspecified one, as clients know it.
fn accepted(topic_type: TopicType) -> Vec<i32> {
    match topic_type.accepted() {
        [] => vec![MessageType::Unspecified.into()],
        kinds => kinds
            .iter()
            .map(|kind| message_type(*kind).into())
            .collect(),
    }
}

/// All queues of a topic: one entry for each queue and each of its broker's masters and slaves.
/// Those that can only be read have the lower numbers, as in the Java proxy: clients look at the
/// permission, and send no queue's number.
#[must_use]
pub fn message_queues(
    route: &TopicRouteData,
    topic_type: TopicType,
    at: &BrokerAt<'_>,
) -> Vec<MessageQueue> {
    let accepted = accepted(topic_type);
    let mut all = Vec::new();
    for queues in &route.queue_datas {
        let Some(broker) = broker_of(route, queues) else {
            continue;
        };
        for id in broker.broker_addrs.keys() {
            let broker = at.broker(&broker.broker_name, *id);
            let permissions = counts(queues)
                .into_iter()
                .flat_map(|(count, permission)| (0..count).map(move |_| permission));
            let numbered = (0..).zip(permissions);
            all.extend(numbered.map(|(number, permission)| MessageQueue {
                accept_message_types: accepted.clone(),
                ..at.queue(broker.clone(), number, permission)
            }));
        }
    }
    all
}

/// What a push consumer should receive from: any queue of each readable broker, or each queue by
/// itself where the group consumes in order. A broker without a master is asked through a slave.
///
/// # Errors
/// FORBIDDEN when nothing can be read.
pub fn assignments(
    route: &TopicRouteData,
    is_fifo: bool,
    at: &BrokerAt<'_>,
) -> Result<Vec<Assignment>, CallError> {
    let mut all = Vec::new();
    for queues in readable(route) {
        let ids = broker_of(route, queues).map(|broker| broker.broker_addrs.keys());
        let Some(id) = ids.and_then(|mut ids| ids.next()) else {
            continue;
        };
        let permission = match queues.perm & WRITE {
            0 => Permission::Read,
            _ => Permission::ReadWrite,
        };
        let broker = at.broker(&queues.broker_name, *id);
        let numbers = match is_fifo {
            true => 0..queues.read_queue_nums.min(MAX_QUEUES),
            false => -1..0,
        };
        all.extend(numbers.map(|number| Assignment {
            message_queue: Some(at.queue(broker.clone(), number, permission)),
        }));
    }
    match all.is_empty() {
        false => Ok(all),
        true => Err(CallError::new(
            Code::Forbidden,
            "no readable queue: the topic's permission or its brokers do not allow to receive",
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::proto::Address;

    fn route(queues: &str) -> TopicRouteData {
        let text = format!(
            r#"{{"brokerDatas":[
                {{"brokerAddrs":{{"0":"10.0.0.1:10911","1":"10.0.0.2:10911"}},"brokerName":"a"}},
                {{"brokerAddrs":{{"2":"10.0.0.3:10911"}},"brokerName":"b"}}
            ],"queueDatas":[{queues}]}}"#
        );
        TopicRouteData::decode(text.as_bytes()).unwrap()
    }

    fn queues(broker: &str, perm: i32, read: i32, write: i32) -> String {
        format!(
            r#"{{"brokerName":"{broker}","perm":{perm},"readQueueNums":{read},"writeQueueNums":{write}}}"#
        )
    }

    fn with<T>(test: impl FnOnce(&BrokerAt<'_>) -> T) -> T {
        let topic = Resource {
            resource_namespace: "ns".to_owned(),
            name: "T".to_owned(),
        };
        let endpoints = Endpoints {
            scheme: 0,
            addresses: vec![Address {
                host: "remora.example".to_owned(),
                port: 8081,
            }],
        };
        test(&BrokerAt {
            topic: &topic,
            endpoints: &endpoints,
        })
    }

    /// Broker, broker's id, queue's number, permission.
    fn shown(queue: &MessageQueue) -> (&str, i32, i32, Permission) {
        let broker = queue.broker.as_ref().unwrap();
        (&broker.name, broker.id, queue.id, queue.permission())
    }

    #[test]
    fn queues_are_listed_for_each_master_and_slave() {
        let route = route(&queues("a", 6, 3, 2));
        let all = with(|at| message_queues(&route, TopicType::Fifo, at));
        let expected = [0, 1].map(|id| {
            [
                ("a", id, 0, Permission::Read),
                ("a", id, 1, Permission::ReadWrite),
                ("a", id, 2, Permission::ReadWrite),
            ]
        });
        assert_eq!(all.iter().map(shown).collect::<Vec<_>>(), expected.concat());
        let queue = &all[0];
        assert_eq!(queue.accept_message_types, [i32::from(MessageType::Fifo)]);
        assert_eq!(queue.topic.as_ref().unwrap().resource_namespace, "ns");
        let endpoints = queue.broker.as_ref().unwrap().endpoints.as_ref().unwrap();
        assert_eq!(endpoints.scheme, 3);
        assert_eq!(endpoints.addresses[0].port, 8081);
    }

    #[test]
    fn permissions_decide_which_queues_there_are() {
        for (perm, read, write, expected) in [
            (6, 1, 2, &[Permission::Write, Permission::ReadWrite][..]),
            (4, 2, 5, &[Permission::Read, Permission::Read]),
            (2, 5, 1, &[Permission::Write]),
            (0, 0, 0, &[Permission::None]),
            (1, 1, 2, &[Permission::None, Permission::None]),
            (6, -1, -1, &[]),
        ] {
            let route = route(&queues("b", perm, read, write));
            let all = with(|at| message_queues(&route, TopicType::Normal, at));
            let found = all.iter().map(|queue| shown(queue).3);
            assert_eq!(found.collect::<Vec<_>>(), expected, "{perm} {read} {write}");
        }
        let huge = route(&queues("b", 4, i32::MAX, 0));
        let all = with(|at| message_queues(&huge, TopicType::Normal, at));
        assert_eq!(all.len(), 1 << 16);
    }

    #[test]
    fn assignments_are_for_any_queue_or_each() {
        let list = [
            queues("a", 6, 2, 2),
            queues("b", 4, 1, 1),
            queues("gone", 6, 2, 2),
        ];
        let route = route(&list.join(","));
        let assigned = |is_fifo| {
            let all = with(|at| assignments(&route, is_fifo, at)).unwrap();
            let queues = all.iter().map(|each| each.message_queue.as_ref().unwrap());
            let shown = queues.map(|queue| {
                let (broker, id, number, permission) = shown(queue);
                (broker.to_owned(), id, number, permission)
            });
            shown.collect::<Vec<_>>()
        };
        let entry =
            |broker: &str, id, number, permission| (broker.to_owned(), id, number, permission);
        assert_eq!(
            assigned(false),
            [
                entry("a", 0, -1, Permission::ReadWrite),
                entry("b", 2, -1, Permission::Read),
            ]
        );
        assert_eq!(
            assigned(true),
            [
                entry("a", 0, 0, Permission::ReadWrite),
                entry("a", 0, 1, Permission::ReadWrite),
                entry("b", 2, 0, Permission::Read),
            ]
        );
    }

    #[test]
    fn what_cannot_be_read_is_not_assigned() {
        for queues in [queues("a", 2, 2, 2), queues("a", 6, 0, 2), String::new()] {
            let route = route(&queues);
            let error = with(|at| assignments(&route, false, at)).unwrap_err();
            assert_eq!(error.code, Code::Forbidden);
        }
    }
}
