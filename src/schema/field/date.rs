//! Dates as clients write them (contract 1.6): about twenty layouts in, one form out.

use compact_str::CompactString;
use jiff::civil;

use crate::kit::time::Timestamp;

/// Accepted layouts, tried in order. `Y` year, `y` year of two digits, `m` month, `b` its short name, `d` day, `e` day
/// padded with a space, `a` day's short name, `A` its long name, `H` hour, `I` hour of twelve, `M` minute, `S` second
/// with any fraction, `P` AM/PM, `z` Z or +07:00, `w` Z or +0700, `p` +07:00, `o` +0700, `Q` zone name.
const LAYOUTS: &[&str] = &[
    "Y-m-d H:M:Sz",
    "Y-m-dTH:M:Sz",
    "Y-m-dTH:M:S",
    "Y-m-d H:M:S",
    "Y-m-d",
    "a, d b Y H:M:S o",
    "a, d b Y H:M:S Q",
    "d b y H:M o",
    "d b y H:M Q",
    "A, d-b-y H:M:S Q",
    "Y-m-d H:M:S o Q",
    "Y-m-dTH:M:So",
    "Y-m-d H:M:Sw",
    "a b e H:M:S Y",
    "a b e H:M:S Q Y",
    "a b d H:M:S o Y",
    "d b Y",
    "Y-m-d H:M:S p",
    "Y-m-d H:M:S o",
    "I:MP",
    "b e H:M:S",
];

const MONTHS: [&str; 12] = [
    "jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec",
];
const DAYS: [&str; 7] = [
    "sunday",
    "monday",
    "tuesday",
    "wednesday",
    "thursday",
    "friday",
    "saturday",
];

/// Longest text that any layout can match, fractions aside; longer ones are not looked at.
const DATE_BYTES_MAX: usize = 100;

/// The moment that `text` names, `None` for anything that is not a date, the zero time included.
#[must_use]
pub fn parse_date(text: &str) -> Option<Timestamp> {
    if text.len() > DATE_BYTES_MAX || text.len() < 6 {
        return None;
    }
    LAYOUTS
        .iter()
        .find_map(|layout| parse_layout(layout, text))
        .filter(|moment| civil::datetime(1, 1, 1, 0, 0, 0, 0) != moment.civil())
}

/// The date in the contract's text form, `""` for what is not a date.
pub(super) fn normalize(text: &str) -> CompactString {
    if is_normal(text) {
        return text.into();
    }
    parse_date(text).map_or(CompactString::const_new(""), Timestamp::to_text)
}

/// Whether the text is in the contract's form already and certainly a date: days past 28 take the long way.
fn is_normal(text: &str) -> bool {
    let bytes = text.as_bytes();
    let two = |at: usize| (bytes[at] - b'0') * 10 + (bytes[at + 1] - b'0');
    bytes.len() == 24
        && bytes
            .iter()
            .zip(b"0000-00-00 00:00:00.000Z")
            .all(|(&byte, &form)| {
                if form == b'0' {
                    byte.is_ascii_digit()
                } else {
                    byte == form
                }
            })
        && bytes[..2] != *b"00"
        && (1..=12).contains(&two(5))
        && (1..=28).contains(&two(8))
        && two(11) < 24
        && two(14) < 60
        && two(17) < 60
}

#[derive(Default)]
struct Parts {
    year: i16,
    month: i8,
    day: i8,
    hour: i8,
    minute: i8,
    second: i8,
    nanos: i32,
    afternoon: Option<bool>,
    offset_secs: i64,
}

fn parse_layout(layout: &str, text: &str) -> Option<Timestamp> {
    let mut parts = Parts {
        month: 1,
        day: 1,
        ..Parts::default()
    };
    let mut rest = text;
    for code in layout.chars() {
        rest = take(code, rest, &mut parts)?;
    }
    if !rest.is_empty() {
        return None;
    }
    if let Some(afternoon) = parts.afternoon {
        if parts.hour > 12 {
            return None;
        }
        parts.hour = parts.hour % 12 + if afternoon { 12 } else { 0 };
    }
    let civil = civil::DateTime::new(
        parts.year,
        parts.month,
        parts.day,
        parts.hour,
        parts.minute,
        parts.second,
        parts.nanos,
    )
    .ok()?;
    let local = Timestamp::from_civil(civil)?;
    // An offset may push the moment out of the years that the text form can hold.
    Some(local.plus_millis(-parts.offset_secs * 1000))
        .filter(|moment| (0..=9999).contains(&moment.civil().year()))
}

/// Reads what `code` stands for off the front of `text`.
fn take<'a>(code: char, text: &'a str, parts: &mut Parts) -> Option<&'a str> {
    match code {
        'Y' => {
            let (year, rest) = digits(text, 4, 4)?;
            parts.year = i16::try_from(year).ok()?;
            Some(rest)
        }
        'y' => {
            let (year, rest) = digits(text, 2, 2)?;
            let century = if year >= 69 { 1900 } else { 2000 };
            parts.year = i16::try_from(century + year).ok()?;
            Some(rest)
        }
        'm' => number(text, 2, &mut parts.month),
        'd' => number(text, 2, &mut parts.day),
        'e' => number(text.strip_prefix(' ').unwrap_or(text), 1, &mut parts.day),
        'H' | 'I' => number(text, 1, &mut parts.hour),
        'M' => number(text, 2, &mut parts.minute),
        'S' => {
            let rest = number(text, 2, &mut parts.second)?;
            Some(fraction(rest, &mut parts.nanos))
        }
        'b' => {
            let at = MONTHS.iter().position(|name| starts_with(text, name))?;
            parts.month = i8::try_from(at).ok()? + 1;
            Some(&text[3..])
        }
        'a' => DAYS
            .iter()
            .any(|name| starts_with(text, &name[..3]))
            .then(|| &text[3..]),
        'A' => {
            let name = DAYS.iter().find(|name| starts_with(text, name))?;
            Some(&text[name.len()..])
        }
        'P' => {
            parts.afternoon = Some(match text.get(..2)? {
                "PM" => true,
                "AM" => false,
                _ => return None,
            });
            Some(&text[2..])
        }
        'z' | 'w' if text.starts_with('Z') => Some(&text[1..]),
        'z' | 'p' => offset(text, true, &mut parts.offset_secs),
        'w' | 'o' => offset(text, false, &mut parts.offset_secs),
        'Q' => zone(text, &mut parts.offset_secs),
        ' ' => text.starts_with(' ').then(|| text.trim_start_matches(' ')),
        literal => text.strip_prefix(literal),
    }
}

