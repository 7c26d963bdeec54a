//! The system collections that are Burrow's own: made where they are missing, and kept out of the lists of clients that
//! count what PocketBase has.

use std::sync::Arc;

use super::save::list_with;
use super::{Collections, Error};
use crate::kit::time::Timestamp;
use crate::schema::system;
use crate::store::{DdlError, StoreError, WriteTx};

impl Collections {
    /// Makes those of our own collections that the directory does not have.
    ///
    /// # Errors
    /// The store's own.
    pub async fn make_own(&self, now: Timestamp) -> Result<(), Error> {
        let catalog = self.store.catalog();
        let complete = system::OWN.iter().all(|name| catalog.find(name).is_some());
        if complete {
            return Ok(());
        }
        self.alone(move |tx| make(tx, now)).await
    }
}

fn make(tx: &mut WriteTx<'_>, now: Timestamp) -> Result<(), Error> {
    for collection in system::own(now) {
        let catalog = Arc::clone(tx.catalog());
        if catalog.find(&collection.name).is_some() {
            continue;
        }
        tx.create_table(&collection).map_err(|error| match error {
            DdlError::Store(error) => error,
            DdlError::Indexes(_) | DdlError::Refused(_) => {
                let name = collection.name.as_str();
                StoreError::Directory(format!("cannot make the table {name}: {error}"))
            }
        })?;
        tx.save_collection(&collection)?;
        tx.schema_changed(list_with(&catalog, Arc::new(collection)))?;
    }
    Ok(())
}
