//! Requests and their replies.

use anyhow::{Context, Result, ensure};
use integration_tests::{
    requests::{request, wait_answered},
    scenario::Scenario,
    suite::TestFn,
};

pub(crate) const TESTS: &[(&str, TestFn)] = &[("request_and_reply", request_and_reply)];

fn request_and_reply(it: &Scenario<'_>) -> Result<()> {
    let topic = it.topic()?;
    let replier = it.replier(&topic).start()?;
    let mut requester = it.requester().start()?;
    wait_answered(&mut requester, &topic)?;
    for mode in ["sync", "async", "selector", "selector-async", "queue"] {
        for number in 0..8 {
            request(
                &mut requester,
                &topic,
                &format!("{mode}-{number}"),
                mode,
                number,
            )?;
        }
    }
    for mode in ["sync", "async"] {
        let error = requester
            .run(
                "request",
                &[
                    ("topic", &topic),
                    ("name", "mute"),
                    ("mode", mode),
                    ("timeout-ms", "1000"),
                ],
            )
            .err()
            .context("nobody answers this one")?;
        let text = format!("{error:#}");
        ensure!(text.contains("imeout"), "{mode} failed otherwise: {text}");
    }
    let failures = replier.send_failures();
    ensure!(failures.is_empty(), "replies failed: {failures:?}");
    it.stop([requester, replier])
}
