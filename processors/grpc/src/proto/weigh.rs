//! How much memory a message takes when it is read, told from its bytes before that.
//!
//! Two bytes on the wire can be an empty message of hundreds of bytes in memory: 16 MiB of them
//! would be gigabytes. So the bytes are walked first, by the same declarations that they are read
//! by.

use std::collections::HashMap;

use bytes::Bytes;

/// A type whose values are read from bytes.
pub trait Weigh {
    /// About how many bytes of memory a value takes that lies in these bytes, beside the place that
    /// it has in its message.
    fn weigh(value: &[u8]) -> usize;

    /// How many values lie in these bytes: numbers can be packed.
    fn count(_value: &[u8]) -> usize {
        1
    }
}

/// Numbers take nothing beside their place.
macro_rules! numbers {
    ($($number:ty)*) => {
        $(impl Weigh for $number {
            fn weigh(_value: &[u8]) -> usize {
                0
            }

            fn count(value: &[u8]) -> usize {
                value.len().max(1)
            }
        })*
    };
}

numbers!(bool f32 i32 i64);

impl Weigh for String {
    fn weigh(value: &[u8]) -> usize {
        value.len()
    }
}

/// A slice of what was read.
impl Weigh for Bytes {
    fn weigh(_value: &[u8]) -> usize {
        0
    }
}

impl<T: Weigh> Weigh for Option<T> {
    fn weigh(value: &[u8]) -> usize {
        T::weigh(value)
    }
}

/// Grows by doubling.
impl<T: Weigh> Weigh for Vec<T> {
    fn weigh(value: &[u8]) -> usize {
        let places = T::count(value).saturating_mul(2 * size_of::<T>());
        places.saturating_add(T::weigh(value))
    }
}

impl Weigh for HashMap<String, String> {
    fn weigh(value: &[u8]) -> usize {
        let place = 2 * size_of::<(String, String)>();
        place.saturating_add(value.len())
    }
}

/// Adds up what `weigh` returns for each field, by number and value. What is not in the wire's form
/// ends it: it is not read either.
pub(super) fn sum(mut message: &[u8], weigh: impl Fn(u64, &[u8]) -> usize) -> usize {
    let mut sum = 0_usize;
    while let Some((number, value)) = field(&mut message) {
        sum = sum.saturating_add(weigh(number, value));
    }
    sum
}

/// The next field's number, and its value if it has a length.
fn field<'a>(rest: &mut &'a [u8]) -> Option<(u64, &'a [u8])> {
    let key = varint(rest)?;
    let length = match key & 7 {
        0 => {
            varint(rest)?;
            return Some((key >> 3, &[]));
        }
        1 => 8,
        2 => usize::try_from(varint(rest)?).ok()?,
        5 => 4,
        _ => return None,
    };
    let (value, after) = rest.split_at_checked(length)?;
    *rest = after;
    Some((key >> 3, value))
}

fn varint(rest: &mut &[u8]) -> Option<u64> {
    const LONGEST: usize = 10;
    let mut value = 0;
    for at in 0..LONGEST {
        let (byte, after) = rest.split_first()?;
        *rest = after;
        value |= u64::from(byte & 0x7F).wrapping_shl(7 * at as u32);
        if byte & 0x80 == 0 {
            return Some(value);
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use prost::Message as _;

    use super::*;
    use crate::proto::{
        AckMessageEntry, AckMessageRequest, Message, MessageQueue, SendMessageRequest,
        SystemProperties, TelemetryCommand,
    };

    #[test]
    fn an_ordinary_message_takes_little_more_than_its_bytes() {
        let message = Message {
            user_properties: [("colour".to_owned(), "red".to_owned())].into(),
            system_properties: Some(SystemProperties {
                message_id: "01F0B1D2C3A4E50A1B06C6F6D200000000".to_owned(),
                keys: vec!["key".to_owned()],
                ..SystemProperties::default()
            }),
            body: Bytes::from(vec![0x0A; 4096]),
            ..Message::default()
        };
        let bytes = SendMessageRequest {
            messages: vec![message],
        };
        let bytes = bytes.encode_to_vec();
        let place = 2 * size_of::<Message>();
        let weight = SendMessageRequest::weigh(&bytes);
        assert!((place + 34..place + 400).contains(&weight), "{weight}");
    }

    #[test]
    fn empty_messages_are_heavy() {
        for (bytes, weight) in [
            (&b"\x0a\x00"[..], 2 * size_of::<Message>()),
            (b"\x0a\x00\x0a\x00", 4 * size_of::<Message>()),
            (b"\x0a\x02\x1a\x00", 2 * size_of::<Message>()),
            (
                b"\x0a\x04\x1a\x02\x12\x00",
                2 * size_of::<Message>() + 2 * size_of::<String>(),
            ),
            (
                b"\x0a\x02\x12\x00",
                2 * size_of::<Message>() + 2 * size_of::<(String, String)>(),
            ),
        ] {
            assert_eq!(SendMessageRequest::weigh(bytes), weight, "{bytes:?}");
        }
        let entries = vec![AckMessageEntry::default(); 3];
        let request = AckMessageRequest {
            entries,
            ..AckMessageRequest::default()
        };
        let weight = AckMessageRequest::weigh(&request.encode_to_vec());
        assert_eq!(weight, 6 * size_of::<AckMessageEntry>());
    }

    #[test]
    fn packed_numbers_and_oneofs_are_weighed() {
        let packed = b"\x2a\x05\x01\x02\x03\x04\x05\x28\x01";
        assert_eq!(MessageQueue::weigh(packed), 6 * 2 * size_of::<i32>());
        // settings { subscription { subscriptions {} } }
        let command = b"\x12\x04\x32\x02\x12\x00";
        let entry = size_of::<crate::proto::SubscriptionEntry>();
        assert_eq!(TelemetryCommand::weigh(command), 2 * entry);
    }

    #[test]
    fn what_is_not_in_the_wires_form_ends_it() {
        for broken in [
            &b"\x0a"[..],
            b"\x0a\x05\x00",
            b"\x0f\x0a\x00",
            b"\x0a\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff",
            b"\x0a\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01",
        ] {
            assert_eq!(SendMessageRequest::weigh(broken), 0, "{broken:?}");
        }
        // Fields that are not known are passed over, whatever their type.
        let unknown = b"\x49\0\0\0\0\0\0\0\0\x4d\0\0\0\0\x48\x80\x01\x4a\x01\0\x0a\0";
        let weight = SendMessageRequest::weigh(unknown);
        assert_eq!(weight, 2 * size_of::<Message>());
    }
}
