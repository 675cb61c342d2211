//! All metrics as text, for Prometheus.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use grpc::metrics::CANCELLED;
use messaging::metrics::{OTHER, SIZES};
use prometheus_client::collector::Collector;
use prometheus_client::encoding::DescriptorEncoder;
use prometheus_client::registry::Registry;
use remoting::ClientSummary;
use remoting::metrics::Limit;
use remoting_transport::metrics::{DURATIONS, Meter, Snapshot};
use route_cache::metrics::BrokerMetrics;

use super::identities::Identities;
use super::writer::{Family, LabelSet, Writer, add, join, older};
use super::{ProxyMetrics, process};

/// What workers and certificates report for one scrape.
#[derive(Debug)]
pub(crate) struct Report {
    /// Every client, with the number of its listener.
    pub(crate) clients: Vec<(usize, ClientSummary)>,
    /// When certificates expire, in seconds since 1970.
    pub(crate) certificates: Vec<(String, i64)>,
    /// Certificates that could not be read again.
    pub(crate) reload_errors: u64,
}

/// All that one scrape shows: the counters, and what workers report at that moment.
#[derive(Debug)]
pub(crate) struct Scrape {
    pub(crate) proxy: Arc<ProxyMetrics>,
    pub(crate) report: Report,
}

/// All metrics, in OpenMetrics text, or in Prometheus' own older format.
pub(crate) fn expose(scrape: Scrape, open_metrics: bool) -> Result<String, fmt::Error> {
    let labels = &scrape.proxy.labels;
    let common = [
        ("cluster", labels.cluster.clone()),
        ("node_type", "proxy".to_owned()),
        ("node_id", labels.node_id.clone()),
    ];
    let common = common.map(|(name, value)| (name.into(), value.into()));
    let mut registry = Registry::with_labels(common.into_iter());
    registry.register_collector(Box::new(scrape));
    let mut text = String::new();
    prometheus_client::encoding::text::encode(&mut text, &registry)?;
    Ok(if open_metrics { text } else { older(&text) })
}

impl Collector for Scrape {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let mut out = Writer(&mut encoder);
        self.state(&mut out)?;
        self.requests(&mut out)?;
        self.messages(&mut out)?;
        self.clients(&mut out)?;
        self.connections(&mut out)?;
        self.brokers(&mut out)?;
        self.routes(&mut out)?;
        process::expose(&mut out)
    }
}

/// The label of a count that each protocol has.
fn of_protocol(name: &str) -> LabelSet {
    vec![("protocol", name.to_owned())]
}

impl Scrape {
    fn state(&self, out: &mut Writer<'_, '_>) -> fmt::Result {
        // Of the Java proxy's modes (`ProxyMode`), the one that stands apart from brokers.
        let up = Family::from([(vec![("proxy_mode", "cluster".to_owned())], 1)]);
        out.gauges("rocketmq_proxy_up", "1: the proxy runs", &up)?;
        let version = env!("CARGO_PKG_VERSION").to_owned();
        let build = Family::from([(vec![("version", version)], 1)]);
        let help = "The version of Remora that runs, as a label; the value is 1";
        out.gauges("rocketmq_proxy_build_info", help, &build)?;
        let draining = self.proxy.draining.load(Ordering::Relaxed);
        let help = "1: the proxy is draining, and makes clients connect to another replica";
        out.gauge(
            "rocketmq_proxy_draining",
            help,
            f64::from(u8::from(draining)),
        )?;
        let certificates: Family<i64> = self
            .report
            .certificates
            .iter()
            .map(|(name, expiry)| (vec![("certificate", name.clone())], *expiry))
            .collect();
        let name = "rocketmq_proxy_certificate_expiry_timestamp_seconds";
        let help = "When a certificate expires, in seconds since 1970";
        out.gauges(name, help, &certificates)?;
        let name = "rocketmq_proxy_certificate_reload_errors";
        let help = "Certificates that have changed and could not be read; the old ones are used";
        out.counter(name, help, self.report.reload_errors as f64)
    }

