//! What is needed of the frames that come back.

use std::collections::{BTreeMap, BTreeSet};

use integration_tests::http2::{
    CONTINUATION, DATA, END_STREAM, GOAWAY, HEADERS, PING, RST_STREAM, SETTINGS, WINDOW_UPDATE,
};

/// Longest payload of a frame that a peer sends before the other allows more.
const PAYLOAD_MAX: usize = 16_384;

/// What the server has written.
#[derive(Debug, Default)]
pub(super) struct Answers {
    unread: Vec<u8>,
    /// Streams whose answer is whole.
    pub(super) ended: BTreeSet<u32>,
    /// The errors of streams that were reset.
    pub(super) reset: BTreeMap<u32, u32>,
    /// The error with which the connection ends.
    pub(super) last_error: Option<u32>,
    pub(super) pongs: usize,
}

impl Answers {
    /// Reads on. What a server writes are frames, whatever it has read.
    pub(super) fn take_in(&mut self, bytes: &[u8]) {
        self.unread.extend_from_slice(bytes);
        let unread = std::mem::take(&mut self.unread);
        let mut rest = &unread[..];
        while let Some((head, after)) = rest.split_first_chunk::<9>() {
            let length = u32::from_be_bytes([0, head[0], head[1], head[2]]) as usize;
            assert!(length <= PAYLOAD_MAX, "a frame of {length} bytes");
            let Some((payload, after)) = after.split_at_checked(length) else {
                break;
            };
            self.frame(*head, payload);
            rest = after;
        }
        self.unread = rest.to_vec();
    }

    fn frame(&mut self, head: [u8; 9], payload: &[u8]) {
        let [.., kind, flags, _, _, _, _] = head;
        let stream = u32::from_be_bytes([head[5], head[6], head[7], head[8]]);
        match kind {
            DATA | HEADERS if flags & END_STREAM != 0 => {
                let is_first = self.ended.insert(stream);
                assert!(is_first, "stream {stream} has two ends");
            }
            DATA | HEADERS | CONTINUATION | SETTINGS | WINDOW_UPDATE => {}
            RST_STREAM => {
                self.reset.insert(stream, number(payload, 0));
            }
            PING => self.pongs += usize::from(flags & 1 != 0),
            GOAWAY => self.last_error = Some(number(payload, 4)),
            _ => panic!("a frame of kind {kind}"),
        }
    }
}

fn number(payload: &[u8], at: usize) -> u32 {
    let bytes = payload.get(at..).and_then(<[u8]>::first_chunk);
    u32::from_be_bytes(*bytes.expect("the frame has a number"))
}
