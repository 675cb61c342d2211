//! Numbers in JSON, and how a broker converts them to a 32 bit number or to text.

/// Most digits that fastjson2 keeps exactly; it converts longer numbers.
const MAX_DIGITS: usize = 38;

/// Most digits behind a plus that fastjson2 always reads with its first method.
const MAX_DIGITS_PLUS: usize = 8;

/// Greatest whole number before a point without digits that fastjson2 always reads with its first
/// method. The second takes the byte behind the point for a digit.
const MAX_POINTED: u32 = 214_748_364;

/// Greatest exponent that fastjson2 takes.
const MAX_EXPONENT: u32 = 2047;

/// A number as written, without a plus and superfluous zeros at its front.
pub(super) struct Number<'a> {
    negative: bool,
    whole: &'a str,
    fraction: Option<&'a str>,
    exponent: i32,
    /// Whether fastjson2 reads another number than is written, as text or as 32 bits.
    ambiguous: bool,
    ambiguous_int: bool,
}

impl<'a> Number<'a> {
    /// `None` for bytes that are not a number.
    pub(super) fn read(bytes: &'a [u8]) -> Option<Self> {
        let text = std::str::from_utf8(bytes).ok()?;
        let unsigned = text.strip_prefix(['-', '+']).unwrap_or(text);
        let (digits, written) = match unsigned.split_once(['e', 'E']) {
            Some((digits, exponent)) => {
                let exponent: i32 = exponent.parse().ok()?;
                (exponent.unsigned_abs() <= MAX_EXPONENT).then_some((digits, Some(exponent)))?
            }
            None => (unsigned, None),
        };
        let exponent = written.unwrap_or_default();
        let (whole, fraction) = match digits.split_once('.') {
            Some((whole, fraction)) => (whole, Some(fraction)),
            None => (digits, None),
        };
        let all = || whole.bytes().chain(fraction.unwrap_or_default().bytes());
        if whole.is_empty() || !all().all(|byte| byte.is_ascii_digit()) {
            return None;
        }
        let count = all().count();
        let is_long = written.is_some() && count > MAX_DIGITS;
        let has_plus = text.starts_with('+') && count > MAX_DIGITS_PLUS;
        let is_pointed = fraction == Some("")
            && whole
                .parse::<u32>()
                .map_or(true, |whole| whole > MAX_POINTED);
        let zeros = whole.bytes().take_while(|byte| *byte == b'0').count();
        let zeros = zeros.min(whole.len() - 1);
        Some(Self {
            negative: text.starts_with('-'),
            whole: whole.get(zeros..).unwrap_or_default(),
            fraction: fraction.filter(|fraction| !fraction.is_empty()),
            exponent,
            ambiguous: is_long || has_plus || is_pointed,
            // It has another method for whole numbers of 32 bits.
            ambiguous_int: is_long
                || is_pointed
                || has_plus && (fraction.is_some() || written.is_some()),
        })
    }

    /// Whether fastjson2 reads it as another number where text is expected, which other readers do
    /// not. Of a long number with an exponent it keeps the first digits only; before digits that
    /// need more than 32 bits it takes a plus for a digit, and behind them what follows a point.
    pub(super) fn is_ambiguous(&self) -> bool {
        self.ambiguous
    }

    /// As a 32 bit number: the fraction is cut off. A whole number must fit, one with a point wraps
    /// around, and one with an exponent becomes the nearest that fits. That follows from the Java
    /// types that fastjson2 uses for them. `None` when it does not fit, or is read as another.
    pub(super) fn int(&self) -> Option<i32> {
        if self.ambiguous_int {
            return None;
        }
        if self.exponent != 0 {
            return Some(self.double() as i32);
        }
        let fraction = self.fraction.unwrap_or_default();
        if self.whole.len() + fraction.len() > MAX_DIGITS {
            return None;
        }
        if self.fraction.is_none() {
            let number: i64 = self.whole.parse().ok()?;
            let number = if self.negative { -number } else { number };
            return i32::try_from(number).ok();
        }
        let wrapping = |number: i32, digit: u8| {
            let digit = i32::from(digit - b'0');
            number.wrapping_mul(10).wrapping_add(digit)
        };
        let number = self.whole.bytes().fold(0, wrapping);
        Some(if self.negative {
            number.wrapping_neg()
        } else {
            number
        })
    }

    pub(super) fn has_exponent(&self) -> bool {
        self.exponent != 0
    }

