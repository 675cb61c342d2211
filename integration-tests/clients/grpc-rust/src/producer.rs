//! Sends as commanded, and reports every result and every check of a transaction.

use std::{collections::HashMap, sync::Arc};

use rocketmq::{
    conf::{ClientOption, ProducerOption},
    model::{
        message::{Message, MessageBuilder, MessageView},
        transaction::{Transaction, TransactionResolution},
    },
};
use serde_json::{Value, json};
use tokio::task::JoinSet;

use crate::{
    Result,
    options::Options,
    report::{self, emit, now_ms},
};

pub(crate) struct Producer {
    client: Arc<rocketmq::Producer>,
}

impl Producer {
    pub(crate) async fn start(client: ClientOption, options: &Options) -> Result<Self> {
        let mut producer = ProducerOption::default();
        producer.set_topics(options.list("topics"));
        let made = match options.text("check") {
            None => rocketmq::Producer::new(producer, client),
            Some(verdict) => {
                let verdict = verdict.to_owned();
                let check = move |_, message| check(&message, &verdict);
                rocketmq::Producer::new_transaction_producer(producer, client, Box::new(check))
            }
        };
        let mut client = made.map_err(|e| e.to_string())?;
        client.start().await.map_err(|e| e.to_string())?;
        Ok(Self {
            client: Arc::new(client),
        })
    }

    pub(crate) async fn command(&self, verb: &str, options: &Options) -> Result<Value> {
        match verb {
            "send" => self.send_all(options).await,
            _ => Err(format!("no such command: {verb}")),
        }
    }

    async fn send_all(&self, options: &Options) -> Result<Value> {
        let mut outstanding = JoinSet::new();
        for number in 0..options.number("count", 1)? {
            let name = format!("{}-{number}", options.require("name")?);
            let started_at = now_ms();
            let message = message(options, &name, number)?;
            let client = Arc::clone(&self.client);
            match options.text("mode") {
                Some("async") => {
                    outstanding.spawn(async move {
                        report_sent(&name, started_at, send(&client, message).await);
                    });
                }
                Some("transaction") => {
                    let verdict = options.require("verdict")?;
                    let result = transact(&client, message, verdict).await;
                    report_sent(&name, started_at, result);
                }
                _ => report_sent(&name, started_at, send(&client, message).await),
            }
        }
        outstanding.join_all().await;
        Ok(Value::Null)
    }

    pub(crate) async fn stop(self) -> Result<()> {
        let client = Arc::into_inner(self.client).ok_or("it still sends")?;
        client.shutdown().await.map_err(|e| e.to_string())
    }
}

/// Answers a broker's question about a transaction.
fn check(message: &MessageView, verdict: &str) -> TransactionResolution {
    let body = report::body_name(message.body());
    emit("checked", json!({ "body": body, "verdict": verdict }));
    match verdict {
        "commit" => TransactionResolution::COMMIT,
        "rollback" => TransactionResolution::ROLLBACK,
        _ => TransactionResolution::UNKNOWN,
    }
}

/// Sends a message and returns its id.
async fn send(client: &rocketmq::Producer, message: impl Message) -> Result<String> {
    let receipt = client.send(message).await.map_err(|e| e.to_string())?;
    Ok(receipt.message_id().to_owned())
}

async fn transact(
    client: &rocketmq::Producer,
    message: impl Message,
    verdict: &str,
) -> Result<String> {
    let transaction = client.send_transaction_message(message).await;
    let transaction = transaction.map_err(|e| e.to_string())?;
    let id = transaction.message_id().to_owned();
    let end = match verdict {
        "commit" => transaction.commit().await,
        "rollback" => transaction.rollback().await,
        _ => Ok(()),
    };
    end.map_err(|e| e.to_string())?;
    Ok(id)
}

fn message(options: &Options, name: &str, number: usize) -> Result<impl Message + use<>> {
    let next = |list: Vec<&str>| list.iter().cycle().nth(number).map(ToString::to_string);
    let mut message = MessageBuilder::builder()
        .set_topic(options.require("topic")?)
        .set_body(report::body(name, options.number("size", 0)?));
    if let Some(tag) = next(options.list("tags")) {
        message = message.set_tag(tag);
    }
    if options.flag("keys") {
        message = message.set_keys(vec![format!("{name}-key"), format!("{name}-other")]);
    }
    if options.flag("numbered") {
        message = message.set_properties(HashMap::from([("number", number.to_string())]));
    }
    if options.text("groups").is_some() {
        message =
            message.set_message_group(format!("group-{}", number % options.number("groups", 1)?));
    }
    if options.text("delay-ms").is_some() {
        // This client knows whole seconds only.
        let due = now_ms() + options.number("delay-ms", 0)?;
        let due = i64::try_from(due.div_ceil(1_000)).map_err(|e| e.to_string())?;
        message = message.set_delivery_timestamp(due);
    }
    if options.text("mode") == Some("transaction") {
        message = message.enable_transaction();
    }
    message.build().map_err(|e| e.to_string())
}

fn report_sent(name: &str, started_at: u64, result: Result<String>) {
    match result {
        Ok(id) => emit(
            "sent",
            json!({ "body": name, "status": "SEND_OK", "id": id, "started_at": started_at }),
        ),
        Err(error) => emit(
            "send-failed",
            json!({ "body": name, "error": error, "started_at": started_at }),
        ),
    }
}
