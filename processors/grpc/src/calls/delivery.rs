//! Popped messages on their way to the client, in runs of bytes.

use std::rc::Rc;
use std::sync::Arc;

use bytes::BytesMut;
use http_server::{Chunk, OnEnd};
use messaging::{Batch, Placed, Popping};
use remoting_transport::Account;

use crate::client::Present;
use crate::codec;
use crate::metrics::GrpcMetrics;
use crate::proto::{ReceiveContent, ReceiveMessageResponse};

/// Messages in their frames, with their receipt handles.
#[derive(Debug, Default)]
pub(super) struct Run {
    pub(super) bytes: BytesMut,
    /// The messages in them.
    messages: Vec<Placed>,
}

impl Run {
    /// Appends a part of the answer that is no message.
    pub(super) fn push(&mut self, content: ReceiveContent) {
        let answer = ReceiveMessageResponse {
            content: Some(content),
        };
        codec::encode(&answer, &mut self.bytes);
    }

    /// Appends a message.
    pub(super) fn push_message(
        &mut self,
        content: ReceiveContent,
        handle: String,
        lite_topic: Option<Box<str>>,
    ) {
        let start = self.bytes.len();
        self.push(content);
        self.messages.push(Placed {
            start,
            end: self.bytes.len(),
            handle,
            lite_topic,
        });
    }

    /// What is written of it.
    pub(super) fn into_chunk(self, delivery: &Rc<Delivery>) -> Chunk {
        let batch = Batch::new(delivery.popping.clone(), self.messages);
        // From the first byte on, the client may acknowledge.
        if let Some(holder) = &delivery.holder {
            let (popping, messages) = (batch.popping(), batch.messages().iter());
            let messages =
                messages.map(|placed| (placed.handle.clone(), placed.lite_topic.clone()));
            holder.hold(popping.group(), popping.topic(), messages);
        }
        let chunk = Chunk::new(self.bytes.freeze(), &delivery.account);
        chunk.with_end(Box::new(Writing {
            batch,
            delivery: delivery.clone(),
        }))
    }
}

/// The answer to one ReceiveMessage.
pub(super) struct Delivery {
    pub(super) popping: Rc<Popping>,
    pub(super) metrics: Arc<GrpcMetrics>,
    pub(super) account: Rc<Account>,
    /// The client, if its messages must be given back when it crashes.
    pub(super) holder: Option<Rc<Present>>,
}

/// The messages of a run.
struct Writing {
    batch: Batch,
    delivery: Rc<Delivery>,
}

impl OnEnd for Writing {
    fn written(&mut self, bytes: usize) {
        let written = self.batch.written(bytes);
        let (popping, metrics) = (self.batch.popping(), &self.delivery.metrics);
        let (topic, group) = (popping.topic(), popping.group());
        metrics.delivered(topic, group, written.delivered, written.bytes);
        metrics.given_back.add(written.lost.len() as u64);
        if let Some(holder) = &self.delivery.holder {
            let lost = written.lost.iter();
            lost.for_each(|placed| holder.forget(&placed.handle));
        }
    }
}
