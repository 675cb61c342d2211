//! A request that is encoded once and sent many times, each time under another opaque.

use anyhow::{Context, Result};
use remoting_codec::{RemotingCommand, SerializeType};

/// The smallest opaque that is used: up to the largest, all have ten digits, so that a frame keeps
/// its length.
pub const FIRST_OPAQUE: i32 = 1_000_000_000;

/// Where a binary header has its opaque: behind the frame's prefix, code, language and version.
const BINARY_OPAQUE: std::ops::Range<usize> = 13..17;

/// An encoded request.
#[derive(Clone, Debug)]
pub struct Template {
    frame: Vec<u8>,
    opaque: std::ops::Range<usize>,
    binary: bool,
}

impl Template {
    /// Encodes a command.
    ///
    /// # Errors
    /// When its opaque cannot be found.
    pub fn new(command: &RemotingCommand) -> Result<Self> {
        let command = RemotingCommand {
            opaque: FIRST_OPAQUE.into(),
            ..command.clone()
        };
        let frame = command.to_bytes().to_vec();
        let binary = command.serialize_type == SerializeType::RocketMq;
        let opaque = if binary {
            BINARY_OPAQUE
        } else {
            let text = format!("\"opaque\":{FIRST_OPAQUE}");
            let found = frame
                .windows(text.len())
                .position(|window| window == text.as_bytes());
            let end = found.context("a JSON header has its opaque")? + text.len();
            end - 10..end
        };
        Ok(Self {
            frame,
            opaque,
            binary,
        })
    }

    /// The frame under that opaque, which is not below [`FIRST_OPAQUE`].
    pub fn under(&mut self, opaque: i32) -> &[u8] {
        if let Some(at) = self.frame.get_mut(self.opaque.clone()) {
            if self.binary {
                at.copy_from_slice(&opaque.to_be_bytes());
            } else {
                let mut rest = opaque.unsigned_abs();
                for digit in at.iter_mut().rev() {
                    *digit = b'0' + (rest % 10) as u8;
                    rest /= 10;
                }
            }
        }
        &self.frame
    }
}

#[cfg(test)]
mod tests {
    use remoting_codec::{CommandView, RequestCode};

    use super::*;

    #[test]
    fn only_the_opaque_changes() {
        for serialize_type in [SerializeType::Json, SerializeType::RocketMq] {
            let command = RemotingCommand {
                serialize_type,
                ..RemotingCommand::request(RequestCode::SEND_MESSAGE_V2)
            }
            .with_field("n", "broker-a")
            .with_body(&b"body"[..]);
            let mut template = Template::new(&command).unwrap();
            for opaque in [FIRST_OPAQUE, 1_234_567_890, i32::MAX] {
                let frame = template.under(opaque);
                let expected = RemotingCommand {
                    opaque: opaque.into(),
                    ..command.clone()
                };
                assert_eq!(frame, expected.to_bytes());
                assert_eq!(CommandView::decode(frame).unwrap().opaque().0, opaque);
            }
        }
    }
}
