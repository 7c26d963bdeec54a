//! `@request.*`: values that are known as soon as there is a call.

use compact_str::CompactString;

use super::bound::{Affinity, Stored};
use super::json_path;
use crate::call::Call;
use crate::kit::json::{self, Json};
use crate::kit::value::Value;
use crate::schema::{Collection, FieldKind};

/// Where in the request a value stands.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Part {
    Context,
    Method,
    Query(CompactString),
    Header(CompactString),
    /// A submitted value, by the keys and positions that lead to it.
    Body(Vec<CompactString>),
    /// A field of the signed-in record, or one of its constants.
    Auth(CompactString),
    /// The value at a JSON path in a field of the signed-in record.
    AuthJson(CompactString, CompactString),
    /// The name of the channel that is asked about.
    Channel,
    /// Its segments, as a list.
    ChannelSegments,
    /// One of them, counted from 0.
    ChannelSegment(usize),
}

/// What of it is compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum GivenAccess {
    Plain,
    /// Whether it was sent at all.
    IsSet,
    /// How many items it holds.
    Length,
}

/// A value of the request.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Given {
    pub(super) part: Part,
    pub(super) access: GivenAccess,
    pub(super) lower: bool,
}

/// A value that is known before any row is read, with what comparisons must know of its origin.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Known {
    pub(super) value: Value,
    pub(super) affinity: Affinity,
    /// Whether it compares like a column rather than like a literal: a field of the signed-in record.
    pub(super) column: bool,
    /// Whether NULL and empty stay different.
    pub(super) raw: bool,
}

impl Known {
    /// A value that compares like a literal.
    pub(super) fn literal(value: Value) -> Self {
        Self {
            value,
            affinity: Affinity::None,
            column: false,
            raw: false,
        }
    }

    /// Whether it is NULL or the empty text.
    pub(super) fn is_empty(&self) -> bool {
        match &self.value {
            Value::Null => true,
            Value::Text(text) => text.is_empty(),
            Value::Int(_) | Value::Real(_) | Value::Blob(_) => false,
        }
    }
}

/// The names of `@request.auth` that are constants rather than columns (contract 4.9).
pub(super) fn is_auth_constant(name: &str) -> bool {
    matches!(
        name,
        "id" | "collectionId" | "collectionName" | "email" | "emailVisibility" | "verified"
    )
}

/// The affinity of a field's column.
pub(super) fn affinity_of(collection: &Collection, kind: &FieldKind) -> Affinity {
    if collection.is_view() && matches!(kind, FieldKind::Number(_) | FieldKind::Json(_)) {
        // Computed columns of a view have none; those that come from a table keep theirs, and number either way.
        return Affinity::None;
    }
    match kind {
        FieldKind::Number(_) | FieldKind::Bool | FieldKind::Json(_) | FieldKind::GeoPoint => {
            Affinity::Numeric
        }
        FieldKind::Select(_) | FieldKind::File(_) | FieldKind::Relation(_)
            if kind.is_multiple() =>
        {
            Affinity::Numeric
        }
        FieldKind::Text(_)
        | FieldKind::Email(_)
        | FieldKind::Url(_)
        | FieldKind::Editor(_)
        | FieldKind::Date(_)
        | FieldKind::Autodate(_)
        | FieldKind::Select(_)
        | FieldKind::File(_)
        | FieldKind::Relation(_)
        | FieldKind::Password(_) => Affinity::Text,
    }
}

/// What PostgreSQL holds of a field.
pub(super) fn stored_as(kind: &FieldKind) -> Stored {
    match kind {
        FieldKind::Number(_) | FieldKind::Bool => Stored::Number,
        FieldKind::Json(_) | FieldKind::GeoPoint => Stored::Json,
        FieldKind::Select(_) | FieldKind::File(_) | FieldKind::Relation(_)
            if kind.is_multiple() =>
        {
            Stored::Json
        }
        FieldKind::Text(_)
        | FieldKind::Email(_)
        | FieldKind::Url(_)
        | FieldKind::Editor(_)
        | FieldKind::Date(_)
        | FieldKind::Autodate(_)
        | FieldKind::Select(_)
        | FieldKind::File(_)
        | FieldKind::Relation(_)
        | FieldKind::Password(_) => Stored::Text,
    }
}

impl Given {
    /// The whole value at `part`.
    pub(super) fn plain(part: Part) -> Self {
        Self {
            part,
            access: GivenAccess::Plain,
            lower: false,
        }
    }

    /// The value in `call`.
    pub(super) fn known(&self, call: &Call) -> Known {
        if self.access == GivenAccess::IsSet {
            return Known::literal(Value::from(self.is_set(call)));
        }
        let mut known = self.plain_known(call);
        if self.access == GivenAccess::Length {
            known = Known::literal(Value::Int(length(&known.value)));
        }
        if self.lower && !known.value.is_null() {
            let mut text = known.value.to_display();
            text.make_ascii_lowercase();
            known.value = Value::Text(text);
            known.affinity = Affinity::None;
        }
        known
    }

