//! gzip, both ways: bodies of requests within a limit, and documents that are answered.

use std::io::{Read, Write as _};

use bytes::Bytes;
use flate2::Compression;
use flate2::read::MultiGzDecoder;
use flate2::write::GzEncoder;
use http::HeaderMap;
use http::header::ACCEPT_ENCODING;
use remoting_transport::Held;
use tokio::task::yield_now;

/// After so many bytes, others have their turn.
const TURN_BYTES: usize = 64 * 1024;

/// Documents of fewer bytes are answered as they are: they would hardly get shorter.
const SHORTEST: usize = 1024;

/// Why a body was not decompressed.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum GunzipError {
    /// It is none of gzip, or is cut off.
    Malformed,
    /// It has more bytes than the limit.
    TooLarge,
}

/// Decompresses a body, of which no more than `limit` bytes are charged and kept.
pub(crate) async fn gunzip(
    body: &[u8],
    limit: usize,
    held: &mut Held,
) -> Result<Bytes, GunzipError> {
    let decoder = MultiGzDecoder::new(body);
    let plain = read_within(decoder, limit, |length| held.resize(body.len() + length)).await?;
    Ok(plain.into())
}

/// Reads all of what is decompressed, of `limit` bytes at most, and gives way to others meanwhile.
/// `note` gets the length so far.
pub(crate) async fn read_within(
    mut decoder: impl Read,
    limit: usize,
    mut note: impl FnMut(usize),
) -> Result<Vec<u8>, GunzipError> {
    let (mut plain, mut part) = (Vec::new(), vec![0; TURN_BYTES]);
    loop {
        let count = decoder
            .read(&mut part)
            .map_err(|_| GunzipError::Malformed)?;
        let Some(read) = part.get(..count).filter(|read| !read.is_empty()) else {
            return Ok(plain);
        };
        let length = plain.len() + read.len();
        if length > limit {
            return Err(GunzipError::TooLarge);
        }
        note(length);
        plain.extend_from_slice(read);
        yield_now().await;
    }
}

/// Whether the client takes gzip (RFC 9110, 12.5.3).
pub(crate) fn accepts_gzip(headers: &HeaderMap) -> bool {
    let all = headers.get_all(ACCEPT_ENCODING).iter();
    let texts = all.filter_map(|value| value.to_str().ok());
    let codings = texts.flat_map(|text| text.split(','));
    let mut any = None;
    for coding in codings {
        let mut parts = coding.split(';').map(str::trim);
        let name = parts.next().unwrap_or_default();
        let weight = parts.find_map(|part| part.strip_prefix("q="));
        let is_wanted = weight.is_none_or(|weight| weight.parse().is_ok_and(|q: f32| q > 0.0));
        match name.to_ascii_lowercase().as_str() {
            "gzip" | "x-gzip" => return is_wanted,
            "*" => any = Some(is_wanted),
            _ => {}
        }
    }
    any.unwrap_or_default()
}

/// Compresses a document, unless it is short.
pub(crate) async fn gzip(document: &[u8]) -> Option<Vec<u8>> {
    if document.len() < SHORTEST {
        return None;
    }
    let mut encoder = GzEncoder::new(Vec::with_capacity(document.len() / 4), Compression::fast());
    for part in document.chunks(TURN_BYTES) {
        encoder.write_all(part).ok()?;
        yield_now().await;
    }
    encoder.finish().ok()
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;
    use std::rc::Rc;

    use remoting_transport::{Account, Ledger};

    use super::*;

    #[tokio::test]
    async fn documents_are_compressed_and_read_again() {
        let account = Account::open(Rc::<Ledger>::default());
        let mut held = account.hold(0);
        let text = "document ".repeat(100_000);
        let compressed = gzip(text.as_bytes()).await.unwrap();
        assert!(compressed.len() < text.len() / 10);
        let plain = gunzip(&compressed, text.len(), &mut held).await;
        assert_eq!(plain.unwrap(), text);
        let short = gunzip(&compressed, text.len() - 1, &mut held).await;
        assert_eq!(short, Err(GunzipError::TooLarge));
        for wrong in [&b"plain"[..], &compressed[..compressed.len() - 9]] {
            let read = gunzip(wrong, text.len(), &mut held).await;
            assert_eq!(read, Err(GunzipError::Malformed));
        }
        assert_eq!(gzip(b"short").await, None);
    }

    #[tokio::test]
    async fn others_have_their_turn_while_a_body_is_decompressed() {
        let turns = Rc::new(Cell::new(0));
        let counted = turns.clone();
        let others = async move {
            loop {
                counted.set(counted.get() + 1);
                yield_now().await;
            }
        };
        let length = 16 * TURN_BYTES;
        let read = read_within(std::io::repeat(7).take(length as u64), length, |_| ());
        tokio::select! {
            read = read => assert_eq!(read.unwrap().len(), length),
            () = others => {}
        }
        assert!(turns.get() >= 16, "{}", turns.get());
    }

    #[test]
    fn clients_say_what_they_take() {
        for (text, expected) in [
            ("gzip", true),
            ("br, gzip;q=0.5", true),
            ("GZIP", true),
            ("*", true),
            ("gzip;q=0", false),
            ("*;q=0", false),
            ("gzip;q=0, *", false),
            ("identity", false),
            ("", false),
        ] {
            let mut headers = HeaderMap::new();
            headers.insert(ACCEPT_ENCODING, text.parse().unwrap());
            assert_eq!(accepts_gzip(&headers), expected, "{text}");
        }
        assert!(!accepts_gzip(&HeaderMap::new()));
    }
}
