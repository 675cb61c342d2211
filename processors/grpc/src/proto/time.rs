//! Points in time and lengths of time: `google.protobuf.Timestamp` and `Duration`.

use super::declare::message;

const MILLIS: i64 = 1_000;
const NANOS_PER_MILLI: i64 = 1_000_000;

message! {
    /// A point in time.
    #[derive(Copy)]
    pub struct Timestamp {
        /// Seconds since 1970 in UTC; negative before.
        seconds: i64 = int64(1),
        /// Nanoseconds within the second, 0 to 999,999,999.
        nanos: i32 = int32(2),
    }
}

message! {
    /// A length of time.
    #[derive(Copy)]
    pub struct Duration {
        /// Whole seconds.
        seconds: i64 = int64(1),
        /// Nanoseconds beyond them, with the same sign.
        nanos: i32 = int32(2),
    }
}

impl Timestamp {
    /// Of milliseconds since 1970.
    #[must_use]
    pub fn from_millis(millis: i64) -> Self {
        Self {
            seconds: millis.div_euclid(MILLIS),
            nanos: (millis.rem_euclid(MILLIS) * NANOS_PER_MILLI) as i32,
        }
    }

    /// Milliseconds since 1970, what is beyond them cut off; the nearest that there is for a time
    /// that has none.
    #[must_use]
    pub fn to_millis(&self) -> i64 {
        to_millis(self.seconds, self.nanos)
    }

    /// Whether it is one that can be written as a date (`Timestamps.isValid`): from the year 1 to
    /// 9999, with less than a second of nanoseconds.
    #[must_use]
    pub fn is_valid(&self) -> bool {
        const YEAR_1: i64 = -62_135_596_800;
        const YEAR_10000: i64 = 253_402_300_800;
        (YEAR_1..YEAR_10000).contains(&self.seconds) && (0..1_000_000_000).contains(&self.nanos)
    }
}

impl Duration {
    /// Of milliseconds.
    #[must_use]
    pub fn from_millis(millis: i64) -> Self {
        Self {
            seconds: millis / MILLIS,
            nanos: (millis % MILLIS * NANOS_PER_MILLI) as i32,
        }
    }

    /// Milliseconds, what is beyond them cut off; the nearest that there is for a length that has
    /// none.
    #[must_use]
    pub fn to_millis(&self) -> i64 {
        to_millis(self.seconds, self.nanos)
    }
}

fn to_millis(seconds: i64, nanos: i32) -> i64 {
    let beyond = i64::from(nanos).div_euclid(NANOS_PER_MILLI);
    seconds.saturating_mul(MILLIS).saturating_add(beyond)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn milliseconds_are_kept() {
        for millis in [0, 1, 999, 1_000, 1_795_910_400_123, -1, -1_000, -1_001] {
            assert_eq!(Timestamp::from_millis(millis).to_millis(), millis);
            assert_eq!(Duration::from_millis(millis).to_millis(), millis);
        }
        assert_eq!(Timestamp::from_millis(-1).nanos, 999_000_000);
        assert_eq!(Duration::from_millis(-1).nanos, -1_000_000);
    }

    #[test]
    fn no_time_overflows() {
        let (seconds, nanos) = (i64::MAX, i32::MAX);
        assert_eq!(Timestamp { seconds, nanos }.to_millis(), i64::MAX);
        let (seconds, nanos) = (i64::MIN, i32::MIN);
        assert_eq!(Duration { seconds, nanos }.to_millis(), i64::MIN);
    }

    #[test]
    fn dates_are_valid() {
        for (seconds, nanos, valid) in [
            (0, 0, true),
            (253_402_300_799, 999_999_999, true),
            (253_402_300_800, 0, false),
            (-62_135_596_801, 0, false),
            (0, 1_000_000_000, false),
            (0, -1, false),
        ] {
            assert_eq!(Timestamp { seconds, nanos }.is_valid(), valid, "{seconds}");
        }
    }
}
