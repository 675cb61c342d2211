//! Where a client's TCP connections lead.
//!
//! A test on one machine proves nothing when a client can slip past the proxy, so every client
//! process is watched from its start to its end. The kernel's tables say what `ss -tnp` would say,
//! without a process for each look.

use std::{
    collections::{BTreeSet, HashMap},
    fs,
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
    path::PathBuf,
    sync::{Arc, LazyLock, Weak},
    thread,
    time::Duration,
};

use anyhow::{Result, ensure};
use parking_lot::Mutex;

use crate::{target::Target, wait::Deadline};

/// How often connections are looked at: a look costs milliseconds, a connection that a client uses
/// lives for seconds.
const INTERVAL: Duration = Duration::from_millis(200);

/// Watches the connections of one process, from its start until [`finish`](Self::finish).
#[derive(Debug)]
pub struct ConnectionWatch {
    name: String,
    allowed: Vec<SocketAddr>,
    watched: Arc<Watched>,
}

#[derive(Debug)]
struct Watched {
    pid: u32,
    seen: Mutex<BTreeSet<SocketAddr>>,
}

impl ConnectionWatch {
    /// Starts to watch the process with this id.
    #[must_use]
    pub fn start(name: &str, pid: u32, target: &Target) -> Self {
        /// One thread looks for all: the tables are those of the whole machine.
        static WATCHED: LazyLock<Arc<Mutex<Vec<Weak<Watched>>>>> = LazyLock::new(|| {
            let watched = Arc::default();
            thread::spawn({
                let watched = Arc::clone(&watched);
                move || look_for_ever(&watched)
            });
            watched
        });
        let watched = Arc::new(Watched {
            pid,
            seen: Mutex::default(),
        });
        WATCHED.lock().push(Arc::downgrade(&watched));
        Self {
            name: name.to_owned(),
            allowed: target.allowed.clone(),
            watched,
        }
    }

    /// Waits until a connection has been seen, or for as long as some looks take on a busy machine:
    /// a client that is stopped as soon as it has done its work may have lived between two of them.
    pub fn wait_seen(&self) {
        let deadline = Deadline::after(50 * INTERVAL);
        while self.watched.seen.lock().is_empty() && deadline.remaining().is_some() {
            thread::sleep(INTERVAL / 4);
        }
    }

    /// Ends the watch and judges what was seen.
    ///
    /// # Errors
    /// When the process had a connection to anything but its target, or none at all.
    pub fn finish(self) -> Result<()> {
        ensure!(
            !self.watched.seen.lock().is_empty(),
            "client {} was never seen connected to anything",
            self.name
        );
        self.finish_brief()
    }

    /// The same for a process that may have done its work between two looks.
    ///
    /// # Errors
    /// When the process had a connection to anything but its target.
    pub fn finish_brief(self) -> Result<()> {
        let seen = self.watched.seen.lock();
        let strays: Vec<_> = seen
            .iter()
            .filter(|peer| !self.allowed.contains(peer))
            .collect();
        ensure!(
            strays.is_empty(),
            "client {} connected to {strays:?}; allowed: {:?}",
            self.name,
            self.allowed
        );
        Ok(())
    }
}

fn look_for_ever(all: &Mutex<Vec<Weak<Watched>>>) {
    loop {
        let watched: Vec<Arc<Watched>> = {
            let mut all = all.lock();
            all.retain(|watched| watched.strong_count() > 0);
            all.iter().filter_map(Weak::upgrade).collect()
        };
        // Each network namespace has tables of its own, and clients in it share them.
        let mut tables = HashMap::new();
        for watched in watched {
            let Some(namespace) = namespace(watched.pid) else {
                continue;
            };
            let connections = tables
                .entry(namespace)
                .or_insert_with(|| connections(watched.pid));
            watched.seen.lock().extend(peers(watched.pid, connections));
        }
        thread::sleep(INTERVAL);
    }
}

