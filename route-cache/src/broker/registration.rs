//! What a client says of itself, and how much of it a broker has heard.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;

use bytes::Bytes;
use remoting_codec::{CommandView, DecodeError, ResponseCode, Version};
use tokio::time::Instant;

/// Most unregistrations of one key that are said again on a new lane. Each makes a heartbeat that it came after
/// true again; a client that has sent so many since its last heartbeat will send one soon.
const UNREGISTERED_MAX: usize = 64;

/// What a client has said of itself, in the frames in which it said it: by key, which is one client id of the connection,
/// its latest heartbeat, and what it has unregistered since. All of its lanes share it, and each says what is new in it,
/// and begins by saying all of it.
#[derive(Debug, Default)]
pub struct Registration {
    entries: RefCell<Vec<Entry>>,
    /// The newest entry's.
    version: Cell<u64>,
    /// Bytes of all frames.
    bytes: Cell<usize>,
}

/// What is said under one key.
#[derive(Debug)]
struct Entry {
    key: usize,
    heartbeat: Frame,
    unregistered: VecDeque<Frame>,
}

/// One frame of a registration.
#[derive(Clone, Debug)]
pub(crate) struct Frame {
    pub(crate) key: usize,
    /// Grows from frame to frame, in the order in which the client said them.
    pub(crate) version: u64,
    pub(crate) is_heartbeat: bool,
    pub(crate) bytes: Bytes,
}

impl Registration {
    /// From now on, this heartbeat is said under that key, and nothing that was said under it before. It must be one that
    /// wants an answer.
    pub fn say(&self, key: usize, heartbeat: Bytes) {
        let new = Entry {
            key,
            heartbeat: self.next(key, true, heartbeat),
            unregistered: VecDeque::new(),
        };
        let mut entries = self.entries.borrow_mut();
        match entries.iter_mut().find(|entry| entry.key == key) {
            Some(known) => {
                let old = std::mem::replace(known, new);
                self.bytes.set(self.bytes.get() - old.bytes());
            }
            None => entries.push(new),
        }
    }

    /// From now on, this unregistration is said behind the heartbeat of that key.
    pub fn unsay(&self, key: usize, unregistration: Bytes) {
        let mut entries = self.entries.borrow_mut();
        let Some(entry) = entries.iter_mut().find(|entry| entry.key == key) else {
            return;
        };
        if entry.unregistered.len() == UNREGISTERED_MAX
            && let Some(oldest) = entry.unregistered.pop_front()
        {
            self.bytes.set(self.bytes.get() - oldest.bytes.len());
        }
        let frame = self.next(key, false, unregistration);
        entry.unregistered.push_back(frame);
    }

    /// Nothing is to be said any more.
    pub fn clear(&self) {
        self.entries.borrow_mut().clear();
        self.bytes.set(0);
    }

    /// How many bytes are kept to be said.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.bytes.get()
    }

    /// The newest frame's version.
    pub(crate) fn version(&self) -> u64 {
        self.version.get()
    }

    /// The heartbeat of that key.
    pub(crate) fn heartbeat(&self, key: usize) -> Option<Frame> {
        let entries = self.entries.borrow();
        let entry = entries.iter().find(|entry| entry.key == key)?;
        Some(entry.heartbeat.clone())
    }

    /// The frames that are newer than that: by client id, each heartbeat before what was unregistered since.
    fn newer(&self, than: u64) -> Vec<Frame> {
        let entries = self.entries.borrow();
        let frames = entries
            .iter()
            .flat_map(|entry| std::iter::once(&entry.heartbeat).chain(&entry.unregistered));
        frames
            .filter(|frame| frame.version > than)
            .cloned()
            .collect()
    }

    fn next(&self, key: usize, is_heartbeat: bool, bytes: Bytes) -> Frame {
        self.bytes.set(self.bytes.get() + bytes.len());
        self.version.set(self.version.get() + 1);
        Frame {
            key,
            version: self.version.get(),
            is_heartbeat,
            bytes,
        }
    }
}

