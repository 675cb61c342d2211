//! A message on its way to a consumer, as JSON or as it is.

use std::borrow::Cow;
use std::collections::BTreeMap;

use base64::display::Base64Display;
use base64::engine::general_purpose::STANDARD;
use http::header::{
    CONTENT_SECURITY_POLICY, CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue,
    X_CONTENT_TYPE_OPTIONS,
};
use messaging::stored;
use messaging::token::ReplyToken;
use remoting_codec::message::{Properties, StoredMessage, property};
use serde::ser::SerializeMap;
use serde::{Serialize, Serializer};

use super::answer::QueueOf;
use super::body::Inflate;
use super::cloud_event;
use super::draft;
use super::headers::{self, header};
use super::time::Stamp;

/// The content type of a body that has none.
const BYTES: &str = "application/octet-stream";

/// What names a message in the answer.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Name {
    /// The handle by which a consumer settles it.
    Handle(String),
    /// The token by which a producer decides its transaction.
    Transaction(String),
}

/// A message that a client gets.
#[derive(Clone, Debug)]
pub struct Delivered<'a> {
    /// How the client names it in later requests.
    pub name: Name,
    /// The topic, as the client calls it.
    pub topic: Cow<'a, str>,
    /// The body, decompressed if possible.
    pub body: Inflate<'a>,
    /// All its properties.
    pub properties: Properties<'a>,
    /// Its id.
    pub message_id: Cow<'a, str>,
    /// How often it was handed out, this time included; `None` where that is not counted.
    pub attempt: Option<i32>,
    /// When it was made.
    pub born: Stamp,
    /// When it was stored.
    pub stored: Stamp,
    /// When others of the group see it again.
    pub visible: Option<Stamp>,
    /// The queue that has it.
    pub queue: QueueOf,
    /// Its place in the queue.
    pub offset: i64,
    /// By which it is replied to, if it is a request.
    pub reply: Option<String>,
}

impl<'a> Delivered<'a> {
    /// The message that a broker of that name has stored, with its body. What a pop knows about it
    /// is added by the caller.
    #[must_use]
    pub fn new(
        name: Name,
        topic: Cow<'a, str>,
        message: &StoredMessage<'a>,
        body: Inflate<'a>,
        broker: &str,
    ) -> Self {
        let properties = message.properties;
        let id = properties.get(property::UNIQ_KEY);
        let is_event = || properties.contains(cloud_event::SPEC_VERSION);
        let body = match &*body.bytes == cloud_event::NO_DATA && is_event() {
            true => Inflate {
                bytes: Cow::Borrowed(b""),
                ..body
            },
            false => body,
        };
        Self {
            name,
            topic,
            body,
            properties,
            message_id: id.unwrap_or_else(|| message.offset_id().to_string().into()),
            attempt: None,
            born: Stamp(message.born_time),
            stored: Stamp(message.store_time),
            visible: None,
            queue: QueueOf {
                broker: broker.to_owned(),
                id: message.queue_id,
            },
            offset: message.queue_offset,
            reply: ReplyToken::of_request(message, broker).map(|token| token.encode()),
        }
    }

    fn property(&self, name: &str) -> Option<Cow<'a, str>> {
        self.properties.get(name)
    }

    /// The time of delivery that its producer has asked for.
    fn deliver_at(&self) -> Option<Stamp> {
        stored::delivery_time(&self.properties).map(Stamp)
    }

    fn dead_letter(&self) -> Option<DeadLetter<'a>> {
        let (topic, message_id) = stored::dead_letter(&self.properties)?;
        Some(DeadLetter { topic, message_id })
    }

    /// The metadata as headers, for the body as it is. A browser that is led to it neither guesses
    /// another type nor runs what is in it.
    #[must_use]
    pub fn headers(&self) -> HeaderMap {
        let mut all = HeaderMap::new();
        add_raw(&self.properties, &mut all);
        let mut add = |(name, value): (HeaderName, HeaderValue)| {
            all.append(name, value);
        };
        match &self.name {
            Name::Handle(handle) => add(header("x-mq-handle", handle)),
            Name::Transaction(token) => add(header("x-mq-transaction", token)),
        }
        add(header("x-mq-message-id", &self.message_id));
        add(header("x-mq-topic", &self.topic));
        if let Some(encoding) = self.body.encoding {
            add(header("x-mq-body-encoding", encoding));
        }
        if let Some(attempt) = self.attempt {
            add(header("x-mq-attempt", &attempt.to_string()));
        }
        add(header("x-mq-born-at", &self.born.to_string()));
        add(header("x-mq-stored-at", &self.stored.to_string()));
        if let Some(visible) = self.visible {
            add(header("x-mq-visible-at", &visible.to_string()));
        }
        if let Some(time) = self.deliver_at() {
            add(header("x-mq-deliver-at", &time.to_string()));
        }
        add(header("x-mq-broker", &self.queue.broker));
        add(header("x-mq-queue", &self.queue.id.to_string()));
        add(header("x-mq-offset", &self.offset.to_string()));
        if let Some(reply) = &self.reply {
            add(header("x-mq-reply-token", reply));
        }
        for (name, value) in [
            ("x-mq-tag", self.property(property::TAGS)),
            ("x-mq-group", self.property(property::SHARDING_KEY)),
            ("x-mq-lite", self.property(property::LITE_TOPIC)),
            ("x-mq-priority", self.property(property::PRIORITY)),
        ] {
            if let Some(value) = value {
                add(header(name, &value));
            }
        }
        let keys = self.property(property::KEYS).unwrap_or_default();
        for key in keys.split(' ').filter(|key| !key.is_empty()) {
            add(header("x-mq-key", key));
        }
        all
    }
}

