//! Sending messages of one topic: to which broker and queue, and which of them share a request.

use std::rc::Rc;

use bytes::Bytes;
use remoting_codec::message::BatchMessage;
use route_cache::TopicRoute;
use tokio::time::Instant;

use super::{Requests, Send, SendReceipt};
use crate::draft::Outgoing;
use crate::error::{ErrorKind, MessagingError};
use crate::kind::MessageKind;
use crate::policy::{Patience, at_most};
use crate::queues::{shard, writable};
use crate::token::TransactionToken;

impl SendReceipt {
    /// The token by which the transaction of a half message is ended; `None` if the answer has no
    /// place in the commit log.
    #[must_use]
    pub fn transaction_token(&self) -> Option<String> {
        let token = TransactionToken::of_receipt(
            &self.offset_id,
            self.queue_offset,
            &self.transaction_id,
            &self.broker,
        );
        token.map(|token| token.encode())
    }
}

/// Most bytes of a batch: brokers refuse a longer body (`MessageStoreConfig.maxMessageSize`).
const BATCH_BYTES: usize = 4 << 20;

/// Bytes of a message in a batch beside its body and its properties, rounded up.
const ENTRY_BYTES: usize = 32;

/// How many of the messages, from the first on, may be sent in one request; 0 if there are none.
/// Queue, `sysFlag` and time are the request's, and a delay or a transaction would be lost.
fn sharing(messages: &[Outgoing]) -> usize {
    let Some(first) = messages.first() else {
        return 0;
    };
    let is_simple = matches!(first.kind, MessageKind::Normal | MessageKind::Fifo);
    let mut room = BATCH_BYTES;
    let mut may_share = |other: &Outgoing| {
        let bytes = other.body.len() + other.properties.as_str().len() + ENTRY_BYTES;
        let has_room = bytes <= room;
        room = room.saturating_sub(bytes);
        has_room
            && is_simple
            && other.kind == first.kind
            && other.sys_flag == first.sys_flag
            && other.queue_of == first.queue_of
    };
    let alike = messages.iter().take_while(|message| may_share(message));
    alike.count().max(1)
}

impl Requests {
    /// Sends messages of one topic, the topic being the producer's group too: one after the other,
    /// but as a batch those that follow each other and may share a request. Each has its own
    /// outcome, in their order: what `stored` makes of a message, the broker's answer, and the
    /// message's place in the queue.
    ///
    /// Brokers must know the producer of a half message by then.
    pub async fn send_all<T>(
        self: &Rc<Self>,
        topic: &str,
        route: &TopicRoute,
        messages: &[Outgoing],
        deadline: Option<Instant>,
        mut stored: impl FnMut(&Outgoing, &SendReceipt, i64) -> T,
    ) -> Vec<Result<T, MessagingError>> {
        let mut entries = Vec::with_capacity(messages.len());
        let mut rest = messages;
        while let Some((run, further)) = rest.split_at_checked(sharing(rest).max(1)) {
            rest = further;
            let sent = match run {
                [message] => {
                    let send = Send {
                        topic,
                        group: topic,
                        queue_id: -1,
                        sys_flag: message.sys_flag,
                        born_time: message.born_time,
                        properties: message.properties.as_str(),
                        body: message.body.clone(),
                        is_batch: false,
                    };
                    self.send_one(route, send, message, deadline).await
                }
                _ => self.send_batch(topic, route, run, deadline).await,
            };
            entries.extend(run.iter().zip(0_i64..).map(|(message, nth)| match &sent {
                Ok(receipt) => Ok(stored(message, receipt, receipt.queue_offset + nth)),
                Err(error) => Err(error.clone()),
            }));
        }
        entries
    }

    async fn send_batch(
        self: &Rc<Self>,
        topic: &str,
        route: &TopicRoute,
        messages: &[Outgoing],
        deadline: Option<Instant>,
    ) -> Result<SendReceipt, MessagingError> {
        let Some(first) = messages.first() else {
            let text = "there is no message: send one at least";
            return Err(MessagingError::new(ErrorKind::Invalid, text));
        };
        let mut body = Vec::new();
        for message in messages {
            let one = BatchMessage {
                flag: 0,
                body: &message.body,
                properties: message.properties.as_properties(),
            };
            one.encode(&mut body)
                .map_err(|error| MessagingError::new(ErrorKind::TooLarge, error.to_string()))?;
        }
        let send = Send {
            topic,
            group: topic,
            queue_id: -1,
            sys_flag: first.sys_flag,
            born_time: first.born_time,
            properties: first.properties.as_str(),
            body: Bytes::from(body),
            is_batch: true,
        };
        self.send_one(route, send, first, deadline).await
    }

