//! Requests that are replied to: by clients of HTTP, and by and to those of remoting.

use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use integration_tests::abuse::admin_get;
use integration_tests::http_client::Request;
use integration_tests::requests;
use integration_tests::scenario::Scenario;
use integration_tests::suite::TestFn;
use integration_tests::wait::wait_until;
use serde_json::{Value, json};

use crate::common::{Client, run, text};
use crate::replicas::replica;

pub(crate) const TESTS: &[(&str, TestFn)] = &[
    ("http_replies_to_http", http_replies_to_http),
    ("remoting_replies_to_http", remoting_replies_to_http),
    ("http_replies_to_remoting", http_replies_to_remoting),
    ("a_late_reply_is_refused", a_late_reply_is_refused),
];

impl Client {
    fn requesting(&self, query: &str, body: &str) -> Request {
        let path = self.topic_path(&format!("/requests{query}"));
        Request::new("POST", path).body(body.to_owned())
    }

    /// Pulls a request and replies to it with `re-` before its body.
    async fn reply_to_one(&self, at: &Self) -> Result<Value> {
        let message = self.pull_one().await?;
        self.acknowledge(&message).await?;
        let request = replying(&message)?;
        at.expect(204, &request).await?;
        Ok(message)
    }
}

fn replying(message: &Value) -> Result<Request> {
    let path = format!("/v1/replies/{}", text(message, "replyToken")?);
    let body = format!("re-{}", text(message, "body")?);
    let request = Request::new("POST", path).body(body);
    Ok(request
        .header("content-type", "text/plain")
        .header("x-mq-property-by", "http"))
}

fn http_replies_to_http(it: &Scenario<'_>) -> Result<()> {
    let remora = replica(it, "other")?;
    let client = Client::new(it)?;
    let other = client.at(remora.target().name_server.parse()?);
    run(async {
        client.begin().await?;
        for nth in 0..4 {
            let queue = format!("?timeout=20s&broker=broker-{}&queue=0", ["a", "b"][nth % 2]);
            let query = [
                "?timeout=20s",
                "?timeout=20s&selector=s",
                &queue,
                "?timeout=20s",
            ];
            let request = client.requesting(query[nth], &format!("q{nth}"));
            // Asked at one replica, consumed and replied to at the other.
            let (answer, message) =
                tokio::join!(client.expect(200, &request), other.reply_to_one(&other));
            let (answer, message) = (answer?, message?);
            ensure!(answer.body == format!("re-q{nth}"), "{answer:?}");
            ensure!(answer.header("content-type") == "text/plain", "{answer:?}");
            ensure!(answer.header("x-mq-property-by") == "http", "{answer:?}");
            ensure!(nth != 2 || message["queue"]["id"] == 0, "{message}");
        }
        let none = client.requesting("?timeout=1s", "nobody");
        let problem = client.expect_problem("reply_timeout", &none).await?;
        ensure!(problem["status"] == 504, "{problem}");
        for wrong in ["?timeout=2m", "?broker=broker-a&queue=99", "?delay=1s"] {
            let request = client.requesting(wrong, "x");
            client.expect_problem("request_invalid", &request).await?;
        }
        Ok(())
    })?;
    remora.stop(&["slow request"])
}

fn remoting_replies_to_http(it: &Scenario<'_>) -> Result<()> {
    let topic = it.topic()?;
    let client = Client::with_topic(it, &topic)?;
    let replier = it.replier(&topic).start()?;
    run(async {
        let mut last = None;
        for _ in 0..10 {
            let answer = client.call(&client.requesting("?timeout=5s", "q")).await?;
            if answer.status == 200 {
                ensure!(answer.body == "re-q", "{answer:?}");
                return Ok(());
            }
            last = Some(answer);
        }
        anyhow::bail!("no reply: {last:?}")
    })?;
    it.stop([replier])
}

fn http_replies_to_remoting(it: &Scenario<'_>) -> Result<()> {
    let topic = it.topic()?;
    let client = Client::with_topic(it, &topic)?;
    let mut requester = it.requester().start()?;
    let consumer = client.clone();
    run(async {
        client.begin().await?;
        let replying = async {
            loop {
                let pull = json!({"max": 8, "wait": "2s"});
                for message in consumer.pull(&pull).await? {
                    consumer.acknowledge(&message).await?;
                    // The first ones may have been given up.
                    consumer.call(&replying(&message)?).await?;
                }
            }
            #[expect(unreachable_code, reason = "it names the type")]
            anyhow::Ok(())
        };
        let asking = tokio::task::spawn_blocking(move || {
            let answered = requests::wait_answered(&mut requester, &topic);
            (answered, requester)
        });
        let (answered, requester) = tokio::select! {
            replied = replying => return replied,
            asked = asking => asked?,
        };
        answered?;
        it.stop([requester])
    })
}

fn a_late_reply_is_refused(it: &Scenario<'_>) -> Result<()> {
    const COUNT: &str = "rocketmq_proxy_http_replies_total{";
    let remora = replica(it, "late")?;
    let client = Client::new(it)?.at(remora.target().name_server.parse()?);
    run(async {
        client.begin().await?;
        let request = client.requesting("?timeout=1s", "q");
        client.expect_problem("reply_timeout", &request).await?;
        let message = client.pull_one().await?;
        tokio::time::sleep(Duration::from_secs(2)).await;
        let reply = replying(&message)?;
        let problem = client.expect_problem("reply_not_awaited", &reply).await?;
        ensure!(problem["status"] == 410, "{problem}");
        let token = text(&message, "replyToken")?;
        let cut = token.get(1..).context("a token")?;
        let forged = Request::new("POST", format!("/v1/replies/{cut}")).body("x");
        client.expect_problem("token_invalid", &forged).await?;
        // A broker takes a second reply to a request; nobody waits for it.
        let request = client.requesting("?timeout=20s", "q2");
        let reply_twice = async {
            let message = client.pull_one().await?;
            for _ in 0..2 {
                client.expect(204, &replying(&message)?).await?;
            }
            Ok(())
        };
        tokio::try_join!(client.expect(200, &request), reply_twice)?;
        Ok(())
    })?;
    wait_until("both counts", Duration::from_secs(10), || {
        let metrics = admin_get(remora.admin(), "/metrics", Duration::from_secs(5))?;
        let counts = metrics.lines().filter(|line| line.starts_with(COUNT));
        let once = counts.filter(|line| line.ends_with(" 1"));
        // Of `received`, the first reply.
        Ok((once.count() == 3).then_some(()))
    })?;
    remora.stop(&["slow request"])
}
