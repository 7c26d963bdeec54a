//! What `select`, `file` and `relation` share: lists of distinct, non-empty texts, single or multiple.

use compact_str::CompactString;

use super::text;
use crate::kit::json::{self, Json};
use crate::kit::value::{Cell, Value};

/// Distinct non-empty texts in order of first appearance.
pub(super) type Items = Vec<CompactString>;

/// The items that were submitted.
pub(super) fn items_of_json(submitted: &Json) -> Items {
    match submitted {
        Json::Array(array) => distinct(array.iter().map(text::cast)),
        Json::String(text) => match texts_of(text) {
            Some(texts) => distinct(texts.into_iter().map(CompactString::from)),
            None => distinct([CompactString::from(text.as_str())]),
        },
        Json::Number(_) | Json::Bool(_) => distinct([text::cast(submitted)]),
        Json::Null | Json::Object(_) => Items::new(),
    }
}

/// The items of a stored cell, single or multiple.
pub(super) fn items_of_cell(cell: Cell<'_>) -> Items {
    match cell {
        Cell::Text("" | "[]") | Cell::Null => Items::new(),
        Cell::Text(text) => match texts_of(text) {
            Some(texts) => distinct(texts.into_iter().map(CompactString::from)),
            None => distinct([CompactString::from(text)]),
        },
        Cell::Int(_) | Cell::Real(_) | Cell::Blob(_) => distinct([cell.to_value().to_display()]),
    }
}

/// The stored form; a single field keeps the last item.
pub(super) fn store(items: Items, multiple: bool) -> Value {
    if !multiple {
        return Value::Text(items.into_iter().next_back().unwrap_or_default());
    }
    let mut out = Vec::with_capacity(items.len() * 20 + 2);
    write(&items, &mut out);
    Value::text(String::from_utf8(out).unwrap_or_default())
}

/// Appends the items as a JSON array.
pub(super) fn write(items: &[CompactString], out: &mut Vec<u8>) {
    out.push(b'[');
    for (i, item) in items.iter().enumerate() {
        if i > 0 {
            out.push(b',');
        }
        json::write_str(item, out);
    }
    out.push(b']');
}

/// How a list modifier changes a list.
#[derive(Clone, Copy)]
pub(super) enum Edit {
    Append,
    Prepend,
    Remove,
}

/// `current` after the edit, in stored form.
pub(super) fn edit(current: &Value, submitted: &Json, edit: Edit, multiple: bool) -> Value {
    let old = items_of_cell(current.as_cell());
    let given = items_of_json(submitted);
    let edited = match edit {
        Edit::Append => distinct(old.into_iter().chain(given)),
        Edit::Prepend => distinct(given.into_iter().chain(old)),
        Edit::Remove => old
            .into_iter()
            .filter(|item| !given.contains(item))
            .collect(),
    };
    store(edited, multiple)
}

fn distinct(items: impl IntoIterator<Item = CompactString>) -> Items {
    let mut seen = std::collections::HashSet::new();
    items
        .into_iter()
        .filter(|item| !item.is_empty() && seen.insert(item.clone()))
        .collect()
}

/// The texts of a JSON array of texts, `None` when it is not one.
fn texts_of(text: &str) -> Option<Vec<String>> {
    if !text.contains('[') {
        return None;
    }
    serde_json::from_str::<Vec<Option<String>>>(text)
        .ok()
        .map(|texts| texts.into_iter().flatten().collect())
}
