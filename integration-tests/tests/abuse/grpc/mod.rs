//! Row 27: attacks by gRPC. A healthy client of gRPC is beside those that every attack has.

mod beside;
mod caller;

use std::time::Duration;

use anyhow::Result;
use grpc::proto::{Message, MessageType, SendMessageRequest, SystemProperties};
use integration_tests::{
    abuse::{Attack, Ground, Outcome, World},
    http2::{CONTINUATION, DATA, END_HEADERS, END_STREAM, HEADERS, PING},
};
use tokio::time::sleep;

use self::{
    beside::Beside,
    caller::{Caller, framed, receive, resource, route, settings},
};
use crate::{Abuse, Test, codes::GROUP, test};

/// Streams of a connection at most.
const STREAMS: usize = 4_096;

/// A window as most clients have it.
const WINDOW: u32 = 65_535;

/// A topic that there is.
const TOPIC: &str = "known-attackers";

pub(crate) fn quick() -> Vec<(String, Test)> {
    vec![
        test("grpc_long_polls_that_vanish", vanishing_polls),
        test("grpc_messages_that_lack_a_byte", unfinished),
        test("grpc_header_floods", header_floods),
    ]
}

pub(crate) fn all() -> Vec<(String, Test)> {
    vec![
        test("grpc_rapid_resets", rapid_resets),
        test("grpc_resets_of_calls_under_way", late_resets),
        test("grpc_answers_that_are_never_read", |abuse, name| {
            let what = "64 connections with 4,000 calls each whose answers are never read";
            unread(abuse, name, what, 0)
        }),
        test("grpc_answers_with_a_window_of_a_byte", |abuse, name| {
            let what = "64 connections with 4,000 calls each that take a byte of their answers";
            unread(abuse, name, what, 1)
        }),
        test("grpc_pings_without_end", |abuse, name| {
            pings(abuse, name, "8 connections that ping without end", true)
        }),
        test("grpc_pings_without_end_or_reading", |abuse, name| {
            let what = "8 connections that ping without end and never read";
            pings(abuse, name, what, false)
        }),
        test("grpc_routes_of_topics_that_are_missing", missing_topics),
        test("grpc_telemetry_that_is_cut", cut_telemetry),
        test("grpc_groups_that_are_made_up", made_up_groups),
    ]
}

/// The usual attack, beside a healthy client of gRPC.
fn judge<F>(
    world: &World,
    attack: &Attack,
    run: impl FnOnce(Ground) -> F + Send + 'static,
) -> Result<Outcome>
where
    F: Future<Output = Result<()>>,
{
    let beside = Beside::start(world.ground().proxy);
    let mut outcome = world.judge(attack, run)?;
    beside.judge(&mut outcome)?;
    Ok(outcome)
}

/// CVE-2023-44487: calls that are reset in the same breath. Connections that are ended for it are
/// made again.
fn rapid_resets(abuse: &Abuse, name: &str) -> Result<Outcome> {
    const CONNECTIONS: usize = 8;
    const EACH: usize = 100;
    let attack = Attack::new(
        name,
        "27",
        "8 clients that reset calls at once, without end",
    );
    judge(&abuse.world(name, "")?, &attack, |ground| async move {
        let asked = route(TOPIC);
        let clients = (0..CONNECTIONS).map(|nth| {
            let (ground, asked) = (ground.clone(), asked.clone());
            async move {
                let id = format!("resetting-{nth}");
                loop {
                    let mut caller = Caller::over(ground.line().await?, &id, WINDOW);
                    // Until it is ended.
                    let mut is_open = true;
                    while is_open {
                        for _ in 0..EACH {
                            let stream = caller.call("QueryRoute", &asked);
                            caller.reset(stream);
                        }
                        is_open = caller
                            .write_and_read(Duration::from_millis(1))
                            .await
                            .is_ok();
                    }
                }
            }
        });
        run_all(clients).await
    })
}

/// Calls that are reset when a broker has their requests.
fn late_resets(abuse: &Abuse, name: &str) -> Result<Outcome> {
    let what = "8 connections with 1,000 long polls each that are reset and made again";
    let attack = Attack::new(name, "27", what).lasting(Duration::from_secs(5));
    judge(&abuse.world(name, "")?, &attack, |ground| async move {
        ground
            .many(8, |line, nth| async move {
                let mut caller = Caller::over(line, &format!("resetting-{nth}"), WINDOW);
                let asked = receive(GROUP, TOPIC);
                loop {
                    let mut open = Vec::new();
                    for _ in 0..1_000 {
                        open.push(caller.call("ReceiveMessage", &asked));
                    }
                    caller.write_and_read(Duration::from_millis(200)).await?;
                    for stream in open {
                        caller.reset(stream);
                    }
                    caller.write_and_read(Duration::from_millis(50)).await?;
                }
            })
            .await;
        Ok(())
    })
}

