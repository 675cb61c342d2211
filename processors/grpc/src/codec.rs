//! Messages in the body of an HTTP/2 request or answer, each with its length before it.
//!
//! ```text
//! compressed: u8 | length: u32, big-endian | message
//! ```
//!
//! Nothing here reads or writes a connection. A compressed message is refused: Remora announces no
//! compression of messages (`grpc-accept-encoding`), so a client has no right to send one.

use bytes::{Buf, BufMut, Bytes, BytesMut};
use prost::Message;
use thiserror::Error;

use crate::proto::Weigh;

/// Bytes before a message.
pub const PREFIX: usize = 5;

/// Most bytes of a message where nothing else is configured: several messages with bodies of the
/// usual limit of 4 MiB. The Java proxy takes 130 MiB (`ProxyConfig.grpcMaxInboundMessageSize`),
/// which one client could make it hold.
pub const DEFAULT_LIMIT: usize = 16 << 20;

/// Why a body has no further message. The call ends with [`grpc_status`](Self::grpc_status).
#[derive(Clone, Debug, Eq, Error, PartialEq)]
#[non_exhaustive]
pub enum CodecError {
    /// The first byte is 1.
    #[error("the message is compressed, which is not supported here: send it as it is")]
    Compressed,
    /// The first byte is neither 0 nor 1.
    #[error("the message begins with byte {0}: 0 is expected, for one that is not compressed")]
    Flag(u8),
    /// The announced length is over the limit.
    #[error("the message has {length} bytes; the limit is {limit}: send less at a time")]
    TooLarge {
        /// Announced bytes.
        length: u32,
        /// Most bytes.
        limit: usize,
    },
    /// The message has so many small parts that it would take too much memory.
    #[error("the message has too many parts: send fewer at a time")]
    TooManyParts,
    /// The body ends in the middle of a message.
    #[error("the body ends {0} bytes into a message")]
    Truncated(usize),
    /// The call takes one message, and the body has none, or several.
    #[error("the body has {0} messages; the call takes one")]
    NotOne(&'static str),
    /// The message's bytes are not those of its type.
    #[error("the message cannot be read: {0}")]
    Malformed(String),
}

impl CodecError {
    /// The transport's status: UNIMPLEMENTED (12) for compression, as gRPC's own servers answer,
    /// RESOURCE_EXHAUSTED (8) for what is too large, INTERNAL (13) for all else that is broken.
    #[must_use]
    pub fn grpc_status(&self) -> u8 {
        match self {
            Self::Compressed | Self::NotOne(_) => 12,
            Self::TooLarge { .. } | Self::TooManyParts => 8,
            Self::Flag(_) | Self::Truncated(_) | Self::Malformed(_) => 13,
        }
    }
}

/// Writes a message with its prefix behind what is in `out`.
pub fn encode<M: Message>(message: &M, out: &mut BytesMut) {
    let length = message.encoded_len();
    out.reserve(PREFIX + length);
    out.put_u8(0);
    // A message of ours is far below 4 GiB: it is made of what was read below a limit.
    out.put_u32(u32::try_from(length).unwrap_or(u32::MAX));
    // There is room: `BytesMut` grows.
    let _ = message.encode(out);
}

/// Takes messages out of a body that arrives in pieces.
///
/// A message that lies in one piece is taken out of it without a copy. A message of which a piece
/// has only the start is gathered; never more than the limit, and memory is taken as bytes arrive,
/// not for what is announced.
#[derive(Debug)]
pub struct Decoder {
    limit: usize,
    gathered: BytesMut,
    piece: Bytes,
}

impl Decoder {
    /// For messages of `limit` bytes at most.
    #[must_use]
    pub fn new(limit: usize) -> Self {
        Self {
            limit,
            gathered: BytesMut::new(),
            piece: Bytes::new(),
        }
    }

    /// How many bytes are held that make no whole message yet, or were not asked for.
    #[must_use]
    pub fn held(&self) -> usize {
        self.gathered.len() + self.piece.len()
    }

    /// Adds a piece of the body. Call it when [`next`](Self::next_message) has nothing more to
    /// give.
    pub fn push(&mut self, piece: Bytes) {
        if self.piece.is_empty() {
            self.piece = piece;
        } else {
            self.gathered.extend_from_slice(&self.piece);
            self.piece = piece;
        }
    }

