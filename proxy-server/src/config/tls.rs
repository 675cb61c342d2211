//! `[tls]`, `[upstream_tls]` and whose PROXY headers are believed, validated.

use std::path::PathBuf;

use super::keys::{File, Tls, UpstreamTls};
use super::{ConfigError, Network};

/// TLS to clients, where there is any.
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
    /// They are not asked.
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
    /// What is checked of their certificates.
    pub verify: Verify,
    /// What is shown to them, if anything.
    pub certificate: Option<CertificateConfig>,
}

/// What is checked of a certificate of a broker or name server.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Verify {
    /// That an authority in this file has signed it, and that it is for the host that was connected to.
    Full(PathBuf),
    /// That an authority in this file has signed it.
    Ca(PathBuf),
    /// Nothing: whoever is between can read and change everything.
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
        let required = match mode.as_str() {
            "off" => return Ok(None),
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
                allowed: "clients' certificates cannot be judged without",
            };
            client_ca.as_ref().map(PathBuf::from).ok_or(missing)
        };
        let client_auth = match client_auth.as_str() {
            "none" => ClientAuth::None,
            "optional" => ClientAuth::Optional(ca()?),
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
                allowed: "TLS needs at least one [[tls.certificate]], each with certificate and key",
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
        match mode.as_str() {
            "off" => return Ok(None),
            "on" => {}
            other => return Err(ConfigError::value("upstream_tls.mode", other, "off or on")),
        }
        let ca = || {
            let missing = ConfigError::Missing {
                key: "upstream_tls.ca",
                allowed: "certificates cannot be verified without; verify = \"none\" does not",
            };
            ca.as_ref().map(PathBuf::from).ok_or(missing)
        };
        let verify = match verify.as_str() {
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
                    allowed: "a certificate and its key are set together",
                });
            }
        };
        Ok(Some(UpstreamTlsConfig {
            verify,
            certificate,
        }))
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
                allowed: "a listener with proxy_protocol = true needs the networks of those whose headers are believed",
            });
        }
        Ok(networks)
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
        for (text, key) in [
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
        for (text, key) in [
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
