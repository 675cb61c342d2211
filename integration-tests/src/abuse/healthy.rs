//! Clients that do nothing wrong, and must not notice that others do.

use std::{net::SocketAddr, thread::JoinHandle, time::Duration};

use anyhow::{Context, Result, bail};
use remoting_codec::RequestCode;
use serde_json::json;
use tokio::{
    io::AsyncWriteExt,
    net::TcpStream,
    runtime::Builder,
    sync::watch,
    task::LocalSet,
    time::{Instant, sleep, timeout},
};

use super::{
    measure::{Journal, Kind, Sample, Summary, summarize},
    upstream::{BROKERS, KNOWN},
    wire::{FrameReader, Request},
};

/// As long as a Java client waits.
const PATIENCE: Duration = Duration::from_secs(3);
/// How long they may take to be well, on a machine that starts other things.
const START_LIMIT: Duration = Duration::from_secs(40);
/// A client that is late by more than that skips the requests that it should have sent meanwhile.
const LATE: Duration = Duration::from_secs(2);
/// How long a client waits before it connects again.
const PAUSE: Duration = Duration::from_millis(100);

/// The answer of a server that wants its clients to reconnect elsewhere.
const GO_AWAY: i32 = 1500;

/// How many clients send, and directly.
const SENDERS: usize = 8;
const DIRECT: usize = 2;

/// A client asks so often. It does not hurry when it is answered sooner: load is not what is
/// measured.
const fn period(kind: Kind) -> Duration {
    match kind {
        Kind::Send | Kind::Direct => Duration::from_millis(10),
        Kind::Pull | Kind::DirectPull => Duration::from_millis(25),
        Kind::Control => Duration::from_millis(50),
    }
}

const fn clients(kind: Kind) -> usize {
    match kind {
        Kind::Send => SENDERS,
        Kind::Direct => DIRECT,
        Kind::Pull | Kind::DirectPull | Kind::Control => 1,
    }
}

/// Where the healthy are connected.
#[derive(Clone, Copy, Debug)]
pub struct Addresses {
    /// The proxy.
    pub proxy: SocketAddr,
    /// The first broker, for those that are connected directly.
    pub broker: SocketAddr,
}

/// Healthy clients at work. They stop with this.
#[derive(Debug)]
pub struct Healthy {
    journal: Journal,
    stop: watch::Sender<bool>,
    thread: Option<JoinHandle<()>>,
}

impl Healthy {
    /// Connects them and has them work.
    ///
    /// # Errors
    /// When none of them is answered.
    pub fn start(addresses: Addresses) -> Result<Self> {
        Self::start_with(addresses, KNOWN, BROKERS)
    }

