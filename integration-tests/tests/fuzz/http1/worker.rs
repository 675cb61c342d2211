//! A worker's server, and clients' connections to it.

use std::cell::RefCell;
use std::net::Ipv4Addr;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use http::{Method, Uri};
use http_api::metrics::HttpMetrics;
use http_api::{Connection, Server, Settings};
use http_server::{Endpoint, Version};
use messaging::metrics::{Labels, TopicMetrics};
use route_cache::{BrokerTable, RouteCache, RouteConfig, Upstream, UpstreamConfig, name_servers};
use tokio::io::{DuplexStream, duplex};
use tokio::task::{JoinHandle, spawn_local};
use tokio::time::sleep;

/// How long name servers are silent, before they are unreachable.
const SILENT_TIME: Duration = Duration::from_secs(5);

/// A worker's server, without a broker or a name server behind it.
pub(super) struct Worker {
    pub(super) upstream: Rc<Upstream>,
    server: Rc<Server>,
}

/// The requests that a connection has served, in their order.
pub(super) type Served = Rc<RefCell<Vec<(Method, Uri)>>>;

/// A connection, and the task that serves it, which returns whether it has ended well.
pub(super) struct Serving {
    pub(super) connection: Rc<Connection>,
    pub(super) served: Served,
    pub(super) task: JoinHandle<bool>,
    pub(super) client: DuplexStream,
}

impl Worker {
    pub(super) fn start(is_silent: bool) -> Self {
        let (asked, client) = name_servers(Vec::new(), UpstreamConfig::default());
        if is_silent {
            // Questions wait for it, and it does not run.
            spawn_local(async move {
                sleep(SILENT_TIME).await;
                drop(client);
            });
        }
        let table = Arc::new(BrokerTable::new(asked.clone()));
        let routes = RouteCache::new(RouteConfig::default(), table.clone(), asked);
        let config = UpstreamConfig::default();
        let upstream = Upstream::new(Rc::default(), config, table, routes, Arc::default());
        let (topics, groups) = (Labels::of_topics(&[]), Labels::of_groups(&[]));
        let metrics = HttpMetrics::new(TopicMetrics::new(topics.into(), groups.into()).into());
        let policy = Arc::default();
        let settings = Settings::default();
        let metrics = metrics.into();
        let server = Server::new(&upstream, &policy, "h", Rc::default(), settings, metrics);
        Self { upstream, server }
    }

    pub(super) fn connect(&self, capacity: usize) -> Serving {
        let endpoint = Endpoint {
            peer: (Ipv4Addr::LOCALHOST, 40_000).into(),
            advertised: "127.0.0.1:8080".into(),
            meter: Arc::default(),
        };
        let over = http_server::Connection::new(
            self.upstream.clone(),
            &http_server::Settings::default(),
            Arc::default(),
            Version::Http1,
            endpoint,
        );
        let connection = Connection::new(self.server.clone(), over.clone());
        let (near, client) = duplex(capacity);
        let served = Served::default();
        let task = spawn_local({
            let (connection, served) = (connection.clone(), served.clone());
            async move {
                let answering = connection.clone();
                let answer = move |request: http::Request<_>| {
                    let asked = (request.method().clone(), request.uri().clone());
                    served.borrow_mut().push(asked);
                    http_api::answer(answering.clone(), request)
                };
                let ended = http_server::serve(&over, near, answer).await;
                connection.close();
                ended.is_ok()
            }
        });
        Serving {
            connection,
            served,
            task,
            client,
        }
    }
}
