//! A broker that stores nothing and answers as a real one does: immediately, late, or not at all.

use std::{
    cell::RefCell,
    collections::HashMap,
    rc::{Rc, Weak},
    sync::{Arc, atomic::Ordering},
    time::Duration,
};

use bytes::BytesMut;
use remoting_codec::RequestCode;
use serde_json::json;
use tokio::{
    io::AsyncWriteExt,
    net::{TcpStream, tcp::OwnedWriteHalf},
    sync::{Notify, Semaphore},
    task::yield_now,
    time::{Instant, sleep, sleep_until},
};

use super::{
    upstream::{Seen, UNANSWERED},
    wire::{Frame, FrameReader, Request},
};
use crate::wait::now_ms;

/// PULL_NOT_FOUND and POLLING_TIMEOUT.
const NOT_FOUND: i32 = 19;
const POLLING_TIMEOUT: i32 = 210;
/// In a pull's `sysFlag`: it may wait.
const SUSPEND: i64 = 2;
/// How long a client may take to answer what a broker relays to it (`Broker2Client`).
const CLIENT_PATIENCE: Duration = Duration::from_secs(10);
/// The period of a broker at its limit: from [`PAUSE_FROM_MS`] to its end, it answers nothing.
const PAUSE_EVERY_MS: u64 = 4_000;
const PAUSE_FROM_MS: u64 = 3_000;
/// How long what came then takes: longer than any client waits.
const PAUSED: Duration = Duration::from_millis(4_500);

/// One broker.
#[derive(Debug)]
pub(super) struct Broker {
    seen: Arc<Seen>,
    /// Where clients are, by id.
    clients: RefCell<HashMap<String, Weak<Outbox>>>,
    /// The requests that wait for a client's answer: the asking connection and its opaque, by the
    /// opaque that the client got.
    asked: RefCell<HashMap<i32, (Weak<Outbox>, i32)>>,
    next: RefCell<i32>,
    /// Held by the connection that begins or ends, until the sockets were polled again: thousands
    /// do at once, and a real broker has other threads for requests meanwhile.
    turns: Semaphore,
}

/// What waits to be written to one connection.
#[derive(Debug, Default)]
struct Outbox {
    bytes: RefCell<BytesMut>,
    more: Notify,
}

impl Outbox {
    fn push(&self, frame: &[u8]) {
        self.bytes.borrow_mut().extend_from_slice(frame);
        self.more.notify_one();
    }

    async fn write(&self, mut to: OwnedWriteHalf) {
        loop {
            let bytes = self.bytes.take();
            if bytes.is_empty() {
                self.more.notified().await;
            } else if to.write_all(&bytes).await.is_err() {
                return;
            }
        }
    }
}

/// What becomes of a request.
enum Reply {
    Now(Request),
    At(Instant, Request),
    Never,
}

impl Broker {
    pub(super) fn new(seen: Arc<Seen>) -> Self {
        Self {
            seen,
            clients: RefCell::default(),
            asked: RefCell::default(),
            next: RefCell::new(1),
            turns: Semaphore::new(1),
        }
    }

    async fn turn(&self) {
        let _turn = self.turns.acquire().await;
        yield_now().await;
    }

    pub(super) async fn serve(self: Rc<Self>, stream: TcpStream) {
        self.turn().await;
        let _ = stream.set_nodelay(true);
        let (mut reading, writing) = stream.into_split();
        let outbox = Rc::<Outbox>::default();
        let read = async {
            let mut reader = FrameReader::default();
            loop {
                match reader.next(&mut reading).await {
                    Ok(Some((frame, length))) => {
                        self.seen.bytes.fetch_add(length as u64, Ordering::Relaxed);
                        self.take(&frame, &outbox);
                    }
                    Ok(None) => break,
                    Err(e) => {
                        // Its own words, as against those of the system.
                        if e.kind() == std::io::ErrorKind::Other {
                            self.seen.unreadable.fetch_add(1, Ordering::Relaxed);
                        }
                        break;
                    }
                }
            }
            self.turn().await;
        };
        tokio::select! {
            () = read => {}
            () = outbox.write(writing) => {}
        }
    }

