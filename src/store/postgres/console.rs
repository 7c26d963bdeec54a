//! A superuser's own SQL in PostgreSQL: statements of kinds that neither end the transaction nor leave it.

use std::collections::BTreeSet;

use tokio_postgres::types::Type;

use super::ddl::requoted;
use super::session::Session;
use super::statements;
use crate::kit::limits::CONSOLE_ROWS_MAX;
use crate::store::StoreError;
use crate::store::console::{ConsoleColumn, ConsoleRows, SuperuserSql};

const READING: [&str; 6] = ["SELECT", "WITH", "VALUES", "TABLE", "EXPLAIN", "SHOW"];
const WRITING: [&str; 11] = [
    "INSERT", "UPDATE", "DELETE", "MERGE", "CREATE", "ALTER", "DROP", "TRUNCATE", "COMMENT",
    "REINDEX", "ANALYZE",
];

/// Runs a statement that only reads; the transaction sees to that.
pub(in crate::store) fn read(
    session: &Session,
    sql: &SuperuserSql,
) -> Result<ConsoleRows, StoreError> {
    let text = requoted(sql.text());
    let text = text.trim().trim_end_matches(';');
    if text.is_empty() {
        return Ok(ConsoleRows::default());
    }
    if !READING.contains(&first_word(text).as_str()) {
        return Err(StoreError::Refused);
    }
    session.attempt(|| {
        // Only one statement can be prepared, and so only one runs.
        let columns = session.describe(text)?;
        let rows = session.simple(text)?;
        let mut rows: Vec<Vec<Option<String>>> = rows.into_iter().take(CONSOLE_ROWS_MAX).collect();
        for row in &mut rows {
            for (cell, (_, kind)) in row.iter_mut().zip(&columns) {
                if *kind == Type::BOOL
                    && let Some(text) = cell
                {
                    *text = if text == "t" { "1" } else { "0" }.to_owned();
                }
            }
        }
        let columns = columns
            .into_iter()
            .map(|(name, kind)| ConsoleColumn {
                name,
                declared: kind.name().to_uppercase(),
            })
            .collect();
        Ok(ConsoleRows { columns, rows })
    })
}

/// Runs statements that write; how many rows they changed, and the tables that they may have changed.
pub(in crate::store) fn write(
    session: &Session,
    sql: &SuperuserSql,
) -> Result<(u64, BTreeSet<String>), StoreError> {
    let text = requoted(sql.text());
    let statements = statements::split(&text);
    let words: Vec<String> = statements.iter().map(|text| first_word(text)).collect();
    let is_known =
        |word: &String| READING.contains(&word.as_str()) || WRITING.contains(&word.as_str());
    if words.is_empty() || !words.iter().all(is_known) {
        return Err(StoreError::Refused);
    }
    let mut affected = 0;
    for statement in statements {
        // Prepared, and so one statement, whatever this one takes for the end of it.
        affected += session.execute(statement)?;
    }
    // Whatever was written is locked by this transaction to its end.
    let locked = session.simple(
        "SELECT DISTINCT c.relname FROM pg_locks l JOIN pg_class c ON c.oid = l.relation \
         WHERE l.pid = pg_backend_pid() AND l.locktype = 'relation' AND l.granted AND c.relkind IN ('r', 'v', 'p', 'm') \
         AND c.relnamespace <> 'pg_catalog'::regnamespace \
         AND l.mode IN ('RowExclusiveLock', 'ShareUpdateExclusiveLock', 'ShareLock', 'ShareRowExclusiveLock', \
         'ExclusiveLock', 'AccessExclusiveLock')",
    )?;
    let mut tables: BTreeSet<String> = locked
        .into_iter()
        .filter_map(|row| row.into_iter().next()?)
        .collect();
    if tables.iter().any(|table| table.starts_with("_burrow_")) {
        return Err(StoreError::Refused);
    }
    let shapes = |word: &String| ["CREATE", "ALTER", "DROP"].contains(&word.as_str());
    if words.iter().any(shapes) {
        tables.insert("sqlite_master".to_owned());
    }
    Ok((affected as u64, tables))
}

/// The first word behind comments, in upper case.
fn first_word(text: &str) -> String {
    let mut rest = text.trim_start();
    loop {
        if let Some(comment) = rest.strip_prefix("--") {
            rest = comment.split_once('\n').map_or("", |(_, rest)| rest);
        } else if let Some(comment) = rest.strip_prefix("/*") {
            rest = comment.split_once("*/").map_or("", |(_, rest)| rest);
        } else {
            break;
        }
        rest = rest.trim_start();
    }
    rest.chars()
        .skip_while(|c| *c == '(')
        .take_while(char::is_ascii_alphabetic)
        .collect::<String>()
        .to_ascii_uppercase()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn comments_hide_no_word() {
        for (text, word) in [
            (" select 1", "SELECT"),
            ("-- x\n/* y */ Commit", "COMMIT"),
            ("(values (1))", "VALUES"),
            ("/* open", ""),
        ] {
            assert_eq!(first_word(text), word, "{text}");
        }
    }
}
