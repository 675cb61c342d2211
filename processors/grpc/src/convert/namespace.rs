//! Names of topics and groups with their namespace, as brokers know them (`NamespaceUtil`).
//!
//! A name within a namespace is `namespace%name` to brokers; of topics of retries and of dead
//! letters, the namespace is before the group: `%RETRY%namespace%group`.

use std::borrow::Cow;

use crate::check;
use crate::error::CallError;
use crate::proto::Resource;

/// Prefixes that stay in front of a namespace.
const PREFIXES: [&str; 2] = ["%RETRY%", "%DLQ%"];
const SEPARATOR: char = '%';

/// The namespace that a call is made in: of a resource's own, or else of the header
/// `x-mq-namespace`. The Java proxy takes names as they are in every namespace, so that tenants
/// with equal names meet.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Names<'a> {
    header: &'a str,
}

impl<'a> Names<'a> {
    /// Of the header's value; empty for none.
    ///
    /// # Errors
    /// When it cannot be a part of names.
    pub fn new(header: &'a str) -> Result<Self, CallError> {
        check::namespace(header)?;
        Ok(Self { header })
    }

    /// The topic's name to brokers.
    ///
    /// # Errors
    /// When the topic is absent or must not be used.
    pub fn topic(&self, topic: Option<&Resource>) -> Result<String, CallError> {
        let (namespace, name) = self.parts(topic)?;
        // A broker's own topic is one in no namespace; its name is kept from clients in all.
        check::topic(name)?;
        let topic = with_namespace(namespace, name);
        check::topic(&topic)?;
        Ok(topic)
    }

    /// The group's name to brokers.
    ///
    /// # Errors
    /// When the group is absent or must not be used.
    pub fn group(&self, group: Option<&Resource>) -> Result<String, CallError> {
        let (namespace, name) = self.parts(group)?;
        check::group(name)?;
        let group = with_namespace(namespace, name);
        check::group(&group)?;
        Ok(group)
    }

    fn parts<'b>(
        &'b self,
        resource: Option<&'b Resource>,
    ) -> Result<(&'b str, &'b str), CallError> {
        let Some(resource) = resource else {
            return Ok((self.header, ""));
        };
        let namespace = resource.resource_namespace.as_str();
        check::namespace(namespace)?;
        let namespace = if namespace.is_empty() {
            self.header
        } else {
            namespace
        };
        Ok((namespace, &resource.name))
    }

    /// What a client calls the topic that brokers call so.
    #[must_use]
    pub fn shown(&self, resource_namespace: &str, name: &str) -> Resource {
        let namespace = match resource_namespace {
            "" => self.header,
            own => own,
        };
        Resource {
            resource_namespace: resource_namespace.to_owned(),
            name: without_namespace(namespace, name).into_owned(),
        }
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
    use super::*;
    use crate::proto::Code;

    fn resource(namespace: &str, name: &str) -> Resource {
        Resource {
            resource_namespace: namespace.to_owned(),
            name: name.to_owned(),
        }
    }

    #[test]
    fn names_are_kept_apart() {
        for (header, own, name, topic) in [
            ("", "", "T", "T"),
            ("a", "", "T", "a%T"),
            ("a", "b", "T", "b%T"),
            ("", "b", "T", "b%T"),
            ("a", "", "%DLQ%G", "%DLQ%a%G"),
            ("a", "", "%RETRY%G", "%RETRY%a%G"),
            ("a", "", "a%T", "a%a%T"),
            ("", "", "a%T", "a%T"),
        ] {
            let names = Names::new(header).unwrap();
            let asked = resource(own, name);
            assert_eq!(names.topic(Some(&asked)).as_deref(), Ok(topic));
            assert_eq!(names.shown(own, topic), asked);
        }
        let names = Names::new("a").unwrap();
        assert_eq!(names.group(Some(&resource("", "G"))).as_deref(), Ok("a%G"));
        assert_eq!(names.shown("", "b%T").name, "b%T");
        assert_eq!(names.shown("", "%RETRY%a").name, "%RETRY%a");
    }

    #[test]
    fn names_are_checked_with_and_without_their_namespace() {
        let names = Names::new("a").unwrap();
        for (topic, code) in [
            (None, Code::IllegalTopic),
            (Some(resource("", "")), Code::IllegalTopic),
            (Some(resource("", "TBW102")), Code::IllegalTopic),
            (Some(resource("", &"t".repeat(126))), Code::IllegalTopic),
            (Some(resource("a%b", "T")), Code::BadRequest),
        ] {
            let error = names.topic(topic.as_ref()).unwrap_err();
            assert_eq!(error.code, code, "{topic:?}");
        }
        assert!(names.topic(Some(&resource("", &"t".repeat(125)))).is_ok());
        for group in [None, Some(resource("", &"g".repeat(119)))] {
            let error = names.group(group.as_ref()).unwrap_err();
            assert_eq!(error.code, Code::IllegalConsumerGroup, "{group:?}");
        }
        assert!(Names::new("a%b").is_err());
    }
}
