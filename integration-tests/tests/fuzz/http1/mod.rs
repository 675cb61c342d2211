//! HTTP: a whole connection of HTTP/1.1 with requests of the JSON API and of the existing SDKs'
//! protocol, into the server of `processors/http`, without a broker or a name server behind it.
//!
//! What the server serves is compared with what an independent reader ([`framing`]) finds in the
//! same bytes: a request that stands in the body of another, or behind what may be read in two
//! ways, must never be served.

mod framing;
mod requests;
mod script;
mod wire;
mod worker;

use std::cell::Cell;
use std::rc::Rc;
use std::time::Duration;

use http::{Method, Uri};
use http_api::Connection;
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream, ReadHalf, WriteHalf, split};
use tokio::sync::Notify;
use tokio::task::yield_now;
use tokio::time::{sleep, timeout};

use self::framing::End;
use self::script::{Script, Step};
use self::wire::Answers;
use self::worker::Worker;
use crate::random::Random;
use crate::{Target, in_paused_time, outcome};

/// The first byte is what kind of connection it is, and the next eight where the sizes of the
/// pieces begin; then follow the bytes of a connection, or kinds of requests: see [`Script`].
pub(crate) const CONNECTION: Target = Target {
    name: "http-connection",
    run,
    longest: 8_192,
    tokens: TOKENS,
    seeds: script::seeds,
    generate: Some(script::generate),
};

const TOKENS: &[&[u8]] = &[
    b"GET /v1/hidden HTTP/1.1\r\nhost: h\r\n\r\n",
    b"POST /v1/topics/T/messages HTTP/1.1\r\nhost: h\r\ncontent-length: 5\r\n\r\nhello",
    b"POST /topics/T/messages HTTP/1.1\r\nhost: h\r\ntransfer-encoding: chunked\r\n\r\n",
    b"GET /v1/topics/T HTTP/1.0\r\nconnection: keep-alive\r\n\r\n",
    b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    b"CONNECT h:80 HTTP/1.1\r\n",
    b"OPTIONS * HTTP/1.1\r\n",
    b"GET http://h/v1/topics/T HTTP/1.1\r\n",
    b"content-length: 3\r\n",
    b"content-length: 4\r\n",
    b"Content-Length: 3, 3\r\n",
    b"content-length: +3\r\n",
    b"content-length: 18446744073709551616\r\n",
    b"content-length : 3\r\n",
    b" content-length: 3\r\n",
    b"\tfolded\r\n",
    b"transfer-encoding: chunked\r\n",
    b"transfer-encoding: chunked\r\ncontent-length: 3\r\n",
    b"transfer-encoding: identity\r\n",
    b"transfer-encoding: gzip, chunked\r\n",
    b"Transfer-Encoding:\x0bchunked\r\n",
    b"transfer-encoding\t: chunked\r\n",
    b"expect: 100-continue\r\n",
    b"connection: close\r\n",
    b"connection: upgrade\r\nupgrade: websocket\r\n",
    b"content-encoding: gzip\r\n",
    b"host: other\r\n",
    b"x-mq-namespace: \xff\r\n",
    b"\r\n0\r\n\r\n",
    b"\n0\n\n",
    b"3\r\nabc\r\n",
    b"+3\r\nabc\r\n",
    b"0x3\r\nabc\r\n",
    b"3\nabc\n",
    b"3;a\nb\r\n",
    b"10000000000000003\r\n",
    b"0\r\nx-a: b\r\n\r\n",
    b"0\r\nx-a: b\n\nGET /v1/hidden HTTP/1.1\r\n\r\n",
    b"a: b\rc: d\r\n",
    b"\r\n",
    b"\n",
    b"\r",
    b"\0",
    b"\xc3(",
    b"a: \x01R\x20b\r\n",
    b"\x01W\x01",
    b"\x01W\x50",
    b"\x01L",
];

/// Longer than a script may wait. The clock stands still while anything happens, so that this is
/// over immediately when nothing happens any more.
const IN_VAIN: Duration = Duration::from_secs(100_000);

/// Longer than a client may be silent.
const STUCK: Duration = Duration::from_secs(60);

/// By when a client that reads must have its answers, or the end of its connection. A body may
/// take 30 s to arrive, and name servers may be silent.
const ANSWER_TIME: Duration = Duration::from_secs(60);

/// By when nothing of a connection may be left.
const LEAVE_TIME: Duration = Duration::from_secs(600);

