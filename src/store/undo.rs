//! What an entry of the change log keeps to undo it, as bytes.
//!
//! Undo values are a JSON object from field id (which survives renames) to the old cell: `null`, a number, a text,
//! `{"r":1.0}` for a double that looks whole, or `{"b":"..."}` for bytes in base64. A delete holds every cell, an
//! update the changed ones, a create none. A change of schema holds the collections it concerns, by id: `1` for those whose
//! past is lost by it, `0` for the others.

use base64::Engine;
use base64::prelude::BASE64_STANDARD_NO_PAD;
use compact_str::CompactString;

use super::change::Action;
use super::{Change, ChangeKind, Concerned};
use crate::kit::json::{self, Json, JsonMap};
use crate::kit::value::Value;
use crate::schema::{CollectionId, Record};

/// Bytes of an entry besides its undo values, roughly.
pub(super) const ENTRY_BYTES: u64 = 64;

/// Bytes that the entry of `change` may take in the log, at most.
pub(super) fn size(change: &Change) -> u64 {
    let undo = match &change.kind {
        ChangeKind::Update { before, .. } | ChangeKind::Delete { before } => before.size_bytes(),
        ChangeKind::Create { .. } | ChangeKind::Schema { .. } | ChangeKind::Touched { .. } => 0,
    };
    undo as u64 + ENTRY_BYTES
}

/// Undo values and concerned collections of an entry, as they were stored.
pub(super) fn read(
    action: Action,
    stored: Option<&[u8]>,
) -> (Vec<(CompactString, Value)>, Option<Vec<Concerned>>) {
    let cells = stored.map(decode_cells);
    match action {
        Action::Schema => (Vec::new(), cells.map(concerned)),
        Action::Create | Action::Update | Action::Delete | Action::Touched => {
            (cells.unwrap_or_default(), None)
        }
    }
}

/// Undo values of the cells at `indexes` of `record`.
pub(super) fn encode_cells(record: &Record, indexes: impl Iterator<Item = usize>) -> Vec<u8> {
    let fields = &record.collection().fields;
    let mut out = vec![b'{'];
    for at in indexes {
        if out.len() > 1 {
            out.push(b',');
        }
        json::write_str(&fields[at].id, &mut out);
        out.push(b':');
        encode_cell(&record.cells()[at], &mut out);
    }
    out.push(b'}');
    out
}

/// What [`append`] stores of the collections that a change of schema concerns.
pub(super) fn encode_concerned(collections: &[Concerned]) -> Vec<u8> {
    let mut out = vec![b'{'];
    for one in collections {
        if out.len() > 1 {
            out.push(b',');
        }
        json::write_str(one.collection.as_str(), &mut out);
        out.push(b':');
        out.push(if one.past_lost { b'1' } else { b'0' });
    }
    out.push(b'}');
    out
}

fn concerned(cells: Vec<(CompactString, Value)>) -> Vec<Concerned> {
    cells
        .into_iter()
        .map(|(id, lost)| Concerned {
            collection: CollectionId::new(id),
            past_lost: lost != Value::Int(0),
        })
        .collect()
}

fn encode_cell(value: &Value, out: &mut Vec<u8>) {
    match value {
        Value::Null => out.extend_from_slice(b"null"),
        Value::Int(n) => out.extend_from_slice(n.to_string().as_bytes()),
        Value::Real(n) => {
            out.extend_from_slice(b"{\"r\":");
            out.extend_from_slice(json::number_text(*n).as_bytes());
            out.push(b'}');
        }
        Value::Text(text) => json::write_str(text, out),
        Value::Blob(bytes) => {
            out.extend_from_slice(b"{\"b\":\"");
            out.extend_from_slice(BASE64_STANDARD_NO_PAD.encode(bytes).as_bytes());
            out.extend_from_slice(b"\"}");
        }
    }
}

/// Field ids with their old cells; nothing for what cannot be read.
fn decode_cells(undo: &[u8]) -> Vec<(CompactString, Value)> {
    let Ok(map) = serde_json::from_slice::<JsonMap>(undo) else {
        return Vec::new();
    };
    map.into_iter()
        .map(|(field, cell)| (field.into(), decode_cell(cell)))
        .collect()
}

fn decode_cell(cell: Json) -> Value {
    match cell {
        Json::String(text) => Value::from(text),
        Json::Bool(b) => Value::from(b),
        Json::Number(n) => n
            .as_i64()
            .map_or_else(|| Value::Real(n.as_f64().unwrap_or(0.0)), Value::Int),
        Json::Object(map) => match (map.get("r"), map.get("b")) {
            (Some(n), _) => Value::Real(n.as_f64().unwrap_or(0.0)),
            (None, Some(Json::String(text))) => {
                Value::Blob(BASE64_STANDARD_NO_PAD.decode(text).unwrap_or_default())
            }
            _ => Value::Null,
        },
        Json::Null | Json::Array(_) => Value::Null,
    }
}
