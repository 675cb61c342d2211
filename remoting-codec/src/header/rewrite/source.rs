//! JSON as brokers accept it, token by token.

use super::number::Number;
use crate::error::DecodeError;

/// Names and values that are read of one header at most; some count more than once. 64 KiB have
/// room for some 18,000, and other clients would wait for them. A client writes some dozens.
pub(super) const COST_MAX: usize = 12 * 1024;

/// What a name or value within another value counts, because it is written again.
pub(super) const NESTED_COST: usize = 4;

/// What a number with an exponent counts: the nearest double has to be found, and its shortest
/// form.
pub(super) const EXPONENT_COST: usize = 128;

/// Text as in Java: UTF-16, which may have half a surrogate pair.
pub(super) type Units = Vec<u16>;

/// A value that is neither an object nor an array.
pub(super) enum Scalar<'a> {
    Null,
    Bool(bool),
    Number(Number<'a>),
    Text(Units),
}

/// Reads JSON from front to back. The end reads as a 0, which counts as white space everywhere
/// else.
pub(super) struct Source<'a> {
    bytes: &'a [u8],
    at: usize,
    /// The cost of reading so far: at most [`COST_MAX`].
    cost: usize,
    /// Whether the string that was read last has escapes.
    escaped: bool,
    skipped_nul: bool,
    /// The number in the text that fastjson2's reader has kept, −1 if there is none in it. It is
    /// taken for the number of each constant of an unknown name.
    pub(super) left_over: Option<i32>,
}

impl<'a> Source<'a> {
    /// # Errors
    /// When the bytes are not UTF-8.
    pub(super) fn new(bytes: &'a [u8]) -> Result<Self, DecodeError> {
        std::str::from_utf8(bytes).map_err(|_| DecodeError::NotText)?;
        Ok(Self {
            bytes,
            at: 0,
            cost: 0,
            escaped: false,
            skipped_nul: false,
            left_over: None,
        })
    }

    /// Counts what is read.
    ///
    /// # Errors
    /// When it is too much.
    pub(super) fn count(&mut self, cost: usize) -> Result<(), DecodeError> {
        self.cost += cost;
        match self.cost <= COST_MAX {
            true => Ok(()),
            false => Err(DecodeError::TooMuch(self.at as u32)),
        }
    }

    pub(super) fn malformed(&self) -> DecodeError {
        if self.at < self.bytes.len() {
            DecodeError::Malformed(self.at as u32)
        } else {
            DecodeError::Truncated
        }
    }

    /// The error for the value that comes next.
    pub(super) fn too_deep(&self) -> DecodeError {
        DecodeError::TooDeep(self.at as u32)
    }

    /// The error for the number that was read last.
    pub(super) fn ambiguous_number(&self) -> DecodeError {
        DecodeError::AmbiguousNumber(self.at as u32)
    }

    /// The error for the key that was read last.
    pub(super) fn ambiguous(&self) -> DecodeError {
        DecodeError::AmbiguousKey(self.at as u32)
    }

    /// Whether a NUL between two tokens was skipped as white space since `forget_nul`.
    pub(super) fn skipped_nul(&self) -> bool {
        self.skipped_nul
    }

    pub(super) fn forget_nul(&mut self) {
        self.skipped_nul = false;
    }

    /// Whether the string that was read last has escapes.
    pub(super) fn is_escaped(&self) -> bool {
        self.escaped
    }

