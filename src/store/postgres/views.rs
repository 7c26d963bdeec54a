//! View queries in PostgreSQL, and views that are out of the way while a table changes, which it refuses otherwise.

use tokio_postgres::types::Type;

use super::ddl::{quoted, refused, requoted, run, words};
use super::session::Session;
use crate::kit::sql::{Dialect, Sql};
use crate::kit::value::Value;
use crate::schema::view::ViewQuery;
use crate::schema::{Collection, Field, FieldKind, Kind};
use crate::store::StoreError;
use crate::store::ddl::DdlError;
use crate::store::view::PROBED_ROWS;

/// The query as a table: whatever it says, only a SELECT can stand here. Its last line may be a comment.
fn wrapped(query: &ViewQuery) -> String {
    format!("SELECT * FROM ({}\n) AS \"_q\"", requoted(query.text()))
}

fn said(error: StoreError) -> String {
    match error {
        StoreError::Postgres(error) => words(&error),
        other => other.to_string(),
    }
}

/// The names of the columns of a query.
pub(in crate::store) fn columns(
    session: &Session,
    query: &ViewQuery,
) -> Result<Vec<String>, String> {
    let described = session.attempt(|| session.describe(&wrapped(query)));
    let described = described.map_err(said)?;
    Ok(described.into_iter().map(|(name, _)| name).collect())
}

/// The first rows of a query, cells in the order of its columns.
pub(in crate::store) fn sample(
    session: &Session,
    query: &ViewQuery,
) -> Result<Vec<Vec<Value>>, String> {
    first_rows(session, query).map_err(said)
}

/// Whether a query comes to an end within the deadline.
pub(in crate::store) fn try_run(session: &Session, query: &ViewQuery) -> Result<(), StoreError> {
    match first_rows(session, query) {
        Err(StoreError::Timeout) => Err(StoreError::Timeout),
        Ok(_) | Err(_) => Ok(()),
    }
}

fn first_rows(session: &Session, query: &ViewQuery) -> Result<Vec<Vec<Value>>, StoreError> {
    let text = format!("{} LIMIT {PROBED_ROWS}", wrapped(query));
    let rows = session.attempt(|| session.simple(&text))?;
    let value = |cell: Option<String>| cell.map_or(Value::Null, Value::from);
    Ok(rows
        .into_iter()
        .map(|row| row.into_iter().map(value).collect())
        .collect())
}

/// The names of the tables and views that a saved view reads, those behind views included.
pub(in crate::store) fn tables_behind(
    session: &Session,
    view: &str,
) -> Result<Vec<String>, StoreError> {
    let mut sql = Sql::new(Dialect::Postgres);
    sql.push(
        "WITH RECURSIVE behind(oid) AS (\
           SELECT c.oid FROM pg_class c WHERE c.relnamespace = current_schema()::regnamespace AND c.relname = ",
    )
    .arg(view)
    .push(
        " UNION SELECT d.refobjid FROM behind b \
           JOIN pg_rewrite r ON r.ev_class = b.oid \
           JOIN pg_depend d ON d.classid = 'pg_rewrite'::regclass AND d.objid = r.oid \
             AND d.refclassid = 'pg_class'::regclass AND d.refobjid <> b.oid\
         ) SELECT DISTINCT c.relname::text FROM behind b JOIN pg_class c ON c.oid = b.oid",
    );
    let mut names = Vec::new();
    session.query_rows(&sql, &mut |row| {
        names.push(row.cell(0).text_or_empty().to_owned());
    })?;
    Ok(names)
}

/// Whether everything that a saved view reads is there.
pub(in crate::store) fn works(session: &Session, name: &str) -> bool {
    let text = format!("SELECT * FROM {}", quoted(name));
    session.attempt(|| session.describe(&text)).is_ok()
}