impl Entry {
    fn bytes(&self) -> usize {
        let unregistered = self.unregistered.iter();
        let unregistered: usize = unregistered.map(|frame| frame.bytes.len()).sum();
        self.heartbeat.bytes.len() + unregistered
    }
}

/// What a broker has answered to a heartbeat.
#[derive(Clone, Debug)]
pub struct Verdict {
    /// Its response code.
    pub code: i32,
    /// The broker's version, from which a client takes what the broker can do.
    pub version: Version,
    /// What it adds in words.
    pub remark: Box<str>,
}

impl Verdict {
    pub(crate) fn read(answer: &[u8]) -> Result<Self, DecodeError> {
        let view = CommandView::decode(answer)?;
        Ok(Self {
            code: view.code(),
            version: view.version(),
            remark: view.remark().into(),
        })
    }

    /// Whether the broker has taken the heartbeat.
    #[must_use]
    pub fn is_success(&self) -> bool {
        self.code == ResponseCode::SUCCESS.0
    }
}

/// What one lane has said of a registration.
#[derive(Debug, Default)]
pub(crate) struct Heard {
    /// Everything up to this version, except for what was refused.
    version: u64,
    /// By key, the broker's latest word.
    verdicts: Vec<Judged>,
}

#[derive(Debug)]
struct Judged {
    key: usize,
    /// The heartbeat's.
    version: u64,
    /// When it was said.
    asked: Instant,
    verdict: Verdict,
}

impl Heard {
    /// A new connection, over which nothing was said. What the broker refused, it would refuse again: that is not said
    /// before the client says it again.
    pub(crate) fn begin_again(&mut self) {
        self.version = 0;
        self.verdicts.retain(|known| !known.verdict.is_success());
    }

    /// What is to be said now; it counts as said.
    pub(crate) fn take_unsaid(&mut self, registration: &Registration) -> Vec<Frame> {
        let mut frames = registration.newer(self.version);
        self.version = registration.version();
        frames.retain(|frame| {
            let heartbeat = registration.heartbeat(frame.key);
            !heartbeat.is_some_and(|heartbeat| self.has_refused(&heartbeat))
        });
        frames
    }

    /// Whether there is anything to be said.
    pub(crate) fn has_unsaid(&self, registration: &Registration) -> bool {
        registration.newer(self.version).iter().any(|frame| {
            let heartbeat = registration.heartbeat(frame.key);
            !heartbeat.is_some_and(|heartbeat| self.has_refused(&heartbeat))
        })
    }

    /// That could not be said, nor what is newer.
    pub(crate) fn take_back(&mut self, frame: &Frame) {
        self.version = self.version.min(frame.version.saturating_sub(1));
    }

    /// The broker has answered to what was said at that moment.
    pub(crate) fn judge(&mut self, frame: &Frame, asked: Instant, verdict: Verdict) {
        self.verdicts.retain(|known| known.key != frame.key);
        self.verdicts.push(Judged {
            key: frame.key,
            version: frame.version,
            asked,
            verdict,
        });
    }

    /// The broker's word on that heartbeat; if a moment is given, only if it was said then or later.
    pub(crate) fn verdict(&self, frame: &Frame, since: Option<Instant>) -> Option<&Verdict> {
        let mut verdicts = self.verdicts.iter();
        let known = verdicts.find(|known| known.key == frame.key)?;
        let is_recent = since.is_none_or(|since| known.asked >= since);
        (known.version == frame.version && is_recent).then_some(&known.verdict)
    }

    /// What the broker thought of that key is to be asked again.
    pub(crate) fn forget(&mut self, key: usize) {
        self.verdicts.retain(|known| known.key != key);
    }

    /// Whether the broker has taken any heartbeat.
    pub(crate) fn is_known(&self) -> bool {
        self.verdicts.iter().any(|known| known.verdict.is_success())
    }

    /// A refusal, of whichever key.
    pub(crate) fn refusal(&self) -> Option<&Verdict> {
        let mut verdicts = self.verdicts.iter().map(|known| &known.verdict);
        verdicts.find(|verdict| !verdict.is_success())
    }

