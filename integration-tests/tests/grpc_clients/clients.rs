//! The clients, and what each of them cannot do.

use anyhow::{Context, Result};
use integration_tests::{
    go::Go, java::EndpointJava, node::Node, program::Program, python::Python, rust::Rust,
};

use crate::ways::Kind;

/// What chooses a quick run: the first client.
pub(crate) const QUICKLY: &str = "quick";

/// One client of one version.
#[derive(Debug)]
pub(crate) struct Client {
    /// For names of tests, topics and groups.
    pub(crate) name: &'static str,
    /// For the table.
    pub(crate) title: &'static str,
    /// Makes its program ready to start.
    pub(crate) build: fn() -> Result<Box<dyn Program + Send>>,
    /// The features for which it has no methods, by how their names begin.
    lacks: &'static [&'static str],
    /// The features that fail by its own fault, on every way.
    flaws: &'static [(&'static str, Flaw)],
}

/// Why a feature fails: for a reason of the client, or of the Java proxy. The run proves it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Flaw {
    /// What the error says.
    pub(crate) error: &'static str,
    /// The reason, for the table.
    pub(crate) why: &'static str,
}

impl Client {
    pub(crate) fn lacks(&self, feature: &str) -> bool {
        self.lacks.iter().any(|begin| feature.starts_with(begin))
    }

    /// Why a feature fails on a way, if it is known to.
    pub(crate) fn flaw(&self, feature: &str, way: Kind) -> Option<Flaw> {
        let of_way = match way {
            Kind::JavaProxy => JAVA_PROXY_FLAWS,
            Kind::Remora | Kind::Replicas => &[],
        };
        let mut flaws = self.flaws.iter().chain(of_way);
        let (_, flaw) = flaws.find(|(of, _)| *of == feature)?;
        Some(*flaw)
    }
}

/// Where the Java proxy fails whatever the client.
const JAVA_PROXY_FLAWS: &[(&str, Flaw)] = &[(
    "namespaces",
    Flaw {
        error: "the client did not start",
        why: "it takes names as they are in every namespace",
    },
)];

/// Why a client fails with the largest bodies.
const LIMIT_OF_RECEIVED: &str = "it receives no more than 4 MiB at a time, properties included";

static ALL: &[Client] = &[
    Client {
        name: "java-5.2.0",
        title: "Java 5.2.0",
        build: || Ok(Box::new(EndpointJava::build_grpc("5.2.0")?)),
        lacks: &[],
        flaws: &[],
    },
    Client {
        name: "java-5.0.3",
        title: "Java 5.0.3",
        build: || Ok(Box::new(EndpointJava::build_grpc("5.0.3")?)),
        lacks: &["recall", "priority", "lite", "namespaces"],
        flaws: &[],
    },
    Client {
        name: "go-5.1.3",
        title: "Go 5.1.3",
        build: || Ok(Box::new(Go::build_grpc()?)),
        lacks: &["recall", "priority", "lite"],
        flaws: &[
            (
                "fifo_push_retry",
                Flaw {
                    error: "arrived as",
                    why: "it goes on with the next message of a batch before the retry",
                },
            ),
            // The limit is grpc-go's: the client never passes on its own, which is larger. It ends
            // the call after any error, and takes that for the deadline.
            (
                "send_largest",
                Flaw {
                    error: "CODE=DEADLINE_EXCEEDED",
                    why: LIMIT_OF_RECEIVED,
                },
            ),
        ],
    },
    Client {
        name: "python-5.1.2",
        title: "Python 5.1.2",
        build: || Ok(Box::new(Python::grpc()?)),
        lacks: &[],
        flaws: &[],
    },
    Client {
        name: "node-1.0.8",
        title: "Node 1.0.8",
        build: || Ok(Box::new(Node::build()?)),
        lacks: &[],
        flaws: &[
            (
                "fifo_push_retry",
                Flaw {
                    error: "in vain for every message to be retried",
                    why: "it does not know the group's policy and gives up at the first failure",
                },
            ),
            (
                "priority",
                Flaw {
                    error: "message type not match",
                    why: "it takes the priority 0 for none",
                },
            ),
            (
                "send_largest",
                Flaw {
                    error: "Received message larger than max",
                    why: LIMIT_OF_RECEIVED,
                },
            ),
        ],
    },
    Client {
        name: "rust-5.0.0",
        title: "Rust 5.0.0",
        build: || Ok(Box::new(Rust::build()?)),
        lacks: &[
            "fifo_push",
            "lite",
            // Its options have one that applications cannot set.
            "namespaces",
            "priority",
            "push",
            "recall",
            "simple_ack_after_change",
            "simple_change_invisible",
            // It has the option, and never gives its connections anything to encrypt with.
            "tls",
        ],
        flaws: &[(
            "send_largest",
            Flaw {
                error: "message length too large",
                why: LIMIT_OF_RECEIVED,
            },
        )],
    },
];

/// Clients by the value of `REMORA_IT_CLIENTS`: `quick`, `all`, or the names of some with commas
/// between.
pub(crate) fn chosen(value: &str) -> Result<Vec<&'static Client>> {
    match value {
        QUICKLY => Ok(ALL.iter().take(1).collect()),
        "all" => Ok(ALL.iter().collect()),
        some => some
            .split(',')
            .map(|wanted| {
                let known = ALL.iter().find(|client| client.name == wanted);
                known.with_context(|| {
                    let names: Vec<&str> = ALL.iter().map(|client| client.name).collect();
                    format!("REMORA_IT_CLIENTS has {wanted:?}; allowed: quick, all, {names:?}")
                })
            })
            .collect(),
    }
}
