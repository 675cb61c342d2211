//! The PROXY protocol's header, which a balancer puts before a client's first byte.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::time::Duration;

use proxy_server::proxy_header::{Endpoints, HeaderError, front, read};
use rustix::net::sockopt::set_socket_linger;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::Runtime;

use crate::{Target, no_seeds, outcome};

/// An input is the start of a connection.
pub(crate) const PROXY_HEADER: Target = Target {
    name: "proxy-header",
    run,
    longest: 2_048,
    tokens: &[
        TEXT,
        BINARY,
        b"TCP4 ",
        b"TCP6 ",
        b"UNKNOWN",
        b"\r\n",
        b"\n",
        b"\r",
        b" ",
        b"  ",
        b"\t",
        b"\0",
        b"1.2.3.4 ",
        b"255.255.255.255 ",
        b"010.0.0.1 ",
        b"::1 ",
        b"::ffff:1.2.3.4 ",
        b"fe80::1%eth0 ",
        b"65535",
        b"65536",
        b"080",
        b"+80",
        b"-1",
        b"\x20",
        b"\x21",
        b"\x22",
        b"\x11",
        b"\x12",
        b"\x21",
        b"\x31",
        b"\0\x0c",
        b"\0\x24",
        b"\0\xd8",
        b"\xff\xff",
        b"\x03\0\x04",
        b"\x04\0\0",
        b"\x20\0\x05",
    ],
    seeds: no_seeds,
    generate: None,
};

const TEXT: &[u8] = b"PROXY ";
const BINARY: &[u8] = b"\r\n\r\n\0\r\nQUIT\n";

/// One input in this many is also sent over a socket.
const SOCKETS: u64 = 64;

fn run(input: &[u8]) -> u64 {
    let found = front(input).ok();
    let behind = [input, b"what a client says"].concat();
    match &found {
        None => assert!(
            front(&behind).is_err(),
            "with more bytes it became a header"
        ),
        Some(None) => {
            for length in 0..input.len() {
                assert!(
                    matches!(front(&input[..length]), Ok(None)),
                    "{length} bytes"
                );
            }
        }
        Some(Some((endpoints, length))) => {
            assert_header(&input[..*length], *endpoints);
            let with_more = front(&behind).expect("it is one with more behind it");
            assert_eq!(with_more, Some((*endpoints, *length)));
            for shorter in 0..*length {
                assert!(
                    matches!(front(&input[..shorter]), Ok(None)),
                    "{shorter} bytes"
                );
            }
        }
    }
    if outcome(input).is_multiple_of(SOCKETS) {
        over_a_socket(input, found);
    }
    let kind = match input {
        _ if input.starts_with(TEXT) => 1 + input.get(9).map_or(0, |byte| u32::from(*byte)),
        _ if input.starts_with(BINARY) => 1_000 + input.get(13).map_or(0, |byte| u32::from(*byte)),
        _ => 0,
    };
    let endpoints = found
        .map(|header| header.map(|(endpoints, length)| (endpoints.is_some(), length.min(110))));
    outcome((kind, endpoints, input.len().min(20)))
}

/// Checks that the bytes that were read as a header are one, with these endpoints.
fn assert_header(header: &[u8], endpoints: Option<Endpoints>) {
    if header.starts_with(BINARY) {
        assert_eq!(
            header.len(),
            16 + usize::from(u16::from_be_bytes([header[14], header[15]]))
        );
        assert!(matches!(header[12], 0x20 | 0x21), "version 2");
    } else {
        assert!(header.len() <= 107);
        assert!(header.ends_with(b"\r\n"));
        match endpoints {
            // The rest of the line must be ignored.
            None => assert!(header.starts_with(b"PROXY UNKNOWN")),
            Some(endpoints) => assert_line(header, endpoints),
        }
    }
    if let Some(endpoints) = endpoints {
        for written in [text(endpoints), binary(endpoints)] {
            let length = written.len();
            let read_again = front(&written).expect("what we write is one");
            assert_eq!(read_again, Some((Some(endpoints), length)));
        }
    }
}