fn vanishing_polls(abuse: &Abuse, name: &str) -> Result<Outcome> {
    let what = "4 connections with 4,096 long polls each, which vanish";
    let attack = Attack::new(name, "27", what);
    judge(&abuse.world(name, "")?, &attack, |ground| async move {
        ground
            .many(4, |line, nth| async move {
                let mut caller = Caller::over(line, &format!("vanishing-{nth}"), WINDOW);
                let asked = receive(GROUP, TOPIC);
                for polls in 1..=STREAMS {
                    caller.call("ReceiveMessage", &asked);
                    if polls % 64 == 0 {
                        caller.write_and_read(Duration::from_millis(5)).await?;
                    }
                }
                caller.drain().await
            })
            .await;
        ground.stay().await;
        Ok(())
    })
}

/// As much of each as the window of a stream allows.
fn unfinished(abuse: &Abuse, name: &str) -> Result<Outcome> {
    const BODY: usize = 200_000;
    const PIECE: usize = 16_384;
    let what = "100 connections with 100 sends of 200 KB each that lack their last byte";
    let attack = Attack::new(name, "27", what).lasting(Duration::from_secs(5));
    judge(&abuse.world(name, "")?, &attack, |ground| async move {
        ground
            .many(100, |line, nth| async move {
                let mut caller = Caller::over(line, &format!("unfinished-{nth}"), WINDOW);
                let message = framed(&send(BODY));
                let lacking = message.split_last().map_or(&message[..], |(_, rest)| rest);
                // Five of them fill the connection's window; as they are read, there is room again.
                for _ in 0..100 {
                    let stream = caller.begin("SendMessage");
                    for piece in lacking.chunks(PIECE) {
                        caller.frame(DATA, 0, stream, piece);
                    }
                    caller.write_and_read(Duration::from_millis(20)).await?;
                }
                caller.drain().await
            })
            .await;
        ground.stay().await;
        Ok(())
    })
}

/// A header of 4 KB that is remembered and then named a thousand times, and blocks without an end.
fn header_floods(abuse: &Abuse, name: &str) -> Result<Outcome> {
    const LONG: usize = 3_900;
    let what = "16 clients with HPACK bombs and endless CONTINUATIONs, which connect again";
    let attack = Attack::new(name, "27", what);
    judge(&abuse.world(name, "")?, &attack, |ground| async move {
        let clients = (0..16_usize).map(|nth| {
            let ground = ground.clone();
            async move {
                loop {
                    let line = ground.line().await?;
                    let mut caller = Caller::over(line, "flooding", WINDOW);
                    // `x: aaa…`, indexed: its length takes three bytes.
                    let rest = LONG - 127;
                    let length = [0x7f, (rest % 128) as u8 | 0x80, (rest / 128) as u8];
                    let mut bomb = vec![0x83, 0x86, 0x84, 0x40, 1, b'x'];
                    bomb.extend(length);
                    bomb.resize(bomb.len() + LONG, b'a');
                    // The first of the dynamic table.
                    bomb.resize(bomb.len() + 1_000, 0xbe);
                    let mut stream = 1;
                    while caller
                        .write_and_read(Duration::from_millis(2))
                        .await
                        .is_ok()
                    {
                        if nth % 2 == 0 {
                            caller.frame(HEADERS, END_HEADERS | END_STREAM, stream, &bomb);
                            stream += 2;
                            continue;
                        }
                        if stream == 1 {
                            caller.frame(HEADERS, 0, stream, &bomb);
                            stream += 2;
                        }
                        for _ in 0..100 {
                            caller.frame(CONTINUATION, 0, 1, &[0x82; 100]);
                        }
                    }
                }
            }
        });
        run_all(clients).await
    })
}

/// Each stream may be sent headers, and no more bytes than `window`. With one byte, hyper takes an
/// answer as written, and HTTP/2 keeps it.
fn unread(abuse: &Abuse, name: &str, what: &'static str, window: u32) -> Result<Outcome> {
    let attack = Attack::new(name, "27", what).lasting(Duration::from_secs(5));
    judge(&abuse.world(name, "")?, &attack, move |ground| async move {
        ground
            .many(64, move |line, nth| async move {
                let mut caller = Caller::over(line, &format!("unread-{nth}"), window);
                let asked = route(TOPIC);
                for _ in 0..40 {
                    for _ in 0..100 {
                        caller.call("QueryRoute", &asked);
                    }
                    caller.write().await?;
                    sleep(Duration::from_millis(5)).await;
                }
                caller.idle(Duration::from_secs(60)).await;
                Ok(())
            })
            .await;
        ground.stay().await;
        Ok(())
    })
}

