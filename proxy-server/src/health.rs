//! `--health`: asks an admin listener, for containers that have nothing else to ask with.

use std::io::{Error, Read, Result, Write};
use std::net::{TcpStream, ToSocketAddrs};
use std::time::Duration;

/// How long an answer may take.
const PATIENCE: Duration = Duration::from_secs(3);

/// Longest answer that is read: the first line tells.
const ANSWER_MAX: u64 = 4096;

/// Whether what is at that URL answers with 200.
pub(crate) fn ask(url: &str) -> Result<()> {
    let rest = url
        .strip_prefix("http://")
        .ok_or_else(|| Error::other("--health: only http:// is asked"))?;
    let (authority, path) = rest.split_once('/').unwrap_or((rest, ""));
    let address = authority
        .to_socket_addrs()?
        .next()
        .ok_or_else(|| Error::other("--health: no such host"))?;
    let mut stream = TcpStream::connect_timeout(&address, PATIENCE)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    write!(stream, "GET /{path} HTTP/1.0\r\nHost: {authority}\r\n\r\n")?;
    let mut answer = String::new();
    stream.take(ANSWER_MAX).read_to_string(&mut answer)?;
    match answer.split(' ').nth(1) {
        Some("200") => Ok(()),
        _ => Err(Error::other(answer.lines().next().unwrap_or("no answer"))),
    }
}
