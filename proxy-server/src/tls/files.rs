//! What is read from files, and read again when they change.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use tokio_rustls::rustls::RootCertStore;
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio_rustls::rustls::sign::CertifiedKey;

use super::{TlsError, provider, validity};
use crate::config::CertificateConfig;

/// A value and the files that it was read from. A scan compares the targets of links, not the links,
/// so that a folder that Kubernetes swaps is noticed like any other change.
#[derive(Debug)]
pub(super) struct Watched<T> {
    files: Vec<PathBuf>,
    read: fn(&[PathBuf]) -> Result<T, TlsError>,
    value: T,
    /// The files when they were read last, well or badly.
    tried: Stamp,
    /// The files at the last scan.
    seen: Stamp,
}

/// What tells one state of some files from another; nothing for one that is not there.
type Stamp = Vec<Option<[i64; 7]>>;

impl<T: Checked> Watched<T> {
    pub(super) fn read(
        files: Vec<PathBuf>,
        read: fn(&[PathBuf]) -> Result<T, TlsError>,
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

    /// How it is called in what is said about it.
    pub(super) fn name(&self) -> String {
        self.files.first().map(display).unwrap_or_default()
    }

    /// Reads the files again if they have changed, and have not since the last scan: two files are seldom written at once.
    /// `None` when there is nothing new; what cannot be used changes nothing.
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

fn stamp(files: &[PathBuf]) -> Stamp {
    let stamp = |file: &PathBuf| {
        let found = fs::metadata(file).ok()?;
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

/// What may replace what is there.
pub(super) trait Checked {
    /// # Errors
    /// When what is there is better.
    fn check(&self) -> Result<(), TlsError>;
}

/// A certificate with its chain and key.
#[derive(Debug)]
pub(super) struct Pair {
    pub(super) key: Arc<CertifiedKey>,
    /// When the first certificate of the chain ends to be valid, in seconds since 1970.
    pub(super) not_after: i64,
    file: PathBuf,
}

impl Pair {
    pub(super) fn watch(config: &CertificateConfig) -> Result<Watched<Self>, TlsError> {
        let files = vec![config.certificate.clone(), config.key.clone()];
        Watched::read(files, |files| match files {
            [certificate, key] => Self::read(certificate, key),
            _ => Err(TlsError::new("", "a pair has two files")),
        })
    }

    fn read(certificate: &Path, key: &Path) -> Result<Self, TlsError> {
        let chain = certificates(certificate)?;
        let not_after = chain.iter().map(|one| validity::not_after(one));
        let not_after: Option<Vec<_>> = not_after.collect();
        let not_after = not_after.and_then(|all| all.into_iter().min());
        let not_after = not_after
            .ok_or_else(|| TlsError::new(display(certificate), "has what is no certificate"))?;
        // Nothing of a key's file is ever shown.
        let unread = |_| TlsError::new(display(key), "has no key in PEM that is not encrypted");
        let key = PrivateKeyDer::from_pem_slice(&read(key)?).map_err(unread)?;
        let key = CertifiedKey::from_der(chain, key, &provider())
            .map_err(|error| TlsError::new(display(certificate), error))?;
        Ok(Self {
            key: Arc::new(key),
            not_after,
            file: certificate.to_owned(),
        })
    }
}

impl Checked for Pair {
    fn check(&self) -> Result<(), TlsError> {
        if validity::is_over(self.not_after) {
            return Err(TlsError::new(display(&self.file), "has expired"));
        }
        Ok(())
    }
}

/// Whom a file says to trust.
#[derive(Debug)]
pub(super) struct Authorities {
    pub(super) roots: Arc<RootCertStore>,
    certificates: Vec<CertificateDer<'static>>,
}

impl Authorities {
    pub(super) fn watch(file: &Path) -> Result<Watched<Arc<Self>>, TlsError> {
        Watched::read(vec![file.to_owned()], |files| {
            let mut roots = RootCertStore::empty();
            let mut all = Vec::new();
            for file in files {
                for certificate in certificates(file)? {
                    let added = roots.add(certificate.clone());
                    added.map_err(|error| TlsError::new(display(file), error))?;
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
fn certificates(file: &Path) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let text = read(file)?;
    let all: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&text).collect();
    let all = all.map_err(|error| TlsError::new(display(file), error))?;
    if all.is_empty() {
        return Err(TlsError::new(display(file), "has no certificate in PEM"));
    }
    Ok(all)
}

fn read(file: &Path) -> Result<Vec<u8>, TlsError> {
    fs::read(file).map_err(|error| TlsError::new(display(file), error))
}

fn display(file: impl AsRef<Path>) -> String {
    file.as_ref().display().to_string()
}
