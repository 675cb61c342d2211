//! What the tests share: requests whose answers are held against the description, and the
//! operations that most tests need.

use std::future::Future;
use std::net::SocketAddr;

use anyhow::{Context as _, Result, ensure};
use bytes::Bytes;
use integration_tests::http_client::{Answer, Request};
use integration_tests::scenario::Scenario;
use serde_json::{Value, json};

use crate::contract;

/// Runs a test's requests.
pub(crate) fn run(test: impl Future<Output = Result<()>>) -> Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    runtime.block_on(test)
}

/// A client of one address, and the topic and the group that its test uses.
#[derive(Clone, Debug)]
pub(crate) struct Client {
    pub(crate) address: SocketAddr,
    pub(crate) topic: String,
    pub(crate) group: String,
}

impl Client {
    /// A client of the suite's Remora, with a topic of the test's own.
    pub(crate) fn new(it: &Scenario<'_>) -> Result<Self> {
        Self::with_topic(it, &it.topic()?)
    }

    pub(crate) fn with_topic(it: &Scenario<'_>, topic: &str) -> Result<Self> {
        Ok(Self {
            address: it.target().name_server.parse()?,
            topic: topic.to_owned(),
            group: it.name("group"),
        })
    }

    /// The same of another address.
    pub(crate) fn at(&self, address: SocketAddr) -> Self {
        Self {
            address,
            ..self.clone()
        }
    }

    /// Sends a request, and checks its answer by the description.
    pub(crate) async fn call(&self, request: &Request) -> Result<Answer> {
        let answer = request.send(self.address).await?;
        contract::check(request, &answer)?;
        Ok(answer)
    }

    /// The same, with the status that is expected.
    pub(crate) async fn expect(&self, status: u16, request: &Request) -> Result<Answer> {
        let answer = self.call(request).await?;
        let target = &request.target;
        ensure!(
            answer.status == status,
            "{target} {answer:?} instead of {status}"
        );
        Ok(answer)
    }

    /// The same of a problem with that code.
    pub(crate) async fn expect_problem(&self, code: &str, request: &Request) -> Result<Value> {
        let answer = self.call(request).await?;
        let target = &request.target;
        let problem = answer
            .json()
            .with_context(|| format!("{target} instead of {code}"))?;
        ensure!(
            problem["code"] == code,
            "{target} {problem} instead of {code}"
        );
        Ok(problem)
    }

    pub(crate) fn topic_path(&self, rest: &str) -> String {
        format!("/v1/topics/{}{rest}", self.topic)
    }

    pub(crate) fn group_path(&self, rest: &str) -> String {
        self.topic_path(&format!("/groups/{}{rest}", self.group))
    }

    /// A request to send a message with that query.
    pub(crate) fn sending(&self, query: &str, body: impl Into<Bytes>) -> Request {
        Request::new("POST", self.topic_path(&format!("/messages{query}"))).body(body)
    }

    pub(crate) async fn send(&self, query: &str, body: impl Into<Bytes>) -> Result<Value> {
        self.expect(201, &self.sending(query, body)).await?.json()
    }

    pub(crate) fn pulling(&self, asked: &Value) -> Request {
        Request::new("POST", self.group_path("/messages:pull")).body(asked.to_string())
    }

    /// Pulls once.
    pub(crate) async fn pull(&self, asked: &Value) -> Result<Vec<Value>> {
        let answer = self.expect(200, &self.pulling(asked)).await?.json()?;
        let messages = answer["messages"].as_array().context("no messages")?;
        Ok(messages.clone())
    }

    /// Makes brokers know the group, so that it gets what is sent from now on.
    pub(crate) async fn begin(&self) -> Result<()> {
        let messages = self.pull(&json!({})).await?;
        ensure!(messages.is_empty(), "{messages:?}");
        Ok(())
    }

    /// Pulls until there are so many messages.
    pub(crate) async fn pull_all(&self, count: usize) -> Result<Vec<Value>> {
        let mut all = Vec::new();
        for _ in 0..20 {
            let asked = json!({"max": 32, "wait": "5s"});
            all.extend(self.pull(&asked).await?);
            if all.len() >= count {
                return Ok(all);
            }
        }
        anyhow::bail!("only {} of {count} messages arrived", all.len())
    }

    pub(crate) async fn pull_one(&self) -> Result<Value> {
        let all = self.pull_all(1).await?;
        ensure!(all.len() == 1, "{all:?}");
        all.into_iter().next().context("no message")
    }

    pub(crate) fn settling(&self, settlements: &Value) -> Request {
        Request::new("POST", self.group_path("/messages:ack")).body(settlements.to_string())
    }

    /// Settles, and returns the results.
    pub(crate) async fn settle(&self, settlements: &Value) -> Result<Vec<Value>> {
        let answer = self.expect(200, &self.settling(settlements)).await?;
        let answer = answer.json()?;
        let results = answer["results"].as_array().context("no results")?;
        Ok(results.clone())
    }

    pub(crate) async fn acknowledge(&self, message: &Value) -> Result<()> {
        let path = format!("/messages/{}", text(message, "handle")?);
        let request = Request::new("DELETE", self.group_path(&path));
        self.expect(204, &request).await.map(drop)
    }

    /// Waits so long, and makes sure that no message arrives.
    pub(crate) async fn expect_nothing(&self, seconds: u64) -> Result<()> {
        let asked = json!({"wait": format!("{seconds}s")});
        let messages = self.pull(&asked).await?;
        ensure!(messages.is_empty(), "{messages:?}");
        Ok(())
    }
}

/// A member of a document that is a string.
pub(crate) fn text<'a>(document: &'a Value, member: &str) -> Result<&'a str> {
    let text = document[member].as_str();
    text.with_context(|| format!("{document} has no {member}"))
}

/// The bodies of messages, sorted.
pub(crate) fn bodies(messages: &[Value]) -> Vec<&str> {
    let bodies = messages
        .iter()
        .filter_map(|message| message["body"].as_str());
    let mut bodies: Vec<_> = bodies.collect();
    bodies.sort_unstable();
    bodies
}
