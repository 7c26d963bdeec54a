//! What a write transaction can do: everything a read can, and changes, each with its entry in the log.

use std::ops::Deref;
use std::sync::Arc;

use super::job::Left;
use super::read::Engine;
use super::{ReadTx, postgres, sqlite, undo};
use crate::expr::Catalog;
use crate::kit::limits;
use crate::kit::sql::Sql;
use crate::kit::time::Timestamp;
use crate::kit::value::{Cell, Value};
use crate::schema::{Collection, CollectionId, Record, Schema};
use crate::store::{Change, ChangeKind, Concerned, Position, StoreError, difference};

/// A write transaction; reads see its own changes.
pub struct WriteTx<'a> {
    read: ReadTx<'a>,
    now: Timestamp,
    /// Place of its next entry.
    next: u64,
    /// Place of its first entry, which names the transaction.
    first: u64,
    changes: Vec<Change>,
    /// Bytes of its entries.
    bytes: u64,
    /// Bytes of the records that its changes hold.
    images: u64,
    /// Collections of changes whose images were let go.
    untold: Vec<CollectionId>,
}

impl<'a> Deref for WriteTx<'a> {
    type Target = ReadTx<'a>;

    fn deref(&self) -> &ReadTx<'a> {
        &self.read
    }
}

impl<'a> WriteTx<'a> {
    pub(super) fn new(
        engine: impl Into<Engine<'a>>,
        catalog: Arc<Catalog>,
        next: u64,
        now: Timestamp,
    ) -> Self {
        Self {
            read: ReadTx::new(engine, catalog),
            now,
            next,
            first: next,
            changes: Vec::new(),
            bytes: 0,
            images: 0,
            untold: Vec::new(),
        }
    }

    /// What it leaves behind.
    pub(super) fn finish(mut self) -> Left {
        let partial = !self.untold.is_empty();
        for collection in std::mem::take(&mut self.untold) {
            self.changes.push(Change {
                position: Position(self.next - 1),
                tx: self.first,
                time: self.now,
                kind: ChangeKind::Touched { collection },
            });
        }
        Left {
            catalog: self.read.catalog,
            changes: self.changes,
            entries: self.next - self.first,
            bytes: self.bytes,
            partial,
        }
    }

    /// Runs `f` as a part that can fail alone: what it did is undone when it gives an error, and the transaction goes on.
    ///
    /// # Errors
    /// What `f` gives, or the store's own.
    pub fn attempt<T, E: From<StoreError>>(
        &mut self,
        f: impl FnOnce(&mut Self) -> Result<T, E>,
    ) -> Result<T, E> {
        let (next, catalog) = (self.next, Arc::clone(&self.read.catalog));
        self.step("SAVEPOINT attempt")?;
        let done = f(self);
        if done.is_err() {
            // Nothing to go back to where the whole transaction ended (a full disk): the writer sees that.
            if !self.stands() {
                return done;
            }
            self.step("ROLLBACK TO attempt")?;
            self.next = next;
            self.read.catalog = catalog;
            self.changes.retain(|change| change.position.0 < next);
        }
        self.step("RELEASE attempt")?;
        done
    }

    fn step(&self, text: &'static str) -> Result<(), StoreError> {
        match self.engine() {
            Engine::Sqlite(connection) => sqlite::step(connection, text),
            Engine::Postgres(session) => session.batch(text),
        }
    }

    /// Whether the transaction is still there.
    fn stands(&self) -> bool {
        match self.engine() {
            Engine::Sqlite(connection) => !connection.is_autocommit(),
            Engine::Postgres(session) => !session.is_broken(),
        }
    }

    /// The instant of this transaction in the log.
    #[must_use]
    pub fn now(&self) -> Timestamp {
        self.now
    }

    /// What it has done so far, as far as memory holds it.
    #[must_use]
    pub fn changes(&self) -> &[Change] {
        if self.untold.is_empty() {
            &self.changes
        } else {
            &[]
        }
    }

    /// Adds a record.
    ///
    /// # Errors
    /// The store's own; [`StoreError::NotUnique`] for a taken value.
    pub fn insert(&mut self, record: &Record) -> Result<(), StoreError> {
        let collection = record.collection();
        let mut sql = self.sql();
        sql.push("INSERT INTO ").ident(&collection.name).push(" (");
        for (at, field) in collection.fields.iter().enumerate() {
            if at > 0 {
                sql.push(", ");
            }
            sql.ident(&field.name);
        }
        sql.push(") VALUES (");
        for at in 0..collection.fields.len() {
            sql.push(if at > 0 { ", ?" } else { "?" });
        }
        sql.push(")");
        let cells = record.cells().iter().map(Value::as_cell);
        self.run_with(sql.text(), cells)?;
        self.append(
            ChangeKind::Create {
                after: Arc::new(record.clone()),
            },
            None,
        )
    }