    fn plain_known(&self, call: &Call) -> Known {
        match &self.part {
            Part::Context => Known::literal(Value::text(call.context.as_str())),
            Part::Method => Known::literal(Value::Text(call.method.clone())),
            Part::Query(name) => Known::literal(pair(&call.query, name)),
            Part::Header(name) => Known::literal(pair(&call.headers, name)),
            Part::Body(path) => Known::literal(body(call, path).map_or(Value::Null, json_value)),
            Part::Channel => Known::literal(Value::Text(call.channel.clone())),
            Part::ChannelSegments => {
                let parts = call.channel.split(':').map(Json::from).collect();
                Known::literal(Value::Text(json::to_text(&Json::Array(parts)).into()))
            }
            Part::ChannelSegment(at) => Known::literal(
                call.channel
                    .split(':')
                    .nth(*at)
                    .map_or(Value::Null, Value::text),
            ),
            Part::Auth(name) => auth(call, name),
            Part::AuthJson(name, path) => {
                let text = call
                    .actor
                    .record()
                    .and_then(|record| record.get(name))
                    .unwrap_or(&Value::Null);
                Known {
                    value: json_path::extract(text.as_cell(), path),
                    affinity: Affinity::None,
                    column: true,
                    raw: true,
                }
            }
        }
    }

    fn is_set(&self, call: &Call) -> bool {
        match &self.part {
            Part::Query(name) => call.query.iter().any(|(key, _)| key == name),
            Part::Header(name) => call.headers.iter().any(|(key, _)| key == name),
            Part::Body(path) => body(call, path).is_some(),
            Part::ChannelSegment(at) => call.channel.split(':').nth(*at).is_some(),
            Part::Context
            | Part::Method
            | Part::Auth(_)
            | Part::AuthJson(..)
            | Part::Channel
            | Part::ChannelSegments => true,
        }
    }
}

/// The items of a list cell, each as text; a value that is no list is its only item, nothing and empty are none.
pub(super) fn items(value: &Value) -> Vec<CompactString> {
    let text = value.to_display();
    if text.starts_with('[')
        && let Ok(Json::Array(items)) = json::parse(&text)
    {
        return items
            .into_iter()
            .map(|i| json_value(&i).to_display())
            .collect();
    }
    if text.is_empty() {
        Vec::new()
    } else {
        vec![text]
    }
}

fn length(value: &Value) -> i64 {
    i64::try_from(items(value).len()).unwrap_or(i64::MAX)
}

fn pair(pairs: &[(CompactString, CompactString)], name: &str) -> Value {
    pairs
        .iter()
        .find(|(key, _)| key == name)
        .map_or(Value::Null, |(_, value)| Value::Text(value.clone()))
}

fn body<'a>(call: &'a Call, path: &[CompactString]) -> Option<&'a Json> {
    let (first, rest) = path.split_first()?;
    let mut value = call.body.get(first.as_str())?;
    for key in rest {
        value = match value {
            Json::Object(map) => map.get(key.as_str())?,
            Json::Array(items) => items.get(key.parse::<usize>().ok()?)?,
            Json::Null | Json::Bool(_) | Json::Number(_) | Json::String(_) => return None,
        };
    }
    Some(value)
}

/// A JSON value as comparisons see it: lists and objects as their text.
pub(super) fn json_value(value: &Json) -> Value {
    match value {
        Json::Null => Value::Null,
        Json::Bool(b) => Value::from(*b),
        Json::Number(n) => Value::Real(n.as_f64().unwrap_or(0.0)),
        Json::String(text) => Value::text(text.as_str()),
        Json::Array(_) | Json::Object(_) => Value::Text(json::to_text(value).into()),
    }
}

fn auth(call: &Call, name: &str) -> Known {
    let Some(record) = call.actor.record() else {
        return Known::literal(Value::Null);
    };
    let collection = record.collection();
    match name {
        "collectionId" => return Known::literal(Value::text(collection.id.as_str())),
        "collectionName" => return Known::literal(Value::Text(collection.name.clone())),
        _ => {}
    }
    let Some((field, cell)) = collection.field(name).zip(record.get(name)) else {
        return Known::literal(Value::Null);
    };
    if is_auth_constant(name) {
        return Known::literal(cell.clone());
    }
    let raw = matches!(field.kind, FieldKind::Json(_) | FieldKind::GeoPoint);
    Known {
        value: if raw {
            json_path::extract(cell.as_cell(), "$")
        } else {
            cell.clone()
        },
        // A cast would turn the JSON text of a list into a number.
        affinity: if raw || field.kind.is_multiple() {
            Affinity::None
        } else {
            affinity_of(collection, &field.kind)
        },
        column: true,
        raw,
    }
}
