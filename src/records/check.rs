//! What must hold of a finished record before it is written: each field's own demands, and those that other rows decide.

use compact_str::CompactString;

use super::Error;
use super::draft::Draft;
use crate::call::{Actor, Call};
use crate::files::Upload;
use crate::kit::limits::FILE_BYTES_DEFAULT;
use crate::kit::value::Value;
use crate::schema::field::{Check, FileOptions, RelationOptions};
use crate::schema::{Field, FieldError, FieldErrors, FieldKind, Record};
use crate::store::{ReadTx, Select};

/// All that is wrong with the fields of `after`, at once. `before` is the stored state of an update.
///
/// # Errors
/// The store's own.
pub(super) fn fields(
    tx: &ReadTx<'_>,
    draft: &Draft,
    before: Option<&Record>,
    after: &Record,
) -> Result<FieldErrors, Error> {
    let mut errors = FieldErrors::new();
    for (index, field) in after.collection().fields.iter().enumerate() {
        let value = &after.cells()[index];
        let old = before.map(|record| &record.cells()[index]);
        if let Some(error) = one(tx, draft, field, index, old, value)? {
            errors.add(field.name.as_str(), error);
        }
    }
    Ok(errors)
}

fn one(
    tx: &ReadTx<'_>,
    draft: &Draft,
    field: &Field,
    index: usize,
    before: Option<&Value>,
    value: &Value,
) -> Result<Option<FieldError>, Error> {
    match &field.kind {
        FieldKind::File(options) => {
            if let Some(error) = unknown_files(draft, field, index, before, value) {
                return Ok(Some(error));
            }
            Ok(field
                .validate(value, &Check { before })
                .or_else(|| uploads(draft, options, index, value)))
        }
        FieldKind::Relation(options) => {
            if let Some(error) = field.validate(value, &Check { before }) {
                return Ok(Some(error));
            }
            related(tx, options, &field.items(value.as_cell()))
        }
        FieldKind::Password(options) => {
            let typed = draft
                .passwords
                .iter()
                .find(|password| password.field == index);
            Ok(typed
                .filter(|password| !password.generated)
                .and_then(|password| {
                    let common = || password.common.then(FieldError::common_password);
                    options.validate_plain(&password.plain).or_else(common)
                })
                .or_else(|| field.validate(value, &Check { before })))
        }
        _ => Ok(field.validate(value, &Check { before })),
    }
}

/// Names that are neither stored already nor those of uploads cannot be given.
fn unknown_files(
    draft: &Draft,
    field: &Field,
    index: usize,
    before: Option<&Value>,
    value: &Value,
) -> Option<FieldError> {
    let kept = before.map_or_else(Vec::new, |old| field.items(old.as_cell()));
    let unknown: Vec<CompactString> = field
        .items(value.as_cell())
        .into_iter()
        .filter(|name| {
            !kept.contains(name)
                && !draft
                    .files
                    .iter()
                    .any(|file| file.field == index && file.name == *name)
        })
        .collect();
    if unknown.is_empty() {
        return None;
    }
    let names: Vec<&str> = unknown.iter().map(CompactString::as_str).collect();
    let message = format!("Invalid new files: [{}].", names.join(" "));
    Some(FieldError::new("validation_invalid_file", message).with("invalidFiles", names))
}

fn uploads(
    draft: &Draft,
    options: &FileOptions,
    index: usize,
    value: &Value,
) -> Option<FieldError> {
    let max = bytes_max(options);
    let text = value.text_or_empty();
    draft
        .files
        .iter()
        // A single field given several files keeps the last: the others are never stored.
        .filter(|file| file.field == index && text.contains(file.name.as_str()))
        .find_map(|file| upload(options, max, &file.name, &file.upload))
}

/// Bytes that one file of a field may have.
pub(super) fn bytes_max(options: &FileOptions) -> u64 {
    match u64::try_from(options.max_size) {
        Ok(0) | Err(_) => FILE_BYTES_DEFAULT,
        Ok(max) => max,
    }
}

/// Whether a field takes a file of this size and kind.
#[must_use]
pub fn takes(options: &FileOptions, file: &Upload) -> bool {
    upload(options, bytes_max(options), "", file).is_none()
}

fn upload(options: &FileOptions, max: u64, name: &str, upload: &Upload) -> Option<FieldError> {
    if upload.size > max {
        return Some(too_large(&upload.name, max));
    }
    if options.mime_types.is_empty() || options.mime_types.iter().any(|mime| upload.kind().is(mime))
    {
        return None;
    }
    let list = options.mime_types.join(", ");
    Some(FieldError::new(
        "validation_invalid_mime_type",
        format!("\"{name}\" mime type must be one of: {list}."),
    ))
}

/// What is said of a file that is larger than its field takes.
pub(super) fn too_large(shown: &str, max: u64) -> FieldError {
    FieldError::new(
        "validation_file_size_limit",
        format!("Failed to upload {shown} - the maximum allowed file size is {max} bytes."),
    )
    .with("file", shown)
    .with("maxSize", max)
}

/// Related records must exist; whether the caller may see them is not asked (contract 3.11).
fn related(
    tx: &ReadTx<'_>,
    options: &RelationOptions,
    ids: &[CompactString],
) -> Result<Option<FieldError>, Error> {
    if ids.is_empty() {
        return Ok(None);
    }
    let catalog = tx.catalog();
    let Some(target) = catalog.by_id(&options.collection_id) else {
        return Ok(Some(FieldError::new(
            "validation_missing_rel_collection",
            "Relation connection is missing or cannot be accessed.",
        )));
    };
    let ids: Vec<&str> = ids.iter().map(CompactString::as_str).collect();
    let call = Call::new(Actor::Guest, crate::kit::time::Timestamp::from_millis(0));
    let mut select = Select::all(catalog, &call, target);
    select.ids = Some(&ids);
    if tx.count(&select)? == ids.len() as u64 {
        return Ok(None);
    }
    Ok(Some(FieldError::new(
        "validation_missing_rel_records",
        "Failed to find all relation records with the provided ids.",
    )))
}
