//! Names of topics and groups with their namespace, as brokers know them (`NamespaceUtil`).
//!
//! A name within a namespace is `namespace%name` to brokers; of topics of retries and of dead
//! letters, the namespace is before the group: `%RETRY%namespace%group`.

use std::borrow::Cow;

use remoting_codec::message::{DLQ_PREFIX, RETRY_PREFIX};

use super::names;
use crate::error::MessagingError;

/// Prefixes that stay in front of a namespace.
const PREFIXES: [&str; 2] = [RETRY_PREFIX, DLQ_PREFIX];
const SEPARATOR: char = '%';

/// The namespace of a call, by which its topics and groups are named: a name may have a namespace
/// of its own; otherwise it is in that of the call. The Java proxy takes names as they are in every
/// namespace, so that tenants with equal names meet.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Names<'a> {
    default: &'a str,
}

impl<'a> Names<'a> {
    /// The names of a call in that namespace; empty for none.
    ///
    /// # Errors
    /// [`Part::Namespace`](crate::Part::Namespace) when it cannot be a part of names.
    pub fn new(default: &'a str) -> Result<Self, MessagingError> {
        names::namespace(default)?;
        Ok(Self { default })
    }

    /// The name to brokers of a topic that the client calls so. `own` is the namespace of the topic
    /// itself; empty for that of the call.
    ///
    /// # Errors
    /// [`Part::Topic`](crate::Part::Topic) when the name is empty or must not be used;
    /// [`Part::Namespace`](crate::Part::Namespace).
    pub fn topic(&self, own: &str, name: &str) -> Result<String, MessagingError> {
        let namespace = self.namespace(own)?;
        // A broker's own topic is one in no namespace; its name is kept from clients in all.
        names::topic(name)?;
        let topic = with_namespace(namespace, name);
        if !namespace.is_empty() {
            names::topic(&topic)?;
        }
        Ok(topic)
    }

    /// The name to brokers of a consumer group; what holds for [`topic`](Self::topic) holds here.
    ///
    /// # Errors
    /// [`Part::Group`](crate::Part::Group) when the name is empty or must not be used;
    /// [`Part::Namespace`](crate::Part::Namespace).
    pub fn group(&self, own: &str, name: &str) -> Result<String, MessagingError> {
        let namespace = self.namespace(own)?;
        names::group(name)?;
        let group = with_namespace(namespace, name);
        if !namespace.is_empty() {
            names::group(&group)?;
        }
        Ok(group)
    }

    fn namespace<'b>(&'b self, own: &'b str) -> Result<&'b str, MessagingError> {
        names::namespace(own)?;
        Ok(self.or_default(own))
    }

    fn or_default<'b>(&'b self, own: &'b str) -> &'b str {
        if own.is_empty() { self.default } else { own }
    }

    /// What a client calls the topic or group that brokers call so, if it names it with the
    /// namespace `own`; empty for that of the call.
    #[must_use]
    pub fn shown<'b>(&self, own: &str, name: &'b str) -> Cow<'b, str> {
        without_namespace(self.or_default(own), name)
    }
}

/// The name within the namespace (`NamespaceUtil.wrapNamespace`), always: a name that begins with
/// the namespace by itself is one within it all the same.
fn with_namespace(namespace: &str, name: &str) -> String {
    if namespace.is_empty() {
        return name.to_owned();
    }
    let (prefix, rest) = split_prefix(name);
    format!("{prefix}{namespace}{SEPARATOR}{rest}")
}

/// The name without that namespace (`NamespaceUtil.withoutNamespace`); one of another is left as it
/// is.
fn without_namespace<'a>(namespace: &str, name: &'a str) -> Cow<'a, str> {
    if namespace.is_empty() {
        return Cow::Borrowed(name);
    }
    let (prefix, rest) = split_prefix(name);
    let inner = rest.strip_prefix(namespace);
    match inner.and_then(|inner| inner.strip_prefix(SEPARATOR)) {
        None => Cow::Borrowed(name),
        Some(inner) if prefix.is_empty() => Cow::Borrowed(inner),
        Some(inner) => Cow::Owned(format!("{prefix}{inner}")),
    }
}

fn split_prefix(name: &str) -> (&'static str, &str) {
    let mut prefixes = PREFIXES.iter();
    let split = prefixes.find_map(|prefix| Some((*prefix, name.strip_prefix(prefix)?)));
    split.unwrap_or(("", name))
}

#[cfg(test)]
mod tests {
    use super::super::tests::part;
    use super::*;
    use crate::error::Part;

    #[test]
    fn names_are_kept_apart() {
        for (default, own, name, topic) in [
            ("", "", "T", "T"),
            ("a", "", "T", "a%T"),
            ("a", "b", "T", "b%T"),
            ("", "b", "T", "b%T"),
            ("a", "", "%DLQ%G", "%DLQ%a%G"),
            ("a", "", "%RETRY%G", "%RETRY%a%G"),
            ("a", "", "a%T", "a%a%T"),
            ("", "", "a%T", "a%T"),
        ] {
            let names = Names::new(default).unwrap();
            assert_eq!(names.topic(own, name).as_deref(), Ok(topic));
            assert_eq!(names.shown(own, topic), name);
        }
        let names = Names::new("a").unwrap();
        assert_eq!(names.group("", "G").as_deref(), Ok("a%G"));
        assert_eq!(names.shown("", "b%T"), "b%T");
        assert_eq!(names.shown("", "%RETRY%a"), "%RETRY%a");
    }

    #[test]
    fn names_are_checked_with_and_without_their_namespace() {
        let names = Names::new("a").unwrap();
        for (own, topic, wrong) in [
            ("", "", Part::Topic),
            ("", "TBW102", Part::Topic),
            ("", &*"t".repeat(126), Part::Topic),
            ("a%b", "T", Part::Namespace),
        ] {
            assert_eq!(part(names.topic(own, topic)), Some(wrong), "{topic:?}");
        }
        assert!(names.topic("", &"t".repeat(125)).is_ok());
        for group in ["", &*"g".repeat(119)] {
            assert_eq!(part(names.group("", group)), Some(Part::Group), "{group:?}");
        }
        assert_eq!(part(Names::new("a%b")), Some(Part::Namespace));
    }
}
