//! Every key that there is, with its default and what it means.
//!
//! The example file, the table in the docs and `/config` are made from these types (`super::document`). A key marked `live`
//! applies when the configuration is reloaded; all others wait for a restart.

use serde::Deserialize;

use super::entry::{Choice, Entry, TakeLive, ToValue, table};

table! {
    /// What stands before any table.
    File {
        /// Name servers, host:port; the first that answers is used.
        name_servers: Vec<String> = Vec::new(),
        /// Where the admin listener is: /livez, /readyz, /metrics, /config and /log over HTTP. Nowhere unless set.
        admin: Option<String> = None,
        /// Threads that serve clients; one for each core unless set.
        workers: Option<u64> = None,
        /// What is logged, as directives: "debug", "info,route_cache=debug".
        log: String = "info".to_owned() => live,
        /// How it is written: json (one object a line), human, or auto (human on a terminal, else json).
        log_format: String = "auto".to_owned(),
        /// Who is told of brokers' own ports: auto (clients that do not name the broker in requests), always or never.
        broker_addresses: String = "auto".to_owned() => live,
        /// Whether codes that administer are relayed, for mqadmin and dashboards.
        admin_relay: bool = false => live,
        /// Whether a message whose broker cannot be reached, or answers nothing, goes to another broker of its topic, to the queue
        /// of the same number, as Java does by itself where it is connected directly. It is for producers that do not try again,
        /// such as asynchronous ones. What may have reached a broker never goes to another, nor do messages in a transaction,
        /// with a sharding key, or of a topic with `orderTopicConf`. Producers that choose queues themselves and must not leave
        /// one need false: they get the error.
        send_elsewhere: bool = true => live,
        /// The label `cluster` of metrics.
        cluster: String = "DefaultCluster".to_owned(),
        /// The label `node_id` of metrics; the host's name unless set.
        node_id: Option<String> = None,
        /// Networks of balancers whose PROXY protocol headers are believed, as 10.0.0.0/8; who comes from elsewhere to a
        /// listener with proxy_protocol is refused.
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
    }
}

table! {
    /// Where clients connect. May be given several times.
    Listener {
        /// Where it listens, ip:port.
        bind: String = "0.0.0.0:8080".to_owned(),
        /// What clients are told to be every broker's address, host:port, the same in all replicas; what they connected
        /// to unless set.
        advertise: Option<String> = None,
        /// Whether it listens at the port minus two too, for the VIP channel: clients before 4.5, and newer ones with
        /// `vipChannelEnabled=true`, send to the port minus two of what they are told. `advertise` must lead there too.
        vip: bool = false,
        /// Whether connections begin with a PROXY protocol header, version 1 or 2; those that do not are refused.
        proxy_protocol: bool = false,
    }
}

table! {
    /// A port of its own for one broker, for clients that do not name the broker in requests. May be given several times.
    BrokerListener {
        /// The broker's name.
        broker: String = String::new(),
        /// Where it listens, ip:port.
        bind: String = String::new(),
        /// What clients are told, host:port; unless set, this port at the host of the first listener's advertise, or else at
        /// the one that they connected to.
        advertise: Option<String> = None,
        /// Whether it listens at the port minus two too, for the VIP channel: clients before 4.5, and newer ones with
        /// `vipChannelEnabled=true`.
        vip: bool = false,
        /// Whether connections begin with a PROXY protocol header, version 1 or 2; those that do not are refused.
        proxy_protocol: bool = false,
    }
}

table! {
    /// What no client and no broker may exceed.
    Limits {
        /// Longest frame, from clients and from brokers; Java's default.
        frame_bytes: u64 = 16 * 1024 * 1024,
        /// Longest header of a frame, from 4096 to 262144.
        header_bytes: u64 = 64 * 1024,
        /// Longest heartbeat of a client: one with 8,000 subscriptions has 1.3 MB. At most frame_bytes.
        heartbeat_bytes: u64 = 4 * 1024 * 1024 => live,
        /// What everything that clients and brokers make Remora hold adds up to. A limit of its cgroup (a container's) lowers it
        /// to 0.8 of that at the start.
        memory_bytes: u64 = 256 * 1024 * 1024,
        /// What may wait to be written to one client before it is read no further.
        client_buffer_bytes: u64 = 1024 * 1024 => live,
        /// What may wait to be written to one broker, per worker, before requests to it are refused (2).
        broker_buffer_bytes: u64 = 32 * 1024 * 1024,
        /// Requests of one client that may be outstanding before it is read no further; as many long polls, further ones are refused (2).
        outstanding_requests: u64 = 16384 => live,
        /// Requests that may be outstanding at one broker, per worker, before clients that have more than their share are refused (2).
        broker_outstanding: u64 = 65536,
        /// Clients' connections in all; a further one is closed at once. Also where the limit of open files has no room for it and
        /// for a connection of its own to each of two brokers: what Remora keeps for itself is at most a quarter, and another
        /// quarter or more is for such connections. How many fit is logged at the start.
        connections: u64 = 50000,
        /// Clients' connections from one address, or from one IPv6 network of 64 bits; a further one is closed at once.
        connections_per_address: u64 = 10000 => live,
        /// How long a client may take for PROXY header, TLS handshake and its first frame.
        handshake_ms: u64 = 10_000 => live,
        /// How long a frame that has begun to arrive may take to be whole.
        frame_ms: u64 = 30_000 => live,
        /// How long a client may be silent; those that are there say something every 30 s.
        idle_ms: u64 = 120_000 => live,
    }
}

