//! What runs beside that of which the instructions are counted, in the same thread: the load and
//! the brokers.

use std::pin::Pin;
use std::task::{Context, Poll};

/// A future whose instructions callgrind does not count with
/// `--toggle-collect='benches::aside::poll_aside*'`. One within another would be counted.
pub struct Aside<T>(Pin<Box<dyn Future<Output = T>>>);

impl<T> Aside<T> {
    /// This future.
    #[must_use]
    pub fn new(future: impl Future<Output = T> + 'static) -> Self {
        Self(Box::pin(future))
    }
}

impl<T> Future for Aside<T> {
    type Output = T;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<T> {
        poll_aside(self.0.as_mut(), cx)
    }
}

/// Callgrind knows it by its name, so it must remain a function.
#[inline(never)]
fn poll_aside<T>(future: Pin<&mut dyn Future<Output = T>>, cx: &mut Context<'_>) -> Poll<T> {
    std::hint::black_box(future.poll(cx))
}
