//! Ids and addresses.

use messaging::check::{has_control, is_blank, shown};

use super::ensure;
use crate::error::CallError;
use crate::proto::{Code, Endpoints};

/// Most characters of a client id.
const CLIENT_ID: usize = 255;

/// The client's id, of the header `x-mq-client-id`.
///
/// # Errors
/// CLIENT_ID_REQUIRED when there is none; BAD_REQUEST when it is too long or has control
/// characters, which the Java proxy does not look at: the id is shown by consoles and stands in log
/// lines.
pub fn client_id(client_id: Option<&str>) -> Result<&str, CallError> {
    let client_id = client_id.unwrap_or_default();
    ensure(!is_blank(client_id), Code::ClientIdRequired, || {
        "the header x-mq-client-id is missing: send it with every call".to_owned()
    })?;
    let is_right = client_id.chars().count() <= CLIENT_ID && !has_control(client_id);
    ensure(is_right, Code::BadRequest, || {
        format!(
            "x-mq-client-id may have {CLIENT_ID} characters at most, and no control characters: {}",
            shown(client_id).escape_debug()
        )
    })?;
    Ok(client_id)
}

/// The endpoints that a client was configured with.
///
/// # Errors
/// ILLEGAL_ACCESS_POINT when there are none or too many, or a port is none, or a host is empty or
/// too long.
pub fn endpoints(endpoints: Option<&Endpoints>) -> Result<&Endpoints, CallError> {
    /// Most bytes of a name in DNS.
    const HOST: usize = 253;
    /// Most addresses: each queue of a route has them all.
    const ADDRESSES: usize = 16;
    let is_right = |endpoints: &&Endpoints| {
        let mut addresses = endpoints.addresses.iter();
        (1..=ADDRESSES).contains(&endpoints.addresses.len())
            && addresses.all(|address| {
                let host = &address.host;
                (1..=i32::from(u16::MAX)).contains(&address.port)
                    && (1..=HOST).contains(&host.len())
                    && !has_control(host)
            })
    };
    endpoints.filter(is_right).ok_or_else(|| {
        CallError::new(
            Code::IllegalAccessPoint,
            "the endpoints are missing, more than 16, or a host or port of theirs is none: send those \
             that the client connects to",
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::proto::Address;

    #[test]
    fn ids_are_checked() {
        assert_eq!(
            client_id(Some("vm@22903@0@2qst9eyps")),
            Ok("vm@22903@0@2qst9eyps")
        );
        let long = "c".repeat(CLIENT_ID);
        assert!(client_id(Some(&long)).is_ok());
        for (wrong, expected) in [
            (None, Code::ClientIdRequired),
            (Some(" "), Code::ClientIdRequired),
            (Some("a\nb"), Code::BadRequest),
            (Some(&*format!("{long}c")), Code::BadRequest),
        ] {
            assert_eq!(client_id(wrong).unwrap_err().code, expected);
        }
    }

    #[test]
    fn endpoints_are_checked() {
        let of = |host: &str, port| Endpoints {
            scheme: 0,
            addresses: vec![Address {
                host: host.to_owned(),
                port,
            }],
        };
        for right in [of("h", 1), of("::1", 65535), of(&"h".repeat(253), 8081)] {
            assert_eq!(endpoints(Some(&right)), Ok(&right));
        }
        let none = Endpoints::default();
        for wrong in [
            of("h", 0),
            of("h", 65536),
            of("", 1),
            of(&"h".repeat(254), 1),
            none,
        ] {
            let error = endpoints(Some(&wrong)).unwrap_err();
            assert_eq!(error.code, Code::IllegalAccessPoint);
        }
        assert!(endpoints(None).is_err());
    }
}
