//! Calls to a cluster for clients whose frames cannot be relayed, because their protocol has none.
//!
//! A call builds a request, sends it over the connection that clients of the worker share, and
//! waits for the answer. The limits are those of relayed requests: the client's share of
//! outstanding requests at each broker, and its share of memory. A call that is dropped gives its
//! request up. A POP is the exception: its answer is still awaited, and its messages are given
//! back.

mod batch_ack;
mod config;
mod dead_letter;
mod lite;
mod offsets;
mod pop;
mod pop_answer;
mod produce;
mod pull;
mod receipt;
mod receive;
mod release;
mod reply;
mod rounds;
mod send;
mod transaction;

use std::cell::{Cell, RefCell};
use std::rc::{Rc, Weak};
use std::time::Duration;

use bytes::Bytes;
use remoting_codec::headers::{Header, Text};
use remoting_codec::{CommandView, RemotingCommand, RequestCode, UpstreamView};
use remoting_transport::{Account, Frame, Held};
use route_cache::{
    Broker, Class, Connection, Origin, Outcome, Outstanding, RelayTarget, Ticket, UpstreamError,
};
use tokio::sync::{Notify, oneshot};

use crate::admission::{Ask, admit};
use crate::caller::Caller;
use crate::error::{ErrorKind, MessagingError};
use crate::give_back::Popping;

pub use config::{ConfigCache, Members};
pub use offsets::{Boundary, Queue};
pub use pop::{Pop, PopLite, Popped};
pub use pop_answer::{PopAnswer, PoppedMessage};
pub use pull::{Pull, Pulled};
pub use receipt::{Popper, receipt_of};
pub use receive::{Consumer, Receive, Unwanted};
pub use release::{Crashed, Released, release};
pub use rounds::Rounds;
pub use send::{Send, SendReceipt};

/// Requests of at least this length, in bytes, use the connection for large requests, because small
/// ones of other clients would wait behind them.
pub const BULK_MIN: usize = 16 * 1024;

/// A request of Remora's own, as it is written.
#[derive(Debug)]
pub(crate) struct Wire {
    code: RequestCode,
    frame: Bytes,
    body_len: usize,
}

impl Wire {
    pub(crate) fn new<'a>(code: RequestCode, header: &impl Header<'a>) -> Self {
        Self::with_body(code, header, &[])
    }

    pub(crate) fn with_body<'a>(code: RequestCode, header: &impl Header<'a>, body: &[u8]) -> Self {
        Self {
            code,
            frame: RemotingCommand::request_frame(code, header, body),
            body_len: body.len(),
        }
    }
}

impl From<RemotingCommand> for Wire {
    fn from(request: RemotingCommand) -> Self {
        Self {
            code: RequestCode(request.code),
            frame: request.to_bytes(),
            body_len: request.body.len(),
        }
    }
}

/// The requests of one client connection, and what limits them.
#[derive(Debug)]
pub struct Requests {
    caller: Caller,
    account: Rc<Account>,
    at_brokers: Outstanding,
    outstanding: Cell<usize>,
    polls: Cell<usize>,
    /// Requests outstanding on connections for large requests.
    bulk: Cell<usize>,
    /// Whether long polls end now, without messages.
    gives_up_polls: Cell<bool>,
    /// Whether the client may be gone, and takes no messages any more.
    has_left: Cell<bool>,
    /// Wakes what waits for that.
    given_up: Notify,
    /// Counts requests that any broker of a topic may serve, so that they go to each in turn.
    turn: Cell<usize>,
}

impl Requests {
    /// The requests of a client; what they hold is charged to the account.
    #[must_use]
    pub fn new(caller: Caller, account: Rc<Account>) -> Rc<Self> {
        Rc::new(Self {
            at_brokers: Outstanding::new(caller.address().key()),
            caller,
            account,
            outstanding: Cell::new(0),
            polls: Cell::new(0),
            bulk: Cell::new(0),
            gives_up_polls: Cell::new(false),
            has_left: Cell::new(false),
            given_up: Notify::new(),
            turn: Cell::new(0),
        })
    }

