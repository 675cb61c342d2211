//! A message as a client describes it, to what a broker stores
//! (`SendMessageActivity.buildMessage`).

use std::net::SocketAddr;
use std::time::Duration;

use bytes::Bytes;
use remoting_codec::PropertyError;
use remoting_codec::message::{PropertiesBuf, SysFlag, TransactionType, property};

use crate::check::{self, Limits};
use crate::error::{ErrorKind, MessagingError, Part};
use crate::ids::unique_id;
use crate::kind::MessageKind;

/// What a send knows beside its messages.
#[derive(Clone, Copy, Debug)]
pub struct Sender<'a> {
    /// The topic's name to brokers. It is the producer's group too, for producers have none here:
    /// the broker asks members of that group what becomes of a transaction.
    pub topic: &'a str,
    /// The client's address, for messages without the host that they were made at.
    pub remote: Option<SocketAddr>,
    /// Milliseconds since 1970.
    pub now: i64,
    /// For how long a broker does not ask about a transaction whose message has no such time. Each
    /// must have one: without, a commit right after a question is answered SUCCESS, and the
    /// question is repeated.
    pub recovery: Duration,
    /// The lengths that a message must not exceed.
    pub limits: &'a Limits,
}

/// For how long a broker usually does not ask about a transaction whose message has no such time
/// ([`Sender::recovery`]). A commit within it is never asked about.
pub const RECOVERY: Duration = Duration::from_secs(30);

/// A message as a client describes it, whatever protocol it speaks; everything is borrowed from the
/// client's request. An empty text is the same as none.
#[derive(Clone, Debug)]
pub struct Draft<'a, K, P> {
    /// The body, as it is stored.
    pub body: &'a Bytes,
    /// How the body is compressed; no other flags.
    pub sys_flag: SysFlag,
    /// The tag by which consumers filter.
    pub tag: &'a str,
    /// The keys by which it can be searched.
    pub keys: K,
    /// The application's own properties: names and values.
    pub properties: P,
    /// The message group: messages with the same one stay in order. It is the sharding key of
    /// remoting clients.
    pub message_group: &'a str,
    /// The lite topic, below the topic.
    pub lite_topic: &'a str,
    /// When it is delivered: milliseconds since 1970. A time that has passed is now.
    pub delivery_time: Option<i64>,
    /// Its priority: 0 or more.
    pub priority: Option<i32>,
    /// Whether it is a half message, which is delivered once its transaction is committed.
    pub is_transactional: bool,
    /// For how long a broker does not ask about the transaction, in milliseconds; `None` for
    /// [`Sender::recovery`].
    pub check_time: Option<i64>,
    /// How often its client has failed to consume it.
    pub attempt: Option<i32>,
    /// The trace that it belongs to.
    pub trace_context: &'a str,
    /// The host that it was made at; empty for the client's address.
    pub born_host: &'a str,
    /// When it was made: milliseconds since 1970; `None` for now.
    pub born_time: Option<i64>,
    /// Its unique id; `None` if one must be made.
    pub message_id: Option<&'a str>,
}

/// A message as brokers take it, alone or in a batch.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Outgoing {
    /// The properties for the broker: the client's own and those that stand for other parts.
    pub properties: PropertiesBuf,
    /// Compression and transaction.
    pub sys_flag: SysFlag,
    /// When it was made: milliseconds since 1970.
    pub born_time: i64,
    /// Its kind, to be compared with the topic's type.
    pub kind: MessageKind,
    /// The body, which shares the memory of what was read.
    pub body: Bytes,
    /// Its unique id.
    pub message_id: String,
    /// Messages with the same text go to the same queue: the message group, or the lite topic.
    pub queue_of: Option<String>,
}

