//! gRPC: a whole connection of HTTP/2 with calls, into the server of `processors/grpc`, without a
//! broker or a name server behind it.

mod requests;
mod script;
mod wire;

use std::cell::Cell;
use std::collections::BTreeSet;
use std::net::Ipv4Addr;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use grpc::metrics::GrpcMetrics;
use grpc::{Connection, Server, Settings};
use http_server::{Endpoint, Version};
use messaging::metrics::{Labels, TopicMetrics};
use route_cache::{BrokerTable, RouteCache, RouteConfig, Upstream, UpstreamConfig, name_servers};
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream, ReadHalf, duplex, split};
use tokio::sync::Notify;
use tokio::task::{spawn_local, yield_now};
use tokio::time::{sleep, timeout};

use self::script::{Script, Step};
use self::wire::Answers;
use crate::random::Random;
use crate::{Target, in_paused_time, outcome};

/// The first byte is what kind of connection it is, and the next eight where the sizes of the
/// pieces begin; then come [parts](Script), of three bytes and those of their own.
pub(crate) const CONNECTION: Target = Target {
    name: "grpc-connection",
    run,
    longest: 1_024,
    tokens: &[
        b"\x02\x0a\0",
        b"\x02\x0f\x02",
        b"\x02\x0c\x20",
        b"\x04\0\xff",
        b"\x04\x02\xff",
        b"\x04\x03\xff",
        b"\x05\xff\x01",
        b"\x09\0\0",
        // A header that is remembered, then many references to it.
        b"\x08\x04\x0c\x40\x01a\x01b\xbe\xbe\xbe\xbe\xbe\xbe\xbe",
        // Header blocks: another size of the table, and a long string.
        b"\x3f\xe1\x1f",
        b"\x20",
        b"\x7f\x80\xff\xff\xff\x7f",
        b"\x83\x86\x84",
        // SETTINGS: windows, the length of frames.
        b"\x00\x04\x08\0\0\0\x04\x7f\xff\xff\xff",
        b"\x00\x04\x08\0\0\0\x05\0\xff\xff\xff",
        b"\x00\x08\x06\0\0\x7f\xff\xff\xff",
    ],
    seeds: script::seeds,
    generate: Some(script::generate),
};

/// Longer than a script may wait. The clock stands still while anything happens, so that this is
/// over at once when nothing does any more.
const IN_VAIN: Duration = Duration::from_secs(100_000);

/// Longer than a client may be silent.
const STUCK: Duration = Duration::from_secs(60);

/// By when a client that reads must have its answers: nothing here waits longer, but for name
/// servers that are silent.
const ANSWER_TIME: Duration = Duration::from_secs(60);

/// How long name servers are silent, before they are unreachable.
const SILENT_TIME: Duration = Duration::from_secs(5);

/// By when nothing of a connection may be left. Clients that are present are announced every 20 s.
const LEAVE_TIME: Duration = Duration::from_secs(600);

fn run(input: &[u8]) -> u64 {
    let Some(script) = Script::read(input) else {
        return 0;
    };
    in_paused_time(go(script))
}

/// A worker's server.
fn server(metrics: Arc<GrpcMetrics>, is_silent: bool) -> (Rc<Server>, Rc<Upstream>) {
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
    let server = Server::new(Rc::default(), Settings::default(), metrics);
    (server, upstream)
}

