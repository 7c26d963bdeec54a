//! When a job is due: five fields in UTC, both kinds of day must fit, no names (contract-auth 6.2). The grammar is the
//! contract's own, narrower than any library's.

use jiff::civil::DateTime;

/// A parsed expression: one set of allowed numbers for each field.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Expression {
    text: String,
    minutes: u64,
    hours: u64,
    days: u64,
    months: u64,
    weekdays: u64,
}

impl Expression {
    /// Parses five fields or a macro.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let text = match text {
            "@yearly" | "@annually" => "0 0 1 1 *",
            "@monthly" => "0 0 1 * *",
            "@weekly" => "0 0 * * 0",
            "@daily" | "@midnight" => "0 0 * * *",
            "@hourly" => "0 * * * *",
            _ => text,
        };
        let fields: Vec<&str> = text.split(' ').collect();
        let [minutes, hours, days, months, weekdays] = fields[..] else {
            return None;
        };
        Some(Self {
            text: text.to_owned(),
            minutes: field(minutes, 0, 59)?,
            hours: field(hours, 0, 23)?,
            days: field(days, 1, 31)?,
            months: field(months, 1, 12)?,
            weekdays: field(weekdays, 0, 6)?,
        })
    }

    /// The five fields; a macro in its expanded form.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// Whether the minute of `at` (UTC) is one of it.
    #[must_use]
    pub fn is_due(&self, at: DateTime) -> bool {
        let has = |set: u64, n: i8| u32::try_from(n).is_ok_and(|n| set >> n & 1 == 1);
        has(self.minutes, at.minute())
            && has(self.hours, at.hour())
            && has(self.days, at.day())
            && has(self.months, at.month())
            && has(self.weekdays, at.weekday().to_sunday_zero_offset())
    }
}

/// The set of a comma list of `*`, `n`, `a-b`, `*/s`, `a-b/s`, as bits.
fn field(text: &str, least: u32, most: u32) -> Option<u64> {
    let mut set = 0;
    for item in text.split(',') {
        let (range, step) = match item.split_once('/') {
            Some((range, step)) => (
                range,
                Some(number(step).filter(|s| (1..=most).contains(s))?),
            ),
            None => (item, None),
        };
        let (from, to) = match (range, range.split_once('-')) {
            ("*", _) => (least, most),
            (_, Some((from, to))) => (number(from)?, number(to)?),
            // A step on a single number is an error.
            (_, None) if step.is_some() => return None,
            (_, None) => (number(range)?, number(range)?),
        };
        if from < least || to > most || from > to {
            return None;
        }
        let mut at = from;
        while at <= to {
            set |= 1 << at;
            at += step.unwrap_or(1);
        }
    }
    Some(set)
}

fn number(text: &str) -> Option<u32> {
    let digits = !text.is_empty() && text.len() <= 4 && text.bytes().all(|b| b.is_ascii_digit());
    digits.then(|| text.parse().ok())?
}

#[cfg(test)]
mod tests {
    use super::*;
    use jiff::civil::datetime;

    #[test]
    fn expressions_are_five_fields_or_macros() {
        for (text, fits) in [
            ("* * * * *", true),
            ("*/5 0-6/2 1,15 * 0", true),
            ("@daily", true),
            ("* * * *", false),
            ("* * * * * *", false),
            ("*  * * * *", false),
            ("5/2 * * * *", false),
            ("60 * * * *", false),
            ("* * * * 7", false),
            ("* * * jan *", false),
            ("5-1 * * * *", false),
            ("*/0 * * * *", false),
            ("@dayly", false),
            ("", false),
        ] {
            assert_eq!(Expression::parse(text).is_some(), fits, "{text}");
        }
    }

    #[test]
    fn both_kinds_of_day_must_fit() {
        let expression = Expression::parse("0 12 21 * 6").unwrap();
        // 21 November 2026 is a Saturday.
        assert!(expression.is_due(datetime(2026, 11, 21, 12, 0, 30, 0)));
        assert!(!expression.is_due(datetime(2026, 12, 21, 12, 0, 0, 0)));
        assert!(!expression.is_due(datetime(2026, 11, 28, 12, 0, 0, 0)));
        assert_eq!(Expression::parse("@hourly").unwrap().as_str(), "0 * * * *");
    }
}
