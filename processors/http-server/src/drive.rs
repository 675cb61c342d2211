//! Running a connection until it ends by itself, or must end.

use std::pin::{Pin, pin};
use std::task::Poll;

use crate::connection::{Connection, Ending};

/// Runs hyper's side of a connection: starts a turn with each poll, and ends it when it must.
pub(crate) async fn drive<F>(
    connection: &Connection,
    serving: F,
    leave: impl Fn(Pin<&mut F>),
) -> Result<(), hyper::Error>
where
    F: Future<Output = Result<(), hyper::Error>>,
{
    let upstream = connection.upstream();
    let mut serving = pin!(serving);
    let mut is_leaving = false;
    let ended = loop {
        let changed = connection.changed();
        match connection.ending() {
            Ending::Closed => break Ok(()),
            Ending::Leaving if !is_leaving => {
                is_leaving = true;
                leave(serving.as_mut());
            }
            _ => {}
        }
        let mut changed = pin!(changed);
        let ended = std::future::poll_fn(|cx| {
            upstream.buffers().stamp();
            connection.traffic.begin_turn(connection.received());
            // Before a call of HTTP/1 that has waited for the same: its answer says what follows.
            if changed.as_mut().poll(cx).is_ready() {
                return Poll::Ready(None);
            }
            serving.as_mut().poll(cx).map(Some)
        });
        if let Some(ended) = ended.await {
            break ended;
        }
    };
    // Thousands of clients may leave at the same time, and ending a client's lanes takes long
    // compared to a call.
    upstream.buffers().turn().await;
    connection.close();
    ended
}
