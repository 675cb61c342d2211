//! Digests of bodies.

use md5::{Digest as _, Md5};

/// The body's MD5 in upper-case hexadecimal digits (`BinaryUtil.generateMd5`).
#[must_use]
pub fn md5(body: &[u8]) -> String {
    upper_hex(&Md5::digest(body))
}

/// The bytes in upper-case hexadecimal digits.
#[must_use]
pub fn upper_hex(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 16] = b"0123456789ABCDEF";
    let mut text = String::with_capacity(2 * bytes.len());
    for byte in bytes {
        for half in [byte >> 4, byte & 0xF] {
            let digit = DIGITS.get(usize::from(half)).copied().unwrap_or_default();
            text.push(char::from(digit));
        }
    }
    text
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
            assert_eq!(md5(body.as_bytes()), checksum);
        }
    }
}
