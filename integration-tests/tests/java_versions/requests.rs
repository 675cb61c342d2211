//! Requests and their replies.

use anyhow::{Context, Result, ensure};
use integration_tests::{
    java_client::JavaClient,
    requests::{FIRST_LIMIT, request, wait_answered_within},
    scenario::Scenario,
    suite::TestFn,
    wait::now_ms,
};

pub(crate) const TESTS: &[(&str, TestFn)] = &[("request_and_reply", request_and_reply)];

/// Versions whose `request` that waits for the reply does so only until the request is stored
/// (`RequestResponseFuture.acquireCountDownLatch`): it succeeds when the reply is faster than that.
const DO_NOT_WAIT: &[&str] = &["5.3.3"];

fn request_and_reply(it: &Scenario<'_>) -> Result<()> {
    let topic = it.topic()?;
    let replier = it.replier(&topic).start()?;
    let mut requester = it.requester().start()?;
    let waits = !DO_NOT_WAIT.contains(&it.client_version());
    let modes: &[&str] = if waits {
        &["async", "sync", "selector", "selector-async", "queue"]
    } else {
        &["async", "selector-async"]
    };
    wait_answered_within(&mut requester, &topic, "async", FIRST_LIMIT)?;
    for mode in modes {
        for number in 0..8 {
            let body = format!("{mode}-{number}");
            request(&mut requester, &topic, &body, mode, number)?;
        }
    }
    for mode in modes.iter().take(2) {
        let text = fails(&mut requester, &topic, "mute", mode, "1000")?;
        ensure!(text.contains("imeout"), "{mode} failed otherwise: {text}");
    }
    if !waits {
        does_not_wait(&mut requester, &topic)?;
    }
    let failures = replier.send_failures();
    ensure!(failures.is_empty(), "replies failed: {failures:?}");
    it.stop([requester, replier])
}

/// Proves that the client gives up immediately, although it should wait.
fn does_not_wait(requester: &mut JavaClient, topic: &str) -> Result<()> {
    const LIMIT_MS: u64 = 10_000;
    let begun = now_ms();
    let text = fails(requester, topic, "mute", "sync", "30000")?;
    ensure!(text.contains("imeout"), "failed otherwise: {text}");
    ensure!(
        now_ms() < begun + LIMIT_MS,
        "the client waits for its reply"
    );
    Ok(())
}

/// The error of a request that no client answers.
fn fails(
    requester: &mut JavaClient,
    topic: &str,
    name: &str,
    mode: &str,
    timeout_ms: &str,
) -> Result<String> {
    let options = [
        ("topic", topic),
        ("name", name),
        ("mode", mode),
        ("timeout-ms", timeout_ms),
    ];
    let error = requester.run("request", &options).err();
    let error = error.context("no client answers this one")?;
    Ok(format!("{error:#}"))
}