    /// The client as decisions about its requests see it.
    #[must_use]
    pub fn caller(&self) -> &Caller {
        &self.caller
    }

    /// The account that the requests are charged to.
    #[must_use]
    pub fn account(&self) -> &Rc<Account> {
        &self.account
    }

    /// The number of requests, long polls included, that are not answered yet.
    #[must_use]
    pub fn outstanding(&self) -> usize {
        self.outstanding.get()
    }

    /// The number of outstanding long polls.
    #[must_use]
    pub fn polls(&self) -> usize {
        self.polls.get()
    }

    /// Ends all long polls, without messages, because the client must leave; later ones end at
    /// once.
    pub fn give_up_polls(&self) {
        self.gives_up_polls.set(true);
        self.given_up.notify_waiters();
        // All requests of the worker are looked at for it.
        if self.polls.get() > 0 {
            self.caller.upstream().release();
        }
    }

    /// Ends all long polls, without messages, because the client may be gone. What brokers have
    /// handed out for it, and no call has seen yet, is given back.
    pub fn leave(&self) {
        self.has_left.set(true);
        self.give_up_polls();
    }

    /// Whether the client may be gone.
    #[must_use]
    pub fn has_left(&self) -> bool {
        self.has_left.get()
    }

    /// Ends all requests, because the client has disconnected.
    pub fn close(&self) {
        self.has_left.set(true);
        self.gives_up_polls.set(true);
        self.given_up.notify_waiters();
        self.at_brokers.close();
        if self.outstanding.get() > 0 {
            self.caller.upstream().note_gone();
        }
    }

    /// The number of the next request that any broker of a topic may serve.
    fn next_turn(&self) -> usize {
        let turn = self.turn.get();
        self.turn.set(turn.wrapping_add(1));
        turn
    }

    /// Begins a wait for something that no answer of a broker ends, in the name of that group. It
    /// counts as a long poll until it is dropped.
    ///
    /// # Errors
    /// [`ErrorKind::Busy`] if the client has too many long polls outstanding.
    pub(crate) fn begin_wait(
        self: &Rc<Self>,
        topic: &str,
        group: &str,
    ) -> Result<Wait, MessagingError> {
        // To admission, it is as if a broker were asked to notify.
        self.admit(RequestCode::NOTIFICATION, topic, Some(group), 0)?;
        self.begin(true, false);
        Ok(Wait(self.clone()))
    }

    /// Waits until long polls must end; returns the error to end them with.
    pub(crate) async fn polls_end(&self) -> MessagingError {
        loop {
            let ended = self.given_up.notified();
            if self.gives_up_polls.get() {
                return given_up();
            }
            ended.await;
        }
    }

    /// Whether the client may make a request now.
    fn admit(
        &self,
        code: RequestCode,
        topic: &str,
        group: Option<&str>,
        bytes: usize,
    ) -> Result<(), MessagingError> {
        if !code.is_long_poll()
            && self.outstanding.get() - self.polls.get() >= self.caller.policy().outstanding_limit
        {
            return Err(MessagingError::new(
                ErrorKind::Busy,
                "the connection has as many requests outstanding as limits.outstanding_requests \
                 allows: wait for answers, or raise the limit",
            ));
        }
        let ask = Ask {
            code,
            topic: Some(Text::from(topic)),
            group: group.map(Text::from),
            bytes,
            polls: self.polls.get(),
        };
        admit(&self.caller, &ask)
    }

    /// The connection to a broker for requests of that class, or that for large requests.
    fn connection(
        &self,
        broker: &Broker,
        class: Class,
        length: usize,
        needs_master: bool,
    ) -> Result<Rc<Connection>, UpstreamError> {
        let class = match class {
            // A client stays on that connection until all its large requests are answered, so that
            // its messages stay in order.
            Class::Request if length >= BULK_MIN || self.bulk.get() > 0 => Class::Bulk,
            class => class,
        };
        broker.connection(class, needs_master)
    }

