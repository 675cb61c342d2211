//! The client of the name servers, which all workers share.

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use bytes::Bytes;
use remoting_codec::{RemotingCommand, UpstreamView};
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinSet;
use tokio::time::Instant;
use tracing::{info, warn};

use crate::broker::{Connection, Context};
use crate::clock::TICK;
use crate::config::UpstreamConfig;
use crate::error::{NameServerError, UpstreamError};
use crate::peer::Peer;

/// How long one name server may take to answer before the next is asked.
const ANSWER_TIME: Duration = Duration::from_millis(1500);

/// How long, after a connection to a name server was opened again, absence from its answers is no
/// proof: it may have just started, and brokers register at it every 30 s
/// (`BrokerConfig.registerNameServerPeriod`, at most 60 s), each at its own time.
const SETTLING: Duration = Duration::from_secs(70);

/// Requests that may be queued for the client's thread; beyond that, callers wait.
const QUEUE: usize = 1024;
type Reply = oneshot::Sender<Result<Bytes, NameServerError>>;

/// The name servers that get a request.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Recipient {
    /// All, because the request changes the state of each.
    All,
    /// One that answers; the next if it does not.
    Any,
}

/// The origin of a request.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Source {
    /// A client. It may be a request that no name server answers, so a missing answer proves
    /// nothing.
    Client,
    /// Remora. Every name server answers these requests.
    Remora,
}

#[derive(Debug)]
enum Question {
    Call(Bytes, Recipient, Source, Reply),
    /// A one-way request.
    Oneway(Bytes, Recipient),
}

/// Sends requests to name servers, from any thread. All have the same contents, so one gets the
/// request, and another if it does not answer.
#[derive(Clone, Debug)]
pub struct NameServers {
    questions: mpsc::Sender<Question>,
    answered: Arc<AtomicBool>,
    settled: Arc<AtomicBool>,
}

impl NameServers {
    /// Sends a request and returns the answer, whatever its code is. The request's opaque is
    /// replaced.
    ///
    /// # Errors
    /// When none of them answers.
    pub async fn call(
        &self,
        request: &RemotingCommand,
    ) -> Result<RemotingCommand, NameServerError> {
        let frame = self
            .ask(request.to_bytes(), Recipient::Any, Source::Remora)
            .await?;
        Ok(RemotingCommand::decode(&frame)?)
    }

    /// Sends a client's whole frame and returns the answer as a frame. The request's opaque is
    /// replaced.
    ///
    /// # Errors
    /// When none of them answers.
    pub async fn call_frame(&self, request: Bytes) -> Result<Bytes, NameServerError> {
        self.ask(request, Recipient::Any, Source::Client).await
    }

    /// The same to every name server: a change must reach each, because they do not inform one
    /// another. Returns an error answer, if there is one.
    ///
    /// # Errors
    /// When one of them does not answer.
    pub async fn call_all(&self, request: Bytes) -> Result<Bytes, NameServerError> {
        self.ask(request, Recipient::All, Source::Client).await
    }

    /// Relays a client's one-way request, to every name server if `all`. Whether it arrives is not
    /// known.
    ///
    /// # Errors
    /// When the client's thread has stopped.
    pub async fn relay_oneway(&self, request: Bytes, all: bool) -> Result<(), NameServerError> {
        let recipient = if all { Recipient::All } else { Recipient::Any };
        let sent = self
            .questions
            .send(Question::Oneway(request, recipient))
            .await;
        sent.map_err(|_| gone())
    }

    async fn ask(
        &self,
        request: Bytes,
        recipient: Recipient,
        source: Source,
    ) -> Result<Bytes, NameServerError> {
        let (reply, answer) = oneshot::channel();
        self.questions
            .send(Question::Call(request, recipient, source, reply))
            .await
            .map_err(|_| gone())?;
        answer.await.map_err(|_| gone())?
    }

    /// Whether no name server is suspected to have just started, and so to lack brokers that have
    /// not registered yet.
    #[must_use]
    pub fn are_settled(&self) -> bool {
        self.settled.load(Ordering::Relaxed)
    }

    /// Whether a name server has ever answered.
    #[must_use]
    pub fn have_answered(&self) -> bool {
        self.answered.load(Ordering::Relaxed)
    }
}

fn gone() -> NameServerError {
    NameServerError::Unreachable("the client has stopped".into())
}

/// The half of the client that owns the connections; it runs on one thread.
#[derive(Debug)]
pub struct NameServerClient {
    questions: mpsc::Receiver<Question>,
    servers: Rc<Servers>,
}

/// A client of name servers at these addresses (`host:port`): the handle for callers, and the half
/// that must be run.
#[must_use]
pub fn name_servers(
    addresses: Vec<String>,
    config: UpstreamConfig,
) -> (NameServers, NameServerClient) {
    let (sender, questions) = mpsc::channel(QUEUE);
    let answered = Arc::new(AtomicBool::new(false));
    let servers = addresses.into_iter().map(|address| Server {
        address: address.into(),
        connection: RefCell::default(),
        reopened: Cell::default(),
    });
    let settled = Arc::new(AtomicBool::new(true));
    let client = NameServerClient {
        questions,
        servers: Rc::new(Servers {
            all: servers.collect(),
            current: Cell::new(0),
            context: Rc::new(Context::new(
                Rc::default(),
                config,
                Arc::default(),
                Arc::default(),
            )),
            answered: answered.clone(),
            settled: settled.clone(),
            reachable: Cell::new(true),
        }),
    };
    let name_servers = NameServers {
        questions: sender,
        answered,
        settled,
    };
    (name_servers, client)
}

