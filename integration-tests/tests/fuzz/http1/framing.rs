//! Where the requests of a connection start and end (RFC 9112), read independently of the server.
//!
//! Strict in everything on which two readers may disagree, so that the server must not serve a
//! request that is not found here. It may refuse one that is.

use http::{Method, Uri};

/// A request: what it asks for.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) struct Asked {
    pub(super) method: String,
    pub(super) target: String,
}

impl Asked {
    /// Whether the server has read the same. It has no fragments, and its form of targets with an
    /// authority differs.
    pub(super) fn is(&self, method: &Method, uri: &Uri) -> bool {
        let target = self.target.split('#').next().unwrap_or_default();
        let path = uri.path_and_query().map_or("", |path| path.as_str());
        self.method == method.as_str() && (path == target || !target.starts_with('/'))
    }
}

/// Where the bytes of a connection end.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub(super) enum End {
    /// Between two requests.
    Between,
    /// Within the head of a request.
    Head,
    /// Within the body of a request.
    Body,
    /// Behind a request after which the connection ends; what follows is no request.
    Last,
    /// They could be read in several ways, or in none; what follows is no request.
    Broken,
}

impl End {
    /// Whether every request was complete.
    pub(super) fn is_whole(self) -> bool {
        matches!(self, Self::Between | Self::Last)
    }

    /// Whether the server must end the connection because of what it has read.
    pub(super) fn is_final(self) -> bool {
        matches!(self, Self::Last | Self::Broken)
    }
}

/// The requests of which the head is complete, in their order, and how it ends.
pub(super) fn read(stream: &[u8]) -> (Vec<Asked>, End) {
    let mut asked = Vec::new();
    let mut rest = stream;
    let end = loop {
        while let Some(more) = rest.strip_prefix(b"\r\n").or(rest.strip_prefix(b"\n")) {
            rest = more;
        }
        if rest.is_empty() {
            break End::Between;
        }
        let Some((lines, after)) = lines(rest) else {
            break End::Head;
        };
        let Some(head) = Head::read(&lines) else {
            break End::Broken;
        };
        asked.push(head.asked);
        rest = match head.body {
            Body::Length(length) => match usize::try_from(length) {
                Ok(length) if length <= after.len() => &after[length..],
                _ => break End::Body,
            },
            Body::Chunked => match chunked(after) {
                Ok(rest) => rest,
                Err(end) => break end,
            },
        };
        if head.is_last {
            break End::Last;
        }
    };
    (asked, end)
}

/// The lines up to the first empty one, and what is behind that. A carriage return before the line
/// feed may be missing in a head (RFC 9112, 2.2).
fn lines(bytes: &[u8]) -> Option<(Vec<&[u8]>, &[u8])> {
    let (mut lines, mut rest) = (Vec::new(), bytes);
    loop {
        let at = rest.iter().position(|byte| *byte == b'\n')?;
        let line = &rest[..at];
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        rest = &rest[at + 1..];
        if line.is_empty() {
            return Some((lines, rest));
        }
        lines.push(line);
    }
}

enum Body {
    Length(u64),
    Chunked,
}

struct Head {
    asked: Asked,
    body: Body,
    is_last: bool,
}

