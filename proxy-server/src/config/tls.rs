//! `[tls]`, `[upstream_tls]` and `proxy_protocol_from`, validated.

use std::path::PathBuf;

use super::entry::Choice;
use super::error::ConfigError;
use super::keys::{File, Tls, UpstreamTls};
use super::network::Network;

/// The TLS of client connections.
#[derive(Clone, Debug)]
pub struct TlsConfig {
    /// Whether clients that do without are refused.
    pub required: bool,
    /// Whether clients show a certificate.
    pub client_auth: ClientAuth,
    /// The certificates to choose from; at least one.
    pub certificates: Vec<CertificateConfig>,
}

/// Whether clients show a certificate.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum ClientAuth {
    /// Clients are not asked for a certificate.
    None,
    /// They may; one that is not signed by an authority in this file is refused.
    Optional(PathBuf),
    /// They must show one that is signed by an authority in this file.
    Required(PathBuf),
}

/// A certificate with its chain, and its key.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct CertificateConfig {
    /// PEM file of the certificate and its chain.
    pub certificate: PathBuf,
    /// PEM file of the key.
    pub key: PathBuf,
}

/// TLS to brokers and name servers, where there is any.
#[derive(Clone, Debug)]
pub struct UpstreamTlsConfig {
    /// The checks of their certificates.
    pub verify: Verify,
    /// The certificate that Remora presents to them, if any.
    pub certificate: Option<CertificateConfig>,
}

/// The checks of a broker's or name server's certificate.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Verify {
    /// That an authority in this file has signed it, and that it is for the host that was connected
    /// to.
    Full(PathBuf),
    /// That an authority in this file has signed it.
    Ca(PathBuf),
    /// Nothing: a man in the middle can read and change everything.
    None,
}

impl File {
    pub(super) fn tls(&self) -> Result<Option<TlsConfig>, ConfigError> {
        let Tls {
            mode,
            client_auth,
            client_ca,
            certificate,
        } = &self.tls;
        let required = match mode.word() {
            "off" => return self.refuse_unused_tls().map(|()| None),
            "permissive" => false,
            "required" => true,
            other => {
                let allowed = "off, permissive or required";
                return Err(ConfigError::value("tls.mode", other, allowed));
            }
        };
        let ca = || {
            let missing = ConfigError::Missing {
                key: "tls.client_ca",
                allowed: "it names the authorities that sign clients' certificates".into(),
            };
            client_ca.as_ref().map(PathBuf::from).ok_or(missing)
        };
        let client_auth = match client_auth.word() {
            "none" => ClientAuth::None,
            "optional" => ClientAuth::Optional(ca()?),
            // A client without a certificate would connect in plain text.
            "required" if !required => {
                let allowed = "possible with tls.mode = \"permissive\", which lets in plain text without a certificate: write tls.mode = \"required\", or client_auth = \"optional\"";
                return Err(ConfigError::value("tls.client_auth", "required", allowed));
            }
            "required" => ClientAuth::Required(ca()?),
            other => {
                let allowed = "none, optional or required";
                return Err(ConfigError::value("tls.client_auth", other, allowed));
            }
        };
        let certificates = certificate.iter().map(|given| CertificateConfig {
            certificate: PathBuf::from(&given.certificate),
            key: PathBuf::from(&given.key),
        });
        let certificates: Vec<_> = certificates.collect();
        let unset = |path: &PathBuf| path.as_os_str().is_empty();
        let half = |one: &CertificateConfig| unset(&one.certificate) || unset(&one.key);
        if certificates.is_empty() || certificates.iter().any(half) {
            return Err(ConfigError::Missing {
                key: "tls.certificate",
                allowed:
                    "TLS needs at least one [[tls.certificate]], each with certificate and key"
                        .into(),
            });
        }
        Ok(Some(TlsConfig {
            required,
            client_auth,
            certificates,
        }))
    }

    pub(super) fn upstream_tls(&self) -> Result<Option<UpstreamTlsConfig>, ConfigError> {
        let UpstreamTls {
            mode,
            verify,
            ca,
            certificate,
            key,
        } = &self.upstream_tls;
        match mode.word() {
            "off" => return self.refuse_unused_upstream_tls().map(|()| None),
            "on" => {}
            other => return Err(ConfigError::value("upstream_tls.mode", other, "off or on")),
        }
        let ca = || {
            let missing = ConfigError::Missing {
                key: "upstream_tls.ca",
                allowed: "certificates cannot be verified without; verify = \"none\" does not"
                    .into(),
            };
            ca.as_ref().map(PathBuf::from).ok_or(missing)
        };
        let verify = match verify.word() {
            "full" => Verify::Full(ca()?),
            "ca" => Verify::Ca(ca()?),
            "none" => Verify::None,
            other => {
                let allowed = "full, ca or none";
                return Err(ConfigError::value("upstream_tls.verify", other, allowed));
            }
        };
        let certificate = match (certificate, key) {
            (None, None) => None,
            (Some(certificate), Some(key)) => Some(CertificateConfig {
                certificate: certificate.into(),
                key: key.into(),
            }),
            (certificate, _) => {
                return Err(ConfigError::Missing {
                    key: match certificate {
                        Some(_) => "upstream_tls.key",
                        None => "upstream_tls.certificate",
                    },
                    allowed: "a certificate and its key are set together".into(),
                });
            }
        };
        Ok(Some(UpstreamTlsConfig {
            verify,
            certificate,
        }))
    }

