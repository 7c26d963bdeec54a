//! A database of the embedded engine that is made anew from rows that come from PostgreSQL.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use super::connection::{Link, Role, step};
use super::departure;
use super::row::bind;
use super::{ddl, log};
use crate::kit::sql::{Dialect, Sql};
use crate::kit::value::Value;
use crate::schema::Collection;
use crate::store::directory::{BASE_TABLES, create_logs};
use crate::store::graduate::{Sum, Table};
use crate::store::{DdlError, StoreError};

/// The databases under construction.
pub(in crate::store) struct Homecoming {
    data: Link,
    logs: Link,
}

impl Homecoming {
    /// Makes empty ones in `folder`.
    pub(in crate::store) fn begin(
        folder: &Path,
        epoch: u64,
        key: &[u8; 32],
    ) -> Result<Self, StoreError> {
        let pressure = Arc::new(AtomicBool::new(false));
        let data = Link::open(
            &folder.join("data.db"),
            Role::Writer {
                durable: true,
                bulk: true,
            },
            &pressure,
        )?;
        let logs = Link::open(&folder.join("auxiliary.db"), Role::Logs, &pressure)?;
        let meta = log::Meta {
            epoch,
            cursor_key: *key,
        };
        data.step("BEGIN IMMEDIATE")?;
        data.connection.execute_batch(BASE_TABLES)?;
        log::begin_as(&data.connection, &meta)?;
        logs.step("BEGIN IMMEDIATE")?;
        create_logs(&logs.connection)?;
        Ok(Self { data, logs })
    }

    /// Makes the table of a collection.
    pub(in crate::store) fn make(&self, collection: &Collection) -> Result<(), StoreError> {
        ddl::create_table(&self.data.connection, collection).map_err(|error| match error {
            DdlError::Store(error) => error,
            refused => StoreError::Directory(format!(
                "SQLite does not take the collection {}: {refused}",
                collection.name
            )),
        })
    }

    /// Makes a view; what SQLite says where it does not take it.
    pub(in crate::store) fn make_view(
        &self,
        view: &Collection,
    ) -> Result<Option<String>, StoreError> {
        match ddl::create_view(&self.data.connection, view, None) {
            Ok(()) => Ok(None),
            Err(DdlError::Store(error)) => Err(error),
            Err(refused) => Ok(Some(refused.to_string())),
        }
    }

    /// Adds a row.
    pub(in crate::store) fn add(&self, table: &Table, cells: &[Value]) -> Result<(), StoreError> {
        let mut sql = Sql::new(Dialect::Sqlite);
        sql.push("INSERT INTO ").ident(&table.name).push(" (");
        table.push_columns(&mut sql);
        sql.push(") VALUES (");
        for at in 0..cells.len() {
            sql.push(if at == 0 { "?" } else { ", ?" });
        }
        sql.push(")");
        let mut statement = self.link_of(table).connection.prepare_cached(sql.text())?;
        bind(&mut statement, 1, cells)?;
        statement.raw_execute()?;
        Ok(())
    }

    /// All rows of `table`.
    pub(in crate::store) fn sum(&self, table: &Table) -> Result<Sum, StoreError> {
        departure::sum(&self.link_of(table).connection, table)
    }

    fn link_of(&self, table: &Table) -> &Link {
        if table.name == "_logs" {
            &self.logs
        } else {
            &self.data
        }
    }

    /// It is complete, and on the disk.
    pub(in crate::store) fn end(self) -> Result<(), StoreError> {
        for link in [self.data, self.logs] {
            link.step("COMMIT")?;
            step(&link.connection, "PRAGMA wal_checkpoint(TRUNCATE)")?;
            let path = link.connection.path().map(ToOwned::to_owned);
            drop(link);
            if let Some(path) = path {
                let synced = std::fs::File::open(&path).and_then(|file| file.sync_all());
                synced.map_err(|error| StoreError::Directory(format!("{path}: {error}")))?;
            }
        }
        Ok(())
    }
}