/// The application's own properties, each once: of two with one name, the later counts.
fn own<'a>(properties: &Properties<'a>) -> BTreeMap<Cow<'a, str>, Cow<'a, str>> {
    let is_own = |name: &str| name != draft::CONTENT_TYPE && name != cloud_event::CONTENT_TYPE;
    let own = stored::own_properties(properties);
    own.filter(|(name, _)| is_own(name)).collect()
}

fn content_type<'a>(properties: &Properties<'a>) -> Option<Cow<'a, str>> {
    let of_event = properties.get(cloud_event::CONTENT_TYPE);
    of_event.or_else(|| properties.get(draft::CONTENT_TYPE))
}

/// Adds what every body has that is answered as it is: its content type and its properties.
fn add_raw(properties: &Properties<'_>, headers: &mut HeaderMap) {
    let content_type = content_type(properties);
    let content_type = content_type.as_deref();
    let content_type = content_type.and_then(|text| HeaderValue::from_str(text).ok());
    let content_type = content_type.unwrap_or_else(|| HeaderValue::from_static(BYTES));
    headers.insert(CONTENT_TYPE, content_type);
    headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    headers.insert(CONTENT_SECURITY_POLICY, HeaderValue::from_static("sandbox"));
    for (name, value) in own(properties) {
        let attribute = name.strip_prefix(cloud_event::PROPERTY);
        let attribute = attribute.and_then(|name| of_event(name, &value));
        let property = attribute.or_else(|| headers::property(&name, &value));
        if let Some((name, value)) = property {
            headers.append(name, value);
        }
    }
}

/// The headers of a reply to a request, for its body as it is: still compressed in that way, if in
/// any.
#[must_use]
pub fn reply_headers(properties: &Properties<'_>, encoding: Option<&str>) -> HeaderMap {
    let mut headers = HeaderMap::new();
    add_raw(properties, &mut headers);
    if let Some(encoding) = encoding {
        let (name, value) = header("x-mq-body-encoding", encoding);
        headers.insert(name, value);
    }
    headers
}

/// The header of an event's attribute; `None` if the name is not one of an attribute.
fn of_event(name: &str, value: &str) -> Option<(HeaderName, HeaderValue)> {
    let is_allowed = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
    let is_right = !name.is_empty() && name.bytes().all(is_allowed);
    let name = is_right.then(|| format!("{}{name}", cloud_event::HEADER))?;
    Some((HeaderName::try_from(name).ok()?, headers::value(value)))
}

/// What a dead letter was before.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct DeadLetter<'a> {
    topic: Cow<'a, str>,
    message_id: Cow<'a, str>,
}

/// Bytes in base64, written without another copy.
struct Base64<'a>(&'a [u8]);

impl Serialize for Base64<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&Base64Display::new(self.0, &STANDARD))
    }
}

