//! Moving the data of a directory to PostgreSQL, while a server goes on writing to it, and back.
//!
//! One state of the directory after another is brought over. The first is copied table by table; what has happened since is
//! taken from the change log, record by record, so that each state that was noted in the target is one that was. Who comes
//! back after an interruption goes on from what was noted. When a state costs next to nothing to follow, writes are held
//! up, the last one is brought over, and the directory is marked as gone in the transaction that held them up.

mod back;
mod line;

use std::collections::BTreeMap;
use std::path::Path;
use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};

use super::StoreError;
use super::directory::note_move;
use super::postgres::moving::{Found, Moving};
use super::sqlite::departure::{Changed, Chunk, Departure};
use crate::kit::secret::Secret;
use crate::schema::{Collection, Schema, StoredCollection};

pub use back::back;
pub use line::Sum;
pub(super) use line::Table;

/// The switch comes when no more than so many changes were to be followed.
const CALM: u64 = 500;
/// Records that are followed at a time: so many rows are held in memory.
const FOLLOWED_TOGETHER: usize = 500;
/// After so many states it comes all the same.
const STATES_MAX: u32 = 50;
/// A writer that the switch holds up waits as long as for any lock, so that it must not take longer.
const SWITCHES_MAX: u32 = 5;

/// How far it has come.
#[derive(Clone, Copy, Debug)]
pub struct Step<'a> {
    /// What is being done.
    pub what: &'a str,
    /// Rows that were brought over.
    pub rows: u64,
    /// Rows of the first state.
    pub of: u64,
}

/// A table that was brought over and compared.
#[derive(Clone, Debug)]
pub struct Moved {
    /// Its name.
    pub name: String,
    /// What it held when it was compared; the same on both sides.
    pub sum: Sum,
}

/// What was done.
#[derive(Clone, Debug, Default)]
pub struct Graduated {
    /// All tables.
    pub tables: Vec<Moved>,
    /// Rows that were copied by this process, before what followed.
    pub rows: u64,
    /// How long copying and comparing them took.
    pub copying: Duration,
    /// Changes that happened meanwhile and were followed.
    pub followed: u64,
    /// How long writes were held up.
    pub held_up: Duration,
    /// View collections that the other engine does not take.
    pub left_out: Vec<String>,
}

/// What is noted in the target.
#[derive(Debug, Default, Serialize, Deserialize)]
struct Noted {
    /// Epoch of the log that the data belongs to.
    epoch: u64,
    /// The state that is there.
    position: u64,
    /// Last entry of the log, and number of the last request log, that were copied.
    changes: i64,
    logs: i64,
    parts: BTreeMap<String, Part>,
    /// Views that were left out, by id.
    left_out: BTreeMap<String, String>,
}

/// Of the table of a collection.
#[derive(Clone, Copy, Debug, Default, Serialize, Deserialize)]
struct Part {
    /// Number of the last row that is there; all of them where that is the highest.
    upto: Option<i64>,
    indexed: bool,
    sum: Option<Sum>,
}

/// All rows.
const WHOLE: i64 = i64::MAX;

/// Whether `dir` was opened by Burrow before.
#[must_use]
pub fn is_ours(dir: &Path) -> bool {
    Departure::open(dir).and_then(|from| from.log()).is_ok()
}

/// Brings the data of the directory `dir` to the PostgreSQL at `address`, which holds nothing or what an interrupted
/// call has left, and marks the directory as gone. `without_views` leaves out the view collections whose SQL PostgreSQL does not
/// take, `anew` forgets what an interrupted call has left.
///
/// # Errors
/// [`StoreError::Directory`] with what to do; else the databases' own. Then the directory is as it was.
pub fn graduate(
    dir: &Path,
    address: &Secret<String>,
    without_views: bool,
    anew: bool,
    told: &mut dyn FnMut(Step<'_>),
) -> Result<Graduated, StoreError> {
    let from = Departure::open(dir)?;
    let to = Rc::new(Moving::open(address)?);
    let found = to.found()?;
    if let Some(gone) = from.gone_to()? {
        finish(&gone, &to, &found)?;
        note_move(dir, address)?;
        return Ok(Graduated::default());
    }
    let mut mover = Mover::begin(from, to, found, without_views, anew, told)?;
    mover.run()?;
    // A server that uses the directory looks for this.
    note_move(dir, address)?;
    Ok(mover.done)
}

/// Does what an interrupted call has not come to.
fn finish(gone: &str, to: &Moving, found: &Found) -> Result<(), StoreError> {
    if gone != to.place() {
        return Err(StoreError::Directory(format!(
            "the data of this directory has already gone to {gone}"
        )));
    }
    match found {
        Found::OnItsWay(_) => to.open_up(),
        Found::Whole => Ok(()),
        Found::Empty => Err(StoreError::Directory(format!(
            "the data of this directory has gone to {gone}, where there is nothing"
        ))),
    }
}

struct Mover<'a> {
    from: Departure,
    to: Rc<Moving>,
    noted: Noted,
    /// Collections whose tables are in the target.
    known: Vec<Arc<Collection>>,
    without_views: bool,
    rows: u64,
    of: u64,
    done: Graduated,
    told: &'a mut dyn FnMut(Step<'_>),
}

