//! The headers of a call: client, namespace, deadline, signature.

use std::time::Duration;

use remoting_codec::Language;

use crate::check;
use crate::convert::Names;
use crate::error::CallError;

/// The client's id, unique among all clients. Every call must have it.
pub const CLIENT_ID: &str = "x-mq-client-id";
/// The namespace of topics and groups that name none.
pub const NAMESPACE: &str = "x-mq-namespace";
/// The language of the client's library.
pub const LANGUAGE: &str = "x-mq-language";
/// The version of the client's library.
pub const CLIENT_VERSION: &str = "x-mq-client-version";
/// An id of the call, for logs.
pub const REQUEST_ID: &str = "x-mq-request-id";
/// When the call was made, `20261121T095833Z`, or as in RFC 3339: what the client signs.
pub const DATE_TIME: &str = "x-mq-date-time";
/// The token of temporary credentials.
pub const SESSION_TOKEN: &str = "x-mq-session-token";
/// The signature with the name of its key.
pub const AUTHORIZATION: &str = "authorization";
/// How long the client waits for the whole call.
pub const TIMEOUT: &str = "grpc-timeout";

/// The headers of a call, as the client has sent them: nothing in them is verified.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Metadata<'a> {
    /// Its id, as it is sent: [`client_id`](Self::client_id) checks it.
    pub raw_client_id: Option<&'a str>,
    /// The namespace, as it is sent; empty for none.
    pub namespace: &'a str,
    /// The language's name, as it is sent: HTTP from Node.
    pub language: Option<&'a str>,
    /// The library's version.
    pub version: Option<&'a str>,
    /// An id that the client has given the call, for logs.
    pub request_id: Option<&'a str>,
    /// When the call was made.
    pub date_time: Option<&'a str>,
    /// The token of temporary credentials.
    pub session_token: Option<&'a str>,
    /// The signature, as it is sent: [`authorization`](Self::authorization) reads it.
    pub raw_authorization: RawAuthorization<'a>,
    /// How long the client waits from when it has sent the call.
    pub timeout: Option<Duration>,
}

impl<'a> Metadata<'a> {
    /// Reads the headers, with names in lower-case letters. Of several with one name, the first
    /// that has a value counts.
    pub fn read(headers: impl Iterator<Item = (&'a str, &'a [u8])>) -> Self {
        let mut read = Self::default();
        for (name, value) in headers {
            let place = match name {
                CLIENT_ID => &mut read.raw_client_id,
                LANGUAGE => &mut read.language,
                CLIENT_VERSION => &mut read.version,
                REQUEST_ID => &mut read.request_id,
                DATE_TIME => &mut read.date_time,
                SESSION_TOKEN => &mut read.session_token,
                AUTHORIZATION => &mut read.raw_authorization.0,
                NAMESPACE => {
                    if read.namespace.is_empty() {
                        read.namespace = text(value).unwrap_or_default();
                    }
                    continue;
                }
                TIMEOUT => {
                    read.timeout = read.timeout.or_else(|| timeout(text(value)?));
                    continue;
                }
                _ => continue,
            };
            if place.is_none() {
                *place = text(value);
            }
        }
        read
    }

    /// The signature, if there is one that can be read.
    #[must_use]
    pub fn authorization(&self) -> Option<Authorization<'a>> {
        Authorization::parse(self.raw_authorization.0?)
    }

    /// The client's id.
    ///
    /// # Errors
    /// CLIENT_ID_REQUIRED when there is none.
    pub fn client_id(&self) -> Result<&'a str, CallError> {
        check::client_id(self.raw_client_id)
    }

    /// The names of topics and groups in the call's namespace.
    ///
    /// # Errors
    /// When the namespace cannot be a part of names.
    pub fn names(&self) -> Result<Names<'a>, CallError> {
        Names::new(self.namespace)
    }

    /// The language as brokers know it. One that they do not know is OTHER: the Java proxy fails on
    /// it, which is why Node sends HTTP.
    #[must_use]
    pub fn language(&self) -> Language {
        let name = self.language.unwrap_or_default().to_ascii_uppercase();
        match name.as_str() {
            "GOLANG" => Language::GO,
            "DOT_NET" | "CSHARP" => Language::from_name("DOTNET"),
            name => Language::from_name(name),
        }
    }
}

