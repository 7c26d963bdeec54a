//! Trying a view query without keeping anything (contract 2.10).

use std::sync::Arc;

use super::Error;
use super::save::shape_view;
use crate::kit::id;
use crate::kit::json::{self, Json, JsonMap};
use crate::kit::value::Columns;
use crate::schema::field::to_json;
use crate::schema::view::ViewQuery;
use crate::schema::{Collection, Draft, Field, FieldError, FieldErrors, Kind, ViewOptions};
use crate::store::ReadTx;

/// Letters of a query that are read.
const QUERY_CHARS_MAX: usize = crate::kit::limits::CONSOLE_QUERY_CHARS_MAX;

/// Fields and first records, encoded.
pub(super) fn dry_run(tx: &ReadTx<'_>, text: &str) -> Result<Vec<u8>, Error> {
    if text.trim().is_empty() {
        return Err(Error::Form(FieldErrors::one(
            "query",
            FieldError::required(),
        )));
    }
    if text.chars().count() > QUERY_CHARS_MAX {
        let long = FieldError::new(
            "validation_length_too_long",
            format!("The length must be no more than {QUERY_CHARS_MAX}."),
        );
        let long = long.with("min", 0).with("max", QUERY_CHARS_MAX);
        return Err(Error::Form(FieldErrors::one("query", long)));
    }
    let catalog = Arc::clone(tx.catalog());
    let mut draft = Draft {
        collection: Collection::scaffold(Kind::View(ViewOptions {
            view_query: text.to_owned(),
        })),
        kind_name: "view".into(),
    };
    let errors = shape_view(tx, &mut draft, &catalog);
    if let Some(error) = errors.get("viewQuery") {
        let reason = error.message.trim_start_matches("Invalid query - ");
        return Err(Error::View(reason.to_owned()));
    }
    let view = draft.collection;
    let query = ViewQuery::parse(text).map_err(Error::View)?;
    let sample = tx.view_sample(&query).map_err(Error::View)?;
    let name = format!("temp_view_{}", id::random(5, id::ALNUM));
    let mut out = b"{\"fields\":".to_vec();
    let fields = Json::Array(view.fields.iter().map(Field::to_json).collect());
    json::write(&fields, &mut out);
    out.extend_from_slice(b",\"sample\":");
    let rows = sample.iter().map(|cells| {
        let row: &[_] = cells;
        let mut record: JsonMap = view
            .fields
            .iter()
            .enumerate()
            .filter(|(_, field)| !field.hidden)
            .map(|(at, field)| (field.name.to_string(), to_json(field, row.cell(at))))
            .collect();
        record.insert(
            "collectionId".to_owned(),
            Json::from(Collection::default_id("view", &name, 1).as_str()),
        );
        record.insert("collectionName".to_owned(), Json::from(name.as_str()));
        Json::Object(record)
    });
    json::write(&Json::Array(rows.collect()), &mut out);
    out.push(b'}');
    Ok(out)
}