    fn take(&self, frame: &Frame, outbox: &Rc<Outbox>) {
        if frame.is_response() {
            let asker = self.asked.borrow_mut().remove(&frame.opaque);
            if let Some((asker, opaque)) = asker
                && let Some(asker) = asker.upgrade()
            {
                let answer = Request::response(frame.code).body(frame.body.clone());
                asker.push(&answer.to_frame(opaque));
            }
            return;
        }
        let opaque = frame.opaque;
        match self.reply(frame, outbox) {
            Reply::Now(answer) if !frame.is_oneway() => outbox.push(&answer.to_frame(opaque)),
            Reply::At(at, answer) if !frame.is_oneway() => {
                let outbox = Rc::downgrade(outbox);
                tokio::task::spawn_local(async move {
                    sleep_until(at).await;
                    if let Some(outbox) = outbox.upgrade() {
                        outbox.push(&answer.to_frame(opaque));
                    }
                });
            }
            _ => {}
        }
    }

    fn reply(&self, frame: &Frame, outbox: &Rc<Outbox>) -> Reply {
        if is_left_unanswered(frame) {
            return Reply::Never;
        }
        let ok = || Request::response(0);
        match RequestCode(frame.code) {
            RequestCode::SEND_MESSAGE
            | RequestCode::SEND_MESSAGE_V2
            | RequestCode::SEND_BATCH_MESSAGE => self.store(ok()),
            RequestCode::PULL_MESSAGE | RequestCode::LITE_PULL_MESSAGE => pull(frame),
            RequestCode::POP_MESSAGE | RequestCode::NOTIFICATION => poll(frame),
            RequestCode::HEART_BEAT => self.register(frame, outbox),
            // `EndTransactionProcessor`: the type is neither commit nor rollback, and it returns no
            // response.
            RequestCode::END_TRANSACTION if frame.number("commitOrRollback") == Some(0) => {
                Reply::Never
            }
            RequestCode::GET_CONSUMER_LIST_BY_GROUP => {
                Reply::Now(ok().body(json!({"consumerIdList": ["someone"]}).to_string()))
            }
            // Everything has its default.
            RequestCode::GET_TOPIC_CONFIG | RequestCode::GET_SUBSCRIPTIONGROUP_CONFIG => {
                Reply::Now(ok().body("{}"))
            }
            RequestCode::LOCK_BATCH_MQ => {
                Reply::Now(ok().body(json!({"lockOKMQSet": []}).to_string()))
            }
            RequestCode::QUERY_CONSUMER_OFFSET | RequestCode::GET_MAX_OFFSET => {
                Reply::Now(ok().field("offset", 0))
            }
            RequestCode::GET_CONSUMER_CONNECTION_LIST
            | RequestCode::GET_PRODUCER_CONNECTION_LIST => {
                Reply::Now(ok().body(json!({"connectionSet": []}).to_string()))
            }
            RequestCode::GET_CONSUMER_RUNNING_INFO | RequestCode::CONSUME_MESSAGE_DIRECTLY => {
                self.ask_client(frame, outbox)
            }
            _ => Reply::Now(ok()),
        }
    }

    fn store(&self, ok: Request) -> Reply {
        let stored = ok
            .field("msgId", "7F00000100002A9F0000000000012345")
            .field("queueId", 0)
            .field("queueOffset", 1);
        let paused =
            self.seen.pausing.load(Ordering::Relaxed) && now_ms() % PAUSE_EVERY_MS >= PAUSE_FROM_MS;
        if paused {
            Reply::At(Instant::now() + PAUSED, stored)
        } else {
            Reply::Now(stored)
        }
    }

