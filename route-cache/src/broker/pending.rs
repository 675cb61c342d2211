//! The outstanding requests of one upstream connection.

use std::rc::Rc;

use bytes::Bytes;
use remoting_codec::{RequestCode, UpstreamOpaque, UpstreamView};
use remoting_transport::Frame;
use tokio::sync::oneshot;
use tokio::time::Instant;

use super::target::{Origin, Outcome, RelayTarget};
use crate::clock::{Clock, Deadline};
use crate::error::UpstreamError;

/// Bits of an opaque that are the slot's index; the other bits count the slot's uses, as a second
/// check.
const INDEX_BITS: u32 = 20;
const INDEX_MASK: u32 = (1 << INDEX_BITS) - 1;
/// Together the bits do not reach the sign bit: opaques are positive.
const USES_MAX: u32 = (1 << (31 - INDEX_BITS)) - 1;

/// Most requests that may be outstanding on one connection.
const OUTSTANDING_MAX: usize = 1 << INDEX_BITS;

/// Most slots that are checked for their deadline in one tick.
const SCAN_MAX: usize = 32 * 1024;

/// How a request is completed by its answer.
pub(crate) enum Completion {
    /// A task of this process waits for it.
    Call(oneshot::Sender<Result<Bytes, UpstreamError>>),
    /// It answers a probe, and is dropped.
    Probe,
    /// The answer is passed on to a client.
    Relay(Rc<dyn RelayTarget>, Origin),
    /// It arrives too late to be relayed.
    Late(Rc<dyn RelayTarget>, Origin),
}

impl Completion {
    pub(crate) fn answer(self, frame: Frame<'_>, view: &UpstreamView<'_>) {
        match self {
            // The calling task may have stopped waiting.
            Self::Call(caller) => drop(caller.send(Ok(frame.to_owned()))),
            Self::Relay(target, origin) => {
                target.on_outcome(origin, Outcome::Answered { frame, view });
            }
            Self::Late(target, origin) => target.on_outcome(origin, Outcome::Late { frame, view }),
            Self::Probe => {}
        }
    }

    /// Whether the broker itself is the author of the answer. A request to a client through its
    /// broker is answered by that client (`AdminBrokerProcessor.callConsumer` in the reference).
    pub(crate) fn is_of_broker(&self) -> bool {
        match self {
            Self::Relay(_, origin) => !matches!(
                origin.code,
                RequestCode::GET_CONSUMER_RUNNING_INFO | RequestCode::CONSUME_MESSAGE_DIRECTLY
            ),
            Self::Call(_) | Self::Probe => true,
            Self::Late(..) => false,
        }
    }

    pub(crate) fn is_long_poll(&self) -> bool {
        matches!(self, Self::Relay(_, origin) if origin.code.is_long_poll())
    }

    pub(crate) fn give_up(self) {
        if let Self::Relay(target, origin) = self {
            target.on_outcome(origin, Outcome::GivenUp);
        }
    }

    pub(crate) fn fail(self, error: UpstreamError) {
        match self {
            Self::Call(caller) => drop(caller.send(Err(error))),
            Self::Relay(target, origin) => target.on_outcome(origin, Outcome::Failed(error)),
            Self::Late(..) | Self::Probe => {}
        }
    }
}

/// The pending table: from upstream opaque to the completion of its request.
///
/// A slot whose request has timed out is not used again before its late answer has arrived: a busy
/// connection would reuse the opaque within a fraction of a second, and the answer would reach
/// another client.
#[derive(Default)]
pub(crate) struct Pending {
    slots: Vec<Entry>,
    /// Free slots, the last freed first: a connection keeps using the same few.
    free: Vec<u32>,
    abandoned: usize,
    /// The slot at which the next check of deadlines starts.
    next_scan: usize,
}

#[derive(Default)]
struct Entry {
    uses: u32,
    state: State,
}

#[derive(Default)]
enum State {
    /// Timed out or given up, and its answer may still arrive; with the target of a late answer, if
    /// one is wanted.
    Abandoned(Option<(Rc<dyn RelayTarget>, Origin)>),
    #[default]
    Free,
    /// The deadline, and the time when the request was sent.
    Waiting(Deadline, Instant, Completion),
}

impl Pending {
    /// Adds a request; returns its upstream opaque, never 0. `None` when the table is full.
    pub(crate) fn insert(
        &mut self,
        deadline: Deadline,
        now: Instant,
        completion: Completion,
    ) -> Option<UpstreamOpaque> {
        let index = match self.free.pop() {
            Some(index) => index,
            None if self.slots.len() < OUTSTANDING_MAX => {
                self.slots.push(Entry::default());
                self.slots.len() as u32 - 1
            }
            None => return None,
        };
        let slot = self.slots.get_mut(index as usize)?;
        slot.uses = slot.uses % USES_MAX + 1;
        slot.state = State::Waiting(deadline, now, completion);
        Some(UpstreamOpaque(((slot.uses << INDEX_BITS) | index) as i32))
    }