    fn requests(&self, out: &mut Writer<'_, '_>) -> fmt::Result {
        let (mut ours, mut theirs) = (Family::new(), Family::new());
        let (mut slow, mut go_away) = (Family::new(), 0);
        let mut limits = Family::new();
        for worker in &self.proxy.workers {
            let requests = &worker.requests;
            let counts = [
                ("remoting", &requests.slow),
                ("grpc", &worker.grpc.slow),
                ("http", &worker.api.slow),
            ];
            for (protocol, count) in counts {
                add(&mut slow, of_protocol(protocol), count.get());
            }
            go_away += requests.go_away.get();
            let unread = worker.http.unread.get();
            add(
                &mut limits,
                vec![("limit", Limit::Frame.name().to_owned())],
                unread,
            );
            for (limit, count) in requests.limits() {
                add(&mut limits, vec![("limit", limit.to_owned())], count);
            }
            requests.visit_answered(|row, result, relayed, histogram| {
                let code = row.and_then(|row| row.code.name()).unwrap_or(OTHER);
                let snapshot = histogram.snapshot();
                let labels = vec![
                    ("protocol", "remoting".to_owned()),
                    ("code", code.to_owned()),
                    ("result", result.to_owned()),
                ];
                join(&mut ours, labels, &snapshot);
                let long = row.is_some_and(|row| row.code.is_long_poll());
                let success = relayed || result == "SUCCESS";
                let labels = vec![
                    ("protocol_type", "remoting".to_owned()),
                    ("request_code", code.to_lowercase()),
                    ("response_code", result.to_lowercase()),
                    ("is_long_polling", long.to_string()),
                    (
                        "result",
                        if success {
                            "success"
                        } else {
                            "process_request_failed"
                        }
                        .to_owned(),
                    ),
                ];
                join(&mut theirs, labels, &snapshot);
            });
        }
        self.calls(&mut ours, &mut theirs);
        self.operations(&mut ours, &mut theirs);
        let refused = self.proxy.refused_connections.load(Ordering::Relaxed);
        add(
            &mut limits,
            vec![("limit", "connections".to_owned())],
            refused,
        );
        for metrics in self.by_broker().values() {
            let refused = metrics.iter().map(|one| one.refused.get()).sum();
            add(
                &mut limits,
                vec![("limit", "broker_buffer_bytes".to_owned())],
                refused,
            );
        }
        let name = "rocketmq_proxy_request_duration_seconds";
        out.seconds(
            name,
            "Time from reading a request to its answer, by request code and response code; of gRPC, by call and status; of HTTP, by operation and class of statuses",
            &ours,
        )?;
        // The bounds that RocketMQ has.
        let known = |micros| {
            matches!(
                micros,
                1_000
                    | 3_000
                    | 5_000
                    | 7_000
                    | 10_000
                    | 100_000
                    | 1_000_000
                    | 2_000_000
                    | 3_000_000
            )
        };
        // Newer exporters of RocketMQ's put the unit into the name.
        for name in ["rocketmq_rpc_latency", "rocketmq_rpc_latency_milliseconds"] {
            let help = "Time from reading a request to its answer, in milliseconds, as RocketMQ exports it";
            out.histograms((name, help), DURATIONS, 1e3, known, &theirs)?;
        }
        let in_flight = self.proxy.workers.iter().map(|one| one.api.in_flight.get());
        let name = "rocketmq_proxy_http_in_flight";
        let help = "Requests of HTTP, except gRPC, that are not answered yet";
        out.gauge(name, help, in_flight.sum::<i64>() as f64)?;
        let help = "Requests that took longer than slow_log.threshold_ms";
        out.counters("rocketmq_proxy_slow_requests", help, &slow)?;
        let help = "Requests answered with GO_AWAY, so that clients connect to another replica";
        out.counter("rocketmq_proxy_go_away", help, go_away as f64)?;
        let help = "How often a limit was met, by its key in the configuration";
        out.counters("rocketmq_proxy_limit_hits", help, &limits)
    }

    /// The calls of gRPC clients.
    fn calls(&self, ours: &mut Family<Snapshot>, theirs: &mut Family<Snapshot>) {
        for worker in &self.proxy.workers {
            worker.grpc.visit(|rpc, end, histogram| {
                let snapshot = histogram.snapshot();
                let labels = vec![
                    ("protocol", "grpc".to_owned()),
                    ("code", rpc.to_owned()),
                    ("result", end.to_owned()),
                ];
                join(ours, labels, &snapshot);
                let waits = grpc::Rpc::ALL
                    .iter()
                    .any(|known| known.name() == rpc && known.waits());
                let result = match end {
                    "OK" | "MESSAGE_NOT_FOUND" => "success",
                    CANCELLED => CANCELLED,
                    _ => "process_request_failed",
                };
                let labels = vec![
                    ("protocol_type", "grpc".to_owned()),
                    ("request_code", rpc.to_lowercase()),
                    ("response_code", end.to_lowercase()),
                    ("is_long_polling", waits.to_string()),
                    ("result", result.to_owned()),
                ];
                join(theirs, labels, &snapshot);
            });
        }
    }