    fn register(&self, frame: &Frame, outbox: &Rc<Outbox>) -> Reply {
        self.seen.heartbeats.fetch_add(1, Ordering::Relaxed);
        let ok = Request::response(0);
        // A heartbeat may have megabytes: only this is looked for in it.
        let id = client_id(&frame.body).unwrap_or_default();
        let id = id.as_str();
        self.seen.note_id(id);
        self.clients
            .borrow_mut()
            .insert(id.to_owned(), Rc::downgrade(outbox));
        let delay = self.seen.heartbeat_ms.load(Ordering::Relaxed);
        if delay > 0 && id.starts_with("slow") {
            return Reply::At(Instant::now() + Duration::from_millis(delay), ok);
        }
        Reply::Now(ok)
    }

    /// Passes a question on to the client that it names, and its answer back.
    fn ask_client(&self, frame: &Frame, outbox: &Rc<Outbox>) -> Reply {
        let id = frame.field("clientId").unwrap_or_default();
        let client = self.clients.borrow().get(id).and_then(Weak::upgrade);
        let Some(client) = client else {
            return Reply::Now(Request::response(1));
        };
        let number = {
            let mut next = self.next.borrow_mut();
            *next += 1;
            *next
        };
        let mut asked = self.asked.borrow_mut();
        asked.retain(|_, (asker, _)| asker.strong_count() > 0);
        asked.insert(number, (Rc::downgrade(outbox), frame.opaque));
        let question = frame.fields.iter().fold(
            Request::new(RequestCode(frame.code)),
            |question, (name, value)| question.field(name, value),
        );
        client.push(&question.to_frame(number));
        let (outbox, opaque) = (Rc::downgrade(outbox), frame.opaque);
        // `Broker2Client` answers in place of a client that does not.
        tokio::task::spawn_local(async move {
            sleep(CLIENT_PATIENCE).await;
            if let Some(outbox) = outbox.upgrade() {
                outbox.push(&Request::response(206).to_frame(opaque));
            }
        });
        Reply::Never
    }
}

/// The first `clientID` of a heartbeat's body.
fn client_id(body: &[u8]) -> Option<String> {
    const KEY: &[u8] = b"\"clientID\":\"";
    let at = body.windows(KEY.len()).position(|window| window == KEY)?;
    let rest = body.get(at + KEY.len()..)?;
    let id = rest.split(|byte| *byte == b'"').next()?;
    Some(String::from_utf8_lossy(id).into_owned())
}

fn is_left_unanswered(frame: &Frame) -> bool {
    let marker = UNANSWERED.as_bytes();
    let marked = |bytes: &[u8]| bytes.windows(marker.len()).any(|window| window == marker);
    let mut values = frame.fields.iter();
    values.any(|(_, value)| marked(value.as_bytes()))
        // What is longer is no small question about a topic.
        || (frame.body.len() < 2048 && marked(&frame.body))
}

/// `PullMessageProcessor`: a pull that may wait is held for the time that it asks for.
fn pull(frame: &Frame) -> Reply {
    let waits = frame.number("sysFlag").unwrap_or(0) & SUSPEND != 0;
    let offset = frame.number("queueOffset").unwrap_or(0);
    let answer = |code| {
        Request::response(code)
            .field("suggestWhichBrokerId", 0)
            .field("nextBeginOffset", offset)
            .field("minOffset", 0)
            .field("maxOffset", 1000)
    };
    if !waits {
        return Reply::Now(answer(0).body(vec![b'x'; 1024]));
    }
    let wait = frame.number("suspendTimeoutMillis").unwrap_or(0);
    Reply::At(after(wait), answer(NOT_FOUND))
}

/// `PopLongPollingService`: held until `bornTime` + `pollTime`, and a little longer.
fn poll(frame: &Frame) -> Reply {
    let born = frame.number("bornTime").unwrap_or_default();
    let wait = frame.number("pollTime").unwrap_or_default();
    let now = i64::try_from(now_ms()).unwrap_or(i64::MAX);
    Reply::At(after(born + wait - now), Request::response(POLLING_TIMEOUT))
}

fn after(millis: i64) -> Instant {
    /// No request waits longer.
    const LONGEST: u64 = 3_600_000;
    let millis = u64::try_from(millis).unwrap_or(0).min(LONGEST);
    Instant::now() + Duration::from_millis(millis)
}
