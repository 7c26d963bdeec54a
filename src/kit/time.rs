//! Points in time as the contract writes them: UTC, milliseconds, `YYYY-MM-DD HH:MM:SS.mmmZ`.

use std::fmt;

use compact_str::{CompactString, ToCompactString};
use jiff::SignedDuration;
use jiff::civil::DateTime;

/// Where counting begins. Civil arithmetic reaches the last day of the year 9999, which instants do not.
const EPOCH: DateTime = DateTime::constant(1970, 1, 1, 0, 0, 0, 0);

/// Milliseconds since the Unix epoch, UTC.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Timestamp(i64);

impl Timestamp {
    /// From milliseconds since the Unix epoch.
    #[must_use]
    pub const fn from_millis(millis: i64) -> Self {
        Self(millis)
    }

    /// Milliseconds since the Unix epoch.
    #[must_use]
    pub const fn as_millis(self) -> i64 {
        self.0
    }

    /// Whole seconds since the Unix epoch.
    #[must_use]
    pub const fn as_secs(self) -> i64 {
        self.0.div_euclid(1000)
    }

    /// The moment `millis` later (earlier when negative), saturating.
    #[must_use]
    pub const fn plus_millis(self, millis: i64) -> Self {
        Self(self.0.saturating_add(millis))
    }

    /// The civil date and time in UTC; moments outside the years -9999 to 9999 are clamped to the epoch.
    #[must_use]
    pub fn civil(self) -> DateTime {
        EPOCH
            .checked_add(SignedDuration::from_millis(self.0))
            .unwrap_or(EPOCH)
    }

    /// From a civil date and time in UTC, milliseconds truncated.
    #[must_use]
    pub fn from_civil(civil: DateTime) -> Option<Self> {
        let nanos = civil.duration_since(EPOCH).as_nanos();
        i64::try_from(nanos.div_euclid(1_000_000)).ok().map(Self)
    }

    /// The text form of the contract, for instance `2024-01-02 03:04:05.678Z`.
    #[must_use]
    pub fn to_text(self) -> CompactString {
        self.to_compact_string()
    }
}

impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let c = self.civil();
        write!(
            f,
            "{:04}-{:02}-{:02} {:02}:{:02}:{:02}.{:03}Z",
            c.year(),
            c.month(),
            c.day(),
            c.hour(),
            c.minute(),
            c.second(),
            c.millisecond()
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_form_is_the_contracts() {
        assert_eq!(
            Timestamp::from_millis(1_704_164_645_678).to_text(),
            "2024-01-02 03:04:05.678Z"
        );
        assert_eq!(
            Timestamp::from_millis(0).to_text(),
            "1970-01-01 00:00:00.000Z"
        );
        let last = Timestamp::from_civil(DateTime::constant(9999, 12, 31, 23, 59, 59, 999_999_999));
        assert_eq!(last.unwrap().to_text(), "9999-12-31 23:59:59.999Z");
        let early =
            Timestamp::from_civil(DateTime::constant(1969, 12, 31, 23, 59, 59, 999_900_000));
        assert_eq!(early.unwrap().to_text(), "1969-12-31 23:59:59.999Z");
    }
}
