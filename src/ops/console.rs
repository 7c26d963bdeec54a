//! The superusers' SQL console: what it answers, and a line in the log for each run.

use std::time::{Duration, Instant};

use serde::Serialize;

use super::logs::{Entry, Logs};
use super::{Error, logs};
use crate::call::Call;
use crate::kit::json::{Json, JsonMap};
use crate::kit::limits::{CONSOLE_QUERY_CHARS_MAX, WRITE_ALONE_SECS_MAX};
use crate::schema::{FieldError, FieldErrors};
use crate::store::{ConsoleRows, Store, StoreError, SuperuserSql, raw_text};

/// The answer to a run.
#[derive(Debug, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Outcome {
    exec_time: u64,
    affected_rows: u64,
    columns: Vec<Column>,
    rows: Vec<Vec<Option<String>>>,
}

#[derive(Debug, Serialize)]
struct Column {
    name: String,
    #[serde(rename = "type")]
    declared: String,
    nullable: bool,
}

/// What a run may do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    /// Whatever its first word says.
    Full,
    /// Only read: a statement that writes is refused by the database itself.
    ReadOnly,
}

/// Runs `query` for the superuser of `call`.
///
/// # Errors
/// [`Error::Invalid`] when it is empty or too long, [`Error::Raw`] with the database's words when it fails.
pub async fn run(
    store: &Store,
    logs: &Logs,
    call: &Call,
    query: &str,
    access: Access,
) -> Result<Outcome, Error> {
    check(query)?;
    if query.trim().is_empty() {
        return Err(failed("empty query".to_owned()));
    }
    note(logs, call, query);
    let sql = SuperuserSql::new(query);
    let started = Instant::now();
    let result = if access == Access::Full && sql.writes() {
        let most = Duration::from_secs(WRITE_ALONE_SECS_MAX);
        store
            .write_alone(most, move |tx| tx.console(&sql))
            .await
            .map(|affected_rows| Outcome {
                affected_rows,
                ..Outcome::default()
            })
    } else {
        store.read(move |tx| tx.console(&sql)).await.map(outcome)
    };
    let mut outcome = result.map_err(|error: StoreError| failed(raw_text(&error)))?;
    outcome.exec_time = u64::try_from(started.elapsed().as_millis()).unwrap_or(u64::MAX);
    Ok(outcome)
}

fn check(query: &str) -> Result<(), Error> {
    let error = if query.is_empty() {
        FieldError::required()
    } else if query.chars().count() > CONSOLE_QUERY_CHARS_MAX {
        let message = format!("The length must be no more than {CONSOLE_QUERY_CHARS_MAX}.");
        FieldError::new("validation_length_too_long", message)
            .with("min", 0)
            .with("max", CONSOLE_QUERY_CHARS_MAX)
    } else {
        return Ok(());
    };
    Err(Error::Invalid {
        message: "An error occurred while validating the submitted data.",
        data: FieldErrors::one("query", error),
    })
}

fn failed(raw: String) -> Error {
    Error::Raw {
        message: "Failed to execute query.",
        gap: "",
        raw,
    }
}

/// Every run leaves its text in the log.
fn note(logs: &Logs, call: &Call, query: &str) {
    let mut data = JsonMap::new();
    let who = call.actor.record().map_or("", |record| record.id());
    data.insert("type".to_owned(), Json::from("console"));
    data.insert("query".to_owned(), Json::from(query));
    data.insert("superuser".to_owned(), Json::from(who));
    data.insert(
        "userIP".to_owned(),
        Json::from(logs::expanded(call.client_ip)),
    );
    logs.note(Entry {
        at: call.now,
        level: 0,
        message: "SQL console".to_owned(),
        data,
    });
}

fn outcome(rows: ConsoleRows) -> Outcome {
    Outcome {
        columns: rows
            .columns
            .into_iter()
            .map(|column| Column {
                name: column.name,
                declared: column.declared,
                nullable: true,
            })
            .collect(),
        rows: rows.rows,
        ..Outcome::default()
    }
}