    /// The same with a topic and brokers of the caller's.
    ///
    /// # Errors
    /// As for [`start`](Self::start).
    pub fn start_with(
        addresses: Addresses,
        topic: &str,
        brokers: [&'static str; 2],
    ) -> Result<Self> {
        let journal = Journal::default();
        let (stop, stopped) = watch::channel(false);
        let thread = std::thread::spawn({
            let (journal, topic) = (journal.clone(), topic.to_owned());
            move || {
                let Ok(runtime) = Builder::new_current_thread().enable_all().build() else {
                    return;
                };
                let all = LocalSet::new();
                for kind in Kind::ALL {
                    for nth in 0..clients(kind) {
                        let client = Client::new(kind, nth, addresses, &topic, brokers);
                        all.spawn_local(client.work(journal.clone()));
                    }
                }
                let mut stopped = stopped;
                runtime.block_on(all.run_until(async move {
                    let _ = stopped.wait_for(|stopped| *stopped).await;
                }));
            }
        });
        let healthy = Self {
            journal,
            stop,
            thread: Some(thread),
        };
        healthy.wait_well()?;
        Ok(healthy)
    }

    /// Waits until each kind is answered well.
    fn wait_well(&self) -> Result<()> {
        let begun = Instant::now();
        loop {
            let since = Instant::now();
            std::thread::sleep(Duration::from_millis(300));
            let until = since + Duration::from_millis(200);
            let well = |kind: &Kind| {
                let samples = self.journal.between(*kind, since, until);
                summarize(&samples, 1).ok_percent() > 90.0
            };
            let unwell = Kind::ALL.iter().find(|kind| !well(kind));
            match unwell {
                None => return Ok(()),
                Some(kind) if begun.elapsed() > START_LIMIT => {
                    bail!("{} are not answered, without any attack", kind.name())
                }
                Some(_) => {}
            }
        }
    }

    /// What came of the requests that were due in that span. It must be over for as long as a
    /// client waits, or all must be well.
    #[must_use]
    pub fn summary(&self, kind: Kind, from: Instant, to: Instant) -> Summary {
        let samples = self.journal.between(kind, from, to);
        let each = (to - from).as_millis() / period(kind).as_millis();
        // One more or less of each fits in.
        let expected = (each as usize).saturating_sub(2) * clients(kind);
        summarize(&samples, expected)
    }
}

impl Drop for Healthy {
    fn drop(&mut self) {
        let _ = self.stop.send(true);
        let _ = self.thread.take().map(JoinHandle::join);
    }
}

struct Client {
    kind: Kind,
    nth: usize,
    address: SocketAddr,
    topic: String,
    broker: &'static str,
    turn: usize,
}

/// A connection, and the number of its last request.
struct Line {
    stream: TcpStream,
    reader: FrameReader,
    opaque: i32,
}

impl Client {
    fn new(
        kind: Kind,
        nth: usize,
        addresses: Addresses,
        topic: &str,
        [first, second]: [&'static str; 2],
    ) -> Self {
        let address = match kind {
            Kind::Direct | Kind::DirectPull => addresses.broker,
            _ => addresses.proxy,
        };
        // Most are with the broker at which attackers are.
        let broker = if nth % 4 == 3 { second } else { first };
        Self {
            kind,
            nth,
            address,
            topic: topic.to_owned(),
            broker,
            turn: 0,
        }
    }

    async fn work(mut self, journal: Journal) {
        let mut line = None;
        let mut due = Instant::now() + Duration::from_millis(self.nth as u64);
        loop {
            tokio::time::sleep_until(due).await;
            let request = self.next();
            let answered = timeout(PATIENCE, self.ask(&mut line, &request)).await;
            let ok = matches!(answered, Ok(Ok(true)));
            journal.note(Sample {
                kind: self.kind,
                due,
                took: due.elapsed(),
                ok,
            });
            if !matches!(answered, Ok(Ok(_))) {
                line = None;
                sleep(PAUSE).await;
            }
            due += period(self.kind);
            while due.elapsed() > LATE {
                journal.note(Sample {
                    kind: self.kind,
                    due,
                    took: due.elapsed(),
                    ok: false,
                });
                due += period(self.kind);
            }
        }
    }

    /// Whether the request was answered well.
    async fn ask(&self, line: &mut Option<Line>, request: &Request) -> Result<bool> {
        // A connection that was closed while no request was outstanding is no fault, nor is
        // GO_AWAY.
        if line.as_ref().is_some_and(Line::is_closed) {
            *line = None;
        }
        for _ in 0..2 {
            let connected = match line.take() {
                Some(line) => line,
                None => self.connect().await?,
            };
            let connected = line.insert(connected);
            match connected.ask(request).await? {
                GO_AWAY => *line = None,
                code => return Ok(matches!(code, 0 | 19..=21)),
            }
        }
        Ok(false)
    }

    async fn connect(&self) -> Result<Line> {
        let stream = TcpStream::connect(self.address).await?;
        stream.set_nodelay(true)?;
        let mut line = Line {
            stream,
            reader: FrameReader::default(),
            opaque: 0,
        };
        if matches!(self.kind, Kind::Pull | Kind::DirectPull) {
            line.ask(&self.heartbeat()).await?;
        }
        Ok(line)
    }

    fn next(&mut self) -> Request {
        self.turn += 1;
        match self.kind {
            Kind::Send | Kind::Direct => self.send(),
            Kind::Pull | Kind::DirectPull => self.pull(),
            // It sends a heartbeat about every second.
            Kind::Control if self.turn.is_multiple_of(20) => self.heartbeat(),
            Kind::Control => {
                Request::new(RequestCode::GET_ROUTEINFO_BY_TOPIC).field("topic", &self.topic)
            }
        }
    }

    fn send(&self) -> Request {
        Request::new(RequestCode::SEND_MESSAGE_V2)
            .field("a", "healthy-producers")
            .field("b", &self.topic)
            .field("c", "TBW102")
            .field("d", 4)
            .field("e", 0)
            .field("f", 0)
            .field("g", 1_700_000_000_000_i64)
            .field("h", 0)
            .field("i", "")
            .field("j", 0)
            .field("n", self.broker)
            .body(vec![b'x'; 128])
    }

    /// The consumer group.
    fn group(&self) -> &'static str {
        match self.kind {
            Kind::Pull => "healthy-consumers",
            Kind::DirectPull => "healthy-direct-consumers",
            Kind::Send | Kind::Control | Kind::Direct => "healthy-others",
        }
    }

    fn pull(&self) -> Request {
        Request::new(RequestCode::PULL_MESSAGE)
            .field("consumerGroup", self.group())
            .field("topic", &self.topic)
            .field("queueId", 0)
            .field("queueOffset", 0)
            .field("maxMsgNums", 8)
            // It does not wait, and brings its own subscription.
            .field("sysFlag", 4)
            .field("commitOffset", 0)
            .field("suspendTimeoutMillis", 0)
            .field("subscription", "*")
            .field("subVersion", 0)
            .field("expressionType", "TAG")
            .field("bname", self.broker)
    }

    fn heartbeat(&self) -> Request {
        let group = self.group();
        let body = json!({
            "clientID": format!("healthy-{group}"),
            "producerDataSet": [{"groupName": "healthy-producers"}],
            "consumerDataSet": [{
                "groupName": group, "consumeType": "CONSUME_PASSIVELY", "messageModel": "CLUSTERING",
                "consumeFromWhere": "CONSUME_FROM_LAST_OFFSET", "unitMode": false,
                "subscriptionDataSet": [{"topic": self.topic, "subString": "*", "subVersion": 1,
                    "codeSet": [], "tagsSet": [], "expressionType": "TAG", "classFilterMode": false}],
            }],
        });
        Request::new(RequestCode::HEART_BEAT).body(body.to_string())
    }
}

impl Line {
    /// Whether the server has closed it; requests that have arrived from there are kept for later.
    fn is_closed(&self) -> bool {
        let mut byte = [0];
        let mut byte = tokio::io::ReadBuf::new(&mut byte);
        let mut context = std::task::Context::from_waker(std::task::Waker::noop());
        match self.stream.poll_peek(&mut context, &mut byte) {
            std::task::Poll::Ready(peeked) => !peeked.is_ok_and(|length| length > 0),
            std::task::Poll::Pending => false,
        }
    }

    /// The code of the answer.
    async fn ask(&mut self, request: &Request) -> Result<i32> {
        self.opaque += 1;
        self.stream
            .write_all(&request.to_frame(self.opaque))
            .await?;
        loop {
            let (frame, _) = self
                .reader
                .next(&mut self.stream)
                .await?
                .context("closed")?;
            if frame.is_response() && frame.opaque == self.opaque {
                return Ok(frame.code);
            }
        }
    }
}
