//! A message's properties as a text in its document: `name:value|name:value|`.
//!
//! SDKs split that text at each `|` and each `:`, and drop what is then not a pair. Clients of
//! other protocols may store names and values with such characters, and with characters that XML
//! does not have. A consumer gets these percent-encoded, and the property [`ENCODED`] has the names
//! of all that are; a producer may send the same.

use std::borrow::Cow;
use std::collections::HashSet;

use remoting_codec::message::property;

use super::error::{Code, SdkError, shown};
use super::xml::is_valid;
use crate::percent;

/// The keys of the message, separated by spaces.
const KEYS: &str = "KEYS";
/// When to deliver it: milliseconds since 1970.
const START_DELIVER_TIME: &str = "__STARTDELIVERTIME";
/// Messages with the same value are consumed in their order.
const SHARDING_KEY: &str = "__SHARDINGKEY";
/// For how many seconds a broker does not ask for the outcome of this message, which makes it a
/// half message.
const TRANSACTION_CHECK: &str = "__TransCheckT";
/// What a body that XML cannot have is handed out as: see [`BodyEncoding`].
pub const BODY_ENCODING: &str = "__BODY_ENCODING";
/// The names of properties that are percent-encoded, as they are written, separated by commas.
pub const ENCODED: &str = "__ENCODED";

/// Seconds without a question, for a half message: from, and to.
const CHECK_SECONDS: std::ops::RangeInclusive<u32> = 10..=300;
/// Most bytes of all of them: brokers take 16 KiB, which percent-encoding makes three times as
/// long, and a list of names beside them no more than twice that.
const LONGEST: usize = 128 * 1024;
/// Most properties of a message.
const MOST: usize = 128;

/// What stands in a document instead of a body that XML cannot have, or not all SDKs can read.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum BodyEncoding {
    /// The body in base64 (RFC 4648, with padding).
    Base64,
    /// The same of a body that its producer has compressed, in a way that is not read here.
    Compressed(&'static str),
    /// A body without a byte; in its place is one character that has no meaning. The SDK for Python
    /// reads none of the messages of an answer that has an empty body in it.
    Empty,
}

impl BodyEncoding {
    fn text(self) -> Cow<'static, str> {
        match self {
            Self::Base64 => Cow::Borrowed("base64"),
            Self::Compressed(how) => Cow::Owned(format!("base64,{how}")),
            Self::Empty => Cow::Borrowed("empty"),
        }
    }
}

/// A message's properties, those that the protocol gives a meaning apart.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Properties<'a> {
    /// Its keys, separated by spaces.
    pub keys: Option<Cow<'a, str>>,
    /// When to deliver it: milliseconds since 1970.
    pub deliver_at: Option<i64>,
    /// What messages share that are consumed in their order.
    pub sharding_key: Option<Cow<'a, str>>,
    /// For how many seconds a broker does not ask for the outcome of the half message.
    pub check_after: Option<u32>,
    /// What stands in the place of its body.
    pub body_encoding: Option<BodyEncoding>,
    /// The application's own, in their order.
    pub own: Vec<(Cow<'a, str>, Cow<'a, str>)>,
}

fn error(message: impl Into<Cow<'static, str>>) -> SdkError {
    SdkError::new(Code::InvalidArgument, message)
}

impl<'a> Properties<'a> {
    /// Reads the text of a message to publish.
    ///
    /// # Errors
    /// `InvalidArgument` when a part is no pair; a name or a value is empty, or has control
    /// characters; a name is there twice, or has a meaning for brokers or for their clients; a
    /// value is not one of its property's; or there are more than 128.
    pub fn read(text: &'a str) -> Result<Self, SdkError> {
        let mut properties = Self::default();
        if text.len() > LONGEST {
            return Err(error(format!(
                "Properties is longer than {LONGEST} characters"
            )));
        }
        let pieces = text.split('|').filter(|piece| !piece.is_empty());
        let pieces: Vec<&str> = pieces.take(MOST + 1).collect();
        if pieces.len() > MOST {
            return Err(error(format!("there are more than {MOST} properties")));
        }
        let mut own = pieces.iter();
        let encoded = own.find_map(|piece| piece.strip_prefix(ENCODED)?.strip_prefix(':'));
        let encoded: HashSet<&str> = encoded.unwrap_or_default().split(',').collect();
        let is_encoded = |name: &str| encoded.contains(name);
        let mut names: Vec<Cow<'_, str>> = Vec::new();
        for piece in pieces {
            // Further colons are the value's: the SDK for Node lets them through in keys.
            let pair = piece.split_once(':');
            let pair = pair.filter(|(name, value)| !name.is_empty() && !value.is_empty());
            let (name, value) = pair.ok_or_else(|| {
                error(format!(
                    "a part of Properties is not \"name:value\": {}",
                    shown(piece)
                ))
            })?;
            let decoded = match is_encoded(name) {
                true => percent::decode(name, false).zip(percent::decode(value, false)),
                false => Some((Cow::Borrowed(name), Cow::Borrowed(value))),
            };
            let (name, value) = decoded.ok_or_else(|| {
                error(format!(
                    "the property {} is not percent-encoded",
                    shown(name)
                ))
            })?;
            if names.contains(&name) {
                return Err(error(format!(
                    "the property {} is there twice",
                    shown(&name)
                )));
            }
            names.push(name.clone());
            if name != ENCODED {
                properties.add(name, value)?;
            }
        }
        Ok(properties)
    }

