//! A database that data of a directory comes to, or goes back from. Nobody serves it meanwhile: a mark in `_burrow_meta`
//! keeps servers away until it is complete.

use std::time::{Duration, Instant};

use super::address::Address;
use super::ddl;
use super::fresh;
use super::log;
use super::schema_rows;
use super::session::Session;
use super::views;
use crate::kit::limits;
use crate::kit::secret::Secret;
use crate::kit::sql::{Dialect, Sql};
use crate::kit::value::Value;
use crate::schema::index::Index;
use crate::schema::{Collection, Schema};
use crate::store::graduate::{Sum, Table};
use crate::store::{DdlError, StoreError};

/// The lock of whoever moves data in or out.
const MOVING: i64 = 0x4275_7272_6f77_0004;
/// How often somebody who holds it is asked again.
const LOOK: Duration = Duration::from_millis(50);
/// Records that one statement removes.
const REMOVED_TOGETHER: usize = 500;

/// The one connection that moves.
pub(in crate::store) struct Moving {
    session: Session,
    place: String,
}

/// What was found.
#[derive(Debug)]
pub(in crate::store) enum Found {
    /// Nothing.
    Empty,
    /// Data that was on its way, with what was noted of it.
    OnItsWay(String),
    /// A database in use.
    Whole,
}

impl Moving {
    /// Connects to the database, which is moved by nobody else.
    pub(in crate::store) fn open(address: &Secret<String>) -> Result<Self, StoreError> {
        let address = Address::parse(address)?;
        let session = Session::connect(&address)?;
        fresh::check_server(&session)?;
        let patience = Duration::from_millis(limits::DATABASE_LOCK_MILLIS_MAX);
        let began = Instant::now();
        // The connection of a process that was killed may still be at its last statement.
        while !locked(&session, MOVING)? {
            if began.elapsed() > patience {
                return Err(StoreError::Directory(
                    "somebody else is moving data into or out of this database".to_owned(),
                ));
            }
            std::thread::park_timeout(LOOK);
        }
        Ok(Self {
            session,
            place: address.place(),
        })
    }

    /// Where the database is, for people.
    pub(in crate::store) fn place(&self) -> &str {
        &self.place
    }

    /// What is there.
    pub(in crate::store) fn found(&self) -> Result<Found, StoreError> {
        match fresh::first_table(&self.session)?.as_deref() {
            None => return Ok(Found::Empty),
            Some("_collections") => {}
            Some(other) => return Err(fresh::foreign(other)),
        }
        Ok(match log::meta(&self.session, log::MOVING)? {
            Some(noted) => Found::OnItsWay(noted),
            None => Found::Whole,
        })
    }

    /// Makes our tables in an empty database, with `noted` as the mark.
    pub(in crate::store) fn lay(
        &self,
        noted: &str,
        epoch: u64,
        key: &[u8; 32],
    ) -> Result<(), StoreError> {
        self.transaction(|| {
            fresh::prepare_functions(&self.session)?;
            self.session.batch(log::CREATE_TABLES)?;
            self.session.batch(super::common::CREATE_TABLES)?;
            self.session.batch(fresh::TABLES)?;
            log::begin_as(&self.session, epoch, key)?;
            self.note(noted)
        })
    }

    /// Takes away everything that was on its way.
    pub(in crate::store) fn clear(&self) -> Result<(), StoreError> {
        self.transaction(|| {
            while let Some((name, is_view)) = fresh::any_table(&self.session)? {
                let kind = if is_view { "VIEW" } else { "TABLE" };
                let name = ddl::quoted(&name);
                self.session.batch(&format!("DROP {kind} {name} CASCADE"))?;
            }
            Ok(())
        })
    }

    /// Runs `f` in a transaction; undone when it gives an error.
    pub(in crate::store) fn transaction<T>(
        &self,
        f: impl FnOnce() -> Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        self.session.begin("BEGIN")?;
        match f() {
            Ok(done) => {
                self.session.commit("COMMIT")?;
                Ok(done)
            }
            Err(error) => {
                self.session.rollback().ok();
                Err(error)
            }
        }
    }

    /// Runs `f` on one state that nobody changes.
    pub(in crate::store) fn held<T>(
        &self,
        f: impl FnOnce() -> Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        self.session
            .begin("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY")?;
        let done = f();
        self.session.rollback().ok();
        done
    }

    /// Notes how far it has come.
    pub(in crate::store) fn note(&self, noted: &str) -> Result<(), StoreError> {
        log::set_meta(&self.session, log::MOVING, noted)
    }

    /// It is complete: servers may use it.
    pub(in crate::store) fn open_up(&self) -> Result<(), StoreError> {
        let mut sql = Sql::new(Dialect::Postgres);
        sql.push("DELETE FROM _burrow_meta WHERE key = ")
            .arg(log::MOVING);
        self.session.run(&sql).map(drop)
    }

    /// Epoch and key of the log.
    pub(in crate::store) fn log(&self) -> Result<(u64, [u8; 32]), StoreError> {
        let meta = log::prepare(&self.session)?;
        Ok((meta.epoch, meta.cursor_key))
    }

    /// Keeps servers away as long as this connection lives; `false` when one is there.
    pub(in crate::store) fn keep_servers_away(&self) -> Result<bool, StoreError> {
        locked(&self.session, super::ears::SERVING)
    }

    /// The collections.
    pub(in crate::store) fn schema(&self) -> Result<Schema, StoreError> {
        schema_rows::load(&self.session, 1)
    }

