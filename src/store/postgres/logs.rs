//! Request logs in PostgreSQL: the table `_logs`, on a connection of their own.

use std::cell::RefCell;
use std::panic::{AssertUnwindSafe, catch_unwind};

use super::address::Address;
use super::session::Session;
use crate::kit::json::Json;
use crate::kit::limits;
use crate::kit::sql::{Dialect, Sql};
use crate::store::{LogEntry, StoreError};

/// The connection of the logs, made when it is first needed and again when it has broken.
pub(in crate::store) struct Logger {
    address: Address,
    session: RefCell<Option<Session>>,
}

impl Logger {
    pub(super) fn new(address: Address) -> Self {
        Self {
            address,
            session: RefCell::new(None),
        }
    }

    /// Runs `f` in one transaction; its changes are undone when it gives an error.
    pub(in crate::store) fn transaction<T, E: From<StoreError>>(
        &self,
        f: impl FnOnce(&Session) -> Result<T, E>,
    ) -> Result<T, E> {
        let known = self.session.take().filter(|session| !session.is_broken());
        let session = match known {
            Some(session) => session,
            None => Session::connect(&self.address)?,
        };
        session.begin_later(&format!(
            "BEGIN; SET LOCAL statement_timeout = {}",
            limits::READ_SECS_MAX * 1_000
        ));
        let result = catch_unwind(AssertUnwindSafe(|| f(&session)))
            .unwrap_or_else(|_| Err(StoreError::Closed.into()));
        let ended = if result.is_ok() {
            session.commit_begun()
        } else {
            session.rollback()
        };
        *self.session.borrow_mut() = Some(session);
        result.and_then(|value| ended.map(|()| value).map_err(E::from))
    }
}

/// Adds entries, all by one statement.
pub(in crate::store) fn append(session: &Session, entries: &[LogEntry]) -> Result<(), StoreError> {
    // No text of PostgreSQL holds a NUL.
    let text = |text: &str| Json::from(text.replace('\0', ""));
    let rows: Vec<Json> = entries
        .iter()
        .map(|entry| {
            Json::from(vec![
                text(&entry.id),
                Json::from(entry.level),
                text(&entry.message),
                text(&entry.data),
                text(&entry.created),
            ])
        })
        .collect();
    let mut sql = Sql::new(Dialect::Postgres);
    sql.push(
        "INSERT INTO _logs (id, level, message, data, created) \
         SELECT e ->> 0, (e ->> 1)::bigint, e ->> 2, e ->> 3, e ->> 4 FROM json_array_elements(",
    )
    .arg(crate::kit::json::to_text(&Json::Array(rows)))
    .push("::text::json) AS entry(e)");
    session.run(&sql).map(drop)
}