impl<'a, K, P> Draft<'a, K, P>
where
    K: Iterator<Item = &'a str> + Clone,
    P: ExactSizeIterator<Item = (&'a str, &'a str)> + Clone,
{
    /// A message with that body, these keys and properties, and nothing else.
    #[must_use]
    pub fn new(body: &'a Bytes, keys: K, properties: P) -> Self {
        Self {
            body,
            sys_flag: SysFlag::default(),
            tag: "",
            keys,
            properties,
            message_group: "",
            lite_topic: "",
            delivery_time: None,
            priority: None,
            is_transactional: false,
            check_time: None,
            attempt: None,
            trace_context: "",
            born_host: "",
            born_time: None,
            message_id: None,
        }
    }

    /// Checks the message and makes of it what a broker takes.
    ///
    /// # Errors
    /// [`ErrorKind::Illegal`] with the first part that is not allowed.
    pub fn finish(&self, sender: &Sender<'_>) -> Result<Outgoing, MessagingError> {
        let limits = sender.limits;
        check::body(self.body.len(), limits)?;
        let mut properties = self.application(limits)?;
        let message_id = match self.message_id {
            Some(id) => {
                check::message_id(id)?;
                id.to_owned()
            }
            None => unique_id(sender.remote.map(|remote| remote.ip()), sender.now).to_string(),
        };
        push(&mut properties, property::UNIQ_KEY, &message_id)?;
        if self.is_transactional {
            self.transaction(sender, &mut properties)?;
        }
        if let Some(at) = self.delivery_time {
            check::delivery_time(at, sender.now, limits)?;
            push(&mut properties, property::TIMER_DELIVER_MS, &at.to_string())?;
        }
        if let Some(priority) = self.priority {
            check::priority(priority)?;
            push(&mut properties, property::PRIORITY, &priority.to_string())?;
        }
        if let Some(attempt) = self.attempt {
            let attempt = attempt.to_string();
            push(&mut properties, property::RECONSUME_TIME, &attempt)?;
        }
        push(&mut properties, property::PGROUP, sender.topic)?;
        if !self.message_group.is_empty() {
            check::message_group(self.message_group, limits)?;
            push(&mut properties, property::SHARDING_KEY, self.message_group)?;
        }
        if !self.lite_topic.is_empty() {
            check::lite_topic(self.lite_topic, limits)?;
            push(&mut properties, property::LITE_TOPIC, self.lite_topic)?;
        }
        push(&mut properties, property::TRACE_CONTEXT, self.trace_context)?;
        let born_time = self.born(sender, &mut properties)?;
        let is_transactional = self.is_transactional;
        let kind = MessageKind::of(properties.as_properties(), is_transactional);
        let queue_of = [self.message_group, self.lite_topic];
        let queue_of = queue_of.into_iter().find(|text| !text.is_empty());
        Ok(Outgoing {
            properties,
            sys_flag: match is_transactional {
                true => self.sys_flag.with_transaction(TransactionType::Prepared),
                false => self.sys_flag,
            },
            // The broker counts the time in which it does not ask from then on, by its own clock.
            born_time: match is_transactional {
                true => sender.now,
                false => born_time,
            },
            kind,
            body: self.body.clone(),
            message_id,
            queue_of: queue_of.map(str::to_owned),
        })
    }

    /// The application's own properties, tag and keys.
    fn application(&self, limits: &Limits) -> Result<PropertiesBuf, MessagingError> {
        check::tag(self.tag)?;
        let mut size = self.tag.len();
        let mut count = 0_usize;
        for key in self.keys.clone() {
            check::key(key)?;
            size = size.saturating_add(key.len());
            count += 1;
        }
        check::user_properties(self.properties.clone(), size, limits)?;
        let mut properties = PropertiesBuf::new();
        for (name, value) in self.properties.clone() {
            push(&mut properties, name, value)?;
        }
        push(&mut properties, property::TAGS, self.tag)?;
        let mut keys = self.keys.clone();
        match (keys.next(), count) {
            (None, _) => {}
            (Some(only), 1) => push(&mut properties, property::KEYS, only.trim())?,
            (Some(first), _) => {
                let mut all = String::with_capacity(size + count);
                all.push_str(first);
                for key in keys {
                    all.push(' ');
                    all.push_str(key);
                }
                push(&mut properties, property::KEYS, all.trim())?;
            }
        }
        Ok(properties)
    }

    fn transaction(
        &self,
        sender: &Sender<'_>,
        properties: &mut PropertiesBuf,
    ) -> Result<(), MessagingError> {
        if self.delivery_time.is_some() {
            // The broker takes it and delivers it when committed, or never (#10260).
            return Err(MessagingError::new(
                ErrorKind::Illegal(Part::MessageKind),
                "a transactional message cannot have a delivery time: leave one of them out",
            ));
        }
        let recovery = match self.check_time {
            Some(asked) => check::recovery_time(asked, sender.limits)?,
            None => sender.recovery,
        };
        push(properties, property::TRAN_MSG, "true")?;
        // 0 is a time that is over at once.
        let seconds = recovery.as_millis().div_ceil(1000).max(1).to_string();
        let name = property::CHECK_IMMUNITY_TIME_IN_SECONDS;
        push(properties, name, &seconds)
    }

    /// Where and when the message was made. A time that the client has not sent is now; the Java
    /// proxy writes 1970.
    fn born(
        &self,
        sender: &Sender<'_>,
        properties: &mut PropertiesBuf,
    ) -> Result<i64, MessagingError> {
        let host = self.born_host.trim();
        if !host.is_empty() {
            push(properties, property::BORN_HOST, host)?;
        } else if let Some(remote) = sender.remote {
            // Brokers fail on an IPv6 address in brackets (#10591).
            let remote = match remote {
                SocketAddr::V4(remote) => remote.to_string(),
                SocketAddr::V6(remote) => remote.ip().to_string(),
            };
            push(properties, property::BORN_HOST, &remote)?;
        }
        let Some(time) = self.born_time else {
            return Ok(sender.now);
        };
        push(properties, property::BORN_TIMESTAMP, &time.to_string())?;
        Ok(time)
    }
}

