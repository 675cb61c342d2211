//! Receipt handles: what a consumer acknowledges a message with, or a producer ends a transaction.
//!
//! ```text
//! "R1" kind base64url( checksum, 8 bytes | what the broker needs )
//! ```
//!
//! A handle has all that is needed, so that any replica can serve it. The checksum covers the
//! topic, and for messages the group: a handle that was cut, changed, or mixed up with that of
//! another consumer is noticed. It keeps no secret, and grants nothing: brokers take the receipts
//! of any client, and so who may do what with a topic and a group is decided before a handle is
//! read.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use remoting_codec::message::Receipt;
use sha1::{Digest as _, Sha1};

use super::error::{Code, SdkError};

/// Of a message that was consumed.
const MESSAGE: &str = "R1m";
/// Of a half message.
const HALF: &str = "R1t";
/// Most bytes of a handle that is read: there is no longer one.
const LONGEST: usize = 2048;
const CHECKSUM: usize = 8;

/// The handle of a message that was consumed from this topic by this group, both with their
/// namespace. `receipt` is the broker's.
#[must_use]
pub fn of_message(receipt: &Receipt<'_>, topic: &str, group: &str) -> String {
    seal(MESSAGE, &[topic, group], receipt.to_string().as_bytes())
}

/// The broker's receipt in the handle of a message. `clock` is the time at the broker of that name,
/// in milliseconds since 1970: by its own clock, or by the one here if that is not known.
///
/// # Errors
/// `ReceiptHandleError` when it is no handle of a message of this topic and group;
/// `MessageNotExist` when it is no longer valid, because others may have the message by then.
pub fn message(
    handle: &str,
    topic: &str,
    group: &str,
    clock: impl FnOnce(&str) -> i64,
) -> Result<String, SdkError> {
    let opened = open(MESSAGE, &[topic, group], handle);
    let text = opened.and_then(|text| String::from_utf8(text).ok());
    let text = text.ok_or_else(|| invalid("of another message, topic or group"))?;
    let receipt = Receipt::parse(&text).map_err(|_| invalid("malformed"))?;
    match receipt.visible_time() > clock(receipt.broker) {
        true => Ok(text),
        false => Err(expired("others may have the message by now")),
    }
}

/// The handle of a half message of this topic, with its namespace. `token` is what END_TRANSACTION
/// needs, and `valid_until` the time (milliseconds since 1970) from which the handle is refused.
#[must_use]
pub fn of_half(token: &str, topic: &str, valid_until: i64) -> String {
    let mut content = valid_until.to_be_bytes().to_vec();
    content.extend_from_slice(token.as_bytes());
    seal(HALF, &[topic], &content)
}

/// The token in the handle of a half message.
///
/// # Errors
/// `ReceiptHandleError` when it is no handle of a half message of this topic; `MessageNotExist`
/// when it is no longer valid at this time (milliseconds since 1970), because the broker asks
/// again.
pub fn half(handle: &str, topic: &str, now: i64) -> Result<String, SdkError> {
    let content = open(HALF, &[topic], handle);
    let content = content.ok_or_else(|| invalid("of another message or topic"))?;
    let (valid_until, token) = content
        .split_first_chunk::<8>()
        .ok_or_else(|| invalid("malformed"))?;
    let token = std::str::from_utf8(token).map_err(|_| invalid("malformed"))?;
    match i64::from_be_bytes(*valid_until) > now {
        true => Ok(token.to_owned()),
        false => Err(expired("consume half messages to get another")),
    }
}

fn invalid(why: &str) -> SdkError {
    let message = format!("The receipt handle you provide is not valid: it is {why}.");
    SdkError::new(Code::ReceiptHandleError, message)
}

fn expired(what: &str) -> SdkError {
    let message = format!("The receipt handle you provide has expired: {what}.");
    SdkError::new(Code::MessageNotExist, message)
}

fn checksum(scope: &[&str], content: &[u8]) -> [u8; CHECKSUM] {
    let mut sum = Sha1::new();
    for name in scope {
        // Names have no zero byte.
        sum.update(name.as_bytes());
        sum.update([0]);
    }
    sum.update(content);
    let digest: [u8; 20] = sum.finalize().into();
    let mut first = [0; CHECKSUM];
    first
        .iter_mut()
        .zip(digest)
        .for_each(|(to, from)| *to = from);
    first
}

