//! What is read from files, and read again when they change.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio_rustls::rustls::sign::CertifiedKey;
use tokio_rustls::rustls::{Error, InconsistentKeys, RootCertStore};

use super::{TlsError, provider, validity};
use crate::config::CertificateConfig;

/// A file, and the key of the configuration that names it.
#[derive(Clone, Debug)]
pub(super) struct NamedFile {
    pub(super) key: String,
    path: PathBuf,
}

impl NamedFile {
    pub(super) fn new(key: impl Into<String>, path: &Path) -> Self {
        Self {
            key: key.into(),
            path: path.to_owned(),
        }
    }

    /// The path, as text.
    pub(super) fn name(&self) -> String {
        self.path.display().to_string()
    }
}

/// A value and the files that it was read from. A scan compares the targets of links, not the
/// links, so that a folder that Kubernetes swaps is noticed like any other change.
#[derive(Debug)]
pub(super) struct Watched<T> {
    files: Vec<NamedFile>,
    read: fn(&[NamedFile]) -> Result<T, TlsError>,
    value: T,
    /// The state of the files when they were read last, with or without success.
    tried: Stamp,
    /// The files at the last scan.
    seen: Stamp,
}

/// What tells one state of some files from another; nothing for one that is not there.
type Stamp = Vec<Option<[i64; 7]>>;

impl<T: Checked> Watched<T> {
    pub(super) fn read(
        files: Vec<NamedFile>,
        read: fn(&[NamedFile]) -> Result<T, TlsError>,
    ) -> Result<Self, TlsError> {
        // Taken before: what changes meanwhile is read again.
        let stamp = stamp(&files);
        let value = read(&files)?;
        Ok(Self {
            files,
            read,
            value,
            tried: stamp.clone(),
            seen: stamp,
        })
    }

    pub(super) fn value(&self) -> &T {
        &self.value
    }

    /// The path of the first of its files.
    pub(super) fn name(&self) -> String {
        self.files.first().map(NamedFile::name).unwrap_or_default()
    }

    /// Reads the files again if they have changed, and have not since the last scan: two files are
    /// seldom written at once. `None` when there is nothing new; what cannot be used changes
    /// nothing.
    pub(super) fn scan(&mut self) -> Option<Result<(), TlsError>> {
        let now = stamp(&self.files);
        let rests = now == self.seen;
        self.seen = now;
        if !rests || self.seen == self.tried {
            return None;
        }
        self.tried.clone_from(&self.seen);
        let read = (self.read)(&self.files).and_then(|new| new.check().map(|()| new));
        Some(read.map(|new| self.value = new))
    }
}

fn stamp(files: &[NamedFile]) -> Stamp {
    let stamp = |file: &NamedFile| {
        let found = fs::metadata(&file.path).ok()?;
        Some([
            found.dev().cast_signed(),
            found.ino().cast_signed(),
            found.len().cast_signed(),
            found.mtime(),
            found.mtime_nsec(),
            found.ctime(),
            found.ctime_nsec(),
        ])
    };
    files.iter().map(stamp).collect()
}

/// A value that is read from files, which may be worse than the one in use.
pub(super) trait Checked {
    /// # Errors
    /// When the value in use must stay, because this one has expired.
    fn check(&self) -> Result<(), TlsError>;
}

/// A certificate with its chain and key.
#[derive(Debug)]
pub(super) struct Pair {
    pub(super) key: Arc<CertifiedKey>,
    /// When the first certificate of the chain ends to be valid, in seconds since 1970.
    pub(super) not_after: i64,
    file: NamedFile,
}

impl Pair {
    /// The pair that the keys `certificate` and `key` of that table name.
    pub(super) fn watch(
        table: &str,
        config: &CertificateConfig,
    ) -> Result<Watched<Self>, TlsError> {
        let files = vec![
            NamedFile::new(format!("{table}.certificate"), &config.certificate),
            NamedFile::new(format!("{table}.key"), &config.key),
        ];
        Watched::read(files, |files| match files {
            [certificate, key] => Self::read(certificate, key),
            _ => Err(TlsError::of_key("", "a pair has two files")),
        })
    }