    /// Sends a request of that broker's master over the connection for such requests, and waits for
    /// the answer, whatever its code is.
    async fn ask_master(
        self: &Rc<Self>,
        broker: &Broker,
        request: Wire,
        time: Duration,
    ) -> Result<Answer, MessagingError> {
        let connection = self.connection(broker, Class::Request, request.body_len, true)?;
        self.ask(&connection, request, time, None).await
    }

    /// Sends a request, and waits for the answer, whatever its code is. With `popping`, messages in
    /// an answer that is not taken are given back.
    async fn ask(
        self: &Rc<Self>,
        connection: &Rc<Connection>,
        request: Wire,
        time: Duration,
        popping: Option<Popping>,
    ) -> Result<Answer, MessagingError> {
        let Wire {
            code,
            frame,
            body_len,
        } = request;
        let is_poll = code.is_long_poll();
        if is_poll && self.gives_up_polls.get() {
            return Err(given_up());
        }
        self.wait_to_forward(time).await?;
        let is_bulk = body_len >= BULK_MIN;
        let Some(slot) = self.at_brokers.begin(connection.budget(), is_poll) else {
            let name = connection.broker_name().unwrap_or_default();
            return Err(MessagingError::new(
                ErrorKind::Busy,
                format!("too many requests of this client wait for broker {name}: try again later"),
            ));
        };
        let (sender, answer) = oneshot::channel();
        let waiting = Rc::new(Waiting {
            requests: Rc::downgrade(self),
            sender: RefCell::new(Some(sender)),
            popping: RefCell::new(popping),
        });
        let ticket = Ticket {
            begun: self.caller.upstream().buffers().now(),
            offset: 0,
            tag: 0,
            slot,
            is_bulk,
        };
        let sent = CommandView::decode(&frame)
            .map_err(MessagingError::from)
            .and_then(|view| {
                let (from, target) = (&self.account, waiting.clone());
                let frame = Frame::of(&frame);
                Ok(connection.relay(&frame, &view, from, target, time, ticket)?)
            });
        if let Err(error) = sent {
            self.at_brokers.end(slot, is_poll);
            return Err(error);
        }
        drop(frame);
        self.begin(is_poll, is_bulk);
        // When the call is dropped, the request is given up with the next look at the table.
        let mut gone = NoteGone(Some(self.clone()));
        let answered = answer.await;
        gone.0 = None;
        if is_poll && self.has_left.get() {
            return Err(given_up());
        }
        answered.unwrap_or_else(|_| {
            let text = "the connection to the broker ended";
            Err(MessagingError::new(ErrorKind::Lost, text))
        })
    }

    /// Waits while so many of the client's bytes wait to be written to brokers that a remoting
    /// client would not be read.
    async fn wait_to_forward(&self, time: Duration) -> Result<(), MessagingError> {
        const LOOK: Duration = Duration::from_millis(2);
        let mut waited = Duration::ZERO;
        while !self.account.may_forward() {
            if waited >= time {
                return Err(MessagingError::new(
                    ErrorKind::Busy,
                    "the broker does not take what the client sends: send less at a time",
                ));
            }
            tokio::time::sleep(LOOK).await;
            waited += LOOK;
        }
        Ok(())
    }

    fn begin(&self, is_poll: bool, is_bulk: bool) {
        let count = |cell: &Cell<usize>, is: bool| cell.set(cell.get() + usize::from(is));
        count(&self.outstanding, true);
        count(&self.polls, is_poll);
        count(&self.bulk, is_bulk);
    }

    fn end(&self, origin: &Origin) {
        let is_poll = origin.code.is_long_poll();
        self.finish(is_poll, origin.ticket.is_bulk);
        self.at_brokers.end(origin.ticket.slot, is_poll);
    }

    fn finish(&self, is_poll: bool, is_bulk: bool) {
        let count =
            |cell: &Cell<usize>, is: bool| cell.set(cell.get().saturating_sub(usize::from(is)));
        count(&self.outstanding, true);
        count(&self.polls, is_poll);
        count(&self.bulk, is_bulk);
    }
}

