//! Connections that send one message after the other, and how long each send takes.

use std::{
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread::{self, JoinHandle},
};

use anyhow::{Result, anyhow, ensure};
use integration_tests::{raw::RawConnection, rocketmq::Server, wait::now_ms};
use remoting_codec::{RemotingCommand, RequestCode, ResponseCode};

/// How many there are.
const SENDERS: usize = 8;
/// Bytes of a message.
const SIZE: usize = 128;

/// Connections that send to one broker.
pub(crate) struct Senders {
    stopping: Arc<AtomicBool>,
    threads: Vec<JoinHandle<Result<Vec<u64>>>>,
}

/// How long sends took, in milliseconds.
#[derive(Debug)]
#[allow(dead_code, reason = "it is printed")]
pub(crate) struct Times {
    pub(crate) sends: usize,
    pub(crate) median_ms: u64,
    pub(crate) p99_ms: u64,
    pub(crate) longest_ms: u64,
}

impl Senders {
    pub(crate) fn start(proxy: SocketAddr, topic: &str, broker: &Server) -> Result<Self> {
        let stopping = Arc::new(AtomicBool::new(false));
        let threads = (0..SENDERS).map(|_| {
            let mut connection = RawConnection::connect(proxy)?;
            let request = send(1, topic, broker.name(), SIZE);
            let stopping = stopping.clone();
            Ok(thread::spawn(move || {
                let mut times = Vec::new();
                while !stopping.load(Ordering::Relaxed) {
                    let begun = now_ms();
                    let answer = connection.call(&request)?;
                    ensure!(answer.code == ResponseCode::SUCCESS.0, "{answer:?}");
                    times.push(now_ms() - begun);
                }
                Ok(times)
            }))
        });
        Ok(Self {
            threads: threads.collect::<Result<_>>()?,
            stopping,
        })
    }

    /// Ends it.
    ///
    /// # Errors
    /// When a send has failed.
    pub(crate) fn stop(self) -> Result<Times> {
        self.stopping.store(true, Ordering::Relaxed);
        let mut times = Vec::new();
        for thread in self.threads {
            times.extend(thread.join().map_err(|_| anyhow!("a sender panicked"))??);
        }
        times.sort_unstable();
        let nth = |part: usize| times.get(times.len() * part / 100).copied();
        Ok(Times {
            sends: times.len(),
            median_ms: nth(50).unwrap_or_default(),
            p99_ms: nth(99).unwrap_or_default(),
            longest_ms: times.last().copied().unwrap_or_default(),
        })
    }
}

/// A message for the broker's first queue.
pub(crate) fn send(opaque: i32, topic: &str, broker: &str, size: usize) -> RemotingCommand {
    let fields = [
        ("a", "raw-producers"),
        ("b", topic),
        ("c", "TBW102"),
        ("d", "4"),
        ("e", "0"),
        ("f", "0"),
        ("g", "1700000000000"),
        ("h", "0"),
        ("i", "TAGS\u{1}t\u{2}"),
        ("n", broker),
    ];
    with(RequestCode::SEND_MESSAGE_V2, opaque, &fields).with_body(vec![b'x'; size])
}

/// A request with these ext fields.
pub(crate) fn with(
    code: RequestCode,
    opaque: i32,
    fields: &[(&'static str, &str)],
) -> RemotingCommand {
    let request = RemotingCommand {
        opaque: opaque.into(),
        ..RemotingCommand::request(code)
    };
    fields.iter().fold(request, |request, (name, value)| {
        request.with_field(*name, (*value).to_owned())
    })
}
