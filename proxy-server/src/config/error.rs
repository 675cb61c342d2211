//! Errors of the configuration.

use std::borrow::Cow;

use thiserror::Error;

/// What is wrong with the configuration: which key, what it was given and what is allowed.
#[derive(Debug, Error)]
pub enum ConfigError {
    /// The file cannot be read or is no such file.
    #[error("{0}")]
    File(String),
    /// A key that must be set is not.
    #[error("{key} is not set: {allowed}")]
    Missing {
        /// The key, with its table: `tls.mode`.
        key: &'static str,
        /// The remedy: how to set it.
        allowed: Cow<'static, str>,
    },
    /// A key's value is none that it may have.
    #[error("{key}: {given:?} is not {allowed}")]
    Value {
        /// The key, with its table: `limits.connections`.
        key: String,
        /// The value that it was given.
        given: String,
        /// The values that it may have, in words.
        allowed: String,
    },
    /// A changed key is not possible together with another that needs a restart.
    #[error("{0}; another key waits for a restart: restart to apply both")]
    NeedsRestart(String),
}

impl ConfigError {
    pub(super) fn value(key: &str, given: impl ToString, allowed: &str) -> Self {
        Self::Value {
            key: key.to_owned(),
            given: given.to_string(),
            allowed: allowed.to_owned(),
        }
    }
}