table! {
    /// Routes, which are kept: what a client asks for is answered from memory.
    Routes {
        /// Loaded anew in the background when older.
        refresh_ms: u64 = 10_000,
        /// Not answered older than this, unless no name server can be reached.
        expire_ms: u64 = 30_000,
        /// How long "no such topic" may be answered from memory; 0 asks name servers each time.
        negative_ms: u64 = 0,
        /// Most topics that are kept.
        capacity: u64 = 20_000,
        /// How often the list of brokers is loaded.
        broker_refresh_ms: u64 = 10_000,
    }
}

table! {
    /// How long a broker may take: a little less than Java clients wait.
    Timeouts {
        /// To take a connection; name servers too.
        connect_ms: u64 = 1000,
        /// To answer a send.
        send_ms: u64 = 2500 => live,
        /// To answer offsets and messages sent back.
        offset_ms: u64 = 4500 => live,
        /// To lock or unlock queues.
        lock_ms: u64 = 800 => live,
        /// To answer anything else. Pulls say how long they wait; searches by key have 16 s, questions to another client 11 s.
        general_ms: u64 = 2500 => live,
    }
}

table! {
    /// Brokers that fail.
    Breaker {
        /// Failures to connect in a row after which requests to a broker are refused at once (14), as after a connection that fell silent.
        failures: u64 = 5,
        /// How often it is then tried whether the broker is back.
        probe_ms: u64 = 1000,
    }
}

table! {
    /// What happens on SIGTERM.
    Drain {
        /// Readiness is down at once; clients are still accepted for so long, until balancers have noticed.
        wait_ms: u64 = 5000 => live,
        /// Then connections end in slices over this time, each when nothing is outstanding on it.
        time_ms: u64 = 20_000 => live,
        /// What is left so long after the signal ends at once.
        deadline_ms: u64 = 40_000 => live,
    }
}

table! {
    /// How old a client's connection may get, so that added replicas get their share.
    ConnectionAge {
        /// Then it ends as in a drain; 0 is for ever.
        max_ms: u64 = 0 => live,
        /// By how much the age of each differs, to either side.
        jitter_percent: u64 = 20 => live,
    }
}

table! {
    /// TLS to clients, on the same ports as plain text.
    Tls {
        /// off, permissive (either), or required; no other key here may be set while it is off.
        mode: Choice = Choice::default_to("off"),
        /// Whether clients show a certificate: none, optional, or required, which takes mode = "required": plain text has none.
        client_auth: Choice = Choice::default_to("none"),
        /// File of the authorities that have signed clients' certificates.
        client_ca: Option<String> = None,
    } with {
        /// `[[tls.certificate]]`.
        certificate: Vec<Certificate>,
    }
}

table! {
    /// A certificate, chosen by the name that a client asks for; the first is for all others. Read again when a file
    /// changes.
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
        /// off, or on; no other key here may be set without.
        mode: Choice = Choice::default_to("off"),
        /// What is checked of their certificates: full, ca (who signed it, not whose it is) or none (nothing: whoever is
        /// between can read and change everything).
        verify: Choice = Choice::default_to("full"),
        /// File of the authorities that have signed them, or of the certificates themselves; must be set unless verify is none.
        ca: Option<String> = None,
        /// File of the certificate that is shown to them.
        certificate: Option<String> = None,
        /// File of its key.
        key: Option<String> = None,
    }
}

table! {
    /// What Remora's own requests are signed with, where brokers demand it; `access-control.md` says which these are, what
    /// rights they need, and what is missing without a key. Requests of clients are not touched.
    Credentials {
        /// The access key, or REMORA_ACCESS_KEY.
        access_key: Option<String> = None,
        /// File that holds the secret key, or REMORA_SECRET_KEY holds the key itself.
        secret_key_file: Option<String> = None,
    }
}

table! {
    /// Labels of metrics.
    Metrics {
        /// Topics that have a label value of their own; all others are counted as "other".
        topics: Vec<String> = Vec::new(),
        /// Consumer groups, likewise.
        groups: Vec<String> = Vec::new(),
    }
}

table! {
    /// Requests that take long.
    SlowLog {
        /// One that is answered later than this is logged; long polls are not. 0 logs none.
        threshold_ms: u64 = 1000 => live,
        /// Most of them that are logged in a second.
        per_second: u64 = 10 => live,
    }
}
