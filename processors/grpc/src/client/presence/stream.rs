//! A client's Telemetry stream, and the client as brokers see it while the stream is open.

use std::cell::{Cell, RefCell};
use std::net::SocketAddr;
use std::rc::{Rc, Weak};
use std::time::Duration;

use http_server::Part;
use messaging::Member;
use remoting_codec::body::ConsumeType;
use remoting_codec::{Language, Version};
use route_cache::PushTarget;
use route_cache::rate::{LogThrottle, shown};
use tokio::sync::{Notify, mpsc};
use tokio::task::yield_now;
use tokio::time::{Instant, MissedTickBehavior, interval_at};
use tracing::info;

use super::holdings::Holdings;
use super::pushes::Questions;
use super::settings::{self, Declared};
use crate::client::{Call, Connection, now_millis};
use crate::convert::Names;
use crate::error::CallError;
use crate::proto::{self, Code, Command, Settings, Status, TelemetryCommand};
use crate::transport::{Failure, GrpcStatus, Messages, framed};

/// Commands that may wait for a client to read them. Further ones are dropped: brokers ask again.
const COMMANDS_MAX: usize = 64;

/// Messages of a client after which others get a turn.
const MESSAGES_PER_TURN: usize = 16;

/// Most clients that are present on one connection. Each has lanes, and those take sockets.
pub(crate) const PRESENT_MAX: usize = 512;

/// Bytes of memory of a stream, its lanes and what the client has declared.
const STREAM_BYTES: usize = 16 * 1024;

/// Clients that have come, and that have left: many may do so at the same time.
static REGISTERED: LogThrottle = LogThrottle::per_second(100);
static LEFT: LogThrottle = LogThrottle::per_second(100);

/// A client with an open Telemetry stream.
pub struct Present {
    pub(super) client_id: Box<str>,
    namespace: Box<str>,
    pub(super) language: Language,
    pub(super) version: Box<str>,
    connection: Weak<Connection>,
    pub(super) member: Member,
    pub(super) commands: RefCell<Option<mpsc::Sender<Part>>>,
    pub(super) questions: Questions,
    pub(super) declared: RefCell<Declared>,
    /// How long the client waits for a call, by its settings.
    request_timeout: Cell<Option<proto::Duration>>,
    pub(super) holdings: Holdings,
    /// Whether the client has said that it leaves, or was asked to.
    pub(super) is_leaving: Cell<bool>,
    /// Whether a broker knew it when its lanes ended.
    pub(super) was_registered: Cell<bool>,
    /// Its address, once it was logged as registered.
    peer: Cell<Option<SocketAddr>>,
    /// When it has last received, if it has no stream.
    pub(super) seen: Cell<Instant>,
    /// Notified when the stream must end.
    pub(super) ended: Notify,
    _held: remoting_transport::Held,
}

impl std::fmt::Debug for Present {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Present")
            .field("client_id", &self.client_id)
            .finish_non_exhaustive()
    }
}

/// Opens the stream of a client; returns what is written to it. An earlier stream of the same
/// client ends.
pub(crate) fn telemetry(call: &Call<'_>, messages: Messages) -> mpsc::Receiver<Part> {
    let connection = call.connection;
    let (commands, written) = mpsc::channel(COMMANDS_MAX);
    let present = Present::new(call, Some(commands));
    let earlier = {
        let mut all = connection.present.borrow_mut();
        all.insert(call.client_id.into(), present.clone())
    };
    if let Some(earlier) = earlier {
        earlier.close();
    }
    if connection.is_leaving() {
        present.ask_to_reconnect();
    }
    tokio::task::spawn_local(run(present, messages, connection.settings.announce_every));
    written
}

/// Serves the stream until either side ends it.
async fn run(present: Rc<Present>, mut messages: Messages, announce_every: Duration) {
    let mut announcing = interval_at(Instant::now() + announce_every, announce_every);
    announcing.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut count = 0_usize;
    loop {
        count += 1;
        if count.is_multiple_of(MESSAGES_PER_TURN) {
            yield_now().await;
        }
        tokio::select! {
            message = messages.next() => match message {
                Ok(Some(message)) => match crate::codec::read::<TelemetryCommand>(message) {
                    // Boxed, for it is rare and large, and the task of an idle client stays small.
                    Ok(command) => Box::pin(present.on_command(command)).await,
                    Err(error) => {
                        present.fail(error.into());
                        break;
                    }
                },
                Ok(None) => break,
                Err(failure) => {
                    present.fail(failure);
                    break;
                }
            },
            _ = announcing.tick() => Box::pin(present.announce()).await,
            () = present.ended.notified() => break,
        }
    }
    present.finish();
}

impl Present {
    /// The client of a call, to which commands are written over that channel.
    pub(super) fn new(call: &Call<'_>, commands: Option<mpsc::Sender<Part>>) -> Rc<Self> {
        let account = call.connection.account();
        Rc::new_cyclic(|this: &Weak<Self>| Self {
            client_id: call.client_id.into(),
            namespace: call.metadata.namespace.into(),
            language: call.metadata.language(),
            version: call.metadata.version.unwrap_or_default().into(),
            connection: Rc::downgrade(call.connection),
            member: Member::new(call.caller().clone(), account.clone(), this.clone()),
            commands: RefCell::new(commands),
            questions: Questions::default(),
            declared: RefCell::default(),
            request_timeout: Cell::new(None),
            holdings: Holdings::new(account),
            is_leaving: Cell::new(false),
            was_registered: Cell::new(false),
            peer: Cell::new(None),
            seen: Cell::new(Instant::now()),
            ended: Notify::new(),
            _held: account.hold(STREAM_BYTES),
        })
    }

    /// The client's id.
    #[must_use]
    pub fn client_id(&self) -> &str {
        &self.client_id
    }

