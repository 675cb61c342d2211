//! One client connection.

use std::cell::{Cell, RefCell};
use std::fmt;
use std::net::SocketAddr;
use std::rc::{Rc, Weak};
use std::sync::Arc;

use remoting_codec::{CommandView, DecodeError, RemotingCommand, RequestCode, ResponseCode};
use route_cache::transport::{Frame, FrameHandler, Outbox};
use route_cache::{
    Advertised, Connection, Origin, PushTarget, RelayTarget, Upstream, UpstreamError,
};

use crate::error::ProcessError;
use crate::membership::Membership;
use crate::push::Pushes;
use crate::query_message::Repeats;
use crate::replica::Moved;
use crate::request::Request;
use crate::settings::Settings;
use crate::{dispatch, notice, pull, push};

/// A client connection: whom answers go to, and what the client has said of itself.
pub struct Session {
    pub(crate) upstream: Rc<Upstream>,
    pub(crate) settings: Rc<Settings>,
    pub(crate) membership: RefCell<Membership>,
    pub(crate) pushes: RefCell<Pushes>,
    pub(crate) moved: Moved,
    pub(crate) repeats: RefCell<Repeats>,
    /// Where this client is told that brokers are.
    pub(crate) advertised: Arc<Advertised>,
    /// The broker that everything here is for, on a listener that belongs to one.
    pub(crate) broker: Option<Rc<str>>,
    outbox: Outbox,
    /// Requests of this client that are not answered yet.
    outstanding: Cell<usize>,
    /// Frames that have come.
    received: Cell<u64>,
    peer: SocketAddr,
    this: Weak<Self>,
}

impl fmt::Debug for Session {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Session")
            .field("peer", &self.peer)
            .field("outstanding", &self.outstanding.get())
            .finish_non_exhaustive()
    }
}

impl Session {
    /// A client that has just connected from `peer`, that is told `advertised`; to the listener of
    /// `broker`, if it is one's.
    #[must_use]
    pub fn new(
        upstream: Rc<Upstream>,
        settings: Rc<Settings>,
        peer: SocketAddr,
        advertised: Arc<Advertised>,
        broker: Option<&str>,
    ) -> Rc<Self> {
        Rc::new_cyclic(|this| Self {
            outbox: Outbox::new(upstream.buffers().clone()),
            upstream,
            settings,
            membership: RefCell::default(),
            pushes: RefCell::default(),
            moved: Moved::default(),
            repeats: RefCell::default(),
            advertised,
            broker: broker.map(Rc::from),
            outstanding: Cell::new(0),
            received: Cell::new(0),
            peer,
            this: this.clone(),
        })
    }

    /// What is to be written to the client.
    #[must_use]
    pub fn outbox(&self) -> &Outbox {
        &self.outbox
    }

    /// The client is gone or must go: its lanes end first, so that brokers forget it before it can come
    /// back through another replica.
    pub fn close(&self) {
        self.membership.borrow_mut().close();
        self.pushes.take();
        self.outbox.close();
    }

    /// Where the client connects from.
    #[must_use]
    pub fn peer(&self) -> SocketAddr {
        self.peer
    }

    /// The proxy stops: the client's lanes end, and its connection once the answers that are there
    /// are written.
    pub fn finish(&self) {
        self.membership.borrow_mut().close();
        self.outbox.finish();
    }

    /// Changes whenever something came from the client or went to it.
    #[must_use]
    pub fn activity(&self) -> u64 {
        self.outbox.bytes_written() + self.received.get()
    }

    /// Whether the client is gone.
    pub(crate) fn is_closed(&self) -> bool {
        self.outbox.is_closed()
    }

    pub(crate) fn this(&self) -> Option<Rc<Self>> {
        self.this.upgrade()
    }

    /// Answers a request, unless it wants no answer.
    pub(crate) fn answer(&self, view: &CommandView<'_>, response: RemotingCommand) {
        if !view.is_oneway() {
            let response = RemotingCommand {
                opaque: view.opaque(),
                serialize_type: view.serialize_type(),
                ..response
            };
            self.outbox.push(&response);
        }
    }