    fn has_refused(&self, heartbeat: &Frame) -> bool {
        self.verdicts.iter().any(|known| {
            known.key == heartbeat.key
                && known.version == heartbeat.version
                && !known.verdict.is_success()
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn verdict(code: ResponseCode) -> Verdict {
        Verdict {
            code: code.0,
            version: Version::V5_5_0,
            remark: "".into(),
        }
    }

    /// What a lane says now, as frames that are told apart by their first byte; answered with that code.
    fn say(heard: &mut Heard, registration: &Registration, code: ResponseCode) -> Vec<u8> {
        let frames = heard.take_unsaid(registration);
        for frame in frames.iter().filter(|frame| frame.is_heartbeat) {
            heard.judge(frame, Instant::now(), verdict(code));
        }
        frames.iter().map(|frame| frame.bytes[0]).collect()
    }

    #[test]
    fn only_what_is_new_is_said_until_the_lane_is_made_again() {
        let (registration, mut heard) = (Registration::default(), Heard::default());
        for key in 0..3 {
            registration.say(key, Bytes::from(vec![key as u8; 100]));
        }
        let ok = ResponseCode::SUCCESS;
        assert_eq!(say(&mut heard, &registration, ok), [0, 1, 2]);
        assert!(say(&mut heard, &registration, ok).is_empty());
        registration.unsay(0, Bytes::from_static(&[10]));
        registration.say(1, Bytes::from_static(&[11]));
        registration.unsay(1, Bytes::from_static(&[12]));
        assert_eq!(say(&mut heard, &registration, ok), [10, 11, 12]);
        assert_eq!(registration.bytes(), 203);
        heard.begin_again();
        assert_eq!(say(&mut heard, &registration, ok), [0, 10, 11, 12, 2]);
        // A heartbeat stands for itself.
        registration.say(1, Bytes::from_static(&[13]));
        assert_eq!(registration.bytes(), 202);
        assert_eq!(say(&mut heard, &registration, ok), [13]);
    }

    #[test]
    fn what_was_refused_is_not_said_again_unasked() {
        let (registration, mut heard) = (Registration::default(), Heard::default());
        registration.say(0, Bytes::from_static(&[0]));
        let (ok, no) = (ResponseCode::SUCCESS, ResponseCode::NO_PERMISSION);
        assert_eq!(say(&mut heard, &registration, ok), [0]);
        registration.say(1, Bytes::from_static(&[1]));
        registration.unsay(1, Bytes::from_static(&[2]));
        assert_eq!(say(&mut heard, &registration, no), [1, 2]);
        heard.begin_again();
        assert!(!heard.is_known() && heard.has_unsaid(&registration));
        assert_eq!(say(&mut heard, &registration, ok), [0]);
        assert!(heard.is_known());
        // The client says it again.
        heard.begin_again();
        heard.forget(1);
        assert_eq!(say(&mut heard, &registration, ok), [0, 1, 2]);
        heard.begin_again();
        registration.say(1, Bytes::from_static(&[3]));
        assert_eq!(say(&mut heard, &registration, ok), [0, 3]);
    }

    #[test]
    fn what_could_not_be_sent_is_said_with_the_next() {
        let (registration, mut heard) = (Registration::default(), Heard::default());
        registration.say(0, Bytes::from_static(&[0]));
        registration.say(1, Bytes::from_static(&[1]));
        let frames = heard.take_unsaid(&registration);
        heard.take_back(&frames[1]);
        let again = heard.take_unsaid(&registration);
        assert_eq!(again.len(), 1);
        assert_eq!(again[0].key, 1);
    }

    #[test]
    fn unregistrations_are_bounded_and_counted() {
        let registration = Registration::default();
        registration.unsay(0, Bytes::from_static(&[1]));
        assert_eq!(registration.bytes(), 0);
        registration.say(0, Bytes::from_static(&[0]));
        for _ in 0..3 * UNREGISTERED_MAX {
            registration.unsay(0, Bytes::from_static(&[1]));
        }
        assert_eq!(registration.bytes(), 1 + UNREGISTERED_MAX);
        registration.clear();
        assert_eq!(registration.bytes(), 0);
        assert!(registration.newer(0).is_empty());
    }
}
