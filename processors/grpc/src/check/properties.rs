//! Properties of the application's own.

use super::{Limits, ensure, has_control, shown};
use crate::error::CallError;
use crate::proto::Code;
use remoting_codec::message::property;

/// The properties of a message, with its tag and keys
/// (`SendMessageActivity.buildMessageProperty`), which count for their size.
///
/// A name is reserved if brokers or clients give it a meaning. That is more than the Java proxy
/// refuses: it lets an application write INNER_MULTI_DISPATCH, by which a message gets into queues
/// of other topics. A property without a value is not stored, and is not refused either.
///
/// # Errors
/// MESSAGE_PROPERTIES_TOO_LARGE when they are too many or too large together;
/// ILLEGAL_MESSAGE_PROPERTY_KEY when a name is empty or reserved, or a name or a value has control
/// characters.
pub fn user_properties<'a>(
    properties: impl ExactSizeIterator<Item = (&'a str, &'a str)>,
    tag_and_keys: usize,
    limits: &Limits,
) -> Result<(), CallError> {
    let too_large = Code::MessagePropertiesTooLarge;
    let code = Code::IllegalMessagePropertyKey;
    let most = limits.user_properties;
    ensure(properties.len() <= most, too_large, || {
        format!("the message has more than {most} properties: send fewer")
    })?;
    let mut size = tag_and_keys;
    for (name, value) in properties {
        ensure(!name.is_empty(), code, || {
            "a property has no name: name it".to_owned()
        })?;
        ensure(!property::is_reserved(name), code, || {
            format!("the property {} is reserved: use another name", shown(name))
        })?;
        ensure(!has_control(name), code, || {
            "the name of a property must not have control characters".to_owned()
        })?;
        ensure(!has_control(value), code, || {
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
    use super::*;

    fn code(properties: &[(&str, &str)], tag_and_keys: usize) -> Code {
        let result = user_properties(properties.iter().copied(), tag_and_keys, &Limits::default());
        result.err().map_or(Code::Ok, |error| error.code)
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
            let illegal = Code::IllegalMessagePropertyKey;
            let expected = if right { Code::Ok } else { illegal };
            assert_eq!(code(&[(name, value)], 0), expected, "{name:?} {value:?}");
        }
    }

    #[test]
    fn number_and_size_are_limited() {
        let names: Vec<String> = (0..129).map(|number| number.to_string()).collect();
        let many: Vec<_> = names.iter().map(|name| (name.as_str(), "v")).collect();
        assert_eq!(code(&many[..128], 0), Code::Ok);
        assert_eq!(code(&many, 0), Code::MessagePropertiesTooLarge);
        let value = "v".repeat(16_384 - 10 - 1);
        assert_eq!(code(&[("n", &value)], 10), Code::Ok);
        assert_eq!(code(&[("n", &value)], 11), Code::MessagePropertiesTooLarge);
        assert_eq!(code(&[], 16_384), Code::Ok);
        assert_eq!(code(&[], usize::MAX), Code::MessagePropertiesTooLarge);
    }
}