fn pings(abuse: &Abuse, name: &str, what: &'static str, reads: bool) -> Result<Outcome> {
    let attack = Attack::new(name, "27", what);
    judge(&abuse.world(name, "")?, &attack, move |ground| async move {
        ground
            .many(8, |line, _| async move {
                let mut caller = Caller::over(line, "pinging", WINDOW);
                loop {
                    for _ in 0..1_000 {
                        caller.frame(PING, 0, 0, &[7; 8]);
                    }
                    match reads {
                        true => caller.write_and_read(Duration::from_millis(1)).await?,
                        false => caller.write().await?,
                    }
                }
            })
            .await;
        ground.stay().await;
        Ok(())
    })
}

fn missing_topics(abuse: &Abuse, name: &str) -> Result<Outcome> {
    let what = "one connection that asks for routes of 40,000 topics that there are not";
    let attack = Attack::new(name, "27", what);
    judge(&abuse.world(name, "")?, &attack, |ground| async move {
        ground
            .many(1, |line, _| async move {
                let mut caller = Caller::over(line, "asking", WINDOW);
                for nth in 0..40_000 {
                    caller.call("QueryRoute", &route(&format!("missing-{nth}")));
                    if nth % 500 == 0 {
                        caller.write_and_read(Duration::from_millis(10)).await?;
                    }
                }
                caller.write_and_read(Duration::from_secs(60)).await
            })
            .await;
        ground.stay().await;
        Ok(())
    })
}

fn cut_telemetry(abuse: &Abuse, name: &str) -> Result<Outcome> {
    let what = "4 connections that open and cut 250 Telemetry streams each, of a client each";
    let attack = Attack::new(name, "27", what).lasting(Duration::from_secs(5));
    judge(&abuse.world(name, "")?, &attack, |ground| async move {
        ground
            .many(4, |line, nth| async move {
                let mut caller = Caller::over(line, "", WINDOW);
                for client in 0..250 {
                    caller.become_client(&format!("cut-{nth}-{client}"));
                    let stream = caller.begin("Telemetry");
                    caller.frame(DATA, 0, stream, &framed(&settings(GROUP, TOPIC)));
                    // Half of them before the settings are announced.
                    let time = if client % 2 == 0 { 1 } else { 15 };
                    caller.write_and_read(Duration::from_millis(time)).await?;
                    caller.reset(stream);
                }
                caller.write().await?;
                caller.drain().await
            })
            .await;
        ground.stay().await;
        Ok(())
    })
}

fn made_up_groups(abuse: &Abuse, name: &str) -> Result<Outcome> {
    let what = "4 connections with long polls of 20,000 groups that nobody has made";
    let attack = Attack::new(name, "27", what).lasting(Duration::from_secs(5));
    judge(&abuse.world(name, "")?, &attack, |ground| async move {
        ground
            .many(4, |line, nth| async move {
                let mut caller = Caller::over(line, &format!("made-up-{nth}"), WINDOW);
                for group in 0..5_000 {
                    let asked = receive(&format!("made-up-{nth}-{group}"), TOPIC);
                    let stream = caller.call("ReceiveMessage", &asked);
                    if group % 50 == 0 {
                        caller.write_and_read(Duration::from_millis(5)).await?;
                    }
                    // Fewer than the streams that it may have.
                    if group % 2 == 0 {
                        caller.reset(stream);
                    }
                }
                caller.write().await?;
                caller.drain().await
            })
            .await;
        ground.stay().await;
        Ok(())
    })
}

/// Runs all until one fails.
async fn run_all<F>(clients: impl Iterator<Item = F>) -> Result<()>
where
    F: Future<Output = Result<()>> + 'static,
{
    let mut running = tokio::task::JoinSet::new();
    for client in clients {
        running.spawn_local(client);
    }
    while let Some(ended) = running.join_next().await {
        ended??;
    }
    Ok(())
}

/// A message with a body of that size.
fn send(size: usize) -> SendMessageRequest {
    SendMessageRequest {
        messages: vec![Message {
            topic: resource(TOPIC),
            system_properties: Some(SystemProperties {
                message_id: "01A2B3C4D5E6F708091A2B3C4D5E6F7080".to_owned(),
                message_type: MessageType::Normal.into(),
                ..SystemProperties::default()
            }),
            body: vec![b'x'; size].into(),
            ..Message::default()
        }],
    }
}
