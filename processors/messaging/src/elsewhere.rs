//! Work that takes long, on another thread: the worker has other clients to serve.

use tokio::sync::Semaphore;
use tokio::task::{JoinError, spawn_blocking};

/// Work on more bytes than this is done by another thread.
pub const LONG: usize = 64 * 1024;

/// A place for work that takes long, shared by all workers.
#[derive(Debug)]
pub struct Elsewhere(Semaphore);

impl Elsewhere {
    /// A place where that much work is done at the same time; more waits.
    #[must_use]
    pub const fn new(at_a_time: usize) -> Self {
        Self(Semaphore::const_new(at_a_time))
    }

    /// Does work on that many bytes: here, if they are no more than [`LONG`].
    ///
    /// # Errors
    /// If the work has panicked.
    pub async fn run<T: Send + 'static>(
        &self,
        bytes: usize,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, JoinError> {
        if bytes <= LONG {
            return Ok(work());
        }
        // The semaphore is never closed.
        let _turn = self.0.acquire().await;
        spawn_blocking(work).await
    }
}

#[cfg(test)]
mod tests {
    use std::thread;

    use super::*;

    #[tokio::test]
    async fn long_work_is_done_by_another_thread() {
        let place = Elsewhere::new(1);
        let here = thread::current().id();
        for (bytes, is_here) in [(0, true), (LONG, true), (LONG + 1, false)] {
            let done = place.run(bytes, || thread::current().id()).await;
            assert_eq!(done.unwrap() == here, is_here, "{bytes}");
        }
        assert!(place.run(LONG + 1, || panic!("malformed")).await.is_err());
        assert!(place.run(LONG + 1, || ()).await.is_ok());
    }
}
