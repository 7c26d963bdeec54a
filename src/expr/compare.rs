//! SQLite's comparisons over values in memory: affinity, storage classes, NULL, LIKE.

use std::cmp::Ordering;

use compact_str::{CompactString, format_compact};

use super::ast::Op;
use super::bound::Affinity;
use super::request::Known;
use crate::kit::value::Value;

/// `left op right` as SQLite decides it; `None` is unknown.
pub(super) fn compare(left: &Known, op: Op, right: &Known) -> Option<bool> {
    match op {
        Op::Eq => equal(left, right),
        Op::Ne => different(left, right),
        Op::Lt => Some(order(left, right)?.is_lt()),
        Op::Le => Some(order(left, right)?.is_le()),
        Op::Gt => Some(order(left, right)?.is_gt()),
        Op::Ge => Some(order(left, right)?.is_ge()),
        Op::Like => like_sides(left, right),
        Op::NotLike => like_sides(left, right).map(|matches| !matches),
    }
}

/// Whether both compare like columns, so that both are coalesced.
fn both_columns(left: &Known, right: &Known) -> bool {
    left.column && right.column
}

fn equal(left: &Known, right: &Known) -> Option<bool> {
    if left.raw || right.raw {
        return Some(is_same(left, right));
    }
    if left.is_empty() || right.is_empty() {
        return Some(left.is_empty() && right.is_empty());
    }
    if both_columns(left, right) {
        return Some(order_classes(&left.value, &right.value).is_eq());
    }
    Some(order(left, right)?.is_eq())
}

fn different(left: &Known, right: &Known) -> Option<bool> {
    if left.raw || right.raw {
        return Some(!is_same(left, right));
    }
    equal(left, right).map(|same| !same)
}

/// SQL's `IS`.
pub(super) fn is_same(left: &Known, right: &Known) -> bool {
    match (left.value.is_null(), right.value.is_null()) {
        (true, true) => true,
        (false, false) => order(left, right).is_some_and(Ordering::is_eq),
        (true, false) | (false, true) => false,
    }
}

fn order(left: &Known, right: &Known) -> Option<Ordering> {
    if left.value.is_null() || right.value.is_null() {
        return None;
    }
    let numeric = |a: Affinity, b: Affinity| a == Affinity::Numeric && b != Affinity::Numeric;
    let text = |a: Affinity, b: Affinity| a == Affinity::Text && b == Affinity::None;
    let applied = |value: &Value, own: Affinity, other: Affinity| {
        if numeric(other, own) {
            to_numeric(value)
        } else if text(other, own) {
            to_text_affinity(value)
        } else {
            value.clone()
        }
    };
    Some(order_classes(
        &applied(&left.value, left.affinity, right.affinity),
        &applied(&right.value, right.affinity, left.affinity),
    ))
}

/// Nothing before numbers before text before bytes.
pub(super) fn order_classes(left: &Value, right: &Value) -> Ordering {
    let class = |value: &Value| match value {
        Value::Null => 0,
        Value::Int(_) | Value::Real(_) => 1,
        Value::Text(_) => 2,
        Value::Blob(_) => 3,
    };
    match (left, right) {
        (Value::Int(a), Value::Int(b)) => a.cmp(b),
        (Value::Text(a), Value::Text(b)) => a.as_bytes().cmp(b.as_bytes()),
        (Value::Blob(a), Value::Blob(b)) => a.cmp(b),
        (Value::Int(a), Value::Real(b)) => int_real(*a, *b),
        (Value::Real(a), Value::Int(b)) => int_real(*b, *a).reverse(),
        (Value::Real(a), Value::Real(b)) => a.partial_cmp(b).unwrap_or(Ordering::Equal),
        _ => class(left).cmp(&class(right)),
    }
}

/// Compares without losing the low bits of a large integer.
fn int_real(int: i64, real: f64) -> Ordering {
    if real >= 9_223_372_036_854_775_808.0 {
        return Ordering::Less;
    }
    if real < -9_223_372_036_854_775_808.0 {
        return Ordering::Greater;
    }
    #[expect(clippy::cast_possible_truncation, reason = "in range, checked above")]
    let whole = real as i64;
    int.cmp(&whole).then_with(|| {
        0.0_f64
            .partial_cmp(&real.fract())
            .unwrap_or(Ordering::Equal)
    })
}

/// Text that is a number becomes one, as NUMERIC affinity does.
pub(super) fn to_numeric(value: &Value) -> Value {
    value.to_numeric()
}