/// Checks that the line has these endpoints.
fn assert_line(header: &[u8], endpoints: Endpoints) {
    let line = std::str::from_utf8(header).expect("text");
    let parts: Vec<&str> = line.trim_end_matches("\r\n").split(' ').collect();
    let &["PROXY", family, from, to, from_port, to_port] = &parts[..] else {
        panic!("{line}");
    };
    let is_4 = family == "TCP4";
    assert!(is_4 || family == "TCP6");
    for (address, port, endpoint) in [
        (from, from_port, endpoints.source),
        (to, to_port, endpoints.destination),
    ] {
        let address: IpAddr = address.parse().expect("an address");
        let port: u16 = port.parse().expect("a port");
        assert_eq!(endpoint, SocketAddr::new(address, port));
        assert_eq!(endpoint.is_ipv4(), is_4);
    }
}

fn text(
    Endpoints {
        source,
        destination,
    }: Endpoints,
) -> Vec<u8> {
    let (version, from, to) = (
        if source.is_ipv4() { 4 } else { 6 },
        source.ip(),
        destination.ip(),
    );
    let (from_port, to_port) = (source.port(), destination.port());
    format!("PROXY TCP{version} {from} {to} {from_port} {to_port}\r\n").into_bytes()
}

fn binary(
    Endpoints {
        source,
        destination,
    }: Endpoints,
) -> Vec<u8> {
    let mut content = Vec::new();
    for address in [source.ip(), destination.ip()] {
        match address {
            IpAddr::V4(address) => content.extend(address.octets()),
            IpAddr::V6(address) => content.extend(address.octets()),
        }
    }
    content.extend(source.port().to_be_bytes());
    content.extend(destination.port().to_be_bytes());
    let family = if source.is_ipv4() { 0x11 } else { 0x21 };
    let length = (content.len() as u16).to_be_bytes();
    [BINARY, &[0x21, family], &length, &content].concat()
}

/// That the same is read from a connection, and nothing behind it.
fn over_a_socket(input: &[u8], found: Option<Option<(Option<Endpoints>, usize)>>) {
    thread_local! {
        static RUNTIME: Runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .unwrap();
    }
    RUNTIME.with(|runtime| runtime.block_on(read_over_a_socket(input, found)));
}

async fn read_over_a_socket(input: &[u8], found: Option<Option<(Option<Endpoints>, usize)>>) {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let near = TcpStream::connect(listener.local_addr().unwrap());
    let (near, far) = tokio::join!(near, listener.accept());
    let (mut near, (mut far, _)) = (near.unwrap(), far.unwrap());
    // Nothing of it is left behind: there are more inputs than ports.
    set_socket_linger(&far, Some(Duration::ZERO)).unwrap();
    near.set_nodelay(true).unwrap();
    let write = async {
        let cut = 1 + input.len() / 3 + input.first().map_or(0, |byte| usize::from(*byte) % 20);
        for part in input.chunks(cut) {
            // It may have been refused meanwhile.
            if near.write_all(part).await.is_err() {
                return;
            }
            tokio::task::yield_now().await;
        }
        let _ = near.shutdown().await;
    };
    let check = async {
        match (read(&mut far).await, found) {
            (Ok(endpoints), Some(Some((expected, length)))) => {
                assert_eq!(endpoints, expected);
                let mut rest = Vec::new();
                far.read_to_end(&mut rest).await.unwrap();
                assert_eq!(rest, &input[length..]);
            }
            (Err(HeaderError::Invalid), None) | (Err(HeaderError::Io(_)), Some(None)) => {}
            (read, found) => panic!("{read:?} over a socket, and else {found:?}"),
        }
    };
    tokio::join!(write, check);
}