fn seal(kind: &str, scope: &[&str], content: &[u8]) -> String {
    let mut bytes = checksum(scope, content).to_vec();
    bytes.extend_from_slice(content);
    let mut text = kind.to_owned();
    URL_SAFE_NO_PAD.encode_string(&bytes, &mut text);
    text
}

fn open(kind: &str, scope: &[&str], handle: &str) -> Option<Vec<u8>> {
    let encoded = handle.strip_prefix(kind)?;
    let encoded = (encoded.len() <= LONGEST).then_some(encoded)?;
    let bytes = URL_SAFE_NO_PAD.decode(encoded).ok()?;
    let (sum, content) = bytes.split_first_chunk::<CHECKSUM>()?;
    (checksum(scope, content) == *sum).then(|| content.to_vec())
}

#[cfg(test)]
mod tests {
    use super::*;

    const RECEIPT: &str = "100 1700000000000 300000 3 0 broker-a 2 105 4711";
    const END: i64 = 1_700_000_300_000;

    fn code<T: std::fmt::Debug>(result: Result<T, SdkError>) -> Code {
        result.unwrap_err().code
    }

    #[test]
    fn handles_are_read_as_they_are_written() {
        let receipt = Receipt::parse(RECEIPT).unwrap();
        let handle = of_message(&receipt, "ns%T", "ns%G");
        assert!(handle.starts_with("R1m") && handle.len() < 100, "{handle}");
        // None of its characters needs to be escaped, in XML or elsewhere.
        let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_".contains(&byte);
        assert!(handle.bytes().all(is_plain), "{handle}");
        let clock = |broker: &str| {
            assert_eq!(broker, "broker-a");
            END - 1
        };
        assert_eq!(
            message(&handle, "ns%T", "ns%G", clock).as_deref(),
            Ok(RECEIPT)
        );
        let handle = of_half("R1.AAhi", "T", 7);
        assert_eq!(half(&handle, "T", 6).as_deref(), Ok("R1.AAhi"));
    }

    #[test]
    fn late_ones_are_told_from_others() {
        let receipt = Receipt::parse(RECEIPT).unwrap();
        let handle = of_message(&receipt, "T", "G");
        assert_eq!(
            code(message(&handle, "T", "G", |_| END)),
            Code::MessageNotExist
        );
        let token = of_half("t", "T", 7);
        assert_eq!(code(half(&token, "T", 7)), Code::MessageNotExist);
        for (topic, group) in [("T", "H"), ("U", "G"), ("TG", ""), ("", "TG")] {
            let error = message(&handle, topic, group, |_| 0);
            assert_eq!(code(error), Code::ReceiptHandleError, "{topic} {group}");
        }
        assert_eq!(code(half(&token, "U", 0)), Code::ReceiptHandleError);
    }

    #[test]
    fn others_are_refused() {
        let receipt = Receipt::parse(RECEIPT).unwrap();
        let right = of_message(&receipt, "T", "G");
        let changed = right.replacen("R1m", "R1mA", 1);
        let long = format!("R1m{}", "A".repeat(LONGEST + 4));
        let no_receipt = seal(MESSAGE, &["T", "G"], b"100 1700000000000");
        for wrong in [
            "",
            "x",
            "R1m",
            RECEIPT,
            &right[..right.len() - 1],
            &right[1..],
            &format!("{right}="),
            &right.replacen("R1m", "R1t", 1),
            &changed,
            &long,
            &no_receipt,
            &of_half("t", "T", i64::MAX),
        ] {
            let error = message(wrong, "T", "G", |_| 0).expect_err(wrong);
            assert_eq!(error.code, Code::ReceiptHandleError, "{wrong}");
            assert!(error.message.len() < 150, "{error}");
        }
        for wrong in ["", "R1t", &right, &seal(HALF, &["T"], b"1234")] {
            assert_eq!(
                code(half(wrong, "T", 0)),
                Code::ReceiptHandleError,
                "{wrong}"
            );
        }
    }
}
