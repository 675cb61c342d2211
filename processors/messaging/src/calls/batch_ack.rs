//! Acknowledging several popped messages: one request for all of a broker.

use std::rc::Rc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use futures_util::future::{join, join_all};
use futures_util::stream::{self, StreamExt as _};
use remoting_codec::body::{BatchAckBody, QueueAcks};
use remoting_codec::message::Receipt;
use remoting_codec::{RemotingCommand, RequestCode};

use super::{Popper, Requests};
use crate::error::MessagingError;

/// How far from the start of its POP a message may be that is acknowledged with others. A POP hands
/// out 32 messages at most, but passes over those that its filter does not let pass.
const SPAN_MAX: i64 = 4096;

/// How many messages are acknowledged at the same time, each in a request of its own.
const AT_A_TIME: usize = 32;

/// Messages of one broker that are acknowledged in one request.
struct Batch<'a> {
    broker: &'a str,
    parts: Vec<Part<'a>>,
    /// Their places in the call.
    nths: Vec<usize>,
}

/// Those of one queue that one POP has handed out.
struct Part<'a> {
    /// One of their receipts.
    receipt: Receipt<'a>,
    /// Which they are, counted from the start of the POP: bit 0 of the first byte is the first.
    bits: Vec<u8>,
}

impl<'a> Batch<'a> {
    fn add(&mut self, receipt: &Receipt<'a>, place: usize, nth: usize) {
        self.nths.push(nth);
        let mut parts = self.parts.iter_mut();
        match parts.find(|part| part.is_of(receipt)) {
            Some(part) => part.add(place),
            None => {
                let mut part = Part {
                    receipt: *receipt,
                    bits: Vec::new(),
                };
                part.add(place);
                self.parts.push(part);
            }
        }
    }
}

impl Part<'_> {
    fn is_of(&self, receipt: &Receipt<'_>) -> bool {
        let pop = |receipt: &Receipt<'_>| {
            let queue = (receipt.mark, receipt.queue_id, receipt.revive_queue);
            let time = (receipt.pop_time, receipt.invisible_time);
            (queue, time, receipt.start_offset)
        };
        pop(&self.receipt) == pop(receipt)
    }

    fn add(&mut self, place: usize) {
        let at = place / 8;
        if self.bits.len() <= at {
            self.bits.resize(at + 1, 0);
        }
        if let Some(byte) = self.bits.get_mut(at) {
            *byte |= 1 << (place % 8);
        }
    }
}

/// The place of a message, counted from the start of its POP, if it may be acknowledged with
/// others. The messages of a group in order may not: a broker answers for the last of them only.
fn place(receipt: &Receipt<'_>) -> Option<usize> {
    let place = receipt.queue_offset?.checked_sub(receipt.start_offset)?;
    let is_near = (0..SPAN_MAX).contains(&place) && !receipt.is_orderly();
    is_near.then(|| usize::try_from(place).ok())?
}

impl Requests {
    /// Acknowledges messages, none of them of a lite topic, with one request for all of a broker
    /// where that is possible. The results are in the order of the receipts.
    ///
    /// A broker looks at the topic, the queue and the offset of a message that is acknowledged
    /// alone. Of several, it passes over those that it does not know, and answers SUCCESS.
    pub async fn acknowledge_all(
        self: &Rc<Self>,
        receipts: &[Receipt<'_>],
        popper: Popper<'_>,
    ) -> Vec<Result<(), MessagingError>> {
        let (mut batches, mut alone) = (Vec::<Batch<'_>>::new(), Vec::new());
        for (nth, receipt) in receipts.iter().enumerate() {
            let Some(place) = place(receipt) else {
                alone.push((nth, receipt));
                continue;
            };
            let mut known = batches.iter_mut();
            match known.find(|batch| batch.broker == receipt.broker) {
                Some(batch) => batch.add(receipt, place, nth),
                None => {
                    let mut batch = Batch {
                        broker: receipt.broker,
                        parts: Vec::new(),
                        nths: Vec::new(),
                    };
                    batch.add(receipt, place, nth);
                    batches.push(batch);
                }
            }
        }
        batches.retain(|batch| match *batch.nths {
            [nth] => {
                alone.extend(receipts.get(nth).map(|receipt| (nth, receipt)));
                false
            }
            _ => true,
        });
        let together = batches.iter().map(async |batch| {
            let done = self.acknowledge_batch(batch, popper).await;
            batch.nths.iter().map(move |nth| (*nth, done.clone()))
        });
        let alone = alone
            .into_iter()
            .map(async |(nth, receipt)| (nth, self.acknowledge(receipt, popper).await));
        let alone = stream::iter(alone).buffered(AT_A_TIME).collect::<Vec<_>>();
        let (together, alone) = join(join_all(together), alone).await;
        let mut results = vec![Ok(()); receipts.len()];
        for (nth, done) in together.into_iter().flatten().chain(alone) {
            if let Some(result) = results.get_mut(nth) {
                *result = done;
            }
        }
        results
    }

    async fn acknowledge_batch(
        self: &Rc<Self>,
        batch: &Batch<'_>,
        popper: Popper<'_>,
    ) -> Result<(), MessagingError> {
        let code = RequestCode::BATCH_ACK_MESSAGE;
        let acks = batch.parts.iter().map(|part| QueueAcks {
            group: popper.group,
            topic: popper.topic,
            mark: part.receipt.mark,
            start_offset: part.receipt.start_offset,
            queue_id: part.receipt.queue_id,
            revive_queue: part.receipt.revive_queue,
            pop_time: part.receipt.pop_time,
            invisible_time: part.receipt.invisible_time,
            bits: STANDARD.encode(&part.bits),
        });
        let body = BatchAckBody {
            broker_name: batch.broker,
            acks: acks.collect(),
        };
        let body = body.encode();
        self.admit(code, popper.topic, Some(popper.group), body.len())?;
        let request = RemotingCommand::request(code).with_body(body);
        let answer = self.ask_issuer(batch.broker, request.into()).await?;
        answer.succeeded().map(drop)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_of_a_queue_and_a_pop_are_bits() {
        let texts = [
            "100 1700000000000 60000 3 0 broker-a 1 100",
            "100 1700000000000 60000 3 0 broker-a 1 109",
            "100 1700000000000 60000 3 1 broker-a 1 101",
            // Of a group in order, before its start, and too far from it.
            "100 1700000000000 60000 999 0 broker-a 1 100",
            "100 1700000000000 60000 3 0 broker-a 1 99",
            "100 1700000000000 60000 3 0 broker-a 1 9000000000000",
        ];
        let receipts = texts.map(|text| Receipt::parse(text).unwrap());
        let mut batch = Batch {
            broker: "broker-a",
            parts: Vec::new(),
            nths: Vec::new(),
        };
        for (nth, receipt) in receipts.iter().enumerate() {
            if let Some(place) = place(receipt) {
                batch.add(receipt, place, nth);
            }
        }
        assert_eq!(batch.nths, [0, 1, 2]);
        let bits: Vec<_> = batch.parts.iter().map(|part| &*part.bits).collect();
        assert_eq!(bits, [&[0b1, 0b10][..], &[0b10]]);
    }
}
