//! Every key of the configuration file, with its default and its meaning.
//!
//! The example file, the table in the docs and `/config` are made from these types
//! (`super::document`). A key marked `live` applies when the configuration is reloaded; all others
//! wait for a restart.

use serde::Deserialize;

use super::entry::{Choice, Entry, TakeLive, ToValue, table};

table! {
    /// The keys before the first table.
    File {
        /// Name servers, host:port; the first that answers is used.
        name_servers: Vec<String> = Vec::new(),
        /// Address of the admin listener: /livez, /readyz, /metrics, /config and /log over HTTP. No
        /// admin listener unless set.
        admin: Option<String> = None,
        /// Threads that serve clients; one for each core unless set.
        workers: Option<u64> = None,
        /// The filter of the log, as directives: "debug", "info,route_cache=debug".
        log: String = "info".to_owned() => live,
        /// The format of the log: json (one object a line), human, or auto (human on a terminal,
        /// else json).
        log_format: String = "auto".to_owned(),
        /// The clients that get the addresses of brokers' own ports: auto (those that do not name
        /// the broker in requests), always (all) or never (none).
        broker_addresses: String = "auto".to_owned() => live,
        /// Whether administrative requests are relayed, for mqadmin and dashboards.
        admin_relay: bool = false => live,
        /// Whether a message whose broker is unreachable, or does not answer, fails over to another
        /// broker of its topic, to the queue of the same number, as the Java client does without
        /// Remora. This helps producers that do not retry, such as asynchronous ones. A message
        /// never fails over if it may have reached a broker, is in a transaction, has a sharding
        /// key, or is of a topic with `orderTopicConf`. Set false for producers that choose queues
        /// themselves and must not use another: they get the error.
        send_elsewhere: bool = true => live,
        /// What becomes of a gRPC consumer in a group that has consumers of the remoting protocol,
        /// which get messages twice then: warn (it is logged and counted) or refuse.
        mixed_groups: String = "warn".to_owned() => live,
        /// The value of the label `cluster` of all metrics.
        cluster: String = "DefaultCluster".to_owned(),
        /// The value of the label `node_id` of all metrics; the host's name unless set.
        node_id: Option<String> = None,
        /// Networks of the balancers whose PROXY protocol headers are trusted, such as 10.0.0.0/8.
        /// A listener with proxy_protocol refuses connections from other addresses.
        proxy_protocol_from: Vec<String> = Vec::new(),
    } with {
        /// `[[listener]]`.
        listener: Vec<Listener>,
        /// `[[broker_listener]]`.
        broker_listener: Vec<BrokerListener>,
        /// `[limits]`.
        limits: Limits,
        /// `[routes]`.
        routes: Routes,
        /// `[timeouts]`.
        timeouts: Timeouts,
        /// `[breaker]`.
        breaker: Breaker,
        /// `[drain]`.
        drain: Drain,
        /// `[connection_age]`.
        connection_age: ConnectionAge,
        /// `[tls]`.
        tls: Tls,
        /// `[upstream_tls]`.
        upstream_tls: UpstreamTls,
        /// `[credentials]`.
        credentials: Credentials,
        /// `[metrics]`.
        metrics: Metrics,
        /// `[slow_log]`.
        slow_log: SlowLog,
        /// `[http]`.
        http: Http,
    }
}

table! {
    /// A listener for clients. May be given several times.
    Listener {
        /// The address to listen at, ip:port.
        bind: String = "0.0.0.0:8080".to_owned(),
        /// The address that clients get for every broker, host:port, the same in all replicas; the
        /// address that the client connected to, unless set.
        advertise: Option<String> = None,
        /// Whether it also listens at its port minus two, for the VIP channel: clients before 4.5,
        /// and newer ones with `vipChannelEnabled=true`, send to the port minus two of the address
        /// that they got. That port of `advertise` must lead here, too.
        vip: bool = false,
        /// Whether connections start with a PROXY protocol header, version 1 or 2; those without
        /// are refused.
        proxy_protocol: bool = false,
        /// The protocols that clients may speak here, told by their first bytes: remoting, grpc
        /// (the protocol of RocketMQ 5's own clients, over HTTP/2), and http (other requests, over
        /// HTTP/1.1 and HTTP/2).
        protocols: Vec<String> = ["remoting", "grpc", "http"].map(String::from).into(),
    }
}

