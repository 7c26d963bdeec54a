//! A reader that holds one state of the database for as long as its owner wants: the realtime hub keeps two, before
//! and after the changes that it delivers.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use super::connection::{Link, Role};
use super::log;
use crate::expr::Catalog;
use crate::store::shared::Shared;
use crate::store::{Position, ReadTx, StoreError};

/// One state of the database. It does not age by itself: whoever holds one keeps the write-ahead log from being
/// emptied, and so must move on or drop it.
pub(in crate::store) struct Held {
    link: Link,
    shared: Arc<Shared>,
}

impl Held {
    pub(super) fn open(
        path: &Path,
        shared: &Arc<Shared>,
        pressure: &Arc<AtomicBool>,
    ) -> Result<Self, StoreError> {
        Ok(Self {
            link: Link::open(path, Role::Reader, pressure)?,
            shared: Arc::clone(shared),
        })
    }

    /// Moves on to the present and tells its place in the log.
    pub(in crate::store) fn refresh(&mut self) -> Result<Position, StoreError> {
        if !self.link.connection.is_autocommit() {
            self.link.step("COMMIT")?;
        }
        self.link.step("BEGIN")?;
        // A transaction takes its snapshot at its first read: this one.
        log::last_position(&self.link.connection).map(Position)
    }

    /// Lets go of its state, so that it keeps nothing from being emptied; [`Held::refresh`] brings it back.
    pub(in crate::store) fn rest(&mut self) -> Result<(), StoreError> {
        if self.link.connection.is_autocommit() {
            return Ok(());
        }
        self.link.step("COMMIT")
    }

    /// Whether it holds a state.
    pub(in crate::store) fn is_open(&self) -> bool {
        !self.link.connection.is_autocommit()
    }

    /// What is read from now on has `span` to end; after that it fails.
    pub(in crate::store) fn hurry(&self, span: Duration) {
        self.link.deadline.set(span);
    }

    /// Reads in this state, under the rules of `catalog`.
    pub(in crate::store) fn tx_under(&self, catalog: &Arc<Catalog>) -> ReadTx<'_> {
        ReadTx::new(&self.link.connection, Arc::clone(catalog))
    }

    /// Reads in this state, under the rules of now.
    pub(in crate::store) fn tx(&self) -> ReadTx<'_> {
        ReadTx::new(&self.link.connection, self.shared.catalog.load_full())
    }
}
