//! The headers of a call: client, namespace, deadline, signature.

use std::time::Duration;

use remoting_codec::Language;

use crate::check;
use crate::convert::Names;
use crate::error::CallError;

/// The client's id.
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
    /// An id of the call.
    pub request_id: Option<&'a str>,
    /// When the call was made.
    pub date_time: Option<&'a str>,
    /// The token of temporary credentials.
    pub session_token: Option<&'a str>,
    /// The signature, if there is one that can be read.
    pub authorization: Option<Authorization<'a>>,
    /// How long the client waits from when it has sent the call.
    pub timeout: Option<Duration>,
}

impl<'a> Metadata<'a> {
    /// Reads the headers, of which `header` has the first value by name: only names with lower-case
    /// letters are asked for.
    pub fn read(header: impl Fn(&str) -> Option<&'a str>) -> Self {
        let given = |name| {
            header(name)
                .map(str::trim)
                .filter(|value| !value.is_empty())
        };
        Self {
            raw_client_id: given(CLIENT_ID),
            namespace: given(NAMESPACE).unwrap_or_default(),
            language: given(LANGUAGE),
            version: given(CLIENT_VERSION),
            request_id: given(REQUEST_ID),
            date_time: given(DATE_TIME),
            session_token: given(SESSION_TOKEN),
            authorization: given(AUTHORIZATION).and_then(Authorization::parse),
            timeout: given(TIMEOUT).and_then(timeout),
        }
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

/// The header `authorization`: `MQv2-HMAC-SHA1 Credential=AK, SignedHeaders=x-mq-date-time,
/// Signature=0A1B…`.
#[derive(Clone, Copy, Eq, PartialEq)]
pub struct Authorization<'a> {
    /// How it is signed: `MQv2-HMAC-SHA1`.
    pub algorithm: &'a str,
    /// The name of the key: what is before the first `/` of the credential. Empty from Go without
    /// credentials.
    pub access_key: &'a str,
    /// The headers that are signed, with `;` between them.
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

    fn read(headers: &[(&str, &'static str)]) -> Metadata<'static> {
        Metadata::read(|name| {
            let mut headers = headers.iter();
            headers
                .find(|(key, _)| *key == name)
                .map(|(_, value)| *value)
        })
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
        let authorization = metadata.authorization.unwrap();
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