table! {
    /// A port of its own for one broker, for clients that do not name the broker in requests. May
    /// be given several times.
    BrokerListener {
        /// The broker's name.
        broker: String = String::new(),
        /// The address to listen at, ip:port.
        bind: String = String::new(),
        /// The address that clients get for this broker, host:port. Unless set, this port at the
        /// host of the first listener's advertise, or else at the host that the client connected
        /// to.
        advertise: Option<String> = None,
        /// Whether it also listens at its port minus two, for the VIP channel: clients before 4.5,
        /// and newer ones with `vipChannelEnabled=true`.
        vip: bool = false,
        /// Whether connections start with a PROXY protocol header, version 1 or 2; those without
        /// are refused.
        proxy_protocol: bool = false,
    }
}

table! {
    /// Limits for clients and brokers.
    Limits {
        /// Longest frame, from clients and from brokers; the default is that of the Java client.
        frame_bytes: u64 = 16 * 1024 * 1024,
        /// Longest header of a frame, from 4096 to 262144.
        header_bytes: u64 = 64 * 1024,
        /// Longest heartbeat of a client, at most frame_bytes. A heartbeat with 8,000 subscriptions
        /// has 1.3 MB.
        heartbeat_bytes: u64 = 4 * 1024 * 1024 => live,
        /// Most memory for everything that clients and brokers make Remora hold. At the start, it
        /// is lowered to 0.8 of the memory limit of Remora's cgroup (its container) if that is
        /// less.
        memory_bytes: u64 = 256 * 1024 * 1024,
        /// Bytes that may wait to be written to one client; Remora reads nothing more from a client
        /// above that.
        client_buffer_bytes: u64 = 1024 * 1024 => live,
        /// Bytes that may wait to be written to one broker, per worker; requests to a broker above
        /// that are refused (2).
        broker_buffer_bytes: u64 = 32 * 1024 * 1024,
        /// Outstanding requests of one client; Remora reads nothing more from a client above that.
        /// The same number of long polls may be outstanding besides; further ones are refused (2).
        outstanding_requests: u64 = 16384 => live,
        /// Outstanding requests at one broker, per worker; above that, requests of clients that
        /// have more than their share are refused (2).
        broker_outstanding: u64 = 65536,
        /// Clients' connections in total; a further one is closed immediately. The limit of open
        /// files may allow fewer: each client also needs room for a connection of its own to each
        /// of two brokers. At most a quarter of the open files is for Remora itself, and a quarter
        /// or more is for those connections to brokers. The number that fits is logged at the
        /// start.
        connections: u64 = 50000,
        /// Clients' connections from one address, or from one IPv6 network of 64 bits; a further
        /// one is closed immediately.
        connections_per_address: u64 = 10000 => live,
        /// Time for a client's PROXY header, TLS handshake and first frame.
        handshake_ms: u64 = 10_000 => live,
        /// Time from the first byte of a frame to its last, and until a gRPC client reads more.
        frame_ms: u64 = 30_000 => live,
        /// Time after which a silent client is disconnected; clients send a heartbeat every 30 s.
        idle_ms: u64 = 120_000 => live,
    }
}

table! {
    /// The cache of routes, from which clients' requests for routes are answered.
    Routes {
        /// Age from which a route is loaded again in the background.
        refresh_ms: u64 = 10_000,
        /// Age from which a route is not returned any more, unless no name server is reachable.
        expire_ms: u64 = 30_000,
        /// Time for which "no such topic" is cached; with 0, name servers are asked each time.
        negative_ms: u64 = 0,
        /// Most topics in the cache.
        capacity: u64 = 20_000,
        /// Interval at which the list of brokers is loaded.
        broker_refresh_ms: u64 = 10_000,
    }
}

table! {
    /// Time limits for brokers, a little shorter than those of Java clients.
    Timeouts {
        /// To accept a connection; for name servers, too.
        connect_ms: u64 = 1000,
        /// To answer a send.
        send_ms: u64 = 2500 => live,
        /// To answer requests for offsets, and messages sent back.
        offset_ms: u64 = 4500 => live,
        /// To lock or unlock queues.
        lock_ms: u64 = 800 => live,
        /// To answer any other request. Pulls carry their own time; searches by key have 16 s,
        /// requests to another client 11 s.
        general_ms: u64 = 2500 => live,
    }
}

