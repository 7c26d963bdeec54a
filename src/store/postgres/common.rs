//! What the nodes of one database share besides records, in tables of its own: counts of a while, values that are good
//! once or for a while, and who does what. Each call is one short transaction on a connection for work in place.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use super::readers::Readers;
use super::session::Session;
use crate::kit::id;
use crate::kit::limits;
use crate::kit::sql::{Dialect, Sql};
use crate::kit::time::Timestamp;
use crate::kit::value::Cell;
use crate::store::StoreError;

/// The tables.
pub(super) const CREATE_TABLES: &str = "\
CREATE TABLE IF NOT EXISTS _burrow_counts (
  key text COLLATE \"C\" PRIMARY KEY,
  ends bigint NOT NULL,
  used bigint NOT NULL
);
CREATE TABLE IF NOT EXISTS _burrow_notes (
  kind text COLLATE \"C\" NOT NULL,
  key text COLLATE \"C\" NOT NULL,
  owner text COLLATE \"C\" NOT NULL,
  value text COLLATE \"C\" NOT NULL,
  ends bigint NOT NULL,
  nth bigint GENERATED ALWAYS AS IDENTITY UNIQUE,
  PRIMARY KEY (kind, key)
);
CREATE INDEX IF NOT EXISTS _burrow_notes_owner ON _burrow_notes (kind, owner);";

/// Bytes of a post that a notification carries itself; a longer one is left in the table.
const POST_BYTES_MAX: usize = 7_500;
/// How a notification begins that is the post, and one that says where it is.
const WHOLE: char = '=';
const ELSEWHERE: char = '@';
const LONG_POST: &str = "post";

/// Calls between two removals of what has ended.
const CALLS_PER_SWEEP: u32 = 256;
/// Minutes by which a claim may lie in the future, set by a clock that was wrong, before it counts for nothing.
const CLAIM_AHEAD_MAX: i64 = 120;

/// What all nodes of a database know. Cheap to clone.
#[derive(Clone)]
pub struct Common {
    readers: Arc<Readers>,
    calls: Arc<AtomicU32>,
}

impl std::fmt::Debug for Common {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Common")
    }
}

/// Where a count stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Counted {
    /// How many, this one included.
    pub used: i64,
    /// When it begins anew.
    pub ends: Timestamp,
}

/// A value that ends.
#[derive(Clone, Copy, Debug)]
pub struct Note<'a> {
    /// What it is.
    pub kind: &'static str,
    /// Names it among those of its kind.
    pub key: &'a str,
    /// Whose it is; empty for nobody's.
    pub owner: &'a str,
    /// The value.
    pub value: &'a str,
    /// When it ends.
    pub ends: Timestamp,
}

fn sql(text: &'static str) -> Sql {
    let mut sql = Sql::new(Dialect::Postgres);
    sql.push(text);
    sql
}

fn text(session: &Session, sql: &Sql) -> Result<Option<String>, StoreError> {
    session.query_one(sql, |row| row.cell(0).text_or_empty().to_owned())
}

impl Common {
    pub(super) fn new(readers: Arc<Readers>) -> Self {
        Self {
            readers,
            calls: Arc::default(),
        }
    }

    fn run<T>(
        &self,
        now: Timestamp,
        f: impl FnOnce(&Session) -> Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        let done = self.readers.write_here(f)?;
        if self
            .calls
            .fetch_add(1, Ordering::Relaxed)
            .is_multiple_of(CALLS_PER_SWEEP)
            && let Err(error) = self.readers.write_here(|session| sweep(session, now))
        {
            tracing::warn!(%error, "what has ended was not removed");
        }
        Ok(done)
    }

    /// Adds one to the count of each of `keys`, which lasts for the milliseconds beside it, unless `admits` says no to
    /// what they would be: then nothing is counted. Nobody else counts the same meanwhile.
    ///
    /// # Errors
    /// The store's own.
    pub fn count(
        &self,
        keys: &[(&str, i64)],
        now: Timestamp,
        admits: impl FnOnce(&[Counted]) -> bool,
    ) -> Result<(Vec<Counted>, bool), StoreError> {
        let mut counted = Vec::with_capacity(keys.len());
        let mut admitted = false;
        let done = self.run(now, |session| {
            // Always in the same order, or two could wait for each other.
            let mut order: Vec<usize> = (0..keys.len()).collect();
            order.sort_by_key(|at| keys[*at].0);
            let mut found = vec![None; keys.len()];
            for at in order {
                found[at] = add(session, keys[at], now)?;
            }
            counted.extend(found.into_iter().flatten());
            admitted = counted.len() == keys.len() && admits(&counted);
            if admitted {
                Ok(())
            } else {
                Err(StoreError::Gone)
            }
        });
        match done {
            Err(StoreError::Gone) if !admitted && counted.len() == keys.len() => {
                Ok((counted, false))
            }
            Err(error) => Err(error),
            Ok(()) => Ok((counted, true)),
        }
    }

