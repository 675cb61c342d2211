//! Popped messages on their way to the client, as parts of an answer's bytes. Those that are not
//! written as a whole, because the client has cancelled, does not read or has disconnected, are
//! given back.

use std::rc::Rc;

use remoting_codec::message::Receipt;

use crate::clocks::now_millis;
use crate::give_back::Popping;

/// A popped message in the bytes of an answer.
#[derive(Debug)]
pub struct Placed {
    /// Where it starts.
    pub start: usize,
    /// Where it ends; the message is delivered when so many bytes were written.
    pub end: usize,
    /// Its receipt handle.
    pub handle: String,
    /// The lite topic that it was popped of, if it was.
    pub lite_topic: Option<Box<str>>,
}

/// The popped messages in a run of an answer's bytes. It must be kept until it is known how many of
/// the bytes were written: when it is dropped before, all are given back.
#[derive(Debug)]
pub struct Batch {
    popping: Rc<Popping>,
    messages: Vec<Placed>,
}

/// What became of a batch.
#[derive(Debug, Default)]
pub struct Written {
    /// How many messages were written as a whole.
    pub delivered: usize,
    /// The bytes of these.
    pub bytes: usize,
    /// The messages that were not, which are given back.
    pub lost: Vec<Placed>,
}

impl Batch {
    /// Messages of that POP, in the order in which they are in the bytes.
    #[must_use]
    pub fn new(popping: Rc<Popping>, messages: Vec<Placed>) -> Self {
        Self { popping, messages }
    }

    /// The POP that the messages were handed out for.
    #[must_use]
    pub fn popping(&self) -> &Popping {
        &self.popping
    }

    /// The messages, unless it is known already what became of them.
    #[must_use]
    pub fn messages(&self) -> &[Placed] {
        &self.messages
    }

    /// The messages are in a document of that length, which the client can read as a whole only.
    pub fn deliver_together(&mut self, length: usize) {
        let mut start = 0;
        for placed in &mut self.messages {
            (placed.start, placed.end) = (start, length);
            start = length;
        }
    }

    /// So many of the bytes were written to the client, and no further ones will be.
    pub fn written(&mut self, bytes: usize) -> Written {
        let mut delivered = std::mem::take(&mut self.messages);
        let count = delivered.partition_point(|placed| placed.end <= bytes);
        let lost = delivered.split_off(count);
        let now = now_millis();
        for placed in &lost {
            // One that has expired may have been delivered to another client, and acknowledged: to
            // give it back would deliver it again.
            if let Ok(receipt) = Receipt::parse(&placed.handle)
                && now < receipt.visible_time()
            {
                let lite_topic = placed.lite_topic.as_deref();
                self.popping.give_back_one(&receipt, lite_topic, false);
            }
        }
        let lengths = delivered.iter().map(|placed| placed.end - placed.start);
        Written {
            delivered: delivered.len(),
            bytes: lengths.sum(),
            lost,
        }
    }
}

impl Drop for Batch {
    fn drop(&mut self) {
        if !self.messages.is_empty() {
            self.written(0);
        }
    }
}
