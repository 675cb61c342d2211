use std::fs;
use std::io;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

use base64::prelude::{BASE64_STANDARD, Engine};
use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair, date_time_ymd};
use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use tokio_rustls::rustls::ClientConfig;
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::pki_types::{CertificateDer, ServerName};

use super::*;
use crate::config::{CertificateConfig, ClientAuth, TlsConfig, UpstreamTlsConfig, Verify};

struct Authority {
    issuer: Issuer<'static, KeyPair>,
    pem: String,
}

/// A certificate and its key, in PEM.
#[derive(Clone)]
struct Issued {
    certificate: String,
    key: String,
}

impl Authority {
    fn new() -> Self {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        Self {
            pem: pem("CERTIFICATE", params.self_signed(&key).unwrap().der()),
            issuer: Issuer::new(params, key),
        }
    }

    fn issue(&self, name: &str) -> Issued {
        self.issue_until(name, 2200)
    }

    fn issue_until(&self, name: &str, year: i32) -> Issued {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::new([name.to_owned()]).unwrap();
        params.not_after = date_time_ymd(year, 1, 1);
        let certificate = params.signed_by(&key, &self.issuer).unwrap();
        Issued {
            certificate: pem("CERTIFICATE", certificate.der()) + &self.pem,
            key: pem("PRIVATE KEY", &key.serialize_der()),
        }
    }

    fn file(&self, folder: &Path) -> PathBuf {
        let file = folder.join("ca.crt");
        fs::write(&file, &self.pem).unwrap();
        file
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

/// A folder as Kubernetes mounts a secret: files are links into a folder that is a link itself,
/// which is swapped.
struct Mounted {
    folder: TempDir,
    swaps: u32,
}

impl Mounted {
    fn new(issued: &Issued) -> Self {
        let mut mounted = Self {
            folder: TempDir::new().unwrap(),
            swaps: 0,
        };
        mounted.swap(issued);
        for name in ["tls.crt", "tls.key"] {
            symlink(Path::new("..data").join(name), mounted.path().join(name)).unwrap();
        }
        mounted
    }

    fn path(&self) -> &Path {
        self.folder.path()
    }

    fn swap(&mut self, issued: &Issued) {
        self.swaps += 1;
        let version = format!("..version-{}", self.swaps);
        let folder = self.path().join(&version);
        fs::create_dir(&folder).unwrap();
        fs::write(folder.join("tls.crt"), &issued.certificate).unwrap();
        fs::write(folder.join("tls.key"), &issued.key).unwrap();
        let next = self.path().join("..data_tmp");
        symlink(&version, &next).unwrap();
        fs::rename(&next, self.path().join("..data")).unwrap();
        if self.swaps > 1 {
            let old = format!("..version-{}", self.swaps - 1);
            fs::remove_dir_all(self.path().join(old)).unwrap();
        }
    }

    fn config(&self) -> CertificateConfig {
        CertificateConfig {
            certificate: self.path().join("tls.crt"),
            key: self.path().join("tls.key"),
        }
    }
}

fn required(certificates: Vec<CertificateConfig>, client_auth: ClientAuth) -> Tls {
    let config = TlsConfig {
        required: true,
        client_auth,
        certificates,
    };
    Tls {
        to_clients: Some(Arc::new(ServerTls::load(&config).unwrap())),
        ..Tls::default()
    }
}

fn upstream(verify: Verify, certificate: Option<CertificateConfig>) -> ToServers {
    let config = UpstreamTlsConfig {
        verify,
        certificate,
    };
    ToServers::load(&config).unwrap()
}

/// A client that takes every certificate, and shows one if it has one.
fn client(shown: Option<CertificateConfig>) -> Arc<ClientConfig> {
    upstream(Verify::None, shown).config()
}

/// Connects and has one byte echoed, for a refusal of TLS 1.3 is only read after the handshake.
async fn connect(
    tls: &Tls,
    client: &Arc<ClientConfig>,
    name: &str,
) -> io::Result<TlsStream<TcpStream>> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let stream = TcpStream::connect(listener.local_addr()?).await?;
    let (accepted, _) = listener.accept().await?;
    let server = tls.to_clients().unwrap();
    tokio::spawn(async move {
        let Ok(mut stream) = server.accept(accepted).await else {
            return;
        };
        let mut byte = [0];
        while stream.read_exact(&mut byte).await.is_ok() {
            stream.write_all(&byte).await.unwrap();
        }
    });
    let name = ServerName::try_from(name.to_owned()).unwrap();
    let mut stream = TlsConnector::from(client.clone())
        .connect(name, stream)
        .await?;
    echo(&mut stream).await?;
    Ok(stream)
}

async fn echo(stream: &mut TlsStream<TcpStream>) -> io::Result<()> {
    stream.write_all(b"x").await?;
    let mut byte = [0];
    stream.read_exact(&mut byte).await?;
    assert_eq!(&byte, b"x");
    Ok(())
}

fn shown(stream: &TlsStream<TcpStream>) -> CertificateDer<'static> {
    stream.get_ref().1.peer_certificates().unwrap()[0].clone()
}

