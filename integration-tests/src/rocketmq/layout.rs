//! What a cluster is made of.

use std::{fmt::Write as _, fs, path::Path};

use anyhow::Result;

/// A user of a secured cluster.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Key {
    /// Whose key it is.
    pub access: &'static str,
    /// The key.
    pub secret: &'static str,
}

impl Key {
    /// The options of a steered client that signs with it.
    #[must_use]
    pub fn options(&self) -> [String; 2] {
        let Self { access, secret } = self;
        [
            format!("access-key={access}"),
            format!("secret-key={secret}"),
        ]
    }
}

/// The user of a secured cluster that may do everything.
pub const ROOT: Key = Key {
    access: "root",
    secret: "root-secret",
};

/// Queues per broker of the topics that tests make, where they ask for no other number.
pub const QUEUES_PER_BROKER: usize = 4;

/// Servers would spend seconds of their start on a certificate that is not used.
const NO_TLS: &str = "-Dtls.server.mode=disabled";

/// By default they speak TLS as well as plain text, with a certificate that they have made and
/// signed themselves. That takes a class of the Java runtime that is not for everybody.
const TLS: &str = "--add-exports=java.base/sun.security.x509=ALL-UNNAMED";

/// The servers of a cluster beside their names.
#[derive(Clone, Copy, Debug, Default)]
pub struct Layout {
    /// Whether they accept TLS.
    pub speaks_tls: bool,
    /// Which of them have a slave, to which everything is copied before it is acknowledged.
    pub with_slave: &'static [&'static str],
    /// Whether something stands before each server that can break the connections to it.
    pub with_fronts: bool,
    /// Whether brokers listen on loopback only. Their replication port has no such setting: it
    /// listens on all addresses (`DefaultHAService.AcceptSocketService`).
    pub loopback_only: bool,
    /// Whether brokers serve metrics for Prometheus.
    pub tells_figures: bool,
    /// Whether they demand a signature for everything, and look at what a user may do; [`ROOT`] may
    /// do everything.
    pub secured: bool,
    /// Further lines of a broker's configuration.
    pub further: &'static str,
}

impl Layout {
    /// Flags of a server's virtual machine.
    pub(super) fn machine_flags(self) -> [&'static str; 1] {
        [if self.speaks_tls { TLS } else { NO_TLS }]
    }

    /// Further lines of a master's configuration. Of what stands there twice, the last counts.
    pub(super) fn master_settings(&self, name: &str) -> String {
        let mut lines = self.further.to_owned();
        if self.loopback_only {
            lines.push_str("bindAddress=127.0.0.1\n");
        }
        if self.secured {
            lines.push_str(&secured());
        }
        if self.with_slave.contains(&name) {
            // Of replicas that must have a message, the master itself is one: with 1, which is the
            // default, it waits for none.
            lines.push_str("brokerRole=SYNC_MASTER\ninSyncReplicas=2\nslaveReadEnable=true\n");
        }
        lines
    }

    /// The user with whose key the administrator creates topics.
    pub(super) fn root(&self) -> Option<Key> {
        self.secured.then_some(ROOT)
    }
}

/// Lines of a broker's configuration that make it serve its metrics at that port.
pub(super) fn figures_at(port: u16) -> String {
    format!(
        "metricsExporterType=PROM\nmetricsPromExporterHost=127.0.0.1\nmetricsPromExporterPort={port}\n"
    )
}

/// Further lines of a slave's configuration. By default, clients cannot read from a slave.
pub(super) const SLAVE_SETTINGS: &str = "brokerId=1\nbrokerRole=SLAVE\nslaveReadEnable=true\n";

/// Authentication and authorization of RocketMQ 5 (RIP-67, RIP-68), stateless: each request is
/// judged by itself.
fn secured() -> String {
    const AUTHENTICATION: &str = "org.apache.rocketmq.auth.authentication";
    const AUTHORIZATION: &str = "org.apache.rocketmq.auth.authorization";
    let Key { access, secret } = ROOT;
    let mut lines = String::new();
    for (key, value) in [
        ("authenticationEnabled", "true".to_owned()),
        (
            "authenticationProvider",
            format!("{AUTHENTICATION}.provider.DefaultAuthenticationProvider"),
        ),
        (
            "authenticationMetadataProvider",
            format!("{AUTHENTICATION}.provider.LocalAuthenticationMetadataProvider"),
        ),
        (
            "authenticationStrategy",
            format!("{AUTHENTICATION}.strategy.StatelessAuthenticationStrategy"),
        ),
        (
            "initAuthenticationUser",
            format!(r#"{{"username":"{access}","password":"{secret}"}}"#),
        ),
        (
            "innerClientAuthenticationCredentials",
            format!(r#"{{"accessKey":"{access}","secretKey":"{secret}"}}"#),
        ),
        ("authorizationEnabled", "true".to_owned()),
        (
            "authorizationProvider",
            format!("{AUTHORIZATION}.provider.DefaultAuthorizationProvider"),
        ),
        (
            "authorizationMetadataProvider",
            format!("{AUTHORIZATION}.provider.LocalAuthorizationMetadataProvider"),
        ),
        (
            "authorizationStrategy",
            format!("{AUTHORIZATION}.strategy.StatelessAuthorizationStrategy"),
        ),
    ] {
        let _ = writeln!(lines, "{key}={value}");
    }
    lines
}

/// Has `mqadmin` sign with a key, if it is started with this folder as its home.
///
/// # Errors
/// When the file cannot be written.
pub fn tools_file(home: &Path, key: Key) -> Result<()> {
    let dir = home.join("conf");
    fs::create_dir_all(&dir)?;
    let Key { access, secret } = key;
    let text = format!("accessKey: {access}\nsecretKey: {secret}\n");
    Ok(fs::write(dir.join("tools.yml"), text)?)
}
