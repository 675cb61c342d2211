//! Names of topics and groups, as the protocol has them and as brokers know them.

use crate::error::CallError;
use crate::proto::Resource;

/// The namespace that a call is made in: of a resource's own, or else of the header
/// `x-mq-namespace`.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Names<'a>(messaging::check::Names<'a>);

/// The namespace and the name of a resource; both empty if it is absent.
fn parts(resource: Option<&Resource>) -> (&str, &str) {
    resource.map_or(("", ""), |resource| {
        (&*resource.resource_namespace, &*resource.name)
    })
}

impl<'a> Names<'a> {
    /// Of the header's value; empty for none.
    ///
    /// # Errors
    /// When it cannot be a part of names.
    pub fn new(header: &'a str) -> Result<Self, CallError> {
        Ok(Self(messaging::check::Names::new(header)?))
    }

    /// The topic's name to brokers.
    ///
    /// # Errors
    /// When the topic is absent or must not be used.
    pub fn topic(&self, topic: Option<&Resource>) -> Result<String, CallError> {
        let (namespace, name) = parts(topic);
        Ok(self.0.topic(namespace, name)?)
    }

    /// The group's name to brokers.
    ///
    /// # Errors
    /// When the group is absent or must not be used.
    pub fn group(&self, group: Option<&Resource>) -> Result<String, CallError> {
        let (namespace, name) = parts(group);
        Ok(self.0.group(namespace, name)?)
    }

    /// What a client calls the topic that brokers call so.
    #[must_use]
    pub fn shown(&self, resource_namespace: &str, name: &str) -> Resource {
        Resource {
            resource_namespace: resource_namespace.to_owned(),
            name: self.0.shown(resource_namespace, name).into_owned(),
        }
    }
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
    fn a_resource_s_own_namespace_precedes_that_of_the_call() {
        let names = Names::new("a").unwrap();
        for (own, topic) in [("", "a%T"), ("b", "b%T")] {
            let asked = resource(own, "T");
            assert_eq!(names.topic(Some(&asked)).as_deref(), Ok(topic));
            assert_eq!(names.shown(own, topic), asked);
        }
    }

    #[test]
    fn names_that_must_not_be_used_have_a_code() {
        let names = Names::default();
        for (topic, code) in [
            (None, Code::IllegalTopic),
            (Some(resource("", "TBW102")), Code::IllegalTopic),
            (Some(resource("a%b", "T")), Code::BadRequest),
        ] {
            let error = names.topic(topic.as_ref()).unwrap_err();
            assert_eq!(error.code, code, "{topic:?}");
        }
        let error = names.group(None).unwrap_err();
        assert_eq!(error.code, Code::IllegalConsumerGroup);
        assert_eq!(Names::new("a%b").unwrap_err().code, Code::BadRequest);
    }
}
