//! Which protocol a client speaks, by its first bytes.
//!
//! Remoting frames begin with their length. Read as one, the letters that other protocols begin
//! with are over 1 GiB, which no listener takes. So a connection of the remoting protocol pays
//! nothing: only a first frame that is too long is compared with the other protocols.

/// The protocols that a listener takes.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Protocols {
    /// RocketMQ's remoting protocol.
    pub remoting: bool,
    /// gRPC, over HTTP/2.
    pub grpc: bool,
    /// Other requests, over HTTP/1.1 and HTTP/2.
    pub http: bool,
}

impl Protocols {
    /// All of them: what a shared listener takes unless it is configured otherwise.
    pub const ALL: Self = Self {
        remoting: true,
        grpc: true,
        http: true,
    };

    /// What the listener of one broker takes: the others have no notion of it.
    pub const REMOTING: Self = Self {
        remoting: true,
        grpc: false,
        http: false,
    };
}

/// What a connection begins with that is no frame.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum FirstBytes {
    /// The preface of HTTP/2, with which a gRPC client starts.
    Http2,
    /// The start of a request of HTTP/1.
    Http1,
    /// Anything else.
    Unknown,
}

impl FirstBytes {
    /// The protocol that starts with these bytes; the first four are enough.
    pub(crate) fn of(bytes: &[u8]) -> Self {
        const METHODS: [&[u8; 4]; 8] = [
            b"GET ", b"POST", b"PUT ", b"DELE", b"HEAD", b"OPTI", b"PATC", b"CONN",
        ];
        match bytes.first_chunk::<4>() {
            Some(b"PRI ") => Self::Http2,
            Some(first) if METHODS.contains(&first) => Self::Http1,
            _ => Self::Unknown,
        }
    }
}

/// The answer to a request of HTTP/1 at a listener that takes none.
pub(crate) const HTTP1_REFUSED: &[u8] = b"HTTP/1.1 505 HTTP Version Not Supported\r\n\
content-type: text/plain\r\ncontent-length: 54\r\nconnection: close\r\n\r\n\
this listener does not take HTTP (listener.protocols)\n";

/// The answer to a client of HTTP/2 at a listener that takes neither gRPC nor HTTP: empty SETTINGS,
/// then GOAWAY with the error REFUSED_STREAM (RFC 9113, 6.8), so that no stream counts as started.
pub(crate) const HTTP2_REFUSED: &[u8] = b"\x00\x00\x00\x04\x00\x00\x00\x00\x00\
\x00\x00\x3d\x07\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x07\
this listener takes neither gRPC nor HTTP (protocols)";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn first_bytes_tell_the_protocol() {
        assert_eq!(FirstBytes::of(b"PRI * HTTP/2.0"), FirstBytes::Http2);
        assert_eq!(FirstBytes::of(b"OPTIONS * HTTP/1.1"), FirstBytes::Http1);
        for unknown in [&b""[..], b"PRI", b"SSH-2.0", b"\x7f\xff\xff\xff"] {
            assert_eq!(FirstBytes::of(unknown), FirstBytes::Unknown);
        }
    }

    #[test]
    fn refusals_are_as_long_as_they_say() {
        let text = std::str::from_utf8(HTTP1_REFUSED).unwrap();
        let (head, body) = text.split_once("\r\n\r\n").unwrap();
        assert!(
            head.contains(&format!("content-length: {}\r\n", body.len())),
            "{}",
            body.len()
        );
        let goaway = &HTTP2_REFUSED[9..];
        assert_eq!(usize::from(goaway[2]), goaway.len() - 9);
    }
}
