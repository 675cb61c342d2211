//! The topic, group and size that a request is counted under, packed into a number that is kept
//! until the answer arrives.
//!
//! ```text
//!        63        34 33        16 15     14 13        2 1    0
//! send  | bytes      | messages   | type    | topic     | 1   |
//!        63               26 25           14 13        2 1    0
//! pull  | nothing           | group         | topic     | 2   |
//! ```
//!
//! Topics and groups are numbers of [`Labels`](messaging::metrics::Labels). 0 stands for a request
//! that is not counted.

const SEND: u64 = 1;
const PULL: u64 = 2;

/// The bits of the number of a topic or a group, of a count of messages, and of a count of bytes.
const LABEL: u64 = 0xFFF;
const MESSAGES: u64 = 0x3_FFFF;
const BYTES: u64 = 0x3FFF_FFFF;

/// The key that a request is counted under once it is answered.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Tag(pub u64);

/// The content of a [`Tag`].
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Tagged {
    /// The request is not counted.
    Nothing,
    /// Messages of a topic, of the type at that index in `MESSAGE_TYPES`.
    Send {
        topic: usize,
        message_type: usize,
        messages: u64,
        bytes: u64,
    },
    /// Messages of a topic for a group. The answer has their number.
    Pull { topic: usize, group: usize },
}

impl Tag {
    /// A send. Values that do not fit are counted as the largest that fits.
    pub(super) fn send(topic: u16, message_type: usize, messages: usize, bytes: usize) -> Self {
        let messages = (messages as u64).min(MESSAGES);
        let bytes = (bytes as u64).min(BYTES);
        Self(
            SEND | u64::from(topic) << 2
                | (message_type as u64) << 14
                | messages << 16
                | bytes << 34,
        )
    }

    /// The tag of a pull or POP, which has the numbers of its topic and group only.
    pub(super) fn pull(topic: u16, group: u16) -> Self {
        Self(PULL | u64::from(topic) << 2 | u64::from(group) << 14)
    }

    #[inline]
    pub(super) fn read(self) -> Tagged {
        let topic = (self.0 >> 2 & LABEL) as usize;
        match self.0 & 3 {
            SEND => Tagged::Send {
                topic,
                message_type: (self.0 >> 14 & 3) as usize,
                messages: self.0 >> 16 & MESSAGES,
                bytes: self.0 >> 34,
            },
            PULL => Tagged::Pull {
                topic,
                group: (self.0 >> 14 & LABEL) as usize,
            },
            _ => Tagged::Nothing,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn packed_values_are_read_back() {
        let send = Tagged::Send {
            topic: 4095,
            message_type: 3,
            messages: MESSAGES,
            bytes: BYTES,
        };
        assert_eq!(Tag::send(4095, 3, usize::MAX, usize::MAX).read(), send);
        let pull = Tagged::Pull {
            topic: 4095,
            group: 4095,
        };
        assert_eq!(Tag::pull(4095, 4095).read(), pull);
        assert_eq!(Tag::default().read(), Tagged::Nothing);
    }
}
