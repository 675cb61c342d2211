//! A client's registration, and how much of it was sent to a broker.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;

use bytes::Bytes;
use remoting_codec::{DecodeError, ResponseCode, UpstreamView, Version};
use tokio::time::Instant;

/// Most unregistrations of one key that are sent again on a new lane. Each corrects the heartbeat
/// before it. A client that has sent that many since its last heartbeat will send a heartbeat soon.
const UNREGISTERED_MAX: usize = 64;

/// A client's registration, as frames that the client sent. For each key, which is one client id of
/// the connection, it has the latest heartbeat and the unregistrations since. All lanes of the
/// client share it. A lane sends all of it when it is opened, and later only new frames.
#[derive(Debug, Default)]
pub struct Registration {
    entries: RefCell<Vec<Entry>>,
    /// The version of the newest frame.
    version: Cell<u64>,
    /// The length of all frames together, in bytes.
    bytes: Cell<usize>,
}

/// The frames of one key.
#[derive(Debug)]
struct Entry {
    key: usize,
    heartbeat: Frame,
    unregistered: VecDeque<Frame>,
}

/// A heartbeat or an unregistration of one client id.
#[derive(Clone, Debug)]
pub(crate) struct Frame {
    pub(crate) key: usize,
    /// Grows from frame to frame, in the order in which the client sent them.
    pub(crate) version: u64,
    pub(crate) is_heartbeat: bool,
    pub(crate) bytes: Bytes,
}

