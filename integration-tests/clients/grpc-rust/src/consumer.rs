//! Receives and acknowledges as commanded.

use std::collections::BTreeMap;

use rocketmq::{
    conf::{ClientOption, SimpleConsumerOption},
    error::ClientError,
    model::{
        common::{FilterExpression, FilterType},
        message::MessageView,
    },
};
use serde_json::{Value, json};
use tokio::time::{Instant, sleep};

use crate::{
    Result,
    options::{Options, millis},
    report,
};

/// Most messages that one call asks for.
const BATCH: usize = 16;

pub(crate) struct SimpleConsumer {
    client: rocketmq::SimpleConsumer,
    topic: String,
    filter: FilterExpression,
    /// What was received and not acknowledged yet, by the names in the bodies.
    held: BTreeMap<String, MessageView>,
}

impl SimpleConsumer {
    pub(crate) async fn start(client: ClientOption, options: &Options) -> Result<Self> {
        let topic = options.require("topic")?.to_owned();
        let mut consumer = SimpleConsumerOption::default();
        consumer.set_consumer_group(options.require("group")?);
        consumer.set_topics(vec![&*topic]);
        let filter = match options.text("sql") {
            Some(sql) => FilterExpression::new(FilterType::Sql, sql),
            None => FilterExpression::new(FilterType::Tag, options.text("tags").unwrap_or("*")),
        };
        let made = rocketmq::SimpleConsumer::new(consumer, client);
        let mut client = made.map_err(|e| e.to_string())?;
        client.start().await.map_err(|e| e.to_string())?;
        Ok(Self {
            client,
            topic,
            filter,
            held: BTreeMap::new(),
        })
    }

    pub(crate) async fn command(&mut self, verb: &str, options: &Options) -> Result<Value> {
        match verb {
            "receive" => self.receive(options).await,
            "ack" => self.acknowledge(options).await,
            _ => Err(format!("no such command: {verb}")),
        }
    }

    /// Receives until there were as many messages as asked for, or time is up. Errors are listed
    /// and do not end it.
    async fn receive(&mut self, options: &Options) -> Result<Value> {
        let count = options.number("count", 1)?;
        let hidden = millis(options.number("invisible-ms", 30_000)?);
        let end = Instant::now() + millis(options.number("limit-ms", 30_000)?);
        let (mut total, mut errors) = (0, Vec::new());
        while total < count && Instant::now() < end {
            let batch = i32::try_from(BATCH.min(count - total)).map_err(|e| e.to_string())?;
            let client = &self.client;
            let received = client.receive_with(&self.topic, &self.filter, batch, hidden);
            match received.await {
                Ok(messages) => {
                    for message in messages {
                        report::received(&message);
                        total += 1;
                        if !options.flag("ack") {
                            self.held.insert(report::body_name(message.body()), message);
                        } else if let Err(e) = client.ack(&message).await {
                            errors.push(e.to_string());
                        }
                    }
                }
                Err(e) if is_late(&e) => {}
                Err(e) => {
                    errors.push(e.to_string());
                    sleep(millis(200)).await;
                }
            }
        }
        Ok(json!({ "received": total, "errors": errors }))
    }

    async fn acknowledge(&mut self, options: &Options) -> Result<Value> {
        let names: Vec<String> = match options.text("names") {
            Some(names) => names.split(',').map(ToOwned::to_owned).collect(),
            None => self.held.keys().cloned().collect(),
        };
        for name in &names {
            let message = self.held.get(name);
            let message = message.ok_or_else(|| format!("not received: {name}"))?;
            let acknowledged = self.client.ack(message).await;
            acknowledged.map_err(|e| e.to_string())?;
            self.held.remove(name);
        }
        Ok(json!(names.len()))
    }

    pub(crate) async fn stop(self) -> Result<()> {
        self.client.shutdown().await.map_err(|e| e.to_string())
    }
}

/// Whether a receive has ended by the library's own deadline. That is as far away as the poll is
/// long, so on a busy machine it may pass before the answer that there is nothing.
fn is_late(error: &ClientError) -> bool {
    error.to_string().contains("Timeout expired")
}
