//! The `fields` parameter: which keys of an answer the caller wants (contract 1.9). Compiled once, applied to any JSON.

use std::collections::BTreeMap;

use super::excerpt::Excerpt;
use super::json::{Json, JsonMap};
use super::limits::FIELD_PATHS_MAX;

/// Keys of a list envelope: kept always, and the selection applies to its items.
const ENVELOPE: [&str; 5] = ["items", "page", "perPage", "totalItems", "totalPages"];

/// A `fields` parameter that cannot be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("invalid fields parameter")]
pub struct BadFields;

/// A compiled `fields` parameter.
#[derive(Debug)]
pub struct Picker(Level);

/// What is wanted at one level of an answer.
#[derive(Debug, Default)]
struct Level {
    names: BTreeMap<String, Wanted>,
    /// `*`: all names not mentioned, with its modifier.
    rest: Option<Option<Excerpt>>,
}

#[derive(Debug, Default)]
struct Wanted {
    /// Listed itself, not only as the beginning of a longer path.
    whole: bool,
    excerpt: Option<Excerpt>,
    below: Level,
}

impl Picker {
    /// Compiles the text of a parameter; `None` when it names nothing.
    ///
    /// # Errors
    /// [`BadFields`].
    pub fn parse(text: &str) -> Result<Option<Self>, BadFields> {
        let mut top = Level::default();
        let mut any = false;
        for entry in split(text)?.into_iter().take(FIELD_PATHS_MAX) {
            let (path, excerpt) = match entry.split_once(':') {
                Some((path, modifier)) => (
                    path.trim(),
                    Some(Excerpt::parse(modifier).ok_or(BadFields)?),
                ),
                None => (entry, None),
            };
            any = true;
            top.add(path, excerpt);
        }
        Ok(any.then_some(Self(top)))
    }

    /// The wanted top-level names, when that is all there is to it: no paths, no modifiers, no `*`.
    #[must_use]
    pub fn plain_names(&self) -> Option<Vec<&str>> {
        let plain = self.0.rest.is_none()
            && self
                .0
                .names
                .values()
                .all(|wanted| wanted.whole && wanted.excerpt.is_none());
        plain.then(|| self.0.names.keys().map(String::as_str).collect())
    }

    /// Narrows an answer: an object, a list of objects or a list envelope.
    pub fn pick(&self, answer: &mut Json) {
        match answer {
            Json::Object(map) if is_envelope(map) => {
                if let Some(items) = map.get_mut("items") {
                    self.0.narrow(items);
                }
            }
            _ => self.0.narrow(answer),
        }
    }

    /// Narrows one object, whatever its keys are.
    pub fn pick_item(&self, item: &mut Json) {
        self.0.narrow(item);
    }
}

impl Level {
    fn add(&mut self, path: &str, excerpt: Option<Excerpt>) {
        let mut level = self;
        let mut segments = path.split('.').peekable();
        while let Some(name) = segments.next() {
            let last = segments.peek().is_none();
            if last && name == "*" {
                level.rest = Some(excerpt);
                return;
            }
            let wanted = level.names.entry(name.to_owned()).or_default();
            // A path that ends in a dot means everything below.
            if last || (segments.peek() == Some(&"") && path.ends_with('.')) {
                wanted.whole = true;
                wanted.excerpt = excerpt;
                return;
            }
            level = &mut wanted.below;
        }
    }

    /// As deep as the parameter's paths, which its length bounds.
    fn narrow(&self, value: &mut Json) {
        match value {
            Json::Object(map) => {
                let all = std::mem::take(map);
                for (name, mut value) in all {
                    if self.keep(&name, &mut value) {
                        map.insert(name, value);
                    }
                }
            }
            Json::Array(items) if matches!(items.first(), Some(Json::Object(_))) => {
                for item in items {
                    if item.is_object() {
                        self.narrow(item);
                    }
                }
            }
            Json::Array(_) | Json::Null | Json::Bool(_) | Json::Number(_) | Json::String(_) => {}
        }
    }

    fn keep(&self, name: &str, value: &mut Json) -> bool {
        let excerpt = match (self.names.get(name), &self.rest) {
            (Some(wanted), _) if wanted.whole => &wanted.excerpt,
            (Some(wanted), _) => {
                wanted.below.narrow(value);
                return true;
            }
            (None, Some(excerpt)) => excerpt,
            (None, None) => return false,
        };
        if let (Some(excerpt), Json::String(text)) = (excerpt, value) {
            *text = excerpt.of(text);
        }
        true
    }
}

