//! Frames and header blocks of HTTP/2, written by hand: what no client library sends.

use grpc::proto::SERVICE;

/// What a connection begins with.
pub const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// Kinds of frames (RFC 9113, section 6).
pub const DATA: u8 = 0;
/// See [`DATA`].
pub const HEADERS: u8 = 1;
/// See [`DATA`].
pub const PRIORITY: u8 = 2;
/// See [`DATA`].
pub const RST_STREAM: u8 = 3;
/// See [`DATA`].
pub const SETTINGS: u8 = 4;
/// See [`DATA`].
pub const PING: u8 = 6;
/// See [`DATA`].
pub const GOAWAY: u8 = 7;
/// See [`DATA`].
pub const WINDOW_UPDATE: u8 = 8;
/// See [`DATA`].
pub const CONTINUATION: u8 = 9;

/// Flags: the last frame of a stream, of a header block, and a padded one.
pub const END_STREAM: u8 = 1;
/// See [`END_STREAM`].
pub const END_HEADERS: u8 = 4;
/// See [`END_STREAM`].
pub const PADDED: u8 = 8;

/// Writes a frame whose header claims that length.
pub fn lying(out: &mut Vec<u8>, length: u32, kind: u8, flags: u8, stream: u32, payload: &[u8]) {
    let [_, length @ ..] = length.to_be_bytes();
    out.extend(length);
    out.extend([kind, flags]);
    out.extend(stream.to_be_bytes());
    out.extend_from_slice(payload);
}

/// Writes a frame.
pub fn frame(out: &mut Vec<u8>, kind: u8, flags: u8, stream: u32, payload: &[u8]) {
    let length = u32::try_from(payload.len()).unwrap_or(u32::MAX);
    lying(out, length, kind, flags, stream, payload);
}

/// The header block of a call with further headers, without references to headers before it. Paths,
/// names and values have at most 126 bytes each.
#[must_use]
pub fn call_head(rpc: &str, further: &[(&str, &str)]) -> Vec<u8> {
    // `:method: POST` and `:scheme: http` of the static table; `:path` has its fourth name.
    let mut block = vec![0x83, 0x86, 0x04];
    text(&mut block, &format!("/{SERVICE}/{rpc}"));
    let usual = [
        ("content-type", "application/grpc"),
        ("te", "trailers"),
        ("x-mq-language", "JAVA"),
    ];
    for (name, value) in usual.iter().chain(further) {
        block.push(0);
        text(&mut block, name);
        text(&mut block, value);
    }
    block
}

/// A string as it is: its length has seven bits.
fn text(block: &mut Vec<u8>, text: &str) {
    debug_assert!(text.len() < 127, "a longer length has more bytes");
    block.push(text.len() as u8);
    block.extend_from_slice(text.as_bytes());
}
