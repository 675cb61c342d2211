//! What no client should send.

use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use bytes::{BufMut, Bytes, BytesMut};
use grpc::proto::{
    Code, HeartbeatRequest, HeartbeatResponse, SendMessageRequest, SendMessageResponse,
};
use h2::client;
use integration_tests::grpc_client::{Answers, GrpcClient, framed, path, send_all};
use integration_tests::scenario::Scenario;
use integration_tests::suite::TestFn;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::timeout;

use crate::common::{client, expect, message, run};

pub(crate) const TESTS: &[(&str, TestFn)] = &[
    ("broken_calls_have_clear_answers", broken_calls),
    ("a_call_needs_a_client_id", a_call_needs_a_client_id),
    (
        "grpc_over_http_1_is_refused_in_its_own_language",
        grpc_over_http_1_is_refused,
    ),
    ("pings_are_never_punished", pings_are_never_punished),
    ("a_client_of_4000_streams", a_client_of_4000_streams),
    ("resets_do_not_end_others", resets_do_not_end_others),
    ("header_bombs_end_their_connection_only", header_bombs),
    ("an_upload_that_stops", an_upload_that_stops),
];

fn beat() -> HeartbeatRequest {
    HeartbeatRequest::default()
}

/// Whether the client is still served.
async fn is_served(client: &GrpcClient) -> Result<()> {
    let answer: HeartbeatResponse = client.unary("Heartbeat", &beat()).await?;
    expect(answer.status.as_ref(), Code::Ok)
}

fn broken_calls(it: &Scenario<'_>) -> Result<()> {
    run(async {
        let client = client(it).await?;
        let whole = framed(&beat());
        let message = whole.get(1..).unwrap_or_default();
        let compressed = [&[1], message].concat();
        let flagged = [&[9], message].concat();
        let mut too_large = BytesMut::new();
        too_large.put_u8(0);
        too_large.put_u32(u32::MAX);
        let mut wrong = BytesMut::new();
        wrong.put_u8(0);
        wrong.put_u32(3);
        wrong.put_slice(&[0xFF, 0xFF, 0xFF]);
        let twice = [&whole[..], &whole[..]].concat();
        let heartbeat = path("Heartbeat");
        for (what, path, body, status) in [
            (
                "no such call",
                "/apache.rocketmq.v2.MessagingService/Nothing",
                &whole[..],
                "12",
            ),
            (
                "no such service",
                "/other.Service/Heartbeat",
                &whole[..],
                "12",
            ),
            ("compressed", &heartbeat, &compressed[..], "12"),
            ("another flag", &heartbeat, &flagged[..], "13"),
            ("too large", &heartbeat, &too_large[..], "8"),
            ("cut off", &heartbeat, &[0, 0, 0, 0, 9, 1][..], "13"),
            ("wrong", &heartbeat, &wrong[..], "13"),
            ("nothing", &heartbeat, &[][..], "12"),
            ("twice", &heartbeat, &twice[..], "12"),
        ] {
            let (ended, messages) = client.exchange(path, Bytes::copy_from_slice(body)).await?;
            ensure!(ended.status == status, "{what}: {ended:?}");
            ensure!(
                messages.is_empty() && !ended.message.is_empty(),
                "{what}: {ended:?}"
            );
        }
        is_served(&client).await
    })
}

fn a_call_needs_a_client_id(it: &Scenario<'_>) -> Result<()> {
    run(async {
        let client = client(it).await?;
        let nobody = client.with("x-mq-client-id", "");
        let answer: HeartbeatResponse = nobody.unary("Heartbeat", &beat()).await?;
        expect(answer.status.as_ref(), Code::ClientIdRequired)?;
        let namespace = client.with("x-mq-namespace", "a%b");
        let answer: HeartbeatResponse = namespace.unary("Heartbeat", &beat()).await?;
        expect(answer.status.as_ref(), Code::BadRequest)?;
        let request = SendMessageRequest {
            messages: vec![message("%RETRY%x y", "m")],
        };
        let answer: SendMessageResponse = client.unary("SendMessage", &request).await?;
        expect(answer.status.as_ref(), Code::IllegalTopic)
    })
}

fn grpc_over_http_1_is_refused(it: &Scenario<'_>) -> Result<()> {
    run(async {
        let mut stream = TcpStream::connect(&it.target().name_server).await?;
        let head = b"POST /apache.rocketmq.v2.MessagingService/Heartbeat HTTP/1.1\r\n\
            host: x\r\ncontent-type: application/grpc\r\nconnection: close\r\n\r\n";
        stream.write_all(head).await?;
        let mut answer = String::new();
        let read = stream.read_to_string(&mut answer);
        timeout(Duration::from_secs(5), read).await??;
        ensure!(answer.contains("grpc-status: 12"), "{answer}");
        ensure!(answer.contains("HTTP/2"), "{answer}");
        Ok(())
    })
}

