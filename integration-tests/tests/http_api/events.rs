//! Server-sent events.

use std::time::Duration;

use anyhow::{Context as _, Result, bail, ensure};
use integration_tests::http_client::{Answer, Request};
use integration_tests::scenario::Scenario;
use integration_tests::suite::TestFn;
use serde_json::{Value, json};
use tokio::io::AsyncReadExt as _;
use tokio::net::TcpStream;
use tokio::time::{Instant, timeout};

use crate::common::{Client, run, text};
use crate::contract;
use crate::replicas::replica;

pub(crate) const TESTS: &[(&str, TestFn)] = &[
    (
        "a_stream_waits_for_settlements",
        a_stream_waits_for_settlements,
    ),
    (
        "a_stream_that_is_left_gives_back",
        a_stream_that_is_left_gives_back,
    ),
    (
        "a_drain_ends_streams_with_an_event",
        a_drain_ends_streams_with_an_event,
    ),
];

/// A stream that is read.
struct Stream {
    request: Request,
    stream: TcpStream,
    bytes: Vec<u8>,
    /// How many events were taken.
    taken: usize,
}

impl Stream {
    async fn open(client: &Client, query: &str) -> Result<Self> {
        let request = Request::new("GET", client.group_path(&format!("/events{query}")));
        Ok(Self {
            stream: request.start(client.address).await?,
            request,
            bytes: Vec::new(),
            taken: 0,
        })
    }

    /// What has arrived so far, by the description.
    fn checked(&self) -> Result<Answer> {
        let answer = Answer::parse(&self.bytes)?;
        contract::check(&self.request, &answer)?;
        Ok(answer)
    }

    /// The next event, as its fields; `None` if the stream has ended, or there is none in time.
    async fn next(&mut self, seconds: u64) -> Result<Option<Vec<(String, String)>>> {
        let until = Instant::now() + Duration::from_secs(seconds);
        loop {
            if self.bytes.windows(4).any(|part| part == b"\r\n\r\n") {
                let answer = self.checked()?;
                let text = String::from_utf8(answer.body.to_vec())?;
                let mut events = text.split_inclusive("\n\n").skip(self.taken);
                if let Some(event) = events.next().filter(|event| event.ends_with("\n\n")) {
                    self.taken += 1;
                    let lines = event.lines().filter(|line| !line.is_empty());
                    let fields = lines.filter_map(|line| line.split_once(':'));
                    let fields = fields
                        .map(|(name, value)| (name.to_owned(), value.trim_start().to_owned()));
                    return Ok(Some(fields.collect()));
                }
            }
            let left = until.saturating_duration_since(Instant::now());
            let mut part = vec![0; 64 * 1024];
            match timeout(left, self.stream.read(&mut part)).await {
                Err(_) => return Ok(None),
                Ok(read) => match read? {
                    0 => return Ok(None),
                    count => self.bytes.extend_from_slice(&part[..count]),
                },
            }
        }
    }

    /// The next message; comments and the start are passed over.
    async fn message(&mut self, seconds: u64) -> Result<Option<Value>> {
        while let Some(fields) = self.next(seconds).await? {
            let field = |wanted: &str| {
                let mut fields = fields.iter().filter(|(name, _)| name == wanted);
                fields.next().map(|(_, value)| value.as_str())
            };
            if field("event") == Some("message") {
                let message: Value = serde_json::from_str(field("data").context("no data")?)?;
                contract::valid(contract::schema("Message")?, &message)?;
                ensure!(Some(text(&message, "handle")?) == field("id"), "{fields:?}");
                return Ok(Some(message));
            }
            if field("event") == Some("end") {
                bail!("the stream has ended: {fields:?}");
            }
        }
        Ok(None)
    }
}

fn a_stream_waits_for_settlements(it: &Scenario<'_>) -> Result<()> {
    let client = Client::new(it)?;
    run(async {
        client.begin().await?;
        let mut stream = Stream::open(&client, "?max=2&invisible=20s").await?;
        let first = stream.next(5).await?.context("no start")?;
        ensure!(
            first == [("retry".to_owned(), "1000".to_owned())],
            "{first:?}"
        );
        for nth in 0..4 {
            client.send("", format!("m{nth}")).await?;
        }
        let one = stream.message(10).await?.context("no first message")?;
        let two = stream.message(10).await?.context("no second message")?;
        ensure!(
            stream.message(4).await?.is_none(),
            "more than two are outstanding"
        );
        // Over other connections, and so perhaps to other workers.
        client.acknowledge(&one).await?;
        let three = stream.message(10).await?.context("no third message")?;
        let handle = text(&two, "handle")?;
        let results = client
            .settle(&json!({"extends": [{"handle": handle, "invisible": "30s"}]}))
            .await?;
        let extended = text(&results[0], "newHandle")?;
        ensure!(
            stream.message(3).await?.is_none(),
            "an extension is no settlement"
        );
        client.acknowledge(&json!({"handle": extended})).await?;
        let four = stream.message(10).await?.context("no fourth message")?;
        client.acknowledge(&three).await?;
        client.acknowledge(&four).await?;
        // Nothing arrives, except for a comment.
        let mut comments = 0;
        while let Some(fields) = stream.next(17).await? {
            ensure!(fields.iter().all(|(name, _)| name.is_empty()), "{fields:?}");
            comments += 1;
            if comments == 1 {
                break;
            }
        }
        ensure!(comments == 1, "no comment");
        Ok(())
    })
}

fn a_stream_that_is_left_gives_back(it: &Scenario<'_>) -> Result<()> {
    let client = Client::new(it)?;
    run(async {
        client.begin().await?;
        let mut stream = Stream::open(&client, "?invisible=1h").await?;
        stream.next(5).await?.context("no start")?;
        drop(stream);
        tokio::time::sleep(Duration::from_millis(300)).await;
        client.send("", "m").await?;
        let begun = Instant::now();
        let message = client.pull_one().await?;
        let waited = begun.elapsed().as_millis();
        ensure!(waited < 7_000, "{waited} ms");
        client.acknowledge(&message).await
    })
}

fn a_drain_ends_streams_with_an_event(it: &Scenario<'_>) -> Result<()> {
    let remora = replica(it, "draining")?;
    let client = Client::new(it)?.at(remora.target().name_server.parse()?);
    run(async {
        client.begin().await?;
        let mut stream = Stream::open(&client, "").await?;
        stream.next(5).await?.context("no start")?;
        let poll = client.pulling(&json!({"wait": "30s"}));
        let mut polled = Box::pin(client.call(&poll));
        // Under way before the drain begins.
        let early = timeout(Duration::from_millis(500), &mut polled).await;
        ensure!(early.is_err(), "{early:?}");
        let draining = tokio::task::spawn_blocking(move || remora.drain(&[]));
        let begun = Instant::now();
        let answer = polled.await?;
        ensure!(answer.json()? == json!({"messages": []}), "{answer:?}");
        let waited = begun.elapsed().as_secs();
        ensure!(waited < 15, "{waited} s");
        let last = stream.next(20).await?.context("no last event")?;
        let data = last.iter().find(|(name, _)| name == "data");
        let problem: Value = serde_json::from_str(&data.context("no data")?.1)?;
        ensure!(
            last[0].1 == "end" && problem["code"] == "draining",
            "{last:?}"
        );
        contract::valid(contract::schema("Problem")?, &problem)?;
        ensure!(stream.next(10).await?.is_none(), "the stream goes on");
        draining.await?
    })
}
