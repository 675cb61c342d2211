//! The header `Authorization`, and what its signature is made of.
//!
//! Until access rights are checked here, a signature is read and not verified.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit as _, Mac as _};
use sha1::Sha1;

use super::error::{Code, SdkError, shown};

/// A header `Authorization`: `MQ`, the access key, a colon and the signature.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Authorization<'a> {
    /// The name of the user. It may have colons.
    pub access_key: &'a str,
    /// The signature, in base64.
    pub signature: &'a str,
}

impl<'a> Authorization<'a> {
    /// Reads the header's value.
    ///
    /// # Errors
    /// `InvalidAuthorizationHeader` when it has another form.
    pub fn read(header: &'a str) -> Result<Self, SdkError> {
        let parts = header.strip_prefix("MQ ");
        let parts = parts.and_then(|parts| parts.trim().rsplit_once(':'));
        let parts = parts.filter(|(key, signature)| !key.is_empty() && !signature.is_empty());
        let (access_key, signature) = parts.ok_or_else(|| {
            SdkError::new(
                Code::InvalidAuthorizationHeader,
                format!(
                    "the header Authorization is not \"MQ access-key:signature\": {}",
                    shown(header.split([' ', ':']).next().unwrap_or_default())
                ),
            )
        })?;
        Ok(Self {
            access_key,
            signature,
        })
    }

    /// Whether the signature is that of this request, made with this secret key. How long it takes
    /// does not depend on the signature.
    #[must_use]
    pub fn is_of(&self, request: &Signed<'_>, secret_key: &[u8]) -> bool {
        let given = STANDARD.decode(self.signature).unwrap_or_default();
        let mac = mac(secret_key, &request.text());
        mac.is_some_and(|mac| mac.verify_slice(&given).is_ok())
    }
}

/// The parts of a request that are signed, with the values of headers as they were received, empty
/// where there is no such header.
#[derive(Clone, Copy, Debug)]
pub struct Signed<'a> {
    /// The method, in upper case.
    pub method: &'a str,
    /// Of `Content-MD5`.
    pub content_md5: &'a str,
    /// Of `Content-Type`.
    pub content_type: &'a str,
    /// Of `Date`.
    pub date: &'a str,
    /// All headers `x-mq-…` with their names in lower case, in any order.
    pub mq_headers: &'a [(&'a str, &'a str)],
    /// Path and query as they were received: not decoded, and the parameters in their order.
    pub target: &'a str,
}

impl Signed<'_> {
    /// The text that is signed.
    #[must_use]
    pub fn text(&self) -> String {
        let mut headers: Vec<_> = self.mq_headers.to_vec();
        headers.sort_unstable();
        let mut text = [self.method, self.content_md5, self.content_type, self.date].join("\n");
        text.push('\n');
        for (name, value) in headers {
            text.extend([name, ":", value, "\n"]);
        }
        text.push_str(self.target);
        text
    }

    /// The signature with this secret key, in base64.
    #[must_use]
    pub fn signature(&self, secret_key: &[u8]) -> String {
        let mac = mac(secret_key, &self.text());
        mac.map(|mac| STANDARD.encode(mac.finalize().into_bytes()))
            .unwrap_or_default()
    }
}

/// HMAC-SHA1, which takes keys of any length: there always is one.
fn mac(secret_key: &[u8], text: &str) -> Option<Hmac<Sha1>> {
    let mut mac = Hmac::<Sha1>::new_from_slice(secret_key).ok()?;
    mac.update(text.as_bytes());
    Some(mac)
}

#[cfg(test)]
mod tests {
    use super::*;

    const REQUEST: Signed<'_> = Signed {
        method: "POST",
        content_md5: "",
        content_type: "text/xml;charset=UTF-8",
        date: "Sat, 21 Nov 2026 09:36:16 GMT",
        mq_headers: &[("x-mq-version", "2015-06-06")],
        target: "/topics/pyT/messages",
    };
    /// What the SDK for Python has sent for it.
    const SIGNATURE: &str = "ZZ+7omnkhp6XNvCULehoCUgnulI=";

    #[test]
    fn the_signed_text_is_that_of_sdks() {
        assert_eq!(
            REQUEST.text(),
            "POST\n\ntext/xml;charset=UTF-8\nSat, 21 Nov 2026 09:36:16 GMT\n\
             x-mq-version:2015-06-06\n/topics/pyT/messages"
        );
        assert_eq!(REQUEST.signature(b"SK"), SIGNATURE);
        let more = Signed {
            method: "DELETE",
            content_md5: "d",
            content_type: "",
            mq_headers: &[("x-mq-version", "v"), ("x-mq-b", "2"), ("x-mq-a", "1")],
            target: "/topics/T/messages?consumer=G&trans=commit",
            ..REQUEST
        };
        assert_eq!(
            more.text(),
            "DELETE\nd\n\nSat, 21 Nov 2026 09:36:16 GMT\nx-mq-a:1\nx-mq-b:2\nx-mq-version:v\n\
             /topics/T/messages?consumer=G&trans=commit"
        );
    }

    #[test]
    fn signatures_are_verified() {
        let header = format!("MQ AK:{SIGNATURE}");
        let authorization = Authorization::read(&header).unwrap();
        assert_eq!(authorization.access_key, "AK");
        assert!(authorization.is_of(&REQUEST, b"SK"));
        assert!(!authorization.is_of(&REQUEST, b"other"));
        let target = "/topics/other/messages";
        assert!(!authorization.is_of(&Signed { target, ..REQUEST }, b"SK"));
        for signature in ["", "AAAA", "=", &SIGNATURE[..27]] {
            let other = Authorization {
                signature,
                ..authorization
            };
            assert!(!other.is_of(&REQUEST, b"SK"), "{signature}");
        }
    }

    #[test]
    fn headers_of_another_form_are_refused() {
        let with_colon = Authorization::read("MQ a:b:c").unwrap();
        assert_eq!((with_colon.access_key, with_colon.signature), ("a:b", "c"));
        for header in [
            "",
            "MQ",
            "MQ ",
            "MQ a",
            "MQ a:",
            "MQ :s",
            "Basic YTpi",
            "mq a:s",
        ] {
            let error = Authorization::read(header).unwrap_err();
            assert_eq!(error.code, Code::InvalidAuthorizationHeader, "{header}");
        }
        let secret = Authorization::read("Basic c2VjcmV0").unwrap_err();
        assert!(!secret.message.contains("c2VjcmV0"), "{secret}");
    }
}
