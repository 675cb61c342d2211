//! The life of a connection: connecting, running, ending.

use remoting_codec::FrameLimits;
use remoting_transport::{PumpError, announce_end, pump};
use tokio::io::{AsyncRead, AsyncWrite};
use tracing::debug;

use super::Connection;
use crate::broker::context::Context;
use crate::broker::stream::{Stream, connect};
use crate::descriptors::Permit;
use crate::error::UpstreamError;

impl Connection {
    /// Connects and runs the connection until it ends. `false` when it was never established, or
    /// never served a request: a peer that is shutting down may accept connections for a while and
    /// serve none.
    pub(crate) async fn run(&self, address: &str) -> bool {
        // No request waits for a lane, so it gets more time: if many lanes connect at the same
        // time, a SYN may be lost, and is repeated after 1 s.
        let attempts = if self.push_target.is_some() { 3 } else { 1 };
        let _permit = match self.descriptor() {
            Ok(permit) => permit,
            Err(error) => {
                debug!(peer = %self.peer, address, %error, "cannot connect");
                self.end(&error);
                return false;
            }
        };
        let stream = match connect(&self.context.config, &self.peer, address, attempts).await {
            Ok(stream) => stream,
            Err(error) => {
                debug!(peer = %self.peer, address, %error, "cannot connect");
                self.metrics.reconnects.add(1);
                self.end(&error);
                return false;
            }
        };
        self.established.set(true);
        if let Some(breaker) = &self.breaker {
            breaker.connected();
        }
        self.made.notify_waiters();
        let gauge = match self.push_target {
            Some(_) => &self.metrics.lanes,
            None => &self.metrics.connections,
        };
        gauge.add(1);
        let ended = match stream {
            Stream::Plain(mut stream) => self.serve(&mut stream).await,
            Stream::Tls(mut stream) => {
                let ended = self.serve(&mut *stream).await;
                announce_end(&mut *stream).await;
                ended
            }
        };
        gauge.add(-1);
        if !self.outbox.is_closed() {
            self.metrics.reconnects.add(1);
        }
        match ended {
            Ok(()) => debug!(peer = %self.peer, address, "connection closed"),
            Err(PumpError::Io(error)) => {
                debug!(peer = %self.peer, address, %error, "connection lost")
            }
            Err(PumpError::Protocol(error) | PumpError::NoFrame { error, .. }) => {
                tracing::warn!(peer = %self.peer, address, %error, "unreadable frame, connection closed");
            }
        }
        self.end(&UpstreamError::Closed(self.peer.clone()));
        !self.turned_away.get()
    }

    /// A descriptor for the socket. Lanes share one pool with clients; shared connections have a
    /// reserve.
    fn descriptor(&self) -> Result<Permit, UpstreamError> {
        let descriptors = &self.context.config.descriptors;
        if self.push_target.is_none() {
            return Ok(descriptors.take());
        }
        let few = || UpstreamError::Connect {
            peer: self.peer.clone(),
            reason: "the limit of open files leaves no room: raise it".into(),
        };
        descriptors.try_take().ok_or_else(few)
    }

    async fn serve<S>(&self, stream: &mut S) -> Result<(), PumpError>
    where
        S: AsyncRead + AsyncWrite + Unpin,
    {
        let Context {
            buffers, config, ..
        } = &*self.context;
        pump(
            stream,
            &self.outbox,
            buffers,
            FrameLimits::upstream(config.frame_limit),
            self,
        )
        .await
    }

    fn end(&self, error: &UpstreamError) {
        // A connection that Remora has closed itself is no sign of a lost broker.
        if !self.outbox.is_closed() {
            self.context.note_lost();
        }
        self.outbox.close();
        let unanswered = self.pending.borrow_mut().remove_all();
        self.metrics.outstanding.add(-(unanswered.len() as i64));
        for completion in unanswered {
            completion.fail(error.clone());
        }
    }
}
