//! Bodies of messages that their producers have compressed.

use std::borrow::Cow;
use std::io::Read;

use flate2::read::{MultiGzDecoder, ZlibDecoder};
use remoting_codec::message::{Compression, SysFlag};

/// A body as a consumer gets it.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Inflate<'a> {
    /// The bytes.
    pub bytes: Cow<'a, [u8]>,
    /// How they are still compressed: in a way that is not read here, to more than the limit, or
    /// not at all what the message says.
    pub encoding: Option<&'static str>,
}

/// The first bytes of gzip, in which clients that speak gRPC compress. Brokers and other clients
/// take what has no mark of its own for zlib.
const GZIP: [u8; 2] = [0x1F, 0x8B];

/// How a body is compressed.
pub struct Packed<'a> {
    /// In what way; `None` if it is not.
    pub encoding: Option<&'static str>,
    /// Decompresses it, if that way is read here.
    pub plain: Option<Box<dyn Read + 'a>>,
}

/// How the body of a message with these flags is compressed.
#[must_use]
pub fn packed(body: &[u8], flags: SysFlag) -> Packed<'_> {
    let of = |encoding, plain| Packed {
        encoding: Some(encoding),
        plain,
    };
    match flags.compression() {
        Ok(None) => Packed {
            encoding: None,
            plain: None,
        },
        Ok(Some(Compression::Zlib)) if body.starts_with(&GZIP) => {
            of("gzip", Some(Box::new(MultiGzDecoder::new(body))))
        }
        Ok(Some(Compression::Zlib)) => of("zlib", Some(Box::new(ZlibDecoder::new(body)))),
        Ok(Some(Compression::Lz4)) => of("lz4", None),
        Ok(Some(Compression::Zstd)) => of("zstd", None),
        Err(_) => of("unknown", None),
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use flate2::Compression as Level;
    use flate2::write::{GzEncoder, ZlibEncoder};

    use super::*;

    /// The body as it is, or all of what it is decompressed, if it is no more than the limit.
    fn read(body: &[u8], flags: SysFlag, limit: usize) -> (Vec<u8>, Option<&'static str>) {
        let packed = packed(body, flags);
        let inflated = packed.plain.and_then(|mut plain| {
            let mut inflated = Vec::new();
            plain.read_to_end(&mut inflated).ok()?;
            (inflated.len() <= limit).then_some(inflated)
        });
        match inflated {
            Some(inflated) => (inflated, None),
            None => (body.to_vec(), packed.encoding),
        }
    }

    fn zlib(bytes: &[u8]) -> Vec<u8> {
        let mut encoder = ZlibEncoder::new(Vec::new(), Level::default());
        encoder.write_all(bytes).unwrap();
        encoder.finish().unwrap()
    }

    fn gzip(bytes: &[u8]) -> Vec<u8> {
        let mut encoder = GzEncoder::new(Vec::new(), Level::default());
        encoder.write_all(bytes).unwrap();
        encoder.finish().unwrap()
    }

    #[test]
    fn bodies_are_decompressed() {
        let plain = b"plain".repeat(100);
        let compressed = SysFlag::COMPRESSED;
        let marked = SysFlag::default().with_compression(Some(Compression::Zlib));
        for (body, flags) in [
            (plain.clone(), SysFlag::default()),
            (zlib(&plain), compressed),
            (zlib(&plain), marked),
            (gzip(&plain), compressed),
        ] {
            assert_eq!(read(&body, flags, plain.len()), (plain.clone(), None));
        }
        // What is not compressed has no limit.
        assert_eq!(read(&plain, SysFlag::default(), 0), (plain.clone(), None));
    }

    #[test]
    fn other_bodies_are_left_as_they_are() {
        let bomb = zlib(&vec![0; 1 << 20]);
        let cut = &bomb[..bomb.len() / 2];
        let marked = |compression| SysFlag::default().with_compression(Some(compression));
        for (body, flags, encoding) in [
            (&*bomb, SysFlag::COMPRESSED, "zlib"),
            (cut, SysFlag::COMPRESSED, "zlib"),
            (b"", SysFlag::COMPRESSED, "zlib"),
            (b"plain", SysFlag::COMPRESSED, "zlib"),
            (&GZIP, SysFlag::COMPRESSED, "gzip"),
            (b"plain", marked(Compression::Lz4), "lz4"),
            (b"plain", marked(Compression::Zstd), "zstd"),
            (b"plain", SysFlag(1 | 5 << 8), "unknown"),
        ] {
            let read = read(body, flags, (1 << 20) - 1);
            assert_eq!(read, (body.to_vec(), Some(encoding)));
        }
        assert_eq!(read(&bomb, SysFlag::COMPRESSED, 1 << 20).1, None);
    }
}