fn der(issued: &Issued) -> CertificateDer<'static> {
    CertificateDer::from_pem_slice(issued.certificate.as_bytes()).unwrap()
}

/// As the watch does: what changes counts when it has come to rest.
fn scan_twice(tls: &Tls) {
    tls.scan();
    tls.scan();
}

#[tokio::test]
async fn the_name_that_is_asked_for_chooses_the_certificate() {
    let authority = Authority::new();
    let names = ["mq.example.com", "*.b.example.com", "c.example.com"];
    let issued = names.map(|name| authority.issue(name));
    let mounted: Vec<_> = issued.iter().map(Mounted::new).collect();
    let certificates = mounted.iter().map(Mounted::config).collect();
    let tls = required(certificates, ClientAuth::None);
    let client = client(None);
    for (name, expected) in [
        ("mq.example.com", 0),
        ("x.b.example.com", 1),
        ("C.EXAMPLE.com", 2),
        ("b.example.com", 0),
        ("other.example.com", 0),
        // No name is asked for then.
        ("127.0.0.1", 0),
    ] {
        let stream = connect(&tls, &client, name).await.unwrap();
        assert_eq!(shown(&stream), der(&issued[expected]), "{name}");
    }
}

#[tokio::test]
async fn a_swapped_folder_counts_from_then_on_and_drops_nobody() {
    let authority = Authority::new();
    let [first, second, third] = ["a", "a", "a"].map(|name| authority.issue(name));
    let mut mounted = Mounted::new(&first);
    let tls = required(vec![mounted.config()], ClientAuth::None);
    let client = client(None);
    let mut old = connect(&tls, &client, "a").await.unwrap();
    scan_twice(&tls);
    assert_eq!(shown(&old), der(&first));

    mounted.swap(&second);
    tls.scan();
    let meanwhile = connect(&tls, &client, "a").await.unwrap();
    assert_eq!(shown(&meanwhile), der(&first), "it has not come to rest");
    tls.scan();
    let mut new = connect(&tls, &client, "a").await.unwrap();
    assert_eq!(shown(&new), der(&second));

    // In place, one file after the other.
    let mounted = mounted.config();
    fs::write(&mounted.certificate, &third.certificate).unwrap();
    tls.scan();
    fs::write(&mounted.key, &third.key).unwrap();
    scan_twice(&tls);
    let newest = connect(&tls, &client, "a").await.unwrap();
    assert_eq!(shown(&newest), der(&third));
    assert_eq!(tls.reload_errors(), 0);
    echo(&mut old).await.unwrap();
    echo(&mut new).await.unwrap();
}

#[tokio::test]
async fn a_bad_pair_changes_nothing() {
    let authority = Authority::new();
    let good = authority.issue("a");
    let other = authority.issue("b");
    let mut mounted = Mounted::new(&good);
    let mut second = Mounted::new(&other);
    let tls = required(vec![mounted.config(), second.config()], ClientAuth::None);
    let client = client(None);
    let text = |certificate: &str, key: &str| Issued {
        certificate: certificate.to_owned(),
        key: key.to_owned(),
    };
    let bad = [
        text(&good.certificate, &other.key),
        text("", &good.key),
        text("nothing", &good.key),
        text(&good.certificate, ""),
        text(&good.key, &good.key),
        text(
            "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n",
            &good.key,
        ),
        authority.issue_until("a", 2020),
    ];
    for (errors, bad) in (1..).zip(&bad) {
        mounted.swap(bad);
        // It is logged once, however often it is scanned.
        (0..5).for_each(|_| tls.scan());
        assert_eq!(tls.reload_errors(), errors);
        let stream = connect(&tls, &client, "a").await.unwrap();
        assert_eq!(shown(&stream), der(&good));
    }
    // Others are read anew all the same.
    let newer = authority.issue("b");
    second.swap(&newer);
    scan_twice(&tls);
    let stream = connect(&tls, &client, "b").await.unwrap();
    assert_eq!(shown(&stream), der(&newer));
    let errors = tls.reload_errors();
    fs::remove_file(mounted.config().key).unwrap();
    scan_twice(&tls);
    assert_eq!(tls.reload_errors(), errors + 1);
    connect(&tls, &client, "a").await.unwrap();
}

