//! The slaves from which a client reads the queues that a master has moved.

use std::cell::RefCell;
use std::collections::HashMap;
use std::rc::Rc;

/// The most queues of one client that are remembered; further ones are read from the master.
const MOVED_MAX: usize = 4096;

/// A queue that a group reads.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
pub(crate) struct Queue {
    pub(crate) broker: Rc<str>,
    pub(crate) group: String,
    pub(crate) topic: String,
    pub(crate) id: i32,
}

/// The queues of one client that are read from a slave, with the slave's id.
#[derive(Debug, Default)]
pub(crate) struct Moved(RefCell<HashMap<Queue, i64>>);

impl Moved {
    /// Stores a master's suggestion from which of its addresses to pull next.
    pub(crate) fn suggest(&self, queue: &Queue, id: i64) {
        let mut moved = self.0.borrow_mut();
        if id <= 0 {
            moved.remove(queue);
        } else if moved.len() < MOVED_MAX {
            moved.insert(queue.clone(), id);
        }
    }

    /// The id of the slave that the queue is read from; none if it is read from the master.
    pub(crate) fn replica_of(&self, queue: &Queue) -> Option<i64> {
        self.0.borrow().get(queue).copied()
    }
}
