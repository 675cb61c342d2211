//! Flags and environment variables.

use std::path::PathBuf;

use clap::Parser;
use route_cache::Secret;

/// A stateless proxy for Apache RocketMQ's remoting protocol.
///
/// A client uses the proxy's address as its name server address, and nothing else changes. Every flag
/// is also an environment variable and a key of the configuration file; a flag wins over a variable,
/// a variable over the file.
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

    /// Where clients connect [default: 0.0.0.0:8080].
    #[arg(long, env = "REMORA_LISTEN", value_name = "IP:PORT")]
    pub listen: Option<String>,

    /// What clients are told to be the address of every broker; without it, the address that they
    /// connected to. Behind a Service or load balancer it must be set, the same in all replicas.
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

    /// Which clients are told of brokers' own ports: auto (those that do not name the broker), always
    /// or never [default: auto].
    #[arg(long, env = "REMORA_BROKER_ADDRESSES", value_name = "WHICH")]
    pub broker_addresses: Option<String>,

    /// Relay codes that administer: true or false [default: false].
    #[arg(long, env = "REMORA_ADMIN_RELAY", value_name = "BOOL")]
    pub admin_relay: Option<String>,

    /// Where /livez, /readyz, /metrics, /config and /log are served; nowhere unless set.
    #[arg(long, env = "REMORA_ADMIN", value_name = "IP:PORT")]
    pub admin: Option<String>,

    /// The configuration file.
    #[arg(long, env = "REMORA_CONFIG", value_name = "FILE")]
    pub config: Option<PathBuf>,

    /// Threads that serve clients [default: one per core].
    #[arg(long, env = "REMORA_WORKERS", value_name = "N")]
    pub workers: Option<String>,

    /// What is logged, as directives of tracing-subscriber [default: info].
    #[arg(long, env = "REMORA_LOG", value_name = "FILTER")]
    pub log: Option<String>,

    /// How it is written: auto (human on a terminal, else json), human or json [default: auto].
    #[arg(long, env = "REMORA_LOG_FORMAT", value_name = "FORMAT")]
    pub log_format: Option<String>,

    /// Ask that URL of an admin listener, as http://127.0.0.1:9100/readyz: exit with 0 if the answer is 200, else with 1.
    #[arg(long, value_name = "URL")]
    pub health: Option<String>,
    /// REMORA_ACCESS_KEY; no flag, for it belongs to the next.
    #[arg(skip)]
    pub access_key: Option<String>,

    /// REMORA_SECRET_KEY; no flag, for whoever may list processes sees what these were started with.
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
    /// Takes in the variables that are no flags, as `variable` tells them. One that is empty is not set.
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