    /// Takes one from the count of `key`.
    ///
    /// # Errors
    /// The store's own.
    pub fn uncount(&self, key: &str, now: Timestamp) -> Result<(), StoreError> {
        self.run(now, |session| {
            let mut sql =
                sql("UPDATE _burrow_counts SET used = used - 1 WHERE used > 0 AND key = ");
            sql.arg(key);
            session.run(&sql).map(drop)
        })
    }

    /// Forgets the count of `key`.
    ///
    /// # Errors
    /// The store's own.
    pub fn forget(&self, key: &str, now: Timestamp) -> Result<(), StoreError> {
        self.run(now, |session| {
            let mut sql = sql("DELETE FROM _burrow_counts WHERE key = ");
            sql.arg(key);
            session.run(&sql).map(drop)
        })
    }

    /// Keeps a value, in the place of one of the same name.
    ///
    /// # Errors
    /// The store's own.
    pub fn keep(&self, note: Note<'_>, now: Timestamp) -> Result<(), StoreError> {
        self.run(now, |session| {
            let mut sql = sql("INSERT INTO _burrow_notes (kind, key, owner, value, ends) VALUES (");
            for text in [note.kind, note.key, note.owner, note.value] {
                sql.arg(text).push(", ");
            }
            sql.arg(note.ends.as_millis()).push(
                ") ON CONFLICT (kind, key) DO UPDATE SET owner = excluded.owner, value = excluded.value, \
                 ends = excluded.ends",
            );
            session.run(&sql).map(drop)
        })
    }

    /// Tells `post` to every node of the database, this one included.
    ///
    /// # Errors
    /// The store's own.
    pub fn post(&self, post: &str) -> Result<(), StoreError> {
        self.readers.write_here(|session| {
            let mut payload = format!("{WHOLE}{post}");
            if post.len() > POST_BYTES_MAX {
                let key = id::random(30, id::ALNUM);
                let mut sql =
                    sql("INSERT INTO _burrow_notes (kind, key, owner, value, ends) VALUES (");
                for text in [LONG_POST, &key, "", post] {
                    sql.arg(text).push(", ");
                }
                sql.push("(extract(epoch FROM clock_timestamp()) * 1000)::bigint + 60000)");
                session.run(&sql)?;
                payload = format!("{ELSEWHERE}{key}");
            }
            let mut sql = sql("SELECT pg_notify('burrow_posts', ");
            sql.arg(payload).push(")::text");
            text(session, &sql).map(drop)
        })
    }

    /// The post that a notification brings.
    pub(super) fn posted(&self, payload: &str) -> Result<Option<String>, StoreError> {
        if let Some(post) = payload.strip_prefix(WHOLE) {
            return Ok(Some(post.to_owned()));
        }
        let Some(key) = payload.strip_prefix(ELSEWHERE) else {
            return Ok(None);
        };
        self.readers.write_here(|session| {
            let mut sql = sql("SELECT value FROM _burrow_notes WHERE kind = ");
            sql.arg(LONG_POST).push(" AND key = ").arg(key);
            text(session, &sql)
        })
    }

    /// Takes a value out: nobody else gets it any more.
    ///
    /// # Errors
    /// The store's own.
    pub fn take(
        &self,
        kind: &'static str,
        key: &str,
        now: Timestamp,
    ) -> Result<Option<String>, StoreError> {
        self.run(now, |session| {
            let mut sql = sql("DELETE FROM _burrow_notes WHERE kind = ");
            sql.arg(kind).push(" AND key = ").arg(key);
            sql.push(" RETURNING CASE WHEN ends > ")
                .arg(now.as_millis())
                .push(" THEN value END");
            let found = session.query_one(&sql, |row| match row.cell(0) {
                Cell::Text(text) => Some(text.to_owned()),
                _ => None,
            })?;
            Ok(found.flatten())
        })
    }

