//! What an import is asked to do, parsed and checked before a row is read.

use std::time::Duration;

use crate::kit::json::{self, Json};
use crate::kit::limits::{IMPORT_COLUMNS_MAX, IMPORT_TOGETHER_SECS_MAX};
use crate::records::Error;
use crate::schema::index::Index;
use crate::schema::{Collection, FieldError, FieldErrors};

/// How rows are written down.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// Comma separated (or another separator), the first line names the columns.
    Csv,
    /// One array of objects.
    Json,
    /// One object a line.
    Ndjson,
}

impl Format {
    /// By its name.
    #[must_use]
    pub fn parse(name: &str) -> Option<Self> {
        match name {
            "csv" => Some(Self::Csv),
            "json" => Some(Self::Json),
            "ndjson" => Some(Self::Ndjson),
            _ => None,
        }
    }

    /// By the end of a file's name.
    #[must_use]
    pub fn of_file(name: &str) -> Option<Self> {
        let (_, end) = name.rsplit_once('.')?;
        match end.to_ascii_lowercase().as_str() {
            "csv" | "tsv" | "txt" => Some(Self::Csv),
            "json" => Some(Self::Json),
            "ndjson" | "jsonl" => Some(Self::Ndjson),
            _ => None,
        }
    }

    /// By a media type, parameters aside.
    #[must_use]
    pub fn of_media(media: &str) -> Option<Self> {
        let media = media.split(';').next().unwrap_or("").trim();
        match media.to_ascii_lowercase().as_str() {
            "text/csv" | "text/tab-separated-values" => Some(Self::Csv),
            "application/json" => Some(Self::Json),
            "application/x-ndjson" | "application/ndjson" | "application/jsonl" => {
                Some(Self::Ndjson)
            }
            _ => None,
        }
    }

    /// Its name.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Csv => "csv",
            Self::Json => "json",
            Self::Ndjson => "ndjson",
        }
    }

    /// Its media type.
    #[must_use]
    pub fn media(self) -> &'static str {
        match self {
            Self::Csv => "text/csv; charset=utf-8",
            Self::Json => "application/json",
            Self::Ndjson => "application/x-ndjson",
        }
    }
}

/// What becomes of an import in which a row is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum OnError {
    /// The row is left out, the others go in.
    #[default]
    Skip,
    /// It ends there; the rows before it are in.
    Stop,
    /// Nothing goes in: one transaction for all.
    Undo,
}

impl OnError {
    /// By its name.
    #[must_use]
    pub fn parse(name: &str) -> Option<Self> {
        match name {
            "skip" => Some(Self::Skip),
            "stop" => Some(Self::Stop),
            "undo" => Some(Self::Undo),
            _ => None,
        }
    }
}

/// A checked wish.
#[derive(Clone, Debug)]
pub struct ImportOptions {
    /// How the rows are written down.
    pub format: Format,
    /// Between the cells of CSV; `None` is found out by the first line.
    pub separator: Option<u8>,
    /// Names in the file with the fields they mean; `None` leaves a column out. Names not listed mean themselves.
    pub mapping: Vec<(String, Option<String>)>,
    /// Field by which a row that is there already is found and changed.
    pub upsert: Option<String>,
    /// Judge everything, keep nothing.
    pub dry_run: bool,
    /// What a refused row means.
    pub on_error: OnError,
    /// How long one transaction for all may take.
    pub together_max: Duration,
    /// Between two transactions, so that another process gets its turn.
    pub pause: Duration,
    /// Nobody else writes: transactions may be long.
    pub is_alone: bool,
}

impl ImportOptions {
    /// An import of `format` as nobody has asked otherwise.
    #[must_use]
    pub fn new(format: Format) -> Self {
        Self {
            format,
            separator: None,
            mapping: Vec::new(),
            upsert: None,
            dry_run: false,
            on_error: OnError::default(),
            together_max: Duration::from_secs(IMPORT_TOGETHER_SECS_MAX),
            pause: Duration::ZERO,
            is_alone: false,
        }
    }

    /// Whether all rows share one transaction.
    pub(super) fn is_together(&self) -> bool {
        self.dry_run || self.on_error == OnError::Undo
    }

    /// What a name in the file means: a key of the record, or nothing.
    pub(super) fn meaning<'a>(&'a self, name: &'a str) -> Option<&'a str> {
        match self.mapping.iter().find(|(known, _)| known == name) {
            Some((_, target)) => target.as_deref(),
            None => Some(name),
        }
    }