    /// The requests of HTTP that are none of gRPC.
    fn operations(&self, ours: &mut Family<Snapshot>, theirs: &mut Family<Snapshot>) {
        for worker in &self.proxy.workers {
            worker.api.visit(|operation, end, histogram| {
                let snapshot = histogram.snapshot();
                let labels = vec![
                    ("protocol", "http".to_owned()),
                    ("code", operation.name().to_owned()),
                    ("result", end.to_owned()),
                ];
                join(ours, labels, &snapshot);
                let result = match end {
                    "2xx" => "success",
                    CANCELLED => CANCELLED,
                    _ => "process_request_failed",
                };
                let labels = vec![
                    ("protocol_type", "http".to_owned()),
                    ("request_code", operation.name().to_lowercase()),
                    ("response_code", end.to_owned()),
                    ("is_long_polling", operation.waits().to_string()),
                    ("result", result.to_owned()),
                ];
                join(theirs, labels, &snapshot);
            });
        }
    }

    fn messages(&self, out: &mut Writer<'_, '_>) -> fmt::Result {
        let (mut sent, mut sent_bytes, mut sizes) = (Family::new(), Family::new(), Family::new());
        let (mut pulled, mut pulled_bytes) = (Family::new(), Family::new());
        for worker in &self.proxy.workers {
            worker
                .messages
                .visit_sent(|(topic, is_system), kind, flow, histogram| {
                    let labels = vec![
                        ("topic", topic.to_owned()),
                        ("message_type", kind.to_owned()),
                        ("is_system", is_system.to_string()),
                    ];
                    add(&mut sent, labels.clone(), flow.messages.get());
                    add(&mut sent_bytes, labels.clone(), flow.bytes.get());
                    join(&mut sizes, labels, &histogram.snapshot());
                });
            worker
                .messages
                .visit_pulled(|(topic, own_topic), (group, own_group), flow| {
                    let labels = vec![
                        ("topic", topic.to_owned()),
                        ("consumer_group", group.to_owned()),
                        ("is_system", (own_topic || own_group).to_string()),
                    ];
                    add(&mut pulled, labels.clone(), flow.messages.get());
                    add(&mut pulled_bytes, labels, flow.bytes.get());
                });
        }
        out.counters(
            "rocketmq_messages_in",
            "Messages that brokers have taken",
            &sent,
        )?;
        let help = "Bytes of the messages that brokers have taken";
        out.counters("rocketmq_throughput_in", help, &sent_bytes)?;
        out.counters(
            "rocketmq_messages_out",
            "Messages handed to consumers",
            &pulled,
        )?;
        let help = "Bytes of the messages handed to consumers";
        out.counters("rocketmq_throughput_out", help, &pulled_bytes)?;
        let about = (
            "rocketmq_message_size",
            "Sizes of messages that brokers have taken, in bytes",
        );
        out.histograms(about, SIZES, 1.0, |_| true, &sizes)?;
        let mut calls = Family::new();
        for grpc in self.proxy.workers.iter().map(|worker| &worker.grpc) {
            let counts = [
                ("sent", &grpc.sent),
                ("received", &grpc.received),
                ("given_back", &grpc.given_back),
            ];
            for (what, count) in counts {
                add(&mut calls, vec![("what", what.to_owned())], count.get());
            }
        }
        let help =
            "Messages of gRPC clients: sent, received, and given back because no client took them";
        out.counters("rocketmq_proxy_grpc_messages", help, &calls)?;
        let mut mixed = Family::new();
        for worker in &self.proxy.workers {
            let counts = [("grpc", &worker.grpc.mixed), ("http", &worker.api.mixed)];
            for (protocol, count) in counts {
                add(&mut mixed, of_protocol(protocol), count.get());
            }
        }
        let help = "Receives of gRPC and HTTP clients in groups that have consumers of the remoting protocol";
        out.counters("rocketmq_proxy_mixed_group_receives", help, &mixed)?;
        self.http(out)
    }