/// Bytes that may be charged to a connection beside an idle one: the longest answer, and a request
/// with its headers; how many for each byte of it; and what a body in gzip may have.
const PER_CALL: usize = 256 * 1024;
const PER_BYTE: usize = 4;
const DECOMPRESSED: usize = 2 * (16 << 20);

fn run(input: &[u8]) -> u64 {
    let Some(script) = Script::read(input) else {
        return 0;
    };
    in_paused_time(go(script))
}

async fn go(script: Script) -> u64 {
    let worker = Worker::start(script.is_silent);
    let ledger = worker.upstream.buffers().ledger().clone();
    let idle = ledger.held();
    let serving = worker.connect(script.capacity);
    let (connection, served) = (serving.connection, serving.served);
    let mut most = connection.account().held() + PER_CALL + PER_BYTE * script.length;
    if script.is_compressed {
        most += DECOMPRESSED;
    }
    let peak = Cell::new(0);
    let look = || peak.set(peak.get().max(connection.account().held()));
    let talk = client(serving.client, &script, &connection, look);
    let answers = timeout(IN_VAIN, talk).await;
    let answers = answers.expect("the connection stands still");
    assert!(peak.get() <= most, "{} bytes, may be {most}", peak.get());

    // The client has left.
    let ended = timeout(IN_VAIN, serving.task).await;
    let ended = ended.expect("the connection does not end");
    let is_ok = ended.expect("the connection's task has panicked");
    check(&script, &answers, &served.borrow());
    let left = Rc::downgrade(&connection);
    drop(connection);
    next_client(&worker).await;
    let all_left = async {
        while left.strong_count() > 0 || ledger.held() > idle {
            sleep(Duration::from_secs(1)).await;
        }
    };
    if timeout(LEAVE_TIME, all_left).await.is_err() {
        let (held, times) = (ledger.held() - idle, left.strong_count());
        panic!("{held} bytes are held for a client that has left, {times} times");
    }

    let size = |number: usize| usize::BITS - number.leading_zeros();
    let statuses: Vec<u16> = answers.all.iter().map(|one| one.status).take(6).collect();
    outcome((
        (is_ok, answers.has_ended, script.end, script.is_made),
        (statuses, size(answers.all.len()), answers.interim.min(2)),
        (size(served.borrow().len()), size(peak.get()) / 3),
    ))
}

/// Another client of the same worker is served.
async fn next_client(worker: &Worker) {
    let mut serving = worker.connect(1_024);
    let request = b"OPTIONS * HTTP/1.1\r\nhost: h\r\nconnection: close\r\n\r\n";
    let exchange = async {
        serving.client.write_all(request).await?;
        let mut answer = String::new();
        serving.client.read_to_string(&mut answer).await?;
        Ok::<_, std::io::Error>(answer)
    };
    let answer = timeout(ANSWER_TIME, exchange).await;
    let answer = answer.expect("the next client is not answered");
    let answer = answer.expect("the next client is served");
    assert!(answer.starts_with("HTTP/1.1 204 "), "{answer}");
    drop(serving.client);
    assert!(serving.task.await.expect("the next connection's task ends"));
}

/// Compares what was served, and the answers, with the requests that the client has sent.
fn check(script: &Script, answers: &Answers, served: &[(Method, Uri)]) {
    let Script { asked, end, .. } = script;
    let is_same = served.len() <= asked.len() && {
        let mut pairs = asked.iter().zip(served);
        pairs.all(|(asked, (method, uri))| asked.is(method, uri))
    };
    assert!(
        is_same,
        "served {served:?}, but the requests are {asked:?}, then {end:?}"
    );
    if script.never_reads {
        return;
    }
    // One that the connection itself answers is the last.
    let (count, all) = (served.len(), &answers.all);
    let own = all.get(count..).unwrap_or_default();
    let is_own = |one: &wire::One| one.closes && matches!(one.status, 400 | 414 | 431);
    assert!(
        own.is_empty() || own.len() == 1 && is_own(&own[0]),
        "{count} requests were served, and {own:?} answered beside them"
    );
    // Once a request has asked for another protocol or a tunnel, the end of the connection does not
    // wait for what is still to be written.
    let (is_cut_off, rest) = (
        !answers.unread().is_empty(),
        answers.unread().escape_ascii(),
    );
    assert!(
        !is_cut_off || script.upgrades,
        "an answer is cut off: {rest}"
    );
    if answers.has_ended {
        let missing = count.saturating_sub(all.len());
        assert!(missing <= 1, "{missing} requests were not answered");
    } else {
        assert!(all.len() >= count, "{} of {count} answered", all.len());
        let closes = all.last().is_some_and(|one| one.closes);
        // A request that has started to arrive when the proxy asks is still served.
        let leaves = script.leaves && *end != End::Head;
        let must_end = closes || script.ends_by_halves || leaves || end.is_final();
        assert!(!must_end, "the connection does not end: {all:?}, {end:?}");
    }
    if script.is_made {
        all_are_answered(script, answers);
    }
}

