//! Ports that are free.

use std::{
    net::TcpListener,
    sync::atomic::{AtomicU16, Ordering},
};

use anyhow::{Result, bail, ensure};

/// Below the range from which Linux takes the ports of outgoing connections, so that no client sits
/// on a port between our look at it and the server's bind.
const FIRST: u16 = 12_000;
const LAST: u16 = 32_000;

/// Most ports in a row that a caller asks for.
const COUNT_MAX: u16 = 16;

/// No port is given twice by one process, even when its first taker has stopped.
static NEXT: AtomicU16 = AtomicU16::new(0);

/// Finds a free port.
///
/// # Errors
/// When there is none.
pub fn free_port() -> Result<u16> {
    free_ports(1)
}

/// Finds a free port whose number plus or minus two is never that of another such port: clients
/// before 4.5 also use the port minus two, and Remora refuses what could mislead them.
///
/// # Errors
/// When there is none.
pub fn lone_port() -> Result<u16> {
    free_ports(3).map(|first| first + 1)
}

/// Finds `count` free ports in a row and returns the first.
///
/// # Errors
/// When there are none.
pub fn free_ports(count: u16) -> Result<u16> {
    // The same for every count, or ports that one call has given would come again in another.
    let range = LAST - FIRST - COUNT_MAX;
    ensure!(count <= COUNT_MAX, "at most {COUNT_MAX} ports in a row");
    // Runs at the same time, whose process ids are close, start at places that are not.
    let offset = (std::process::id().wrapping_mul(101) % u32::from(range)) as u16;
    for _ in 0..range {
        let position = (NEXT.fetch_add(count, Ordering::Relaxed) % range + offset) % range;
        let first = FIRST + position;
        if (first..first + count).all(is_free) {
            return Ok(first);
        }
    }
    bail!("no {count} free ports in a row between {FIRST} and {LAST}")
}

/// Whether no process listens on the port, on any address.
#[must_use]
pub fn is_free(port: u16) -> bool {
    TcpListener::bind(("0.0.0.0", port)).is_ok()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn no_port_is_given_twice() {
        let mut given = BTreeSet::new();
        for round in 0..300 {
            let count = [1, 4, 3][round % 3];
            let first = free_ports(count).unwrap();
            for port in first..first + count {
                assert!(given.insert(port), "{port} was given before");
            }
        }
    }
}