fn is_envelope(map: &JsonMap) -> bool {
    map.len() == ENVELOPE.len() && ENVELOPE.iter().all(|key| map.contains_key(*key))
}

/// The entries between commas that stand outside parentheses and quotes, trimmed, empty ones left out.
fn split(text: &str) -> Result<Vec<&str>, BadFields> {
    let mut entries = Vec::new();
    let mut depth = 0_usize;
    let mut quote = None;
    let mut start = 0;
    for (at, c) in text.char_indices() {
        match (quote, c) {
            (Some(open), _) if c == open => quote = None,
            (Some(_), _) => {}
            (None, '"' | '\'' | '`') => quote = Some(c),
            (None, '(') => depth += 1,
            (None, ')') => depth = depth.saturating_sub(1),
            (None, ',') if depth == 0 => {
                entries.push(&text[start..at]);
                start = at + 1;
            }
            (None, _) => {}
        }
    }
    if depth > 0 {
        return Err(BadFields);
    }
    entries.push(&text[start..]);
    Ok(entries
        .into_iter()
        .map(str::trim)
        .filter(|entry| !entry.is_empty())
        .collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kit::json;

    const RECORD: &str = r#"{"id":"aaa","j":{"a":{"b":{"c":1,"d":2},"x":1},"arr":[1,2,{"z":1}],"objs":[{"n":1,"m":"abc"},{"n":2,"m":"defgh"}]},"s":"hello world"}"#;

    fn pick(fields: &str) -> String {
        let mut value = json::parse(RECORD).unwrap();
        match Picker::parse(fields) {
            Err(_) => "400".to_owned(),
            Ok(None) => "all".to_owned(),
            Ok(Some(picker)) => {
                picker.pick(&mut value);
                json::to_text(&value)
            }
        }
    }

    #[test]
    fn paths_pick_what_the_reference_picks() {
        for (fields, expected) in [
            ("", "all"),
            (",", "all"),
            (" s , id ", r#"{"id":"aaa","s":"hello world"}"#),
            ("j.a.b,j.a.b.c", r#"{"j":{"a":{"b":{"c":1,"d":2}}}}"#),
            ("j.a.b.c,j.a.b", r#"{"j":{"a":{"b":{"c":1,"d":2}}}}"#),
            ("j.a.b.c", r#"{"j":{"a":{"b":{"c":1}}}}"#),
            (
                "*,j.a.x",
                r#"{"id":"aaa","j":{"a":{"x":1}},"s":"hello world"}"#,
            ),
            ("j.*.b", r#"{"j":{}}"#),
            ("j.a.*", r#"{"j":{"a":{"b":{"c":1,"d":2},"x":1}}}"#),
            ("j.objs.n", r#"{"j":{"objs":[{"n":1},{"n":2}]}}"#),
            ("j.arr.z", r#"{"j":{"arr":[1,2,{"z":1}]}}"#),
            ("id.x", r#"{"id":"aaa"}"#),
            ("j..a", r#"{"j":{}}"#),
            ("j.arr.", r#"{"j":{"arr":[1,2,{"z":1}]}}"#),
            ("S", "{}"),
            ("*.a", "{}"),
            (".j", "{}"),
            ("(a,b),id", r#"{"id":"aaa"}"#),
            ("s:excerpt(3)", r#"{"s":"hel"}"#),
            ("s:excerpt(3,true)", r#"{"s":"hel..."}"#),
            ("id,s:excerpt(2),s", r#"{"id":"aaa","s":"hello world"}"#),
            ("id,s,s:excerpt(2)", r#"{"id":"aaa","s":"he"}"#),
            (
                "j.objs.m:excerpt(1,true)",
                r#"{"j":{"objs":[{"m":"a..."},{"m":"d..."}]}}"#,
            ),
            ("s:excerpt(0)", "400"),
            ("s:excerpt", "400"),
            ("s:foo(1)", "400"),
            ("s:excerpt(3", "400"),
            ("s:excerpt(3,true,1)", "400"),
        ] {
            assert_eq!(pick(fields), expected, "{fields}");
        }
    }

    #[test]
    fn envelopes_keep_their_keys() {
        let mut list = json::parse(
            r#"{"items":[{"id":"a","s":1}],"page":1,"perPage":30,"totalItems":1,"totalPages":1}"#,
        )
        .unwrap();
        Picker::parse("s").unwrap().unwrap().pick(&mut list);
        assert_eq!(
            json::to_text(&list),
            r#"{"items":[{"s":1}],"page":1,"perPage":30,"totalItems":1,"totalPages":1}"#
        );
    }
}
