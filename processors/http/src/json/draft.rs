//! A message to be sent, as a client has described it.

use std::borrow::Cow;
use std::time::Duration;

use bytes::Bytes;

use super::problem::Problem;
use super::read::shown;

/// The property that keeps a message's content type.
pub const CONTENT_TYPE: &str = "content-type";

/// Most keys of a message.
pub(super) const KEYS_MAX: usize = 64;

/// Most properties of a message, beside the limit of the cluster.
pub(super) const PROPERTIES_MAX: usize = 256;

/// Most bytes of an idempotency key.
const ID_MAX: usize = 255;

/// When a message is delivered.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Delivery {
    /// So long after it was sent.
    After(Duration),
    /// At that time: milliseconds since 1970.
    At(i64),
}

/// That a message is the half message of a transaction.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Transaction {
    /// For how long the broker does not ask what becomes of it; `None` for the default.
    pub check_after: Option<Duration>,
}

/// A message to be sent. Its parts are well-formed, and not checked otherwise: what a cluster takes
/// does not depend on the protocol.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Draft {
    /// The body, which shares the memory of the request where it stands there as it is.
    pub body: Bytes,
    /// The tag that consumers filter by.
    pub tag: Option<String>,
    /// Keys that the message can be searched by. They have no white space, which separates them.
    pub keys: Vec<String>,
    /// The message group, within which messages are delivered in order.
    pub group: Option<String>,
    /// When it is delivered, if not at once.
    pub delivery: Option<Delivery>,
    /// Its priority.
    pub priority: Option<i32>,
    /// Its lite topic.
    pub lite: Option<String>,
    /// The application's own properties, the content type included.
    pub properties: Vec<(String, String)>,
    /// The id that the client has given it. Brokers keep it, and store a second message of the
    /// same id all the same.
    pub message_id: Option<String>,
    /// Whether it is a half message.
    pub transaction: Option<Transaction>,
}

impl Draft {
    /// Adds a property of the application's own.
    ///
    /// # Errors
    /// When it is there already, is the content type, which has a field of its own, or when there
    /// are too many.
    pub(super) fn push(&mut self, name: String, value: String) -> Result<(), Problem> {
        if name == CONTENT_TYPE {
            let detail = "content-type is no property of your own: set the content type instead";
            return Err(Problem::invalid(detail).of("property content-type"));
        }
        if self.properties.iter().any(|(before, _)| *before == name) {
            let name = shown(&name);
            let detail = format!("the property {name:?} is there twice: send it once");
            return Err(Problem::invalid(detail).of(&format!("property {name}")));
        }
        if self.properties.len() == PROPERTIES_MAX {
            let detail = format!("the message has more than {PROPERTIES_MAX} properties");
            return Err(Problem::invalid(detail).of("property"));
        }
        self.properties.push((name, value));
        Ok(())
    }

    /// Notes the content type as a property of that name.
    pub(super) fn set_content_type(&mut self, name: &str, content_type: &str) {
        if !content_type.is_empty() {
            let property = (name.to_owned(), content_type.to_owned());
            self.properties.push(property);
        }
    }

    /// Adds a key.
    ///
    /// # Errors
    /// When it is empty or has white space, which would make several of it, or when there are too
    /// many.
    pub(super) fn push_key(&mut self, key: &str) -> Result<(), Problem> {
        if key.is_empty() || key.contains(char::is_whitespace) {
            let key = shown(key);
            let detail = format!("a key must have no white space, and not be empty: {key:?}");
            return Err(Problem::invalid(detail).of("key"));
        }
        if self.keys.len() == KEYS_MAX {
            let detail = format!("the message has more than {KEYS_MAX} keys");
            return Err(Problem::invalid(detail).of("key"));
        }
        self.keys.push(key.to_owned());
        Ok(())
    }
}

/// When a message is delivered.
///
/// # Errors
/// When both are given.
pub(super) fn delivery(
    delay: Option<Duration>,
    at: Option<i64>,
) -> Result<Option<Delivery>, Problem> {
    match (delay, at) {
        (Some(_), Some(_)) => {
            let detail = "delay and at exclude each other: send one of them";
            Err(Problem::invalid(detail).of("at"))
        }
        (Some(delay), None) => Ok(Some(Delivery::After(delay))),
        (None, at) => Ok(at.map(Delivery::At)),
    }
}

