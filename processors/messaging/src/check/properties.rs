//! Properties of the application's own.

use super::{Limits, ensure, has_control, shown};
use crate::error::{MessagingError, Part};
use remoting_codec::message::property;

/// The properties of a message, with its tag and keys
/// (`SendMessageActivity.buildMessageProperty`), which count for their size.
///
/// A name is reserved if brokers or clients give it a meaning. That is more than the Java proxy
/// refuses: it lets an application write INNER_MULTI_DISPATCH, by which a message gets into queues
/// of other topics. A property without a value is not stored, and is not refused either.
///
/// # Errors
/// [`Part::Properties`] when they are too many or too large together; [`Part::Property`] when a
/// name is empty or reserved, or a name or a value has control characters.
pub fn user_properties<'a>(
    properties: impl ExactSizeIterator<Item = (&'a str, &'a str)>,
    tag_and_keys: usize,
    limits: &Limits,
) -> Result<(), MessagingError> {
    let too_large = Part::Properties;
    let part = Part::Property;
    let most = limits.user_properties;
    ensure(properties.len() <= most, too_large, || {
        format!("the message has more than {most} properties: send fewer")
    })?;
    let mut size = tag_and_keys;
    for (name, value) in properties {
        ensure(!name.is_empty(), part, || {
            "a property has no name: name it".to_owned()
        })?;
        ensure(!property::is_reserved(name), part, || {
            format!("the property {} is reserved: use another name", shown(name))
        })?;
        ensure(!has_control(name), part, || {
            "the name of a property must not have control characters".to_owned()
        })?;
        ensure(!has_control(value), part, || {
            let name = shown(name);
            format!("the value of the property {name} must not have control characters")
        })?;
        size = size.saturating_add(name.len()).saturating_add(value.len());
    }
    let most = limits.properties_size;
    ensure(size <= most, too_large, || {
        format!(
            "properties, tag and keys of the message have {size} bytes; the limit is {most}: put \
             what is large into the body"
        )
    })
}

#[cfg(test)]
mod tests {
    use super::super::tests::part;
    use super::*;

    fn checked(properties: &[(&str, &str)], tag_and_keys: usize) -> Option<Part> {
        let properties = properties.iter().copied();
        part(user_properties(
            properties,
            tag_and_keys,
            &Limits::default(),
        ))
    }

    #[test]
    fn names_and_values_are_checked() {
        for (name, value, right) in [
            ("color", "red", true),
            ("color", "", true),
            ("with space", "ключ", true),
            ("", "red", false),
            ("KEYS", "k", false),
            ("__SHARDINGKEY", "k", false),
            ("INNER_MULTI_DISPATCH", "%LMQ%x", false),
            ("_SYS_MSG_PRIORITY_", "1", false),
            ("__RMQ.TRANSIENT.x", "1", false),
            ("a\u{1}", "b", false),
            ("a", "b\u{2}TRAN_MSG\u{1}true", false),
        ] {
            let expected = (!right).then_some(Part::Property);
            assert_eq!(checked(&[(name, value)], 0), expected, "{name:?} {value:?}");
        }
    }

    #[test]
    fn number_and_size_are_limited() {
        let names: Vec<String> = (0..129).map(|number| number.to_string()).collect();
        let many: Vec<_> = names.iter().map(|name| (name.as_str(), "v")).collect();
        assert_eq!(checked(&many[..128], 0), None);
        assert_eq!(checked(&many, 0), Some(Part::Properties));
        let value = "v".repeat(16_384 - 10 - 1);
        assert_eq!(checked(&[("n", &value)], 10), None);
        assert_eq!(checked(&[("n", &value)], 11), Some(Part::Properties));
        assert_eq!(checked(&[], 16_384), None);
        assert_eq!(checked(&[], usize::MAX), Some(Part::Properties));
    }
}
