//! Turns: connections that have more to read or write than fits into one turn wait here for the
//! next.
//!
//! The runtime polls the sockets when no task is left to run, or after 61 tasks. If all busy
//! connections were queued at once, a client with a small request would wait for all of them, and
//! again for its answer. So only a few busy connections continue between two polls of the sockets,
//! in the order in which they arrived here.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::rc::Rc;
use std::task::{Context, Waker};

use tokio::task::{spawn_local, yield_now};

/// How many connections get their turn between two polls of the sockets: together they take less
/// than half a millisecond.
const AT_ONCE: usize = 4;

/// The connections of one worker that wait for a turn.
#[derive(Debug, Default)]
pub struct Turns {
    waiting: RefCell<VecDeque<Rc<Turn>>>,
    is_served: Cell<bool>,
}

/// One connection's place in the order of turns.
#[derive(Debug, Default)]
pub struct Turn {
    waiter: RefCell<Option<Waker>>,
    waits: Cell<bool>,
    takes_turn: Cell<bool>,
}

impl Turn {
    /// Whether the connection has waited and its turn has started. Returns true once per turn.
    pub(crate) fn takes_turn(&self) -> bool {
        self.takes_turn.take()
    }

    /// Whether the connection still waits for its turn.
    #[inline]
    #[must_use]
    pub fn waits(&self) -> bool {
        self.waits.get()
    }
}

impl Turns {
    /// Adds a connection to the end of the queue, unless it waits already; its task is polled when
    /// its turn starts. Must be called within a `LocalSet`.
    pub fn wait(self: &Rc<Self>, turn: &Rc<Turn>, cx: &Context<'_>) {
        *turn.waiter.borrow_mut() = Some(cx.waker().clone());
        if !turn.waits.replace(true) {
            self.waiting.borrow_mut().push_back(turn.clone());
        }
        if !self.is_served.replace(true) {
            spawn_local(serve(self.clone()));
        }
    }
}

/// Gives turns until the queue is empty.
async fn serve(turns: Rc<Turns>) {
    loop {
        // Continues once the runtime has polled the sockets.
        yield_now().await;
        for _ in 0..AT_ONCE {
            let next = turns.waiting.borrow_mut().pop_front();
            let Some(turn) = next else {
                turns.is_served.set(false);
                return;
            };
            turn.waits.set(false);
            turn.takes_turn.set(true);
            if let Some(waker) = turn.waiter.take() {
                waker.wake();
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::future::poll_fn;
    use std::task::Poll;

    use tokio::task::LocalSet;

    use super::*;

    #[tokio::test]
    async fn waiting_connections_continue_in_order_and_a_few_at_a_time() {
        let turns = Rc::<Turns>::default();
        let order = Rc::<RefCell<Vec<usize>>>::default();
        let local = LocalSet::new();
        for nth in 0..3 * AT_ONCE {
            let (turns, order) = (turns.clone(), order.clone());
            local.spawn_local(async move {
                let turn = Rc::<Turn>::default();
                for _ in 0..2 {
                    let mut is_asked = false;
                    poll_fn(|cx| {
                        if is_asked && !turn.waits() {
                            return Poll::Ready(());
                        }
                        is_asked = true;
                        turns.wait(&turn, cx);
                        Poll::Pending
                    })
                    .await;
                    order.borrow_mut().push(nth);
                }
            });
        }
        let counts = local
            .run_until(async {
                let mut counts = Vec::new();
                while turns.is_served.get() || counts.is_empty() {
                    yield_now().await;
                    counts.push(order.borrow().len());
                }
                counts
            })
            .await;
        let once: Vec<_> = (0..3 * AT_ONCE).collect();
        assert_eq!(*order.borrow(), [once.clone(), once].concat());
        let steps = counts.windows(2).map(|pair| pair[1] - pair[0]);
        assert!(steps.max() <= Some(AT_ONCE), "{counts:?}");
    }
}
