//! The digest of a body.

use md5::{Digest as _, Md5};

use crate::proto::{Digest, DigestType};

/// The body's MD5 in upper-case hexadecimal digits (`BinaryUtil.generateMd5`), the only digest that
/// all clients check alike. A body with another is taken for corrupted, one with none at least by
/// some.
pub(super) fn of(body: &[u8]) -> Digest {
    const DIGITS: &[u8; 16] = b"0123456789ABCDEF";
    let mut checksum = String::with_capacity(32);
    for byte in Md5::digest(body) {
        for half in [byte >> 4, byte & 0xF] {
            let digit = DIGITS.get(usize::from(half)).copied().unwrap_or_default();
            checksum.push(char::from(digit));
        }
    }
    Digest {
        r#type: DigestType::Md5.into(),
        checksum,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn digests_are_those_of_rfc_1321() {
        for (body, checksum) in [
            ("", "D41D8CD98F00B204E9800998ECF8427E"),
            ("message digest", "F96B697D7CB7938D525A2F31AAF161D0"),
        ] {
            let digest = of(body.as_bytes());
            assert_eq!(digest.checksum, checksum);
            assert_eq!(digest.r#type, 2);
        }
    }
}
