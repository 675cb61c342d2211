//! One call of a client: who makes it, until when it must be answered, and how it is answered.

use std::rc::Rc;
use std::time::Duration;

use http::HeaderMap;
use messaging::{Caller, Clocks, ConfigCache, Requests};
use tokio::time::Instant;

use super::connection::Connection;
use crate::convert::Names;
use crate::error::CallError;
use crate::metadata::Metadata;

/// A call, with the parts of its headers that all calls need.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Call<'a> {
    pub(crate) connection: &'a Rc<Connection>,
    pub(crate) metadata: Metadata<'a>,
    /// The names of topics and groups in the call's namespace.
    pub(crate) names: Names<'a>,
    /// The client's id, which the call must have.
    pub(crate) client_id: &'a str,
    /// When the client gives up, if it has said so.
    pub(crate) deadline: Option<Instant>,
}

impl<'a> Call<'a> {
    /// The call with these headers.
    ///
    /// # Errors
    /// If it has no client id, or a namespace that cannot be a part of names.
    pub(crate) fn read(
        connection: &'a Rc<Connection>,
        metadata: Metadata<'a>,
        begun: Instant,
    ) -> Result<Self, CallError> {
        Ok(Self {
            client_id: metadata.client_id()?,
            names: metadata.names()?,
            deadline: metadata.timeout.map(|timeout| begun + timeout),
            connection,
            metadata,
        })
    }

    /// The client as decisions about its requests see it.
    pub(crate) fn caller(&self) -> &'a Caller {
        self.connection.requests.caller()
    }

    /// The client's requests to brokers.
    pub(crate) fn requests(&self) -> &'a Rc<Requests> {
        &self.connection.requests
    }

    /// The configurations of topics and groups.
    pub(crate) fn configs(&self) -> &'a Rc<ConfigCache> {
        &self.connection.server.configs
    }

    /// The clocks of brokers.
    pub(crate) fn clocks(&self) -> &'a Clocks {
        self.configs().clocks()
    }

    /// The time until the client's deadline.
    pub(crate) fn remaining(&self) -> Option<Duration> {
        let deadline = self.deadline?;
        Some(deadline.saturating_duration_since(Instant::now()))
    }
}

/// The metadata in a call's headers.
pub(crate) fn metadata(headers: &HeaderMap) -> Metadata<'_> {
    let headers = headers.iter();
    Metadata::read(headers.map(|(name, value)| (name.as_str(), value.as_bytes())))
}