impl Serialize for Delivered<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        match &self.name {
            Name::Handle(handle) => map.serialize_entry("handle", handle)?,
            Name::Transaction(token) => map.serialize_entry("transaction", token)?,
        }
        map.serialize_entry("messageId", &self.message_id)?;
        map.serialize_entry("topic", &self.topic)?;
        let text = match self.body.encoding {
            None => std::str::from_utf8(&self.body.bytes).ok(),
            Some(encoding) => {
                map.serialize_entry("bodyEncoding", encoding)?;
                None
            }
        };
        match text {
            Some(text) => map.serialize_entry("body", text)?,
            None => map.serialize_entry("bodyBase64", &Base64(&self.body.bytes))?,
        }
        if let Some(content_type) = content_type(&self.properties) {
            map.serialize_entry("contentType", &content_type)?;
        }
        if let Some(tag) = self.property(property::TAGS) {
            map.serialize_entry("tag", &tag)?;
        }
        let keys = self.property(property::KEYS).unwrap_or_default();
        let keys: Vec<_> = keys.split(' ').filter(|key| !key.is_empty()).collect();
        map.serialize_entry("keys", &keys)?;
        map.serialize_entry("properties", &own(&self.properties))?;
        if let Some(group) = self.property(property::SHARDING_KEY) {
            map.serialize_entry("group", &group)?;
        }
        if let Some(lite) = self.property(property::LITE_TOPIC) {
            map.serialize_entry("lite", &lite)?;
        }
        let priority = stored::number::<i64>(&self.properties, property::PRIORITY);
        if let Some(priority) = priority {
            map.serialize_entry("priority", &priority)?;
        }
        if let Some(attempt) = self.attempt {
            map.serialize_entry("attempt", &attempt)?;
        }
        map.serialize_entry("bornAt", &self.born)?;
        map.serialize_entry("storedAt", &self.stored)?;
        if let Some(time) = self.deliver_at() {
            map.serialize_entry("deliverAt", &time)?;
        }
        if let Some(visible) = self.visible {
            map.serialize_entry("visibleAt", &visible)?;
        }
        map.serialize_entry("queue", &self.queue)?;
        map.serialize_entry("offset", &self.offset)?;
        if let Some(reply) = &self.reply {
            map.serialize_entry("replyToken", reply)?;
        }
        if let Some(dead_letter) = self.dead_letter() {
            map.serialize_entry("deadLetter", &dead_letter)?;
        }
        map.end()
    }
}

#[cfg(test)]
mod tests {
    use std::net::SocketAddr;

    use remoting_codec::message::{PropertiesBuf, StoredVersion, SysFlag};
    use serde_json::{Value, json};

    use super::*;

    fn properties(pairs: &[(&str, &str)]) -> PropertiesBuf {
        let mut properties = PropertiesBuf::new();
        for (name, value) in pairs {
            properties.push(name, value).unwrap();
        }
        properties
    }

    fn delivered<'a>(body: &'a [u8], properties: &'a PropertiesBuf) -> Delivered<'a> {
        let host: SocketAddr = "10.0.0.1:10911".parse().unwrap();
        let message = StoredMessage {
            version: StoredVersion::V1,
            body_crc: 0,
            queue_id: 3,
            flag: 0,
            queue_offset: 7,
            commit_log_offset: 4711,
            sys_flag: SysFlag::default(),
            born_time: 1_795_253_776_123,
            born_host: host,
            store_time: 1_795_253_776_124,
            store_host: host,
            reconsume_times: 0,
            prepared_transaction_offset: 0,
            body,
            topic: "T",
            properties: properties.as_properties(),
        };
        let body = Inflate {
            bytes: body.into(),
            encoding: None,
        };
        let name = Name::Handle("h".to_owned());
        Delivered {
            attempt: Some(1),
            visible: Some(Stamp(1_795_253_836_124)),
            ..Delivered::new(name, "T".into(), &message, body, "broker-a")
        }
    }

    fn document(delivered: &Delivered<'_>) -> Value {
        serde_json::to_value(delivered).unwrap()
    }

    #[test]
    fn a_message_is_a_document() {
        let all = properties(&[
            ("UNIQ_KEY", "id-1"),
            ("TAGS", "t"),
            ("KEYS", "k1 k2"),
            ("Color", "blue"),
            ("Color", "red"),
            ("content-type", "text/plain"),
            ("__SHARDINGKEY", "g"),
            ("_SYS_MSG_PRIORITY_", "3"),
            ("TIMER_OUT_MS", "1795253776000"),
            ("DLQ_ORIGIN_TOPIC", "O"),
            ("DLQ_ORIGIN_MESSAGE_ID", "id-0"),
            ("MSG_REGION", "DefaultRegion"),
        ]);
        let expected = json!({
            "handle": "h",
            "messageId": "id-1",
            "topic": "T",
            "body": "text",
            "contentType": "text/plain",
            "tag": "t",
            "keys": ["k1", "k2"],
            "properties": {"Color": "red"},
            "group": "g",
            "priority": 3,
            "attempt": 1,
            "bornAt": "2026-11-21T09:36:16.123Z",
            "storedAt": "2026-11-21T09:36:16.124Z",
            "deliverAt": "2026-11-21T09:36:16.000Z",
            "visibleAt": "2026-11-21T09:37:16.124Z",
            "queue": {"broker": "broker-a", "id": 3},
            "offset": 7,
            "deadLetter": {"topic": "O", "messageId": "id-0"},
        });
        assert_eq!(document(&delivered(b"text", &all)), expected);
        let none = PropertiesBuf::new();
        let least = document(&delivered(b"text", &none));
        assert_eq!(least["messageId"], "0A00000100002A9F0000000000001267");
        assert_eq!(
            (&least["keys"], &least["properties"]),
            (&json!([]), &json!({}))
        );
        assert_eq!(least.as_object().unwrap().len(), 12);
    }