/// The remote ends of the process's TCP connections, opening ones included.
fn peers(pid: u32, connections: &HashMap<u64, SocketAddr>) -> Vec<SocketAddr> {
    let descriptors = fs::read_dir(format!("/proc/{pid}/fd"))
        .into_iter()
        .flatten()
        .flatten();
    let links = descriptors.filter_map(|entry| fs::read_link(entry.path()).ok());
    links
        .filter_map(|link| {
            let inode = link
                .to_str()?
                .strip_prefix("socket:[")?
                .strip_suffix(']')?
                .parse()
                .ok()?;
            connections.get(&inode).copied()
        })
        .collect()
}

/// The network namespace of the process; `None` once it has ended.
fn namespace(pid: u32) -> Option<PathBuf> {
    fs::read_link(format!("/proc/{pid}/ns/net")).ok()
}

/// The remote ends of all TCP connections of the process's network namespace by the inode of their
/// socket.
fn connections(pid: u32) -> HashMap<u64, SocketAddr> {
    // The Java client's sockets are IPv6 ones, also for IPv4 addresses.
    let tables = ["tcp", "tcp6"]
        .map(|table| fs::read_to_string(format!("/proc/{pid}/net/{table}")).unwrap_or_default());
    tables
        .iter()
        .flat_map(|table| table.lines().skip(1))
        .filter_map(connection)
        .collect()
}

/// Inode and remote address from a line of the kernel's table; `None` for a listener.
fn connection(line: &str) -> Option<(u64, SocketAddr)> {
    const LISTEN: &str = "0A";
    let mut fields = line.split_whitespace().skip(2);
    let remote = fields.next()?;
    if fields.next()? == LISTEN {
        return None;
    }
    let inode = fields.nth(5)?.parse().ok()?;
    Some((inode, address(remote)?))
}

/// An address as the kernel prints it: words in the machine's byte order, all hexadecimal.
fn address(text: &str) -> Option<SocketAddr> {
    let (ip, port) = text.split_once(':')?;
    let port = u16::from_str_radix(port, 16).ok()?;
    let words: Option<Vec<u32>> = ip
        .as_bytes()
        .chunks(8)
        .map(|word| u32::from_str_radix(str::from_utf8(word).ok()?, 16).ok())
        .collect();
    let bytes: Vec<u8> = words?.into_iter().flat_map(u32::to_ne_bytes).collect();
    let ip = match <[u8; 4]>::try_from(bytes.as_slice()) {
        Ok(bytes) => IpAddr::V4(Ipv4Addr::from(bytes)),
        Err(_) => Ipv6Addr::from(<[u8; 16]>::try_from(bytes.as_slice()).ok()?).to_canonical(),
    };
    Some(SocketAddr::new(ip, port))
}

#[cfg(test)]
mod tests {
    use std::net::{TcpListener, TcpStream};

    use super::*;
    use crate::wait::wait_until;

    #[test]
    fn own_connection_is_seen() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let _connection = TcpStream::connect(address).unwrap();
        let own = std::process::id();
        assert!(peers(own, &connections(own)).contains(&address));
    }

    #[test]
    fn stray_connection_fails_the_watch() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let _connection = TcpStream::connect(address).unwrap();
        let target = Target::default();
        let watch = ConnectionWatch::start("test", std::process::id(), &target);
        wait_until("a look at the connections", Duration::from_secs(10), || {
            Ok(watch.watched.seen.lock().contains(&address).then_some(()))
        })
        .unwrap();
        assert!(watch.finish().is_err());
    }

    #[test]
    fn process_without_connections_fails_the_watch() {
        let target = Target::default();
        // No process has this id.
        assert!(
            ConnectionWatch::start("test", u32::MAX, &target)
                .finish()
                .is_err()
        );
    }

    #[test]
    fn mapped_address_is_the_ipv4_one() {
        let mapped = "0000000000000000FFFF00000100007F:2694";
        assert_eq!(address(mapped), Some("127.0.0.1:9876".parse().unwrap()));
    }
}
