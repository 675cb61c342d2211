//! TLS to brokers and name servers.

use std::sync::Arc;

use parking_lot::Mutex;
use route_cache::UpstreamTls;
use tokio_rustls::rustls::client::danger::{
    HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier,
};
use tokio_rustls::rustls::client::{verify_server_cert_signed_by_trust_anchor, verify_server_name};
use tokio_rustls::rustls::crypto::{
    CryptoProvider, verify_tls12_signature, verify_tls13_signature,
};
use tokio_rustls::rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use tokio_rustls::rustls::server::ParsedCertificate;
use tokio_rustls::rustls::sign::SingleCertAndKey;
use tokio_rustls::rustls::{ClientConfig, DigitallySignedStruct, Error, SignatureScheme};

use super::files::{Authorities, Pair, Watched};
use super::{Scan, TlsError, provider};
use crate::config::{UpstreamTlsConfig, Verify};

/// What is asked of the certificates of brokers and name servers, and what they are shown.
#[derive(Debug)]
pub(super) struct ToServers {
    files: Mutex<Files>,
    tls: UpstreamTls,
}

#[derive(Debug)]
struct Files {
    /// The authorities that sign their certificates; without, certificates are not verified.
    authorities: Option<Watched<Arc<Authorities>>>,
    /// Whether a certificate must be for the host.
    verify_host: bool,
    pair: Option<Watched<Pair>>,
}

impl ToServers {
    pub(super) fn load(config: &UpstreamTlsConfig) -> Result<Self, TlsError> {
        let (authorities, verify_host) = match &config.verify {
            Verify::Full(file) => (Some(Authorities::watch("upstream_tls.ca", file)?), true),
            Verify::Ca(file) => (Some(Authorities::watch("upstream_tls.ca", file)?), false),
            Verify::None => (None, false),
        };
        let pair = config.certificate.as_ref();
        let pair = pair.map(|pair| Pair::watch("upstream_tls", pair));
        let files = Files {
            authorities,
            verify_host,
            pair: pair.transpose()?,
        };
        Ok(Self {
            tls: UpstreamTls::new(files.build()?),
            files: Mutex::new(files),
        })
    }

    pub(super) fn tls(&self) -> &UpstreamTls {
        &self.tls
    }

    #[cfg(test)]
    pub(super) fn config(&self) -> Arc<ClientConfig> {
        self.files.lock().build().unwrap()
    }

    /// Reads changed files again. Existing connections stay as they are.
    pub(super) fn scan(&self, scan: &mut Scan) {
        let mut files = self.files.lock();
        let mut changed = false;
        if let Some(authorities) = &mut files.authorities {
            changed |= scan.at(authorities);
        }
        if let Some(pair) = &mut files.pair {
            changed |= scan.at(pair);
        }
        if changed {
            match files.build() {
                Ok(config) => self.tls.replace(config),
                Err(error) => scan.refuse(&error),
            }
        }
    }

    /// The file of the certificate that servers are shown, until when it is valid.
    pub(super) fn expiry(&self) -> Option<(String, i64)> {
        let files = self.files.lock();
        let pair = files.pair.as_ref()?;
        Some((pair.name(), pair.value().not_after))
    }
}

impl Files {
    fn build(&self) -> Result<Arc<ClientConfig>, TlsError> {
        let builder = ClientConfig::builder_with_provider(provider())
            .with_safe_default_protocol_versions()
            .map_err(|error| TlsError::of_key("upstream_tls", error))?;
        let verifier: Arc<dyn ServerCertVerifier> = match &self.authorities {
            None => Arc::new(Unverified(provider())),
            Some(authorities) => Arc::new(Verified {
                authorities: authorities.value().clone(),
                verify_host: self.verify_host,
                provider: provider(),
            }),
        };
        let builder = builder
            .dangerous()
            .with_custom_certificate_verifier(verifier);
        Ok(Arc::new(match &self.pair {
            None => builder.with_no_client_auth(),
            Some(pair) => {
                let shown = SingleCertAndKey::from(pair.value().key.clone());
                builder.with_client_cert_resolver(Arc::new(shown))
            }
        }))
    }
}

/// Accepts every certificate that one of the authorities has signed, for the host or for any; and
/// those that are listed as authorities themselves, which WebPKI alone would not take: a broker's
/// own certificate is often one that has signed itself, as `openssl req -x509` makes it.
#[derive(Debug)]
struct Verified {
    authorities: Arc<Authorities>,
    /// Whether the certificate must name the host that Remora connects to.
    verify_host: bool,
    provider: Arc<CryptoProvider>,
}

impl ServerCertVerifier for Verified {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        let certificate = ParsedCertificate::try_from(end_entity)?;
        if !self.authorities.has(end_entity) {
            verify_server_cert_signed_by_trust_anchor(
                &certificate,
                &self.authorities.roots,
                intermediates,
                now,
                self.provider.signature_verification_algorithms.all,
            )?;
        }
        if self.verify_host {
            verify_server_name(&certificate, server_name)?;
        }
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        verify_tls12_signature(message, cert, dss, algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        verify_tls13_signature(message, cert, dss, algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        let algorithms = &self.provider.signature_verification_algorithms;
        algorithms.supported_schemes()
    }
}

/// Accepts every certificate. The signature of the handshake proves nothing then, so it is not
/// verified either: a certificate may be of a kind that cannot be read here.
#[derive(Debug)]
struct Unverified(Arc<CryptoProvider>);

impl ServerCertVerifier for Unverified {
    fn verify_server_cert(
        &self,
        _end_entity: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _message: &[u8],
        _cert: &CertificateDer<'_>,
        _dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn verify_tls13_signature(
        &self,
        _message: &[u8],
        _cert: &CertificateDer<'_>,
        _dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}
