//! What a client is and how it should behave: the settings that it sends and gets back.

use super::declare::{enumeration, message, oneof};
use super::{Duration, Endpoints, Resource, SubscriptionEntry};

enumeration! {
    /// What a client does.
    pub enum ClientType {
        /// Unknown.
        Unspecified = 0 "CLIENT_TYPE_UNSPECIFIED",
        /// Sends.
        Producer = 1 "PRODUCER",
        /// Has a listener; its library receives and acknowledges.
        PushConsumer = 2 "PUSH_CONSUMER",
        /// Receives and acknowledges by itself.
        SimpleConsumer = 3 "SIMPLE_CONSUMER",
        /// Pulls by offset.
        PullConsumer = 4 "PULL_CONSUMER",
        /// A push consumer of lite topics; from 5.5 on.
        LitePushConsumer = 5 "LITE_PUSH_CONSUMER",
        /// A simple consumer of lite topics.
        LiteSimpleConsumer = 6 "LITE_SIMPLE_CONSUMER",
    }
}

enumeration! {
    /// What a client is written in.
    pub enum Language {
        /// Unknown.
        Unspecified = 0 "LANGUAGE_UNSPECIFIED",
        /// Java.
        Java = 1 "JAVA",
        /// C++.
        Cpp = 2 "CPP",
        /// C#.
        DotNet = 3 "DOT_NET",
        /// Go.
        Golang = 4 "GOLANG",
        /// Rust.
        Rust = 5 "RUST",
        /// Python.
        Python = 6 "PYTHON",
        /// PHP.
        Php = 7 "PHP",
        /// Node.js.
        NodeJs = 8 "NODE_JS",
        /// Ruby.
        Ruby = 9 "RUBY",
        /// Objective-C.
        ObjectiveC = 10 "OBJECTIVE_C",
        /// Dart.
        Dart = 11 "DART",
        /// Kotlin.
        Kotlin = 12 "KOTLIN",
    }
}

message! {
    /// The client's library and where it runs.
    pub struct UA {
        /// What it is written in.
        language: i32 = enumeration<Language>(1),
        /// Its version.
        version: String = string(2),
        /// The operating system.
        platform: String = string(3),
        /// The host's name.
        hostname: String = string(4),
    }
}

message! {
    /// How often and after which times something is tried again.
    pub struct RetryPolicy {
        /// How often it is tried at most, the first time included.
        max_attempts: i32 = int32(1),
    } oneof {
        /// After which times.
        strategy: RetryStrategy = "RetryStrategy"("2, 3"),
    }
}

oneof! {
    /// How times between attempts are made.
    pub enum RetryStrategy {
        /// Each longer than the one before.
        ExponentialBackoff(ExponentialBackoff) = exponential_backoff: message(2),
        /// One by one.
        CustomizedBackoff(CustomizedBackoff) = customized_backoff: message(3),
    }
}

message! {
    /// Times that grow.
    #[derive(Copy)]
    pub struct ExponentialBackoff {
        /// The first.
        initial: Option<Duration> = message(1, optional),
        /// The longest.
        max: Option<Duration> = message(2, optional),
        /// How many times longer each is than the one before.
        multiplier: f32 = float(3),
    }
}

message! {
    /// Times that are listed.
    pub struct CustomizedBackoff {
        /// The times; the last one for all that follow.
        next: Vec<Duration> = message(1, repeated),
    }
}

message! {
    /// A client's settings: what it is in the direction of the server, how it should behave in the
    /// other, where all that it has sent is repeated.
    pub struct Settings {
        /// What it does.
        client_type: Option<i32> = enumeration<ClientType>(1, optional),
        /// The endpoints that it was configured with.
        access_point: Option<Endpoints> = message(2, optional),
        /// Producers: how sends are tried again. Push consumers: when messages are delivered again.
        backoff_policy: Option<RetryPolicy> = message(3, optional),
        /// How long it waits for an answer.
        request_timeout: Option<Duration> = message(4, optional),
        /// Its library.
        user_agent: Option<UA> = message(7, optional),
        /// Where it should report its metrics.
        metric: Option<Metric> = message(8, optional),
    } oneof {
        /// What it sends or receives.
        pub_sub: PubSub = "PubSub"("5, 6"),
    }
}

oneof! {
    /// What a client sends or receives.
    pub enum PubSub {
        /// Of a producer.
        Publishing(Publishing) = publishing: message(5),
        /// Of a consumer.
        Subscription(Subscription) = subscription: message(6),
    }
}

message! {
    /// What a producer sends.
    pub struct Publishing {
        /// To which topics.
        topics: Vec<Resource> = message(1, repeated),
        /// Most bytes of a body; from the server.
        max_body_size: i32 = int32(2),
        /// Whether it should compare a message's type with its topic's before it sends; from the
        /// server.
        validate_message_type: bool = bool(3),
    }
}

message! {
    /// What a consumer receives.
    pub struct Subscription {
        /// Its group.
        group: Option<Resource> = message(1, optional),
        /// From which topics.
        subscriptions: Vec<SubscriptionEntry> = message(2, repeated),
        /// Whether the group consumes in order; from the server.
        fifo: Option<bool> = bool(3, optional),
        /// How many messages it should ask for at a time; from the server.
        receive_batch_size: Option<i32> = int32(4, optional),
        /// How long its polls should wait; from the server.
        long_polling_timeout: Option<Duration> = message(5, optional),
        /// How many lite topics it may subscribe to; from the server.
        lite_subscription_quota: Option<i32> = int32(6, optional),
        /// Most bytes of a lite topic's name; from the server.
        max_lite_topic_size: Option<i32> = int32(7, optional),
    }
}

message! {
    /// Where a client should report its metrics.
    pub struct Metric {
        /// Whether it should.
        on: bool = bool(1),
        /// Where.
        endpoints: Option<Endpoints> = message(2, optional),
    }
}
