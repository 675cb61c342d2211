//! One RocketMQ client per process, steered by a test: commands arrive line by line on standard
//! input, and everything that happens is reported as one JSON object a line on standard output. The
//! process decides nothing and asserts nothing; the test that started it does.

mod consumer;
mod options;
mod producer;
mod report;

use std::{env, process::ExitCode};

use rocketmq::conf::ClientOption;
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt, BufReader, stdin};

use crate::{consumer::SimpleConsumer, options::Options, producer::Producer, report::emit};

/// A result, or the words of an error.
type Result<T> = std::result::Result<T, String>;

/// What a process is: one producer, one consumer.
enum Role {
    Producer(Producer),
    SimpleConsumer(Box<SimpleConsumer>),
}

impl Role {
    async fn start(name: &str, options: Options) -> Result<Self> {
        let client = configuration(&options)?;
        Ok(match name {
            "producer" => Self::Producer(Producer::start(client, &options).await?),
            "simple-consumer" => {
                let consumer = SimpleConsumer::start(client, &options).await?;
                Self::SimpleConsumer(Box::new(consumer))
            }
            _ => return Err(format!("no such role: {name}")),
        })
    }

    async fn command(&mut self, verb: &str, options: &Options) -> Result<Value> {
        match self {
            Self::Producer(producer) => producer.command(verb, options).await,
            Self::SimpleConsumer(consumer) => consumer.command(verb, options).await,
        }
    }

    async fn stop(self) -> Result<()> {
        match self {
            Self::Producer(producer) => producer.stop().await,
            Self::SimpleConsumer(consumer) => consumer.stop().await,
        }
    }
}

fn configuration(options: &Options) -> Result<ClientOption> {
    let mut client = ClientOption::default();
    client.set_access_url(options.require("endpoints")?);
    client.set_enable_tls(false);
    client.set_timeout(options::millis(10_000));
    // The deadline of a receive, too, although the library's documentation adds the time of a call.
    // The Java proxy refuses one that is closer than its shortest poll, which is five seconds.
    client.set_long_polling_timeout(options::millis(options.number("await-ms", 6_000)?));
    if let Some(key) = options.text("access-key") {
        client.set_access_key(key);
        client.set_secret_key(options.require("secret-key")?);
    }
    Ok(client)
}

/// Runs commands until "stop" or until the test ends (end of input).
async fn serve(role: &mut Role) {
    let mut lines = BufReader::new(stdin()).lines();
    let mut number = 0;
    while let Ok(Some(line)) = lines.next_line().await {
        if line == "stop" {
            return;
        }
        number += 1;
        let mut words = line.split('\t').map(ToOwned::to_owned);
        let verb = words.next().unwrap_or_default();
        let result = match Options::parse(words) {
            Ok(options) => role.command(&verb, &options).await,
            Err(e) => Err(e),
        };
        match result {
            Ok(result) => emit("done", json!({ "command": number, "result": result })),
            Err(error) => emit("failed", json!({ "command": number, "error": error })),
        }
    }
}

async fn run() -> Result<Role> {
    let mut arguments = env::args().skip(1);
    let name = arguments.next().ok_or("usage: ROLE key=value…")?;
    Role::start(&name, Options::parse(arguments)?).await
}

#[tokio::main(worker_threads = 2)]
async fn main() -> ExitCode {
    let mut role = match run().await {
        Ok(role) => role,
        Err(error) => {
            emit("start-failed", json!({ "error": error }));
            return ExitCode::FAILURE;
        }
    };
    emit("ready", json!({}));
    serve(&mut role).await;
    if let Err(error) = role.stop().await {
        eprintln!("the client did not shut down: {error}");
        return ExitCode::FAILURE;
    }
    emit("stopped", json!({}));
    ExitCode::SUCCESS
}
