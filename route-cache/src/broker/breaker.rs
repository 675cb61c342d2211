//! Whether a broker answers at all.

use std::cell::Cell;
use std::rc::Rc;
use std::sync::Arc;

use bytes::Bytes;
use remoting_codec::{RemotingCommand, RequestCode};
use tracing::{info, warn};

use super::connection::{Connection, Context};
use crate::config::UpstreamConfig;

/// Counts what a broker leaves unanswered. From a number of failures in a row on, requests to it are refused at once, so
/// that clients try another broker instead of waiting for this one; and it is asked again and again, by Remora itself,
/// until it answers.
#[derive(Debug)]
pub(crate) struct Breaker {
    label: Rc<str>,
    address: Arc<str>,
    context: Rc<Context>,
    /// Unanswered since the last answer.
    failures: Cell<u32>,
    open: Cell<bool>,
}

impl Breaker {
    pub(super) fn new(label: Rc<str>, address: Arc<str>, context: Rc<Context>) -> Rc<Self> {
        Rc::new(Self {
            label,
            address,
            context,
            failures: Cell::new(0),
            open: Cell::new(false),
        })
    }

    /// Where the broker is that this is about.
    pub(super) fn address(&self) -> &Arc<str> {
        &self.address
    }

    /// Whether requests are to be refused.
    pub(super) fn is_open(&self) -> bool {
        self.open.get()
    }

    /// An answer has come.
    #[inline]
    pub(super) fn succeeded(&self) {
        self.failures.set(0);
        if self.open.get() {
            self.close();
        }
    }

    /// So many requests were not answered in time.
    pub(super) fn failed(self: &Rc<Self>, requests: u32) {
        self.failures
            .set(self.failures.get().saturating_add(requests));
        if self.failures.get() >= self.context.config.breaker_failures && !self.open.replace(true) {
            warn!(peer = %self.label, address = %self.address, "answers nothing: requests are refused until it does");
            self.mark(1);
            tokio::task::spawn_local(self.clone().probe());
        }
    }

    /// The broker is not there any more: nobody needs to know whether it answers.
    pub(super) fn abandon(&self) {
        if self.open.replace(false) {
            self.mark(-1);
        }
    }

    fn close(&self) {
        self.open.set(false);
        self.mark(-1);
        info!(peer = %self.label, address = %self.address, "answers again");
    }

    fn mark(&self, change: i64) {
        if let Some(name) = self.label.strip_prefix(super::connection::BROKER_PREFIX) {
            self.context.metrics(name).failing.add(change);
        }
    }

    /// Asks until there is an answer, each time over a new connection: the old one may be what is broken.
    async fn probe(self: Rc<Self>) {
        let period = self.context.config.breaker_probe;
        while self.open.get() {
            tokio::time::sleep(period).await;
            let connection = Connection::new(self.label.clone(), self.context.clone(), None, None);
            let asked = async {
                let answer = connection.call(nothing(&self.context.config), period).await;
                connection.close();
                answer
            };
            let (_, answer) = tokio::join!(connection.run(&self.address), asked);
            if answer.is_ok() {
                self.succeeded();
            }
        }
    }
}

/// A heartbeat with no group in it, which registers nothing and is answered.
pub(super) fn nothing(config: &UpstreamConfig) -> Bytes {
    let body = Bytes::from_static(
        br#"{"clientID":"remora-keep-alive","producerDataSet":[],"consumerDataSet":[]}"#,
    );
    let heartbeat = RemotingCommand::request(RequestCode::HEART_BEAT).with_body(body);
    config.signed(heartbeat).to_bytes()
}
