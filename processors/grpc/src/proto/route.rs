//! Topics, groups, queues and where they are: QueryRoute and QueryAssignment.

use super::declare::{enumeration, message};
use super::{MessageType, Status};

message! {
    /// A topic or a consumer group.
    pub struct Resource {
        /// The namespace that the name is in; empty for none.
        resource_namespace: String = string(1),
        /// The name within the namespace.
        name: String = string(2),
    }
}

enumeration! {
    /// The language of a filter.
    pub enum FilterType {
        /// None: as tags.
        Unspecified = 0 "FILTER_TYPE_UNSPECIFIED",
        /// Tags with `||` between them, or `*`.
        Tag = 1 "TAG",
        /// SQL92 over the message's properties.
        Sql = 2 "SQL",
    }
}

message! {
    /// Which of a topic's messages a consumer wants.
    pub struct FilterExpression {
        /// What the expression is written in.
        r#type: i32 = enumeration<FilterType>(1),
        /// The expression.
        expression: String = string(2),
    }
}

message! {
    /// A topic that a consumer has subscribed to.
    pub struct SubscriptionEntry {
        /// The topic.
        topic: Option<Resource> = message(1, optional),
        /// Which of its messages.
        expression: Option<FilterExpression> = message(2, optional),
    }
}

enumeration! {
    /// What the hosts of [`Endpoints`] are. C++ does not start without one.
    pub enum AddressScheme {
        /// Unknown.
        Unspecified = 0 "ADDRESS_SCHEME_UNSPECIFIED",
        /// IPv4 addresses.
        Ipv4 = 1 "IPv4",
        /// IPv6 addresses, without brackets.
        Ipv6 = 2 "IPv6",
        /// A name. Clients take one address of this kind only.
        DomainName = 3 "DOMAIN_NAME",
    }
}

message! {
    /// Where something listens.
    pub struct Address {
        /// Address or name.
        host: String = string(1),
        /// TCP port.
        port: i32 = int32(2),
    }
}

message! {
    /// Several addresses of one server, or of several that are alike.
    pub struct Endpoints {
        /// What all the hosts are.
        scheme: i32 = enumeration<AddressScheme>(1),
        /// The addresses, one at least.
        addresses: Vec<Address> = message(2, repeated),
    }
}

message! {
    /// A broker as clients see it: its name, with the proxy's addresses.
    pub struct Broker {
        /// Its name, which calls repeat.
        name: String = string(1),
        /// 0 for the master, more for a slave.
        id: i32 = int32(2),
        /// Where clients send what is for it.
        endpoints: Option<Endpoints> = message(3, optional),
    }
}

enumeration! {
    /// What may be done with a queue.
    pub enum Permission {
        /// Unknown.
        Unspecified = 0 "PERMISSION_UNSPECIFIED",
        /// Nothing.
        None = 1 "NONE",
        /// Receive.
        Read = 2 "READ",
        /// Send.
        Write = 3 "WRITE",
        /// Both.
        ReadWrite = 4 "READ_WRITE",
    }
}

message! {
    /// A queue of a topic at a broker.
    pub struct MessageQueue {
        /// The topic.
        topic: Option<Resource> = message(1, optional),
        /// Its number at its broker; -1 for any queue there.
        id: i32 = int32(2),
        /// What may be done with it.
        permission: i32 = enumeration<Permission>(3),
        /// The broker.
        broker: Option<Broker> = message(4, optional),
        /// The types of messages that the topic takes. Producers compare theirs before they send.
        accept_message_types: Vec<i32> = enumeration<MessageType>(5, repeated),
    }
}

message! {
    /// A queue that a push consumer should receive from.
    pub struct Assignment {
        /// The queue.
        message_queue: Option<MessageQueue> = message(1, optional),
    }
}

message! {
    /// Asks where a topic is.
    pub struct QueryRouteRequest {
        /// The topic.
        topic: Option<Resource> = message(1, optional),
        /// The endpoints that the client was configured with.
        endpoints: Option<Endpoints> = message(2, optional),
    }
}

message! {
    /// The answer to [`QueryRouteRequest`].
    pub struct QueryRouteResponse {
        /// How the call ended.
        status: Option<Status> = message(1, optional),
        /// All queues.
        message_queues: Vec<MessageQueue> = message(2, repeated),
    }
}

message! {
    /// Asks which queues a member of a group should receive from.
    pub struct QueryAssignmentRequest {
        /// The topic.
        topic: Option<Resource> = message(1, optional),
        /// The consumer's group.
        group: Option<Resource> = message(2, optional),
        /// The endpoints that the client was configured with.
        endpoints: Option<Endpoints> = message(3, optional),
    }
}

message! {
    /// The answer to [`QueryAssignmentRequest`].
    pub struct QueryAssignmentResponse {
        /// How the call ended.
        status: Option<Status> = message(1, optional),
        /// The queues.
        assignments: Vec<Assignment> = message(2, repeated),
    }
}
