//! From rows to drafts, on a thread of its own: whatever needs no transaction happens here, while the writer writes the
//! rows before.

use std::sync::Arc;

use compact_str::CompactString;
use tokio::runtime::Handle;
use tokio::sync::mpsc;

use super::options::ImportOptions;
use super::report::{Place, RowError};
use super::source::{Cells, RawRow, Source};
use crate::auth::Passwords;
use crate::call::Call;
use crate::kit::json::JsonMap;
use crate::kit::limits::{IMPORT_CHUNK_BYTES, IMPORT_CHUNK_PASSWORDS, IMPORT_CHUNK_ROWS};
use crate::records::draft::{Draft, Submission};
use crate::schema::Collection;

/// A row that is ready to be judged, or not fit to be.
pub(super) struct Row {
    pub(super) place: Place,
    pub(super) draft: Result<Draft, Vec<RowError>>,
}

/// Rows that share a transaction.
pub(super) struct Chunk {
    pub(super) rows: Vec<Row>,
    /// Bytes of the file up to here.
    pub(super) bytes: u64,
    /// Names that mean nothing, as far as they are known.
    pub(super) ignored: Vec<String>,
    /// Why there is nothing more, when that is not the end of the file.
    pub(super) broken: Option<String>,
}

/// Makes chunks of a source.
pub(super) struct Maker {
    pub(super) source: Source,
    pub(super) collection: Arc<Collection>,
    pub(super) options: Arc<ImportOptions>,
    pub(super) call: Call,
    pub(super) passwords: Passwords,
    pub(super) runtime: Handle,
    pub(super) row: u64,
}

impl Maker {
    /// Hands over chunk after chunk until the file ends or nobody takes them any more.
    pub(super) fn run(mut self, to: &mpsc::Sender<Chunk>) {
        loop {
            let (chunk, last) = self.chunk();
            if to.blocking_send(chunk).is_err() || last {
                return;
            }
        }
    }

    fn chunk(&mut self) -> (Chunk, bool) {
        let from = self.source.bytes();
        let mut rows = Vec::with_capacity(IMPORT_CHUNK_ROWS);
        let mut hashes = 0;
        let mut broken = None;
        let mut last = false;
        while rows.len() < IMPORT_CHUNK_ROWS
            && hashes < IMPORT_CHUNK_PASSWORDS
            && self.source.bytes() - from < IMPORT_CHUNK_BYTES
        {
            match self.source.next() {
                Ok(Some(raw)) => {
                    let row = self.understand(raw);
                    hashes += row
                        .draft
                        .as_ref()
                        .map_or(0, |draft| usize::from(draft.is_slow()));
                    rows.push(row);
                }
                Ok(None) => {
                    last = true;
                    break;
                }
                Err(error) => {
                    broken = Some(error.to_string());
                    last = true;
                    break;
                }
            }
        }
        if hashes > 0 {
            self.hash(&mut rows);
        }
        let chunk = Chunk {
            rows,
            bytes: self.source.bytes(),
            ignored: self.source.ignored.clone(),
            broken,
        };
        (chunk, last)
    }

    fn understand(&mut self, raw: RawRow) -> Row {
        self.row += 1;
        let place = Place {
            row: self.row,
            line: raw.line,
        };
        let draft = match raw.cells {
            Err((code, message)) => Err(vec![place.error(code, &message)]),
            Ok(Cells::Texts(texts)) => {
                let columns = Arc::clone(&self.source.columns);
                let keyed = columns.iter().zip(texts);
                Ok(Draft::planned(
                    &self.collection,
                    keyed.map(|(c, text)| (c.field, c.modifier, c.key.as_str(), text)),
                ))
            }
            Ok(Cells::Values(values)) => self.keyed(values, place),
        };
        let draft = draft.map(|mut draft| {
            if self.collection.is_auth() {
                draft.confirm_password();
            }
            draft
        });
        Row { place, draft }
    }

    /// Values under the names that they have in the file.
    fn keyed(&mut self, values: JsonMap, place: Place) -> Result<Draft, Vec<RowError>> {
        let mut meant = JsonMap::new();
        for (name, value) in values {
            let Some(key) = self.options.meaning(&name).map(str::to_owned) else {
                self.source.ignore(&name);
                continue;
            };
            let is_known = crate::schema::field::resolve_key(&self.collection, &key).is_some()
                || (self.collection.is_auth() && key == "passwordConfirm");
            if !is_known {
                self.source.ignore(&name);
                continue;
            }
            if meant.insert(key.clone(), value).is_some() {
                let message = format!("More than one key of the row means {key:?}.");
                return Err(vec![place.error("import_mapping", &message)]);
            }
        }
        let submission = Submission {
            values: meant,
            ..Submission::default()
        };
        Ok(Draft::new(&self.collection, &self.call, submission))
    }

    /// Hashes the passwords of the rows, as many at a time as the pool does.
    fn hash(&self, rows: &mut [Row]) {
        let plain: Vec<(usize, usize, CompactString)> = rows
            .iter()
            .enumerate()
            .filter_map(|(at, row)| Some((at, row.draft.as_ref().ok()?)))
            .flat_map(|(at, draft)| {
                let typed = draft.passwords.iter().enumerate();
                typed
                    .filter(|(_, password)| !password.plain.is_empty())
                    .map(move |(nth, password)| (at, nth, password.plain.clone()))
            })
            .collect();
        let hashing = plain.iter().map(|(_, _, plain)| self.passwords.hash(plain));
        let hashed = self
            .runtime
            .block_on(futures_util::future::join_all(hashing));
        for ((at, nth, _), hash) in plain.into_iter().zip(hashed) {
            let row = &mut rows[at];
            match (&mut row.draft, hash) {
                (Ok(draft), Ok(hash)) => draft.passwords[nth].hash = Some(hash.into()),
                (draft, Err(error)) => {
                    *draft = Err(vec![row.place.error("import_busy", &error.to_string())]);
                }
                (Err(_), Ok(_)) => {}
            }
        }
    }
}