    /// Its language and the version of its library.
    #[must_use]
    pub fn library(&self) -> (Language, &str) {
        (self.language, &self.version)
    }

    /// Whether it sends messages.
    #[must_use]
    pub fn is_producer(&self) -> bool {
        self.member.is_producer()
    }

    /// The consumer groups that it is in.
    #[must_use]
    pub fn groups(&self) -> Vec<(String, ConsumeType)> {
        self.member.groups()
    }

    pub(crate) fn request_timeout(&self) -> Option<proto::Duration> {
        self.request_timeout.get()
    }

    /// The names of topics and groups in the client's namespace.
    pub(super) fn names(&self) -> Names<'_> {
        Names::new(&self.namespace).unwrap_or_default()
    }

    pub(super) fn group(&self) -> String {
        self.declared.borrow().group.clone().unwrap_or_default()
    }

    pub(super) fn consume_type(&self) -> &'static str {
        self.declared.borrow().consume_type
    }

    pub(super) fn connection(&self) -> Option<Rc<Connection>> {
        self.connection.upgrade()
    }

    /// Notes messages that the client has got, and may hold for long; each with its lite topic, if
    /// it has one.
    pub(crate) fn hold(
        &self,
        group: &str,
        topic: &str,
        messages: impl Iterator<Item = (String, Option<Box<str>>)>,
    ) {
        self.holdings.add(group, topic, messages);
    }

    /// The message of that handle is not held any more.
    pub(crate) fn forget(&self, handle: &str) {
        self.holdings.remove(handle);
    }

    async fn on_command(self: &Rc<Self>, command: TelemetryCommand) {
        match command.command {
            Some(Command::Settings(settings)) => match self.declare(settings).await {
                Ok(()) => {}
                Err(error) => {
                    let text = error.to_string();
                    self.fail(Failure::new(GrpcStatus::InvalidArgument, text));
                    self.end();
                }
            },
            Some(Command::ThreadStackTrace(trace)) => {
                let stack = trace.thread_stack_trace.unwrap_or_default();
                self.on_stack(&trace.nonce, &stack);
            }
            Some(Command::VerifyMessageResult(result)) => {
                self.on_verified(&result.nonce, &command.status.unwrap_or_default());
            }
            // What only Remora says, and what is newer.
            _ => {}
        }
    }

    /// Takes the client's settings: answers with those that hold, and registers the client at
    /// brokers.
    async fn declare(self: &Rc<Self>, settings: Settings) -> Result<(), CallError> {
        let declared = Declared::of(&settings, self.names())?;
        let Some(connection) = self.connection() else {
            return Ok(());
        };
        self.request_timeout.set(settings.request_timeout);
        let (caller, configs) = (self.member.caller(), &connection.server.configs);
        let limits = &connection.settings.limits;
        let is_new = *self.declared.borrow() != declared;
        if is_new {
            let version = version_of(&self.version);
            let declaration =
                declared.declaration(&self.client_id, self.language, version, now_millis())?;
            self.log_first(&connection);
            self.member.declare(declaration)?;
        }
        let answer = settings::answer(settings, &declared, caller, configs, limits).await;
        *self.declared.borrow_mut() = declared;
        self.send(TelemetryCommand {
            status: Some(Status::of(Code::Ok)),
            command: Some(Command::Settings(answer)),
        });
        if is_new {
            self.announce().await;
        }
        Ok(())
    }

    fn log_first(&self, connection: &Connection) {
        if self.member.is_known() {
            return;
        }
        self.peer.set(Some(connection.peer()));
        if let Some(not_logged) = REGISTERED.pass() {
            info!(
                peer = %connection.peer(),
                client_id = shown(&self.client_id),
                language = self.language.name(),
                version = shown(&self.version),
                protocol = "grpc",
                not_logged,
                "client registered"
            );
        }
    }

    /// A client that was logged as it came is logged as it leaves.
    pub(super) fn log_last(&self) {
        let was_logged = self.peer.take();
        if let (Some(peer), Some(not_logged)) = (was_logged, LEFT.pass()) {
            info!(
                %peer,
                client_id = shown(&self.client_id),
                language = self.language.name(),
                version = shown(&self.version),
                protocol = "grpc",
                not_logged,
                "client left"
            );
        }
    }

    /// Registers the client at the brokers of its topics, or keeps it registered there.
    pub(super) async fn announce(&self) {
        let topics: Vec<String> = self.declared.borrow().topics().map(str::to_owned).collect();
        let topics = topics.iter().map(String::as_str);
        self.member.keep_registered(topics).await;
    }

    /// Waits, for a limited time, until the brokers of the topic know the client as its producer.
    pub(crate) async fn introduce(&self, topic: &str) {
        let is_declared = self
            .declared
            .borrow()
            .publishes
            .iter()
            .any(|known| known == topic);
        if is_declared {
            self.member.wait_settled().await;
        }
    }

    /// Sends a command. A client that does not read does not get it.
    pub(super) fn send(&self, command: TelemetryCommand) -> bool {
        let commands = self.commands.borrow();
        let (Some(commands), Some(connection)) = (&*commands, self.connection()) else {
            return false;
        };
        let chunk = framed(&command, connection.account());
        commands.try_send(Box::new(Ok(chunk))).is_ok()
    }
}

/// A version as brokers record it.
pub(super) fn version_of(text: &str) -> Version {
    Version::of_release(text).unwrap_or(Version::V5_5_0)
}

impl PushTarget for Present {
    fn on_push(
        &self,
        from: &Rc<route_cache::Connection>,
        frame: remoting_transport::Frame<'_>,
        view: &remoting_codec::UpstreamView<'_>,
    ) {
        super::pushes::on_push(self, from, &frame, view);
    }
}
