//! From PostgreSQL back into the directory, while no server is there.

use std::path::Path;
use std::time::Instant;

use super::line::Table;
use super::{Graduated, Moved, Step, Sum, differs};
use crate::kit::secret::Secret;
use crate::schema::{Collection, Schema};
use crate::store::StoreError;
use crate::store::directory::{Restore, hold_alone, moved_to, note_return};
use crate::store::postgres::moving::{Found, Moving};
use crate::store::sqlite::homecoming::Homecoming;

/// The mark of a database that was left.
const LEFT: &str = "left";
/// Rows that are fetched together.
const TOGETHER: u64 = 10_000;

/// Makes the databases of the directory `dir` anew from the PostgreSQL at `address`, which no server uses any more from
/// then on. The next opening puts them in; what was there before stays in `.burrow/before-restore`. `without_views` leaves out
/// the view collections whose SQL SQLite does not take.
///
/// # Errors
/// [`StoreError::Directory`] with what to do; else the databases' own. Then everything is as it was.
pub fn back(
    dir: &Path,
    address: &Secret<String>,
    without_views: bool,
    told: &mut dyn FnMut(Step<'_>),
) -> Result<Graduated, StoreError> {
    let _held = hold_alone(dir)?;
    let from = Moving::open(address)?;
    let cannot =
        |error: std::io::Error| StoreError::Directory(format!("{}: {error}", dir.display()));
    match from.found()? {
        Found::Whole => {}
        // An interrupted call had come this far.
        Found::OnItsWay(noted) if noted == LEFT && moved_to(dir)?.is_some() => {
            note_return(dir)?;
            return Ok(Graduated::default());
        }
        Found::OnItsWay(_) | Found::Empty => {
            return Err(StoreError::Directory(
                "the database holds no Burrow that could come back, or it has come back before"
                    .to_owned(),
            ));
        }
    }
    if !from.keep_servers_away()? {
        return Err(StoreError::Directory(
            "servers use the database: stop them first".to_owned(),
        ));
    }
    let begun = Instant::now();
    let restore = Restore::of(dir);
    restore.confirm().map_err(cannot)?;
    let new = restore.prepare().map_err(cannot)?;
    restore.keep_rest(&new).map_err(cannot)?;
    for stale in ["auxiliary.db", "auxiliary.db-wal", "auxiliary.db-shm"] {
        std::fs::remove_file(new.join(stale)).ok();
    }
    let fetched = from.held(|| fetch(&from, &new, without_views, told));
    let mut done = fetched.inspect_err(|_| drop(restore.forget()))?;
    done.copying = begun.elapsed();
    restore.ready().map_err(cannot)?;
    from.note(LEFT)?;
    note_return(dir)?;
    Ok(done)
}

fn fetch(
    from: &Moving,
    folder: &Path,
    without_views: bool,
    told: &mut dyn FnMut(Step<'_>),
) -> Result<Graduated, StoreError> {
    let (epoch, key) = from.log()?;
    let to = Homecoming::begin(folder, epoch, &key)?;
    let schema = from.schema()?;
    let mut done = Graduated::default();
    for collection in schema.iter().filter(|one| !one.is_view()) {
        to.make(collection)?;
        let table = Table::of(collection);
        let sum = fetch_table(from, &to, &table, &|_| true, &mut done.rows, told)?;
        done.tables.push(Moved {
            name: table.name,
            sum,
        });
    }
    let left_out = make_views(&to, &schema, without_views)?;
    let is_kept = |line: &[u8]| {
        let id = line.split(|byte| *byte == b'\t').next().unwrap_or_default();
        !left_out
            .iter()
            .any(|view| view.id.as_str().as_bytes() == id)
    };
    fetch_table(
        from,
        &to,
        &Table::collections(),
        &is_kept,
        &mut done.rows,
        told,
    )?;
    for table in [
        Table::migrations(),
        Table::params(),
        Table::changes(),
        Table::logs(),
    ] {
        fetch_table(from, &to, &table, &|_| true, &mut done.rows, told)?;
    }
    to.end()?;
    done.left_out = left_out.iter().map(|view| view.name.to_string()).collect();
    Ok(done)
}

/// Copies a table, some rows at a time, and compares the copy.
fn fetch_table(
    from: &Moving,
    to: &Homecoming,
    table: &Table,
    is_kept: &(dyn Fn(&[u8]) -> bool + Sync),
    rows: &mut u64,
    told: &mut dyn FnMut(Step<'_>),
) -> Result<Sum, StoreError> {
    let (mut sent, mut after) = (Sum::default(), i64::MIN);
    loop {
        let (mut lines, mut read) = (Vec::new(), 0);
        let condition = table.part(after, TOGETHER);
        from.lines(table, &condition, &mut |line| {
            read += 1;
            if is_kept(line) {
                sent.add(line);
            }
            lines.push(line.to_vec());
        })?;
        for line in &lines {
            let cells = table.read(line.strip_suffix(b"\n").unwrap_or(line));
            after = table.number(&cells).unwrap_or(after);
            if is_kept(line) {
                to.add(table, &cells)?;
                *rows += 1;
            }
        }
        told(Step {
            what: &table.name,
            rows: *rows,
            of: 0,
        });
        if condition.is_empty() || read < TOGETHER {
            break;
        }
    }
    if to.sum(table)? != sent {
        return Err(differs(table));
    }
    Ok(sent)
}

/// Makes all views, those first that others stand on; those that SQLite does not take.
fn make_views<'a>(
    to: &Homecoming,
    schema: &'a Schema,
    without_views: bool,
) -> Result<Vec<&'a Collection>, StoreError> {
    let mut waiting: Vec<&Collection> = schema
        .iter()
        .filter(|one| one.is_view())
        .map(AsRef::as_ref)
        .collect();
    loop {
        let mut refused = Vec::new();
        for view in &waiting {
            if let Some(why) = to.make_view(view)? {
                refused.push((*view, why));
            }
        }
        let is_end = refused.is_empty() || refused.len() == waiting.len();
        if is_end && !refused.is_empty() && !without_views {
            let lines = refused
                .iter()
                .map(|(view, why)| format!("\n  {}: {why}", view.name));
            return Err(StoreError::Directory(format!(
                "SQLite does not take the SQL of these view collections (--without-views leaves them out):{}",
                lines.collect::<String>()
            )));
        }
        waiting = refused.into_iter().map(|(view, _)| view).collect();
        if is_end {
            return Ok(waiting);
        }
    }
}