#[test]
fn an_error_names_the_key_and_the_file() {
    let authority = Authority::new();
    let (good, other) = (authority.issue("a"), authority.issue("b"));
    let absent = Path::new("/absent").to_owned();
    let folder = TempDir::new().unwrap();
    let mismatched = CertificateConfig {
        certificate: folder.path().join("tls.crt"),
        key: folder.path().join("tls.key"),
    };
    fs::write(&mismatched.certificate, &good.certificate).unwrap();
    fs::write(&mismatched.key, &other.key).unwrap();
    let mounted = Mounted::new(&good).config();
    let no_certificate = CertificateConfig {
        certificate: absent.clone(),
        ..mismatched.clone()
    };
    let no_key = CertificateConfig {
        key: absent.clone(),
        ..mismatched.clone()
    };
    let load = |pair: &CertificateConfig, client_auth| {
        let config = TlsConfig {
            required: true,
            client_auth,
            certificates: vec![pair.clone()],
        };
        ServerTls::load(&config)
            .map(|_| ())
            .unwrap_err()
            .to_string()
    };
    let key_file = mismatched.key.display();
    for (pair, expected) in [
        (
            &no_certificate,
            "tls.certificate.certificate: /absent: No such file".to_owned(),
        ),
        (
            &no_key,
            "tls.certificate.key: /absent: No such file".to_owned(),
        ),
        (
            &mismatched,
            format!("tls.certificate.key: {key_file}: is not the key of the certificate in "),
        ),
    ] {
        let error = load(pair, ClientAuth::None);
        assert!(error.starts_with(&expected), "{error}");
    }
    let error = load(&mounted, ClientAuth::Required(absent.clone()));
    assert!(error.starts_with("tls.client_ca: /absent: "), "{error}");
    for (verify, pair, key) in [
        (Verify::Full(absent), None, "upstream_tls.ca"),
        (Verify::None, Some(no_key), "upstream_tls.key"),
    ] {
        let config = UpstreamTlsConfig {
            verify,
            certificate: pair,
        };
        let error = ToServers::load(&config)
            .map(|_| ())
            .unwrap_err()
            .to_string();
        assert!(error.starts_with(&format!("{key}: /absent: ")), "{error}");
    }
}

#[tokio::test]
async fn clients_show_certificates_where_they_are_asked_to() {
    let (ours, theirs) = (Authority::new(), Authority::new());
    let folder = TempDir::new().unwrap();
    let file = ours.file(folder.path());
    let mounted = Mounted::new(&ours.issue("a"));
    let known = Mounted::new(&ours.issue("client"));
    let stranger = Mounted::new(&theirs.issue("client"));
    let [known, stranger] =
        [known, stranger].map(|mounted| (client(Some(mounted.config())), mounted));
    let nobody = client(None);
    for (client_auth, welcome) in [
        (ClientAuth::None, [true, true, true]),
        (ClientAuth::Optional(file.clone()), [true, true, false]),
        (ClientAuth::Required(file.clone()), [false, true, false]),
    ] {
        let tls = required(vec![mounted.config()], client_auth);
        for (client, welcome) in [&nobody, &known.0, &stranger.0].into_iter().zip(welcome) {
            assert_eq!(connect(&tls, client, "a").await.is_ok(), welcome);
        }
        if welcome != [true; 3] {
            // Another authority from now on; whoever is there stays.
            let mut stays = connect(&tls, &known.0, "a").await.unwrap();
            theirs.file(folder.path());
            scan_twice(&tls);
            assert!(connect(&tls, &known.0, "a").await.is_err());
            assert!(connect(&tls, &stranger.0, "a").await.is_ok());
            echo(&mut stays).await.unwrap();
            ours.file(folder.path());
        }
    }
}

