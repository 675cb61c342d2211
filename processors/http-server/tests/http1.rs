//! Connections of HTTP/1.1, byte by byte.

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a test may fail"
)]

use std::cell::Cell;
use std::future::poll_fn;
use std::net::Ipv4Addr;
use std::rc::Rc;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderValue, Request, Response, StatusCode};
use http_server::{
    BodyError, Chunk, Connection, Endpoint, OnEnd, Reply, Settings, Version, Watched,
};
use hyper::body::Incoming;
use route_cache::{BrokerTable, RouteCache, RouteConfig, Upstream, UpstreamConfig, name_servers};
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream, duplex};
use tokio::task::{JoinHandle, LocalSet, spawn_local};
use tokio::time::{Instant, sleep, timeout};

/// Longest body that `/echo` takes.
const LIMIT: usize = 64;

/// Longer than anything here takes; the clock does not run while something happens.
const IN_VAIN: Duration = Duration::from_secs(100);

/// What a test looks at from outside.
#[derive(Default)]
struct Seen {
    /// Bytes of the long answer that were written when it ended.
    written: Cell<Option<usize>>,
    /// Calls that ended without an answer.
    given_up: Cell<usize>,
}

struct Note(Rc<Seen>);

impl OnEnd for Note {
    fn written(&mut self, bytes: usize) {
        self.0.written.set(Some(bytes));
    }
}

struct GivesUp<'a>(&'a Seen, bool);

impl Drop for GivesUp<'_> {
    fn drop(&mut self) {
        self.0
            .given_up
            .set(self.0.given_up.get() + usize::from(self.1));
    }
}

async fn answer(
    connection: Rc<Connection>,
    seen: Rc<Seen>,
    request: Request<Incoming>,
) -> Response<Watched> {
    let mut ends = GivesUp(&seen, true);
    let path = request.uri().path().to_owned();
    let chunk = |bytes| Chunk::new(bytes, connection.account());
    let (status, reply) = match &*path {
        "/echo" => match http_server::read(&connection, request.into_body(), LIMIT).await {
            Ok((body, _held)) => (StatusCode::OK, Reply::one(chunk(body), None)),
            Err(BodyError::TooLarge) => (StatusCode::PAYLOAD_TOO_LARGE, Reply::empty()),
            Err(BodyError::Slow(_)) => (StatusCode::REQUEST_TIMEOUT, Reply::empty()),
            Err(_) => (StatusCode::BAD_REQUEST, Reply::empty()),
        },
        "/wait" => {
            while !connection.must_hurry() {
                connection.changed().await;
            }
            (StatusCode::NO_CONTENT, Reply::empty())
        }
        "/slow" => {
            sleep(Duration::from_secs(3)).await;
            (StatusCode::OK, Reply::one(chunk("slow".into()), None))
        }
        "/long" => {
            let body = chunk(Bytes::from(vec![b'x'; 1 << 20]));
            let body = body.with_end(Box::new(Note(seen.clone())));
            (StatusCode::OK, Reply::one(body, None))
        }
        path => {
            let text = path.to_owned().into();
            (StatusCode::OK, Reply::one(chunk(text), None))
        }
    };
    ends.1 = false;
    let mut answer = Response::new(connection.body(reply));
    *answer.status_mut() = status;
    if !status.is_success() {
        let close = HeaderValue::from_static("close");
        answer.headers_mut().insert("connection", close);
    }
    answer
}

struct Served {
    connection: Rc<Connection>,
    seen: Rc<Seen>,
    task: JoinHandle<Result<(), hyper::Error>>,
    client: DuplexStream,
}