    fn read(certificate: &NamedFile, key: &NamedFile) -> Result<Self, TlsError> {
        let chain = certificates(certificate)?;
        let not_after = chain.iter().map(|one| validity::not_after(one));
        let not_after: Option<Vec<_>> = not_after.collect();
        let not_after = not_after.and_then(|all| all.into_iter().min());
        let not_after = not_after
            .ok_or_else(|| TlsError::new(certificate, "has an entry that is not a certificate"))?;
        // Nothing of a key's file is ever shown.
        let unread = |_| TlsError::new(key, "has no key in PEM that is not encrypted");
        let der = PrivateKeyDer::from_pem_slice(&read(key)?).map_err(unread)?;
        let signing = provider().key_provider.load_private_key(der);
        let signing = signing.map_err(|_| {
            TlsError::new(key, "has a key of a kind that is not supported: take RSA with 2048 bits or more, ECDSA P-256 or P-384, or Ed25519")
        })?;
        let pair = CertifiedKey::new(chain, signing);
        match pair.keys_match() {
            Ok(()) | Err(Error::InconsistentKeys(InconsistentKeys::Unknown)) => {}
            Err(Error::InconsistentKeys(_)) => {
                let other = format!(
                    "is not the key of the certificate in {} ({})",
                    certificate.name(),
                    certificate.key
                );
                return Err(TlsError::new(key, other));
            }
            Err(error) => return Err(TlsError::new(certificate, unusable(&error))),
        }
        Ok(Self {
            key: Arc::new(pair),
            not_after,
            file: certificate.clone(),
        })
    }
}

/// The error of a certificate that cannot be used, with the remedy for the most frequent one.
fn unusable(error: &Error) -> String {
    let text = error.to_string();
    match text.contains("UnsupportedCertVersion") {
        true => "is a certificate of X.509 version 1: make one of version 3 (openssl x509 -req with -extfile)".to_owned(),
        false => text,
    }
}

impl Checked for Pair {
    fn check(&self) -> Result<(), TlsError> {
        if validity::is_over(self.not_after) {
            return Err(TlsError::new(&self.file, "has expired"));
        }
        Ok(())
    }
}

/// The trusted authorities of a file.
#[derive(Debug)]
pub(super) struct Authorities {
    pub(super) roots: Arc<RootCertStore>,
    certificates: Vec<CertificateDer<'static>>,
}

impl Authorities {
    /// The authorities in the file that the key names.
    pub(super) fn watch(key: &str, file: &Path) -> Result<Watched<Arc<Self>>, TlsError> {
        Watched::read(vec![NamedFile::new(key, file)], |files| {
            let mut roots = RootCertStore::empty();
            let mut all = Vec::new();
            for file in files {
                for certificate in certificates(file)? {
                    let added = roots.add(certificate.clone());
                    added.map_err(|error| TlsError::new(file, unusable(&error)))?;
                    all.push(certificate);
                }
            }
            Ok(Arc::new(Self {
                roots: Arc::new(roots),
                certificates: all,
            }))
        })
    }

    /// Whether the file has the certificate itself, and that is still valid.
    pub(super) fn has(&self, certificate: &CertificateDer<'_>) -> bool {
        self.certificates.contains(certificate)
            && validity::not_after(certificate).is_some_and(|end| !validity::is_over(end))
    }
}

impl Checked for Arc<Authorities> {
    fn check(&self) -> Result<(), TlsError> {
        Ok(())
    }
}

/// The certificates of a file, in their order; at least one.
fn certificates(file: &NamedFile) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let text = read(file)?;
    let all: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&text).collect();
    let all = all.map_err(|error| TlsError::new(file, error))?;
    if all.is_empty() {
        return Err(TlsError::new(file, "has no certificate in PEM"));
    }
    Ok(all)
}

fn read(file: &NamedFile) -> Result<Vec<u8>, TlsError> {
    fs::read(&file.path).map_err(|error| TlsError::new(file, error))
}