/// The value of a header without the blanks around it, if it is ASCII and not empty. HTTP/2 lets no
/// other control character than a tab into it.
fn text(value: &[u8]) -> Option<&str> {
    let value = value.is_ascii().then(|| value.trim_ascii())?;
    let value = std::str::from_utf8(value).ok()?;
    (!value.is_empty()).then_some(value)
}

/// The value of the header `authorization`.
#[derive(Clone, Copy, Default, Eq, PartialEq)]
pub struct RawAuthorization<'a>(Option<&'a str>);

impl std::fmt::Debug for RawAuthorization<'_> {
    /// Without the signature, which counts until its date is too old.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let authorization = self.0.and_then(Authorization::parse);
        f.debug_tuple("RawAuthorization")
            .field(&authorization)
            .finish()
    }
}

/// The header `authorization`: `MQv2-HMAC-SHA1 Credential=AK, SignedHeaders=x-mq-date-time,
/// Signature=0A1B…`.
#[derive(Clone, Copy, Eq, PartialEq)]
pub struct Authorization<'a> {
    /// How it is signed: `MQv2-HMAC-SHA1`.
    pub algorithm: &'a str,
    /// The name of the key: what is before the first `/` of the credential. Empty from Go without
    /// credentials.
    pub access_key: &'a str,
    /// The names of the headers that are signed, with `;` between them.
    pub signed_headers: &'a str,
    /// The signature in hexadecimal digits, upper case from Java, lower case from Python.
    pub signature: &'a str,
}

impl<'a> Authorization<'a> {
    /// Reads the header's value; `None` when a part is missing.
    #[must_use]
    pub fn parse(value: &'a str) -> Option<Self> {
        let (algorithm, parts) = value.trim().split_once(char::is_whitespace)?;
        let part = |name: &str| {
            let mut parts = parts.split(',').filter_map(|part| part.split_once('='));
            let named = parts.find(|(key, _)| key.trim().eq_ignore_ascii_case(name));
            named.map(|(_, value)| value.trim())
        };
        let credential = part("Credential")?;
        Some(Self {
            algorithm,
            access_key: credential.split('/').next().unwrap_or_default(),
            signed_headers: part("SignedHeaders")?,
            signature: part("Signature")?,
        })
    }
}

impl std::fmt::Debug for Authorization<'_> {
    /// Without the signature, which counts until its date is too old.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let mut shown = f.debug_struct("Authorization");
        shown.field("access_key", &self.access_key);
        shown.finish_non_exhaustive()
    }
}