impl Served {
    fn start() -> Self {
        let (asked, client) = name_servers(Vec::new(), UpstreamConfig::default());
        spawn_local(client.run());
        let table = Arc::new(BrokerTable::new(asked.clone()));
        let routes = RouteCache::new(RouteConfig::default(), table.clone(), asked);
        let config = UpstreamConfig::default();
        let upstream = Upstream::new(Rc::default(), config, table, routes, Arc::default());
        let endpoint = Endpoint {
            peer: (Ipv4Addr::LOCALHOST, 40_000).into(),
            advertised: "127.0.0.1:8080".into(),
            meter: Arc::default(),
        };
        let settings = Settings::default();
        let connection = Connection::new(
            upstream,
            &settings,
            Arc::default(),
            Version::Http1,
            endpoint,
        );
        let seen = Rc::<Seen>::default();
        let (near, client) = duplex(16 * 1024);
        let task = spawn_local({
            let (connection, seen) = (connection.clone(), seen.clone());
            let over = connection.clone();
            let service = move |request| answer(connection.clone(), seen.clone(), request);
            async move { http_server::serve(&over, near, service).await }
        });
        Self {
            connection,
            seen,
            task,
            client,
        }
    }

    async fn write(&mut self, text: &str) {
        self.client.write_all(text.as_bytes()).await.unwrap();
    }

    /// Everything up to the end of the connection.
    async fn rest(&mut self) -> String {
        let mut all = String::new();
        let read = self.client.read_to_string(&mut all);
        timeout(IN_VAIN, read).await.unwrap().unwrap();
        all
    }

    /// The next answers, up to the end of one that has this body.
    async fn read_until(&mut self, end: &str) -> String {
        let mut all = Vec::new();
        while !all.ends_with(end.as_bytes()) {
            let byte = timeout(IN_VAIN, self.client.read_u8()).await.unwrap();
            all.push(byte.unwrap());
        }
        String::from_utf8(all).unwrap()
    }
}

/// The statuses of answers, in their order.
fn statuses(text: &str) -> Vec<&str> {
    let lines = text.split("HTTP/1.1 ").skip(1);
    lines.map(|line| &line[..3]).collect()
}

async fn local<T>(test: impl Future<Output = T>) -> T {
    LocalSet::new().run_until(test).await
}

