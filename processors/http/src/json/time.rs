//! Times and durations as text.
//!
//! A time is that of RFC 3339, `2026-11-21T09:36:16.123Z`. A duration is a whole number with a
//! unit, `1500ms`, `30s`, `5m`, `2h` or `3d`: without the unit, a reader would have to guess it.

use std::fmt;
use std::time::Duration;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

/// A time: milliseconds since 1970 in UTC.
#[derive(Clone, Copy, Debug, Default, Eq, Ord, PartialEq, PartialOrd)]
pub struct Stamp(pub i64);

const SECOND: i64 = 1_000;
const DAY: i64 = 24 * 60 * 60 * SECOND;

/// The last millisecond that has four digits in its year: 9999-12-31T23:59:59.999Z.
const LAST: i64 = 253_402_300_799_999;

/// Days from 1970-01-01 to the day, which may be any of the Gregorian calendar from the year 0 on.
/// Years are counted from March, so that a leap day is the last of its year.
fn days(year: i64, month: i64, day: i64) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let month = (month + 9) % 12;
    let of_year = (153 * month + 2) / 5 + day - 1;
    year * 365 + year.div_euclid(4) - year.div_euclid(100) + year.div_euclid(400) + of_year
        - 719_468
}

/// The day that is that many days after 1970-01-01: year, month, day of the month.
fn date(days: i64) -> (i64, i64, i64) {
    let day = days + 719_468;
    let (era, of_era) = (day.div_euclid(146_097), day.rem_euclid(146_097));
    let year = (of_era - of_era / 1_460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year + year / 4 - year / 100);
    let month = (5 * of_year + 2) / 153;
    let day = of_year - (153 * month + 2) / 5 + 1;
    let (month, next) = if month < 10 {
        (month + 3, 0)
    } else {
        (month - 9, 1)
    };
    (year + era * 400 + next, month, day)
}

fn last_day(year: i64, month: i64) -> i64 {
    match month {
        2 if year % 4 == 0 && (year % 100 != 0 || year % 400 == 0) => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

impl Stamp {
    /// Reads a time of RFC 3339 from 1970 to 9999. What is below a millisecond is cut off. There
    /// is no 60th second: a leap second must be given as the one before.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let (head, rest) = text.as_bytes().split_first_chunk::<19>()?;
        let (fraction, zone) = match rest.split_first() {
            Some((b'.', rest)) => {
                let end = rest.iter().position(|byte| !byte.is_ascii_digit())?;
                rest.split_at_checked(end)?
            }
            _ => (&[][..], rest),
        };
        if matches!(rest.first(), Some(b'.')) && !(1..=9).contains(&fraction.len()) {
            return None;
        }
        let &[
            y0,
            y1,
            y2,
            y3,
            b'-',
            m0,
            m1,
            b'-',
            d0,
            d1,
            b'T' | b't',
            ref clock @ ..,
        ] = head
        else {
            return None;
        };
        let &[h0, h1, b':', n0, n1, b':', s0, s1] = clock else {
            return None;
        };
        let (year, month, day) = (
            number(&[y0, y1, y2, y3])?,
            number(&[m0, m1])?,
            number(&[d0, d1])?,
        );
        let (hour, minute, second) = (number(&[h0, h1])?, number(&[n0, n1])?, number(&[s0, s1])?);
        let is_right = (1..=12).contains(&month)
            && (1..=last_day(year, month)).contains(&day)
            && hour <= 23
            && minute <= 59
            && second <= 59;
        let ahead = offset(zone).filter(|_| is_right)?;
        let millis = fraction.iter().chain(b"00").take(3);
        let millis = millis.fold(0, |millis, digit| millis * 10 + i64::from(digit - b'0'));
        let seconds = (hour * 60 + minute - ahead) * 60 + second;
        let time = days(year, month, day) * DAY + seconds * SECOND + millis;
        (0..=LAST).contains(&time).then_some(Self(time))
    }
}

/// Minutes that a zone is ahead of UTC.
fn offset(zone: &[u8]) -> Option<i64> {
    match *zone {
        [b'Z' | b'z'] => Some(0),
        [sign @ (b'+' | b'-'), h0, h1, b':', m0, m1] => {
            let (hours, minutes) = (number(&[h0, h1])?, number(&[m0, m1])?);
            let ahead = (hours <= 23 && minutes <= 59).then_some(hours * 60 + minutes)?;
            Some(if sign == b'-' { -ahead } else { ahead })
        }
        _ => None,
    }
}

fn number(digits: &[u8]) -> Option<i64> {
    digits.iter().try_fold(0, |number, digit| {
        let digit = digit.is_ascii_digit().then(|| i64::from(digit - b'0'))?;
        Some(number * 10 + digit)
    })
}

impl fmt::Display for Stamp {
    /// With milliseconds, in UTC. A time that has no such form is the nearest that has.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let time = self.0.clamp(0, LAST);
        let (year, month, day) = date(time / DAY);
        let second = time % DAY / SECOND;
        let (hour, minute, second) = (second / 3_600, second / 60 % 60, second % 60);
        let millis = time % SECOND;
        write!(
            f,
            "{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.{millis:03}Z"
        )
    }
}

impl Serialize for Stamp {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Stamp {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        read(
            deserializer,
            Self::parse,
            "a time such as 2026-11-21T09:36:16Z (RFC 3339)",
        )
    }
}

/// A duration.
#[derive(Clone, Copy, Debug, Default, Eq, Ord, PartialEq, PartialOrd)]
pub struct Span(pub Duration);

/// Most digits of a duration: with any unit, its milliseconds are far from 2^63.
const DIGITS_MAX: usize = 9;

