//! Headers that are refused although brokers of 5.5.0 take some of them: see decision 0010.

#![allow(clippy::unwrap_used, reason = "a test that panics fails")]

use remoting_codec::{CommandView, DecodeError};

fn error(header: &str) -> Option<DecodeError> {
    let mut frame = Vec::new();
    frame.extend((4 + header.len() as u32).to_be_bytes());
    frame.extend((header.len() as u32).to_be_bytes());
    frame.extend(header.as_bytes());
    CommandView::decode(&frame).err()
}

#[test]
fn values_are_read_to_a_depth_of_64() {
    let array = |depth: usize| format!("{}7{}", "[".repeat(depth), "]".repeat(depth));
    let object = |depth: usize| format!("{}7{}", "{\"a\":".repeat(depth), "}".repeat(depth));
    for (value, is_read) in [
        (array(64), true),
        (array(65), false),
        (object(64), true),
        (object(65), false),
    ] {
        for header in [
            format!(r#"{{"opaque":7,"remark":{value}}}"#),
            format!(r#"{{"opaque":7,"extFields":{{"a":{value}}}}}"#),
        ] {
            let error = error(&header);
            assert_eq!(error.is_none(), is_read, "{header}");
            assert!(matches!(error, None | Some(DecodeError::TooDeep(_))));
        }
    }
}

/// Of a long number with an exponent, brokers of 5.5.0 keep the first digits, and before more than
/// 32 bits they take a plus for a digit.
#[test]
fn numbers_that_readers_differ_on_are_refused() {
    const LONG: &str = "123456789012345678901234567890123456789";
    let (exponent, zero) = (format!("{LONG}e9"), format!("{LONG}e0"));
    let not_a_number = Some(DecodeError::NotANumber("flag"));
    for (number, as_text, as_number) in [
        ("+12345678", true, None),
        ("+123456789", false, None),
        ("-123456789", true, None),
        ("+123456789.5", false, not_a_number),
        ("-123456789.5", true, None),
        (LONG, true, not_a_number),
        (&exponent, false, not_a_number),
        (&zero, false, not_a_number),
    ] {
        for value in [number.to_owned(), format!("[{number}]")] {
            let error = error(&format!(r#"{{"opaque":7,"extFields":{{"a":{value}}}}}"#));
            assert_eq!(error.is_none(), as_text, "{value}");
            assert!(matches!(
                error,
                None | Some(DecodeError::AmbiguousNumber(_))
            ));
        }
        for value in [number.to_owned(), format!("\"{number}\"")] {
            let error = error(&format!(r#"{{'opaque':7,"flag":{value}}}"#));
            assert_eq!(error, as_number, "{value}");
        }
    }
}

#[test]
fn exponents_and_names_that_readers_differ_on_are_refused() {
    for (header, is_read) in [
        (r#"{"code":1e-2147483648,'opaque':1}"#, false),
        (r#"{"code":1e-7,'opaque':1}"#, true),
        (
            "{'opaque':1,\"extFields\":{\"b\":{\"consu\0merGroup\":1}}}",
            false,
        ),
        // A NUL is white space between the fields of a header, but not in a value of one.
        (
            "{'opaque':1,\"extFields\":{\"b\":{\"a\":false,\0\"consumerGroup\":1}}}",
            false,
        ),
        ("{'opaque':1,\"extFields\":{\"b\":{\"a\":1\0}}}", false),
        ("{'opaque':1,\"extFields\":{\"b\":\0{\"a\":1}}}", true),
        (
            r#"{'opaque':1,"extFields":{"b":{"consumerGroup":1}}}"#,
            true,
        ),
    ] {
        assert_eq!(error(header).is_none(), is_read, "{header}");
    }
}
