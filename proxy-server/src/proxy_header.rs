//! The PROXY protocol's header, which a balancer puts before a client's first byte
//! (<https://www.haproxy.org/download/3.0/doc/proxy-protocol.txt>).

use std::io;
use std::net::SocketAddr;

use proxy_header::{ParseConfig, ProxyHeader};
use thiserror::Error;
use tokio::io::AsyncReadExt;
use tokio::net::TcpStream;

/// The first bytes of a header of version 1.
const TEXT: &[u8] = b"PROXY ";

/// Longest header of version 1.
const TEXT_MAX: usize = 107;

/// The first bytes of a header of version 2.
const BINARY: &[u8] = b"\r\n\r\n\0\r\nQUIT\n";

/// Bytes of a header of version 2 until its length is known, which is in the last two.
const BINARY_HEAD: usize = 16;

/// The two ends of a client's connection, as its balancer sees them.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Endpoints {
    /// The address of the client.
    pub source: SocketAddr,
    /// What the client has connected to.
    pub destination: SocketAddr,
}

/// Why a connection has no usable PROXY header.
#[derive(Debug, Error)]
pub enum HeaderError {
    /// The connection starts with other bytes, or with a malformed header.
    #[error("the connection does not start with a valid PROXY header")]
    Invalid,
    /// The connection failed, or ended before the header did.
    #[error(transparent)]
    Io(#[from] io::Error),
}

/// Reads the header, and nothing behind it, however it is cut into pieces. `None` when the balancer
/// speaks for itself, as in a health check, or does not know the client.
///
/// # Errors
/// When there is no header, or only part of one.
pub async fn read(stream: &mut TcpStream) -> Result<Option<Endpoints>, HeaderError> {
    let mut header = Vec::with_capacity(TEXT_MAX);
    loop {
        let more = match missing(&header)? {
            Missing::Nothing => return parse(&header),
            Missing::Bytes(more) => more,
            Missing::Line => line_end(stream, TEXT_MAX.saturating_sub(header.len())).await?,
        };
        let length = header.len();
        header.resize(length + more, 0);
        let room = header.get_mut(length..).unwrap_or_default();
        let read = stream.read(room).await?;
        if read == 0 {
            return Err(io::Error::from(io::ErrorKind::UnexpectedEof).into());
        }
        header.truncate(length + read);
    }
}

/// The same for what has arrived so far: the header's endpoints, and how many bytes it has. `None`
/// while some are missing.
///
/// # Errors
/// When it is no header.
pub fn front(bytes: &[u8]) -> Result<Option<(Option<Endpoints>, usize)>, HeaderError> {
    let mut length = 0;
    loop {
        let (header, rest) = bytes.split_at(length);
        length += match missing(header)? {
            Missing::Nothing => return Ok(Some((parse(header)?, length))),
            Missing::Bytes(more) => more,
            Missing::Line => line_length(rest, TEXT_MAX.saturating_sub(length)),
        };
        if length > bytes.len() {
            // Of those that are there, some may be wrong.
            return missing(bytes).map(|_| None);
        }
    }
}

/// What a header still lacks, as far as is known.
#[derive(Debug, Eq, PartialEq)]
enum Missing {
    Nothing,
    /// At least so many bytes.
    Bytes(usize),
    /// The bytes up to the end of the line: a header in text.
    Line,
}

fn missing(header: &[u8]) -> Result<Missing, HeaderError> {
    let begins = |with: &[u8]| {
        let common = header.len().min(with.len());
        header.get(..common) == with.get(..common)
    };
    if begins(BINARY) {
        // While nothing is there either may come; the shorter beginning is asked for first.
        let (head, length) = match header.get(BINARY_HEAD - 2..BINARY_HEAD) {
            Some(&[high, low]) => (BINARY_HEAD, usize::from(u16::from_be_bytes([high, low]))),
            _ if header.is_empty() => (TEXT.len(), 0),
            _ => (BINARY_HEAD, 0),
        };
        return Ok(match head + length - header.len().min(head + length) {
            0 => Missing::Nothing,
            more => Missing::Bytes(more),
        });
    }
    if !begins(TEXT) || header.len() >= TEXT_MAX && !header.ends_with(b"\n") {
        return Err(HeaderError::Invalid);
    }
    Ok(match header.len() {
        length if length < TEXT.len() => Missing::Bytes(TEXT.len() - length),
        _ if header.ends_with(b"\n") => Missing::Nothing,
        _ => Missing::Line,
    })
}

/// How many of the bytes that are there belong to the line, at most `limit`. What is behind it is
/// the client's.
async fn line_end(stream: &TcpStream, limit: usize) -> io::Result<usize> {
    let mut ahead = [0; TEXT_MAX];
    let room = ahead.get_mut(..limit).unwrap_or_default();
    let there = stream.peek(room).await?;
    Ok(line_length(ahead.get(..there).unwrap_or_default(), limit))
}

/// The same, of the bytes ahead. At the end of the stream one byte is asked for, and found missing.
fn line_length(ahead: &[u8], limit: usize) -> usize {
    let ahead = ahead.get(..limit).unwrap_or(ahead);
    let end = ahead.iter().position(|byte| *byte == b'\n');
    end.map_or(ahead.len().max(1), |end| end + 1)
}

fn parse(header: &[u8]) -> Result<Option<Endpoints>, HeaderError> {
    let config = ParseConfig {
        include_tlvs: false,
        ..ParseConfig::default()
    };
    match ProxyHeader::parse(header, config) {
        Ok((parsed, length)) if length == header.len() => {
            Ok(parsed.proxied_address().map(|addresses| Endpoints {
                source: addresses.source,
                destination: addresses.destination,
            }))
        }
        _ => Err(HeaderError::Invalid),
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::AsyncWriteExt;
    use tokio::net::TcpListener;

    use super::*;

    async fn pair() -> (TcpStream, TcpStream) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let near = TcpStream::connect(listener.local_addr().unwrap());
        let (near, far) = tokio::join!(near, listener.accept());
        (near.unwrap(), far.unwrap().0)
    }

    fn endpoints(source: &str, destination: &str) -> Option<Endpoints> {
        Some(Endpoints {
            source: source.parse().unwrap(),
            destination: destination.parse().unwrap(),
        })
    }

    fn binary(command: u8, family: u8, content: &[u8]) -> Vec<u8> {
        let length = (content.len() as u16).to_be_bytes();
        [BINARY, &[command, family], &length, content].concat()
    }

    fn headers() -> Vec<(Vec<u8>, Option<Endpoints>)> {
        let v4 = [10, 1, 2, 3, 192, 0, 2, 1, 0xc0, 1, 0x1f, 0x90];
        let mut v6 = [0; 36];
        (v6[0], v6[15], v6[16], v6[31]) = (0xfd, 1, 0xfd, 2);
        (v6[33], v6[35]) = (7, 9);
        let extended = [&v4[..], &[4, 0x10, 0], &[0; 0x1000]].concat();
        let text = |text: &str| text.as_bytes().to_vec();
        vec![
            (
                text("PROXY TCP4 10.1.2.3 192.0.2.1 49153 8080\r\n"),
                endpoints("10.1.2.3:49153", "192.0.2.1:8080"),
            ),
            (
                text("PROXY TCP6 fd00::1 fd00::2 7 9\r\n"),
                endpoints("[fd00::1]:7", "[fd00::2]:9"),
            ),
            (text("PROXY UNKNOWN\r\n"), None),
            (text("PROXY UNKNOWN ffff::1 ffff::2 65535 65535\r\n"), None),
            (
                binary(0x21, 0x11, &v4),
                endpoints("10.1.2.3:49153", "192.0.2.1:8080"),
            ),
            (
                binary(0x21, 0x11, &extended),
                endpoints("10.1.2.3:49153", "192.0.2.1:8080"),
            ),
            (
                binary(0x21, 0x21, &v6),
                endpoints("[fd00::1]:7", "[fd00::2]:9"),
            ),
            // A balancer's own health check; and clients of a local socket.
            (binary(0x20, 0x11, &v4), None),
            (binary(0x20, 0x00, &[]), None),
            (binary(0x21, 0x31, &[0; 216]), None),
        ]
    }

    #[tokio::test]
    async fn a_header_is_read_however_it_is_cut_and_nothing_behind_it() {
        for (header, expected) in headers() {
            for cut in [1, 5, 6, 13, 15, 16, 20, header.len()] {
                let (mut near, mut far) = pair().await;
                let sent = [&header[..], b"PROXY what a client says\n"].concat();
                near.set_nodelay(true).unwrap();
                let write = async {
                    for part in sent.chunks(cut.max(sent.len() / 50)) {
                        near.write_all(part).await.unwrap();
                        tokio::task::yield_now().await;
                    }
                };
                let (read, ()) = tokio::join!(read(&mut far), write);
                assert_eq!(read.unwrap(), expected);
                let mut rest = vec![0; sent.len() - header.len()];
                far.read_exact(&mut rest).await.unwrap();
                assert!(sent.ends_with(&rest));
            }
        }
    }

    #[tokio::test]
    async fn what_is_no_header_is_refused_without_waiting_for_more() {
        let v4 = [10, 1, 2, 3, 192, 0, 2, 1, 0xc0, 1, 0x1f];
        for sent in [
            b"P\n".to_vec(),
            b"\x16\x03\x01".to_vec(),
            b"\0\0\0\x80".to_vec(),
            b"\r\n\r\n\0\r\nQUIT\r".to_vec(),
            b"PROXY TCP5 1.1.1.1 1.1.1.1 1 1\r\n".to_vec(),
            b"PROXY TCP4 1.1.1.1 1.1.1.1 1 1\n".to_vec(),
            b"PROXY TCP4 1.1.1.1 1.1.1.1 1 1 1\r\n".to_vec(),
            b"PROXY TCP4 1.1.1.1 fd00::1 1 1\r\n".to_vec(),
            b"PROXY TCP4 1.1.1.1 1.1.1.1 1 65536\r\n".to_vec(),
            b"PROXY \n".to_vec(),
            [b"PROXY UNKNOWN ", &[b'x'; 200][..]].concat(),
            binary(0x11, 0x11, &v4),
            binary(0x22, 0x11, &v4),
            binary(0x21, 0x11, &v4),
            binary(0x21, 0x41, &v4),
        ] {
            let (mut near, mut far) = pair().await;
            near.write_all(&sent).await.unwrap();
            let read = read(&mut far).await;
            assert!(matches!(read, Err(HeaderError::Invalid)), "{read:?}");
        }
    }

    #[tokio::test]
    async fn a_stream_may_end_anywhere() {
        for (header, _) in headers() {
            for length in [0, 1, 5, 6, 7, 12, 13, 14] {
                let (mut near, mut far) = pair().await;
                near.write_all(&header[..length]).await.unwrap();
                drop(near);
                let read = read(&mut far).await;
                assert!(matches!(read, Err(HeaderError::Io(_))), "{read:?}");
            }
        }
    }
}
