//! Numbers in JSON, and how a broker converts them to a 32 bit number or to text.

/// Most digits that fastjson2 keeps exactly; it converts longer numbers.
const MAX_DIGITS: usize = 38;

/// Greatest exponent that fastjson2 takes.
const MAX_EXPONENT: u32 = 2047;

/// A number as written, without a plus and superfluous zeros at its front.
pub(super) struct Number<'a> {
    negative: bool,
    whole: &'a str,
    fraction: Option<&'a str>,
    exponent: i32,
}

impl<'a> Number<'a> {
    /// `None` for bytes that are not a number.
    pub(super) fn read(bytes: &'a [u8]) -> Option<Self> {
        let text = std::str::from_utf8(bytes).ok()?;
        let unsigned = text.strip_prefix(['-', '+']).unwrap_or(text);
        let (digits, exponent) = match unsigned.split_once(['e', 'E']) {
            Some((digits, exponent)) => {
                let exponent: i32 = exponent.parse().ok()?;
                (exponent.unsigned_abs() <= MAX_EXPONENT).then_some((digits, exponent))?
            }
            None => (unsigned, 0),
        };
        let (whole, fraction) = match digits.split_once('.') {
            Some((whole, fraction)) => (whole, Some(fraction)),
            None => (digits, None),
        };
        let all = || whole.bytes().chain(fraction.unwrap_or_default().bytes());
        if whole.is_empty() || !all().all(|byte| byte.is_ascii_digit()) {
            return None;
        }
        // Readers disagree on a long number with an exponent.
        if exponent != 0 && all().count() > MAX_DIGITS {
            return None;
        }
        let zeros = whole.bytes().take_while(|byte| *byte == b'0').count();
        let zeros = zeros.min(whole.len() - 1);
        Some(Self {
            negative: text.starts_with('-'),
            whole: whole.get(zeros..).unwrap_or_default(),
            fraction: fraction.filter(|fraction| !fraction.is_empty()),
            exponent,
        })
    }

    /// As a 32 bit number: the fraction is cut off. A whole number must fit, one with a point wraps
    /// around, and one with an exponent becomes the nearest that fits. That follows from the Java
    /// types that fastjson2 uses for them.
    pub(super) fn int(&self) -> Option<i32> {
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

/// `Double.toString`.
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
        ] {
            assert_eq!(read(written).int(), number, "{written}");
        }
        for none in ["", "-", "1e", "1.5.5", "--1", ".5", "1e2048", "0x10"] {
            assert!(Number::read(none.as_bytes()).is_none(), "{none}");
        }
    }
}
