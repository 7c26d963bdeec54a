//! Regular expressions of field options: RE2 syntax, compiled at first use and kept with the field.

use std::fmt;
use std::ops::Deref;
use std::sync::OnceLock;

use regex::{Regex, RegexBuilder};

use crate::kit::limits::{PATTERN_COMPILED_BYTES_MAX, PATTERN_NEST_MAX};

/// A pattern as its owner wrote it. Compiling is lazy, so that opening a directory compiles nothing.
#[derive(Default)]
pub struct Pattern {
    text: String,
    compiled: OnceLock<Option<Regex>>,
}

impl Pattern {
    /// From text; not checked here.
    pub fn new(text: impl Into<String>) -> Self {
        Self {
            text: text.into(),
            compiled: OnceLock::new(),
        }
    }

    /// Whether `value` has a match; a pattern that does not compile matches nothing.
    #[must_use]
    pub fn matches(&self, value: &str) -> bool {
        self.compiled
            .get_or_init(|| compile(&self.text).ok())
            .as_ref()
            .is_some_and(|regex| regex.is_match(value))
    }

    /// What is wrong with the pattern.
    ///
    /// # Errors
    /// A sentence for people when it does not compile.
    pub fn check(&self) -> Result<(), String> {
        compile(&self.text).map(|_| ())
    }
}

impl Deref for Pattern {
    type Target = str;

    fn deref(&self) -> &str {
        &self.text
    }
}

impl From<&str> for Pattern {
    fn from(text: &str) -> Self {
        Self::new(text)
    }
}

impl Clone for Pattern {
    fn clone(&self) -> Self {
        Self {
            text: self.text.clone(),
            compiled: self.compiled.clone(),
        }
    }
}

impl PartialEq for Pattern {
    fn eq(&self, other: &Self) -> bool {
        self.text == other.text
    }
}

impl Eq for Pattern {}

impl fmt::Debug for Pattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.text, f)
    }
}

fn compile(text: &str) -> Result<Regex, String> {
    if let Some(repeat) = excessive_repeat(text) {
        return Err(format!(
            "error parsing regexp: invalid repeat count: `{repeat}`"
        ));
    }
    RegexBuilder::new(&translate(text))
        .size_limit(PATTERN_COMPILED_BYTES_MAX)
        .dfa_size_limit(PATTERN_COMPILED_BYTES_MAX)
        .nest_limit(PATTERN_NEST_MAX)
        .build()
        .map_err(|error| format!("error parsing regexp: {}: `{text}`", reason(&error)))
}

/// A repeat of more than RE2's 1,000 times.
fn excessive_repeat(text: &str) -> Option<&str> {
    const REPEATS_MAX: u32 = 1_000;
    let (mut in_class, mut escaped) = (false, false);
    for (at, c) in text.char_indices() {
        if std::mem::take(&mut escaped) {
            continue;
        }
        match c {
            '\\' => escaped = true,
            '[' => in_class = true,
            ']' => in_class = false,
            '{' if !in_class => {
                let rest = &text[at..];
                let Some(end) = rest.find('}') else { continue };
                let mut counts = rest[1..end].splitn(2, ',');
                let is_count = |count: &str| count.bytes().all(|b| b.is_ascii_digit());
                if counts.clone().all(is_count)
                    && counts.any(|count| {
                        !count.is_empty() && count.parse::<u32>().is_ok_and(|n| n > REPEATS_MAX)
                    })
                {
                    return Some(&rest[..=end]);
                }
            }
            _ => {}
        }
    }
    None
}

/// What is wrong, in the words of RE2 where the two engines mean the same.
fn reason(error: &regex::Error) -> String {
    const WORDS: [(&str, &str); 4] = [
        ("unclosed group", "missing closing )"),
        ("unopened group", "unexpected )"),
        ("unclosed character class", "missing closing ]"),
        (
            "repetition operator missing expression",
            "missing argument to repetition operator",
        ),
    ];
    let shown = error.to_string();
    let last = shown.lines().last().unwrap_or("invalid").trim();
    let ours = last.strip_prefix("error: ").unwrap_or(last);
    WORDS
        .iter()
        .find(|(theirs, _)| ours.contains(theirs))
        .map_or_else(|| ours.to_owned(), |(_, words)| (*words).to_owned())
}

/// RE2 text as this engine reads it: `\w \d \s \b` are ASCII, and set operators inside classes are plain letters.
pub(super) fn translate(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 16);
    let mut chars = text.chars().peekable();
    let mut in_class = false;
    let mut class_is_empty = false;
    let mut previous = '\0';
    while let Some(c) = chars.next() {
        match c {
            '\\' => {
                let Some(escaped) = chars.next() else {
                    out.push('\\');
                    break;
                };
                push_escaped(escaped, in_class, &mut out);
                class_is_empty = false;
                previous = '\0';
                continue;
            }
            '[' if !in_class => {
                in_class = true;
                class_is_empty = true;
                out.push('[');
                if chars.next_if_eq(&'^').is_some() {
                    out.push('^');
                }
            }
            '[' if chars.peek() == Some(&':') => {
                // A named class: copied whole, up to its end.
                out.push('[');
                for named in chars.by_ref() {
                    out.push(named);
                    if named == ']' {
                        break;
                    }
                }
                class_is_empty = false;
            }
            '[' => {
                out.push_str("\\[");
                class_is_empty = false;
            }
            ']' if in_class && !class_is_empty => {
                in_class = false;
                out.push(']');
            }
            '&' | '~' if in_class && previous == c => {
                out.push('\\');
                out.push(c);
            }
            _ => {
                class_is_empty = false;
                out.push(c);
            }
        }
        previous = c;
    }
    out
}

fn push_escaped(escaped: char, in_class: bool, out: &mut String) {
    match escaped {
        'w' => out.push_str("[0-9A-Za-z_]"),
        'W' => out.push_str("[^0-9A-Za-z_]"),
        'd' => out.push_str("[0-9]"),
        'D' => out.push_str("[^0-9]"),
        's' => out.push_str("[\\t\\n\\x0C\\r ]"),
        'S' => out.push_str("[^\\t\\n\\x0C\\r ]"),
        'b' if !in_class => out.push_str("(?-u:\\b)"),
        // Word ends for this engine, plain letters for RE2.
        '<' | '>' => out.push(escaped),
        other => {
            out.push('\\');
            out.push(other);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn classes_are_ascii_and_brackets_inside_classes_are_letters() {
        assert!(Pattern::new(r"^\w+$").matches("a_1"));
        assert!(!Pattern::new(r"^\w+$").matches("\u{e9}"));
        assert!(Pattern::new(r"^[\w-.]+$").matches("a-b.c"));
        assert!(Pattern::new(r"^[a[]+$").matches("[a"));
        assert!(Pattern::new(r"^[[:alpha:]]+$").matches("ab"));
        assert!(Pattern::new(r"^[&&]+$").matches("&"));
        assert!(Pattern::new(r"^a\<b$").matches("a<b"));
    }

    #[test]
    fn a_broken_pattern_matches_nothing_and_says_why() {
        let broken = Pattern::new("(a");
        assert!(!broken.matches("(a"));
        assert!(broken.check().is_err());
        assert!(Pattern::new("((a{100}){100}){100}").check().is_err());
        assert!(Pattern::new("a{1,1000}").check().is_ok());
        assert!(Pattern::new("a{1,1001}").check().is_err());
        assert!(Pattern::new(r"[{1001}]\{1001}").check().is_ok());
    }
}
