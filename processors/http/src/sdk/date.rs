//! The header `Date`.

use super::error::{Code, SdkError, shown};

const DAYS: [&str; 7] = ["Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"];
const MONTHS: [&str; 12] = [
    "Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec",
];

/// Reads a time as in `Sat, 21 Nov 2026 09:36:16 GMT`, the one form that HTTP has for it (RFC 9110,
/// 5.6.7) and that all SDKs send: milliseconds since 1970. The day of the week is not compared with
/// the date.
///
/// # Errors
/// `InvalidDateHeader` when it has another form.
pub fn read(header: &str) -> Result<i64, SdkError> {
    parse(header).ok_or_else(|| {
        let message = format!(
            "the header Date is not like \"Sat, 21 Nov 2026 09:36:16 GMT\": {}",
            shown(header)
        );
        SdkError::new(Code::InvalidDateHeader, message)
    })
}

fn parse(text: &str) -> Option<i64> {
    let (day_of_week, rest) = text.split_once(", ")?;
    DAYS.contains(&day_of_week).then_some(())?;
    let mut words = rest.split(' ');
    let day = number(words.next()?, 2)?;
    let month = words.next()?;
    let month = MONTHS.iter().position(|name| *name == month)?;
    let year = number(words.next()?, 4)?;
    let mut time = words.next()?.split(':');
    let (hour, minute) = (number(time.next()?, 2)?, number(time.next()?, 2)?);
    // 60: a leap second.
    let second = number(time.next()?, 2)?;
    let is_time = hour < 24 && minute < 60 && second <= 60 && time.next().is_none();
    let is_end = words.next() == Some("GMT") && words.next().is_none();
    let month = month as i64 + 1;
    let is_day = (1..=days_of(year, month)).contains(&day);
    (is_time && is_end && is_day).then(|| {
        let days = days_before(year, month) + day - 1;
        (((days * 24 + hour) * 60 + minute) * 60 + second) * 1000
    })
}

fn number(text: &str, digits: usize) -> Option<i64> {
    let is_number = text.len() == digits && text.bytes().all(|byte| byte.is_ascii_digit());
    text.parse().ok().filter(|_| is_number)
}

fn is_leap_year(year: i64) -> bool {
    year % 4 == 0 && (year % 100 != 0 || year % 400 == 0)
}

fn days_of(year: i64, month: i64) -> i64 {
    match month {
        2 if is_leap_year(year) => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

/// From 1970 to the first day of that month, by the Gregorian calendar.
fn days_before(year: i64, month: i64) -> i64 {
    let before = year - 1;
    let leap_days = before / 4 - before / 100 + before / 400 - 477;
    let months: i64 = (1..month).map(|earlier| days_of(year, earlier)).sum();
    (year - 1970) * 365 + leap_days + months
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_read() {
        for (text, seconds) in [
            ("Thu, 01 Jan 1970 00:00:00 GMT", 0),
            ("Sun, 06 Nov 1994 08:49:37 GMT", 784_111_777),
            ("Tue, 29 Feb 2000 23:59:59 GMT", 951_868_799),
            ("Wed, 01 Mar 2000 00:00:00 GMT", 951_868_800),
            ("Sat, 21 Nov 2026 09:36:16 GMT", 1_795_253_776),
            ("Mon, 01 Mar 2100 00:00:00 GMT", 4_107_542_400),
        ] {
            assert_eq!(read(text), Ok(seconds * 1000), "{text}");
        }
    }

    #[test]
    fn other_forms_are_refused() {
        for text in [
            "",
            "now",
            "1795253776",
            "2026-11-21T09:36:16Z",
            "Sat, 21 Nov 2026 09:36:16",
            "Sat, 21 Nov 2026 09:36:16 CET",
            "Sat, 21 Nov 2026 09:36:16 GMT ",
            "Sat, 21 Nov 26 09:36:16 GMT",
            "Sat, 31 Nov 2026 09:36:16 GMT",
            "Sun, 29 Feb 2026 09:36:16 GMT",
            "Sat, 00 Nov 2026 09:36:16 GMT",
            "Sat, 21 Nov 2026 24:36:16 GMT",
            "Sat, 21 Nov 2026 09:60:16 GMT",
            "Sat, 21 Nov 2026 09:36:61 GMT",
            "Sat, 21 nov 2026 09:36:16 GMT",
            "Sat, +1 Nov 2026 09:36:16 GMT",
            "Xxx, 21 Nov 2026 09:36:16 GMT",
        ] {
            assert_eq!(
                read(text).unwrap_err().code,
                Code::InvalidDateHeader,
                "{text}"
            );
        }
    }
}
