//! TLS to clients.

use std::io;
use std::sync::Arc;

use parking_lot::{Mutex, RwLock};
use tokio::net::TcpStream;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::client::verify_server_name;
use tokio_rustls::rustls::pki_types::ServerName;
use tokio_rustls::rustls::server::{
    ClientHello, ParsedCertificate, ResolvesServerCert, WebPkiClientVerifier,
};
use tokio_rustls::rustls::sign::CertifiedKey;
use tokio_rustls::server::TlsStream;

use super::files::{Authorities, Pair, Watched};
use super::{Scan, TlsError, provider};
use crate::config::{ClientAuth, TlsConfig};

/// The key that names the authorities of clients' certificates.
const CLIENT_CA: &str = "tls.client_ca";

/// The certificates that clients are shown, and what is asked of theirs.
#[derive(Debug)]
pub(crate) struct ServerTls {
    required: bool,
    files: Mutex<Files>,
    current: RwLock<Arc<ServerConfig>>,
}

#[derive(Debug)]
struct Files {
    pairs: Vec<Watched<Pair>>,
    /// The authorities that sign clients' certificates, and whether clients must have one.
    authorities: Option<(Watched<Arc<Authorities>>, bool)>,
}

impl ServerTls {
    pub(super) fn load(config: &TlsConfig) -> Result<Self, TlsError> {
        let pairs = config.certificates.iter();
        let pairs = pairs.map(|pair| Pair::watch("tls.certificate", pair));
        let authorities = match &config.client_auth {
            ClientAuth::None => None,
            ClientAuth::Optional(file) => Some((Authorities::watch(CLIENT_CA, file)?, false)),
            ClientAuth::Required(file) => Some((Authorities::watch(CLIENT_CA, file)?, true)),
        };
        let files = Files {
            pairs: pairs.collect::<Result<_, _>>()?,
            authorities,
        };
        Ok(Self {
            required: config.required,
            current: RwLock::new(files.build()?),
            files: Mutex::new(files),
        })
    }

    /// Whether clients that do without are refused.
    pub(crate) fn is_required(&self) -> bool {
        self.required
    }

    /// Shakes hands with a client, with the certificates as they are now.
    pub(crate) async fn accept(&self, stream: TcpStream) -> io::Result<TlsStream<TcpStream>> {
        let config = self.current.read().clone();
        TlsAcceptor::from(config).accept(stream).await
    }

    /// Reads changed files again. Existing connections stay as they are.
    pub(super) fn scan(&self, scan: &mut Scan) {
        let mut files = self.files.lock();
        let mut changed = false;
        for pair in &mut files.pairs {
            changed |= scan.at(pair);
        }
        if let Some((authorities, _)) = &mut files.authorities {
            changed |= scan.at(authorities);
        }
        if changed {
            match files.build() {
                Ok(config) => *self.current.write() = config,
                Err(error) => scan.refuse(&error),
            }
        }
    }

    /// By certificate file, until when it is valid, in seconds since 1970.
    pub(super) fn expiries(&self) -> Vec<(String, i64)> {
        let files = self.files.lock();
        let pairs = files.pairs.iter();
        pairs.map(|p| (p.name(), p.value().not_after)).collect()
    }
}

impl Files {
    fn build(&self) -> Result<Arc<ServerConfig>, TlsError> {
        let builder = ServerConfig::builder_with_provider(provider())
            .with_safe_default_protocol_versions()
            .map_err(|error| TlsError::of_key("tls", error))?;
        let builder = match &self.authorities {
            None => builder.with_no_client_auth(),
            Some((authorities, required)) => {
                let roots = authorities.value().roots.clone();
                let verifier = WebPkiClientVerifier::builder_with_provider(roots, provider());
                let verifier = match required {
                    true => verifier,
                    false => verifier.allow_unauthenticated(),
                };
                let verifier = verifier.build();
                let place = format!("{CLIENT_CA}: {}", authorities.name());
                let unusable = |error| TlsError::of_key(&place, error);
                builder.with_client_cert_verifier(verifier.map_err(unusable)?)
            }
        };
        let keys = self.pairs.iter().map(|pair| pair.value().key.clone());
        let choice = ByName(keys.collect());
        let mut config = builder.with_cert_resolver(Arc::new(choice));
        // Clients of gRPC and HTTP ask for these; those of the remoting protocol ask for nothing.
        config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
        Ok(Arc::new(config))
    }
}

/// The first certificate that is for the name that a client asks for, or else the first.
#[derive(Debug)]
struct ByName(Vec<Arc<CertifiedKey>>);

impl ResolvesServerCert for ByName {
    fn resolve(&self, hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        let asked = hello.server_name().map(ServerName::try_from);
        let chosen = match asked {
            Some(Ok(name)) if self.0.len() > 1 => self.0.iter().find(|key| is_for(key, &name)),
            _ => None,
        };
        chosen.or(self.0.first()).cloned()
    }
}

fn is_for(key: &CertifiedKey, name: &ServerName<'_>) -> bool {
    let certificate = key.cert.first().map(ParsedCertificate::try_from);
    let Some(Ok(certificate)) = certificate else {
        return false;
    };
    verify_server_name(&certificate, name).is_ok()
}
