//! The SDKs.

use anyhow::{Context, Result};
use integration_tests::{go::Go, java::EndpointJava, node::Node, program::Program, python::Python};

/// What chooses a quick run: the strictest SDK, which also waits for `100 Continue`.
pub(crate) const QUICKLY: &str = "quick";

/// One SDK.
#[derive(Debug)]
pub(crate) struct Client {
    /// For names of tests, topics and groups.
    pub(crate) name: &'static str,
    /// For the table.
    pub(crate) title: &'static str,
    /// Makes its program ready to start.
    pub(crate) build: fn() -> Result<Box<dyn Program + Send>>,
}

static ALL: &[Client] = &[
    Client {
        name: "java",
        title: "Java 1.0.3.2",
        build: || Ok(Box::new(EndpointJava::build_http()?)),
    },
    Client {
        name: "python",
        title: "Python 1.0.3",
        build: || Ok(Box::new(Python::http()?)),
    },
    Client {
        name: "node",
        title: "Node 1.0.4",
        build: || Ok(Box::new(Node::build_http()?)),
    },
    Client {
        name: "go",
        title: "Go 1.0.3",
        build: || Ok(Box::new(Go::build_http()?)),
    },
];

/// SDKs by the value of `REMORA_IT_CLIENTS`: `quick`, `all`, or the names of some with commas
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
