//! Certificates, and the processes that add TLS to connections or remove it: the tests' own clients
//! and servers send plain text.

use std::{
    fs,
    net::{IpAddr, SocketAddr},
    path::{Path, PathBuf},
    sync::Arc,
};

use anyhow::{Context, Result};
use base64::prelude::{BASE64_STANDARD, Engine};
use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair, SanType};
use tokio::{
    io::{AsyncWriteExt, copy_bidirectional},
    net::{TcpListener, TcpStream},
};
use tokio_rustls::{
    TlsAcceptor, TlsConnector,
    client::TlsStream,
    rustls::{
        ClientConfig, RootCertStore, ServerConfig,
        pki_types::{CertificateDer, PrivateKeyDer, ServerName, pem::PemObject},
        server::WebPkiClientVerifier,
    },
};

/// An authority that signs certificates.
#[derive(Debug)]
pub struct Authority {
    issuer: Issuer<'static, KeyPair>,
    pem: String,
}

/// A certificate and its key, in PEM.
#[derive(Clone, Debug)]
pub struct Issued {
    /// The certificate.
    pub certificate: String,
    /// Its key.
    pub key: String,
}

impl Authority {
    /// Makes one.
    ///
    /// # Errors
    /// When there is no randomness.
    pub fn new() -> Result<Self> {
        let key = KeyPair::generate()?;
        let mut params = CertificateParams::new(Vec::new())?;
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        Ok(Self {
            pem: pem("CERTIFICATE", params.self_signed(&key)?.der()),
            issuer: Issuer::new(params, key),
        })
    }

    /// Signs a certificate for a name, and for this machine.
    ///
    /// # Errors
    /// When the name is none.
    pub fn issue(&self, name: &str) -> Result<Issued> {
        let key = KeyPair::generate()?;
        let mut params = CertificateParams::new([name.to_owned()])?;
        // With the authority's own name, some clients would take it for signed by itself.
        params.distinguished_name.push(DnType::CommonName, name);
        let this = IpAddr::from([127, 0, 0, 1]);
        params.subject_alt_names.push(SanType::IpAddress(this));
        let certificate = params.signed_by(&key, &self.issuer)?;
        Ok(Issued {
            certificate: pem("CERTIFICATE", certificate.der()),
            key: pem("PRIVATE KEY", &key.serialize_der()),
        })
    }

    /// Its own certificate, as a file in that folder.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn write(&self, folder: &Path) -> Result<PathBuf> {
        let file = folder.join("ca.crt");
        fs::write(&file, &self.pem)?;
        Ok(file)
    }

    fn roots(&self) -> Result<RootCertStore> {
        let mut roots = RootCertStore::empty();
        roots.add(CertificateDer::from_pem_slice(self.pem.as_bytes())?)?;
        Ok(roots)
    }

    /// A client that trusts this authority alone, and shows that certificate.
    ///
    /// # Errors
    /// When the certificate cannot be used.
    pub fn connector(&self, shown: Option<&Issued>) -> Result<TlsConnector> {
        let builder = ClientConfig::builder().with_root_certificates(self.roots()?);
        let config = match shown {
            Some(shown) => builder.with_client_auth_cert(vec![shown.der()?], shown.key()?)?,
            None => builder.with_no_client_auth(),
        };
        Ok(TlsConnector::from(Arc::new(config)))
    }

    /// A server that shows that certificate, and wants one of this authority from its clients if
    /// `asks`.
    ///
    /// # Errors
    /// When the certificate cannot be used.
    pub fn acceptor(&self, shown: &Issued, asks: bool) -> Result<TlsAcceptor> {
        let builder = ServerConfig::builder();
        let builder = if asks {
            let verifier = WebPkiClientVerifier::builder(Arc::new(self.roots()?));
            builder.with_client_cert_verifier(verifier.build()?)
        } else {
            builder.with_no_client_auth()
        };
        let config = builder.with_single_cert(vec![shown.der()?], shown.key()?)?;
        Ok(TlsAcceptor::from(Arc::new(config)))
    }
}

fn pem(what: &str, der: &[u8]) -> String {
    // Lines are short in files of this kind.
    let text = BASE64_STANDARD.encode(der);
    let lines: Vec<_> = text
        .as_bytes()
        .chunks(64)
        .map(String::from_utf8_lossy)
        .collect();
    let lines = lines.join("\n");
    format!("-----BEGIN {what}-----\n{lines}\n-----END {what}-----\n")
}

impl Issued {
    /// Both files in that folder, as `tls.crt` and `tls.key`.
    ///
    /// # Errors
    /// When they cannot be written.
    pub fn write(&self, folder: &Path) -> Result<(PathBuf, PathBuf)> {
        let (certificate, key) = (folder.join("tls.crt"), folder.join("tls.key"));
        fs::write(&certificate, &self.certificate)?;
        fs::write(&key, &self.key)?;
        Ok((certificate, key))
    }

    /// The certificate as it is shown.
    ///
    /// # Errors
    /// When it is none.
    pub fn der(&self) -> Result<CertificateDer<'static>> {
        Ok(CertificateDer::from_pem_slice(self.certificate.as_bytes())?)
    }

    fn key(&self) -> Result<PrivateKeyDer<'static>> {
        Ok(PrivateKeyDer::from_pem_slice(self.key.as_bytes())?)
    }
}

/// Connects by TLS, after `before` was sent in plain text.
///
/// # Errors
/// When either side refuses the other.
pub async fn connect(
    connector: &TlsConnector,
    address: SocketAddr,
    name: &str,
    before: &[u8],
) -> Result<TlsStream<TcpStream>> {
    let mut stream = TcpStream::connect(address).await?;
    stream.write_all(before).await?;
    let name = ServerName::try_from(name.to_owned())?;
    Ok(connector.connect(name, stream).await?)
}

/// The certificate that a server shows.
///
/// # Errors
/// When it shows none.
pub fn shown(stream: &TlsStream<TcpStream>) -> Result<CertificateDer<'static>> {
    let shown = stream.get_ref().1.peer_certificates();
    let first = shown.and_then(<[_]>::first);
    Ok(first.context("no certificate was shown")?.clone())
}

/// For as long as the runtime: takes plain connections and makes TLS of them, to that server, each
/// beginning with `before`.
///
/// # Errors
/// When there is no port.
pub async fn plain_to_tls(
    server: SocketAddr,
    connector: TlsConnector,
    name: &'static str,
    before: Vec<u8>,
) -> Result<SocketAddr> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let address = listener.local_addr()?;
    tokio::spawn(async move {
        while let Ok((mut plain, _)) = listener.accept().await {
            let (connector, before) = (connector.clone(), before.clone());
            tokio::spawn(async move {
                // A client that is refused finds the connection closed.
                if let Ok(mut secured) = connect(&connector, server, name, &before).await {
                    let _ = copy_bidirectional(&mut plain, &mut secured).await;
                }
            });
        }
    });
    Ok(address)
}

/// For as long as the runtime: takes TLS off before that server.
///
/// # Errors
/// When there is no port.
pub async fn tls_to_plain(server: SocketAddr, acceptor: TlsAcceptor) -> Result<SocketAddr> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let address = listener.local_addr()?;
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let acceptor = acceptor.clone();
            tokio::spawn(async move {
                let plain = TcpStream::connect(server).await;
                if let (Ok(mut secured), Ok(mut plain)) = (acceptor.accept(stream).await, plain) {
                    let _ = copy_bidirectional(&mut secured, &mut plain).await;
                }
            });
        }
    });
    Ok(address)
}
