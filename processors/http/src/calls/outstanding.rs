//! The messages of streams that are not settled yet.
//!
//! A message may be settled over any connection, so that any worker may learn of it. What a stream
//! has outstanding is shared by the workers of this replica; a handle names its stream. Settled at
//! another replica, a message counts until its invisible time is over.

use std::collections::HashMap;
use std::collections::hash_map::RandomState;
use std::hash::BuildHasher as _;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, LazyLock, Weak};

use parking_lot::Mutex;
use remoting_codec::message::TopicMark;
use tokio::sync::Notify;
use tokio::time::Instant;

use crate::json::Handle;

/// The streams of this process, by their ids.
static STREAMS: LazyLock<Mutex<HashMap<u64, Weak<Outstanding>>>> = LazyLock::new(Mutex::default);

/// The ids that were given so far.
static IDS: AtomicU64 = AtomicU64::new(0);

/// Makes ids that another replica does not have.
static RANDOM: LazyLock<RandomState> = LazyLock::new(RandomState::new);

/// A message of a stream: its place.
type Place = (Box<str>, TopicMark, i32, i64);

/// The messages of one stream that are not settled yet.
#[derive(Debug)]
pub(super) struct Outstanding {
    id: u64,
    /// Until when each counts.
    messages: Mutex<HashMap<Place, Instant>>,
    /// Wakes the stream when one was settled.
    settled: Notify,
}

fn place(handle: &Handle) -> Place {
    let receipt = handle.receipt();
    let offset = receipt.queue_offset.unwrap_or_default();
    (
        receipt.broker.into(),
        receipt.mark,
        receipt.queue_id,
        offset,
    )
}

impl Outstanding {
    /// Those of a new stream.
    pub(super) fn open() -> Arc<Self> {
        // 0 is no stream.
        let id = RANDOM.hash_one(IDS.fetch_add(1, Ordering::Relaxed)).max(1);
        let outstanding = Arc::new(Self {
            id,
            messages: Mutex::default(),
            settled: Notify::new(),
        });
        let mut streams = STREAMS.lock();
        streams.insert(id, Arc::downgrade(&outstanding));
        outstanding
    }

    /// The id of the stream.
    pub(super) fn id(&self) -> u64 {
        self.id
    }

    /// A message is on its way, and counts until then.
    pub(super) fn add(&self, handle: &Handle, until: Instant) {
        self.messages.lock().insert(place(handle), until);
    }

    /// How many are outstanding at that moment, and when the next ceases to be if none is settled.
    pub(super) fn count(&self, now: Instant) -> (usize, Option<Instant>) {
        let mut messages = self.messages.lock();
        messages.retain(|_, until| *until > now);
        (messages.len(), messages.values().min().copied())
    }

    /// Waits until one was settled. May return without one.
    pub(super) async fn changed(&self) {
        self.settled.notified().await;
    }
}

impl Drop for Outstanding {
    fn drop(&mut self) {
        STREAMS.lock().remove(&self.id);
    }
}

/// The message of a handle was settled; or extended, if there is a new handle.
pub(super) fn settled(handle: &Handle, extended: Option<&Handle>) {
    if handle.stream() == 0 {
        return;
    }
    let stream = STREAMS.lock().get(&handle.stream()).and_then(Weak::upgrade);
    let Some(stream) = stream else {
        return;
    };
    let mut messages = stream.messages.lock();
    let was = messages.remove(&place(handle));
    if let (Some(extended), Some(_)) = (extended, was) {
        messages.insert(place(extended), Instant::now() + extended.invisible());
    }
    drop(messages);
    stream.settled.notify_one();
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use remoting_codec::message::Receipt;

    use super::*;

    fn handle(stream: &Outstanding, offset: i64) -> Handle {
        let text = format!("100 1795253776123 60000 7 0 broker-a 3 {offset} 4711");
        let receipt = Receipt::parse(&text).unwrap();
        Handle::new(&receipt, None, "T", "G")
            .unwrap()
            .in_stream(stream.id())
    }

    #[tokio::test(start_paused = true)]
    async fn messages_count_until_they_are_settled_or_expire() {
        let stream = Outstanding::open();
        let now = Instant::now();
        let second = Duration::from_secs(1);
        for (offset, seconds) in [(1, 10), (2, 20), (3, 30)] {
            stream.add(&handle(&stream, offset), now + second * seconds);
        }
        assert_eq!(stream.count(now), (3, Some(now + second * 10)));
        settled(&handle(&stream, 1), None);
        stream.changed().await;
        assert_eq!(stream.count(now), (2, Some(now + second * 20)));
        assert_eq!(
            stream.count(now + second * 20),
            (1, Some(now + second * 30))
        );
        // An extension counts anew, and one of what is not outstanding does not.
        settled(&handle(&stream, 3), Some(&handle(&stream, 3)));
        settled(&handle(&stream, 4), Some(&handle(&stream, 4)));
        assert_eq!(
            stream.count(now + second * 30),
            (1, Some(now + second * 60))
        );
        // Another stream's, or that of one that has ended.
        let other = Outstanding::open();
        settled(&handle(&other, 3), None);
        assert_eq!(stream.count(now).0, 1);
        let left = handle(&stream, 3);
        drop(stream);
        settled(&left, None);
    }
}
