//! The process's file descriptors for connections to clients and brokers.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// Descriptors that must be free for a new client: its connection, and a lane to each of two
/// brokers.
const BY_CLIENT: usize = 3;

/// Counts the descriptors of connections to clients and brokers, of all workers.
///
/// Clients and lanes have one pool, because the number of brokers that a client uses is not known
/// in advance. A client is accepted only if there is room for its lanes too, so that new clients do
/// not take the descriptors of present clients' lanes. Connections that clients share have a
/// reserve beside the pool.
#[derive(Debug)]
pub struct Descriptors {
    /// Descriptors for clients and lanes.
    pool: usize,
    /// Descriptors for connections that clients share.
    reserve: usize,
    /// Most clients, even without lanes.
    clients_limit: usize,
    clients: AtomicUsize,
    lanes: AtomicUsize,
    shared: AtomicUsize,
}

/// A descriptor that is taken until this is dropped. It must live as long as the connection's
/// socket.
#[derive(Debug)]
pub struct Permit {
    descriptors: Arc<Descriptors>,
    kind: Kind,
}

#[derive(Clone, Copy, Debug)]
enum Kind {
    Client,
    Lane,
    Shared,
}

impl Default for Descriptors {
    /// No bound.
    fn default() -> Self {
        Self::new(usize::MAX, 0)
    }
}

impl Descriptors {
    /// `pool` for clients and lanes, `reserve` for connections that clients share.
    #[must_use]
    pub fn new(pool: usize, reserve: usize) -> Self {
        Self {
            pool,
            reserve,
            // A third of the pool is always for lanes.
            clients_limit: (pool - pool / 3).max(1),
            clients: AtomicUsize::new(0),
            lanes: AtomicUsize::new(0),
            shared: AtomicUsize::new(0),
        }
    }

    /// A descriptor for a client's connection; `None` when there is no room for it and its lanes. A
    /// client without one is refused.
    #[must_use]
    pub fn try_take_client(self: &Arc<Self>) -> Option<Permit> {
        let lanes = self.lanes.load(Ordering::Relaxed);
        let room = self.pool_now().saturating_sub(lanes);
        let most = room.saturating_sub(BY_CLIENT - 1).min(self.clients_limit);
        take_one(&self.clients, most)?;
        Some(self.permit(Kind::Client))
    }

    /// A descriptor for a lane; `None` when there is no room. A lane without one must not open a
    /// socket: it waits, or its client is refused.
    #[must_use]
    pub fn try_take(self: &Arc<Self>) -> Option<Permit> {
        let clients = self.clients.load(Ordering::Relaxed);
        take_one(&self.lanes, self.pool_now().saturating_sub(clients))?;
        Some(self.permit(Kind::Lane))
    }

    /// A descriptor for a connection that clients share. It is never refused, because all clients
    /// need it: beyond the reserve it is taken from the pool.
    #[must_use]
    pub fn take(self: &Arc<Self>) -> Permit {
        self.shared.fetch_add(1, Ordering::Relaxed);
        self.permit(Kind::Shared)
    }

    /// The current number of clients' connections.
    #[must_use]
    pub fn clients(&self) -> usize {
        self.clients.load(Ordering::Relaxed)
    }

    /// The current number of lanes.
    #[must_use]
    pub fn lanes(&self) -> usize {
        self.lanes.load(Ordering::Relaxed)
    }

    /// The current number of connections that clients share.
    #[must_use]
    pub fn shared(&self) -> usize {
        self.shared.load(Ordering::Relaxed)
    }

    /// Most clients' connections, if they have no lanes.
    #[must_use]
    pub fn clients_limit(&self) -> usize {
        self.clients_limit
    }

    /// The number of clients that fit if each has lanes to two brokers.
    #[must_use]
    pub fn clients_with_lanes(&self) -> usize {
        self.pool / BY_CLIENT
    }

    /// The number of descriptors that clients and lanes may have together now.
    fn pool_now(&self) -> usize {
        let beyond = self.shared().saturating_sub(self.reserve);
        self.pool.saturating_sub(beyond)
    }

    fn permit(self: &Arc<Self>, kind: Kind) -> Permit {
        Permit {
            descriptors: self.clone(),
            kind,
        }
    }
}

/// Takes one of at most `most`. Two threads at the same moment may take one too many: a few are
/// kept back for that.
fn take_one(taken: &AtomicUsize, most: usize) -> Option<usize> {
    let one_more = |taken| (taken < most).then_some(taken + 1);
    taken
        .fetch_update(Ordering::Relaxed, Ordering::Relaxed, one_more)
        .ok()
}

impl Drop for Permit {
    fn drop(&mut self) {
        let taken = match self.kind {
            Kind::Client => &self.descriptors.clients,
            Kind::Lane => &self.descriptors.lanes,
            Kind::Shared => &self.descriptors.shared,
        };
        taken.fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fill(take: impl Fn() -> Option<Permit>) -> Vec<Permit> {
        std::iter::from_fn(take).collect()
    }

    #[test]
    fn clients_leave_room_for_lanes() {
        let descriptors = Arc::new(Descriptors::new(30, 2));
        let clients = fill(|| descriptors.try_take_client());
        assert_eq!((clients.len(), descriptors.clients_limit()), (20, 20));
        let lanes = fill(|| descriptors.try_take());
        assert_eq!((lanes.len(), descriptors.lanes()), (10, 10));
        drop(clients);
        // Lanes may take what clients have not taken.
        let more = fill(|| descriptors.try_take());
        assert_eq!(more.len(), 20);
        assert!(descriptors.try_take_client().is_none());
        drop((lanes, more));
        assert_eq!((descriptors.clients(), descriptors.lanes()), (0, 0));
    }

    #[test]
    fn clients_with_lanes_fill_the_pool() {
        let descriptors = Arc::new(Descriptors::new(30, 0));
        let mut taken = Vec::new();
        while let Some(client) = descriptors.try_take_client() {
            taken.push(client);
            for _ in 0..2 {
                taken.push(descriptors.try_take().unwrap());
            }
        }
        assert_eq!(descriptors.clients(), descriptors.clients_with_lanes());
        assert_eq!(descriptors.lanes(), 20);
    }

    #[test]
    fn shared_connections_are_never_refused() {
        let descriptors = Arc::new(Descriptors::new(6, 2));
        let kept = [(); 2].map(|()| descriptors.take());
        let lanes = fill(|| descriptors.try_take());
        assert_eq!(lanes.len(), 6);
        let beyond = descriptors.take();
        assert_eq!(descriptors.shared(), 3);
        drop(lanes);
        assert_eq!(fill(|| descriptors.try_take()).len(), 5);
        drop(beyond);
        assert_eq!(fill(|| descriptors.try_take()).len(), 6);
        drop(kept);
    }

    #[test]
    fn there_is_no_bound_unless_it_is_set() {
        let descriptors = Arc::<Descriptors>::default();
        let lanes: Vec<_> = (0..10_000).map(|_| descriptors.try_take()).collect();
        let clients: Vec<_> = (0..10_000).map(|_| descriptors.try_take_client()).collect();
        assert!(lanes.iter().chain(&clients).all(Option::is_some));
    }
}
