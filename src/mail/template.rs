//! Placeholders: `{NAME}` in subject and body of a template. What is put in is never read again, so that a name which
//! looks like a placeholder stays a name.

use crate::kit::value::Value;
use crate::schema::{Field, FieldKind, Record};

/// The longest placeholder that is looked for: `{RECORD:` and the longest name of a field.
const PLACEHOLDER_BYTES_MAX: usize = 300;

/// `text` with each placeholder that `known` has a value for replaced; others stay as they are.
#[must_use]
pub fn fill(text: &str, known: impl Fn(&str) -> Option<String>) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find('{') {
        out.push_str(&rest[..at]);
        rest = &rest[at..];
        let end = rest.find('}').filter(|end| *end <= PLACEHOLDER_BYTES_MAX);
        let value = end.and_then(|end| Some((known(&rest[1..end])?, end + 1)));
        match value {
            Some((value, bytes)) => {
                out.push_str(&value);
                rest = &rest[bytes..];
            }
            None => {
                out.push('{');
                rest = &rest[1..];
            }
        }
    }
    out.push_str(rest);
    out
}

/// The field `name` of `record` as mails show it; `None` when there is none, or it is hidden.
#[must_use]
pub fn field_text(record: &Record, name: &str) -> Option<String> {
    let field = record.collection().field(name)?;
    if field.hidden {
        return None;
    }
    let value = record.get(name)?;
    Some(match &field.kind {
        // Their form cannot hold markup.
        FieldKind::Number(_) | FieldKind::Date(_) | FieldKind::Autodate(_) => {
            value.to_display().into()
        }
        FieldKind::Bool => value.as_bool().to_string(),
        _ => escaped(&plain(field, value)),
    })
}

/// Lists have no form in a mail, as in the contract.
fn plain(field: &Field, value: &Value) -> String {
    if field.kind.is_multiple() {
        return String::new();
    }
    value.to_display().into()
}

/// `text` as HTML that shows it.
#[must_use]
pub fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&#34;"),
            '\'' => out.push_str("&#39;"),
            c => out.push(c),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn placeholders_are_replaced_once() {
        let known = |name: &str| match name {
            "A" => Some("{B}".to_owned()),
            "B" => Some("b".to_owned()),
            _ => None,
        };
        for (text, expected) in [
            ("{A} {B} {C}", "{B} b {C}"),
            ("{{B}}", "{b}"),
            ("{ {B", "{ {B"),
            ("}{B}{", "}b{"),
            ("", ""),
        ] {
            assert_eq!(fill(text, known), expected, "{text}");
        }
    }

    #[test]
    fn markup_is_escaped() {
        assert_eq!(escaped("<i a='\"'>&"), "&lt;i a=&#39;&#34;&#39;&gt;&amp;");
    }
}
