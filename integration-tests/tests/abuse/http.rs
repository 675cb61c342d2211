//! Row 28: attacks by HTTP.

use std::time::Duration;

use anyhow::Result;
use integration_tests::abuse::{Attack, Outcome};

use crate::{Abuse, Test, test};

pub(crate) fn quick() -> Vec<(String, Test)> {
    vec![
        test("http_batches_of_15_mb", batches),
        test("http_answers_that_are_never_read", unread),
    ]
}

pub(crate) fn all() -> Vec<(String, Test)> {
    vec![test("http_heads_that_stop", half_heads)]
}

/// Documents that take long to read, although nothing of them is sent to a broker.
fn batches(abuse: &Abuse, name: &str) -> Result<Outcome> {
    const MESSAGES: usize = 900;
    let escapes = "\\u0001".repeat(2_700);
    let message = format!(r#"{{"body":"{escapes}","unknown":1}}"#);
    let messages = vec![message; MESSAGES].join(",");
    let body = format!(r#"{{"messages":[{messages}]}}"#);
    let head = format!(
        "POST /v1/topics/known-attackers/messages:batch HTTP/1.1\r\nhost: remora\r\n\
         content-type: application/json\r\ncontent-length: {}\r\n\r\n",
        body.len()
    );
    let request: std::sync::Arc<str> = (head + &body).into();
    let attack = Attack::new(name, "28", "4 connections that send batches of 15 MB");
    abuse.judge(&attack, move |ground| async move {
        ground
            .many(4, |mut line, _| {
                let request = request.clone();
                async move {
                    loop {
                        line.write(request.as_bytes()).await?;
                        line.drain_for(Duration::from_millis(10)).await?;
                    }
                }
            })
            .await;
        Ok(())
    })
}

/// Requests behind each other, whose answers are not read.
fn unread(abuse: &Abuse, name: &str) -> Result<Outcome> {
    const EACH: usize = 4_000;
    let request = "GET /v1/openapi.json HTTP/1.1\r\nhost: remora\r\n\r\n".repeat(EACH);
    let what = "64 connections with 4,000 requests each whose answers are never read";
    let attack = Attack::new(name, "28", what).lasting(Duration::from_secs(5));
    abuse.judge(&attack, move |ground| async move {
        ground
            .many(64, |mut line, _| {
                let request = request.clone();
                async move {
                    line.write(request.as_bytes()).await?;
                    std::future::pending().await
                }
            })
            .await;
        Ok(())
    })
}

fn half_heads(abuse: &Abuse, name: &str) -> Result<Outcome> {
    let what = "1,500 connections that send half of a head";
    let attack = Attack::new(name, "28", what).lasting(Duration::from_secs(5));
    abuse.judge(&attack, |ground| async move {
        ground
            .many(1_500, |mut line, _| async move {
                line.write(b"POST /v1/topics/known-attackers/messages HTTP/1.1\r\nhost: ")
                    .await?;
                line.drain().await
            })
            .await;
        Ok(())
    })
}