#[tokio::test]
async fn of_servers_is_checked_what_is_wanted() {
    let (ours, theirs) = (Authority::new(), Authority::new());
    let folder = TempDir::new().unwrap();
    let file = ours.file(folder.path());
    let full = upstream(Verify::Full(file.clone()), None).config();
    let ca = upstream(Verify::Ca(file), None).config();
    let none = upstream(Verify::None, None).config();
    for (authority, name, accepted) in [
        (&ours, "broker", [true, true, true]),
        (&ours, "other", [false, true, true]),
        (&theirs, "broker", [false, false, true]),
    ] {
        let mounted = Mounted::new(&authority.issue(name));
        let tls = required(vec![mounted.config()], ClientAuth::None);
        for (client, accepted) in [&full, &ca, &none].into_iter().zip(accepted) {
            let connected = connect(&tls, client, "broker").await;
            assert_eq!(connected.is_ok(), accepted, "{connected:?}");
        }
    }
}

#[tokio::test]
async fn a_certificate_that_has_signed_itself_is_trusted_where_it_is_listed() {
    // As `openssl req -x509` makes them: authorities by their own word.
    let own = |year| {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::new(["broker".to_owned()]).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.not_after = date_time_ymd(year, 1, 1);
        Issued {
            certificate: pem("CERTIFICATE", params.self_signed(&key).unwrap().der()),
            key: pem("PRIVATE KEY", &key.serialize_der()),
        }
    };
    let folder = TempDir::new().unwrap();
    let file = folder.path().join("ca.crt");
    let (listed, stranger, over) = (own(2200), own(2200), own(2020));
    fs::write(&file, listed.certificate.clone() + &over.certificate).unwrap();
    let full = upstream(Verify::Full(file.clone()), None).config();
    let ca = upstream(Verify::Ca(file), None).config();
    for (shown, host, accepted) in [
        (&listed, "broker", [true, true]),
        (&listed, "other", [false, true]),
        (&stranger, "broker", [false, false]),
        (&over, "broker", [false, false]),
    ] {
        let mounted = Mounted::new(shown);
        let tls = required(vec![mounted.config()], ClientAuth::None);
        for (client, accepted) in [&full, &ca].into_iter().zip(accepted) {
            let connected = connect(&tls, client, host).await;
            assert_eq!(connected.is_ok(), accepted, "{host}: {connected:?}");
        }
    }
}

#[tokio::test]
async fn what_servers_are_shown_is_read_anew() {
    let authority = Authority::new();
    let folder = TempDir::new().unwrap();
    let asks = ClientAuth::Required(authority.file(folder.path()));
    let mounted = Mounted::new(&authority.issue("broker"));
    let tls = required(vec![mounted.config()], asks);
    let mut shown = Mounted::new(&Authority::new().issue("remora"));
    let ours = Tls {
        to_servers: Some(upstream(Verify::None, Some(shown.config()))),
        ..Tls::default()
    };
    let config = || ours.to_servers.as_ref().unwrap().config();
    assert!(connect(&tls, &config(), "broker").await.is_err());
    shown.swap(&authority.issue("remora"));
    scan_twice(&ours);
    connect(&tls, &config(), "broker").await.unwrap();
}

#[test]
fn it_is_known_until_when_certificates_are_valid() {
    let authority = Authority::new();
    let mounted = Mounted::new(&authority.issue_until("a", 2031));
    let shown = Mounted::new(&authority.issue_until("b", 2032));
    let tls = Tls {
        to_servers: Some(upstream(Verify::None, Some(shown.config()))),
        ..required(vec![mounted.config()], ClientAuth::None)
    };
    let name = |of: &Mounted| of.config().certificate.display().to_string();
    assert_eq!(
        tls.expiries(),
        [
            (name(&mounted), 1_924_992_000),
            (name(&shown), 1_956_528_000)
        ]
    );
}

#[test]
fn a_file_that_cannot_be_used_is_named_and_no_key_is_shown() {
    let issued = Authority::new().issue("a");
    let mounted = Mounted::new(&issued);
    let config = mounted.config();
    fs::write(&config.key, issued.key.replace("-----END", "-----BROKEN")).unwrap();
    let error = ServerTls::load(&TlsConfig {
        required: true,
        client_auth: ClientAuth::None,
        certificates: vec![config.clone()],
    });
    let error = error.unwrap_err().to_string();
    let named = format!("tls.certificate.key: {}: ", config.key.display());
    assert!(error.starts_with(&named), "{error}");
    let secret = issued.key.lines().nth(1).unwrap();
    assert!(!error.contains(secret));
    let tls = required(vec![Mounted::new(&issued).config()], ClientAuth::None);
    assert!(!format!("{tls:?}").contains(secret));
}
