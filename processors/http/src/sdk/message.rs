//! A message as a broker hands it out, to what a consumer gets.

use std::borrow::Cow;
use std::str;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use remoting_codec::message::{Properties as Stored, Receipt, StoredMessage, property};

use super::digest::Digest;
use super::properties::{BodyEncoding, Properties};
use super::xml::{Writer, is_text};

/// What the element `MessageBody` has for a body: itself, unless it is empty, is still compressed
/// in some way, or is not text that XML can have.
#[must_use]
pub fn text_of<'a>(
    body: &'a [u8],
    compressed: Option<&'static str>,
) -> (Cow<'a, str>, Option<BodyEncoding>) {
    if let Some(how) = compressed {
        return (
            STANDARD.encode(body).into(),
            Some(BodyEncoding::Compressed(how)),
        );
    }
    if body.is_empty() {
        return (Cow::Borrowed("-"), Some(BodyEncoding::Empty));
    }
    match str::from_utf8(body).ok().filter(|text| is_text(text)) {
        Some(text) => (Cow::Borrowed(text), None),
        None => (STANDARD.encode(body).into(), Some(BodyEncoding::Base64)),
    }
}

/// A message for a consumer. Times are milliseconds since 1970.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Delivered<'a> {
    /// Its id.
    pub id: Cow<'a, str>,
    /// Its body as text, see [`text_of`].
    pub body: Cow<'a, str>,
    /// Its tag.
    pub tag: Option<Cow<'a, str>>,
    /// Its properties.
    pub properties: Properties<'a>,
    /// When it was sent, by the clock of its producer.
    pub publish_time: i64,
    /// When it was handed out for the first time.
    pub first_consume_time: i64,
    /// When it is handed out again, unless it is acknowledged until then.
    pub next_consume_time: i64,
    /// How often it was handed out, this time included.
    pub consumed_times: i64,
    /// What it is acknowledged with.
    pub handle: String,
}

impl<'a> Delivered<'a> {
    /// Of a message that was popped. Its body, which may be another than the stored one if that was
    /// compressed, is already text. How often it was consumed in vain is the message's own count,
    /// unless the broker has another.
    #[must_use]
    pub fn popped(
        message: &StoredMessage<'a>,
        (body, encoding): (Cow<'a, str>, Option<BodyEncoding>),
        receipt: &Receipt<'_>,
        reconsume_times: Option<i32>,
        handle: String,
    ) -> Self {
        let first = number(&message.properties, property::FIRST_POP_TIME);
        let times = reconsume_times.unwrap_or(message.reconsume_times);
        let mut properties = shown(&message.properties);
        properties.body_encoding = encoding;
        Self {
            id: messaging::stored::message_id(message).into(),
            body,
            tag: message.properties.get(property::TAGS),
            properties,
            publish_time: message.born_time,
            first_consume_time: first.unwrap_or(receipt.pop_time),
            next_consume_time: receipt.visible_time(),
            consumed_times: i64::from(times) + 1,
            handle,
        }
    }

    /// Of a half message that a broker asks about, at this time, and again at the other.
    #[must_use]
    pub fn half(
        message: &StoredMessage<'a>,
        (body, encoding): (Cow<'a, str>, Option<BodyEncoding>),
        now: i64,
        next: i64,
        handle: String,
    ) -> Self {
        let stored = &message.properties;
        let mut properties = shown(stored);
        properties.body_encoding = encoding;
        properties.check_after = number(stored, property::CHECK_IMMUNITY_TIME_IN_SECONDS);
        let times: Option<i64> = number(stored, property::TRANSACTION_CHECK_TIMES);
        Self {
            id: messaging::stored::message_id(message).into(),
            body,
            tag: stored.get(property::TAGS),
            properties,
            publish_time: message.born_time,
            first_consume_time: now,
            next_consume_time: next,
            consumed_times: times.unwrap_or(1).max(1),
            handle,
        }
    }

    /// Writes the element `Message`. `digest` is that of [`body`](Self::body).
    pub fn write(&self, digest: Digest, writer: &mut Writer) {
        writer.open("Message");
        writer.element("MessageId", &self.id);
        writer.element("MessageBodyMD5", &digest.to_hex());
        writer.number("PublishTime", self.publish_time);
        writer.number("FirstConsumeTime", self.first_consume_time);
        writer.number("NextConsumeTime", self.next_consume_time);
        writer.number("ConsumedTimes", self.consumed_times);
        writer.element("ReceiptHandle", &self.handle);
        writer.element("MessageBody", &self.body);
        let tag = self.tag.as_deref().filter(|tag| !tag.is_empty());
        if let Some(tag) = tag {
            writer.element("MessageTag", tag);
        }
        // A tag that XML cannot have is among the properties, too, where it can be encoded.
        let odd_tag = tag.filter(|tag| !is_text(tag));
        if let Some(properties) = self.properties.write(odd_tag) {
            writer.element("Properties", &properties);
        }
        writer.close("Message");
    }
}

/// The properties that consumers see.
fn shown<'a>(stored: &Stored<'a>) -> Properties<'a> {
    Properties {
        keys: stored.get(property::KEYS),
        deliver_at: messaging::stored::delivery_time(stored),
        sharding_key: stored.get(property::SHARDING_KEY),
        check_after: None,
        body_encoding: None,
        own: messaging::stored::own_properties(stored).collect(),
    }
}