impl Registration {
    /// Replaces all frames of that key by this heartbeat, which must not be one-way.
    pub fn set_heartbeat(&self, key: usize, heartbeat: Bytes) {
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

    /// Adds an unregistration after the heartbeat of that key.
    pub fn add_unregistration(&self, key: usize, unregistration: Bytes) {
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

    /// Removes all frames.
    pub fn clear(&self) {
        self.entries.borrow_mut().clear();
        self.bytes.set(0);
    }

    /// The number of bytes of all frames.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.bytes.get()
    }

    /// The version of the newest frame.
    pub(crate) fn version(&self) -> u64 {
        self.version.get()
    }

    /// The latest heartbeat of that key.
    pub(crate) fn heartbeat(&self, key: usize) -> Option<Frame> {
        let entries = self.entries.borrow();
        let entry = entries.iter().find(|entry| entry.key == key)?;
        Some(entry.heartbeat.clone())
    }

    /// The frames that are newer than that version, grouped by key, each heartbeat before the
    /// unregistrations since.
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

/// The broker's answer to a heartbeat.
#[derive(Clone, Debug)]
pub struct Verdict {
    /// The response code: 0 if the broker accepted the heartbeat.
    pub code: i32,
    /// The broker's version, by which a client decides which features to use.
    pub version: Version,
    /// The broker's explanation of a refusal; empty if there is none.
    pub remark: Box<str>,
}

impl Verdict {
    pub(crate) fn read(answer: &[u8]) -> Result<Self, DecodeError> {
        let view = UpstreamView::decode_answer(answer)?;
        Ok(Self {
            code: view.code(),
            version: view.version(),
            remark: view.remark().into(),
        })
    }

    /// Whether the broker has accepted the heartbeat.
    #[must_use]
    pub fn is_success(&self) -> bool {
        self.code == ResponseCode::SUCCESS.0
    }
}

/// The part of a registration that one lane has sent, with the broker's answers.
#[derive(Debug, Default)]
pub(crate) struct Sent {
    /// All frames up to this version were sent, except those with refused keys.
    version: u64,
    /// The broker's latest answer, by key.
    verdicts: Vec<Judged>,
}

#[derive(Debug)]
struct Judged {
    key: usize,
    /// The version of the heartbeat that the verdict is about.
    version: u64,
    /// When that heartbeat was sent; a caller may accept only verdicts on later ones.
    asked: Instant,
    verdict: Verdict,
}

impl Sent {
    /// Restarts for a new connection. A heartbeat that the broker refused is not sent again before
    /// the client sends a new one.
    pub(crate) fn restart(&mut self) {
        self.version = 0;
        self.verdicts.retain(|known| !known.verdict.is_success());
    }

    /// The frames to send now; they count as sent.
    pub(crate) fn take_unsent(&mut self, registration: &Registration) -> Vec<Frame> {
        let mut frames = registration.newer(self.version);
        self.version = registration.version();
        frames.retain(|frame| {
            let heartbeat = registration.heartbeat(frame.key);
            !heartbeat.is_some_and(|heartbeat| self.has_refused(&heartbeat))
        });
        frames
    }

    /// Whether there are frames to send.
    pub(crate) fn has_unsent(&self, registration: &Registration) -> bool {
        registration.newer(self.version).iter().any(|frame| {
            let heartbeat = registration.heartbeat(frame.key);
            !heartbeat.is_some_and(|heartbeat| self.has_refused(&heartbeat))
        })
    }

    /// Records that this frame and newer ones could not be sent.
    pub(crate) fn take_back(&mut self, frame: &Frame) {
        self.version = self.version.min(frame.version.saturating_sub(1));
    }

    /// Records the broker's answer to a heartbeat that was sent at that moment.
    pub(crate) fn judge(&mut self, frame: &Frame, asked: Instant, verdict: Verdict) {
        self.verdicts.retain(|known| known.key != frame.key);
        self.verdicts.push(Judged {
            key: frame.key,
            version: frame.version,
            asked,
            verdict,
        });
    }

    /// The broker's answer to that heartbeat; with `since`, only if it was sent then or later.
    pub(crate) fn verdict(&self, frame: &Frame, since: Option<Instant>) -> Option<&Verdict> {
        let mut verdicts = self.verdicts.iter();
        let known = verdicts.find(|known| known.key == frame.key)?;
        let is_recent = since.is_none_or(|since| known.asked >= since);
        (known.version == frame.version && is_recent).then_some(&known.verdict)
    }

    /// Forgets the broker's answer for that key, so that the heartbeat is sent again.
    pub(crate) fn forget(&mut self, key: usize) {
        self.verdicts.retain(|known| known.key != key);
    }

    /// Whether the broker has accepted any heartbeat.
    pub(crate) fn is_known(&self) -> bool {
        self.verdicts.iter().any(|known| known.verdict.is_success())
    }

    /// A verdict that is not a success, of any key, if there is one.
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

    /// Sends what is new, and answers each heartbeat with that code. Returns the first byte of each
    /// frame sent.
    fn send(sent: &mut Sent, registration: &Registration, code: ResponseCode) -> Vec<u8> {
        let frames = sent.take_unsent(registration);
        for frame in frames.iter().filter(|frame| frame.is_heartbeat) {
            sent.judge(frame, Instant::now(), verdict(code));
        }
        frames.iter().map(|frame| frame.bytes[0]).collect()
    }

    #[test]
    fn only_new_frames_are_sent_until_the_lane_is_opened_again() {
        let (registration, mut sent) = (Registration::default(), Sent::default());
        for key in 0..3 {
            registration.set_heartbeat(key, Bytes::from(vec![key as u8; 100]));
        }
        let ok = ResponseCode::SUCCESS;
        assert_eq!(send(&mut sent, &registration, ok), [0, 1, 2]);
        assert!(send(&mut sent, &registration, ok).is_empty());
        registration.add_unregistration(0, Bytes::from_static(&[10]));
        registration.set_heartbeat(1, Bytes::from_static(&[11]));
        registration.add_unregistration(1, Bytes::from_static(&[12]));
        assert_eq!(send(&mut sent, &registration, ok), [10, 11, 12]);
        assert_eq!(registration.bytes(), 203);
        sent.restart();
        assert_eq!(send(&mut sent, &registration, ok), [0, 10, 11, 12, 2]);
        // A heartbeat replaces the earlier frames of its key.
        registration.set_heartbeat(1, Bytes::from_static(&[13]));
        assert_eq!(registration.bytes(), 202);
        assert_eq!(send(&mut sent, &registration, ok), [13]);
    }

    #[test]
    fn a_refused_heartbeat_is_sent_again_only_after_a_new_one() {
        let (registration, mut sent) = (Registration::default(), Sent::default());
        registration.set_heartbeat(0, Bytes::from_static(&[0]));
        let (ok, no) = (ResponseCode::SUCCESS, ResponseCode::NO_PERMISSION);
        assert_eq!(send(&mut sent, &registration, ok), [0]);
        registration.set_heartbeat(1, Bytes::from_static(&[1]));
        registration.add_unregistration(1, Bytes::from_static(&[2]));
        assert_eq!(send(&mut sent, &registration, no), [1, 2]);
        sent.restart();
        assert!(!sent.is_known() && sent.has_unsent(&registration));
        assert_eq!(send(&mut sent, &registration, ok), [0]);
        assert!(sent.is_known());
        // The client sends it again.
        sent.restart();
        sent.forget(1);
        assert_eq!(send(&mut sent, &registration, ok), [0, 1, 2]);
        sent.restart();
        registration.set_heartbeat(1, Bytes::from_static(&[3]));
        assert_eq!(send(&mut sent, &registration, ok), [0, 3]);
    }

    #[test]
    fn frames_that_could_not_be_sent_are_sent_with_the_next() {
        let (registration, mut sent) = (Registration::default(), Sent::default());
        registration.set_heartbeat(0, Bytes::from_static(&[0]));
        registration.set_heartbeat(1, Bytes::from_static(&[1]));
        let frames = sent.take_unsent(&registration);
        sent.take_back(&frames[1]);
        let again = sent.take_unsent(&registration);
        assert_eq!(again.len(), 1);
        assert_eq!(again[0].key, 1);
    }

    #[test]
    fn unregistrations_are_bounded_and_counted() {
        let registration = Registration::default();
        registration.add_unregistration(0, Bytes::from_static(&[1]));
        assert_eq!(registration.bytes(), 0);
        registration.set_heartbeat(0, Bytes::from_static(&[0]));
        for _ in 0..3 * UNREGISTERED_MAX {
            registration.add_unregistration(0, Bytes::from_static(&[1]));
        }
        assert_eq!(registration.bytes(), 1 + UNREGISTERED_MAX);
        registration.clear();
        assert_eq!(registration.bytes(), 0);
        assert!(registration.newer(0).is_empty());
    }
}
