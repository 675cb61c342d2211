//! Frames out of a stream of bytes, handed on where they lie.

use anyhow::Result;
use remoting_codec::{FrameLimits, frame_length};

/// Bytes that hold a frame's length.
const LENGTH_FIELD: usize = 4;

/// The reading side of a connection: keeps the beginning of a frame that has not all arrived.
#[derive(Debug, Default)]
pub struct Inbox {
    partial: Vec<u8>,
}

impl Inbox {
    /// Takes in what was read and calls `each` with every frame that is whole now.
    ///
    /// # Errors
    /// When something is not a frame, or `each` fails.
    pub fn take_in(
        &mut self,
        mut bytes: &[u8],
        mut each: impl FnMut(&[u8]) -> Result<()>,
    ) -> Result<()> {
        while !bytes.is_empty() {
            if self.partial.is_empty() {
                let length = frame_length(bytes, FrameLimits::default())?;
                match length.and_then(|length| bytes.split_at_checked(length)) {
                    Some((frame, rest)) => {
                        each(frame)?;
                        bytes = rest;
                    }
                    None => {
                        self.partial.extend_from_slice(bytes);
                        return Ok(());
                    }
                }
                continue;
            }
            let wanted =
                frame_length(&self.partial, FrameLimits::default())?.unwrap_or(LENGTH_FIELD);
            let missing = wanted.saturating_sub(self.partial.len()).min(bytes.len());
            let (completing, rest) = bytes.split_at(missing);
            self.partial.extend_from_slice(completing);
            bytes = rest;
            if frame_length(&self.partial, FrameLimits::default())? == Some(self.partial.len()) {
                each(&self.partial)?;
                self.partial.clear();
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frames_arrive_whole_however_they_are_cut() {
        let frames: Vec<Vec<u8>> = [0_u8, 1, 200, 3, 77]
            .into_iter()
            .map(|body| {
                let mut frame = (4 + u32::from(body)).to_be_bytes().to_vec();
                frame.extend([0; 4]);
                frame.extend(vec![body; usize::from(body)]);
                frame
            })
            .collect();
        let stream = frames.concat();
        for cut in 1..stream.len() {
            let mut inbox = Inbox::default();
            let mut got = Vec::new();
            for part in stream.chunks(cut) {
                inbox
                    .take_in(part, |frame| {
                        got.push(frame.to_vec());
                        Ok(())
                    })
                    .unwrap();
            }
            assert_eq!(got, frames, "cut into {cut}");
        }
    }
}