impl Head {
    fn read(lines: &[&[u8]]) -> Option<Self> {
        let (first, fields) = lines.split_first()?;
        let parts: Vec<&[u8]> = first.split(|byte| *byte == b' ').collect();
        let [method, target, version] = parts[..] else {
            return None;
        };
        let is_old = match version {
            b"HTTP/1.0" => true,
            b"HTTP/1.1" => false,
            _ => return None,
        };
        let is_target = !target.is_empty() && !target.iter().any(u8::is_ascii_control);
        if !is_token(method) || !is_target {
            return None;
        }
        let (mut lengths, mut codings) = (Vec::new(), Vec::new());
        let (mut closes, mut stays) = (false, !is_old);
        for field in fields {
            let (name, value) = self::field(field)?;
            match &*name {
                "content-length" => lengths.push(value),
                "transfer-encoding" => codings.push(value),
                "connection" => {
                    let options = std::str::from_utf8(value).unwrap_or_default().split(',');
                    for option in options.map(str::trim) {
                        closes |= option.eq_ignore_ascii_case("close");
                        stays |= option.eq_ignore_ascii_case("keep-alive");
                    }
                }
                _ => {}
            }
        }
        let body = match (&codings[..], &lengths[..]) {
            ([], []) => Body::Length(0),
            // The same several times is allowed (RFC 9110, 8.6).
            ([], [first, others @ ..]) => {
                let length = number(first)?;
                if others.iter().any(|other| number(other) != Some(length)) {
                    return None;
                }
                Body::Length(length)
            }
            ([coding], _) if !is_old && coding.eq_ignore_ascii_case(b"chunked") => Body::Chunked,
            _ => return None,
        };
        let text = |bytes| String::from_utf8_lossy(bytes).into_owned();
        Some(Self {
            asked: Asked {
                method: text(method),
                target: text(target),
            },
            // A balancer may see its end elsewhere.
            is_last: closes || !stays || !codings.is_empty(),
            body,
        })
    }
}

/// The name, in lower case, and the value of a header or trailer.
fn field(line: &[u8]) -> Option<(String, &[u8])> {
    let at = line.iter().position(|byte| *byte == b':')?;
    let (name, value) = (&line[..at], &line[at + 1..]);
    let is_text = |byte: &u8| *byte == b'\t' || !byte.is_ascii_control();
    if !is_token(name) || !value.iter().all(is_text) {
        return None;
    }
    let name = String::from_utf8_lossy(name).to_ascii_lowercase();
    Some((name, value.trim_ascii()))
}

fn is_token(text: &[u8]) -> bool {
    let is_one = |byte: &u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(byte);
    !text.is_empty() && text.iter().all(is_one)
}

fn number(digits: &[u8]) -> Option<u64> {
    let all = !digits.is_empty() && digits.iter().all(u8::is_ascii_digit);
    let text = std::str::from_utf8(digits).ok().filter(|_| all)?;
    text.parse().ok()
}

/// What follows a chunked body, whose lines end with both bytes, and its trailers.
fn chunked(mut rest: &[u8]) -> Result<&[u8], End> {
    loop {
        let line = line(&mut rest)?;
        let digits = line.iter().take_while(|byte| byte.is_ascii_hexdigit());
        let (digits, extension) = line.split_at(digits.count());
        let has_end = matches!(extension.trim_ascii_start(), [] | [b';', ..]);
        let size = std::str::from_utf8(digits).unwrap_or_default();
        let size = u64::from_str_radix(size, 16);
        let (Ok(size), true) = (size, has_end) else {
            return Err(End::Broken);
        };
        if size == 0 {
            break;
        }
        let size = usize::try_from(size).map_err(|_| End::Body)?;
        let Some((_, after)) = rest.split_at_checked(size) else {
            return Err(End::Body);
        };
        rest = after;
        if !self::line(&mut rest)?.is_empty() {
            return Err(End::Broken);
        }
    }
    // Trailers: of a request that is the last, so that the server may find their end elsewhere.
    while !self::line(&mut rest)?.is_empty() {}
    Ok(rest)
}

/// The next line, which ends with both bytes and contains neither.
fn line<'a>(rest: &mut &'a [u8]) -> Result<&'a [u8], End> {
    let is_end = |byte: &u8| matches!(byte, b'\r' | b'\n');
    let at = rest.iter().position(is_end).ok_or(End::Body)?;
    let (line, after) = rest.split_at(at);
    match after {
        [b'\r', b'\n', after @ ..] => {
            *rest = after;
            Ok(line)
        }
        [b'\r'] => Err(End::Body),
        _ => Err(End::Broken),
    }
}