    /// Removes the request of an answer; returns its completion and the time when it was sent,
    /// unless it was given up. `None` if no request has that opaque.
    pub(crate) fn remove(
        &mut self,
        opaque: UpstreamOpaque,
    ) -> Option<(Option<Instant>, Completion)> {
        let UpstreamOpaque(opaque) = opaque;
        let index = opaque as u32 & INDEX_MASK;
        let slot = self.slots.get_mut(index as usize)?;
        if opaque < 0 || slot.uses != opaque as u32 >> INDEX_BITS {
            return None;
        }
        let completion = match std::mem::take(&mut slot.state) {
            State::Free => return None,
            State::Abandoned(target) => {
                self.abandoned -= 1;
                target.map(|(target, origin)| (None, Completion::Late(target, origin)))
            }
            State::Waiting(_, since, completion) => Some((Some(since), completion)),
        };
        self.free.push(index);
        self.shrink();
        completion
    }

    /// Removes requests whose deadline has passed. Each call checks only a part of a very large
    /// table.
    pub(crate) fn remove_expired(&mut self, clock: &Clock) -> Vec<Completion> {
        let from = self.next_scan;
        let to = from.saturating_add(SCAN_MAX).min(self.slots.len());
        self.next_scan = if to < self.slots.len() { to } else { 0 };
        self.abandon(from, to, |deadline, _| clock.is_over(deadline))
    }

    /// Removes requests that their clients give up; the late answer to a POP is still wanted.
    pub(crate) fn remove_given_up(&mut self) -> Vec<Completion> {
        let gives_up = |_, completion: &Completion| match completion {
            Completion::Relay(target, origin) => target.gives_up(origin),
            _ => false,
        };
        self.abandon(0, self.slots.len(), gives_up)
    }

    /// Removes the long polls, which are given up; other requests stay.
    pub(crate) fn remove_polls(&mut self) -> Vec<Completion> {
        self.abandon(0, self.slots.len(), |_, completion| {
            completion.is_long_poll()
        })
    }

    /// Removes the requests in that range of slots for which `is_over` is true. The slots stay
    /// reserved for the late answers.
    fn abandon(
        &mut self,
        from: usize,
        to: usize,
        is_over: impl Fn(Deadline, &Completion) -> bool,
    ) -> Vec<Completion> {
        let mut over = Vec::new();
        for slot in self.slots.get_mut(from..to).unwrap_or_default() {
            let State::Waiting(deadline, _, completion) = &slot.state else {
                continue;
            };
            if !is_over(*deadline, completion) {
                continue;
            }
            let late = match completion {
                Completion::Relay(target, origin) if target.wants_late() => {
                    Some((target.clone(), *origin))
                }
                _ => None,
            };
            let abandoned = State::Abandoned(late);
            if let State::Waiting(_, _, completion) = std::mem::replace(&mut slot.state, abandoned)
            {
                self.abandoned += 1;
                over.push(completion);
            }
        }
        over
    }

    /// Frees the slots that are reserved for unwanted late answers, when the table takes no more
    /// requests.
    pub(crate) fn forget_abandoned(&mut self) {
        for (index, slot) in (0_u32..).zip(&mut self.slots) {
            if matches!(slot.state, State::Abandoned(None)) {
                slot.state = State::Free;
                self.abandoned -= 1;
                self.free.push(index);
            }
        }
        while self
            .slots
            .last()
            .is_some_and(|slot| matches!(slot.state, State::Free))
        {
            self.slots.pop();
        }
        self.slots.shrink_to_fit();
        self.free
            .retain(|index| (*index as usize) < self.slots.len());
        self.next_scan = 0;
    }

    /// Removes all requests; the connection has ended.
    pub(crate) fn remove_all(&mut self) -> Vec<Completion> {
        self.free.clear();
        self.abandoned = 0;
        let slots = std::mem::take(&mut self.slots).into_iter();
        slots
            .filter_map(|slot| match slot.state {
                State::Waiting(_, _, completion) => Some(completion),
                State::Abandoned(_) | State::Free => None,
            })
            .collect()
    }

    /// The number of outstanding requests.
    pub(crate) fn len(&self) -> usize {
        self.slots.len() - self.free.len() - self.abandoned
    }

    /// Whether no answer is expected any more, not even a late one.
    pub(crate) fn is_done(&self) -> bool {
        self.slots.len() == self.free.len()
    }

    /// The number of requests that have timed out and are still without an answer.
    pub(crate) fn abandoned(&self) -> usize {
        self.abandoned
    }

    /// Frees memory after a peak.
    fn shrink(&mut self) {
        const KEEP: usize = 4096;
        if self.slots.len() > KEEP && self.free.len() == self.slots.len() {
            self.slots.truncate(KEEP);
            self.slots.shrink_to_fit();
            self.free = (0..KEEP as u32).rev().collect();
        }
    }
}

#[cfg(test)]
mod tests;
