//! Decoding of bodies. Long bodies are decoded by another thread, because the worker has other
//! clients to serve.

use bytes::Bytes;
use messaging::Elsewhere;
use remoting_codec::BodyError;
use tokio::task::JoinError;

use crate::error::ProcessError;
use crate::session::request::Request;

/// The largest body of a request that is decoded here, in bytes, heartbeats excepted: some thousand
/// queues or receipts.
pub(crate) const BODY_MAX: usize = 1024 * 1024;

/// Where long bodies are decoded, two at a time by all workers together.
static READING: Elsewhere = Elsewhere::new(2);

/// Decodes the body of a request.
///
/// # Errors
/// If the body has more than [`BODY_MAX`] bytes, or is malformed.
pub(crate) async fn of_request<T: Send + 'static>(
    request: &Request,
    what: &'static str,
    read: fn(&[u8]) -> Result<T, BodyError>,
) -> Result<T, ProcessError> {
    let body = request.view()?.body_range();
    if body.len() > BODY_MAX {
        return Err(ProcessError::TooLong(what, BODY_MAX));
    }
    of_frame(request.bytes(), body, what, read).await
}

/// Decodes the body of a frame, which is at that place.
///
/// # Errors
/// If the body is malformed.
pub(crate) async fn of_frame<T: Send + 'static>(
    frame: Bytes,
    body: std::ops::Range<usize>,
    what: &'static str,
    read: fn(&[u8]) -> Result<T, BodyError>,
) -> Result<T, ProcessError> {
    let length = body.len();
    let reading = READING.run(length, move || read(frame.get(body).unwrap_or_default()));
    // A decoder that panics has decoded nothing.
    let unread = |error: JoinError| BodyError {
        what,
        reason: error.to_string(),
    };
    Ok(reading.await.map_err(unread)??)
}
