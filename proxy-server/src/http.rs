//! Connections of HTTP: of gRPC, of other requests, or of both.

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::sync::Arc;

use http_server::{Endpoint, Version, Watched};
use hyper::body::Incoming;
use hyper::{Request, Response};
use remoting::Settings;
use route_cache::Upstream;

use crate::config::{ClientLimits, host_name};
use crate::metrics::WorkerMetrics;
use crate::protocol::Protocols;

/// A worker's servers of what HTTP carries.
#[derive(Debug)]
pub(crate) struct HttpServers {
    upstream: Rc<Upstream>,
    metrics: Arc<http_server::Metrics>,
    settings: RefCell<http_server::Settings>,
    grpc: Rc<grpc::Server>,
    api: Rc<http_api::Server>,
}

/// A connection of HTTP.
#[derive(Debug)]
pub(crate) struct HttpClient {
    pub(crate) over: Rc<http_server::Connection>,
    /// None where the listener does not take gRPC.
    grpc: Option<Rc<grpc::Connection>>,
    /// None where the listener takes nothing else.
    api: Option<Rc<http_api::Connection>>,
    /// Whether a call of gRPC has arrived.
    has_called: Cell<bool>,
}

/// The settings of connections, which follow from those of all clients.
fn of_connections(settings: &Settings, limits: &ClientLimits) -> http_server::Settings {
    http_server::Settings {
        policy: settings.policy.clone(),
        frame_time: limits.frame_time,
    }
}

fn of_grpc(settings: &Settings) -> grpc::Settings {
    grpc::Settings {
        slow_threshold: settings.slow_threshold,
        ..grpc::Settings::default()
    }
}

fn of_api(settings: &Settings, limits: &ClientLimits) -> http_api::Settings {
    http_api::Settings {
        cors: limits.cors.clone(),
        slow_threshold: settings.slow_threshold,
        ..http_api::Settings::default()
    }
}

impl HttpServers {
    pub(crate) fn new(
        upstream: Rc<Upstream>,
        settings: &Settings,
        limits: &ClientLimits,
        metrics: &WorkerMetrics,
    ) -> Self {
        let configs = Rc::default();
        let of_calls = metrics.grpc.clone();
        let api = http_api::Server::new(
            &upstream,
            &settings.policy,
            &host_name(),
            Rc::clone(&configs),
            of_api(settings, limits),
            metrics.api.clone(),
        );
        Self {
            upstream,
            metrics: metrics.http.clone(),
            settings: RefCell::new(of_connections(settings, limits)),
            grpc: grpc::Server::new(configs, of_grpc(settings), of_calls),
            api,
        }
    }

    /// Brokers learn that the members of the worker leave, because it drains.
    pub(crate) fn leave(&self) {
        self.api.leave();
    }

    /// Connections that are made from now on have these settings.
    pub(crate) fn configure(&self, settings: &Settings, limits: &ClientLimits) {
        *self.settings.borrow_mut() = of_connections(settings, limits);
        self.grpc.configure(of_grpc(settings));
        self.api.configure(of_api(settings, limits));
    }

    /// A connection that has just been made.
    pub(crate) fn open(
        &self,
        version: Version,
        protocols: Protocols,
        endpoint: Endpoint,
    ) -> Rc<HttpClient> {
        let (upstream, metrics) = (self.upstream.clone(), self.metrics.clone());
        let settings = self.settings.borrow();
        let over = http_server::Connection::new(upstream, &settings, metrics, version, endpoint);
        let has_grpc = protocols.grpc && version == Version::Http2;
        let grpc = has_grpc.then(|| grpc::Connection::new(self.grpc.clone(), over.clone()));
        let api = protocols.http;
        let api = api.then(|| http_api::Connection::new(self.api.clone(), over.clone()));
        Rc::new(HttpClient {
            over,
            grpc,
            api,
            has_called: Cell::new(false),
        })
    }
}

impl HttpClient {
    /// Answers a request, as its protocol does.
    pub(crate) async fn answer(self: Rc<Self>, request: Request<Incoming>) -> Response<Watched> {
        match (&self.grpc, &self.api) {
            (Some(grpc), Some(api)) => match grpc::is_call(request.headers()) {
                true => {
                    self.has_called.set(true);
                    grpc::answer(grpc.clone(), request).await
                }
                false => http_api::answer(api.clone(), request).await,
            },
            // It refuses in gRPC's terms what is no call.
            (Some(grpc), None) => grpc::answer(grpc.clone(), request).await,
            (None, Some(_)) if grpc::is_call(request.headers()) => grpc::refuse(&self.over),
            (None, Some(api)) => http_api::answer(api.clone(), request).await,
            (None, None) => grpc::refuse(&self.over),
        }
    }

    /// Ends the connection.
    pub(crate) fn close(&self) {
        match &self.grpc {
            Some(grpc) => grpc.close(),
            None => self.over.close(),
        }
    }

    /// Asks the client to leave once its requests are answered.
    pub(crate) fn leave(&self) {
        match &self.grpc {
            Some(grpc) => grpc.leave(),
            None => self.over.leave(),
        }
    }

    /// The clients of gRPC that are present: the connection may carry several.
    pub(crate) fn present(&self) -> Vec<Rc<grpc::Present>> {
        self.grpc
            .as_ref()
            .map_or_else(Vec::new, |grpc| grpc.present())
    }

    /// What it carries, as metrics name it: of both, gRPC.
    pub(crate) fn protocol(&self) -> &'static str {
        let is_grpc = self.has_called.get() || self.api.is_none();
        if is_grpc { "grpc" } else { "http" }
    }
}