    fn double(&self) -> f64 {
        let fraction = self.fraction.unwrap_or("0");
        let text = format!("{}.{fraction}e{}", self.whole, self.exponent);
        let number = text.parse::<f64>().unwrap_or_default();
        if self.negative { 0.0 - number } else { number }
    }

    /// As text: a whole number unchanged, one with a point as Java's `BigDecimal`, one with an
    /// exponent as Java's `double`.
    pub(super) fn text(&self) -> String {
        if self.exponent != 0 {
            return double_text(self.double());
        }
        let Some(fraction) = self.fraction else {
            let sign = if self.negative && self.whole != "0" {
                "-"
            } else {
                ""
            };
            return [sign, self.whole].concat();
        };
        let digits = format!("{}{fraction}", self.whole);
        let digits = digits.trim_start_matches('0');
        let sign = if self.negative && !digits.is_empty() {
            "-"
        } else {
            ""
        };
        let significant = digits.len().max(1) as i32;
        let exponent = significant - 1 - fraction.len() as i32;
        if exponent < -6 {
            let (first, rest) = digits.split_at_checked(1).unwrap_or(("0", ""));
            let point = if rest.is_empty() { "" } else { "." };
            return format!("{sign}{first}{point}{rest}E{exponent}");
        }
        format!("{sign}{}.{fraction}", self.whole)
    }
}

/// The number as `Double.toString` of Java writes it.
fn double_text(number: f64) -> String {
    if number.is_infinite() {
        let sign = if number < 0.0 { "-" } else { "" };
        return format!("{sign}Infinity");
    }
    if number == 0.0 {
        return "0.0".to_owned();
    }
    let plain = (1e-3..1e7).contains(&number.abs());
    let text = if plain {
        format!("{number}")
    } else {
        format!("{number:E}")
    };
    let (digits, exponent) = text.split_once('E').unwrap_or((&text, ""));
    let point = if digits.contains('.') { "" } else { ".0" };
    let e = if exponent.is_empty() { "" } else { "E" };
    format!("{digits}{point}{e}{exponent}")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Number<'_> {
        Number::read(text.as_bytes()).unwrap()
    }

    #[test]
    fn a_number_becomes_text_as_in_java() {
        for (written, text) in [
            ("7", "7"),
            ("+7", "7"),
            ("007", "7"),
            ("-0", "0"),
            ("7.50", "7.50"),
            ("-0.0", "0.0"),
            ("1.", "1"),
            ("0.0000010", "0.0000010"),
            ("0.0000001", "1E-7"),
            ("-0.00000012", "-1.2E-7"),
            ("1e2", "100.0"),
            ("-1.0E+5", "-100000.0"),
            ("1e-7", "1.0E-7"),
            ("12e6", "1.2E7"),
            ("1e400", "Infinity"),
            ("0e5", "0.0"),
        ] {
            assert_eq!(read(written).text(), text, "{written}");
        }
    }

    #[test]
    fn a_number_becomes_32_bits_as_in_java() {
        for (written, number) in [
            ("-2147483648", Some(i32::MIN)),
            ("2147483648", None),
            ("7.9", Some(7)),
            ("-7.9", Some(-7)),
            ("4294967303.5", Some(7)),
            ("1e2", Some(100)),
            ("1e400", Some(i32::MAX)),
            ("123456789012345678901234567890123456789", None),
            ("1234567890123456789012345689012345678901e9", None),
            ("+1234567890", Some(1_234_567_890)),
            ("+1234567890.", None),
            ("214748364.", Some(214_748_364)),
            ("214748365.", None),
            ("-214748365.e0", None),
            ("00000214748364.", Some(214_748_364)),
            ("99999999999.", None),
            ("1264577844.0", Some(1_264_577_844)),
            ("+1234567890e0", None),
            ("+1234567.8", Some(1_234_567)),
        ] {
            assert_eq!(read(written).int(), number, "{written}");
        }
        for (written, is_ambiguous) in [
            ("12345678901234567890123456789012345678e9", false),
            ("-123456789012345678901234567890123456789", false),
            ("123456789012345678901234567890123456789e0", true),
            ("1.23456789012345678901234567890123456789e0", true),
            ("+12345678", false),
            ("+1234567.8", false),
            ("+123456789", true),
            ("+0.12345678", true),
            ("-123456789", false),
            ("123456789.", false),
            ("1234567890.", true),
        ] {
            assert_eq!(read(written).is_ambiguous(), is_ambiguous, "{written}");
        }
        for none in ["", "-", "1e", "1.5.5", "--1", ".5", "1e2048", "0x10"] {
            assert!(Number::read(none.as_bytes()).is_none(), "{none}");
        }
    }
}
