//! How the process's descriptors are shared out, and what happens when there is none.

use std::fs::File;
use std::future::poll_fn;
use std::io;
use std::net::SocketAddr;
use std::task::Poll;

use parking_lot::Mutex;
use rustix::io::Errno;
use rustix::process::{Resource, getrlimit};
use tokio::net::{TcpListener, TcpStream};

/// Log, name servers, files that are read now and then, and look-ups of names: each takes a few.
const OWN: usize = 24;

/// Descriptors that the runtime of one worker uses.
const BY_WORKER: usize = 4;

/// Brokers for which each worker has descriptors kept, if there are that many: two connections
/// each.
const BROKERS: usize = 128;

/// Most connections of the admin listener.
const ADMIN_MAX: usize = 64;

/// The numbers of descriptors by use.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct Shares {
    /// The limit of open files.
    pub(crate) limit: usize,
    /// Clients, and connections to brokers that belong to one client each.
    pub(crate) pool: usize,
    /// Connections to brokers that clients share.
    pub(crate) shared: usize,
    /// Connections of the admin listener.
    pub(crate) admin: usize,
}

impl Shares {
    /// Of the limit that is in effect now.
    pub(crate) fn of_process(workers: usize, listeners: usize) -> Self {
        let limit = getrlimit(Resource::Nofile).current;
        let limit = limit.and_then(|limit| usize::try_from(limit).ok());
        Self::of(limit.unwrap_or(usize::MAX), workers, listeners)
    }

    fn of(limit: usize, workers: usize, listeners: usize) -> Self {
        // A sixteenth and an eighth, where there are few.
        let admin = (limit / 16).clamp(4, ADMIN_MAX);
        let shared = (limit / 8).min(workers * BROKERS * 2);
        let own = OWN + workers * BY_WORKER + listeners;
        Self {
            limit,
            pool: limit.saturating_sub(own + admin + shared),
            shared,
            admin,
        }
    }
}

/// Accepts connections when descriptors have run out: the one that is kept for that is given up, a
/// connection takes its place and is closed. Without it, the connection would stay in the queue,
/// and the listener ready for ever.
#[derive(Debug)]
pub(crate) struct Spare(Mutex<Option<File>>);

impl Spare {
    pub(crate) fn new() -> Self {
        Self(Mutex::new(open().ok()))
    }

    /// Accepts a connection that is there and closes it. `None` if there is none, or another thread
    /// was faster.
    pub(crate) async fn refuse(&self, listener: &TcpListener) -> Option<SocketAddr> {
        drop(self.0.lock().take()?);
        let accepted = poll_fn(|context| match listener.poll_accept(context) {
            Poll::Ready(Ok((stream, peer))) => Poll::Ready(Some((stream, peer))),
            _ => Poll::Ready(None),
        });
        let refused = accepted.await.map(|(stream, peer): (TcpStream, _)| {
            drop(stream);
            peer
        });
        self.restore();
        refused
    }

    /// Takes one again if there is none.
    pub(crate) fn restore(&self) {
        let mut kept = self.0.lock();
        if kept.is_none() {
            *kept = open().ok();
        }
    }
}

/// Whether a connection could not be accepted for want of descriptors, the process's or the
/// system's.
pub(crate) fn have_run_out(error: &io::Error) -> bool {
    let code = error.raw_os_error();
    [Errno::MFILE, Errno::NFILE]
        .iter()
        .any(|errno| code == Some(errno.raw_os_error()))
}

fn open() -> io::Result<File> {
    File::open("/dev/null")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_there_is_shared_out() {
        for limit in [128, 256, 1024, 4096, 65_536, 1 << 20] {
            for workers in [1, 2, 8] {
                let Shares {
                    pool,
                    shared,
                    admin,
                    ..
                } = Shares::of(limit, workers, 3);
                let own = OWN + workers * BY_WORKER + 3;
                assert_eq!(pool + shared + admin + own, limit, "{workers}");
                assert!(pool >= limit / 3 && admin >= 4, "{limit} {workers}");
            }
        }
        let few = Shares::of(256, 2, 2);
        assert_eq!((few.pool, few.admin, few.shared), (174, 16, 32));
        let many = Shares::of(1 << 20, 2, 1);
        assert_eq!((many.shared, many.admin), (512, ADMIN_MAX));
        assert!(many.pool > 1_000_000);
        // A limit that leaves nothing leaves nothing, and nothing overflows.
        assert_eq!(Shares::of(8, 64, 3).pool, 0);
        assert!(Shares::of(usize::MAX, 2, 1).pool > usize::MAX / 2);
    }

    #[tokio::test]
    async fn the_spare_one_is_there_again() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let spare = Spare::new();
        assert_eq!(spare.refuse(&listener).await, None);
        let address = listener.local_addr().unwrap();
        let stream = std::net::TcpStream::connect(address).unwrap();
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
        assert_eq!(spare.refuse(&listener).await, stream.local_addr().ok());
        assert!(spare.0.lock().is_some());
    }
}
