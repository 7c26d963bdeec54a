//! Writes down what superusers change, as it happens. The file is written before the commit and counts after it, so that a
//! change of this directory is never without its file, nor a file without its change.

use std::sync::Arc;

use super::difference;
use super::folder::{Folder, Pending};
use crate::kit::time::Timestamp;
use crate::schema::{Collection, Schema};
use crate::store::{StoreError, WriteTx};

/// Whether and where changes are written down.
#[derive(Clone, Debug, Default)]
pub(in crate::collections) struct Journal(Option<Arc<Folder>>);

/// A change that is written down, if it is to be.
#[derive(Debug, Default)]
#[must_use]
pub(in crate::collections) struct Noted(Option<Pending>);

impl Journal {
    pub(in crate::collections) fn new(folder: Option<Folder>) -> Self {
        Self(folder.map(Arc::new))
    }

    /// Writes down the change from `before` to what the transaction has now, among the collections that `concerned` tells.
    /// A directory that cannot be written keeps nobody from changing collections: the log tells.
    ///
    /// # Errors
    /// The store's own.
    pub(in crate::collections) fn note(
        &self,
        tx: &mut WriteTx<'_>,
        before: &Schema,
        what: &str,
        now: Timestamp,
        concerned: impl Fn(&Collection) -> bool,
    ) -> Result<Noted, StoreError> {
        let Some(folder) = &self.0 else {
            return Ok(Noted::default());
        };
        let after = Arc::clone(tx.catalog());
        let Some(migration) = difference::between(before, &after, concerned) else {
            return Ok(Noted::default());
        };
        let written = folder.fresh_name(what, "json", now).and_then(|name| {
            let pending = folder.begin(&name, &migration.to_text())?;
            Ok((name, pending))
        });
        match written {
            Ok((name, pending)) => {
                tx.note_migration(&name)?;
                Ok(Noted(Some(pending)))
            }
            Err(error) => {
                let folder = folder.path().display();
                tracing::error!(%error, %folder, %what, "the change is not written down as a migration");
                Ok(Noted::default())
            }
        }
    }
}

impl Noted {
    /// The change was committed.
    pub(in crate::collections) fn publish(self) {
        if let Some(Err(error)) = self.0.map(Pending::publish) {
            tracing::error!(%error, "a migration's file did not get its name");
        }
    }
}
