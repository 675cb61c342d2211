//! How a client's stream ends, and what follows from it.

use std::cell::Cell;
use std::rc::Rc;
use std::time::Duration;

use messaging::{Crashed, release};
use tokio::time::sleep;

use super::Present;
use crate::client::now_millis;
use crate::proto::{Code, Command, ReconnectEndpointsCommand, Status, TelemetryCommand};
use crate::transport::Failure;

/// How long the streams of a client that has crashed may take to end.
const SETTLE: Duration = Duration::from_secs(2);

/// Most crashed clients of a worker whose messages are released at a time.
const RELEASING_MAX: usize = 512;

impl Present {
    /// Ends the stream with a status of the transport.
    pub(super) fn fail(&self, failure: Failure) {
        if let Some(commands) = self.commands.take() {
            let _ = commands.try_send(Box::new(Err(failure.trailers())));
        }
    }

    /// Ends the stream.
    pub(super) fn end(&self) {
        self.ended.notify_one();
    }

    /// The client has said that it leaves.
    pub(crate) fn terminate(&self) {
        if self.is_leaving.replace(true) {
            return;
        }
        self.unsubscribe_lite();
        self.member.close();
        self.end();
    }

    /// Asks the client to connect again, and ends the stream.
    pub(crate) fn ask_to_reconnect(&self) {
        self.is_leaving.set(true);
        self.send(TelemetryCommand {
            status: Some(Status::of(Code::Ok)),
            command: Some(Command::ReconnectEndpoints(ReconnectEndpointsCommand {
                nonce: self.questions.next_nonce(),
            })),
        });
        self.end();
    }

    /// The connection has ended, or the client has another stream: its lanes end now.
    pub(crate) fn close(&self) {
        self.close_lanes();
        self.end();
    }

    /// Ends the lanes, and notes whether a broker knew the client.
    fn close_lanes(&self) {
        let was_registered = self.member.has_registered();
        self.was_registered
            .set(self.was_registered.get() || was_registered);
        self.member.close();
    }

    /// The stream has ended: brokers learn it, and what the client held is given back, unless it
    /// lives elsewhere.
    pub(super) fn finish(self: &Rc<Self>) {
        self.commands.take();
        self.log_last();
        self.close_lanes();
        if let Some(connection) = self.connection() {
            for all in [&connection.present, &connection.visitors] {
                let mut all = all.borrow_mut();
                let now = all.get(&self.client_id);
                if now.is_some_and(|now| Rc::ptr_eq(now, self)) {
                    all.remove(&self.client_id);
                }
            }
        }
        let has_lite = self.was_registered.get() && self.lite().is_some();
        let must_release = !self.is_leaving.get() && (has_lite || !self.holdings.is_empty());
        if must_release && let Some(turn) = Releasing::begin() {
            tokio::task::spawn_local(self.clone().release(has_lite, turn));
        }
    }

    /// Gives back what the client held, unless it lives elsewhere.
    async fn release(self: Rc<Self>, has_lite: bool, _turn: Releasing) {
        // Answers that were not written yet give their messages back by themselves, as their
        // streams end: those are not held any more.
        sleep(SETTLE).await;
        let (held, _charged) = self.holdings.take();
        let lite = self.lite().filter(|_| has_lite);
        if !held.is_empty() || lite.is_some() {
            let upstream = self.member.caller().upstream().clone();
            let crashed = Crashed {
                client_id: self.client_id.to_string(),
                held,
                lite,
            };
            release(upstream, crashed, now_millis).await;
        }
    }
}

/// A crashed client whose messages are released: each is looked for at brokers, which costs
/// requests. Of further ones, messages become visible when their invisible time ends.
struct Releasing(());

thread_local! {
    /// How many a worker has.
    static RELEASING: Cell<usize> = const { Cell::new(0) };
}

impl Releasing {
    fn begin() -> Option<Self> {
        let count = RELEASING.get();
        (count < RELEASING_MAX).then(|| {
            RELEASING.set(count + 1);
            Self(())
        })
    }
}

impl Drop for Releasing {
    fn drop(&mut self) {
        RELEASING.set(RELEASING.get() - 1);
    }
}
