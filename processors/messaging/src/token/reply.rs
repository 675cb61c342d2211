//! Where the reply to a request goes.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use remoting_codec::message::{StoredMessage, property};

use crate::check::has_control;
use crate::error::{ErrorKind, MessagingError, Part};

/// In front of a token: Remora's reply, version 1.
const PREFIX: &str = "Q1.";
/// Most bytes of a token that are made and read.
const LONGEST: usize = 2048;
/// What the reply topic of each cluster ends with (`MixAll.REPLY_TOPIC_POSTFIX`).
const REPLY_TOPIC: &str = "_REPLY_TOPIC";
/// For how many milliseconds a request is replied to that does not say how long its client waits.
/// All known clients do.
const DEFAULT_TTL: i64 = 3_600_000;

/// All that a reply needs of its request. A consumer gets it with the request, and returns it with
/// the reply, through whichever replica.
///
/// ```text
/// "Q1." base64url( end i64 | broker | topic | correlation id | client id ), each text as
///                  its length u16 and its bytes
/// ```
///
/// It is not signed: who can send a reply to a broker can send any, and a reply that matches no
/// request is dropped by the requester. That the topic is one of replies is checked, because
/// brokers store a reply there.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct ReplyToken {
    /// Until when its client waits: milliseconds since 1970, by the broker's clock.
    pub end: i64,
    /// The broker that has handed the request out: the requester is registered there.
    pub broker: String,
    /// The reply topic of the broker's cluster.
    pub topic: String,
    /// The id by which the requester knows the request.
    pub correlation_id: String,
    /// The requester's client id.
    pub client_id: String,
}

impl ReplyToken {
    /// The token for the reply to a message that this broker has handed out; `None` if the message
    /// is no request, or cannot be replied to (`MessageUtil.createReplyMessage`).
    #[must_use]
    pub fn of_request(message: &StoredMessage<'_>, broker: &str) -> Option<Self> {
        let text = |name| message.properties.get(name);
        let client_id = text(property::REPLY_TO_CLIENT)?;
        let ttl = text(property::TTL).and_then(|ttl| ttl.parse::<i64>().ok());
        let token = Self {
            end: message
                .store_time
                .saturating_add(ttl.unwrap_or(DEFAULT_TTL)),
            broker: broker.to_owned(),
            topic: format!("{}{REPLY_TOPIC}", text(property::CLUSTER)?),
            correlation_id: text(property::CORRELATION_ID)?.into_owned(),
            client_id: client_id.into_owned(),
        };
        // A token that could not be read again is of no use.
        Self::read(&token.encode()).filter(|read| *read == token)
    }

    /// The text.
    #[must_use]
    pub fn encode(&self) -> String {
        let mut bytes = self.end.to_be_bytes().to_vec();
        for part in self.parts() {
            // What is longer makes a text that is not read.
            let length = u16::try_from(part.len()).unwrap_or(u16::MAX);
            bytes.extend_from_slice(&length.to_be_bytes());
            bytes.extend_from_slice(part.as_bytes());
        }
        let mut text = PREFIX.to_owned();
        URL_SAFE_NO_PAD.encode_string(&bytes, &mut text);
        text
    }

    fn parts(&self) -> [&str; 4] {
        [
            &self.broker,
            &self.topic,
            &self.correlation_id,
            &self.client_id,
        ]
    }

    /// Reads the text.
    ///
    /// # Errors
    /// [`Part::ReplyToken`] if it is none.
    pub fn decode(text: &str) -> Result<Self, MessagingError> {
        Self::read(text).ok_or_else(|| {
            let text = "not a reply token: send the one that the request message came with";
            MessagingError::new(ErrorKind::Illegal(Part::ReplyToken), text)
        })
    }

    fn read(text: &str) -> Option<Self> {
        let encoded = (text.len() <= LONGEST)
            .then_some(text)?
            .strip_prefix(PREFIX)?;
        let bytes = URL_SAFE_NO_PAD.decode(encoded).ok()?;
        let (end, mut rest) = bytes.split_first_chunk::<8>()?;
        let mut part = || {
            let (length, further) = rest.split_first_chunk::<2>()?;
            let length = usize::from(u16::from_be_bytes(*length));
            let (part, further) = further.split_at_checked(length)?;
            rest = further;
            let text = String::from_utf8(part.to_vec()).ok()?;
            (!text.is_empty() && !has_control(&text)).then_some(text)
        };
        let token = Self {
            end: i64::from_be_bytes(*end),
            broker: part()?,
            topic: part()?,
            correlation_id: part()?,
            client_id: part()?,
        };
        (rest.is_empty() && token.topic.ends_with(REPLY_TOPIC)).then_some(token)
    }

