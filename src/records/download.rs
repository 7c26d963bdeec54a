//! Which stored file a path means, and whether the caller may have it (contract 6.3, 6.4).

use std::sync::Arc;

use super::access::{self, Gate};
use super::{Error, Records};
use crate::call::{Call, Context};
use crate::files::{Key, RecordKey, named_by};
use crate::kit::limits::VIEW_LEVELS_MAX;
use crate::schema::view::ViewQuery;
use crate::schema::{Action, Collection, FieldKind, Kind, Record};
use crate::store::{ReadTx, StoreError};

/// A file that the caller may have.
#[derive(Clone, Debug)]
pub struct Download {
    /// Where it is kept.
    pub key: Key,
    /// Thumb formats of its field.
    pub thumbs: Vec<String>,
    /// Whether a rule decided: not for shared caches then.
    pub protected: bool,
}

impl Records {
    /// The file that a path names. `call` is the one that protected files are judged under: its actor is the owner of
    /// the file token.
    ///
    /// # Errors
    /// [`Error::UnknownCollectionToWrite`], and [`Error::NotFound`] for everything else that hinders.
    pub fn download(
        &self,
        call: &Call,
        collection: &str,
        record: &str,
        name: &str,
    ) -> Result<Download, Error> {
        let call = call.in_context(Context::ProtectedFile);
        self.store()
            .read_now(|tx| locate(tx, &call, collection, record, name))
    }
}

fn locate(
    tx: &ReadTx<'_>,
    call: &Call,
    collection: &str,
    id: &str,
    name: &str,
) -> Result<Download, Error> {
    let catalog = tx.catalog();
    let collection = catalog
        .find(collection)
        .ok_or(Error::UnknownCollectionToWrite)?;
    let record = tx.find(collection, id)?.ok_or(Error::NotFound)?;
    let at = named_by(&record, name).ok_or(Error::NotFound)?;
    let FieldKind::File(options) = &collection.fields[at].kind else {
        return Err(Error::NotFound);
    };
    if options.protected {
        let gate = access::gate(catalog, call, collection, Action::View)
            .unwrap_or_else(|error| Gate::Broken(error.to_string()));
        gate.check(tx, call, &record, Action::View)?;
    }
    let owner = owner(tx, record, at, name)?.ok_or(Error::NotFound)?;
    let key = RecordKey::new(owner.collection().id.as_str(), owner.id())
        .and_then(|folder| folder.blob(name))
        .ok_or(Error::NotFound)?;
    Ok(Download {
        key,
        thumbs: options.thumbs.clone(),
        protected: options.protected,
    })
}

/// The record whose folder holds the file: of a view, that of the table behind the column, a few levels down.
fn owner(
    tx: &ReadTx<'_>,
    record: Record,
    at: usize,
    name: &str,
) -> Result<Option<Record>, StoreError> {
    let mut collection = Arc::clone(record.collection());
    let mut column = collection.fields[at].name.clone();
    if !collection.is_view() {
        return Ok(Some(record));
    }
    for _ in 0..VIEW_LEVELS_MAX {
        let Some((source, field)) = source(tx, &collection, &column) else {
            return Ok(None);
        };
        if !source.is_view() {
            return tx.find_by_file(&source, field, name);
        }
        column = source.fields[field].name.clone();
        collection = source;
    }
    Ok(None)
}

/// Collection and position of the file field that a view's column shows.
fn source(tx: &ReadTx<'_>, view: &Collection, column: &str) -> Option<(Arc<Collection>, usize)> {
    let Kind::View(options) = &view.kind else {
        return None;
    };
    let query = ViewQuery::parse(&options.view_query).ok()?;
    let (collection, field) = query.origin(column, tx.catalog())?;
    matches!(collection.fields[field].kind, FieldKind::File(_)).then_some((collection, field))
}