/// Complaint 10.
fn pings_are_never_punished(it: &Scenario<'_>) -> Result<()> {
    run(async {
        let stream = TcpStream::connect(&it.target().name_server).await?;
        let (sender, mut connection) = client::handshake(stream).await?;
        let mut pings = connection.ping_pong().context("no pings")?;
        let serving = tokio::spawn(connection);
        for _ in 0..40 {
            let pong = pings.ping(h2::Ping::opaque());
            timeout(Duration::from_secs(5), pong).await??;
            tokio::time::sleep(Duration::from_millis(250)).await;
        }
        ensure!(!serving.is_finished(), "the connection has ended");
        drop(sender);
        Ok(())
    })
}

/// As many streams as a connection may have, nearly: this client makes no more than it was allowed.
fn a_client_of_4000_streams(it: &Scenario<'_>) -> Result<()> {
    run(async {
        let client = client(it).await?;
        let mut open = Vec::new();
        for _ in 0..4_000 {
            open.push(client.begin(&path("Heartbeat")).await?);
        }
        // Others are served meanwhile.
        let other = crate::common::client_named(it, "other").await?;
        is_served(&other).await?;
        for (answer, mut stream) in open {
            send_all(&mut stream, framed(&beat()), true).await?;
            let mut answers = Answers::of(answer).await?;
            let answer: HeartbeatResponse = answers.message().await?;
            expect(answer.status.as_ref(), Code::Ok)?;
        }
        Ok(())
    })
}

/// A client that resets its calls as fast as it makes them does not disturb others, and may be
/// ended.
fn resets_do_not_end_others(it: &Scenario<'_>) -> Result<()> {
    run(async {
        let attacker = client(it).await?;
        let other = crate::common::client_named(it, "other").await?;
        let mut resets = 0;
        for _ in 0..20_000 {
            match attacker.begin(&path("Heartbeat")).await {
                Ok((_, mut stream)) => stream.send_reset(h2::Reason::CANCEL),
                Err(_) => break,
            }
            resets += 1;
            if resets % 1_000 == 0 {
                is_served(&other).await?;
            }
        }
        is_served(&other).await
    })
}

/// Headers of megabytes, in CONTINUATION frames without end, and headers that repeat one long entry
/// of the table.
fn header_bombs(it: &Scenario<'_>) -> Result<()> {
    run(async {
        let other = client(it).await?;
        for is_flood in [true, false] {
            let mut stream = TcpStream::connect(&it.target().name_server).await?;
            stream
                .write_all(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n")
                .await?;
            // SETTINGS.
            stream.write_all(&[0, 0, 0, 4, 0, 0, 0, 0, 0]).await?;
            // A literal that enters the table, of 4,000 bytes; then references to it.
            let mut block = vec![0x40, 1, b'x', 0x7F, 0xA1, 0x1E];
            block.extend([b'y'; 4_000]);
            block.extend([0xBE; 12_000]);
            let frame = |kind: u8, flags: u8, payload: &[u8]| {
                let length = (payload.len() as u32).to_be_bytes();
                let mut frame = vec![length[1], length[2], length[3], kind, flags, 0, 0, 0, 1];
                frame.extend(payload);
                frame
            };
            let sent = async {
                match is_flood {
                    false => stream.write_all(&frame(1, 4 | 1, &block)).await?,
                    true => {
                        stream.write_all(&frame(1, 0, &block)).await?;
                        for _ in 0..2_000 {
                            stream.write_all(&frame(9, 0, &block)).await?;
                        }
                    }
                }
                let mut end = Vec::new();
                stream.read_to_end(&mut end).await?;
                Ok::<_, std::io::Error>(())
            };
            // A connection that stays open has read all, and kept little of it.
            let _ = timeout(Duration::from_secs(5), sent).await;
            is_served(&other).await?;
        }
        Ok(())
    })
}

/// A call whose message does not come to its end is ended after a time, and holds up nobody.
fn an_upload_that_stops(it: &Scenario<'_>) -> Result<()> {
    run(async {
        let client = client(it).await?;
        let (answer, mut stream) = client.begin(&path("SendMessage")).await?;
        send_all(&mut stream, Bytes::from_static(&[0, 0, 0, 1, 0, 7]), false).await?;
        is_served(&client).await?;
        // limits.frame_ms is 30 s.
        let answers = timeout(Duration::from_secs(45), Answers::of(answer)).await?;
        let mut answers = match answers {
            Ok(answers) => answers,
            // The harness waits for 30 s itself.
            Err(_) => return is_served(&client).await,
        };
        ensure!(answers.next().await?.is_none(), "an answer");
        ensure!(answers.ended()?.status == "4", "another status");
        Ok(())
    })
}