#[tokio::test(start_paused = true)]
async fn what_may_mean_two_things_is_refused_and_nothing_behind_it_is_served() {
    const NEXT: &str = "GET /next HTTP/1.1\r\nhost: x\r\n\r\n";
    let cases = [
        ("two hosts", "GET / HTTP/1.1\r\nhost: a\r\nhost: b\r\n\r\n"),
        ("no host", "GET / HTTP/1.1\r\n\r\n"),
        (
            "two lengths",
            "POST /echo HTTP/1.1\r\nhost: x\r\ncontent-length: 3\r\ncontent-length: 4\r\n\r\nabc",
        ),
        (
            "a list of lengths",
            "POST /echo HTTP/1.1\r\nhost: x\r\ncontent-length: 3, 3\r\n\r\nabc",
        ),
        (
            "a signed length",
            "POST /echo HTTP/1.1\r\nhost: x\r\ncontent-length: +3\r\n\r\nabc",
        ),
        (
            "a negative length",
            "POST /echo HTTP/1.1\r\nhost: x\r\ncontent-length: -3\r\n\r\nabc",
        ),
        (
            "a length of too many digits",
            "POST /echo HTTP/1.1\r\nhost: x\r\ncontent-length: 99999999999999999999\r\n\r\nabc",
        ),
        (
            "an empty length",
            "POST /echo HTTP/1.1\r\nhost: x\r\ncontent-length:\r\n\r\nabc",
        ),
        (
            "a blank before the colon",
            "POST /echo HTTP/1.1\r\nhost: x\r\ncontent-length : 3\r\n\r\nabc",
        ),
        (
            "a tab before the colon",
            "POST /echo HTTP/1.1\r\nhost: x\r\ntransfer-encoding\t: chunked\r\n\r\n0\r\n\r\n",
        ),
        (
            "a folded line",
            "POST /echo HTTP/1.1\r\nhost: x\r\na: b\r\n content-length: 3\r\n\r\nabc",
        ),
        (
            "a fold at the start",
            "POST /echo HTTP/1.1\r\n content-length: 3\r\nhost: x\r\n\r\nabc",
        ),
        (
            "a carriage return in a value",
            "POST /echo HTTP/1.1\r\nhost: x\r\na: b\rcontent-length: 3\r\n\r\nabc",
        ),
        (
            "a zero in a value",
            "POST /echo HTTP/1.1\r\nhost: x\r\na: b\0\r\n\r\n",
        ),
        (
            "another coding",
            "POST /echo HTTP/1.1\r\nhost: x\r\ntransfer-encoding: identity\r\n\r\n0\r\n\r\n",
        ),
        (
            "a coding before chunked",
            "POST /echo HTTP/1.1\r\nhost: x\r\ntransfer-encoding: gzip, chunked\r\n\r\n0\r\n\r\n",
        ),
        (
            "chunked twice",
            "POST /echo HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked, chunked\r\n\r\n0\r\n\r\n",
        ),
        (
            "two codings",
            "POST /echo HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\
             transfer-encoding: identity\r\n\r\n0\r\n\r\n",
        ),
        (
            "two codings, the other way round",
            "POST /echo HTTP/1.1\r\nhost: x\r\ntransfer-encoding: identity\r\n\
             transfer-encoding: chunked\r\n\r\n0\r\n\r\n",
        ),
        (
            "almost chunked",
            "POST /echo HTTP/1.1\r\nhost: x\r\ntransfer-encoding: xchunked\r\n\r\n0\r\n\r\n",
        ),
        (
            "quoted chunked",
            "POST /echo HTTP/1.1\r\nhost: x\r\ntransfer-encoding: \"chunked\"\r\n\r\n0\r\n\r\n",
        ),
        (
            "a vertical tab",
            "POST /echo HTTP/1.1\r\nhost: x\r\ntransfer-encoding: \x0bchunked\r\n\r\n0\r\n\r\n",
        ),
        (
            "chunked in HTTP/1.0",
            "POST /echo HTTP/1.0\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n",
        ),
        (
            "a chunk's size with a sign",
            "POST /echo HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n+3\r\nabc\r\n0\r\n\r\n",
        ),
        (
            "a chunk's size with a prefix",
            "POST /echo HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n0x3\r\nabc\r\n0\r\n\r\n",
        ),
        (
            "a chunk's size of too many digits",
            "POST /echo HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n\
             10000000000000003\r\nabc\r\n0\r\n\r\n",
        ),
        (
            "a chunk's size behind a line feed alone",
            "POST /echo HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n3\nabc\r\n0\r\n\r\n",
        ),
        (
            "a line feed alone in a chunk's extension",
            "POST /echo HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n3;a\nabc\r\n0\r\n\r\n",
        ),
        (
            "a chunk longer than its size",
            "POST /echo HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n3\r\nabcd\r\n0\r\n\r\n",
        ),
        ("another version", "GET / HTTP/1.2\r\nhost: x\r\n\r\n"),
        ("HTTP/0.9", "GET /\r\nhost: x\r\n\r\n"),
        ("two blanks", "GET  / HTTP/1.1\r\nhost: x\r\n\r\n"),
        (
            "a blank in the target",
            "GET /a b HTTP/1.1\r\nhost: x\r\n\r\n",
        ),
        ("a tab", "GET\t/ HTTP/1.1\r\nhost: x\r\n\r\n"),
    ];
    for (what, bytes) in cases {
        local(async {
            let mut served = Served::start();
            served.write(&format!("{bytes}{NEXT}")).await;
            let all = served.rest().await;
            assert_eq!(statuses(&all), ["400"], "{what}: {all}");
        })
        .await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_length_beside_a_coding_ends_the_connection() {
    for order in [
        "transfer-encoding: chunked\r\ncontent-length: 3",
        "content-length: 3\r\ntransfer-encoding: chunked",
    ] {
        local(async {
            let mut served = Served::start();
            let head = format!("POST /echo HTTP/1.1\r\nhost: x\r\n{order}\r\n\r\n");
            let next = "GET /next HTTP/1.1\r\nhost: x\r\n\r\n";
            served
                .write(&format!("{head}2\r\nab\r\n0\r\n\r\n{next}"))
                .await;
            let all = served.rest().await;
            assert_eq!(statuses(&all), ["200"], "{all}");
            assert!(all.contains("connection: close"), "{all}");
            assert!(all.ends_with("\r\n\r\nab"), "{all}");
        })
        .await;
    }
}

#[tokio::test(start_paused = true)]
async fn long_heads_are_refused() {
    for head in [
        format!(
            "GET / HTTP/1.1\r\nhost: x\r\na: {}\r\n\r\n",
            "b".repeat(9_000)
        ),
        format!("GET /{} HTTP/1.1\r\nhost: x\r\n\r\n", "b".repeat(9_000)),
        format!(
            "GET / HTTP/1.1\r\nhost: x\r\n{}\r\n",
            "a: b\r\n".repeat(200)
        ),
    ] {
        local(async {
            let mut served = Served::start();
            served.write(&head).await;
            let all = served.rest().await;
            assert_eq!(statuses(&all), ["431"], "{all}");
        })
        .await;
    }
}

#[tokio::test(start_paused = true)]
async fn pipelined_requests_are_answered_in_their_order() {
    local(async {
        let served = Served::start();
        let mut all = "GET /slow HTTP/1.1\r\nhost: x\r\n\r\n".to_owned();
        for nth in 0..50 {
            all.push_str(&format!("GET /{nth} HTTP/1.1\r\nhost: x\r\n\r\n"));
            all.push_str("POST /echo HTTP/1.1\r\nhost: x\r\ncontent-length: 3\r\n\r\nabc");
        }
        all.push_str(
            "POST /echo HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n\
             2\r\nde\r\n1\r\nf\r\n0\r\n\r\n",
        );
        all.push_str("GET /behind-chunks HTTP/1.1\r\nhost: x\r\n\r\n");
        let (mut near, mut far) = tokio::io::split(served.client);
        let writing = spawn_local(async move {
            far.write_all(all.as_bytes()).await.unwrap();
            far
        });
        let mut text = String::new();
        let read = near.read_to_string(&mut text);
        timeout(IN_VAIN, read).await.unwrap().unwrap();
        let _far = writing.await;
        let bodies = text.split("HTTP/1.").skip(1);
        let bodies: Vec<_> = bodies
            .map(|answer| answer.rsplit("\r\n\r\n").next().unwrap())
            .collect();
        let mut expected = vec!["slow".to_owned()];
        for nth in 0..50 {
            expected.extend([format!("/{nth}"), "abc".to_owned()]);
        }
        expected.push("def".to_owned());
        assert_eq!(bodies, expected);
        assert_eq!(served.connection.received(), 102);
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_client_that_closes_its_side_gets_its_answer() {
    local(async {
        for path in ["/slow", "/long", "/wait"] {
            let mut served = Served::start();
            let request = format!("GET {path} HTTP/1.1\r\nhost: x\r\n\r\n");
            let begun = Instant::now();
            served.write(&request).await;
            served.client.shutdown().await.unwrap();
            let all = served.rest().await;
            assert_eq!(statuses(&all).len(), 1, "{path}: {all}");
            assert!(begun.elapsed() < Duration::from_secs(4), "{path}");
            assert!(served.task.await.unwrap().is_ok(), "{path}");
            assert_eq!(served.seen.given_up.get(), 0, "{path}");
        }
        // But not if its request is not complete.
        let mut served = Served::start();
        served
            .write("POST /echo HTTP/1.1\r\nhost: x\r\ncontent-length: 3\r\n\r\nab")
            .await;
        served.client.shutdown().await.unwrap();
        let all = served.rest().await;
        assert!(matches!(*statuses(&all), [] | ["400"]), "{all}");
        drop(served.task.await);
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_client_that_is_gone_ends_its_call() {
    local(async {
        let mut served = Served::start();
        served.write("GET /long HTTP/1.1\r\nhost: x\r\n\r\n").await;
        let _first = served.client.read_u8().await.unwrap();
        drop(served.client);
        timeout(IN_VAIN, served.task)
            .await
            .unwrap()
            .unwrap()
            .unwrap_err();
        let written = served.seen.written.get().unwrap();
        assert!(written <= 16 * 1024, "{written}");
        assert_eq!(served.seen.given_up.get(), 0);
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_client_that_must_leave_gets_its_answer_and_is_told() {
    local(async {
        // Busy.
        let mut served = Served::start();
        served.write("GET /a HTTP/1.1\r\nhost: x\r\n\r\n").await;
        let first = served.read_until("/a").await;
        assert!(!first.contains("connection:"), "{first}");
        served.write("GET /wait HTTP/1.1\r\nhost: x\r\n\r\n").await;
        sleep(Duration::from_secs(1)).await;
        served.connection.leave();
        let all = served.read_until("\r\n\r\n").await;
        assert_eq!(statuses(&all), ["204"]);
        assert!(all.contains("connection: close"), "{all}");
        assert_eq!(served.rest().await, "");
        // Idle, once with a call before and once without.
        for nth in 0..2 {
            let mut served = Served::start();
            if nth > 0 {
                served.write("GET /a HTTP/1.1\r\nhost: x\r\n\r\n").await;
                served.read_until("/a").await;
            }
            sleep(Duration::from_secs(1)).await;
            served.connection.leave();
            assert_eq!(served.rest().await, "");
        }
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn answers_to_requests_that_are_not_read_arrive() {
    local(async {
        let mut served = Served::start();
        let body = "x".repeat(100_000);
        let head = "POST /echo HTTP/1.1\r\nhost: x\r\ncontent-length: 100000\r\n\r\n";
        let (mut near, mut far) = tokio::io::split(served.client);
        let writing = spawn_local(async move {
            // All of it is taken, although nothing is done with it.
            far.write_all(head.as_bytes()).await.unwrap();
            far.write_all(body.as_bytes()).await.unwrap();
        });
        let mut all = String::new();
        near.read_to_string(&mut all).await.unwrap();
        assert_eq!(statuses(&all), ["413"], "{all}");
        writing.await.unwrap();
        // The end waits for the client, but not forever.
        let begun = Instant::now();
        timeout(IN_VAIN, served.task)
            .await
            .unwrap()
            .unwrap()
            .unwrap();
        assert!(begun.elapsed() <= Duration::from_secs(3));
        served = Served::start();
        drop(served.client);
        served.task.await.unwrap().unwrap();
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn bodies_have_limits_of_length_and_time() {
    local(async {
        for (what, request, status) in [
            (
                "long by its length",
                format!("content-length: {}\r\n\r\n", LIMIT + 1),
                "413",
            ),
            (
                "long by its chunks",
                format!(
                    "transfer-encoding: chunked\r\n\r\n40\r\n{}\r\n1\r\nx",
                    "x".repeat(LIMIT)
                ),
                "413",
            ),
            ("slow", "content-length: 3\r\n\r\nab".to_owned(), "408"),
            (
                "as long as may be",
                format!("content-length: {LIMIT}\r\n\r\n{}", "x".repeat(LIMIT)),
                "200",
            ),
        ] {
            let mut served = Served::start();
            let head = "POST /echo HTTP/1.1\r\nhost: x\r\nconnection: close\r\n";
            served.write(&format!("{head}{request}")).await;
            let all = served.rest().await;
            assert_eq!(statuses(&all), [status], "{what}: {all}");
        }
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn parts_of_heads_are_noticed_and_idle_connections_are_none() {
    local(async {
        let mut served = Served::start();
        let connection = served.connection.clone();
        assert!(!connection.has_partial());
        for (bytes, is_partial) in [
            ("GET /a HTTP/1.1\r\n", true),
            ("host: x\r\n\r\n", false),
            ("G", true),
            ("ET /slow HTTP/1.1\r\nhost: x\r\n\r\n", false),
        ] {
            served.write(bytes).await;
            sleep(Duration::from_millis(1)).await;
            assert_eq!(connection.has_partial(), is_partial, "{bytes}");
        }
        sleep(Duration::from_secs(5)).await;
        assert!(!connection.has_partial());
        assert!(!connection.is_open());
        assert_eq!(connection.received(), 2);
        // Nothing of it is over by itself: that is for those who look after all clients.
        let waits = poll_fn(|_| Poll::Ready(served.task.is_finished())).await;
        assert!(!waits);
        sleep(Duration::from_secs(3_600)).await;
        assert!(!served.task.is_finished());
        connection.close();
        timeout(IN_VAIN, served.task)
            .await
            .unwrap()
            .unwrap()
            .unwrap();
    })
    .await;
}