    fn add(&mut self, name: Cow<'a, str>, value: Cow<'a, str>) -> Result<(), SdkError> {
        if name.contains(char::is_control) || value.contains(char::is_control) {
            return Err(error(format!(
                "the property {} has control characters",
                shown(&name)
            )));
        }
        match &*name {
            KEYS => self.keys = Some(value),
            SHARDING_KEY => self.sharding_key = Some(value),
            START_DELIVER_TIME => {
                let time = value.parse().ok().filter(|time| *time >= 0);
                self.deliver_at = Some(time.ok_or_else(|| {
                    error("__STARTDELIVERTIME is no number of milliseconds since 1970")
                })?);
            }
            TRANSACTION_CHECK => {
                let seconds = value.parse().ok();
                let seconds = seconds.filter(|seconds| CHECK_SECONDS.contains(seconds));
                self.check_after = Some(seconds.ok_or_else(|| {
                    error("__TransCheckT is no number of seconds from 10 to 300")
                })?);
            }
            BODY_ENCODING => {
                let known = [BodyEncoding::Base64, BodyEncoding::Empty];
                let encoding = known.into_iter().find(|known| known.text() == value);
                self.body_encoding = Some(
                    encoding.ok_or_else(|| error("__BODY_ENCODING is neither base64 nor empty"))?,
                );
            }
            reserved if property::is_reserved(reserved) => {
                return Err(error(format!(
                    "the property {} is reserved: use another name",
                    shown(reserved)
                )));
            }
            _ => self.own.push((name, value)),
        }
        Ok(())
    }

    /// The text for a consumer; `None` if there are no properties. Those without a name or a value
    /// are left out, as brokers do. `odd_tag` is the message's tag, if XML cannot have it.
    #[must_use]
    pub fn write(&self, odd_tag: Option<&str>) -> Option<String> {
        let mut text = Text::default();
        let own = self.own.iter();
        // These two are what this text has itself.
        let own = own.filter(|(name, _)| !matches!(&**name, ENCODED | BODY_ENCODING));
        for (name, value) in own {
            text.add(name, value);
        }
        for (name, value) in [
            (property::TAGS, odd_tag),
            (KEYS, self.keys.as_deref()),
            (SHARDING_KEY, self.sharding_key.as_deref()),
        ] {
            text.add(name, value.unwrap_or_default());
        }
        if let Some(time) = self.deliver_at {
            text.add(START_DELIVER_TIME, &time.to_string());
        }
        if let Some(seconds) = self.check_after {
            text.add(TRANSACTION_CHECK, &seconds.to_string());
        }
        if let Some(encoding) = self.body_encoding {
            text.add(BODY_ENCODING, &encoding.text());
        }
        text.end()
    }
}

/// A text that is being written.
#[derive(Default)]
struct Text {
    text: String,
    encoded: Vec<String>,
}

/// Characters that the text cannot have in a name or a value. White space at the ends of a value is
/// none of them.
fn is_special(sign: char) -> bool {
    // C0 and C1: XML has tabs and line ends, and SDKs do not expect them here.
    matches!(sign, ':' | '|') || sign.is_control() || !is_valid(sign)
}

impl Text {
    fn add(&mut self, name: &str, value: &str) {
        if name.is_empty() || value.is_empty() {
            return;
        }
        let is_plain =
            !name.contains(|sign| is_special(sign) || sign == ',') && !value.contains(is_special);
        if is_plain {
            self.pair(name, value);
            return;
        }
        let (mut encoded_name, mut encoded_value) = (String::new(), String::new());
        percent::encode_special(
            name,
            |sign| is_special(sign) || sign == ',',
            &mut encoded_name,
        );
        percent::encode_special(value, is_special, &mut encoded_value);
        self.pair(&encoded_name, &encoded_value);
        self.encoded.push(encoded_name);
    }

    fn pair(&mut self, name: &str, value: &str) {
        self.text.extend([name, ":", value, "|"]);
    }

    fn end(mut self) -> Option<String> {
        if !self.encoded.is_empty() {
            let names = self.encoded.join(",");
            self.pair(ENCODED, &names);
        }
        (!self.text.is_empty()).then_some(self.text)
    }
}

#[cfg(test)]
#[path = "properties_tests.rs"]
mod tests;
