//! Flags and environment variables.

use std::path::PathBuf;

use clap::Parser;
use route_cache::Secret;

/// A stateless proxy for Apache RocketMQ, for the remoting protocol, gRPC and HTTP.
///
/// Clients use the proxy's address as their name server address or endpoint; nothing else changes.
/// Every flag is also an environment variable and a key of the configuration file; a flag wins over
/// a variable, a variable over the file.
#[derive(Clone, Debug, Default, Parser)]
#[command(name = "remora", version)]
pub struct Args {
    /// Name servers: host:port, several separated by semicolons.
    #[arg(
        short = 'n',
        long,
        env = "REMORA_NAME_SERVER",
        value_name = "HOST:PORT[;HOST:PORT…]"
    )]
    pub name_server: Option<String>,

    /// The address to listen at for clients [default: 0.0.0.0:8080].
    #[arg(long, env = "REMORA_LISTEN", value_name = "IP:PORT")]
    pub listen: Option<String>,

    /// The address that clients get for every broker; unless set, the address that the client
    /// connected to. Must be set behind a Service or load balancer, to the same value in all
    /// replicas.
    #[arg(long, env = "REMORA_ADVERTISE", value_name = "HOST:PORT")]
    pub advertise: Option<String>,

    /// A port of its own for one broker, for clients that do not name the broker in their requests:
    /// broker-a=0.0.0.0:10910. May be given several times.
    #[arg(
        long,
        env = "REMORA_BROKER_LISTEN",
        value_delimiter = ',',
        value_name = "BROKER=IP:PORT"
    )]
    pub broker_listen: Vec<String>,

    /// The clients that get the addresses of brokers' own ports: auto (those that do not name the
    /// broker), always (all) or never (none) [default: auto].
    #[arg(long, env = "REMORA_BROKER_ADDRESSES", value_name = "WHICH")]
    pub broker_addresses: Option<String>,

    /// Relay administrative requests: true or false [default: false].
    #[arg(long, env = "REMORA_ADMIN_RELAY", value_name = "BOOL")]
    pub admin_relay: Option<String>,

    /// The address of the admin listener: /livez, /readyz, /metrics, /config and /log. No admin
    /// listener unless set.
    #[arg(long, env = "REMORA_ADMIN", value_name = "IP:PORT")]
    pub admin: Option<String>,

    /// The configuration file.
    #[arg(long, env = "REMORA_CONFIG", value_name = "FILE")]
    pub config: Option<PathBuf>,

    /// Threads that serve clients [default: one per core].
    #[arg(long, env = "REMORA_WORKERS", value_name = "N")]
    pub workers: Option<String>,

    /// The filter of the log, as directives of tracing-subscriber [default: info].
    #[arg(long, env = "REMORA_LOG", value_name = "FILTER")]
    pub log: Option<String>,

    /// The format of the log: auto (human on a terminal, else json), human or json [default: auto].
    #[arg(long, env = "REMORA_LOG_FORMAT", value_name = "FORMAT")]
    pub log_format: Option<String>,

    /// Request that URL of an admin listener, such as http://127.0.0.1:9100/readyz, and exit: with
    /// 0 if the answer is 200, else with 1.
    #[arg(long, value_name = "URL")]
    pub health: Option<String>,
    /// REMORA_ACCESS_KEY; no flag, because it belongs to the secret key.
    #[arg(skip)]
    pub access_key: Option<String>,

    /// REMORA_SECRET_KEY; no flag, because other users of the host can list the flags of a process.
    #[arg(skip)]
    pub secret_key: Option<Secret>,

    /// Print a configuration file that has every key, and exit.
    #[arg(long)]
    pub example_config: bool,

    /// Validate the configuration and exit.
    #[arg(long)]
    pub check_config: bool,
}

impl Args {
    /// Adds the values of the variables that have no flag; `variable` returns them by name. An
    /// empty one counts as not set.
    #[must_use]
    pub fn with_keys(self, variable: impl Fn(&str) -> Option<String>) -> Self {
        let set = |name| variable(name).filter(|value| !value.is_empty());
        Self {
            access_key: set("REMORA_ACCESS_KEY"),
            secret_key: set("REMORA_SECRET_KEY").map(Secret::new),
            ..self
        }
    }
}