/// How long a call may take: `grpc-timeout` is a number of one to eight digits and a unit.
///
/// `None` when it is none: the call then has no deadline of the client's.
#[must_use]
pub fn timeout(value: &str) -> Option<Duration> {
    const MOST_DIGITS: usize = 8;
    let (digits, unit) = value.split_at_checked(value.len().checked_sub(1)?)?;
    let is_number = (1..=MOST_DIGITS).contains(&digits.len())
        && digits.bytes().all(|digit| digit.is_ascii_digit());
    let number: u64 = is_number.then(|| digits.parse().ok()).flatten()?;
    match unit {
        "H" => Some(Duration::from_secs(number * 3_600)),
        "M" => Some(Duration::from_secs(number * 60)),
        "S" => Some(Duration::from_secs(number)),
        "m" => Some(Duration::from_millis(number)),
        "u" => Some(Duration::from_micros(number)),
        "n" => Some(Duration::from_nanos(number)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::proto::Code;

    fn read(headers: &[(&'static str, &'static str)]) -> Metadata<'static> {
        let headers = headers.iter();
        Metadata::read(headers.map(|(name, value)| (*name, value.as_bytes())))
    }

    #[test]
    fn the_headers_of_a_java_client_are_read() {
        let metadata = read(&[
            ("x-mq-language", "JAVA"),
            ("x-mq-protocol", "v2"),
            ("x-mq-client-version", "5.2.0"),
            ("x-mq-client-id", "vm@22903@0@2qst9eyps"),
            ("x-mq-namespace", ""),
            ("x-mq-date-time", "20261121T095833Z"),
            ("x-mq-request-id", "11f1b2b4-4c4c-4b5e-8a53-9c5dd3b1a9c0"),
            (
                "authorization",
                "MQv2-HMAC-SHA1 Credential=AK, SignedHeaders=x-mq-date-time, Signature=71701958F0DF",
            ),
            ("grpc-timeout", "2999987u"),
        ]);
        assert_eq!(metadata.client_id(), Ok("vm@22903@0@2qst9eyps"));
        assert_eq!(metadata.names(), Ok(Names::default()));
        assert_eq!(metadata.language(), Language::JAVA);
        assert_eq!(metadata.version, Some("5.2.0"));
        assert_eq!(metadata.timeout, Some(Duration::from_micros(2_999_987)));
        assert_eq!(metadata.date_time, Some("20261121T095833Z"));
        let authorization = metadata.authorization().unwrap();
        assert_eq!(authorization.access_key, "AK");
        assert_eq!(authorization.signature, "71701958F0DF");
        assert!(!format!("{metadata:?}").contains("71701958F0DF"));
    }

    #[test]
    fn a_call_without_headers_has_defaults() {
        let metadata = read(&[]);
        assert_eq!(metadata, Metadata::default());
        assert_eq!(
            metadata.client_id().unwrap_err().code,
            Code::ClientIdRequired
        );
        assert_eq!(metadata.language(), Language::OTHER);
        let wrong = read(&[("x-mq-namespace", "a%b")]);
        assert_eq!(wrong.names().unwrap_err().code, Code::BadRequest);
    }

    #[test]
    fn languages_are_known_or_other() {
        for (name, language) in [
            ("JAVA", Language::JAVA),
            ("java", Language::JAVA),
            ("CPP", Language::CPP),
            ("GO", Language::GO),
            ("GOLANG", Language::GO),
            ("DOTNET", Language(2)),
            ("DOT_NET", Language(2)),
            ("PYTHON", Language(3)),
            ("HTTP", Language(8)),
            ("RUST", Language(12)),
            ("NODE_JS", Language(13)),
            ("KLINGON", Language::OTHER),
        ] {
            let metadata = Metadata {
                language: Some(name),
                ..Metadata::default()
            };
            assert_eq!(metadata.language(), language, "{name}");
        }
    }

    #[test]
    fn authorizations_of_all_clients_are_read() {
        for (value, expected) in [
            (
                "MQv2-HMAC-SHA1 Credential=AK/region/Rocketmq, SignedHeaders=x-mq-date-time, \
                 Signature=0a1b",
                Some(("AK", "0a1b")),
            ),
            (
                "MQv2-HMAC-SHA1 Credential=//Rocketmq,SignedHeaders=x-mq-date-time,Signature=0A1B",
                Some(("", "0A1B")),
            ),
            (
                "MQv2-HMAC-SHA1 Credential=AK, SignedHeaders=x-mq-date-time",
                None,
            ),
            ("Bearer token", None),
            ("Basic", None),
            ("", None),
        ] {
            let read = Authorization::parse(value);
            let read = read.map(|read| (read.access_key, read.signature));
            assert_eq!(read, expected, "{value}");
        }
    }

    #[test]
    fn timeouts_are_read() {
        for (value, expected) in [
            ("1H", Some(Duration::from_secs(3_600))),
            ("2M", Some(Duration::from_secs(120))),
            ("30S", Some(Duration::from_secs(30))),
            ("20500m", Some(Duration::from_millis(20_500))),
            ("0m", Some(Duration::ZERO)),
            ("99999999H", Some(Duration::from_secs(99_999_999 * 3_600))),
            ("12345678n", Some(Duration::from_nanos(12_345_678))),
            ("123456789n", None),
            ("5", None),
            ("S", None),
            ("-1S", None),
            ("+1S", None),
            ("1s", None),
            ("1 S", None),
            ("1ä", None),
            ("", None),
        ] {
            assert_eq!(timeout(value), expected, "{value}");
        }
    }
}
