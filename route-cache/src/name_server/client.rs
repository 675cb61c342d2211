//! The client that all workers share.

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use bytes::Bytes;
use remoting_codec::{CommandView, RemotingCommand};
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

/// How long after a connection to a name server had to be made anew what it does not mention is not believed to be gone: it
/// may have started just now, and brokers tell it of themselves every 30 s (`BrokerConfig.registerNameServerPeriod`, at most
/// 60 s), each at its own time.
const SETTLING: Duration = Duration::from_secs(70);

/// Questions that may wait for the client's thread; beyond that, whoever asks waits.
const QUEUE: usize = 1024;
type Reply = oneshot::Sender<Result<Bytes, NameServerError>>;

/// Who is asked.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Whom {
    /// Every name server, for each must know.
    All,
    /// One that answers.
    Any,
}

/// Who asks.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum By {
    /// A client, perhaps what no name server answers: that proves nothing.
    Client,
    /// Remora, what every name server answers.
    Remora,
}

#[derive(Debug)]
enum Question {
    Ask(Bytes, Whom, By, Reply),
    /// A one-way request.
    Tell(Bytes, Whom),
}

/// Asks name servers, from any thread. All know the same, so one is asked, and another when it does
/// not answer.
#[derive(Clone, Debug)]
pub struct NameServers {
    questions: mpsc::Sender<Question>,
    answered: Arc<AtomicBool>,
    settled: Arc<AtomicBool>,
}

impl NameServers {
    /// Asks, and gets the answer whatever its code is. The request's opaque is replaced.
    ///
    /// # Errors
    /// When none of them answers.
    pub async fn call(
        &self,
        request: &RemotingCommand,
    ) -> Result<RemotingCommand, NameServerError> {
        let frame = self.ask(request.to_bytes(), Whom::Any, By::Remora).await?;
        Ok(RemotingCommand::decode(&frame)?)
    }

    /// Asks with a client's whole frame, and gets the answer as one. The request's opaque is replaced.
    ///
    /// # Errors
    /// When none of them answers.
    pub async fn call_frame(&self, request: Bytes) -> Result<Bytes, NameServerError> {
        self.ask(request, Whom::Any, By::Client).await
    }

    /// The same, of every name server: what changes something must reach each, for they do not tell
    /// one another. The answer is one that says what went wrong, if there is such a one.
    ///
    /// # Errors
    /// When one of them does not answer.
    pub async fn call_all(&self, request: Bytes) -> Result<Bytes, NameServerError> {
        self.ask(request, Whom::All, By::Client).await
    }

    /// Passes a client's one-way request on, to every name server if it changes something. Whether it arrives is not known.
    ///
    /// # Errors
    /// When nobody takes it.
    pub async fn tell(&self, request: Bytes, all: bool) -> Result<(), NameServerError> {
        let whom = if all { Whom::All } else { Whom::Any };
        let told = self.questions.send(Question::Tell(request, whom)).await;
        told.map_err(|_| gone())
    }

    async fn ask(&self, request: Bytes, whom: Whom, by: By) -> Result<Bytes, NameServerError> {
        let (reply, answer) = oneshot::channel();
        self.questions
            .send(Question::Ask(request, whom, by, reply))
            .await
            .map_err(|_| gone())?;
        answer.await.map_err(|_| gone())?
    }

    /// Whether the one that has answered last knows everything: it has not been started a moment ago, as far as can be told.
    #[must_use]
    pub fn are_settled(&self) -> bool {
        self.settled.load(Ordering::Relaxed)
    }

    /// Whether one of them has ever answered.
    #[must_use]
    pub fn have_answered(&self) -> bool {
        self.answered.load(Ordering::Relaxed)
    }
}

fn gone() -> NameServerError {
    NameServerError::Unreachable("the client has stopped".into())
}

/// The half of the client that has the connections; it runs on one thread.
#[derive(Debug)]
pub struct NameServerClient {
    questions: mpsc::Receiver<Question>,
    servers: Rc<Servers>,
}