/// Adds a property; one without a value is left out.
pub(crate) fn push(
    properties: &mut PropertiesBuf,
    name: &str,
    value: &str,
) -> Result<(), MessagingError> {
    let (part, text) = match properties.push(name, value) {
        Ok(()) | Err(PropertyError::Empty) => return Ok(()),
        Err(error @ PropertyError::TooLong) => {
            let text = format!("{error}: send fewer or shorter ones");
            (Part::Properties, text)
        }
        Err(error) => (Part::Property, format!("{error}: {name}")),
    };
    Err(MessagingError::new(ErrorKind::Illegal(part), text))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::iter::Copied;
    use std::slice::Iter;

    use remoting_codec::message::UniqueId;

    use super::*;

    const NOW: i64 = 1_795_910_400_000;

    type Plain<'a> = Draft<'a, Copied<Iter<'a, &'a str>>, Copied<Iter<'a, (&'a str, &'a str)>>>;

    fn draft<'a>(
        body: &'a Bytes,
        keys: &'a [&'a str],
        properties: &'a [(&'a str, &'a str)],
    ) -> Plain<'a> {
        Draft::new(body, keys.iter().copied(), properties.iter().copied())
    }

    fn finish(draft: &Plain<'_>) -> Result<Outgoing, MessagingError> {
        let limits = Limits::default();
        draft.finish(&Sender {
            topic: "T",
            remote: Some("10.0.0.9:4711".parse().unwrap()),
            now: NOW,
            recovery: RECOVERY,
            limits: &limits,
        })
    }

    fn properties(outgoing: &Outgoing) -> BTreeMap<String, String> {
        let properties = outgoing.properties.as_properties();
        let pairs = properties.iter();
        pairs
            .map(|(name, value)| (name.into_owned(), value.into_owned()))
            .collect()
    }

    #[test]
    fn what_a_client_leaves_out_is_added() {
        let body = Bytes::from_static(b"body");
        let made = finish(&draft(&body, &[], &[("colour", "red")])).unwrap();
        let id: UniqueId = made.message_id.parse().unwrap();
        assert_eq!(id.ip.to_string(), "10.0.0.9");
        let expected = [
            ("PGROUP", "T"),
            ("UNIQ_KEY", &*made.message_id),
            ("__BORNHOST", "10.0.0.9:4711"),
            ("colour", "red"),
        ];
        let expected = expected.map(|(name, value)| (name.to_owned(), value.to_owned()));
        assert_eq!(properties(&made), BTreeMap::from(expected));
        assert_eq!((made.kind, made.born_time), (MessageKind::Normal, NOW));
        assert_eq!(made.queue_of, None);
        assert_eq!(made.body.as_ptr(), body.as_ptr());
    }

    #[test]
    fn keys_are_joined_by_spaces() {
        let body = Bytes::from_static(b"body");
        for (keys, joined) in [
            (&[][..], None),
            (&[""], None),
            (&["a"], Some("a")),
            (&["a", "b c", "d"], Some("a b c d")),
            (&["", "a", ""], Some("a")),
        ] {
            let made = finish(&draft(&body, keys, &[])).unwrap();
            let found = properties(&made);
            assert_eq!(found.get("KEYS").map(String::as_str), joined, "{keys:?}");
        }
    }

    #[test]
    fn a_message_group_or_else_a_lite_topic_decides_the_queue() {
        let body = Bytes::from_static(b"body");
        for (message_group, lite_topic, kind, queue_of) in [
            ("g", "", MessageKind::Fifo, Some("g")),
            ("", "l", MessageKind::Lite, Some("l")),
            ("g", "l", MessageKind::Fifo, Some("g")),
            ("", "", MessageKind::Normal, None),
        ] {
            let made = finish(&Draft {
                message_group,
                lite_topic,
                ..draft(&body, &[], &[])
            });
            let made = made.unwrap();
            assert_eq!((made.kind, made.queue_of.as_deref()), (kind, queue_of));
        }
    }

    #[test]
    fn a_half_message_is_marked_and_not_asked_about_at_once() {
        let body = Bytes::from_static(b"body");
        let half = Draft {
            is_transactional: true,
            born_time: Some(NOW - 60_000),
            ..draft(&body, &[], &[])
        };
        let made = finish(&half).unwrap();
        assert_eq!(made.kind, MessageKind::Transaction);
        assert_eq!(made.sys_flag.transaction(), TransactionType::Prepared);
        assert_eq!(made.born_time, NOW);
        let found = properties(&made);
        assert_eq!(found["CHECK_IMMUNITY_TIME_IN_SECONDS"], "30");
        assert_eq!(found["TRAN_MSG"], "true");
        let delayed = Draft {
            delivery_time: Some(NOW + 5),
            ..half
        };
        let kind = finish(&delayed).unwrap_err().kind();
        assert_eq!(kind, ErrorKind::Illegal(Part::MessageKind));
    }

    #[test]
    fn each_part_is_checked() {
        let (body, none) = (Bytes::from_static(b"body"), Bytes::new());
        let base = draft(&body, &[], &[]);
        let long = "v".repeat(16_383);
        let wrong = |draft: Plain<'_>| match finish(&draft).unwrap_err().kind() {
            ErrorKind::Illegal(part) => part,
            other => panic!("{other:?}"),
        };
        for (draft, part) in [
            (draft(&none, &[], &[]), Part::EmptyBody),
            (draft(&body, &[" "], &[]), Part::Key),
            (draft(&body, &[], &[("TAGS", "x")]), Part::Property),
            (
                draft(&body, &[], &[("a", "b\u{2}TRAN_MSG\u{1}true")]),
                Part::Property,
            ),
            (
                Plain {
                    tag: "a|b",
                    ..base.clone()
                },
                Part::Tag,
            ),
            (
                Plain {
                    message_group: " ",
                    ..base.clone()
                },
                Part::MessageGroup,
            ),
            (
                Plain {
                    lite_topic: "a%",
                    ..base.clone()
                },
                Part::LiteTopic,
            ),
            (
                Plain {
                    delivery_time: Some(i64::MAX),
                    ..base.clone()
                },
                Part::DeliveryTime,
            ),
            (
                Plain {
                    priority: Some(-1),
                    ..base.clone()
                },
                Part::Priority,
            ),
            (
                Plain {
                    message_id: Some(" "),
                    ..base.clone()
                },
                Part::MessageId,
            ),
            (
                Plain {
                    tag: &long,
                    trace_context: &long,
                    ..base.clone()
                },
                Part::Properties,
            ),
        ] {
            assert_eq!(wrong(draft), part);
        }
    }
}
