//! Rows 1, 2 and 12: headers that are read otherwise by others, not at all, or for a long time.

use std::time::Duration;

use anyhow::Result;
use integration_tests::abuse::{Attack, BROKERS, Ground, Outcome, Request, frame};
use remoting_codec::RequestCode;
use tokio::time::sleep;

use crate::{
    Abuse, Test,
    codes::{GROUP, heartbeat, poll, send},
    test,
};

/// How long a worker may stand still, and what else a send takes on a machine that is busy.
const TURN: Duration = Duration::from_millis(250);

pub(crate) fn quick() -> Vec<(String, Test)> {
    vec![
        test("header_that_brokers_cannot_read", unreadable),
        test("bytes_behind_binary_fields", trailing),
        test("json_header_of_16_mb", |abuse, name| {
            long(
                abuse,
                name,
                "JSON headers of 16 MB, 3 million fields",
                json_header,
            )
        }),
        test("binary_header_of_16_mb", |abuse, name| {
            long(
                abuse,
                name,
                "binary POPs with headers of 16 MB",
                binary_header,
            )
        }),
        test("heartbeat_of_20000_topics", many_topics),
    ]
}

/// Members of a header that a broker's reader fails on.
pub(crate) const UNREADABLE: &[(&str, &str)] = &[
    ("language", "\"é😀\""),
    ("language", "\"\\u00e9\\ud83d\\ude00\""),
    ("serializeTypeCurrentRPC", "\"é😀\""),
    ("serializeTypeCurrentRPC", "\"日本\""),
];

fn unreadable(abuse: &Abuse, name: &str) -> Result<Outcome> {
    let attack = Attack::new(name, "1", "headers with multi-byte text in an enumeration");
    let world = abuse.world(name, "")?;
    let mut outcome = world.judge(&attack, |ground| async move {
        let asked = [
            send("known", 100),
            Request::new(RequestCode::GET_MAX_OFFSET)
                .field("topic", "known")
                .field("queueId", 0)
                .field("bname", BROKERS[0]),
            Request::new(RequestCode::HEART_BEAT).body(heartbeat("odd", GROUP, "known")),
        ];
        for (nth, member) in UNREADABLE.iter().cycle().take(60).enumerate() {
            let Some(request) = asked.get(nth % asked.len()) else {
                continue;
            };
            let mut line = ground.line().await?;
            line.write(&request.to_frame_with(1, &[*member])).await?;
            // It is closed, or answered; either is well.
            let _ = line.drain_for(Duration::from_millis(50)).await;
        }
        Ok(())
    })?;
    let closed = world
        .seen()
        .unreadable
        .load(std::sync::atomic::Ordering::Relaxed);
    if closed > 0 {
        let what = format!("brokers closed {closed} connections, for what came could not be read");
        outcome.broken.push(what);
    }
    Ok(outcome)
}

fn trailing(abuse: &Abuse, name: &str) -> Result<Outcome> {
    let attack = Attack::new(
        name,
        "2",
        "a binary heartbeat with another behind its fields",
    )
    .lasting(Duration::from_secs(2));
    let world = abuse.world(name, "")?;
    let mut outcome = world.judge(&attack, |ground| async move {
        let mut line = ground.line().await?;
        line.write(&two_heartbeats("shown1", "hidden")).await?;
        let _ = line.drain_for(Duration::from_secs(1)).await;
        Ok(())
    })?;
    let came = world.remora().log_lines("client registered")?;
    for id in ["shown1", "hidden"] {
        let is_known = came.iter().any(|line| line.contains(id));
        if world.seen().heartbeats_of(id) > 0 && !is_known {
            let what = "a broker knows a client that the proxy does not know of";
            outcome.broken.push(what.to_owned());
        }
    }
    Ok(outcome)
}

/// Which of the two ids is the client's depends on the reader.
pub(crate) fn two_heartbeats(shown: &str, hidden: &str) -> Vec<u8> {
    let [shown, hidden] = [shown, hidden].map(|id| heartbeat(id, GROUP, "known-attackers"));
    Request::new(RequestCode::HEART_BEAT)
        .body(shown)
        .to_binary_frame(1, hidden.as_bytes())
}

fn long(abuse: &Abuse, name: &str, what: &'static str, make: fn() -> Vec<u8>) -> Result<Outcome> {
    let attack = Attack::new(name, "12", what).longest(TURN);
    abuse.judge(&attack, move |ground| async move {
        let frame = make();
        for _ in 0..3 {
            write_and_leave(&ground, &frame).await;
            sleep(Duration::from_millis(500)).await;
        }
        Ok(())
    })
}

/// It may be refused before all of it is written.
async fn write_and_leave(ground: &Ground, frame: &[u8]) {
    if let Ok(mut line) = ground.line().await
        && line.write(frame).await.is_ok()
    {
        let _ = line.drain_for(Duration::from_millis(500)).await;
    }
}

/// Just below the length that a frame may have.
const SIZE: usize = 16_000_000;

fn json_header() -> Vec<u8> {
    let mut header =
        String::from(r#"{"code":105,"opaque":1,"flag":0,"extFields":{"topic":"known""#);
    let mut nth = 0_u32;
    while header.len() < SIZE {
        header.push_str(&format!(",\"{nth:x}\":\"\""));
        nth += 1;
    }
    header.push_str("}}");
    frame(0, header.as_bytes(), b"")
}

fn binary_header() -> Vec<u8> {
    // A field with a name of its own and no value.
    let mut fields = Vec::with_capacity(SIZE + 16);
    let mut nth = 0_u32;
    while fields.len() < SIZE {
        fields.extend([0, 6]);
        fields.extend(format!("{nth:06x}").as_bytes());
        fields.extend([0; 4]);
        nth += 1;
    }
    let mut frame = poll(RequestCode::POP_MESSAGE, 0, 0).to_binary_frame(1, &fields);
    // They belong to the fields: both lengths are theirs as well.
    let at = 8 + 2 + 1 + 2 + 4 + 4 + 4;
    if let Some(length) = frame.get(at..at + 4) {
        let known = u32::from_be_bytes(length.try_into().unwrap_or_default());
        let all = (known + fields.len() as u32).to_be_bytes();
        if let Some(place) = frame.get_mut(at..at + 4) {
            place.copy_from_slice(&all);
        }
    }
    frame
}

fn many_topics(abuse: &Abuse, name: &str) -> Result<Outcome> {
    const TOPICS: usize = 20_000;
    let attack = Attack::new(name, "12", "heartbeats that name 20,000 topics").longest(TURN);
    abuse.judge(&attack, |ground| async move {
        let subscriptions: Vec<String> = (0..TOPICS)
            .map(|nth| format!(r#"{{"topic":"t{nth}","subString":"*"}}"#))
            .collect();
        let body = format!(
            r#"{{"clientID":"many","producerDataSet":[],"consumerDataSet":[{{"groupName":"{GROUP}","messageModel":"CLUSTERING","subscriptionDataSet":[{}]}}]}}"#,
            subscriptions.join(",")
        );
        let heartbeat = Request::new(RequestCode::HEART_BEAT).body(body);
        for _ in 0..4 {
            write_and_leave(&ground, &heartbeat.to_frame(1)).await;
        }
        Ok(())
    })
}