fn number<N: str::FromStr>(stored: &Stored<'_>, name: &str) -> Option<N> {
    stored.get(name)?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bodies_that_xml_cannot_have_are_encoded() {
        let (base64, empty) = (Some(BodyEncoding::Base64), Some(BodyEncoding::Empty));
        for (body, text, encoding) in [
            (&b"plain <text> \r\n"[..], "plain <text> \r\n", None),
            ("中文".as_bytes(), "中文", None),
            (b" ", " ", None),
            (b"", "-", empty),
            (b"\x00\x01\xff", "AAH/", base64),
            (b"a\x1bb", "YRti", base64),
            ("\u{FFFE}".as_bytes(), "77++", base64),
            (b"\xff", "/w==", base64),
        ] {
            assert_eq!(text_of(body, None), (Cow::from(text), encoding), "{body:?}");
        }
        let lz4 = (Cow::from("eA=="), Some(BodyEncoding::Compressed("lz4")));
        assert_eq!(text_of(b"x", Some("lz4")), lz4);
    }

    #[test]
    fn messages_are_written() {
        let properties = Properties {
            keys: Some("k1".into()),
            own: vec![("a".into(), "<1>".into())],
            ..Properties::default()
        };
        let mut delivered = Delivered {
            id: "7F0001".into(),
            body: "hello <中文> & body".into(),
            tag: Some("TagA".into()),
            properties,
            publish_time: 1,
            first_consume_time: 2,
            next_consume_time: 3,
            consumed_times: 4,
            handle: "R1mAA".to_owned(),
        };
        let written = |delivered: &Delivered<'_>| {
            let mut writer = Writer::new("Messages", 0);
            delivered.write(Digest::of(b"hello"), &mut writer);
            let document = writer.end();
            let (_, message) = document.split_once("<Message>").unwrap();
            message.to_owned()
        };
        let start = "<MessageId>7F0001</MessageId>\
                     <MessageBodyMD5>5D41402ABC4B2A76B9719D911017C592</MessageBodyMD5>\
                     <PublishTime>1</PublishTime><FirstConsumeTime>2</FirstConsumeTime>\
                     <NextConsumeTime>3</NextConsumeTime><ConsumedTimes>4</ConsumedTimes>\
                     <ReceiptHandle>R1mAA</ReceiptHandle>\
                     <MessageBody>hello &lt;中文&gt; &amp; body</MessageBody>";
        let rest = "<MessageTag>TagA</MessageTag><Properties>a:&lt;1&gt;|KEYS:k1|</Properties>";
        assert_eq!(written(&delivered), format!("{start}{rest}</Message>"));
        delivered.tag = Some("".into());
        delivered.properties = Properties::default();
        assert_eq!(written(&delivered), format!("{start}</Message>"));
        delivered.tag = Some("a\u{1}".into());
        let rest =
            "<MessageTag>a\u{FFFD}</MessageTag><Properties>TAGS:a%01|__ENCODED:TAGS|</Properties>";
        assert_eq!(written(&delivered), format!("{start}{rest}</Message>"));
    }
}
