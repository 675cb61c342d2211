//! The properties of a sent message that decisions depend on.

use std::sync::LazyLock;

use memchr::memmem::Finder;
use remoting_codec::RequestCode;
use remoting_codec::headers::Text;
use remoting_codec::message::{SysFlag, TransactionType, property};
use route_cache::MOCK_PREFIX;

/// The property that marks a request, which is replied to.
static REPLY_TO_CLIENT: LazyLock<Finder<'static>> =
    LazyLock::new(|| Finder::new(property::REPLY_TO_CLIENT));

/// The property of a message that must stay in order with others.
static SHARDING_KEY: LazyLock<Finder<'static>> =
    LazyLock::new(|| Finder::new(property::SHARDING_KEY));

/// What brokers will send to the producer because of a message. They must know the producer before
/// they get such a message.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Expected {
    /// Transaction checks, because it is a half message.
    pub check: bool,
    /// A reply, because it is a request.
    pub reply: bool,
}

impl Expected {
    /// From the request code of the send, its `sysFlag` and its properties.
    #[inline]
    #[must_use]
    pub fn of(code: RequestCode, sys_flag: Option<i32>, properties: Option<Text<'_>>) -> Self {
        // A reply has the property too: it names the client that the reply is for.
        let is_reply = matches!(
            code,
            RequestCode::SEND_REPLY_MESSAGE | RequestCode::SEND_REPLY_MESSAGE_V2
        );
        let flag = SysFlag(sys_flag.unwrap_or_default());
        Self {
            check: flag.transaction() == TransactionType::Prepared,
            reply: !is_reply
                && properties.is_some_and(|properties| properties.contains(&REPLY_TO_CLIENT)),
        }
    }

    /// Whether brokers will send anything.
    #[inline]
    #[must_use]
    pub fn is_something(self) -> bool {
        self.check || self.reply
    }
}

/// The properties of a message that decide which broker may get it.
#[derive(Clone, Copy, Debug)]
pub struct Message<'a> {
    /// The request code, which shows whether it is a send or a reply.
    pub code: RequestCode,
    /// The name of the broker that the client has chosen; `None` if it does not name one.
    pub broker: Option<Text<'a>>,
    /// The message's properties in their text form.
    pub properties: Option<Text<'a>>,
    /// What brokers will send because of it.
    pub expected: Expected,
}

impl Message<'_> {
    /// Whether the message may go to another broker. A message that is bound to its broker may not:
    /// half messages, whose END_TRANSACTION would go to the wrong broker, requests, and messages
    /// that must stay in order, if a property shows it.
    #[must_use]
    pub fn may_fail_over(&self) -> bool {
        let is_message = matches!(
            self.code,
            RequestCode::SEND_MESSAGE
                | RequestCode::SEND_MESSAGE_V2
                | RequestCode::SEND_BATCH_MESSAGE
        );
        let broker = self.broker.map(|name| name.text());
        let is_ordered = || {
            self.properties
                .is_some_and(|properties| properties.contains(&SHARDING_KEY))
        };
        is_message
            && broker.is_some_and(|name| !name.starts_with(MOCK_PREFIX))
            && !self.expected.is_something()
            && !is_ordered()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const V2: RequestCode = RequestCode::SEND_MESSAGE_V2;

    #[test]
    fn checks_and_replies_are_expected_of_half_messages_and_requests() {
        let of = |code, flag, properties: &'static str| {
            let expected = Expected::of(code, flag, Some(properties.into()));
            (expected.check, expected.reply)
        };
        assert_eq!(of(V2, None, "KEYS\u{1}k\u{2}"), (false, false));
        assert_eq!(of(V2, Some(0x4), ""), (true, false));
        assert_eq!(of(V2, Some(0x8), ""), (false, false));
        assert_eq!(of(V2, Some(0xC), ""), (false, false));
        let request = "REPLY_TO_CLIENT\u{1}c\u{2}";
        assert_eq!(of(V2, Some(0x5), request), (true, true));
        assert_eq!(
            of(RequestCode::SEND_MESSAGE, Some(0), request),
            (false, true)
        );
        let reply = RequestCode::SEND_REPLY_MESSAGE_V2;
        assert_eq!(of(reply, None, request), (false, false));
    }

    #[test]
    fn messages_bound_to_a_broker_stay_there() {
        let may = |code, broker: Option<&'static str>, flag, properties: &'static str| {
            let properties = Some(Text::from(properties));
            Message {
                code,
                broker: broker.map(Text::from),
                properties,
                expected: Expected::of(code, flag, properties),
            }
            .may_fail_over()
        };
        let (a, keys) = (Some("broker-a"), "KEYS\u{1}k\u{2}");
        assert!(may(V2, a, None, keys));
        assert!(may(RequestCode::SEND_MESSAGE, a, Some(1), keys));
        assert!(may(RequestCode::SEND_BATCH_MESSAGE, a, None, ""));
        assert!(!may(RequestCode::SEND_REPLY_MESSAGE_V2, a, None, keys));
        assert!(!may(RequestCode::CONSUMER_SEND_MSG_BACK, a, None, keys));
        assert!(!may(V2, None, None, keys));
        assert!(!may(V2, Some("__syslo__global__"), None, keys));
        assert!(!may(V2, a, Some(4), keys));
        assert!(!may(V2, a, None, "REPLY_TO_CLIENT\u{1}c\u{2}"));
        assert!(!may(V2, a, None, "__SHARDINGKEY\u{1}k\u{2}"));
    }
}
