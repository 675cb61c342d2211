//! The header `Content-MD5`, and the digests of messages' bodies.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use md5::{Digest as _, Md5};

use messaging::digest::upper_hex;

use super::error::{Code, SdkError};

/// Bytes of which the digest takes about a millisecond in a debug build, and a tenth of it in a
/// release: the digest of a large body is computed in pieces, and other clients have their turn
/// between them.
pub const PIECE: usize = 1 << 16;

/// An MD5 digest.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Digest([u8; 16]);

impl Digest {
    /// Of these bytes.
    #[must_use]
    pub fn of(bytes: &[u8]) -> Self {
        let mut sum = Sum::default();
        sum.add(bytes);
        sum.end()
    }

    /// Reads a header `Content-MD5`: the digest in base64 (RFC 1864), or, as the SDKs for Node and
    /// Go have it, the hexadecimal digits of the digest in base64.
    ///
    /// # Errors
    /// `InvalidDigest` when it has another form.
    pub fn read(header: &str) -> Result<Self, SdkError> {
        let decoded = STANDARD.decode(header).ok();
        let digest = decoded.and_then(|bytes| match bytes.len() {
            16 => bytes.try_into().ok(),
            32 => from_hex(&bytes),
            _ => None,
        });
        digest.map(Self).ok_or_else(|| {
            SdkError::new(
                Code::InvalidDigest,
                "the header Content-MD5 is not the base64 of an MD5 digest",
            )
        })
    }

    /// Compares the digest of a header with that of the body.
    ///
    /// # Errors
    /// `InvalidDigest` when they differ.
    pub fn check(self, body: Self) -> Result<(), SdkError> {
        match self == body {
            true => Ok(()),
            false => Err(SdkError::new(
                Code::InvalidDigest,
                "the body does not have the digest of the header Content-MD5",
            )),
        }
    }

    /// As upper-case hexadecimal digits, the form of `MessageBodyMD5`.
    #[must_use]
    pub fn to_hex(self) -> String {
        upper_hex(&self.0)
    }
}

fn from_hex(digits: &[u8]) -> Option<[u8; 16]> {
    let mut bytes = [0; 16];
    for (byte, pair) in bytes.iter_mut().zip(digits.chunks_exact(2)) {
        for digit in pair {
            *byte = *byte << 4 | char::from(*digit).to_digit(16)? as u8;
        }
    }
    Some(bytes)
}

/// A digest that is computed piece by piece.
#[derive(Clone, Debug, Default)]
pub struct Sum(Md5);

impl Sum {
    /// Adds the next bytes.
    pub fn add(&mut self, piece: &[u8]) {
        self.0.update(piece);
    }

    /// The digest of all of them.
    #[must_use]
    pub fn end(self) -> Digest {
        Digest(self.0.finalize().into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn digests_are_read_in_both_forms() {
        let body = Digest::of(b"hello");
        assert_eq!(body.to_hex(), "5D41402ABC4B2A76B9719D911017C592");
        let hex = "5d41402abc4b2a76b9719d911017c592";
        for header in [
            // RFC 1864.
            "XUFAKrxLKna5cZ2REBfFkg==".to_owned(),
            // Node and Go.
            STANDARD.encode(hex),
            STANDARD.encode(hex.to_uppercase()),
        ] {
            assert_eq!(Digest::read(&header), Ok(body), "{header}");
        }
        // What the SDK for Go sends with GET.
        let empty = Digest::read("ZDQxZDhjZDk4ZjAwYjIwNGU5ODAwOTk4ZWNmODQyN2U=").unwrap();
        assert_eq!(empty.check(Digest::of(b"")), Ok(()));
        let error = empty.check(body).unwrap_err();
        assert_eq!(error.code, Code::InvalidDigest);
    }

    #[test]
    fn other_forms_are_refused() {
        let no_hex = STANDARD.encode("5d41402abc4b2a76b9719d911017c59g");
        for header in [
            "",
            "x",
            "XUFAKrxLKna5cZ2REBfF",
            "5d41402abc4b2a76b9719d911017c592",
            &no_hex,
        ] {
            let error = Digest::read(header).unwrap_err();
            assert_eq!(error.code, Code::InvalidDigest, "{header}");
        }
    }

    #[test]
    fn pieces_have_the_digest_of_the_whole() {
        let mut sum = Sum::default();
        sum.add(b"hel");
        sum.add(b"lo");
        assert_eq!(sum.end(), Digest::of(b"hello"));
    }
}