    /// Messages of HTTP, transactions that it is asked about, and replies.
    fn http(&self, out: &mut Writer<'_, '_>) -> fmt::Result {
        let (mut messages, mut checks, mut replies) = (Family::new(), Family::new(), Family::new());
        for api in self.proxy.workers.iter().map(|worker| &worker.api) {
            let of_messages = [
                ("sent", &api.sent),
                ("received", &api.received),
                ("given_back", &api.given_back),
            ];
            let of_checks = [
                ("arrived", &api.checks.arrived),
                ("handed_out", &api.checks.handed_out),
                ("dropped", &api.checks.dropped),
            ];
            let of_replies = [
                ("received", &api.replies.replies),
                ("late", &api.replies.late),
                ("missing", &api.replies.unanswered),
            ];
            for (family, counts) in [
                (&mut messages, of_messages),
                (&mut checks, of_checks),
                (&mut replies, of_replies),
            ] {
                for (what, count) in counts {
                    add(family, vec![("what", what.to_owned())], count.get());
                }
            }
        }
        let help = "Messages by HTTP: sent, received, and given back because no client took them";
        out.counters("rocketmq_proxy_http_messages", help, &messages)?;
        let help = "Transaction checks for clients that poll them by HTTP: arrived, handed out, \
                    and dropped because no client polled in time";
        out.counters("rocketmq_proxy_http_transaction_checks", help, &checks)?;
        let help = "Replies to requests by HTTP: received, late ones, which are dropped, and those \
                    that were missing when the wait ended";
        out.counters("rocketmq_proxy_http_replies", help, &replies)
    }

    fn clients(&self, out: &mut Writer<'_, '_>) -> fmt::Result {
        let listeners = self.proxy.listeners.iter();
        let mut connections: Family<i64> = listeners
            .map(|listener| (vec![("listener", listener.clone())], 0))
            .collect();
        let mut all = Family::new();
        let (mut producers, mut consumers) = (Family::new(), Family::new());
        let identities = Identities::of(&self.report.clients);
        for (listener, client) in &self.report.clients {
            if client.is_connection
                && let Some(name) = self.proxy.listeners.get(*listener)
            {
                add(&mut connections, vec![("listener", name.clone())], 1);
            }
            let Some(identity) = client.identity else {
                continue;
            };
            let (language, version) = identities.labels(identity);
            let who = vec![
                ("language", language.to_owned()),
                ("version", version.to_owned()),
            ];
            add(&mut all, who.clone(), 1);
            let mut member = who;
            member.push(("protocol_type", client.protocol.to_owned()));
            for (group, consume_type) in &client.groups {
                let (group, is_system) = self.proxy.groups.of(group);
                let mut labels = vec![
                    ("consumer_group", group.to_owned()),
                    ("consume_mode", consume_type.name().to_owned()),
                    ("is_system", is_system.to_string()),
                ];
                labels.extend(member.iter().cloned());
                add(&mut consumers, labels, 1);
            }
            if client.is_producer {
                add(&mut producers, member, 1);
            }
        }
        out.gauges(
            "rocketmq_proxy_connections",
            "Clients' connections",
            &connections,
        )?;
        let help = "Clients' connections, by the language and version that they declared";
        out.gauges("rocketmq_proxy_clients", help, &all)?;
        let help = "Clients that are in a producer group";
        out.gauges("rocketmq_producer_connections", help, &producers)?;
        let help = "Clients that are in a consumer group";
        out.gauges("rocketmq_consumer_connections", help, &consumers)
    }

    fn connections(&self, out: &mut Writer<'_, '_>) -> fmt::Result {
        let (mut received, mut sent, mut opened) = (Family::new(), Family::new(), Family::new());
        for worker in &self.proxy.workers {
            for (nth, name) in self.proxy.listeners.iter().enumerate() {
                let Some(listener) = worker.listener(nth) else {
                    continue;
                };
                let labels = vec![("listener", name.clone())];
                add(&mut received, labels.clone(), listener.meter.received.get());
                add(&mut sent, labels.clone(), listener.meter.sent.get());
                add(&mut opened, labels, listener.opened.get());
            }
        }
        let help = "Bytes received from clients";
        out.counters("rocketmq_proxy_received_bytes", help, &received)?;
        let help = "Bytes sent to clients";
        out.counters("rocketmq_proxy_sent_bytes", help, &sent)?;
        let held = self.proxy.workers.iter().map(|one| one.held.get());
        let help = "Bytes that clients make Remora hold, against limits.memory_bytes";
        out.gauge("rocketmq_proxy_held_bytes", help, held.sum::<i64>() as f64)?;
        let help = "Connections of clients that were taken";
        out.counters("rocketmq_proxy_connections_opened", help, &opened)
    }