    /// The next whole message's bytes, without the prefix; `None` until there is one.
    ///
    /// # Errors
    /// When it is compressed or announces more than the limit. The body is of no use afterwards.
    pub fn next_message(&mut self) -> Result<Option<Bytes>, CodecError> {
        if self.gathered.is_empty() {
            return Self::take_from_piece(&mut self.piece, self.limit, &mut self.gathered);
        }
        // As much of the piece as the message needs, and no more.
        if self.gathered.len() < PREFIX {
            self.gather(PREFIX);
        }
        let Some(length) = announced(&self.gathered, self.limit)? else {
            return Ok(None);
        };
        self.gather(PREFIX + length);
        if self.gathered.len() < PREFIX + length {
            return Ok(None);
        }
        let mut message = self.gathered.split_to(PREFIX + length).freeze();
        message.advance(PREFIX);
        Ok(Some(message))
    }

    /// That the body ends here.
    ///
    /// # Errors
    /// When it ends in the middle of a message.
    pub fn end(&self) -> Result<(), CodecError> {
        match self.held() {
            0 => Ok(()),
            held => Err(CodecError::Truncated(held)),
        }
    }

    fn gather(&mut self, wanted: usize) {
        let missing = wanted.saturating_sub(self.gathered.len());
        let take = missing.min(self.piece.len());
        self.gathered.extend_from_slice(&self.piece.split_to(take));
    }