/// A client of name servers at these addresses (`host:port`): what asks, and what must be run for
/// that.
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
        made_anew: Cell::default(),
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
    /// Answers questions until nobody can ask any more.
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
    /// Who answered last: asked first.
    current: Cell<usize>,
    context: Rc<Context>,
    answered: Arc<AtomicBool>,
    settled: Arc<AtomicBool>,
    /// Whether the last question was answered: that none answers is said once.
    reachable: Cell<bool>,
}

#[derive(Debug)]
struct Server {
    address: Rc<str>,
    connection: RefCell<Option<Rc<Connection>>>,
    /// When a connection had to be made that was not the first.
    made_anew: Cell<Option<Instant>>,
}

impl Servers {
    /// Answers a question, in a task.
    fn serve(self: Rc<Self>, question: Question) {
        match question {
            Question::Ask(request, whom, by, reply) => {
                tokio::task::spawn_local(async move {
                    let answer = match whom {
                        Whom::All => self.ask_all(request).await,
                        Whom::Any => self.ask(request, by).await,
                    };
                    // The one that asked may have gone.
                    let _ = reply.send(answer);
                });
            }
            Question::Tell(request, whom) => {
                let (first, count) = match whom {
                    Whom::All => (0, self.all.len()),
                    Whom::Any => (self.current.get(), 1),
                };
                let servers = self.all.iter().skip(first).take(count);
                for server in servers {
                    // Nobody waits for what comes of it.
                    let _ = server.connection(&self.context).tell(&request);
                }
            }
        }
    }

    async fn ask(self: &Rc<Self>, request: Bytes, by: By) -> Result<Bytes, NameServerError> {
        let first = self.current.get();
        let mut trouble: Option<UpstreamError> = None;
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
                    // What a client asks may be left unanswered by design; the connection is probed for that.
                    if by != By::Client || !matches!(error, UpstreamError::Timeout(_)) {
                        // One that is silent may be gone for good: the next question finds out.
                        connection.close();
                    }
                    trouble = Some(error);
                }
            }
        }
        let trouble = trouble.map_or_else(|| "none is configured".to_owned(), |e| e.to_string());
        if self.reachable.replace(false) {
            warn!(
                error = trouble,
                "no name server answers: known routes are kept"
            );
        }
        Err(NameServerError::Unreachable(trouble.into()))
    }

    async fn ask_all(&self, request: Bytes) -> Result<Bytes, NameServerError> {
        let unreachable =
            |error: &dyn std::fmt::Display| NameServerError::Unreachable(error.to_string().into());
        let mut telling = JoinSet::new();
        for server in &self.all {
            let (connection, request) = (server.connection(&self.context), request.clone());
            telling.spawn_local(async move { connection.call(request, ANSWER_TIME).await });
        }
        let mut said = None;
        let mut refused = None;
        for answer in telling.join_all().await {
            let answer = answer.map_err(|error| unreachable(&error))?;
            if CommandView::decode(&answer)?.is_success() {
                said = Some(answer);
            } else {
                refused = Some(answer);
            }
        }
        refused
            .or(said)
            .ok_or_else(|| unreachable(&"none is configured"))
    }
}

impl Server {
    fn is_settled(&self) -> bool {
        let made_anew = self.made_anew.get();
        made_anew.is_none_or(|since| since.elapsed() > SETTLING)
    }

    fn connection(&self, context: &Rc<Context>) -> Rc<Connection> {
        let mut current = self.connection.borrow_mut();
        if let Some(connection) = &*current
            && connection.is_usable()
        {
            return connection.clone();
        }
        if current.is_some() {
            self.made_anew.set(Some(Instant::now()));
        }
        let peer = Peer::NameServer(self.address.clone());
        let connection = Connection::new(peer, context.clone(), None, None);
        let (address, run) = (self.address.clone(), connection.clone());
        tokio::task::spawn_local(async move { run.run(&address).await });
        *current = Some(connection.clone());
        connection
    }
}