impl Span {
    /// Reads a whole number with its unit.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let end = text.find(|c: char| !c.is_ascii_digit())?;
        let (number, unit) = text.split_at_checked(end)?;
        if !(1..=DIGITS_MAX).contains(&number.len()) {
            return None;
        }
        let millis = match unit {
            "ms" => 1,
            "s" => 1_000,
            "m" => 60_000,
            "h" => 3_600_000,
            "d" => 86_400_000,
            _ => return None,
        };
        let number: u64 = number.parse().ok()?;
        Some(Self(Duration::from_millis(number * millis)))
    }
}

impl fmt::Display for Span {
    /// In seconds, or in milliseconds if it has a part of a second.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0.as_millis() {
            millis if millis % 1_000 == 0 => write!(f, "{}s", millis / 1_000),
            millis => write!(f, "{millis}ms"),
        }
    }
}

impl<'de> Deserialize<'de> for Span {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        read(
            deserializer,
            Self::parse,
            "a duration such as \"30s\" (ms, s, m, h, d)",
        )
    }
}

/// Reads a string by that function.
fn read<'de, D: Deserializer<'de>, T>(
    deserializer: D,
    parse: fn(&str) -> Option<T>,
    expected: &'static str,
) -> Result<T, D::Error> {
    struct Visitor<T>(fn(&str) -> Option<T>, &'static str);

    impl<T> de::Visitor<'_> for Visitor<T> {
        type Value = T;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str(self.1)
        }

        fn visit_str<E: de::Error>(self, text: &str) -> Result<T, E> {
            let wrong = || E::invalid_value(de::Unexpected::Str(text), &self);
            (self.0)(text).ok_or_else(wrong)
        }
    }

    deserializer.deserialize_str(Visitor(parse, expected))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_those_of_rfc_3339() {
        for (text, millis) in [
            ("1970-01-01T00:00:00Z", 0),
            ("1970-01-01T00:00:00.001Z", 1),
            ("2026-11-21T09:36:16Z", 1_795_253_776_000),
            ("2026-11-21t09:36:16.12z", 1_795_253_776_120),
            ("2026-11-21T09:36:16.123456789Z", 1_795_253_776_123),
            ("2026-11-21T10:36:16+01:00", 1_795_253_776_000),
            ("2026-11-21T04:06:16-05:30", 1_795_253_776_000),
            ("2000-02-29T23:59:59.999Z", 951_868_799_999),
            ("9999-12-31T23:59:59.999Z", LAST),
        ] {
            assert_eq!(Stamp::parse(text), Some(Stamp(millis)), "{text}");
        }
    }

    #[test]
    fn other_times_are_refused() {
        for text in [
            "",
            "2026-11-21",
            "2026-11-21T09:36:16",
            "2026-11-21 09:36:16Z",
            "2026-11-21T09:36Z",
            "2026-11-21T09:36:16.Z",
            "2026-11-21T09:36:16.1234567890Z",
            "2026-11-21T09:36:16.1",
            "2026-11-21T09:36:16+0100",
            "2026-11-21T09:36:16+24:00",
            "2026-11-21T09:36:16Zx",
            "2026-13-21T09:36:16Z",
            "2026-02-29T09:36:16Z",
            "2100-02-29T09:36:16Z",
            "2026-11-00T09:36:16Z",
            "2026-11-21T24:00:00Z",
            "2026-11-21T09:60:16Z",
            "2026-12-31T23:59:60Z",
            "1969-12-31T23:59:59Z",
            "1970-01-01T00:00:00+00:01",
            "+026-11-21T09:36:16Z",
            "２０２６-11-21T09:36:16Z",
        ] {
            assert_eq!(Stamp::parse(text), None, "{text}");
        }
    }

    #[test]
    fn what_is_written_is_read_again() {
        let mut time = 0;
        while time <= LAST {
            let stamp = Stamp(time);
            assert_eq!(Stamp::parse(&stamp.to_string()), Some(stamp), "{time}");
            time += 37 * DAY + 12_345_678;
        }
        assert_eq!(Stamp(-1).to_string(), "1970-01-01T00:00:00.000Z");
        assert_eq!(Stamp(i64::MAX).to_string(), "9999-12-31T23:59:59.999Z");
    }

    #[test]
    fn durations_have_a_unit() {
        for (text, millis, written) in [
            ("0s", 0, "0s"),
            ("1500ms", 1_500, "1500ms"),
            ("30s", 30_000, "30s"),
            ("5m", 300_000, "300s"),
            ("2h", 7_200_000, "7200s"),
            ("999999999d", 86_399_999_913_600_000, "86399999913600s"),
        ] {
            let span = Span::parse(text);
            assert_eq!(span, Some(Span(Duration::from_millis(millis))), "{text}");
            assert_eq!(span.map(|span| span.to_string()).as_deref(), Some(written));
        }
        for text in [
            "",
            "s",
            "30",
            "30 s",
            " 30s",
            "30S",
            "1.5s",
            "-1s",
            "+1s",
            "1e3s",
            "30s30s",
            "1000000000s",
            "３０s",
            "PT30S",
            "30us",
        ] {
            assert_eq!(Span::parse(text), None, "{text}");
        }
    }

    #[test]
    fn json_has_them_as_strings() {
        assert_eq!(
            serde_json::to_string(&Stamp(1)).unwrap(),
            "\"1970-01-01T00:00:00.001Z\""
        );
        let read: Stamp = serde_json::from_str("\"1970-01-01T00:00:00.001Z\"").unwrap();
        assert_eq!(read, Stamp(1));
        let error = serde_json::from_str::<Span>("\"30\"").unwrap_err();
        assert!(
            error.to_string().contains("expected a duration such as"),
            "{error}"
        );
        assert!(serde_json::from_str::<Span>("30").is_err());
    }
}