/// The message id of an idempotency key, which may stand in quotes, as the draft of the IETF has
/// it.
///
/// # Errors
/// When it is empty, too long, or has other characters than visible ones of ASCII: brokers search
/// by it, and recall handles have it between spaces.
pub(super) fn message_id(key: &str) -> Result<String, Problem> {
    let inner = key.strip_prefix('"').and_then(|key| key.strip_suffix('"'));
    let id = inner.unwrap_or(key);
    let is_right = (1..=ID_MAX).contains(&id.len())
        && id
            .bytes()
            .all(|byte| byte.is_ascii_graphic() && byte != b'"');
    match is_right {
        true => Ok(id.to_owned()),
        false => {
            let detail =
                format!("the idempotency key must have 1 to {ID_MAX} visible characters of ASCII");
            Err(Problem::invalid(detail).of("idempotency-key"))
        }
    }
}

/// A part of the request's body, which shares its memory if it stands in it.
pub(super) fn share(whole: &Bytes, part: Cow<'_, [u8]>) -> Bytes {
    match part {
        Cow::Owned(part) => part.into(),
        Cow::Borrowed(part) => {
            let start = part.as_ptr().addr().checked_sub(whole.as_ptr().addr());
            let range = start.and_then(|start| Some(start..start.checked_add(part.len())?));
            match range.filter(|range| range.end <= whole.len()) {
                Some(range) => whole.slice(range),
                None => Bytes::copy_from_slice(part),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_and_properties_are_limited() {
        let mut draft = Draft::default();
        for nth in 0..KEYS_MAX {
            draft.push_key(&nth.to_string()).unwrap();
        }
        assert!(draft.push_key("more").is_err());
        for nth in 0..PROPERTIES_MAX {
            draft.push(nth.to_string(), String::new()).unwrap();
        }
        assert!(draft.push("more".to_owned(), String::new()).is_err());
        let mut draft = Draft::default();
        for wrong in ["", " ", "a b", "a\u{a0}b"] {
            assert!(draft.push_key(wrong).is_err(), "{wrong:?}");
        }
        draft.push("a".to_owned(), "1".to_owned()).unwrap();
        for wrong in ["a", CONTENT_TYPE] {
            let problem = draft.push(wrong.to_owned(), "2".to_owned()).unwrap_err();
            assert_eq!(problem.parameter, Some(format!("property {wrong}")));
        }
    }

    #[test]
    fn ids_are_visible() {
        let long = "x".repeat(ID_MAX);
        for (key, id) in [
            ("8e03978e-40d5", Some("8e03978e-40d5")),
            ("\"8e03978e\"", Some("8e03978e")),
            (&*long, Some(&*long)),
            (&*format!("{long}x"), None),
            ("", None),
            ("\"\"", None),
            ("\"", None),
            ("a b", None),
            ("ä", None),
            ("a\u{1}", None),
        ] {
            assert_eq!(message_id(key).ok().as_deref(), id, "{key}");
        }
    }

    #[test]
    fn a_delivery_has_one_time() {
        let second = Duration::from_secs(1);
        assert_eq!(delivery(None, None).unwrap(), None);
        assert_eq!(
            delivery(Some(second), None).unwrap(),
            Some(Delivery::After(second))
        );
        assert_eq!(delivery(None, Some(5)).unwrap(), Some(Delivery::At(5)));
        assert!(delivery(Some(second), Some(5)).is_err());
    }

    #[test]
    fn parts_share_memory() {
        let whole = Bytes::from(b"0123456789".to_vec());
        let part = share(&whole, Cow::Borrowed(&whole[3..5]));
        assert_eq!(part, "34");
        assert_eq!(part.as_ptr(), whole[3..].as_ptr());
        assert_eq!(share(&whole, Cow::Borrowed(b"elsewhere")), "elsewhere");
        assert_eq!(share(&whole, Cow::Owned(b"own".to_vec())), "own");
    }
}