    /// Refuses what `collection` cannot do.
    pub(super) fn check(&self, collection: &Collection) -> Result<(), Error> {
        if let Some(field) = &self.upsert
            && (collection.field(field).is_none() || unique_by(collection, field).is_none())
        {
            return Err(refused(
                "upsert",
                "Must be a field that is unique in the collection: id, or one with a unique index of its own.",
            ));
        }
        for (name, target) in &self.mapping {
            let Some(target) = target else { continue };
            if crate::schema::field::resolve_key(collection, target).is_none() {
                return Err(refused(
                    "mapping",
                    &format!(
                        "{name:?} is mapped to {target:?}, which is no field of the collection."
                    ),
                ));
            }
        }
        Ok(())
    }
}

/// How values of a unique field are the same: letter by letter, or whatever their case.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Same {
    Exactly,
    InAnyCase,
}

/// How the values of `field` are unique; `None` when they are not, or not all of them but empty ones.
pub(super) fn unique_by(collection: &Collection, field: &str) -> Option<Same> {
    if field == "id" {
        return Some(Same::Exactly);
    }
    let condition = format!("{field}!=''");
    let plain = |text: &str| -> String {
        let kept = text
            .chars()
            .filter(|c| !c.is_whitespace() && !matches!(c, '`' | '"' | '[' | ']'));
        kept.collect()
    };
    let indexes = collection
        .indexes
        .iter()
        .filter_map(|text| Index::parse(text));
    let mut unique = indexes.filter(|index| {
        index.is_unique_on(field)
            && (index.condition.is_empty() || plain(&index.condition) == condition)
    });
    let index = unique.next()?;
    let collate = index
        .columns
        .first()
        .map_or("", |column| column.collate.as_str());
    Some(if collate.eq_ignore_ascii_case("nocase") {
        Same::InAnyCase
    } else {
        Same::Exactly
    })
}

/// What was asked for, as texts: query parameters, parts of a form, or flags.
#[derive(Clone, Debug, Default)]
pub struct Asked<'a> {
    /// `format`
    pub format: &'a str,
    /// `separator`: one character, or `tab`.
    pub separator: &'a str,
    /// `mapping`: a JSON object from names in the file to fields; null or empty leaves out.
    pub mapping: &'a str,
    /// `upsert`
    pub upsert: &'a str,
    /// `dryRun`
    pub dry_run: &'a str,
    /// `onError`
    pub on_error: &'a str,
}

impl Asked<'_> {
    /// The wish, where `guess` says what the format is if nobody did.
    ///
    /// # Errors
    /// [`Error::Import`], by parameter.
    pub fn options(&self, guess: Option<Format>) -> Result<ImportOptions, Error> {
        let format = match self.format {
            "" => guess,
            name => Format::parse(name),
        };
        let format = format.ok_or_else(|| refused("format", "Must be csv, json or ndjson."))?;
        let flag = match self.dry_run {
            "" | "0" | "false" => false,
            "1" | "true" => true,
            _ => return Err(refused("dryRun", "Must be true or false.")),
        };
        let on_error = match self.on_error {
            "" => OnError::default(),
            name => OnError::parse(name)
                .ok_or_else(|| refused("onError", "Must be skip, stop or undo."))?,
        };
        Ok(ImportOptions {
            separator: separator(self.separator)?,
            mapping: mapping(self.mapping)?,
            upsert: Some(self.upsert.to_owned()).filter(|name| !name.is_empty()),
            dry_run: flag,
            on_error,
            ..ImportOptions::new(format)
        })
    }
}

fn separator(text: &str) -> Result<Option<u8>, Error> {
    match text.as_bytes() {
        [] => Ok(None),
        b"tab" | b"\\t" => Ok(Some(b'\t')),
        [byte] if byte.is_ascii_punctuation() && *byte != b'"' || *byte == b'\t' => Ok(Some(*byte)),
        _ => Err(refused(
            "separator",
            "Must be one character of punctuation, or tab.",
        )),
    }
}

fn mapping(text: &str) -> Result<Vec<(String, Option<String>)>, Error> {
    let wrong = || {
        refused(
            "mapping",
            "Must be a JSON object from names in the file to names of fields.",
        )
    };
    if text.is_empty() {
        return Ok(Vec::new());
    }
    let Ok(Json::Object(map)) = json::parse(text) else {
        return Err(wrong());
    };
    if map.len() > IMPORT_COLUMNS_MAX {
        return Err(wrong());
    }
    map.into_iter()
        .map(|(name, target)| match target {
            Json::Null => Ok((name, None)),
            Json::String(target) => Ok((name, Some(target).filter(|t| !t.is_empty()))),
            Json::Bool(_) | Json::Number(_) | Json::Array(_) | Json::Object(_) => Err(wrong()),
        })
        .collect()
}

/// One parameter that cannot be followed.
pub(super) fn refused(parameter: &str, message: &str) -> Error {
    Error::Import(FieldErrors::one(
        parameter,
        FieldError::new("validation_import", message.to_owned()),
    ))
}