    /// The owner of a value.
    ///
    /// # Errors
    /// The store's own.
    pub fn owner(
        &self,
        kind: &'static str,
        key: &str,
        now: Timestamp,
    ) -> Result<Option<String>, StoreError> {
        self.run(now, |session| {
            let mut sql = sql("SELECT owner FROM _burrow_notes WHERE kind = ");
            sql.arg(kind).push(" AND key = ").arg(key);
            sql.push(" AND ends > ").arg(now.as_millis());
            text(session, &sql)
        })
    }

    /// The names of the values of `owner`, the oldest first.
    ///
    /// # Errors
    /// The store's own.
    pub fn owned(
        &self,
        kind: &'static str,
        owner: &str,
        now: Timestamp,
    ) -> Result<Vec<String>, StoreError> {
        self.run(now, |session| {
            let mut sql = sql("SELECT key FROM _burrow_notes WHERE kind = ");
            sql.arg(kind).push(" AND owner = ").arg(owner);
            sql.push(" AND ends > ").arg(now.as_millis());
            sql.push(" ORDER BY nth");
            let mut keys = Vec::new();
            session.query_rows(&sql, &mut |row| {
                keys.push(row.cell(0).text_or_empty().to_owned())
            })?;
            Ok(keys)
        })
    }

    /// Whether `work` of the moment `number` is this node's to do: of all that ask for it, one is told so.
    ///
    /// # Errors
    /// The store's own.
    pub fn claim(&self, work: &str, number: i64, now: Timestamp) -> Result<bool, StoreError> {
        self.run(now, |session| {
            let mut sql = sql("INSERT INTO _burrow_meta AS m (key, value) VALUES (");
            sql.arg(format!("claim {work}"))
                .push(", ")
                .arg(number.to_string());
            sql.push(
                ") ON CONFLICT (key) DO UPDATE SET value = excluded.value \
                 WHERE m.value::bigint < excluded.value::bigint OR m.value::bigint > ",
            )
            .arg(number + CLAIM_AHEAD_MAX)
            .push(" RETURNING key");
            Ok(text(session, &sql)?.is_some())
        })
    }
}

fn add(
    session: &Session,
    (key, millis): (&str, i64),
    now: Timestamp,
) -> Result<Option<Counted>, StoreError> {
    // A window that ends later than one of now was begun by a clock that was wrong.
    let (now, end) = (now.as_millis(), now.plus_millis(millis).as_millis());
    let mut sql = sql("INSERT INTO _burrow_counts AS c (key, ends, used) VALUES (");
    sql.arg(key)
        .push(", ")
        .arg(end)
        .push(", 1) ON CONFLICT (key) DO UPDATE SET used = CASE WHEN c.ends <= ");
    sql.arg(now)
        .push(" OR c.ends > excluded.ends THEN 1 ELSE c.used + 1 END, ends = CASE WHEN c.ends <= ");
    sql.arg(now)
        .push(" OR c.ends > excluded.ends THEN excluded.ends ELSE c.ends END RETURNING used, ends");
    let int = |cell: Cell<'_>| match cell {
        Cell::Int(n) => n,
        Cell::Null | Cell::Real(_) | Cell::Text(_) | Cell::Blob(_) => 0,
    };
    session.query_one(&sql, |row| Counted {
        used: int(row.cell(0)),
        ends: Timestamp::from_millis(int(row.cell(1))),
    })
}

/// Removes what has ended, and the oldest values where there are too many.
fn sweep(session: &Session, now: Timestamp) -> Result<(), StoreError> {
    for text in [
        "DELETE FROM _burrow_counts WHERE key IN (SELECT key FROM _burrow_counts WHERE ends <= ",
        "DELETE FROM _burrow_notes WHERE nth IN (SELECT nth FROM _burrow_notes WHERE ends <= ",
    ] {
        let mut sql = sql(text);
        sql.arg(now.as_millis()).push(" FOR UPDATE SKIP LOCKED)");
        session.run(&sql)?;
    }
    let mut sql = sql(
        "DELETE FROM _burrow_notes WHERE nth IN (SELECT nth FROM _burrow_notes ORDER BY nth DESC OFFSET ",
    );
    sql.arg(limits::NOTES_MAX).push(" FOR UPDATE SKIP LOCKED)");
    session.run(&sql).map(drop)
}