/// Makes a view collection's view; an older one of the name `before` goes.
pub(in crate::store) fn create(
    session: &Session,
    view: &Collection,
    before: Option<&str>,
) -> Result<(), DdlError> {
    let mut others = Views::default();
    if let Some(before) = before {
        // Others may stand on it.
        others = Views::set_aside(session)?;
        others.all.retain(|(name, _)| name != before);
    }
    let Kind::View(options) = &view.kind else {
        return Ok(());
    };
    let query = ViewQuery::parse(&options.view_query).map_err(DdlError::Refused)?;
    // What the query reads may be among those set aside.
    others.put_back_what_works(session)?;
    let text = physical_text(session, &query, &view.fields).map_err(refused)?;
    run(
        session,
        &format!("CREATE VIEW {} AS {text}", quoted(&view.name)),
    )?;
    others.put_back(session, "")
}

/// What follows `CREATE VIEW name AS`: every column of the type that a table's would have.
fn physical_text(
    session: &Session,
    query: &ViewQuery,
    fields: &[Field],
) -> Result<String, StoreError> {
    let types = session.describe(&wrapped(query))?;
    let columns: Vec<String> = fields
        .iter()
        .map(|field| {
            let name = quoted(&field.name);
            let found = types.iter().find(|(known, _)| *known == field.name);
            let boolean = found.is_some_and(|(_, kind)| *kind == Type::BOOL);
            let plain = if boolean {
                format!("{name}::int")
            } else {
                name.clone()
            };
            let cast = match &field.kind {
                FieldKind::Number(_) => "float8",
                FieldKind::Bool => "smallint",
                _ => "text COLLATE \"C\"",
            };
            format!("({plain})::{cast} AS {name}")
        })
        .collect();
    Ok(format!(
        "SELECT {} FROM ({}\n) AS \"_q\"",
        columns.join(", "),
        requoted(query.text())
    ))
}

/// Views that are out of the way.
#[derive(Default)]
pub(super) struct Views {
    /// Names and texts, the older ones first.
    all: Vec<(String, String)>,
}

impl Views {
    pub(super) fn set_aside(session: &Session) -> Result<Self, DdlError> {
        let read = session.simple(
            "SELECT c.relname, pg_get_viewdef(c.oid) FROM pg_class c \
             WHERE c.relkind = 'v' AND c.relnamespace = current_schema()::regnamespace \
             AND NOT EXISTS (SELECT 1 FROM pg_depend d WHERE d.objid = c.oid AND d.deptype = 'e') ORDER BY c.oid",
        );
        let all: Vec<(String, String)> = read
            .map_err(refused)?
            .into_iter()
            .filter_map(|row| {
                let mut row = row.into_iter();
                Some((row.next()??, row.next()??))
            })
            .collect();
        if !all.is_empty() {
            let names: Vec<String> = all.iter().map(|(name, _)| quoted(name)).collect();
            run(session, &format!("DROP VIEW {}", names.join(", ")))?;
        }
        Ok(Self { all })
    }

    /// Makes those again that can be; the others wait for what they read.
    fn put_back_what_works(&mut self, session: &Session) -> Result<(), DdlError> {
        loop {
            let before = self.all.len();
            let mut waiting = Vec::new();
            for (name, text) in std::mem::take(&mut self.all) {
                let create = format!("CREATE VIEW {} AS {text}", quoted(&name));
                match session.attempt(|| run(session, &create)) {
                    Ok(()) => {}
                    Err(DdlError::Refused(_)) => waiting.push((name, text)),
                    Err(other) => return Err(other),
                }
            }
            self.all = waiting;
            if self.all.is_empty() || self.all.len() == before {
                return Ok(());
            }
        }
    }

    /// Makes them all again, without the column called `dropped`.
    pub(super) fn put_back(mut self, session: &Session, dropped: &str) -> Result<(), DdlError> {
        self.put_back_what_works(session)?;
        let Some((name, text)) = self.all.first() else {
            return Ok(());
        };
        let create = format!("CREATE VIEW {} AS {text}", quoted(name));
        match session.attempt(|| run(session, &create)) {
            Err(DdlError::Refused(text)) => Err(DdlError::Refused(format!(
                "failed to drop column {dropped} - error in view {name} after drop column: {text}"
            ))),
            other => other,
        }
    }
}
