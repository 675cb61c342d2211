//! The requester while brokers know it.

use std::cell::{Cell, RefCell};
use std::rc::{Rc, Weak};
use std::time::Duration;

use remoting_codec::headers::{Header as _, SendMessageRequest};
use remoting_codec::message::{Properties, SysFlag, property};
use remoting_codec::{Language, RequestCode, ResponseCode, UpstreamView, Version};
use remoting_transport::{Account, Frame};
use route_cache::{Connection, PushTarget};
use tokio::sync::Notify;
use tokio::time::{Instant, sleep_until, timeout_at};

use super::Reply;
use super::waiting::Waiting;
use crate::asker::Asker;
use crate::caller::Caller;
use crate::error::{ErrorKind, MessagingError};
use crate::ids::random;
use crate::member::{Declaration, Declared, Member};

/// For how long it remains registered after the last request.
const IDLE: Duration = Duration::from_secs(60);

/// How often it is announced to brokers. They forget a client that is silent for two minutes.
const ANNOUNCE: Duration = Duration::from_secs(20);

/// A producer with an id of its own, registered at every master.
#[derive(Debug)]
pub(super) struct Active {
    client_id: String,
    member: Member,
    declared: RefCell<Option<Declared>>,
    account: Rc<Account>,
    waiting: Rc<Waiting>,
    /// The number of calls that use it, and when the last one ended.
    uses: Cell<usize>,
    used: Cell<Instant>,
    /// Whether it has been registered, as far as brokers can be reached.
    is_registered: Cell<bool>,
    /// Whether it has had to be registered for replies again. Then it must be with each
    /// announcement. Before, it must not, because brokers do not know it for a moment each time.
    is_renewed: Cell<bool>,
    /// Wakes the task that keeps it registered.
    looked: Notify,
}

/// A call that uses the requester, until it is dropped.
pub(super) struct Use(Rc<Active>);

impl Drop for Use {
    fn drop(&mut self) {
        self.0.uses.set(self.0.uses.get().saturating_sub(1));
        self.0.used.set(Instant::now());
        if self.0.uses.get() == 0 {
            self.0.look();
        }
    }
}

impl Active {
    pub(super) fn new(
        caller: &Caller,
        account: Rc<Account>,
        waiting: Rc<Waiting>,
        group: &str,
    ) -> Rc<Self> {
        let client_id = format!("remora-{:016x}@http", random());
        let this = Rc::new_cyclic(|this: &Weak<Self>| Self {
            member: Member::new(caller.clone(), account.clone(), this.clone()),
            client_id,
            declared: RefCell::default(),
            account,
            waiting,
            uses: Cell::new(0),
            used: Cell::new(Instant::now()),
            is_registered: Cell::new(false),
            is_renewed: Cell::new(false),
            looked: Notify::new(),
        });
        let by = (Language::HTTP, Version::V5_5_0);
        let declaration = Declaration::written(&this.client_id, &[group], &[], by);
        let declared = declaration.and_then(|declaration| this.member.declare(declaration));
        match declared {
            Ok(declared) => *this.declared.borrow_mut() = Some(declared),
            Err(error) => tracing::debug!(%error, "requests cannot be declared"),
        }
        this
    }

    pub(super) fn client_id(&self) -> &str {
        &self.client_id
    }

    /// A call begins to use it.
    pub(super) fn begin(self: &Rc<Self>) -> Use {
        self.uses.set(self.uses.get() + 1);
        Use(self.clone())
    }

    /// Looks now whether it is still needed.
    pub(super) fn look(&self) {
        self.looked.notify_one();
    }

    /// Waits until brokers know it, for a limited time; a broker that cannot be reached now takes
    /// no reply either.
    ///
    /// # Errors
    /// [`ErrorKind::Unavailable`] if none does.
    pub(super) async fn wait_registered(&self, deadline: Instant) -> Result<(), MessagingError> {
        if !self.is_registered.get() || !self.member.has_registered() {
            let registering = self.member.introduce_requester();
            let _ = timeout_at(deadline, registering).await;
            self.is_registered.set(true);
            if let Some(declared) = &*self.declared.borrow() {
                self.member.restart_replies(declared);
            }
        }
        match self.member.has_registered() {
            true => Ok(()),
            false => {
                let text = "no broker has registered Remora for replies: try again later";
                Err(MessagingError::new(ErrorKind::Unavailable, text))
            }
        }
    }

    /// Keeps it registered while it is needed: while calls use it, and for a while after; in a
    /// drain, no longer than calls use it.
    pub(super) async fn run(&self, is_leaving: impl Fn() -> bool) {
        let mut announced = Instant::now();
        loop {
            let now = Instant::now();
            let is_used = self.uses.get() > 0;
            let end = self.used.get() + IDLE;
            if !is_used && (is_leaving() || now >= end) {
                return;
            }
            if now >= announced + ANNOUNCE {
                announced = now;
                self.announce().await;
                continue;
            }
            let next = announced + ANNOUNCE;
            let next = if is_used { next } else { next.min(end) };
            tokio::select! {
                () = sleep_until(next) => {}
                () = self.looked.notified() => {}
            }
        }
    }

    async fn announce(&self) {
        // There may be new masters.
        self.member.open_to_masters().await;
        let Some(declared) = self.declared.take() else {
            return;
        };
        if let Err(error) = self.member.announce(&declared).await {
            tracing::debug!(%error, "requests cannot be announced");
        }
        let has_moved = self.member.restart_replies(&declared);
        if self.is_renewed.get() || has_moved {
            self.is_renewed.set(true);
            self.member.renew_replies(&declared).await;
        }
        *self.declared.borrow_mut() = Some(declared);
    }

    /// Brokers learn at once that it has left.
    pub(super) fn close(&self) {
        self.member.close();
    }

    /// A reply has arrived.
    fn on_reply(&self, frame: &Frame<'_>, view: &UpstreamView<'_>) -> Option<()> {
        let header = SendMessageRequest::read(view.ext_fields()).ok()?;
        let properties = header.properties?.text();
        let id = Properties::from(&*properties).get(property::CORRELATION_ID)?;
        let frame = frame.to_owned();
        self.waiting.end(&id, frame.len(), |held| Reply {
            body: view.body_range(),
            properties: properties.to_string(),
            sys_flag: SysFlag(header.sys_flag),
            frame,
            _held: held,
        });
        Some(())
    }
}

impl PushTarget for Active {
    fn on_push(&self, from: &Rc<Connection>, frame: Frame<'_>, view: &UpstreamView<'_>) {
        let asker = Asker::of(from, view);
        match view.request_code() {
            // The replier waits until this is answered. As from Java, it is a success whether or
            // not the request still waits (`ClientRemotingProcessor.receiveReplyMessage`).
            RequestCode::PUSH_REPLY_MESSAGE_TO_CLIENT => {
                let is_read = self.on_reply(&frame, view).is_some();
                let (code, remark) = match is_read {
                    true => (ResponseCode::SUCCESS, None),
                    false => {
                        let remark = "process reply message fail".to_owned();
                        (ResponseCode::SYSTEM_ERROR, Some(remark))
                    }
                };
                if let Some(asker) = asker {
                    asker.answer(code, remark, bytes::Bytes::new(), &self.account);
                }
            }
            RequestCode::NOTIFY_CONSUMER_IDS_CHANGED => {}
            _ => {
                if let Some(asker) = asker {
                    asker.refuse("a client that only sends requests", &self.account);
                }
            }
        }
    }
}