    #[test]
    fn bodies_are_unharmed() {
        let none = PropertiesBuf::new();
        for body in [&b""[..], "ключ\0\u{1}\"\\\n\u{2028}".as_bytes()] {
            let document = document(&delivered(body, &none));
            assert_eq!(document["body"].as_str().unwrap().as_bytes(), body);
            assert_eq!(document.get("bodyBase64"), None);
        }
        let bytes: Vec<u8> = (0..=255).collect();
        let document_of = document(&delivered(&bytes, &none));
        let encoded = document_of["bodyBase64"].as_str().unwrap();
        assert_eq!(base64::Engine::decode(&STANDARD, encoded).unwrap(), bytes);
        assert_eq!(document_of.get("body"), None);
        let mut left = delivered(b"text", &none);
        left.body.encoding = Some("lz4");
        let document = document(&left);
        assert_eq!(
            (&document["bodyBase64"], &document["bodyEncoding"]),
            (&json!("dGV4dA=="), &json!("lz4"))
        );
        assert_eq!(left.headers()["x-mq-body-encoding"], "lz4");
    }

    #[test]
    fn metadata_fit_into_headers() {
        let all = properties(&[
            ("UNIQ_KEY", "id 1"),
            ("TAGS", "тег"),
            ("KEYS", "k1 k2"),
            ("Color", "a\nb"),
            ("content-type", "text/plain"),
        ]);
        let headers = delivered(b"text", &all).headers();
        for (name, value) in [
            ("content-type", "text/plain"),
            ("x-content-type-options", "nosniff"),
            ("x-mq-handle", "h"),
            ("x-mq-message-id", "id 1"),
            ("x-mq-topic", "T"),
            ("x-mq-tag", "%D1%82%D0%B5%D0%B3"),
            ("x-mq-key", "k1"),
            ("x-mq-attempt", "1"),
            ("x-mq-born-at", "2026-11-21T09:36:16.123Z"),
            ("x-mq-broker", "broker-a"),
            ("x-mq-queue", "3"),
            ("x-mq-offset", "7"),
            ("x-mq-property-%43olor", "a%0Ab"),
        ] {
            assert_eq!(headers[name], value, "{name}");
        }
        assert_eq!(headers.get_all("x-mq-key").iter().count(), 2);
        let wrong = properties(&[("content-type", "a\nb")]);
        assert_eq!(delivered(b"", &wrong).headers()["content-type"], BYTES);
    }

    #[test]
    fn events_come_back_in_binary_mode() {
        let event = properties(&[
            ("CE_id", "7"),
            ("CE_specversion", "1.0"),
            ("CE_subject", "тема"),
            ("CE_contenttype", "application/json"),
            ("CE_Odd", "x"),
        ]);
        let delivered = delivered(b"{}", &event);
        let headers = delivered.headers();
        for (name, value) in [
            ("ce-id", "7"),
            ("ce-specversion", "1.0"),
            ("ce-subject", "%D1%82%D0%B5%D0%BC%D0%B0"),
            ("content-type", "application/json"),
            ("x-mq-property-%43%45_%4fdd", "x"),
        ] {
            assert_eq!(headers[name], value, "{name}");
        }
        let without = super::tests::delivered(b"\0", &event);
        assert_eq!(without.body.bytes, &b""[..]);
        let document = document(&delivered);
        assert_eq!(document["contentType"], "application/json");
        assert_eq!(document["properties"]["CE_id"], "7");
    }

    #[test]
    fn requests_have_a_token() {
        let request = properties(&[
            ("REPLY_TO_CLIENT", "c"),
            ("CORRELATION_ID", "7"),
            ("TTL", "3000"),
            ("CLUSTER", "DefaultCluster"),
        ]);
        let delivered = delivered(b"text", &request);
        let document = document(&delivered);
        let token = document["replyToken"].as_str().unwrap();
        let read = ReplyToken::decode(token).unwrap();
        assert_eq!((&*read.client_id, &*read.broker), ("c", "broker-a"));
        assert_eq!(delivered.headers()["x-mq-reply-token"], token);
    }
}
