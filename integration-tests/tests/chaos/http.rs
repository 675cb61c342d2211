//! Producers and consumers by HTTP: what was acknowledged to them, and what they have consumed.

use std::{
    collections::BTreeMap,
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering::Relaxed},
    },
    thread::{self, JoinHandle},
    time::Duration,
};

use anyhow::{Context, Result, ensure};
use integration_tests::{
    http_client::{Answer, Request},
    rocketmq::QUEUES_PER_BROKER,
    scenario::Scenario,
    suite::report,
    target::Target,
    wait::{now_ms, wait_until},
};
use parking_lot::Mutex;
use serde_json::{Value, json};

/// Producers, and consumers.
const CLIENTS: usize = 2;
/// Between two sends of one producer.
const PAUSE: Duration = Duration::from_millis(20);
/// Before something that has failed is tried again.
const RETRY: Duration = Duration::from_millis(200);
/// A message that was popped by a consumer that has not got it is invisible for ten seconds.
const ARRIVAL_LIMIT: Duration = Duration::from_secs(90);

/// Clients by HTTP, all the time at work.
pub(crate) struct HttpLedger {
    flow: Arc<Flow>,
    threads: Vec<JoinHandle<Result<()>>>,
}

/// What all these clients share.
struct Flow {
    address: SocketAddr,
    topic: String,
    group: String,
    /// Whether producers end.
    is_sent: AtomicBool,
    /// Whether consumers end.
    is_over: AtomicBool,
    /// What was acknowledged, with the time at which its first send began.
    acknowledged: Mutex<Vec<(u64, String)>>,
    /// How often each message was consumed.
    consumed: Mutex<BTreeMap<String, usize>>,
    /// Sends whose outcome is not known, or that were refused; each is sent again.
    repeated: AtomicUsize,
    /// Messages that were consumed, but not acknowledged: they come again.
    unsettled: AtomicUsize,
}

impl HttpLedger {
    /// Starts them at that address, with a topic of their own.
    pub(crate) fn open(it: &Scenario<'_>, target: &Target) -> Result<Self> {
        let topic = it.name("http");
        it.cluster().create_topic(&topic, QUEUES_PER_BROKER)?;
        let flow = Arc::new(Flow {
            address: target.name_server.parse()?,
            topic,
            group: it.name("http-group"),
            is_sent: AtomicBool::new(false),
            is_over: AtomicBool::new(false),
            acknowledged: Mutex::default(),
            consumed: Mutex::default(),
            repeated: AtomicUsize::new(0),
            unsettled: AtomicUsize::new(0),
        });
        // From then on, brokers know the group: it gets what is sent later.
        let begun = in_runtime(flow.clone(), async |flow| flow.pull("3s").await)?;
        ensure!(begun.is_empty(), "{begun:?}");
        let mut threads = Vec::new();
        for nth in 0..CLIENTS {
            let (producer, consumer) = (flow.clone(), flow.clone());
            threads.push(thread::spawn(move || {
                in_runtime(producer, async |flow| flow.produce(nth).await)
            }));
            threads.push(thread::spawn(move || {
                in_runtime(consumer, async |flow| flow.consume().await)
            }));
        }
        Ok(Self { flow, threads })
    }

    /// Waits until messages that were sent after that moment have been consumed.
    pub(crate) fn wait_flowing(&self, since: u64, limit: Duration) -> Result<()> {
        const ENOUGH: usize = 20;
        wait_until("messages to flow by HTTP", limit, || {
            let consumed = self.flow.consumed.lock();
            let acknowledged = self.flow.acknowledged.lock();
            let of_now = acknowledged.iter().rev().take_while(|sent| sent.0 > since);
            let flow = of_now.filter(|sent| consumed.contains_key(&sent.1)).count();
            Ok((flow >= ENOUGH).then_some(()))
        })
    }

