//! Requests to the steered replier, whose reply to each is known.

use std::time::Duration;

use anyhow::{Context, Result, ensure};

use crate::{java_client::JavaClient, wait::wait_until};

/// A requester can only be answered once the brokers know it, and a replier only hears once it
/// holds queues.
pub const FIRST_LIMIT: Duration = Duration::from_secs(40);

/// Sends one request and checks the reply.
///
/// # Errors
/// When there is none, or it is another request's.
pub fn request(
    requester: &mut JavaClient,
    topic: &str,
    name: &str,
    mode: &str,
    number: usize,
) -> Result<()> {
    let number = number.to_string();
    let options = [
        ("topic", topic),
        ("name", name),
        ("mode", mode),
        ("number", &number),
    ];
    let answer = requester.run("request", &options)?;
    let reply = answer
        .get("reply")
        .and_then(|reply| reply.as_str())
        .context("a request's result has the reply")?;
    ensure!(reply == format!("re-{name}"), "{name} was answered {reply}");
    Ok(())
}

/// Answers in a row after which a requester is known to every broker: repliers take one after the
/// other.
const IN_A_ROW: usize = 4;

/// Sends requests until some in a row are answered, as they need not be right after the start of
/// either side.
///
/// # Errors
/// When none is.
pub fn wait_answered(requester: &mut JavaClient, topic: &str) -> Result<()> {
    wait_answered_within(requester, topic, "sync", FIRST_LIMIT)
}

/// Like [`wait_answered`], with a limit and a mode of its own.
///
/// # Errors
/// When none is answered.
pub fn wait_answered_within(
    requester: &mut JavaClient,
    topic: &str,
    mode: &str,
    limit: Duration,
) -> Result<()> {
    let mut last = String::new();
    wait_until("the first reply", limit, || {
        let mut each = (0..IN_A_ROW).map(|_| request(requester, topic, "first", mode, 0));
        match each.try_for_each(|answered| answered) {
            Ok(()) => Ok(Some(())),
            Err(e) => {
                last = format!("{e:#}");
                Ok(None)
            }
        }
    })
    .map_err(|e| e.context(last))
}