    fn take_from_piece(
        piece: &mut Bytes,
        limit: usize,
        gathered: &mut BytesMut,
    ) -> Result<Option<Bytes>, CodecError> {
        match announced(piece, limit)? {
            Some(length) if piece.len() >= PREFIX + length => {
                piece.advance(PREFIX);
                Ok(Some(piece.split_to(length)))
            }
            _ => {
                gathered.extend_from_slice(piece);
                piece.clear();
                Ok(None)
            }
        }
    }
}

/// The length of the message at the front, if its prefix is whole.
fn announced(bytes: &[u8], limit: usize) -> Result<Option<usize>, CodecError> {
    match bytes.first() {
        None | Some(0) => {}
        Some(1) => return Err(CodecError::Compressed),
        Some(other) => return Err(CodecError::Flag(*other)),
    }
    let Some((_, length)) = bytes
        .first_chunk::<PREFIX>()
        .and_then(|prefix| prefix.split_first_chunk::<1>())
    else {
        return Ok(None);
    };
    let length = length.try_into().map_or(u32::MAX, u32::from_be_bytes);
    match usize::try_from(length) {
        Ok(fits) if fits <= limit => Ok(Some(fits)),
        _ => Err(CodecError::TooLarge { length, limit }),
    }
}

/// The only message of a whole body.
///
/// # Errors
/// When the body has none, several or a part of one, or [`Decoder::next_message`] fails, or the
/// message is not one of its type.
pub fn decode_one<M: Message + Default + Weigh>(
    body: Bytes,
    limit: usize,
) -> Result<M, CodecError> {
    let mut decoder = Decoder::new(limit);
    decoder.push(body);
    let Some(message) = decoder.next_message()? else {
        decoder.end()?;
        return Err(CodecError::NotOne("no"));
    };
    if decoder.held() > 0 {
        return Err(CodecError::NotOne("several"));
    }
    read(message)
}

/// Of a message below this, the memory is not computed: it is bounded by a few hundred times that.
const SMALL: usize = 4 << 10;
/// Bytes of memory that any message may take.
const FREE: usize = 1 << 20;
/// For each of its bytes, how many bytes of memory a message may take beyond that. A batch of small
/// messages takes eight times its bytes.
const PER_BYTE: usize = 4;

/// A message of that type.
///
/// # Errors
/// When the bytes are none, or are so many small parts that they would take far more memory than
/// they are long.
pub fn read<M: Message + Default + Weigh>(bytes: Bytes) -> Result<M, CodecError> {
    let most = FREE.saturating_add(bytes.len().saturating_mul(PER_BYTE));
    if bytes.len() > SMALL && M::weigh(&bytes) > most {
        return Err(CodecError::TooManyParts);
    }
    M::decode(bytes).map_err(|error| CodecError::Malformed(error.to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::proto::{QueryRouteRequest, Resource};

    fn request(name: &str) -> QueryRouteRequest {
        let resource_namespace = String::new();
        let name = name.to_owned();
        QueryRouteRequest {
            topic: Some(Resource {
                resource_namespace,
                name,
            }),
            endpoints: None,
        }
    }

    fn body(messages: &[QueryRouteRequest]) -> Bytes {
        let mut out = BytesMut::new();
        for message in messages {
            encode(message, &mut out);
        }
        out.freeze()
    }

    #[test]
    fn messages_are_read_however_the_body_is_cut() {
        let sent = [
            request("first"),
            QueryRouteRequest::default(),
            request(&"t".repeat(300)),
        ];
        let whole = body(&sent);
        assert_eq!(whole.slice(..10), &b"\0\0\0\0\x09\x0a\x07\x12\x05f"[..]);
        for size in 1..=whole.len() {
            let mut decoder = Decoder::new(400);
            let mut read_back = Vec::new();
            for piece in whole.chunks(size) {
                decoder.push(Bytes::copy_from_slice(piece));
                while let Some(message) = decoder.next_message().unwrap() {
                    read_back.push(read::<QueryRouteRequest>(message).unwrap());
                }
            }
            decoder.end().unwrap();
            assert_eq!(read_back, sent, "pieces of {size}");
        }
    }

    #[test]
    fn pieces_that_were_not_asked_for_are_kept() {
        let whole = body(&[request("first"), request("second")]);
        let mut decoder = Decoder::new(100);
        for piece in whole.chunks(7) {
            decoder.push(Bytes::copy_from_slice(piece));
        }
        assert_eq!(decoder.held(), whole.len());
        assert!(decoder.next_message().unwrap().is_some());
        assert!(decoder.next_message().unwrap().is_some());
        assert_eq!(decoder.next_message().unwrap(), None);
        decoder.end().unwrap();
    }

    #[test]
    fn a_message_in_one_piece_is_not_copied() {
        let whole = body(&[request("topic")]);
        let mut decoder = Decoder::new(100);
        decoder.push(whole.clone());
        let message = decoder.next_message().unwrap().unwrap();
        assert_eq!(message.as_ptr(), whole[PREFIX..].as_ptr());
    }

    #[test]
    fn lengths_are_limited_before_anything_is_held() {
        let limit = 9;
        let exact = body(&[request("first")]);
        assert!(decode_one::<QueryRouteRequest>(exact, limit).is_ok());
        for length in [10_u32, u32::MAX] {
            let mut prefix = vec![0];
            prefix.extend(length.to_be_bytes());
            for size in [1, 2, PREFIX] {
                let mut decoder = Decoder::new(limit);
                let mut last = Ok(None);
                for piece in prefix.chunks(size) {
                    decoder.push(Bytes::copy_from_slice(piece));
                    last = decoder.next_message();
                }
                let error = last.unwrap_err();
                assert_eq!(error, CodecError::TooLarge { length, limit });
                assert_eq!(error.grpc_status(), 8);
                assert!(decoder.gathered.capacity() <= 64, "{decoder:?}");
            }
        }
    }

    #[test]
    fn many_small_parts_are_refused_and_a_batch_is_not() {
        use crate::proto::{AckMessageRequest, Message, SendMessageRequest};

        let empty = Bytes::from(b"\x0a\x00".repeat(1 << 20));
        let error = read::<SendMessageRequest>(empty).unwrap_err();
        assert_eq!((error.grpc_status(), error), (8, CodecError::TooManyParts));
        let empty = Bytes::from(b"\x1a\x00".repeat(1 << 20));
        let refused = read::<AckMessageRequest>(empty);
        assert_eq!(refused, Err(CodecError::TooManyParts));
        let message = Message {
            body: Bytes::from(vec![1; 128]),
            ..Message::default()
        };
        let batch = SendMessageRequest {
            messages: vec![message; 1_000],
        };
        assert_eq!(read(batch.encode_to_vec().into()), Ok(batch));
    }

    #[test]
    fn other_bodies_are_refused() {
        let refused = |body: &[u8]| {
            decode_one::<QueryRouteRequest>(Bytes::copy_from_slice(body), 100).unwrap_err()
        };
        for (body, error, status) in [
            (&b"\x01\0\0\0\0"[..], CodecError::Compressed, 12),
            (b"\x02", CodecError::Flag(2), 13),
            (b"GET / HTTP", CodecError::Flag(b'G'), 13),
            (b"", CodecError::NotOne("no"), 12),
            (b"\0\0\0\0", CodecError::Truncated(4), 13),
            (b"\0\0\0\0\x05\x0a", CodecError::Truncated(6), 13),
            (b"\0\0\0\0\0\0\0\0\0\0", CodecError::NotOne("several"), 12),
        ] {
            let found = refused(body);
            assert_eq!((found.grpc_status(), found), (status, error));
        }
        let malformed = refused(b"\0\0\0\0\x02\x0a\x05");
        assert!(matches!(malformed, CodecError::Malformed(_)), "{malformed}");
        assert_eq!(malformed.grpc_status(), 13);
    }
}
