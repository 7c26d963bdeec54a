//! Opening a data directory and reaching its threads.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use super::{ReadTx, WriteTx};
use crate::expr::Catalog;
use crate::kit::clock::Clock;
use crate::store::{CommitGroup, Cursor, StoreError};

/// How to open.
#[derive(Clone, Debug)]
pub struct OpenOptions {
    /// The data directory.
    pub dir: PathBuf,
    /// Source of time.
    pub clock: Clock,
    /// `true` syncs at every commit group.
    pub durable: bool,
}

/// The open database. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Store(Arc<()>);

impl Store {
    /// The present schema with its compiled rules.
    #[must_use]
    pub fn catalog(&self) -> Arc<Catalog> {
        let _ = &self.0;
        todo!()
    }

    /// Runs `f` on a reader thread, in one read transaction (one snapshot).
    ///
    /// # Errors
    /// What `f` gives, or the store's own.
    pub async fn read<T, E>(
        &self,
        _f: impl FnOnce(&ReadTx<'_>) -> Result<T, E> + Send + 'static,
    ) -> Result<T, E>
    where
        T: Send + 'static,
        E: From<StoreError> + Send + 'static,
    {
        todo!()
    }

    /// Runs `f` on the writer thread as a member of a commit group; answered after the COMMIT. `f` must be short and
    /// bounded. Its changes are undone when it gives an error.
    ///
    /// # Errors
    /// What `f` gives, or the store's own.
    pub async fn write<T, E>(
        &self,
        _f: impl FnOnce(&mut WriteTx<'_>) -> Result<T, E> + Send + 'static,
    ) -> Result<T, E>
    where
        T: Send + 'static,
        E: From<StoreError> + Send + 'static,
    {
        todo!()
    }

    /// Runs `f` alone in a transaction of its own, interrupted at `deadline`: for batches, schema changes, imports and
    /// whatever runs a superuser's SQL.
    ///
    /// # Errors
    /// What `f` gives, or the store's own.
    pub async fn write_alone<T, E>(
        &self,
        _deadline: Duration,
        _f: impl FnOnce(&mut WriteTx<'_>) -> Result<T, E> + Send + 'static,
    ) -> Result<T, E>
    where
        T: Send + 'static,
        E: From<StoreError> + Send + 'static,
    {
        todo!()
    }

    /// Called on the writer thread after each COMMIT and before anybody is answered: must be quick and never block.
    pub fn on_commit(&self, _listener: impl Fn(&CommitGroup) + Send + Sync + 'static) {
        todo!()
    }

    /// The end of the log.
    #[must_use]
    pub fn head(&self) -> Cursor {
        todo!()
    }
}
