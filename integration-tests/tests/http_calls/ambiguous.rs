//! Requests of which a balancer in front and Remora could read different things: what is behind
//! them is never served as a request of its own.

use anyhow::Result;

use crate::{World, statuses};

/// What an attacker hides behind a request.
const HIDDEN: &str = "GET /v1/openapi.json HTTP/1.1\r\nhost: x\r\nhidden: yes\r\n\r\n";

const TARGET: &str = "/v1/topics/one/messages";

#[tokio::test]
async fn requests_that_may_end_at_two_places_are_refused() -> Result<()> {
    let world = World::with("workers = 1\n").await?;
    for headers in [
        "content-length: 5\r\ncontent-length: 6\r\n",
        "content-length: 6\r\ncontent-length: 5\r\n",
        "content-length: 5, 6\r\n",
        "content-length: 5 6\r\n",
        "content-length: 0x5\r\n",
        "content-length: +5\r\n",
        "content-length: -5\r\n",
        "content-length: 5.0\r\n",
        "content-length: \r\n",
        "content-length : 5\r\n",
        "content-length\t: 5\r\n",
        " content-length: 5\r\n",
        "a: b\r\n content-length: 5\r\n",
        "a: b\r\n\tcontent-length: 5\r\n",
        "a: b\rcontent-length: 5\r\n",
        "a: b\x00\r\ncontent-length: 5\r\n",
        "content-length: 18446744073709551616\r\n",
        "transfer-encoding: identity\r\n",
        "transfer-encoding: chunked, identity\r\n",
        "transfer-encoding: identity, chunked\r\n",
        "transfer-encoding: chunked, chunked\r\n",
        "transfer-encoding: chunked\r\ntransfer-encoding: chunked\r\n",
        "transfer-encoding: chunked\r\ntransfer-encoding: x\r\n",
        "transfer-encoding: x\r\ntransfer-encoding: chunked\r\n",
        "transfer-encoding: xchunked\r\n",
        "transfer-encoding: chunked;a=b\r\n",
        "transfer-encoding: \x0bchunked\r\n",
        "transfer-encoding : chunked\r\n",
        "transfer-encoding:\r\n",
        "content-length: 5\r\ntransfer-encoding: identity\r\n",
        "transfer_encoding\x00: chunked\r\n",
        "host: y\r\n",
    ] {
        let request =
            format!("POST {TARGET} HTTP/1.1\r\nhost: x\r\n{headers}\r\n0\r\n\r\n{HIDDEN}");
        let answers = world.exchange(request).await?;
        assert_eq!(statuses(&answers), [400], "{headers:?}: {answers:?}");
    }
    for request in [
        format!("POST {TARGET} HTTP/1.1\r\ncontent-length: 0\r\n\r\n{HIDDEN}"),
        format!("POST {TARGET} HTTP/1.0\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n{HIDDEN}"),
        format!("POST {TARGET} HTTP/1.2\r\nhost: x\r\n\r\n{HIDDEN}"),
        format!("POST {TARGET} HTTP/2.0\r\nhost: x\r\n\r\n{HIDDEN}"),
        format!("POST {TARGET}\r\nhost: x\r\n\r\n{HIDDEN}"),
        format!("POST {TARGET} x HTTP/1.1\r\nhost: x\r\n\r\n{HIDDEN}"),
        format!("POST  {TARGET} HTTP/1.1\r\nhost: x\r\n\r\n{HIDDEN}"),
        format!("POST\t{TARGET} HTTP/1.1\r\nhost: x\r\n\r\n{HIDDEN}"),
    ] {
        let answers = world.exchange(&request).await?;
        assert_eq!(statuses(&answers), [400], "{request:?}: {answers:?}");
    }
    Ok(())
}

#[tokio::test]
async fn chunks_that_may_end_at_two_places_end_the_connection() -> Result<()> {
    let world = World::with("workers = 1\n").await?;
    for chunks in [
        "+5\r\nhello\r\n0\r\n\r\n",
        "-5\r\nhello\r\n0\r\n\r\n",
        "0x5\r\nhello\r\n0\r\n\r\n",
        " 5\r\nhello\r\n0\r\n\r\n",
        "5\nhello\r\n0\r\n\r\n",
        "5\r\nhello\n0\r\n\r\n",
        "5;a\nb\r\nhello\r\n0\r\n\r\n",
        "5\rhello\r\n0\r\n\r\n",
        "5\r\nhello!\r\n0\r\n\r\n",
        "5\r\nhell\r\n0\r\n\r\n",
        "5 5\r\nhello\r\n0\r\n\r\n",
        "\r\nhello\r\n0\r\n\r\n",
        "fffffffffffffffff\r\nhello\r\n0\r\n\r\n",
    ] {
        let head = "host: x\r\ntransfer-encoding: chunked\r\n\r\n";
        let request = format!("POST {TARGET} HTTP/1.1\r\n{head}{chunks}{HIDDEN}");
        let answers = world.exchange(request).await?;
        assert_eq!(statuses(&answers), [400], "{chunks:?}: {answers:?}");
        assert_eq!(answers[0].code()?, "body_invalid", "{chunks:?}");
    }
    Ok(())
}

#[tokio::test]
async fn a_length_beside_chunks_ends_the_connection() -> Result<()> {
    let world = World::with("workers = 1\n").await?;
    for headers in [
        "content-length: 5\r\ntransfer-encoding: chunked\r\n",
        "transfer-encoding: chunked\r\ncontent-length: 5\r\n",
        "transfer-encoding: chunked\r\ncontent-length: 5\r\ncontent-length: 6\r\n",
        "transfer-encoding: chunked\r\ncontent-length: x\r\n",
    ] {
        let request =
            format!("POST {TARGET} HTTP/1.1\r\nhost: x\r\n{headers}\r\n0\r\n\r\n{HIDDEN}");
        let answers = world.exchange(request).await?;
        assert_eq!(answers.len(), 1, "{headers:?}: {answers:?}");
        assert_eq!(answers[0].header("connection"), Some("close"));
    }
    Ok(())
}

/// Where trailers end is read in more than one way.
#[tokio::test]
async fn nothing_behind_chunks_is_served() -> Result<()> {
    let world = World::with("workers = 1\n").await?;
    for trailers in ["", "x-a: b\r\n", "x-a: b\n\n", "\n", "x-a: b\n\nzzz\r\n"] {
        let head = "host: x\r\ntransfer-encoding: chunked\r\n\r\n";
        let request =
            format!("POST {TARGET} HTTP/1.1\r\n{head}0\r\n{trailers}\r\n{HIDDEN}{HIDDEN}");
        let answers = world.exchange(request).await?;
        assert_eq!(answers.len(), 1, "{trailers:?}: {answers:?}");
        assert_eq!(answers[0].header("connection"), Some("close"));
    }
    Ok(())
}
