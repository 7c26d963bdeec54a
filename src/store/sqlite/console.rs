//! A superuser's own SQL in SQLite: under an authorizer, read-only where it should only read.

use std::cell::RefCell;
use std::collections::BTreeSet;

use rusqlite::fallible_iterator::FallibleIterator;
use rusqlite::hooks::{AuthAction, AuthContext, Authorization};
use rusqlite::types::ValueRef;
use rusqlite::{Batch, Connection, Statement, ffi};

use crate::kit::limits::CONSOLE_ROWS_MAX;
use crate::store::StoreError;
use crate::store::console::{ConsoleColumn, ConsoleRows, SuperuserSql};

/// Runs statements that only read; the answer is the last one's.
pub(in crate::store) fn read(
    connection: &Connection,
    sql: &SuperuserSql,
) -> Result<ConsoleRows, StoreError> {
    let _scope = Scope::enter(Mode::Reading);
    let mut answer = ConsoleRows::default();
    let mut batch = Batch::new(connection, sql.text());
    while let Some(mut statement) = batch.next()? {
        if !statement.readonly() {
            return Err(StoreError::Refused);
        }
        answer = rows(&mut statement)?;
    }
    Ok(answer)
}

/// Runs statements that write; how many rows the last one changed, and the tables that they may have changed.
pub(in crate::store) fn write(
    connection: &Connection,
    sql: &SuperuserSql,
) -> Result<(u64, BTreeSet<String>), StoreError> {
    let scope = Scope::enter(Mode::Writing(BTreeSet::new()));
    let affected = run_all(connection, sql.text())?;
    Ok((affected, scope.named()))
}

fn run_all(connection: &Connection, sql: &str) -> Result<u64, StoreError> {
    let mut affected = 0;
    let mut batch = Batch::new(connection, sql);
    while let Some(mut statement) = batch.next()? {
        let before = connection.total_changes();
        let mut rows = statement.raw_query();
        while rows.next()?.is_some() {}
        affected = connection.total_changes() - before;
    }
    Ok(affected)
}

fn rows(statement: &mut Statement<'_>) -> Result<ConsoleRows, StoreError> {
    let columns: Vec<ConsoleColumn> = statement
        .columns()
        .map(|column| ConsoleColumn {
            name: column.name().to_owned(),
            declared: column.decl_type().unwrap_or("").to_owned(),
        })
        .collect();
    let mut rows = Vec::new();
    let mut found = statement.raw_query();
    while let Some(row) = found.next()? {
        if rows.len() < CONSOLE_ROWS_MAX {
            let cells: Result<_, rusqlite::Error> = (0..columns.len())
                .map(|at| Ok(cell_text(row.get_ref(at)?)))
                .collect();
            rows.push(cells?);
        } else {
            break;
        }
    }
    Ok(ConsoleRows { columns, rows })
}

fn cell_text(value: ValueRef<'_>) -> Option<String> {
    match value {
        ValueRef::Null => None,
        ValueRef::Integer(n) => Some(n.to_string()),
        ValueRef::Real(n) => Some(real_text(n)),
        ValueRef::Text(bytes) | ValueRef::Blob(bytes) => {
            Some(String::from_utf8_lossy(bytes).into_owned())
        }
    }
}

/// The contract's text of a real number: shortest digits, with an exponent below 1e-4 and from 1e6 on.
fn real_text(n: f64) -> String {
    if !n.is_finite() {
        return n.to_string();
    }
    let scientific = format!("{n:e}");
    let (digits, exponent) = scientific.split_once('e').unwrap_or((&scientific, "0"));
    let exponent: i32 = exponent.parse().unwrap_or(0);
    if (-4..6).contains(&exponent) {
        return n.to_string();
    }
    let sign = if exponent < 0 { '-' } else { '+' };
    format!("{digits}e{sign}{:02}", exponent.abs())
}

/// What statements that are prepared on this thread may do. A connection is only ever used by the thread that works
/// for it, so that this is the mode of the one statement that is being prepared.
enum Mode {
    /// The program's own: everything.
    Ours,
    /// A superuser's that only reads.
    Reading,
    /// A superuser's that writes, with the tables that it names so far.
    Writing(BTreeSet<String>),
    /// The program's own, with the tables that it reads so far.
    Noting(BTreeSet<String>),
}

thread_local! {
    static MODE: RefCell<Mode> = const { RefCell::new(Mode::Ours) };
}

/// A time in which statements of this thread are a superuser's.
struct Scope(());

impl Scope {
    fn enter(mode: Mode) -> Self {
        MODE.set(mode);
        Self(())
    }

    /// The tables named in this time.
    fn named(&self) -> BTreeSet<String> {
        let () = self.0;
        MODE.with_borrow_mut(|mode| match mode {
            Mode::Writing(tables) | Mode::Noting(tables) => std::mem::take(tables),
            Mode::Ours | Mode::Reading => BTreeSet::new(),
        })
    }
}

impl Drop for Scope {
    fn drop(&mut self) {
        MODE.set(Mode::Ours);
    }
}

/// The tables that a statement of ours reads, those behind views included.
pub(super) fn tables_read(
    connection: &Connection,
    text: &str,
) -> Result<BTreeSet<String>, StoreError> {
    let scope = Scope::enter(Mode::Noting(BTreeSet::new()));
    connection.prepare(text)?;
    Ok(scope.named())
}