    /// Ends the sending, and compares.
    pub(crate) fn close(self, blows: usize) -> Result<()> {
        let flow = &self.flow;
        flow.is_sent.store(true, Relaxed);
        let begun = now_ms();
        let missing = || {
            let consumed = flow.consumed.lock();
            let acknowledged = flow.acknowledged.lock();
            let missing = acknowledged.iter().map(|sent| &sent.1);
            let missing = missing.filter(|body| !consumed.contains_key(*body));
            missing.cloned().collect::<Vec<_>>()
        };
        let arrived = wait_until("the messages by HTTP", ARRIVAL_LIMIT, || {
            Ok(missing().is_empty().then_some(()))
        });
        let took = now_ms() - begun;
        flow.is_over.store(true, Relaxed);
        for thread in self.threads {
            let ended = thread.join().ok();
            ended.context("a client by HTTP has panicked")??;
        }
        let twice = flow
            .consumed
            .lock()
            .values()
            .filter(|times| **times > 1)
            .count();
        let missing = missing();
        report(&format!(
            "by HTTP, after {blows} blows: {} acknowledged, {} of them never consumed, {twice} consumed more than once, {} \
             sends repeated, {} messages not settled; the last was consumed {took} ms after the end",
            flow.acknowledged.lock().len(),
            missing.len(),
            flow.repeated.load(Relaxed),
            flow.unsettled.load(Relaxed),
        ));
        arrived.with_context(|| format!("missing: {missing:?}"))
    }
}

/// Runs requests on a thread of their own.
fn in_runtime<T>(flow: Arc<Flow>, run: impl AsyncFnOnce(&Flow) -> Result<T>) -> Result<T> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    runtime.block_on(run(&flow))
}

fn text<'a>(message: &'a Value, name: &str) -> Result<&'a str> {
    let text = message.get(name).and_then(Value::as_str);
    text.with_context(|| format!("no {name}"))
}

impl Flow {
    /// Sends message after message, each until it is acknowledged.
    async fn produce(&self, producer: usize) -> Result<()> {
        let target = format!("/v1/topics/{}/messages", self.topic);
        let mut number = 0;
        while !self.is_sent.load(Relaxed) {
            let body = format!("h{producer}-{number}");
            let begun = now_ms();
            let request = Request::new("POST", target.as_str()).body(body.clone());
            while !self.is_done(201, &request).await {
                if self.is_sent.load(Relaxed) {
                    return Ok(());
                }
                self.repeated.fetch_add(1, Relaxed);
                tokio::time::sleep(RETRY).await;
            }
            self.acknowledged.lock().push((begun, body));
            number += 1;
            tokio::time::sleep(PAUSE).await;
        }
        Ok(())
    }

    /// Pulls and acknowledges.
    async fn consume(&self) -> Result<()> {
        while !self.is_over.load(Relaxed) {
            let Ok(messages) = self.pull("2s").await else {
                tokio::time::sleep(RETRY).await;
                continue;
            };
            for message in &messages {
                let body = text(message, "body")?;
                *self.consumed.lock().entry(body.to_owned()).or_default() += 1;
            }
            if messages.is_empty() {
                continue;
            }
            let handles: Vec<_> = messages
                .iter()
                .filter_map(|message| message.get("handle"))
                .collect();
            let body = json!({"acks": handles}).to_string();
            let settle = Request::new("POST", self.of_group("ack")).body(body);
            if !self.is_done(200, &settle).await {
                self.unsettled.fetch_add(messages.len(), Relaxed);
            }
        }
        Ok(())
    }

    async fn pull(&self, wait: &str) -> Result<Vec<Value>> {
        let asked = json!({"max": 32, "wait": wait, "invisible": "10s"}).to_string();
        let answer = self
            .ask(&Request::new("POST", self.of_group("pull")).body(asked))
            .await?;
        ensure!(answer.status == 200, "{answer:?}");
        let answer = answer.json()?;
        let messages = answer.get("messages").and_then(Value::as_array);
        messages.cloned().context("no messages")
    }

    fn of_group(&self, operation: &str) -> String {
        format!(
            "/v1/topics/{}/groups/{}/messages:{operation}",
            self.topic, self.group
        )
    }

    /// Whether the request is answered with that status.
    async fn is_done(&self, status: u16, request: &Request) -> bool {
        self.ask(request)
            .await
            .is_ok_and(|answer| answer.status == status)
    }

    async fn ask(&self, request: &Request) -> Result<Answer> {
        request.send(self.address).await
    }
}
