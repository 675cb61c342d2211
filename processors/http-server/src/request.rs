//! Reading the body of a request as a whole.

use std::pin::Pin;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use http_body::Body as _;
use hyper::body::Incoming;
use remoting_transport::Held;
use tokio::time::timeout;

use crate::connection::Connection;

/// Why the body of a request was not read.
#[derive(Debug)]
pub enum BodyError {
    /// It is longer than the limit.
    TooLarge,
    /// The client holds more memory than its share.
    OutOfMemory,
    /// It did not arrive within that time.
    Slow(Duration),
    /// It has ended before its length, or is malformed, or the client is gone.
    Gone(hyper::Error),
}

/// Reads a body of `limit` bytes at most, within the time that a request may take. What has arrived
/// is charged to the client's account while the second part of the result lives.
///
/// # Errors
/// If it is too long, too slow, or does not end as it should. The rest of it is not read then.
pub async fn read(
    connection: &Connection,
    body: Incoming,
    limit: usize,
) -> Result<(Bytes, Held), BodyError> {
    let time = connection.frame_time();
    let read = timeout(time, read_all(connection, body, limit)).await;
    read.map_err(|_| BodyError::Slow(time))?
}

async fn read_all(
    connection: &Connection,
    mut body: Incoming,
    limit: usize,
) -> Result<(Bytes, Held), BodyError> {
    if body.size_hint().lower() > limit as u64 {
        return Err(BodyError::TooLarge);
    }
    let account = connection.account();
    let mut held = account.hold(0);
    // Most bodies arrive in one part, which is not copied.
    let mut first = Bytes::new();
    let mut all = BytesMut::new();
    loop {
        let frame = std::future::poll_fn(|cx| {
            let frame = Pin::new(&mut body).poll_frame(cx);
            if frame.is_pending() && connection.awaits_more() {
                cx.waker().wake_by_ref();
            }
            frame
        });
        let frame = frame.await;
        let data = match frame {
            None => break,
            Some(Err(error)) => return Err(BodyError::Gone(error)),
            // Trailers of a request mean nothing.
            Some(Ok(frame)) => match frame.into_data() {
                Ok(data) => data,
                Err(_) => continue,
            },
        };
        let length = first.len() + all.len() + data.len();
        if length > limit {
            return Err(BodyError::TooLarge);
        }
        held.resize(length);
        if account.is_over_share() {
            return Err(BodyError::OutOfMemory);
        }
        match (first.is_empty(), all.is_empty()) {
            (true, true) => first = data,
            (true, false) => all.extend_from_slice(&data),
            (false, _) => {
                all.reserve(first.len() + data.len());
                all.extend_from_slice(&std::mem::take(&mut first));
                all.extend_from_slice(&data);
            }
        }
    }
    connection.note_request();
    match all.is_empty() {
        true => Ok((first, held)),
        false => Ok((all.freeze(), held)),
    }
}