    /// Answers a request with why it was not served.
    pub(crate) fn refuse(&self, view: &CommandView<'_>, error: &ProcessError) {
        let (peer, code) = (self.peer, view.request_code());
        if matches!(error, ProcessError::NoBrokerName { .. }) && notice::no_broker_name_is_due() {
            tracing::warn!(%peer, %code, %error, "refused; said once a minute");
        } else {
            tracing::debug!(%peer, %code, %error, "refused");
        }
        let response =
            RemotingCommand::response(error.response_code(), view.opaque(), view.serialize_type());
        self.answer(view, response.with_remark(error.to_string()));
    }

    /// Serves a request in a task of its own: the request is kept, counts as outstanding meanwhile,
    /// and is refused with the error that the task ends with.
    pub(crate) fn spawn<F>(
        self: &Rc<Self>,
        request: Request,
        serve: impl FnOnce(Rc<Self>, Request) -> F,
    ) where
        F: Future<Output = Result<(), ProcessError>> + 'static,
    {
        let session = self.clone();
        let served = serve(self.clone(), request.clone());
        session.begin();
        tokio::task::spawn_local(async move {
            let served = served.await;
            session.end();
            if let (Err(error), Ok(view)) = (served, request.view()) {
                session.refuse(&view, &error);
            }
        });
    }

    /// One more request is outstanding.
    pub(crate) fn begin(&self) {
        self.outstanding.set(self.outstanding.get() + 1);
    }

    /// One fewer is.
    pub(crate) fn end(&self) {
        let before = self.outstanding.get();
        self.outstanding.set(before.saturating_sub(1));
        if before == self.settings.outstanding_limit {
            self.outbox.wake();
        }
    }

    fn is_congested(&self) -> bool {
        self.outbox.len() > self.settings.client_buffer_limit
    }
}

impl FrameHandler for Session {
    fn on_frame(&self, frame: Frame<'_>) -> Result<(), DecodeError> {
        let view = CommandView::decode(frame.bytes())?;
        self.received.set(self.received.get() + 1);
        let Some(this) = self.this() else {
            return Ok(());
        };
        if view.is_response() {
            push::on_response(self, &frame, &view);
        } else {
            dispatch::dispatch(&this, &frame, &view);
        }
        Ok(())
    }

    fn is_ready(&self) -> bool {
        !self.is_congested() && self.outstanding.get() < self.settings.outstanding_limit
    }
}

impl RelayTarget for Session {
    fn on_answer(&self, origin: Origin, frame: Frame<'_>, view: &CommandView<'_>) {
        self.end();
        if !self.is_congested() || view.body().is_empty() {
            self.outbox.push_relayed(&frame, view, origin.opaque);
        } else {
            // There is no room for a body. What was pulled can be pulled again.
            let again = Some(view)
                .filter(|view| is_pull(origin.code) && view.code() == ResponseCode::SUCCESS.0)
                .map(|view| pull::ask_again(view, origin.note));
            let busy = || {
                let busy = ResponseCode::SYSTEM_BUSY;
                RemotingCommand::response(busy, origin.opaque, origin.serialize_type)
                    .with_remark("the client does not read what it asks for")
            };
            self.outbox.push(&RemotingCommand {
                opaque: origin.opaque,
                serialize_type: origin.serialize_type,
                ..again.unwrap_or_else(busy)
            });
        }
        // Even what is short adds up, for a client that reads nothing at all.
        if self.outbox.len()
            > self.settings.client_buffer_limit + self.upstream.config().frame_limit
        {
            self.close();
        }
    }

    fn on_failure(&self, origin: Origin, error: UpstreamError) {
        self.end();
        let error = ProcessError::from(error);
        tracing::debug!(peer = %self.peer, code = %origin.code, %error, "not answered");
        let code = error.response_code();
        let response = RemotingCommand::response(code, origin.opaque, origin.serialize_type);
        self.outbox.push(&response.with_remark(error.to_string()));
    }
}

impl PushTarget for Session {
    fn on_push(&self, from: &Rc<Connection>, frame: Frame<'_>, view: &CommandView<'_>) {
        if !self.is_closed() && !self.is_congested() {
            push::on_push(self, from, &frame, view);
        }
    }
}

fn is_pull(code: RequestCode) -> bool {
    matches!(
        code,
        RequestCode::PULL_MESSAGE | RequestCode::LITE_PULL_MESSAGE
    )
}