/// The authorizer of every connection.
pub(super) fn authorize(context: AuthContext<'_>) -> Authorization {
    let allowed = MODE.with_borrow_mut(|mode| match mode {
        Mode::Ours => true,
        Mode::Reading => may_read(&context.action),
        Mode::Writing(tables) => may_write(&context.action, tables),
        Mode::Noting(tables) => {
            if let AuthAction::Read { table_name, .. } = &context.action {
                tables.insert((*table_name).to_owned());
            }
            true
        }
    });
    if allowed {
        Authorization::Allow
    } else {
        Authorization::Deny
    }
}

fn may_read(action: &AuthAction<'_>) -> bool {
    match action {
        AuthAction::Select | AuthAction::Read { .. } | AuthAction::Recursive => true,
        AuthAction::Function { function_name } => is_harmless(function_name),
        AuthAction::Pragma {
            pragma_name,
            pragma_value,
        } => is_harmless_pragma(pragma_name, *pragma_value),
        _ => false,
    }
}

/// What a writing console may do: rows and tables of this database; no other file, no transaction of its own, none of
/// the program's private tables.
fn may_write(action: &AuthAction<'_>, written: &mut BTreeSet<String>) -> bool {
    let mut note = |table: &str| {
        written.insert(table.to_owned());
        !table.starts_with("_burrow_")
    };
    match action {
        AuthAction::Select | AuthAction::Read { .. } | AuthAction::Recursive => true,
        AuthAction::Function { function_name } => is_harmless(function_name),
        AuthAction::Insert { table_name }
        | AuthAction::Delete { table_name }
        | AuthAction::Update { table_name, .. }
        | AuthAction::DropTable { table_name }
        | AuthAction::AlterTable { table_name, .. }
        | AuthAction::CreateTable { table_name }
        | AuthAction::CreateIndex { table_name, .. }
        | AuthAction::DropIndex { table_name, .. }
        | AuthAction::CreateTrigger { table_name, .. }
        | AuthAction::DropTrigger { table_name, .. } => note(table_name),
        AuthAction::CreateView { view_name } | AuthAction::DropView { view_name } => {
            note(view_name)
        }
        AuthAction::Reindex { .. } | AuthAction::Analyze { .. } => true,
        AuthAction::CreateTempTable { .. }
        | AuthAction::CreateTempIndex { .. }
        | AuthAction::CreateTempView { .. }
        | AuthAction::DropTempTable { .. }
        | AuthAction::DropTempIndex { .. }
        | AuthAction::DropTempView { .. } => true,
        _ => false,
    }
}

fn is_harmless(function: &str) -> bool {
    const FORBIDDEN: [&str; 5] = [
        "load_extension",
        "readfile",
        "writefile",
        "edit",
        "fts3_tokenizer",
    ];
    !FORBIDDEN
        .iter()
        .any(|name| name.eq_ignore_ascii_case(function))
}

/// Pragmas that tell and never change; those with a table or index as argument may have one.
fn is_harmless_pragma(name: &str, value: Option<&str>) -> bool {
    const ABOUT: [&str; 8] = [
        "table_info",
        "table_xinfo",
        "table_list",
        "index_list",
        "index_info",
        "index_xinfo",
        "foreign_key_list",
        "integrity_check",
    ];
    const PLAIN: [&str; 14] = [
        "user_version",
        "schema_version",
        "page_count",
        "page_size",
        "freelist_count",
        "journal_mode",
        "encoding",
        "compile_options",
        "function_list",
        "collation_list",
        "database_list",
        "foreign_keys",
        "data_version",
        "quick_check",
    ];
    let among = |known: &[&str]| known.iter().any(|known| known.eq_ignore_ascii_case(name));
    among(&ABOUT) || (value.is_none() && among(&PLAIN))
}

/// What the database says of a superuser's statement, in the contract's words: class, message, number.
#[must_use]
pub fn raw_text(error: &StoreError) -> String {
    let inner = match error {
        StoreError::Sqlite(inner) => inner,
        StoreError::NotUnique { table, columns } => {
            let names: Vec<String> = columns.iter().map(|c| format!("{table}.{c}")).collect();
            return format!(
                "constraint failed: UNIQUE constraint failed: {} ({})",
                names.join(", "),
                ffi::SQLITE_CONSTRAINT_UNIQUE
            );
        }
        other => return other.to_string(),
    };
    let (failure, message) = match inner {
        rusqlite::Error::SqliteFailure(failure, message) => {
            (failure, message.clone().unwrap_or_default())
        }
        rusqlite::Error::SqlInputError { error, msg, .. } => (error, msg.clone()),
        other => return other.to_string(),
    };
    let class = match failure.extended_code & 0xff {
        ffi::SQLITE_ERROR => "SQL logic error",
        ffi::SQLITE_CONSTRAINT => "constraint failed",
        ffi::SQLITE_AUTH => "authorization denied",
        ffi::SQLITE_READONLY => "attempt to write a readonly database",
        ffi::SQLITE_INTERRUPT => "interrupted",
        ffi::SQLITE_MISMATCH => "datatype mismatch",
        ffi::SQLITE_TOOBIG => "string or blob too big",
        _ => "database error",
    };
    format!("{class}: {message} ({})", failure.extended_code)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reals_are_written_as_the_contract_writes_them() {
        for (n, expected) in [
            (1.0, "1"),
            (1.5, "1.5"),
            (123_456.0, "123456"),
            (1e6, "1e+06"),
            (1_234_567.5, "1.2345675e+06"),
            (1e21, "1e+21"),
            (0.0001, "0.0001"),
            (0.00001, "1e-05"),
        ] {
            assert_eq!(real_text(n), expected);
        }
    }
}