    async fn send_one(
        self: &Rc<Self>,
        route: &TopicRoute,
        send: Send<'_>,
        message: &Outgoing,
        deadline: Option<Instant>,
    ) -> Result<SendReceipt, MessagingError> {
        let may_fail_over = message.kind == MessageKind::Normal;
        let queue_of = message.queue_of.as_deref();
        self.send_to_topic(route, send, queue_of, may_fail_over, deadline)
            .await
    }

    /// Sends to the queue of `queue_of`, or else to a broker of the topic: to each in turn. If
    /// `may_fail_over`, a message that no broker has received goes to the next one.
    ///
    /// # Errors
    /// [`ErrorKind::Forbidden`] if the topic has no queue that takes messages; if the broker has
    /// not stored the message, or has not answered by the deadline: it may be stored then.
    pub async fn send_to_topic(
        self: &Rc<Self>,
        route: &TopicRoute,
        mut send: Send<'_>,
        queue_of: Option<&str>,
        may_fail_over: bool,
        deadline: Option<Instant>,
    ) -> Result<SendReceipt, MessagingError> {
        let (upstream, policy) = (self.caller.upstream(), self.caller.policy());
        let time = policy.time(Patience::Send);
        let mut queues = writable(route.data());
        if queues.is_empty() {
            let text = format!(
                "topic {} has no queue that takes messages: its permission or its brokers do not \
                 allow it",
                send.topic
            );
            return Err(MessagingError::new(ErrorKind::Forbidden, text));
        }
        if let Some(key) = queue_of {
            queues.sort_unstable();
            let count = queues.iter().map(|(_, count)| *count).sum();
            let mut place = shard(key, count);
            for (name, count) in queues {
                if place < count {
                    send.queue_id = i32::try_from(place).unwrap_or_default();
                    let broker = upstream.broker(name).await?;
                    return self.send(&broker, &send, at_most(time, deadline)).await;
                }
                place -= count;
            }
            let text = "the message group has no queue";
            return Err(MessagingError::new(ErrorKind::Unavailable, text));
        }
        let count = queues.len();
        queues.rotate_left(self.next_turn() % count);
        let may_go_on = may_fail_over && policy.send_elsewhere;
        let mut failed = None;
        for (name, _) in queues {
            let sent = match upstream.broker(name).await {
                Ok(broker) => self.send(&broker, &send, at_most(time, deadline)).await,
                Err(error) => Err(error.into()),
            };
            match sent {
                Ok(receipt) => return Ok(receipt),
                Err(error) if error.is_unsent() && may_go_on => failed = Some(error),
                Err(error) => return Err(error),
            }
        }
        let nothing = || MessagingError::new(ErrorKind::Unavailable, "no broker can be reached");
        Err(failed.unwrap_or_else(nothing))
    }
}

#[cfg(test)]
mod tests {
    use remoting_codec::message::{PropertiesBuf, SysFlag};

    use super::*;

    fn outgoing(kind: MessageKind, queue_of: Option<&str>) -> Outgoing {
        Outgoing {
            properties: PropertiesBuf::new(),
            sys_flag: SysFlag::default(),
            born_time: 0,
            kind,
            body: Bytes::new(),
            message_id: String::new(),
            queue_of: queue_of.map(str::to_owned),
        }
    }

    #[test]
    fn messages_that_are_alike_share_a_request() {
        let normal = outgoing(MessageKind::Normal, None);
        let fifo = |group| outgoing(MessageKind::Fifo, Some(group));
        let delayed = outgoing(MessageKind::Delay, None);
        let compressed = Outgoing {
            sys_flag: SysFlag::default().with(SysFlag::COMPRESSED),
            ..normal.clone()
        };
        let huge = Outgoing {
            body: Bytes::from(vec![0; BATCH_BYTES / 2]),
            ..normal.clone()
        };
        let (n, d) = (&normal, &delayed);
        let (g, h) = (&fifo("g"), &fifo("h"));
        for (messages, shared) in [
            (&[][..], 0),
            (&[n], 1),
            (&[n, n, n], 3),
            (&[n, n, g], 2),
            (&[g, g], 2),
            (&[g, h, g], 1),
            (&[n, &compressed], 1),
            (&[d, d], 1),
            (&[&huge, n, n], 3),
            (&[&huge, &huge, n], 1),
            (&[n, &huge, &huge], 2),
        ] {
            let messages: Vec<Outgoing> = messages.iter().map(|one| (*one).clone()).collect();
            assert_eq!(sharing(&messages), shared);
        }
    }
}