/// A [wait](Requests::begin_wait) of a client, until it is dropped.
#[derive(Debug)]
pub(crate) struct Wait(Rc<Requests>);

impl Drop for Wait {
    fn drop(&mut self) {
        self.0.finish(true, false);
    }
}

/// Notes, when it is dropped, that a call does not wait for its answer any more.
struct NoteGone(Option<Rc<Requests>>);

impl Drop for NoteGone {
    fn drop(&mut self) {
        if let Some(requests) = &self.0 {
            requests.caller.upstream().note_gone();
        }
    }
}

/// A broker's answer. It is charged to the client's account until it is dropped.
#[derive(Debug)]
pub(crate) struct Answer {
    frame: Bytes,
    _held: Option<Held>,
    /// What gives its messages back when it is dropped; none once they were taken.
    popping: Option<Popping>,
}

impl Answer {
    /// The answer's parts.
    pub(crate) fn view(&self) -> Result<UpstreamView<'_>, MessagingError> {
        Ok(UpstreamView::decode_answer(&self.frame)?)
    }

    /// The answer, if it is a success.
    pub(crate) fn succeeded(&self) -> Result<UpstreamView<'_>, MessagingError> {
        let view = self.view()?;
        match view.is_success() {
            true => Ok(view),
            false => Err(refused(&view)),
        }
    }
}

impl Drop for Answer {
    fn drop(&mut self) {
        if let Some(popping) = self.popping.take()
            && let Ok(view) = UpstreamView::decode_answer(&self.frame)
            && view.is_success()
        {
            popping.give_back(&view);
        }
    }
}

/// The error of a long poll that ends without messages.
pub(crate) fn given_up() -> MessagingError {
    MessagingError::new(ErrorKind::GivenUp, "the long poll was ended: poll again")
}

/// The error of an answer that is none of success.
fn refused(view: &UpstreamView<'_>) -> MessagingError {
    let kind = ErrorKind::Refused(view.response_code());
    MessagingError::new(kind, view.remark())
}

/// A call that waits for its answer.
struct Waiting {
    /// Not kept alive: an answer to a POP may arrive long after the client has disconnected.
    requests: Weak<Requests>,
    sender: RefCell<Option<oneshot::Sender<Result<Answer, MessagingError>>>>,
    popping: RefCell<Option<Popping>>,
}

impl Waiting {
    fn is_given_up(&self) -> bool {
        let sender = self.sender.borrow();
        sender.as_ref().is_none_or(oneshot::Sender::is_closed)
    }

    fn end(&self, outcome: Result<Answer, MessagingError>) {
        // An answer that is not taken is dropped, and its messages are given back.
        if let Some(sender) = self.sender.take() {
            let _ = sender.send(outcome);
        }
    }
}

impl RelayTarget for Waiting {
    fn on_outcome(&self, origin: Origin, outcome: Outcome<'_>) {
        let requests = self.requests.upgrade();
        let is_late = matches!(outcome, Outcome::Late { .. });
        if let Some(requests) = requests.as_ref().filter(|_| !is_late) {
            requests.end(&origin);
        }
        match outcome {
            Outcome::Answered { frame, .. } | Outcome::Late { frame, .. } => {
                let frame = frame.to_owned();
                let held = requests.map(|requests| requests.account.hold(frame.len()));
                self.end(Ok(Answer {
                    frame,
                    _held: held,
                    popping: self.popping.take(),
                }));
            }
            Outcome::Failed(error) => self.end(Err(error.into())),
            Outcome::GivenUp => {
                self.end(Err(given_up()));
            }
        }
    }

    fn gives_up(&self, origin: &Origin) -> bool {
        let polls_end = || {
            let requests = self.requests.upgrade();
            requests.is_none_or(|requests| requests.gives_up_polls.get())
        };
        self.is_given_up() || (origin.code.is_long_poll() && polls_end())
    }

    fn wants_late(&self) -> bool {
        self.popping.borrow().is_some()
    }
}