    /// Refuses keys of TLS while it is off: they suggest that the operator believes it is on.
    fn refuse_unused_tls(&self) -> Result<(), ConfigError> {
        let tls = &self.tls;
        let unused = if is_unused(&tls.mode, &tls.client_auth, "none") {
            "client_auth"
        } else if tls.client_ca.is_some() {
            "client_ca"
        } else if !tls.certificate.is_empty() {
            "certificate"
        } else {
            return Ok(());
        };
        let remedy = format!(
            "tls.{unused} does nothing without: write mode = \"required\" (or \"permissive\", for plain text too) into [tls], or leave tls.{unused} out"
        );
        Err(off("tls.mode", &tls.mode, remedy))
    }

    /// Refuses keys of `upstream_tls` that would be ignored because `upstream_tls.mode` is off.
    fn refuse_unused_upstream_tls(&self) -> Result<(), ConfigError> {
        let tls = &self.upstream_tls;
        let unused = if is_unused(&tls.mode, &tls.verify, "full") {
            "verify"
        } else if tls.ca.is_some() {
            "ca"
        } else if tls.certificate.is_some() {
            "certificate"
        } else if tls.key.is_some() {
            "key"
        } else {
            return Ok(());
        };
        let remedy = format!(
            "upstream_tls.{unused} does nothing without: write mode = \"on\" into [upstream_tls], or leave upstream_tls.{unused} out"
        );
        Err(off("upstream_tls.mode", &tls.mode, remedy))
    }

    pub(super) fn proxy_protocol_from(&self) -> Result<Vec<Network>, ConfigError> {
        let key = "proxy_protocol_from";
        let networks = self.proxy_protocol_from.iter();
        let networks: Vec<_> = networks
            .map(|text| Network::parse(key, text))
            .collect::<Result<_, _>>()?;
        let shared = self.listener.iter().map(|l| l.proxy_protocol);
        let own = self.broker_listener.iter().map(|l| l.proxy_protocol);
        if networks.is_empty() && shared.chain(own).any(|wanted| wanted) {
            return Err(ConfigError::Missing {
                key,
                allowed: "a listener with proxy_protocol = true needs the networks of the trusted balancers".into(),
            });
        }
        Ok(networks)
    }
}

/// Whether a key is set for nothing while `mode` is off. At its default it may stand beside a mode
/// that says "off", as in the example, but not alone.
fn is_unused(mode: &Choice, key: &Choice, default: &str) -> bool {
    key.word() != default || (key.is_given() && !mode.is_given())
}

