//! A healthy client of gRPC beside those of the remoting protocol, which all attacks have.

use std::{
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread::{self, JoinHandle},
    time::Duration,
};

use anyhow::{Context, Result, ensure};
use grpc::proto::{
    Code, Message, MessageType, SendMessageRequest, SendMessageResponse, SystemProperties,
};
use integration_tests::{
    abuse::{KNOWN, Outcome},
    grpc_client::GrpcClient,
};
use tokio::{
    runtime::Builder,
    time::{Instant, sleep_until, timeout},
};

use super::caller::resource;

/// As often as healthy clients pull.
const PERIOD: Duration = Duration::from_millis(25);
/// As long as a Java client waits.
const PATIENCE: Duration = Duration::from_secs(3);
/// How many of a hundred sends must be answered well.
const OK_PERCENT: f64 = 95.0;

/// A client that sends a message every [`PERIOD`] until this is asked how it went.
pub(super) struct Beside {
    over: Arc<AtomicBool>,
    thread: JoinHandle<Result<Vec<(bool, Duration)>>>,
}

impl Beside {
    pub(super) fn start(proxy: SocketAddr) -> Self {
        let over = Arc::new(AtomicBool::new(false));
        let thread = thread::spawn({
            let over = over.clone();
            move || {
                let runtime = Builder::new_current_thread().enable_all().build()?;
                Ok(runtime.block_on(work(proxy, &over)))
            }
        });
        Self { over, thread }
    }

    /// Ends it, and judges what it has noticed.
    pub(super) fn judge(self, outcome: &mut Outcome) -> Result<()> {
        self.over.store(true, Ordering::Relaxed);
        let ended = self.thread.join();
        let sent = ended.map_err(|_| anyhow::anyhow!("the healthy client of gRPC panicked"))??;
        let ok = sent.iter().filter(|(ok, _)| *ok).count();
        let mut times: Vec<Duration> = sent.iter().map(|(_, took)| *took).collect();
        times.sort_unstable();
        let rank = (times.len() * 99).div_ceil(100).saturating_sub(1);
        let p99 = times.get(rank).context("no gRPC send was due")?;
        let percent = 100.0 * ok as f64 / sent.len() as f64;
        let text = format!("{percent:.1} % of gRPC sends ok, p99 {p99:.1?}");
        if percent < OK_PERCENT {
            outcome.broken.push(text);
        } else {
            outcome.notes.push(text);
        }
        Ok(())
    }
}

/// Whether each send was answered well, and how long that took from when it was due.
async fn work(proxy: SocketAddr, over: &AtomicBool) -> Vec<(bool, Duration)> {
    let mut sent = Vec::new();
    let mut client = None;
    let mut due = Instant::now();
    while !over.load(Ordering::Relaxed) {
        sleep_until(due).await;
        let answered = timeout(PATIENCE, send(proxy, &mut client)).await;
        let ok = matches!(answered, Ok(Ok(())));
        if !ok {
            client = None;
        }
        sent.push((ok, due.elapsed()));
        due = (due + PERIOD).max(Instant::now());
    }
    sent
}

async fn send(proxy: SocketAddr, client: &mut Option<GrpcClient>) -> Result<()> {
    let connected = match client.take() {
        Some(client) => client,
        None => GrpcClient::connect(proxy, "healthy-grpc").await?,
    };
    let connected = client.insert(connected);
    let request = SendMessageRequest {
        messages: vec![Message {
            topic: resource(KNOWN),
            system_properties: Some(SystemProperties {
                message_id: "01A2B3C4D5E6F708091A2B3C4D5E6F7080".to_owned(),
                message_type: MessageType::Normal.into(),
                ..SystemProperties::default()
            }),
            body: vec![b'x'; 128].into(),
            ..Message::default()
        }],
    };
    let answer: SendMessageResponse = connected.unary("SendMessage", &request).await?;
    let status = answer.status.context("a status")?;
    ensure!(status.code == i32::from(Code::Ok), "{status:?}");
    Ok(())
}
