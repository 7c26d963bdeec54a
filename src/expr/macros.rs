//! The date macros (contract 4.5), evaluated in UTC at the time of the call.

use jiff::civil::{DateTime, Time};

use crate::kit::time::Timestamp;
use crate::kit::value::Value;

/// A date macro.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Macro {
    Now,
    Yesterday,
    Tomorrow,
    Second,
    Minute,
    Hour,
    Day,
    Month,
    Year,
    Weekday,
    TodayStart,
    TodayEnd,
    MonthStart,
    MonthEnd,
    YearStart,
    YearEnd,
}

const DAY_MILLIS: i64 = 24 * 60 * 60 * 1000;

impl Macro {
    /// By its exact spelling.
    pub(super) fn parse(name: &str) -> Option<Self> {
        Some(match name {
            "@now" => Self::Now,
            "@yesterday" => Self::Yesterday,
            "@tomorrow" => Self::Tomorrow,
            "@second" => Self::Second,
            "@minute" => Self::Minute,
            "@hour" => Self::Hour,
            "@day" => Self::Day,
            "@month" => Self::Month,
            "@year" => Self::Year,
            "@weekday" => Self::Weekday,
            "@todayStart" => Self::TodayStart,
            "@todayEnd" => Self::TodayEnd,
            "@monthStart" => Self::MonthStart,
            "@monthEnd" => Self::MonthEnd,
            "@yearStart" => Self::YearStart,
            "@yearEnd" => Self::YearEnd,
            _ => return None,
        })
    }

    /// Its value at `now`: a number, or a date in the contract's text form.
    pub(super) fn value(self, now: Timestamp) -> Value {
        let civil = now.civil();
        let number = |n: i64| Value::Int(n);
        match self {
            Self::Now => text(now),
            Self::Yesterday => text(now.plus_millis(-DAY_MILLIS)),
            Self::Tomorrow => text(now.plus_millis(DAY_MILLIS)),
            Self::Second => number(civil.second().into()),
            Self::Minute => number(civil.minute().into()),
            Self::Hour => number(civil.hour().into()),
            Self::Day => number(civil.day().into()),
            Self::Month => number(civil.month().into()),
            Self::Year => number(civil.year().into()),
            Self::Weekday => number(civil.weekday().to_sunday_zero_offset().into()),
            Self::TodayStart => edge(civil, false),
            Self::TodayEnd => edge(civil, true),
            Self::MonthStart => edge(civil.first_of_month(), false),
            Self::MonthEnd => edge(civil.last_of_month(), true),
            Self::YearStart => edge(civil.first_of_year(), false),
            Self::YearEnd => edge(civil.last_of_year(), true),
        }
    }
}

fn text(at: Timestamp) -> Value {
    Value::Text(at.to_text())
}

/// The first or last millisecond of a day.
fn edge(day: DateTime, end: bool) -> Value {
    let time = if end {
        Time::constant(23, 59, 59, 999_000_000)
    } else {
        Time::midnight()
    };
    Timestamp::from_civil(day.date().to_datetime(time)).map_or(Value::Null, text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn edges_are_those_of_the_day_month_and_year_in_utc() {
        // 2024-02-03 04:05:06.789Z, a Saturday in a leap year.
        let now = Timestamp::from_millis(1_706_933_106_789);
        let say = |name: &str| Macro::parse(name).unwrap().value(now).to_display();
        assert_eq!(say("@now"), "2024-02-03 04:05:06.789Z");
        assert_eq!(say("@yesterday"), "2024-02-02 04:05:06.789Z");
        assert_eq!(say("@weekday"), "6");
        assert_eq!(say("@todayEnd"), "2024-02-03 23:59:59.999Z");
        assert_eq!(say("@monthEnd"), "2024-02-29 23:59:59.999Z");
        assert_eq!(say("@yearStart"), "2024-01-01 00:00:00.000Z");
        assert_eq!(Macro::parse("@NOW"), None);
    }
}