    fn by_broker(&self) -> BTreeMap<Box<str>, Vec<Arc<BrokerMetrics>>> {
        let mut all = BTreeMap::new();
        for worker in &self.proxy.workers {
            worker.upstream.collect(&mut all);
        }
        all
    }

    fn brokers(&self, out: &mut Writer<'_, '_>) -> fmt::Result {
        let mut own = Family::new();
        for worker in &self.proxy.workers {
            for nth in 0..self.proxy.listeners.len() {
                if let Some(listener) = worker.listener(nth) {
                    let labels = vec![("direction", "answer".to_owned())];
                    join(&mut own, labels, &listener.meter.own.snapshot());
                }
            }
        }
        let (mut received, mut sent) = (Family::new(), Family::new());
        let (mut lanes, mut data, mut outstanding) = (Family::new(), Family::new(), Family::new());
        let (mut reconnects, mut failing, mut answered) =
            (Family::new(), Family::new(), Family::new());
        for (broker, workers) in self.by_broker() {
            let labels = vec![("broker", broker.into_string())];
            for one in workers {
                let sum = |of: fn(&Meter) -> u64| of(&one.data) + of(&one.lane);
                add(
                    &mut received,
                    labels.clone(),
                    sum(|meter| meter.received.get()),
                );
                add(&mut sent, labels.clone(), sum(|meter| meter.sent.get()));
                add(&mut lanes, labels.clone(), one.lanes.get());
                add(&mut data, labels.clone(), one.connections.get());
                add(&mut outstanding, labels.clone(), one.outstanding.get());
                add(&mut reconnects, labels.clone(), one.reconnects.get());
                // Each worker finds out for itself.
                let is_failing = failing.entry(labels.clone()).or_insert(0);
                *is_failing = one.failing.get().min(1).max(*is_failing);
                join(&mut answered, labels.clone(), &one.answered.snapshot());
                let direction = vec![("direction", "request".to_owned())];
                join(&mut own, direction, &one.data.own.snapshot());
            }
        }
        let name = "rocketmq_proxy_own_duration_seconds";
        let help = "Time within Remora: from reading a frame to having written it, of the frame of each write that waited longest";
        out.seconds(name, help, &own)?;
        let name = "rocketmq_proxy_broker_duration_seconds";
        let help = "Time from relaying a request to its answer";
        out.seconds(name, help, &answered)?;
        let help = "Bytes received from a broker";
        out.counters("rocketmq_proxy_broker_received_bytes", help, &received)?;
        let help = "Bytes sent to a broker";
        out.counters("rocketmq_proxy_broker_sent_bytes", help, &sent)?;
        let help = "Connections to a broker that belong to one client each";
        out.gauges("rocketmq_proxy_lanes", help, &lanes)?;
        let help = "Connections to a broker that clients share";
        out.gauges("rocketmq_proxy_broker_connections", help, &data)?;
        let help = "Requests that a broker has not answered yet";
        out.gauges("rocketmq_proxy_outstanding_requests", help, &outstanding)?;
        let help = "Connections to a broker that were lost or could not be established";
        out.counters("rocketmq_proxy_reconnects", help, &reconnects)?;
        let help = "1: the circuit of a broker is open, and requests to it fail fast";
        out.gauges("rocketmq_proxy_broker_failing", help, &failing)
    }

    fn routes(&self, out: &mut Writer<'_, '_>) -> fmt::Result {
        let stats = self.proxy.routes.stats();
        let help = "Topics in the cache of routes";
        out.gauge("rocketmq_proxy_routes", help, stats.topics as f64)?;
        let help = "Age of the cached route that was loaded longest ago; a route is loaded again when a client asks for it, so a topic that is no longer used raises this";
        out.gauge(
            "rocketmq_proxy_route_oldest_seconds",
            help,
            stats.oldest.as_secs_f64(),
        )?;
        let outcomes = [
            ("hit", stats.hits),
            ("miss", stats.misses),
            ("stale", stats.stale),
        ];
        let lookups = outcomes.map(|(name, count)| (vec![("outcome", name.to_owned())], count));
        let help =
            "Look-ups of routes: from memory, from a name server, or too old for want of one";
        out.counters("rocketmq_proxy_route_lookups", help, &lookups.into())?;
        let name = "rocketmq_proxy_route_refresh_errors";
        out.counter(name, "Routes that no name server gave", stats.errors as f64)
    }
}