/// Well-formed requests are answered, up to one behind which the connection must end.
fn all_are_answered(script: &Script, answers: &Answers) {
    let asked = &script.asked;
    for (nth, one) in answers.all.iter().enumerate() {
        let asked = &asked[nth];
        let body = String::from_utf8_lossy(&one.body);
        let is_read = !["InvalidDigest", "no gzip"]
            .iter()
            .any(|code| body.contains(code));
        assert!(is_read, "another body was read of {asked:?}: {body}");
    }
    let closes = answers.all.last().is_some_and(|one| one.closes);
    let count = answers.all.len();
    assert!(
        count == asked.len() || closes,
        "{count} of {} requests were answered",
        asked.len()
    );
}

/// Writes the script and reads what comes back, until nothing more is expected.
async fn client(
    far: DuplexStream,
    script: &Script,
    connection: &Connection,
    look: impl Fn(),
) -> Answers {
    let (mut from, to) = split(far);
    let written = Notify::new();
    let write = async {
        let to = write(to, script, connection, &look).await;
        written.notify_one();
        to
    };
    let read = async {
        let mut answers = Answers::default();
        if !script.never_reads {
            let over = async {
                written.notified().await;
                sleep(ANSWER_TIME).await;
            };
            tokio::select! {
                () = read(&mut from, &mut answers, script, &look) => {}
                () = over => {}
            }
        }
        (answers, from)
    };
    let (to, (answers, from)) = tokio::join!(write, read);
    let is_partial = script.end == End::Head && script.asked.is_empty();
    if is_partial && !script.never_reads && !answers.has_ended {
        // A worker ends it when the rest does not arrive. (What has arrived together with the
        // request before is not noticed.)
        assert!(connection.has_partial(), "a part of a head is not noticed");
    }
    drop(from.unsplit(to));
    answers
}

async fn write(
    mut to: WriteHalf<DuplexStream>,
    script: &Script,
    connection: &Connection,
    look: &impl Fn(),
) -> WriteHalf<DuplexStream> {
    let mut random = script.random.clone();
    // Pieces of a few bytes throughout, or of more.
    let most = random.pick(&[1, 9, 30, 1_000, 70_000]);
    for step in &script.steps {
        let bytes = match step {
            Step::Write(bytes) => bytes,
            Step::Wait(time) => {
                sleep(*time).await;
                continue;
            }
            Step::Leave => {
                connection.leave();
                continue;
            }
        };
        let most = most.max(bytes.len() / 150);
        let mut rest = &bytes[..];
        while !rest.is_empty() {
            let (piece, more) = rest.split_at(rest.len().min(1 + random.below(most)));
            rest = more;
            match timeout(STUCK, to.write_all(piece)).await {
                Ok(Ok(())) => {}
                // The server has ended it.
                Ok(Err(_)) => return to,
                // A worker ends one that takes nothing, as it can see.
                Err(_) => {
                    let blocked = connection.blocked();
                    assert!(blocked.is_some(), "nothing ends the connection");
                    connection.close();
                    return to;
                }
            }
            look();
            if random.once_in(20) {
                yield_now().await;
            }
        }
    }
    if script.ends_by_halves {
        let _ = to.shutdown().await;
    }
    to
}

/// Reads until the server ends the connection.
async fn read(
    from: &mut ReadHalf<DuplexStream>,
    answers: &mut Answers,
    script: &Script,
    look: &impl Fn(),
) {
    let mut random = Random(script.random.0 ^ 1);
    let mut buffer = vec![0; 1 + random.pick(&[3, 100, 20_000])];
    let is_head = |nth: usize| {
        script
            .asked
            .get(nth)
            .is_some_and(|asked| asked.method == "HEAD")
    };
    loop {
        match from.read(&mut buffer).await {
            Ok(0) | Err(_) => break answers.has_ended = true,
            Ok(count) => answers.take_in(&buffer[..count], is_head),
        }
        look();
    }
}