async fn go(script: Script) -> u64 {
    let topics = TopicMetrics::new(Labels::of_topics(&[]).into(), Labels::of_groups(&[]).into());
    let metrics = Arc::new(GrpcMetrics::new(topics.into()));
    let (server, upstream) = server(metrics.clone(), script.is_silent);
    let ledger = upstream.buffers().ledger().clone();
    let endpoint = Endpoint {
        peer: (Ipv4Addr::LOCALHOST, 40_000).into(),
        advertised: "127.0.0.1:8080".into(),
        meter: Arc::default(),
    };
    let settings = http_server::Settings::default();
    let over = http_server::Connection::new(
        upstream,
        &settings,
        Arc::default(),
        Version::Http2,
        endpoint,
    );
    let connection = Connection::new(server, over.clone());
    let most = connection.account().held() + script.allowed;
    let (near, far) = duplex(script.capacity);
    let serving = spawn_local({
        let connection = connection.clone();
        async move {
            let answering = connection.clone();
            let answer = move |request| grpc::answer(answering.clone(), request);
            let ended = http_server::serve(&over, near, answer).await;
            connection.close();
            ended.is_ok()
        }
    });
    let peak = Cell::new(0);
    let look = || peak.set(peak.get().max(connection.account().held()));
    let talk = timeout(IN_VAIN, client(far, &script, &connection, look));
    let answers = talk.await.expect("the connection stands still");
    assert!(peak.get() <= most, "{} bytes, may be {most}", peak.get());

    // The client is gone.
    let ended = timeout(IN_VAIN, serving).await;
    let ended = ended.expect("the connection does not end");
    let is_ok = ended.expect("the connection's task has panicked");
    let (left, calls) = (Rc::downgrade(&connection), connection.received());
    drop(connection);
    let all_left = async {
        while left.strong_count() > 0 || ledger.held() > 0 {
            sleep(Duration::from_secs(1)).await;
        }
    };
    if timeout(LEAVE_TIME, all_left).await.is_err() {
        let held = ledger.held();
        panic!(
            "{held} bytes are held for a client that is gone, {} times",
            left.strong_count()
        );
    }

    let size = |number: usize| usize::BITS - number.leading_zeros();
    let mut ends = BTreeSet::new();
    metrics.visit(|call, end, _| {
        ends.insert((call, end));
    });
    let errors: BTreeSet<&u32> = answers.reset.values().collect();
    outcome((
        (is_ok, answers.last_error, errors),
        (size(answers.ended.len()), size(answers.pongs)),
        (size(calls as usize), size(peak.get()) / 3, ends),
    ))
}

/// Writes the script and reads what comes back, until nothing more is expected.
async fn client(
    far: DuplexStream,
    script: &Script,
    connection: &Connection,
    look: impl Fn(),
) -> Answers {
    let (mut from, mut to) = split(far);
    let mut random = script.random.clone();
    let written = Notify::new();
    let write = async {
        // Pieces of a few bytes throughout, or of more.
        let most = random.pick(&[1, 9, 30, 1_000, 70_000]);
        for step in &script.steps {
            match step {
                Step::Wait(time) => sleep(*time).await,
                Step::Leave => connection.leave(),
                Step::Write(bytes) => {
                    let most = most.max(bytes.len() / 150);
                    let mut rest = &bytes[..];
                    while !rest.is_empty() {
                        let (piece, more) = rest.split_at(rest.len().min(1 + random.below(most)));
                        rest = more;
                        match timeout(STUCK, to.write_all(piece)).await {
                            Ok(Ok(())) => {}
                            // The server has ended it.
                            Ok(Err(_)) => break,
                            // A worker ends one that takes nothing, as it can see.
                            Err(_) => {
                                let blocked = connection.blocked();
                                assert!(blocked.is_some(), "nothing ends the connection");
                                connection.close();
                                break;
                            }
                        }
                        look();
                        if random.once_in(20) {
                            yield_now().await;
                        }
                    }
                }
            }
            look();
        }
        written.notify_one();
        if script.ends_by_halves {
            let _ = to.shutdown().await;
        }
        to
    };
    let read = async {
        let mut answers = Answers::default();
        if !script.never_reads {
            let waiting = read(&mut from, &mut answers, script, &look);
            let time = match &script.expected {
                // It goes as soon as it has written everything.
                None => Duration::from_millis(1),
                Some(_) => ANSWER_TIME,
            };
            let over = async {
                written.notified().await;
                sleep(time).await;
            };
            tokio::select! {
                () = waiting => {}
                () = over => {}
            }
        }
        (answers, from)
    };
    let (to, (answers, from)) = tokio::join!(write, read);
    if let Some((calls, pings)) = &script.expected {
        for stream in calls {
            let is_answered = answers.ended.contains(stream);
            assert!(is_answered, "stream {stream} was not answered: {answers:?}");
        }
        assert!(
            answers.pongs >= *pings,
            "{} of {pings} pings",
            answers.pongs
        );
    }
    drop(from.unsplit(to));
    answers
}

/// Reads until everything that is expected is there, or the server ends the connection.
async fn read(
    from: &mut ReadHalf<DuplexStream>,
    answers: &mut Answers,
    script: &Script,
    look: &impl Fn(),
) {
    let mut random = Random(script.random.0 ^ 1);
    let mut buffer = vec![0; 1 + random.pick(&[3, 100, 20_000])];
    loop {
        if let Some((calls, pings)) = &script.expected {
            let all = calls.iter().all(|stream| answers.ended.contains(stream));
            if all && answers.pongs >= *pings {
                return;
            }
        }
        match from.read(&mut buffer).await {
            Ok(0) | Err(_) => return,
            Ok(count) => answers.take_in(&buffer[..count]),
        }
        look();
    }
}