impl<'a> Mover<'a> {
    fn begin(
        from: Departure,
        to: Rc<Moving>,
        found: Found,
        without_views: bool,
        anew: bool,
        told: &'a mut dyn FnMut(Step<'_>),
    ) -> Result<Self, StoreError> {
        let mut mover = Self {
            from,
            to,
            noted: Noted::default(),
            known: Vec::new(),
            without_views,
            rows: 0,
            of: 0,
            done: Graduated::default(),
            told,
        };
        match found {
            Found::Empty => mover.lay()?,
            Found::OnItsWay(_) if anew => mover.start_over()?,
            Found::OnItsWay(noted) => mover.go_on(&noted)?,
            Found::Whole => {
                return Err(StoreError::Directory(
                    "the database already holds a Burrow: give an empty one".to_owned(),
                ));
            }
        }
        Ok(mover)
    }

    /// Goes on where an interrupted call has stopped.
    fn go_on(&mut self, noted: &str) -> Result<(), StoreError> {
        let epoch = self.from.log()?.epoch;
        match serde_json::from_str::<Noted>(noted) {
            Ok(noted) if noted.epoch == epoch => {
                self.known = collections(&self.to.schema()?);
                self.noted = noted;
                Ok(())
            }
            Ok(_) | Err(_) => Err(StoreError::Directory(
                "the database holds what an interrupted move of another directory has left, or of this one before somebody \
                 else wrote to it: --anew forgets that"
                    .to_owned(),
            )),
        }
    }

    fn lay(&mut self) -> Result<(), StoreError> {
        let log = self.from.log()?;
        self.noted = Noted {
            epoch: log.epoch,
            position: self.from.position()?,
            changes: i64::MIN,
            logs: i64::MIN,
            ..Noted::default()
        };
        self.known.clear();
        self.to.lay(&self.text()?, log.epoch, &log.cursor_key)
    }

    fn start_over(&mut self) -> Result<(), StoreError> {
        self.to.clear()?;
        self.lay()
    }

    /// What is noted, as text.
    fn text(&self) -> Result<String, StoreError> {
        serde_json::to_string(&self.noted).map_err(|error| {
            StoreError::Directory(format!("cannot note how far it has come: {error}"))
        })
    }

    fn tell(&mut self, what: &str) {
        (self.told)(Step {
            what,
            rows: self.rows,
            of: self.of,
        });
    }

    fn run(&mut self) -> Result<(), StoreError> {
        let begun = Instant::now();
        let mut switches = 0;
        for state in 0.. {
            self.from.hold()?;
            let followed = self.follow()?;
            self.copy()?;
            self.from.let_go()?;
            self.copy_logs()?;
            if state == 0 {
                self.done.copying = begun.elapsed();
            }
            if followed > CALM && state < STATES_MAX {
                continue;
            }
            if self.switch()? {
                break;
            }
            switches += 1;
            if switches == SWITCHES_MAX {
                return Err(StoreError::Directory(
                    "collections change all the time: nothing was switched; run the same command again at a quieter time"
                        .to_owned(),
                ));
            }
        }
        self.report();
        Ok(())
    }

    /// Holds up writes and brings the last state over; `false` when that would take long.
    fn switch(&mut self) -> Result<bool, StoreError> {
        self.tell("the switch");
        self.from.freeze()?;
        let begun = Instant::now();
        self.follow()?;
        if self
            .known
            .iter()
            .any(|one| !one.is_view() && !self.is_whole(one))
        {
            self.from.let_go()?;
            return Ok(false);
        }
        self.copy_logs()?;
        for collection in self.known.iter().filter(|one| !one.is_view()) {
            self.to.number_on(&Table::of(collection))?;
        }
        self.to.number_on(&Table::collections())?;
        self.to.number_on(&Table::logs())?;
        // Whatever happens from here on is finished by the same command.
        self.from.leave(self.to.place())?;
        self.done.held_up = begun.elapsed();
        self.to.open_up()?;
        Ok(true)
    }

    fn is_whole(&self, collection: &Collection) -> bool {
        let part = self.noted.parts.get(collection.id.as_str());
        part.is_some_and(|part| part.upto == Some(WHOLE) && part.sum.is_some())
    }

    fn report(&mut self) {
        let tables = self.known.iter().filter_map(|collection| {
            let part = self.noted.parts.get(collection.id.as_str())?;
            Some(Moved {
                name: collection.name.to_string(),
                sum: part.sum?,
            })
        });
        self.done.tables = tables.collect();
        self.done.left_out = self.noted.left_out.values().cloned().collect();
    }

    /// Brings what is there to the state that is held; how many changes that were.
    fn follow(&mut self) -> Result<u64, StoreError> {
        let changed = match self.from.changed_since(self.noted.position)? {
            Some(changed) => changed,
            None => {
                // The log was trimmed since.
                self.start_over()?;
                Changed::default()
            }
        };
        let to = Rc::clone(&self.to);
        to.transaction(|| {
            self.follow_collections()?;
            for collection in self.known.clone() {
                self.follow_records(&collection, &changed)?;
            }
            self.replace_small_tables()?;
            self.follow_log()?;
            self.noted.position = self.from.position()?;
            to.note(&self.text()?)
        })?;
        self.done.followed += changed.entries;
        Ok(changed.entries)
    }

    /// Makes the tables and views what those of the state are.
    fn follow_collections(&mut self) -> Result<(), StoreError> {
        let wanted = collections(&self.from.schema()?);
        let is_same = |one: &Arc<Collection>, list: &[Arc<Collection>]| {
            list.iter()
                .any(|other| other.id == one.id && shape(other) == shape(one))
        };
        let left_out = |one: &Arc<Collection>| self.noted.left_out.contains_key(one.id.as_str());
        let wanted: Vec<_> = wanted.into_iter().filter(|one| !left_out(one)).collect();
        if wanted.len() == self.known.len() && wanted.iter().all(|one| is_same(one, &self.known)) {
            self.known = wanted;
            return Ok(());
        }
        // Views stand on tables.
        let (views, tables): (Vec<_>, Vec<_>) = self.known.iter().partition(|one| one.is_view());
        for view in views.iter().rev() {
            self.to.unmake(view)?;
        }
        for table in tables {
            if !is_same(table, &wanted) {
                self.to.unmake(table)?;
                self.noted.parts.remove(table.id.as_str());
            }
        }
        for table in wanted.iter().filter(|one| !one.is_view()) {
            if !self.noted.parts.contains_key(table.id.as_str()) {
                self.to.make(table)?;
                self.noted
                    .parts
                    .insert(table.id.as_str().to_owned(), Part::default());
            }
        }
        self.known = wanted;
        self.make_views()
    }

    /// Makes all views, those first that others stand on.
    fn make_views(&mut self) -> Result<(), StoreError> {
        let mut waiting: Vec<_> = self
            .known
            .iter()
            .filter(|one| one.is_view())
            .cloned()
            .collect();
        loop {
            let mut refused = Vec::new();
            for view in &waiting {
                if let Some(why) = self.to.make_view(view)? {
                    refused.push((Arc::clone(view), why));
                }
            }
            if refused.is_empty() {
                return Ok(());
            }
            if refused.len() < waiting.len() {
                waiting = refused.into_iter().map(|(view, _)| view).collect();
                continue;
            }
            if !self.without_views {
                let lines: Vec<String> = refused
                    .iter()
                    .map(|(view, why)| format!("\n  {}: {why}", view.name))
                    .collect();
                return Err(StoreError::Directory(format!(
                    "PostgreSQL does not take the SQL of these view collections (--without-views leaves them out):{}",
                    lines.concat()
                )));
            }
            for (view, _) in refused {
                self.known.retain(|one| one.id != view.id);
                self.noted
                    .left_out
                    .insert(view.id.as_str().to_owned(), view.name.to_string());
            }
            return Ok(());
        }
    }

    /// Brings the records of a collection that are there to the state.
    fn follow_records(
        &mut self,
        collection: &Collection,
        changed: &Changed,
    ) -> Result<(), StoreError> {
        let id = collection.id.as_str();
        let Some(part) = self.noted.parts.get_mut(id) else {
            return Ok(());
        };
        let table = Table::of(collection);
        if changed.touched.contains(id) {
            part.upto = None;
            part.sum = None;
            return self.to.empty(&table);
        }
        let (Some(most), Some(records)) = (part.upto, changed.records.get(id)) else {
            return Ok(());
        };
        // All that changed goes before any of it comes: what is unique may have moved from one to another.
        let ids: Vec<&str> = records.iter().map(String::as_str).collect();
        self.to.remove(&table, &ids)?;
        for some in ids.chunks(FOLLOWED_TOGETHER) {
            let mut chunk = Chunk::default();
            for id in some {
                self.from.record(&table, id, most, &mut chunk)?;
            }
            let sum = sum_of(&chunk.lines);
            self.to.add(&table, chunk.lines)?;
            if self.to.sum(&table, Some(some))? != sum {
                return Err(differs(&table));
            }
        }
        Ok(())
    }

    /// Collections, settings and migrations: few rows, which are all brought anew.
    fn replace_small_tables(&mut self) -> Result<(), StoreError> {
        for table in [Table::migrations(), Table::params(), Table::collections()] {
            self.to.empty(&table)?;
            let mut at = i64::MIN;
            loop {
                let chunk = self.from.chunk(&table, at)?;
                let Some(last) = chunk.last else { break };
                at = last;
                let mut lines = chunk.lines;
                if table.name == "_collections" && !self.noted.left_out.is_empty() {
                    lines = without(&lines, &self.noted.left_out);
                }
                self.to.add(&table, lines)?;
            }
        }
        Ok(())
    }

    /// The change log: cursors that clients hold are good on the other side.
    fn follow_log(&mut self) -> Result<(), StoreError> {
        loop {
            let chunk = self.from.chunk(&Table::changes(), self.noted.changes)?;
            let Some(last) = chunk.last else {
                return Ok(());
            };
            self.noted.changes = last;
            self.to.add(&Table::changes(), chunk.lines)?;
        }
    }

    /// Request logs: not of any state.
    fn copy_logs(&mut self) -> Result<(), StoreError> {
        let to = Rc::clone(&self.to);
        loop {
            let chunk = self.from.logs(self.noted.logs)?;
            let Some(last) = chunk.last else {
                return Ok(());
            };
            self.noted.logs = last;
            to.transaction(|| {
                to.add(&Table::logs(), chunk.lines)?;
                to.note(&self.text()?)
            })?;
        }
    }

    /// Copies what is not there yet of the state that is held, and compares each table.
    fn copy(&mut self) -> Result<(), StoreError> {
        let tables: Vec<_> = self
            .known
            .iter()
            .filter(|one| !one.is_view())
            .cloned()
            .collect();
        let waiting: Vec<_> = tables
            .into_iter()
            .filter(|one| !self.is_whole(one))
            .collect();
        for collection in &waiting {
            self.of += self.from.count(&Table::of(collection))?;
        }
        for collection in &waiting {
            self.copy_table(collection)?;
        }
        Ok(())
    }

    fn copy_table(&mut self, collection: &Collection) -> Result<(), StoreError> {
        let to = Rc::clone(&self.to);
        let (id, table) = (collection.id.as_str(), Table::of(collection));
        let mut part = self.noted.parts.get(id).copied().unwrap_or_default();
        while part.upto != Some(WHOLE) {
            let chunk = self.from.chunk(&table, part.upto.unwrap_or(i64::MIN))?;
            part.upto = Some(chunk.last.unwrap_or(WHOLE));
            self.noted.parts.insert(id.to_owned(), part);
            self.rows += chunk.rows;
            self.done.rows += chunk.rows;
            to.transaction(|| {
                to.add(&table, chunk.lines)?;
                to.note(&self.text()?)
            })?;
            self.tell(&table.name);
        }
        if !part.indexed {
            part.indexed = true;
            self.noted.parts.insert(id.to_owned(), part);
            to.transaction(|| {
                to.index(collection)?;
                to.note(&self.text()?)
            })?;
        }
        let sum = self.from.sum(&table)?;
        if to.sum(&table, None)? != sum {
            return Err(differs(&table));
        }
        part.sum = Some(sum);
        self.noted.parts.insert(id.to_owned(), part);
        to.note(&self.text()?)
    }
}

fn differs(table: &Table) -> StoreError {
    StoreError::Directory(format!(
        "what arrived of {} is not what was sent: nothing was switched",
        table.name
    ))
}

fn collections(schema: &Schema) -> Vec<Arc<Collection>> {
    schema.iter().cloned().collect()
}

/// What a table or view is made of.
fn shape(collection: &Collection) -> (String, String, String, String) {
    let row = StoredCollection::of(collection);
    let query = if collection.is_view() {
        row.options
    } else {
        String::new()
    };
    (row.name, row.fields, row.indexes, query)
}

fn sum_of(lines: &[u8]) -> Sum {
    let mut sum = Sum::default();
    for line in lines.split_inclusive(|byte| *byte == b'\n') {
        sum.add(line);
    }
    sum
}

/// Lines of collections but those that were left out; the first cell is the id.
fn without(lines: &[u8], left_out: &BTreeMap<String, String>) -> Vec<u8> {
    let is_kept = |line: &&[u8]| {
        let id = line.split(|byte| *byte == b'\t').next().unwrap_or_default();
        !left_out.keys().any(|out| out.as_bytes() == id)
    };
    let lines = lines.split_inclusive(|byte| *byte == b'\n');
    lines.filter(is_kept).flatten().copied().collect()
}
