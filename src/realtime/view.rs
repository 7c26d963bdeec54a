//! A record as a subscriber may see it.

use crate::call::Call;
use crate::kit::fields::Picker;
use crate::kit::json::{self, Json, JsonMap};
use crate::records;
use crate::schema::Record;
use crate::store::ReadTx;

use super::topic::Topic;

/// The record with the relations and fields that the topic asks for. A `fields` option that cannot be read gives the
/// whole record (contract trap 98).
pub(super) fn record(
    tx: &ReadTx<'_>,
    call: &Call,
    topic: &Topic,
    record: &Record,
) -> Result<Vec<u8>, records::Error> {
    let encoded = records::view::encode(tx, call, record.collection(), record)?;
    let fields = topic.options.query("fields");
    if fields.is_empty() {
        return Ok(encoded);
    }
    let Ok(Some(picker)) = Picker::parse(fields) else {
        return Ok(encoded);
    };
    let Ok(mut value) = json::parse_first(&encoded) else {
        return Ok(encoded);
    };
    picker.pick(&mut value);
    let mut out = Vec::new();
    json::write(&value, &mut out);
    Ok(out)
}

/// What is told of a record that went out of sight: that, and nothing of its content.
pub(super) fn stub(record: &Record) -> Vec<u8> {
    let collection = record.collection();
    let map: JsonMap = [
        ("collectionId", collection.id.as_str()),
        ("collectionName", collection.name.as_str()),
        ("id", record.id()),
    ]
    .into_iter()
    .map(|(key, value)| (key.to_owned(), Json::from(value)))
    .collect();
    json::to_text(&Json::Object(map)).into_bytes()
}