    /// Makes the table of a collection, with indexes that were tried and come later.
    pub(in crate::store) fn make(&self, collection: &Collection) -> Result<(), StoreError> {
        ddl::create_table(&self.session, collection).map_err(|error| of(collection, error))?;
        for index in collection
            .indexes
            .iter()
            .filter_map(|text| Index::parse(text))
        {
            let name = ddl::quoted(&index.name);
            self.session
                .batch(&format!("DROP INDEX IF EXISTS {name}"))?;
        }
        Ok(())
    }

    /// Makes the indexes of a table that is filled, and looks at what is in it.
    pub(in crate::store) fn index(&self, collection: &Collection) -> Result<(), StoreError> {
        ddl::create_all_indexes(&self.session, collection)
            .map_err(|error| of(collection, error))?;
        let name = ddl::quoted(&collection.name);
        self.session.batch(&format!("ANALYZE {name}"))
    }

    /// Makes a view; what PostgreSQL says where it does not take it.
    pub(in crate::store) fn make_view(
        &self,
        view: &Collection,
    ) -> Result<Option<String>, StoreError> {
        match self
            .session
            .attempt(|| views::create(&self.session, view, None))
        {
            Ok(()) => Ok(None),
            Err(DdlError::Store(error)) => Err(error),
            Err(refused) => Ok(Some(refused.to_string())),
        }
    }

    /// Removes the table or view of a collection.
    pub(in crate::store) fn unmake(&self, collection: &Collection) -> Result<(), StoreError> {
        ddl::drop_table(&self.session, collection).map_err(|error| of(collection, error))
    }

    /// Adds rows, as lines.
    pub(in crate::store) fn add(&self, table: &Table, lines: Vec<u8>) -> Result<(), StoreError> {
        if lines.is_empty() {
            return Ok(());
        }
        self.session.copy_in(table.copy_in().text(), lines)
    }

    /// Removes all rows.
    pub(in crate::store) fn empty(&self, table: &Table) -> Result<(), StoreError> {
        let mut sql = Sql::new(Dialect::Postgres);
        sql.push("DELETE FROM ").ident(&table.name);
        self.session.run(&sql).map(drop)
    }

    /// Removes records.
    pub(in crate::store) fn remove(&self, table: &Table, ids: &[&str]) -> Result<(), StoreError> {
        for some in ids.chunks(REMOVED_TOGETHER) {
            let mut sql = Sql::new(Dialect::Postgres);
            sql.push("DELETE FROM ").ident(&table.name);
            push_ids(&mut sql, some);
            self.session.run(&sql)?;
        }
        Ok(())
    }

    /// All rows of `table`, or those of `ids`.
    pub(in crate::store) fn sum(
        &self,
        table: &Table,
        ids: Option<&[&str]>,
    ) -> Result<Sum, StoreError> {
        let mut sum = Sum::default();
        let mut each = |line: &[u8]| sum.add(line);
        match ids {
            None => self.lines(table, "", &mut each)?,
            Some(ids) => {
                for some in ids.chunks(REMOVED_TOGETHER) {
                    self.lines(table, &named(some), &mut each)?;
                }
            }
        }
        Ok(sum)
    }

    /// Gives each row of `table` to `each`, as the line that [`Table::write`] would write.
    pub(in crate::store) fn lines(
        &self,
        table: &Table,
        condition: &str,
        each: &mut (dyn FnMut(&[u8]) + Send),
    ) -> Result<(), StoreError> {
        let mut sql = Sql::new(Dialect::Postgres);
        sql.push("SELECT ");
        table.push_columns(&mut sql);
        sql.push(" FROM ").ident(&table.name);
        let text = format!("COPY ({}{condition}) TO STDOUT", sql.text());
        let mut whole = Vec::new();
        self.session.copy_out(&text, &mut |line| {
            whole.clear();
            table.rewrite(line, &mut whole);
            each(&whole);
        })
    }

    /// The numbers of rows to come follow those that are there.
    pub(in crate::store) fn number_on(&self, table: &Table) -> Result<(), StoreError> {
        if !table.is_numbered() {
            return Ok(());
        }
        let name = ddl::quoted(&table.name);
        let literal = name.replace('\'', "''");
        self.session.batch(&format!(
            "SELECT setval(pg_get_serial_sequence('{literal}', '_rowid_'), coalesce(max(_rowid_), 0) + 1, false) FROM {name}"
        ))
    }
}

/// Takes a lock of the database for as long as the connection lives; `false` when somebody has it.
fn locked(session: &Session, lock: i64) -> Result<bool, StoreError> {
    let held = session.simple(&format!("SELECT pg_try_advisory_lock({lock})"))?;
    Ok(held.first().and_then(|row| row.first()?.as_deref()) == Some("t"))
}

fn of(collection: &Collection, error: DdlError) -> StoreError {
    match error {
        DdlError::Store(error) => error,
        refused => StoreError::Directory(format!(
            "PostgreSQL does not take the collection {}: {refused}",
            collection.name
        )),
    }
}

fn push_ids(sql: &mut Sql, ids: &[&str]) {
    for (at, id) in ids.iter().enumerate() {
        sql.push(if at == 0 { " WHERE id IN (" } else { ", " });
        sql.arg(Value::from(*id));
    }
    sql.push(")");
}

/// The same as text: COPY takes no arguments.
fn named(ids: &[&str]) -> String {
    let literals = ids.iter().map(|id| {
        let quoted = id.replace('\'', "''").replace('\\', "\\\\");
        format!("E'{quoted}'")
    });
    format!(" WHERE id IN ({})", literals.collect::<Vec<_>>().join(", "))
}