    /// Replaces a record by another state of it; only changed cells are written. Both are of the same collection.
    ///
    /// # Errors
    /// As [`WriteTx::insert`]; [`StoreError::Gone`] when there is no such row.
    pub fn update(&mut self, before: &Record, after: &Record) -> Result<(), StoreError> {
        let collection = after.collection();
        let changed: Vec<usize> = (0..collection.fields.len())
            .filter(|&at| before.cells().get(at) != after.cells().get(at))
            .collect();
        if changed.is_empty() {
            // Nothing to write, and still a change that listeners are told of (contract 5.5).
            let undo = undo::encode_cells(before, std::iter::empty());
            return self.append(
                ChangeKind::Update {
                    before: Arc::new(before.clone()),
                    after: Arc::new(after.clone()),
                },
                Some(&undo),
            );
        }
        let mut sql = self.sql();
        sql.push("UPDATE ").ident(&collection.name).push(" SET ");
        for (nth, &at) in changed.iter().enumerate() {
            if nth > 0 {
                sql.push(", ");
            }
            sql.ident(&collection.fields[at].name).push(" = ?");
        }
        sql.push(" WHERE id = ?");
        let cells = changed.iter().map(|&at| after.cells()[at].as_cell());
        if self.run_with(sql.text(), cells.chain([Cell::Text(before.id())]))? == 0 {
            return Err(StoreError::Gone);
        }
        let undo = undo::encode_cells(before, changed.into_iter());
        self.append(
            ChangeKind::Update {
                before: Arc::new(before.clone()),
                after: Arc::new(after.clone()),
            },
            Some(&undo),
        )
    }

    /// Removes a record; references to it are the caller's business.
    ///
    /// # Errors
    /// The store's own; [`StoreError::Gone`] when there is no such row.
    pub fn delete(&mut self, record: &Record) -> Result<(), StoreError> {
        let collection = record.collection();
        let mut sql = self.sql();
        sql.push("DELETE FROM ")
            .ident(&collection.name)
            .push(" WHERE id = ")
            .arg(record.id());
        if self.execute(&sql)? == 0 {
            return Err(StoreError::Gone);
        }
        let undo = undo::encode_cells(record, 0..collection.fields.len());
        self.append(
            ChangeKind::Delete {
                before: Arc::new(record.clone()),
            },
            Some(&undo),
        )
    }

    /// Sets one date of a record, if it is there, without an entry in the log: for times that tell when something was
    /// last used, which nobody follows.
    ///
    /// # Errors
    /// The store's own.
    pub fn note_time(
        &mut self,
        collection: &Collection,
        id: &str,
        field: &str,
        at: Timestamp,
    ) -> Result<(), StoreError> {
        let mut sql = self.sql();
        sql.push("UPDATE ").ident(&collection.name).push(" SET ");
        sql.ident(field).push(" = ").arg(at.to_text());
        sql.push(" WHERE id = ").arg(id);
        self.execute(&sql).map(drop)
    }

    /// Runs a statement of ours that gives no rows; how many rows it changed. It leaves no entry in the log: where
    /// records may have changed, say so with [`WriteTx::touched`].
    ///
    /// # Errors
    /// The store's own.
    pub fn execute(&mut self, sql: &Sql) -> Result<usize, StoreError> {
        self.read.run(sql)
    }

    /// Brings the planner's statistics up to date.
    ///
    /// # Errors
    /// The store's own.
    pub fn optimize(&mut self) -> Result<(), StoreError> {
        match self.engine() {
            Engine::Sqlite(connection) => sqlite::optimize(connection),
            // It does so by itself.
            Engine::Postgres(_) => Ok(()),
        }
    }

    /// Says that rows of `collection` may have changed without entries of their own.
    ///
    /// # Errors
    /// The store's own.
    pub fn touched(&mut self, collection: &CollectionId) -> Result<(), StoreError> {
        self.append(
            ChangeKind::Touched {
                collection: collection.clone(),
            },
            None,
        )
    }

    /// From here on, and for everybody after the COMMIT, these are the collections (in stored order); the rows of
    /// `_collections` and the tables are the caller's business.
    ///
    /// # Errors
    /// The store's own.
    pub fn schema_changed(&mut self, collections: Vec<Arc<Collection>>) -> Result<(), StoreError> {
        let generation = self.read.catalog.generation() + 1;
        let after = Arc::new(Catalog::new(Schema::new(generation, collections)));
        let before = std::mem::replace(&mut self.read.catalog, after);
        let collections = difference::between(&before, &self.read.catalog);
        self.append_schema(collections)
    }