    /// Whether its client still waits at that time: milliseconds since 1970, by the broker's clock.
    ///
    /// # Errors
    /// [`ErrorKind::Expired`].
    pub fn check(&self, now: i64) -> Result<(), MessagingError> {
        let late = now.saturating_sub(self.end);
        if late <= 0 {
            return Ok(());
        }
        let text = format!("the request has expired {late} ms ago: its client does not wait");
        Err(MessagingError::new(ErrorKind::Expired, text))
    }
}

#[cfg(test)]
mod tests {
    use remoting_codec::message::{PropertiesBuf, StoredVersion, SysFlag};

    use super::*;

    const STORED: i64 = 1_795_910_400_123;

    fn token() -> ReplyToken {
        ReplyToken {
            end: STORED + 5_000,
            broker: "broker-a".to_owned(),
            topic: "DefaultCluster_REPLY_TOPIC".to_owned(),
            correlation_id: "2f2b6f70-0a8e-4f7c-9c6f-1b0f3e3f4a5b".to_owned(),
            client_id: "10.0.0.9@4711#1".to_owned(),
        }
    }

    fn of_request(properties: &[(&str, &str)]) -> Option<ReplyToken> {
        let mut buf = PropertiesBuf::new();
        for (name, value) in properties {
            buf.push(name, value).unwrap();
        }
        let host = "10.0.0.9:50123".parse().unwrap();
        let message = StoredMessage {
            version: StoredVersion::V1,
            body_crc: 0,
            queue_id: 2,
            flag: 0,
            queue_offset: 105,
            commit_log_offset: 4711,
            sys_flag: SysFlag(0),
            born_time: 0,
            born_host: host,
            store_time: STORED,
            store_host: host,
            reconsume_times: 0,
            prepared_transaction_offset: 0,
            body: b"body",
            topic: "T",
            properties: buf.as_properties(),
        };
        ReplyToken::of_request(&message, "broker-a")
    }

    #[test]
    fn a_request_has_a_token_and_other_messages_have_none() {
        let all = [
            ("CORRELATION_ID", "2f2b6f70-0a8e-4f7c-9c6f-1b0f3e3f4a5b"),
            ("REPLY_TO_CLIENT", "10.0.0.9@4711#1"),
            ("CLUSTER", "DefaultCluster"),
            ("TTL", "5000"),
        ];
        assert_eq!(of_request(&all), Some(token()));
        for missing in 0..3 {
            let mut some = all.to_vec();
            some.remove(missing);
            assert_eq!(of_request(&some), None, "{missing}");
        }
        let hour = of_request(&all[..3]).unwrap().end - STORED;
        assert_eq!(hour, 3_600_000);
        let long = "c".repeat(LONGEST);
        for wrong in [&long, "a\u{7}b"] {
            let mut some = all.to_vec();
            some[0].1 = wrong;
            assert_eq!(of_request(&some), None);
        }
    }

    #[test]
    fn tokens_are_read_as_they_are_written_and_expire() {
        let text = token().encode();
        assert_eq!(ReplyToken::decode(&text), Ok(token()));
        assert_eq!(token().check(STORED + 5_000), Ok(()));
        let late = token().check(STORED + 5_001).unwrap_err();
        assert_eq!(late.kind(), ErrorKind::Expired);
    }

    #[test]
    fn what_is_no_token_is_refused() {
        let right = token().encode();
        let topic = ReplyToken {
            topic: "orders".to_owned(),
            ..token()
        };
        let control = ReplyToken {
            client_id: "a\u{2}TRAN_MSG".to_owned(),
            ..token()
        };
        let empty = ReplyToken {
            broker: String::new(),
            ..token()
        };
        let long = ReplyToken {
            correlation_id: "c".repeat(LONGEST),
            ..token()
        };
        let lengths = format!("Q1.{}", URL_SAFE_NO_PAD.encode([0xFF; 64]));
        for wrong in [
            "",
            "Q1.",
            "R1.AAhicm9rZXItYQ",
            &right[..right.len() - 4],
            &format!("{right}AAAA"),
            &format!("{right}="),
            &topic.encode(),
            &control.encode(),
            &empty.encode(),
            &long.encode(),
            &lengths,
        ] {
            let error = ReplyToken::decode(wrong).unwrap_err();
            assert_eq!(
                error.kind(),
                ErrorKind::Illegal(Part::ReplyToken),
                "{wrong}"
            );
        }
    }
}