fn digits(text: &str, least: usize, most: usize) -> Option<(i32, &str)> {
    let count = text
        .bytes()
        .take(most)
        .take_while(u8::is_ascii_digit)
        .count();
    if count < least {
        return None;
    }
    Some((text[..count].parse().ok()?, &text[count..]))
}

fn number<'a>(text: &'a str, least: usize, into: &mut i8) -> Option<&'a str> {
    let (n, rest) = digits(text, least, 2)?;
    *into = i8::try_from(n).ok()?;
    Some(rest)
}

fn fraction<'a>(text: &'a str, nanos: &mut i32) -> &'a str {
    let Some(rest) = text.strip_prefix(['.', ',']) else {
        return text;
    };
    let count = rest.bytes().take_while(u8::is_ascii_digit).count();
    if count == 0 {
        return text;
    }
    let mut scale = 100_000_000;
    for digit in rest.bytes().take(count.min(9)) {
        *nanos += i32::from(digit - b'0') * scale;
        scale /= 10;
    }
    &rest[count..]
}

fn offset<'a>(text: &'a str, colon: bool, into: &mut i64) -> Option<&'a str> {
    let sign = match text.as_bytes().first()? {
        b'+' => 1,
        b'-' => -1,
        _ => return None,
    };
    let (hours, rest) = digits(&text[1..], 2, 2)?;
    let rest = if colon { rest.strip_prefix(':')? } else { rest };
    let (minutes, rest) = digits(rest, 2, 2)?;
    if hours > 24 || minutes >= 60 {
        return None;
    }
    *into = sign * (i64::from(hours) * 3600 + i64::from(minutes) * 60);
    Some(rest)
}

/// A zone name of three or more capitals; names say nothing of an offset, but `GMT+3` does.
fn zone<'a>(text: &'a str, into: &mut i64) -> Option<&'a str> {
    if let Some(rest) = text.strip_prefix("GMT") {
        let sign = match rest.as_bytes().first() {
            Some(b'+') => 1,
            Some(b'-') => -1,
            _ => return Some(rest),
        };
        let (hours, tail) = digits(&rest[1..], 1, 2)?;
        if hours > 23 {
            return Some(rest);
        }
        *into = sign * i64::from(hours) * 3600;
        return Some(tail);
    }
    let count = text
        .bytes()
        .take(6)
        .take_while(u8::is_ascii_uppercase)
        .count();
    let name = &text[..count];
    let known = match count {
        3 => true,
        4 => name.ends_with('T') || name == "WITA",
        5 => name.ends_with('T'),
        _ => false,
    };
    known.then(|| &text[count..])
}

fn starts_with(text: &str, lower: &str) -> bool {
    text.get(..lower.len())
        .is_some_and(|start| start.eq_ignore_ascii_case(lower))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_are_normalised_as_the_contract_says() {
        for (input, expected) in [
            ("2024-01-02", "2024-01-02 00:00:00.000Z"),
            ("2024-01-02 03:04:05", "2024-01-02 03:04:05.000Z"),
            ("2024-01-02T03:04:05Z", "2024-01-02 03:04:05.000Z"),
            ("2024-01-02 03:04:05.1Z", "2024-01-02 03:04:05.100Z"),
            ("2024-01-02 03:04:05.123456Z", "2024-01-02 03:04:05.123Z"),
            ("2024-01-02 03:04:05.999Z", "2024-01-02 03:04:05.999Z"),
            ("2024-01-02T03:04:05+02:00", "2024-01-02 01:04:05.000Z"),
            ("2024-01-02 03:04:05+02:00", "2024-01-02 01:04:05.000Z"),
            ("2006-01-02 15:04:05 -0700", "2006-01-02 22:04:05.000Z"),
            ("02 Jan 2006", "2006-01-02 00:00:00.000Z"),
            ("Mon, 02 Jan 2006 15:04:05 MST", "2006-01-02 15:04:05.000Z"),
            ("Mon Jan  2 15:04:05 2006", "2006-01-02 15:04:05.000Z"),
            ("Monday, 02-Jan-06 15:04:05 MST", "2006-01-02 15:04:05.000Z"),
            ("3:04PM", "0000-01-01 15:04:00.000Z"),
            ("2024-01-02 03:04", ""),
            ("2024-01-02T03:04Z", ""),
            ("2024/01/02", ""),
            ("20240102", ""),
            ("2024", ""),
            (" 2024-01-02", ""),
            ("2024-13-01", ""),
            ("2023-02-29 00:00:00.000Z", ""),
            ("10000-01-01", ""),
            ("0001-01-01", ""),
            ("", ""),
        ] {
            assert_eq!(normalize(input), expected, "{input:?}");
        }
    }
}