    fn rest(&self) -> &'a [u8] {
        self.bytes.get(self.at..).unwrap_or_default()
    }

    /// The next byte that is neither white space nor in a comment; it is not consumed.
    pub(super) fn peek(&mut self) -> u8 {
        loop {
            match self.rest() {
                [b'\0', ..] => {
                    self.skipped_nul = true;
                    self.at += 1;
                }
                [8 | b'\t' | b'\n' | b'\x0c' | b'\r' | b' ', ..] => self.at += 1,
                [b'/', b'*', comment @ ..] => {
                    let end = comment.windows(2).position(|end| end == b"*/");
                    self.at += end.map_or(comment.len(), |end| end + 2) + 2;
                }
                [b'/', b'/', comment @ ..] => {
                    let end = comment.iter().position(|byte| *byte == b'\n');
                    self.at += end.unwrap_or(comment.len()) + 2;
                }
                [byte, ..] => return *byte,
                [] => return 0,
            }
        }
    }

    /// Skips that byte, if it is the next; whether it was.
    pub(super) fn take(&mut self, wanted: u8) -> bool {
        let is_there = self.peek() == wanted;
        self.at += usize::from(is_there);
        is_there
    }

    pub(super) fn expect(&mut self, wanted: u8) -> Result<(), DecodeError> {
        match self.take(wanted) {
            true => Ok(()),
            false => Err(self.malformed()),
        }
    }

    /// Reads an object, whose brace is the next byte: calls `each` with each name, to read the
    /// value.
    pub(super) fn object(
        &mut self,
        mut each: impl FnMut(&mut Self, Units) -> Result<(), DecodeError>,
    ) -> Result<(), DecodeError> {
        self.expect(b'{')?;
        while !self.take(b'}') {
            let key = self.text()?;
            self.expect(b':')?;
            each(self, key)?;
            if !self.take(b',') && self.peek() != b'}' {
                return Err(self.malformed());
            }
        }
        Ok(())
    }

    /// Reads an array, whose bracket is the next byte: calls `each` to read each element.
    pub(super) fn array(
        &mut self,
        mut each: impl FnMut(&mut Self) -> Result<(), DecodeError>,
    ) -> Result<(), DecodeError> {
        self.expect(b'[')?;
        while !self.take(b']') {
            each(self)?;
            if !self.take(b',') && self.peek() != b']' {
                return Err(self.malformed());
            }
        }
        Ok(())
    }

    /// A value that is neither an object nor an array.
    pub(super) fn scalar(&mut self) -> Result<Scalar<'a>, DecodeError> {
        let literal = |source: &mut Self, literal: &[u8], scalar| {
            let is_there = source.rest().starts_with(literal);
            source.at += if is_there { literal.len() } else { 0 };
            is_there.then_some(scalar).ok_or(source.malformed())
        };
        match self.peek() {
            b'"' | b'\'' => self.text().map(Scalar::Text),
            b't' => literal(self, b"true", Scalar::Bool(true)),
            b'f' => literal(self, b"false", Scalar::Bool(false)),
            b'n' => literal(self, b"null", Scalar::Null),
            b'-' | b'+' | b'0'..=b'9' => {
                let is_part =
                    |byte: &&u8| matches!(byte, b'0'..=b'9' | b'-' | b'+' | b'.' | b'e' | b'E');
                let length = self.rest().iter().take_while(is_part).count();
                let number = self.rest().get(..length).and_then(Number::read);
                let number = number.ok_or(self.malformed())?;
                if number.has_exponent() {
                    self.count(EXPONENT_COST)?;
                }
                self.at += length;
                Ok(Scalar::Number(number))
            }
            _ => Err(self.malformed()),
        }
    }

    /// Skips a value of any kind, however deep it is.
    pub(super) fn skip(&mut self) -> Result<(), DecodeError> {
        let mut open = Vec::new();
        loop {
            match self.peek() {
                b'{' => open.push(b'}'),
                b'[' => open.push(b']'),
                close @ (b'}' | b']') if open.last() == Some(&close) => {
                    open.pop();
                }
                b',' | b':' if !open.is_empty() => {}
                b'"' | b'\'' => {
                    self.string(|_, _| {})?;
                    // The string is consumed already.
                    self.at -= 1;
                }
                b'-' | b'+' | b'.' | b'0'..=b'9' | b't' | b'f' | b'n' => {
                    let is_part = |byte: &&u8| {
                        byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'+' | b'.')
                    };
                    self.at += self.rest().iter().take_while(is_part).count() - 1;
                }
                _ => return Err(self.malformed()),
            }
            self.at += 1;
            if open.is_empty() {
                return Ok(());
            }
        }
    }

    /// A string in quotes of either kind.
    pub(super) fn text(&mut self) -> Result<Units, DecodeError> {
        let mut units = Units::new();
        self.string(|plain, escaped| {
            units.reserve(plain.len() + 1);
            units.extend(plain.encode_utf16());
            units.extend(escaped);
        })?;
        Ok(units)
    }

    /// Reads a string and calls `each` with its parts: plain text, and the characters of escapes.
    /// Brokers accept more escapes than JSON has.
    fn string(&mut self, mut each: impl FnMut(&str, Option<u16>)) -> Result<(), DecodeError> {
        let quote = self.peek();
        if !matches!(quote, b'"' | b'\'') {
            return Err(self.malformed());
        }
        self.at += 1;
        self.escaped = false;
        loop {
            let rest = self.rest();
            let plain = |byte: &&u8| **byte != quote && **byte != b'\\';
            let length = rest.iter().take_while(plain).count();
            // The header is UTF-8 as a whole, and is cut at ASCII only.
            let text = rest.get(..length).map(std::str::from_utf8);
            each(text.and_then(Result::ok).unwrap_or_default(), None);
            self.at += length;
            match self.rest() {
                [b'\\', ..] => {
                    self.escaped = true;
                    each("", Some(self.escape()?));
                }
                [_, ..] => {
                    self.at += 1;
                    return Ok(());
                }
                [] => return Err(DecodeError::Truncated),
            }
        }
    }

    /// The character of an escape, whose backslash is the next byte.
    fn escape(&mut self) -> Result<u16, DecodeError> {
        let [_, kind, rest @ ..] = self.rest() else {
            return Err(DecodeError::Truncated);
        };
        let digits = match kind {
            b'u' => 4,
            b'x' => 2,
            _ => 0,
        };
        let unit = match kind {
            b'u' | b'x' => {
                let digits = rest.get(..digits).ok_or(DecodeError::Truncated)?;
                let digits = std::str::from_utf8(digits).ok();
                let digits = digits.filter(|text| text.bytes().all(|x| x.is_ascii_hexdigit()));
                let unit = digits.and_then(|text| u16::from_str_radix(text, 16).ok());
                unit.ok_or(self.malformed())?
            }
            b'0'..=b'7' => u16::from(kind - b'0'),
            b'b' => 8,
            b't' => 9,
            b'n' => 10,
            b'v' => 11,
            b'f' | b'F' => 12,
            b'r' => 13,
            b'"' | b'\'' | b'/' | b'.' | b'\\' | b'#' | b'&' | b'[' | b']' | b'@' | b'(' | b')'
            | b'_' | b',' | b'~' | b' ' => u16::from(*kind),
            _ => return Err(self.malformed()),
        };
        self.at += 2 + digits;
        Ok(unit)
    }

    /// Nothing but white space may follow.
    pub(super) fn end(&mut self) -> Result<(), DecodeError> {
        match self.peek() {
            0 => Ok(()),
            _ => Err(self.malformed()),
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::error::DecodeError;
    use crate::header::rewrite::json;

    #[test]
    fn what_is_read_of_a_header_has_a_bound() {
        let read = |count: usize, value: &str| {
            let fields: Vec<String> = (0..count)
                .map(|nth| format!("\"f{nth}\":{value}"))
                .collect();
            let header = format!("{{\"extFields\":{{{}}}}}", fields.join(","));
            json::read(header.as_bytes()).err()
        };
        let is_too_much = |error| matches!(error, Some(DecodeError::TooMuch(_)));
        // `extFields` counts as one.
        assert_eq!(read(12_287, "7"), None);
        assert!(is_too_much(read(12_288, "7")));
        assert_eq!(read(95, "1e5"), None);
        assert!(is_too_much(read(96, "1e5")));
        assert_eq!(read(1365, "[[7]]"), None);
        assert!(is_too_much(read(1366, "[[7]]")));
    }

    #[test]
    fn the_members_of_the_header_itself_count_too() {
        let read = |count: usize, member: &str| {
            let header = format!("{{{}}}", vec![member; count].join(","));
            json::read(header.as_bytes()).err()
        };
        let is_too_much = |error| matches!(error, Some(DecodeError::TooMuch(_)));
        assert_eq!(read(95, "\"flag\":\"1e2\""), None);
        assert!(is_too_much(read(96, "\"flag\":\"1e2\"")));
        assert!(is_too_much(read(12_289, "\"x\":1")));
    }
}