table! {
    /// The circuit breaker of each broker.
    Breaker {
        /// Failed attempts to connect in a row that open the circuit: requests to the broker fail
        /// fast (14). A connection that falls silent opens it, too.
        failures: u64 = 5,
        /// Interval of the probes that find out whether the broker answers again.
        probe_ms: u64 = 1000,
    }
}

table! {
    /// The drain on SIGTERM.
    Drain {
        /// Time for which clients are still accepted, until balancers have noticed that /readyz
        /// fails. It fails from the signal on.
        wait_ms: u64 = 5000 => live,
        /// Time after that over which connections are closed step by step, each when nothing is
        /// outstanding on it.
        time_ms: u64 = 20_000 => live,
        /// Time from the signal after which the remaining connections are closed immediately.
        deadline_ms: u64 = 40_000 => live,
    }
}

table! {
    /// The age limit of clients' connections, so that added replicas get their share.
    ConnectionAge {
        /// Age at which a connection is closed as in a drain; 0: no limit.
        max_ms: u64 = 0 => live,
        /// Random deviation of each connection's age limit, in percent and in either direction.
        jitter_percent: u64 = 20 => live,
    }
}

table! {
    /// TLS to clients, on the same ports as plain text.
    Tls {
        /// off, permissive (TLS or plain text), or required. While it is off, no other key of this
        /// table may be set.
        mode: Choice = Choice::default_to("off"),
        /// Whether clients must present a certificate: none, optional, or required. required needs
        /// mode = "required", because plain text has no certificates.
        client_auth: Choice = Choice::default_to("none"),
        /// File of the authorities that sign clients' certificates.
        client_ca: Option<String> = None,
    } with {
        /// `[[tls.certificate]]`.
        certificate: Vec<Certificate>,
    }
}

table! {
    /// A certificate, chosen by the host name that a client asks for; the first one is used for all
    /// other names. Its files are read again when they change.
    Certificate {
        /// File of the certificate and its chain, PEM.
        certificate: String = String::new(),
        /// File of its key, PEM.
        key: String = String::new(),
    }
}

table! {
    /// TLS to brokers and name servers.
    UpstreamTls {
        /// off or on. While it is off, no other key of this table may be set.
        mode: Choice = Choice::default_to("off"),
        /// Checks of their certificates: full (authority and host name), ca (authority only) or
        /// none (a man in the middle can read and change everything).
        verify: Choice = Choice::default_to("full"),
        /// File of the authorities that sign their certificates, or of these certificates
        /// themselves. Must be set unless verify is none.
        ca: Option<String> = None,
        /// File of the certificate that Remora presents to them.
        certificate: Option<String> = None,
        /// File of that certificate's key.
        key: Option<String> = None,
    }
}

table! {
    /// The credentials that sign Remora's own requests, for brokers that demand it.
    /// `access-control.md` lists these requests, the rights that they need, and what does not work
    /// without credentials. Requests of clients are not signed or changed.
    Credentials {
        /// The access key; REMORA_ACCESS_KEY wins over it.
        access_key: Option<String> = None,
        /// File of the secret key; REMORA_SECRET_KEY, the key itself, wins over it.
        secret_key_file: Option<String> = None,
    }
}

table! {
    /// Labels of metrics.
    Metrics {
        /// Topics that get a label value of their own; all others are counted as "other".
        topics: Vec<String> = Vec::new(),
        /// Consumer groups that get a label value of their own.
        groups: Vec<String> = Vec::new(),
    }
}

table! {
    /// Requests of HTTP other than gRPC.
    Http {
        /// The origins of web pages that may send requests, such as `https://app.example.com`;
        /// "*" for all. Requests that a browser sends for pages of other origins are refused.
        cors: Vec<String> = Vec::new() => live,
    }
}

table! {
    /// The log of slow requests.
    SlowLog {
        /// Time from which a request is logged as slow; long polls are not logged. 0 logs none.
        threshold_ms: u64 = 1000 => live,
        /// Most slow requests that are logged in a second.
        per_second: u64 = 10 => live,
    }
}
