//! PostgreSQL, 15 and newer: any number of nodes on one database. Values, answers and the change log are those of the
//! embedded engine; `functions.sql` holds what its functions are here.

mod address;
mod common;
mod console;
mod database;
mod ddl;
mod ears;
mod foreign;
mod fresh;
pub(super) mod log;
mod logs;
mod looks;
pub(super) mod moving;
mod readers;
mod replica;
mod schema_rows;
mod session;
mod snapshot;
mod statements;
mod value;
mod views;
mod writer;

pub use common::{Common, Counted, Note};
pub(super) use console::{read as console_read, write as console_write};
pub(super) use database::Database;
pub(super) use ddl::{change_table, create_table, drop_table};
pub(super) use logs::{Logger, append as append_logs};
pub(super) use schema_rows::load as load_schema;
pub(super) use session::Session;
pub(super) use snapshot::Held;
pub(super) use views::{
    columns as view_columns, create as create_view, sample as view_sample, tables_behind,
    try_run as try_view, works as view_works,
};

#[cfg(test)]
mod tests;