pub(super) fn to_text_affinity(value: &Value) -> Value {
    match value {
        Value::Int(_) | Value::Real(_) => Value::Text(sqlite_text(value)),
        Value::Null | Value::Text(_) | Value::Blob(_) => value.clone(),
    }
}

/// A value as SQLite casts it to text: doubles keep a fraction.
pub(super) fn sqlite_text(value: &Value) -> CompactString {
    match value {
        Value::Real(real) => real_text(*real),
        Value::Null | Value::Int(_) | Value::Text(_) | Value::Blob(_) => value.to_display(),
    }
}

/// SQLite's `%!.15g`.
fn real_text(real: f64) -> CompactString {
    if real == 0.0 {
        return CompactString::const_new("0.0");
    }
    let scientific = format!("{real:.14e}");
    let (mantissa, exponent) = scientific.split_once('e').unwrap_or((&scientific, "0"));
    let exponent: i32 = exponent.parse().unwrap_or(0);
    let tidy = |text: &str| -> CompactString {
        let text = text.trim_end_matches('0');
        if text.ends_with('.') {
            format_compact!("{text}0")
        } else {
            text.into()
        }
    };
    if !(-4..15).contains(&exponent) {
        let sign = if exponent < 0 { '-' } else { '+' };
        return format_compact!("{}e{sign}{:02}", tidy(mantissa), exponent.abs());
    }
    let decimals = usize::try_from(14 - exponent).unwrap_or(0).max(1);
    tidy(&format!("{real:.decimals$}"))
}

/// The LIKE pattern of a known right side (contract 4.4): literals are wrapped and escaped unless they hold a `%`.
pub(super) fn pattern(right: &Known) -> Value {
    if right.value.is_null() {
        return Value::Null;
    }
    if right.column {
        return Value::Text(format_compact!("%{}%", sqlite_text(&right.value)));
    }
    let text = right.value.to_display();
    // A backslash before one of the three special characters already says that it is meant literally.
    let mut escaped = CompactString::const_new("%");
    let mut chars = text.chars().peekable();
    while let Some(c) = chars.next() {
        match (c, chars.peek()) {
            ('\\', Some(&special @ ('\\' | '%' | '_'))) => {
                escaped.push('\\');
                escaped.push(special);
                chars.next();
            }
            ('%', _) => return Value::Text(text),
            ('\\' | '_', _) => {
                escaped.push('\\');
                escaped.push(c);
            }
            _ => escaped.push(c),
        }
    }
    escaped.push('%');
    Value::Text(escaped)
}

fn like_sides(left: &Known, right: &Known) -> Option<bool> {
    let pattern = pattern(right);
    if left.value.is_null() || pattern.is_null() {
        return None;
    }
    Some(like(&sqlite_text(&left.value), pattern.text_or_empty()))
}

/// SQLite's LIKE with `\` as escape: ASCII letters in any case, `_` one character, `%` any run of them.
fn like(text: &str, pattern: &str) -> bool {
    enum Want {
        Run,
        One,
        Char(char),
        Never,
    }
    let mut wants = Vec::with_capacity(pattern.len());
    let mut chars = pattern.chars();
    while let Some(c) = chars.next() {
        wants.push(match c {
            '%' => Want::Run,
            '_' => Want::One,
            '\\' => chars.next().map_or(Want::Never, Want::Char),
            c => Want::Char(c),
        });
    }
    let text: Vec<char> = text.chars().collect();
    let (mut at, mut want) = (0, 0);
    // Where to go on after a mismatch: the last run, and the text it has swallowed.
    let mut again: Option<(usize, usize)> = None;
    loop {
        match wants.get(want) {
            Some(Want::Run) => {
                again = Some((want + 1, at));
                want += 1;
                continue;
            }
            Some(Want::One) if at < text.len() => {
                at += 1;
                want += 1;
                continue;
            }
            Some(Want::Char(c)) if text.get(at).is_some_and(|t| t.eq_ignore_ascii_case(c)) => {
                at += 1;
                want += 1;
                continue;
            }
            None if at == text.len() => return true,
            Some(Want::One | Want::Char(_) | Want::Never) | None => {}
        }
        match again {
            Some((next, swallowed)) if swallowed < text.len() => {
                again = Some((next, swallowed + 1));
                (want, at) = (next, swallowed + 1);
            }
            Some(_) | None => return false,
        }
    }
}
