//! Reading the bodies of requests.

use std::pin::Pin;
use std::rc::Rc;
use std::time::Duration;

use bytes::Bytes;
use http_body::Body as _;
use hyper::body::Incoming;
use prost::Message;
use remoting_transport::{Account, Held};
use tokio::time::{Instant, timeout_at};

use super::failure::Failure;
use crate::codec::{self, CodecError, Decoder};
use crate::proto::Weigh;

/// Messages of a request, as they arrive. What has arrived is charged to the client's account.
#[derive(Debug)]
pub(crate) struct Messages {
    body: Incoming,
    decoder: Decoder,
    account: Rc<Account>,
    held: Held,
}

impl Messages {
    /// The messages of a body, of `limit` bytes at most each.
    pub(crate) fn new(body: Incoming, limit: usize, account: Rc<Account>) -> Self {
        Self {
            body,
            decoder: Decoder::new(limit),
            held: account.hold(0),
            account,
        }
    }

    /// The next message's bytes; `None` at the end.
    pub(crate) async fn next(&mut self) -> Result<Option<Bytes>, Failure> {
        loop {
            let message = self.decoder.next_message()?;
            self.held.resize(self.decoder.held());
            if message.is_some() {
                return Ok(message);
            }
            if self.account.is_over_share() {
                return Err(Failure::out_of_memory());
            }
            let frame = std::future::poll_fn(|cx| Pin::new(&mut self.body).poll_frame(cx)).await;
            match frame {
                None => {
                    self.decoder.end()?;
                    return Ok(None);
                }
                Some(Ok(frame)) => {
                    // Trailers of a request mean nothing.
                    if let Ok(data) = frame.into_data() {
                        self.decoder.push(data);
                        self.held.resize(self.decoder.held());
                    }
                }
                Some(Err(error)) => return Err(Failure::gone(&error)),
            }
        }
    }
}

/// The only message of a request, with its charge, within that time.
pub(crate) async fn only<M: Message + Default + Weigh>(
    body: Incoming,
    limit: usize,
    account: &Rc<Account>,
    time: Duration,
) -> Result<(M, Held), Failure> {
    let mut messages = Messages::new(body, limit, account.clone());
    let deadline = Instant::now() + time;
    let read = async {
        let Some(message) = messages.next().await? else {
            return Err(Failure::from(CodecError::NotOne("no")));
        };
        let held = account.hold(message.len());
        match messages.next().await? {
            None => Ok((message, held)),
            Some(_) => Err(CodecError::NotOne("several").into()),
        }
    };
    let (message, held) = timeout_at(deadline, read)
        .await
        .map_err(|_| Failure::slow(time))??;
    Ok((codec::read(message)?, held))
}
