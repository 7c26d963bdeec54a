//! What an import says of itself, while it runs and at its end.

use crate::kit::json::Json;
use crate::kit::limits::IMPORT_ERRORS_LISTED_MAX;
use crate::schema::FieldErrors;

/// How far an import has come.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Progress {
    /// Rows looked at.
    pub rows: u64,
    /// Records made.
    pub created: u64,
    /// Records changed.
    pub updated: u64,
    /// Rows refused.
    pub failed: u64,
    /// Bytes read of the file.
    pub bytes: u64,
    /// Bytes of the file, where they are known.
    pub bytes_total: Option<u64>,
}

impl Progress {
    /// As JSON, with `type` in front for streams.
    #[must_use]
    pub fn to_json(&self) -> Json {
        serde_json::json!({
            "type": "progress",
            "rows": self.rows,
            "created": self.created,
            "updated": self.updated,
            "failed": self.failed,
            "bytes": self.bytes,
            "bytesTotal": self.bytes_total,
        })
    }
}

/// What is wrong with one row; several for a row with several wrong fields.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RowError {
    /// From 1, the header not counted.
    pub row: u64,
    /// Line of the file where the row begins, from 1.
    pub line: u64,
    /// The field, empty when it is the row as a whole.
    pub field: String,
    /// Stable, as in the answers to single records.
    pub code: String,
    /// For people.
    pub message: String,
}

impl RowError {
    /// As JSON.
    #[must_use]
    pub fn to_json(&self) -> Json {
        serde_json::json!({
            "row": self.row,
            "line": self.line,
            "field": self.field,
            "code": self.code,
            "message": self.message,
        })
    }
}

/// Where a row stands in its file.
#[derive(Clone, Copy, Debug)]
pub(super) struct Place {
    pub(super) row: u64,
    pub(super) line: u64,
}

impl Place {
    /// An error of the row as a whole.
    pub(super) fn error(self, code: &str, message: &str) -> RowError {
        RowError {
            row: self.row,
            line: self.line,
            field: String::new(),
            code: code.to_owned(),
            message: message.to_owned(),
        }
    }

    /// One error a field.
    pub(super) fn errors(self, errors: &FieldErrors, otherwise: &str) -> Vec<RowError> {
        let Json::Object(map) = errors.to_json() else {
            return Vec::new();
        };
        if map.is_empty() {
            return vec![self.error("validation_record", otherwise)];
        }
        let text = |leaf: &Json, key: &str| leaf.get(key).and_then(Json::as_str).map(str::to_owned);
        map.into_iter()
            .map(|(field, leaf)| RowError {
                code: text(&leaf, "code").unwrap_or_else(|| "validation_invalid_value".to_owned()),
                message: text(&leaf, "message").unwrap_or_else(|| "Invalid value.".to_owned()),
                field,
                ..self.error("", "")
            })
            .collect()
    }
}

/// What came of an import.
#[derive(Clone, Debug, Default)]
pub struct ImportReport {
    /// How far it came.
    pub progress: Progress,
    /// Nothing was to be kept.
    pub dry_run: bool,
    /// Nothing was kept because of a refused row.
    pub undone: bool,
    /// Why it ended before the file did.
    pub stopped: Option<String>,
    /// The first [`IMPORT_ERRORS_LISTED_MAX`] errors.
    pub errors: Vec<RowError>,
    /// Errors beyond those.
    pub errors_omitted: u64,
    /// Names in the file that mean no field.
    pub ignored: Vec<String>,
}

impl ImportReport {
    pub(super) fn refuse(&mut self, errors: Vec<RowError>) {
        self.progress.failed += 1;
        for error in errors {
            if self.errors.len() < IMPORT_ERRORS_LISTED_MAX {
                self.errors.push(error);
            } else {
                self.errors_omitted += 1;
            }
        }
    }

    /// Whether every row of the file did what it was to do.
    #[must_use]
    pub fn is_clean(&self) -> bool {
        self.progress.failed == 0 && self.stopped.is_none()
    }

    /// As JSON.
    #[must_use]
    pub fn to_json(&self) -> Json {
        let errors: Vec<Json> = self.errors.iter().map(RowError::to_json).collect();
        serde_json::json!({
            "type": "report",
            "rows": self.progress.rows,
            "created": self.progress.created,
            "updated": self.progress.updated,
            "failed": self.progress.failed,
            "dryRun": self.dry_run,
            "undone": self.undone,
            "complete": self.stopped.is_none(),
            "message": self.stopped.clone().unwrap_or_default(),
            "errors": errors,
            "errorsOmitted": self.errors_omitted,
            "ignored": self.ignored,
        })
    }
}
