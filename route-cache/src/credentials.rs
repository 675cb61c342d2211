//! The key with which Remora signs requests of its own.

use std::fmt;
use std::sync::Arc;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit, Mac};
use remoting_codec::RemotingCommand;
use remoting_codec::headers::SIGNATURE;
use sha1::Sha1;

/// The ext field beside a signature with the user's name (`SessionCredentials` in the reference).
const ACCESS_KEY: &str = "AccessKey";

/// A text that is never logged.
#[derive(Clone, Eq, PartialEq)]
pub struct Secret(Arc<str>);

impl Secret {
    /// A secret with that text.
    #[must_use]
    pub fn new(text: impl Into<Arc<str>>) -> Self {
        Self(text.into())
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

/// A user of the brokers, for requests that Remora makes without a client's request: to give back
/// messages that POP handed out to a disconnected client, and to register for replies.
///
/// Clients' requests are never signed with it, because the broker must judge the client.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Credentials {
    access_key: Arc<str>,
    secret_key: Secret,
}

impl Credentials {
    /// The user of that name.
    #[must_use]
    pub fn new(access_key: impl Into<Arc<str>>, secret_key: Secret) -> Self {
        Self {
            access_key: access_key.into(),
            secret_key,
        }
    }

    /// The request with the user's name and the signature (`AclClientRPCHook` in the reference),
    /// which covers the values of all ext fields in the order of their names, and the body.
    #[must_use]
    pub fn sign(&self, request: RemotingCommand) -> RemotingCommand {
        let request = request.with_field(ACCESS_KEY, self.access_key.to_string());
        let mut fields: Vec<_> = request.ext_fields.iter().collect();
        // The names of fields in Remora's own requests are ASCII, for which Java's order is that of
        // bytes.
        fields.sort_unstable();
        // HMAC accepts keys of any length.
        let Ok(mut mac) = Hmac::<Sha1>::new_from_slice(self.secret_key.0.as_bytes()) else {
            return request;
        };
        for (_, value) in fields {
            mac.update(value.as_bytes());
        }
        mac.update(&request.body);
        let signature = STANDARD.encode(mac.finalize().into_bytes());
        request.with_field(SIGNATURE, signature)
    }
}

#[cfg(test)]
mod tests {
    use remoting_codec::RequestCode;

    use super::*;

    fn signature(
        secret: &str,
        fields: &[(&'static str, &'static str)],
        body: &'static str,
    ) -> String {
        let mut request = RemotingCommand::request(RequestCode::HEART_BEAT).with_body(body);
        for (name, value) in fields {
            request = request.with_field(*name, *value);
        }
        let signed = Credentials::new("remora", Secret::new(secret)).sign(request);
        assert_eq!(signed.field(ACCESS_KEY), Some("remora"));
        signed.field(SIGNATURE).unwrap().to_owned()
    }

    /// Computed by `AclClientRPCHook` of 5.5.0.
    #[test]
    fn signatures_are_those_of_the_reference() {
        let body = r#"{"clientID":"c"}"#;
        assert_eq!(
            signature("a secret", &[], ""),
            "++4MF0xQOhpXxGWfL4PI3cJ3a7Q="
        );
        assert_eq!(
            signature("a secret", &[], body),
            "2vDBqpTqYk8H+PANSWDbj7ge+oY="
        );
        let give_back = [
            ("consumerGroup", "g"),
            ("topic", "%RETRY%g_t"),
            ("queueId", "3"),
            ("extraInfo", "0 1700000000000 60000 2 0 broker-a 3 17"),
            ("offset", "17"),
            ("invisibleTime", "1"),
            ("bname", "broker-a"),
        ];
        assert_eq!(
            signature("a secret", &give_back, ""),
            "kol9c8fuO+jAncukONP8RTGXdv8="
        );
        // Upper case is sorted before the underscore, and that before lower case.
        let odd = [
            ("topic", "täst"),
            ("_x", "u"),
            ("Zz", "v"),
            ("zz", "w"),
            ("empty", ""),
        ];
        assert_eq!(
            signature("a secret", &odd, ""),
            "HRY3bQb1vYk8+Iw8cs+N7LujxPU="
        );
        // A key that is longer than a block of the hash.
        let long = "0123456789".repeat(10);
        assert_eq!(
            signature(&long, &[("topic", "t")], "body"),
            "/pn5HYwcH3D3yzdQfZNhDwLfDXc="
        );
    }

    #[test]
    fn the_secret_is_not_shown() {
        let credentials = Credentials::new("remora", Secret::new("a secret"));
        let shown = format!("{credentials:?} {credentials:#?}");
        assert!(
            shown.contains("remora") && !shown.contains("a secret"),
            "{shown}"
        );
    }
}