/// The error for `key`, whose value `mode` is off although other keys need TLS; with the remedy.
fn off(key: &'static str, mode: &Choice, remedy: String) -> ConfigError {
    match mode.is_given() {
        true => ConfigError::value(key, mode.word(), &format!("what it must be: {remedy}")),
        false => ConfigError::Missing {
            key,
            allowed: remedy.into(),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(text: &str) -> File {
        toml::from_str(text).unwrap()
    }

    #[test]
    fn what_tls_needs_is_asked_for() {
        let tls = |text: &str| file(&format!("[tls]\n{text}")).tls();
        assert!(tls("").unwrap().is_none());
        let pair = "[[tls.certificate]]\ncertificate = \"c\"\nkey = \"k\"\n";
        let permissive = tls(&format!("mode = \"permissive\"\n{pair}{pair}")).unwrap();
        let permissive = permissive.unwrap();
        assert!(!permissive.required && permissive.certificates.len() == 2);
        assert_eq!(permissive.client_auth, ClientAuth::None);
        let authorities = "client_auth = \"required\"\nclient_ca = \"ca\"\n";
        let required = tls(&format!("mode = \"required\"\n{authorities}{pair}"));
        let required = required.unwrap().unwrap();
        assert!(required.required);
        assert_eq!(required.client_auth, ClientAuth::Required("ca".into()));
        let optional = authorities.replace("required", "optional");
        let either = tls(&format!("mode = \"permissive\"\n{optional}{pair}")).unwrap();
        let expected = ClientAuth::Optional("ca".into());
        assert_eq!(either.unwrap().client_auth, expected);
        // As the example has it.
        assert!(
            tls("mode = \"off\"\nclient_auth = \"none\"")
                .unwrap()
                .is_none()
        );
        for (text, key) in [
            (
                authorities.to_owned(),
                "tls.mode is not set: tls.client_auth",
            ),
            (optional, "tls.mode is not set: tls.client_auth"),
            (
                "client_auth = \"none\"".to_owned(),
                "tls.mode is not set: tls.client_auth",
            ),
            (
                "client_ca = \"ca\"".to_owned(),
                "tls.mode is not set: tls.client_ca",
            ),
            (pair.to_owned(), "tls.mode is not set: tls.certificate"),
            (
                format!("mode = \"off\"\n{pair}"),
                "tls.mode: \"off\" is not what it must be: tls.certificate",
            ),
            (
                format!("mode = \"permissive\"\n{authorities}{pair}"),
                "tls.client_auth: \"required\" is not possible",
            ),
            ("mode = \"on\"".to_owned(), "tls.mode: \"on\""),
            (
                "mode = \"required\"".to_owned(),
                "tls.certificate is not set",
            ),
            (
                format!("mode = \"required\"\n{pair}[[tls.certificate]]\nkey = \"k\""),
                "tls.certificate is not set",
            ),
            (
                format!("mode = \"required\"\nclient_auth = \"optional\"\n{pair}"),
                "tls.client_ca is not set",
            ),
            (
                format!("mode = \"required\"\nclient_auth = \"yes\"\n{pair}"),
                "tls.client_auth: \"yes\"",
            ),
        ] {
            let refusal = tls(&text).unwrap_err().to_string();
            assert!(refusal.starts_with(key), "{refusal}");
        }
    }

    #[test]
    fn what_upstream_tls_needs_is_asked_for() {
        let tls = |text: &str| file(&format!("[upstream_tls]\n{text}")).upstream_tls();
        assert!(tls("").unwrap().is_none());
        let unverified = tls("mode = \"on\"\nverify = \"none\"").unwrap().unwrap();
        assert_eq!(unverified.verify, Verify::None);
        let full = "mode = \"on\"\nca = \"ca\"\ncertificate = \"c\"\nkey = \"k\"";
        let full = tls(full).unwrap().unwrap();
        assert_eq!(full.verify, Verify::Full("ca".into()));
        assert!(full.certificate.is_some());
        // As the example has it.
        let off = tls("mode = \"off\"\nverify = \"full\"");
        assert!(off.unwrap().is_none());
        for (text, key) in [
            ("verify = \"full\"", "upstream_tls.mode is not set"),
            ("verify = \"none\"", "upstream_tls.mode is not set"),
            ("ca = \"ca\"", "upstream_tls.mode is not set"),
            ("certificate = \"c\"", "upstream_tls.mode is not set"),
            ("key = \"k\"", "upstream_tls.mode is not set"),
            (
                "mode = \"off\"\nverify = \"ca\"",
                "upstream_tls.mode: \"off\" is not",
            ),
            (
                "mode = \"off\"\nca = \"ca\"",
                "upstream_tls.mode: \"off\" is not",
            ),
            ("mode = \"required\"", "upstream_tls.mode: \"required\""),
            ("mode = \"on\"", "upstream_tls.ca is not set"),
            (
                "mode = \"on\"\nverify = \"name\"",
                "upstream_tls.verify: \"name\"",
            ),
            (
                "mode = \"on\"\nca = \"ca\"\nkey = \"k\"",
                "upstream_tls.certificate is not set",
            ),
            (
                "mode = \"on\"\nca = \"ca\"\ncertificate = \"c\"",
                "upstream_tls.key is not set",
            ),
        ] {
            let refusal = tls(text).unwrap_err().to_string();
            assert!(refusal.starts_with(key), "{refusal}");
        }
    }

    #[test]
    fn who_writes_proxy_headers_must_be_said() {
        let wanted = "[[listener]]\nproxy_protocol = true\n";
        let refusal = file(wanted).proxy_protocol_from().unwrap_err().to_string();
        assert!(refusal.starts_with("proxy_protocol_from is not set"));
        let own = "[[broker_listener]]\nproxy_protocol = true\n";
        assert!(file(own).proxy_protocol_from().is_err());
        let said = format!("proxy_protocol_from = [\"10.0.0.0/8\", \"::1\"]\n{wanted}{own}");
        assert_eq!(file(&said).proxy_protocol_from().unwrap().len(), 2);
        let odd = "proxy_protocol_from = [\"anybody\"]";
        let refusal = file(odd).proxy_protocol_from().unwrap_err().to_string();
        assert!(refusal.starts_with("proxy_protocol_from: \"anybody\""));
    }
}
