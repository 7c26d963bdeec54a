//! Random text that fits a pattern: literals, classes, groups, alternatives, repeats (contract 3.2).

use regex_syntax::ParserBuilder;
use regex_syntax::hir::{Class, Hir, HirKind, Look};

use super::pattern::translate;
use crate::kit::id;
use crate::kit::limits::{GENERATED_CHARS_MAX, PATTERN_NEST_MAX};

/// Repeats of an unbounded `*` or `+` end here.
const OPEN_REPEAT_MAX: u32 = 5;

/// Text made from `pattern`. The upper bound of a ranged repeat is never reached, as the contract has it.
///
/// # Errors
/// A sentence when the pattern does not parse or asks for what cannot be generated.
pub(in crate::schema) fn from_pattern(pattern: &str) -> Result<String, String> {
    let hir = ParserBuilder::new()
        .nest_limit(PATTERN_NEST_MAX)
        .build()
        .parse(&translate(pattern))
        .map_err(|error| {
            let shown = error.to_string();
            let last = shown.lines().last().unwrap_or("invalid").trim().to_owned();
            format!("error parsing regexp: {last}")
        })?;
    let mut out = String::new();
    write(&hir, &mut out)?;
    Ok(out)
}

fn write(hir: &Hir, out: &mut String) -> Result<(), String> {
    if out.len() > GENERATED_CHARS_MAX {
        return Err("the pattern generates too much".to_owned());
    }
    match hir.kind() {
        HirKind::Empty => {}
        HirKind::Literal(literal) => out.push_str(&String::from_utf8_lossy(&literal.0)),
        HirKind::Class(Class::Unicode(class)) => {
            let ranges = class.iter().map(|range| (range.start(), range.end()));
            out.push(pick(ranges.collect::<Vec<_>>().as_slice())?);
        }
        HirKind::Class(Class::Bytes(class)) => {
            let ranges = class
                .iter()
                .map(|range| (char::from(range.start()), char::from(range.end())));
            out.push(pick(ranges.collect::<Vec<_>>().as_slice())?);
        }
        HirKind::Look(look) => return Err(format!("unsupported pattern operator {}", code(*look))),
        HirKind::Repetition(repetition) => {
            for _ in 0..repeats(repetition.min, repetition.max) {
                write(&repetition.sub, out)?;
            }
        }
        HirKind::Capture(capture) => write(&capture.sub, out)?,
        HirKind::Concat(parts) => {
            for part in parts {
                write(part, out)?;
            }
        }
        HirKind::Alternation(choices) => {
            let choice = below(u32::try_from(choices.len()).unwrap_or(1));
            write(&choices[choice as usize], out)?;
        }
    }
    Ok(())
}

fn repeats(min: u32, max: Option<u32>) -> u32 {
    match max {
        Some(max) if max <= min => min,
        Some(max) => min + below(max - min),
        None => min + below(OPEN_REPEAT_MAX + 1 - min.min(OPEN_REPEAT_MAX)),
    }
}

/// One letter of the ranges. Classes wider than ASCII (`.`, negated ones) give letters and digits where they may.
fn pick(ranges: &[(char, char)]) -> Result<char, String> {
    let wide = ranges.iter().any(|&(_, end)| !end.is_ascii());
    let holds = |c: char| {
        ranges
            .iter()
            .any(|&(start, end)| (start..=end).contains(&c))
    };
    if wide {
        let letters: Vec<char> = id::ALNUM
            .iter()
            .map(|&byte| char::from(byte))
            .filter(|&c| holds(c))
            .collect();
        if !letters.is_empty() {
            return Ok(letters[below(u32::try_from(letters.len()).unwrap_or(1)) as usize]);
        }
    }
    let size = |&(start, end): &(char, char)| u32::from(end) - u32::from(start) + 1;
    let total: u32 = ranges.iter().map(size).sum();
    if total == 0 {
        return Err("unsupported pattern operator 1".to_owned());
    }
    let mut at = below(total);
    for range in ranges {
        if at < size(range) {
            // A range may span the surrogates, which are no letters.
            return Ok(char::from_u32(u32::from(range.0) + at).unwrap_or(range.0));
        }
        at -= size(range);
    }
    Ok(ranges[0].0)
}

/// A random number below `bound`, 0 when that is 0. The bias is far below what anybody could see.
fn below(bound: u32) -> u32 {
    id::below(bound)
}

/// The number that the contract's messages give to an anchor.
fn code(look: Look) -> u8 {
    match look {
        Look::StartLF | Look::StartCRLF => 7,
        Look::EndLF | Look::EndCRLF => 8,
        Look::Start => 9,
        Look::End => 10,
        Look::WordAsciiNegate | Look::WordUnicodeNegate => 12,
        _ => 11,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::schema::field::Pattern;

    #[test]
    fn generated_text_fits_its_pattern() {
        for pattern in [
            "[a-z0-9]{15}",
            "[a-zA-Z0-9]{50}",
            r"\w{3}-\d{2,4}",
            "(foo|bar|b.z)+x*y?",
            "[[:alpha:]]{4}",
            "[^a-z]{3}",
        ] {
            let text = from_pattern(pattern).unwrap();
            assert!(
                Pattern::new(format!("^(?:{pattern})$")).matches(&text),
                "{pattern} {text}"
            );
        }
    }

    #[test]
    fn upper_bounds_are_never_reached_and_anchors_are_refused() {
        for _ in 0..50 {
            assert!((2..=3).contains(&from_pattern("a{2,4}").unwrap().len()));
            assert_eq!(from_pattern("a?").unwrap(), "");
        }
        assert_eq!(
            from_pattern("^a").unwrap_err(),
            "unsupported pattern operator 9"
        );
        assert!(from_pattern("((a{1000}){1000}){1000}").is_err());
    }
}