    /// Sets a row of `_params` (settings, secrets): everything made from them is stale after the COMMIT.
    ///
    /// # Errors
    /// The store's own.
    pub fn set_param(&mut self, id: &str, value: &Value) -> Result<(), StoreError> {
        let now = self.now.to_text();
        let mut sql = self.sql();
        sql.push("INSERT INTO _params (id, value, created, updated) VALUES (")
            .arg(id)
            .push(", ")
            .arg(value.clone())
            .push(", ")
            .arg(now.clone())
            .push(", ")
            .arg(now)
            .push(") ON CONFLICT (id) DO UPDATE SET value = excluded.value, updated = excluded.updated");
        self.execute(&sql)?;
        self.append_schema(Vec::new())
    }

    /// Removes a row of `_params`; whether there was one.
    ///
    /// # Errors
    /// The store's own.
    pub fn delete_param(&mut self, id: &str) -> Result<bool, StoreError> {
        let mut sql = self.sql();
        sql.push("DELETE FROM _params WHERE id = ").arg(id);
        let there = self.execute(&sql)? > 0;
        if there {
            self.append_schema(Vec::new())?;
        }
        Ok(there)
    }

    /// Records the migration `file` as applied now, after all others.
    ///
    /// # Errors
    /// The store's own.
    pub fn note_migration(&mut self, file: &str) -> Result<(), StoreError> {
        let last = self.migrations()?.into_iter().map(|(_, at)| at).max();
        let now = self.now.as_millis().saturating_mul(1_000);
        let at = now.max(last.map_or(i64::MIN, |last| last.saturating_add(1)));
        let mut sql = self.sql();
        sql.push("INSERT INTO _migrations (file, applied) VALUES (")
            .arg(file)
            .push(", ")
            .arg(Value::Int(at))
            .push(") ON CONFLICT (file) DO UPDATE SET applied = excluded.applied");
        self.execute(&sql).map(drop)
    }

    /// Forgets that the migration `file` was applied.
    ///
    /// # Errors
    /// The store's own.
    pub fn forget_migration(&mut self, file: &str) -> Result<(), StoreError> {
        let mut sql = self.sql();
        sql.push("DELETE FROM _migrations WHERE file = ").arg(file);
        self.execute(&sql).map(drop)
    }

    /// Runs a statement of ours with borrowed arguments; how many rows it changed.
    fn run_with<'v>(
        &self,
        text: &str,
        cells: impl Iterator<Item = Cell<'v>>,
    ) -> Result<usize, StoreError> {
        match self.engine() {
            Engine::Sqlite(connection) => sqlite::run_with(connection, text, cells),
            Engine::Postgres(session) => session.run_with(text, cells),
        }
    }

    fn append_schema(&mut self, collections: Vec<Concerned>) -> Result<(), StoreError> {
        let concerns = undo::encode_concerned(&collections);
        self.append(ChangeKind::Schema { collections }, Some(&concerns))
    }

    fn append(&mut self, kind: ChangeKind, undo: Option<&[u8]>) -> Result<(), StoreError> {
        let change = Change {
            position: Position(self.next),
            tx: self.first,
            time: self.now,
            kind,
        };
        match self.engine() {
            Engine::Sqlite(connection) => sqlite::log::append(connection, &change, undo)?,
            Engine::Postgres(session) => postgres::log::append(session, &change, undo)?,
        }
        self.next += 1;
        self.bytes += undo::size(&change);
        self.images += images(&change.kind);
        self.changes.push(change);
        if self.images > limits::CHANGE_IMAGES_BYTES_MAX {
            self.let_images_go();
        }
        Ok(())
    }

    /// Keeps of the changes of records no more than which collections they are of: a transaction may change far more
    /// than memory should hold.
    fn let_images_go(&mut self) {
        let mut untold = std::mem::take(&mut self.untold);
        self.changes.retain(|change| {
            let Some((collection, _)) = change.kind.subject() else {
                return true;
            };
            if !untold.contains(&collection) {
                untold.push(collection);
            }
            false
        });
        self.untold = untold;
    }
}

/// Bytes that a change holds while it waits to be told, roughly.
fn images(kind: &ChangeKind) -> u64 {
    /// Of a record besides its texts.
    const RECORD_BYTES: usize = 128;
    let of = |record: &Record| record.size_bytes() + RECORD_BYTES;
    let bytes = match kind {
        ChangeKind::Create { after } => of(after),
        ChangeKind::Update { before, after } => of(before) + of(after),
        ChangeKind::Delete { before } => of(before),
        ChangeKind::Schema { .. } | ChangeKind::Touched { .. } => 0,
    };
    bytes as u64
}