impl NameServerClient {
    /// Serves requests until all handles are dropped.
    pub async fn run(mut self) {
        let mut ticks = tokio::time::interval(TICK);
        loop {
            tokio::select! {
                _ = ticks.tick() => self.servers.context.tick(),
                question = self.questions.recv() => {
                    let Some(question) = question else {
                        return;
                    };
                    self.servers.clone().serve(question);
                }
            }
        }
    }
}

#[derive(Debug)]
struct Servers {
    all: Vec<Server>,
    /// The index of the name server that answered last; it is tried first.
    current: Cell<usize>,
    context: Rc<Context>,
    answered: Arc<AtomicBool>,
    settled: Arc<AtomicBool>,
    /// Whether the last request was answered: a failure is logged once.
    reachable: Cell<bool>,
}

#[derive(Debug)]
struct Server {
    address: Rc<str>,
    connection: RefCell<Option<Rc<Connection>>>,
    /// When a connection was opened again last.
    reopened: Cell<Option<Instant>>,
}

impl Servers {
    /// Serves a request, in a task.
    fn serve(self: Rc<Self>, question: Question) {
        match question {
            Question::Call(request, recipient, source, reply) => {
                tokio::task::spawn_local(async move {
                    let answer = match recipient {
                        Recipient::All => self.ask_all(request).await,
                        Recipient::Any => self.ask(request, source).await,
                    };
                    // The caller may have stopped waiting.
                    let _ = reply.send(answer);
                });
            }
            Question::Oneway(request, recipient) => {
                let (first, count) = match recipient {
                    Recipient::All => (0, self.all.len()),
                    Recipient::Any => (self.current.get(), 1),
                };
                let servers = self.all.iter().skip(first).take(count);
                for server in servers {
                    // The caller does not wait for the result.
                    let _ = server.connection(&self.context).send_oneway(&request);
                }
            }
        }
    }

    async fn ask(
        self: &Rc<Self>,
        request: Bytes,
        source: Source,
    ) -> Result<Bytes, NameServerError> {
        let first = self.current.get();
        let mut last_error: Option<UpstreamError> = None;
        for nth in 0..self.all.len() {
            let index = (first + nth) % self.all.len();
            let Some(server) = self.all.get(index) else {
                break;
            };
            let connection = server.connection(&self.context);
            match connection.call(request.clone(), ANSWER_TIME).await {
                Ok(answer) => {
                    self.current.set(index);
                    self.answered.store(true, Ordering::Relaxed);
                    self.settled.store(server.is_settled(), Ordering::Relaxed);
                    if !self.reachable.replace(true) {
                        info!(name_server = %server.address, "name server answers again");
                    }
                    return Ok(answer);
                }
                Err(error) => {
                    // A client's request may be left unanswered by design; then the connection is
                    // probed.
                    if source != Source::Client || !matches!(error, UpstreamError::Timeout(_)) {
                        // A silent connection may be broken: the next request opens another.
                        connection.close();
                    }
                    last_error = Some(error);
                }
            }
        }
        let last_error = last_error.map_or_else(|| "none is configured".to_owned(), |e| e.event());
        if self.reachable.replace(false) {
            warn!(
                error = last_error,
                "no name server answers: known routes are kept"
            );
        }
        Err(NameServerError::Unreachable(last_error.into()))
    }

    async fn ask_all(&self, request: Bytes) -> Result<Bytes, NameServerError> {
        let mut calls = JoinSet::new();
        for server in &self.all {
            let (connection, request) = (server.connection(&self.context), request.clone());
            calls.spawn_local(async move { connection.call(request, ANSWER_TIME).await });
        }
        let mut accepted = None;
        let mut refused = None;
        for answer in calls.join_all().await {
            let answer =
                answer.map_err(|error| NameServerError::Unreachable(error.event().into()))?;
            if UpstreamView::decode_answer(&answer)?.is_success() {
                accepted = Some(answer);
            } else {
                refused = Some(answer);
            }
        }
        refused
            .or(accepted)
            .ok_or_else(|| NameServerError::Unreachable("none is configured".into()))
    }
}

impl Server {
    fn is_settled(&self) -> bool {
        let reopened = self.reopened.get();
        reopened.is_none_or(|since| since.elapsed() > SETTLING)
    }

    fn connection(&self, context: &Rc<Context>) -> Rc<Connection> {
        let mut current = self.connection.borrow_mut();
        if let Some(connection) = &*current
            && connection.is_usable()
        {
            return connection.clone();
        }
        if current.is_some() {
            self.reopened.set(Some(Instant::now()));
        }
        let peer = Peer::NameServer(self.address.clone());
        let connection = Connection::new(peer, context.clone(), None, None);
        let (address, run) = (self.address.clone(), connection.clone());
        tokio::task::spawn_local(async move { run.run(&address).await });
        *current = Some(connection.clone());
        connection
    }
}
