//! Reading the result of a live query from the database: on threads of its own, so that a slow one holds up no other
//! part of realtime.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;

use super::diff::Row;
use super::question::{Key, Meaning, Order};
use super::window::{Kept, spare};
use crate::call::Call;
use crate::kit::json;
use crate::kit::limits::{LIVE_READ_SECS_MAX, LIVE_RESULT_BYTES_MAX};
use crate::kit::time::Timestamp;
use crate::kit::value::Columns;
use crate::records::{self, Sight, expand};
use crate::schema::{CollectionId, Record};
use crate::store::{After, Page, Position, ReadTx, Select, Snapshot, Store, StoreError};

/// A query to be read.
pub(super) struct Job {
    pub(super) key: Key,
    /// Of the query, see [`super::query::Query::number`].
    pub(super) number: u64,
    pub(super) meaning: Arc<Meaning>,
    pub(super) now: Timestamp,
}

/// What came of it.
pub(super) struct Done {
    pub(super) key: Key,
    /// As that of the job.
    pub(super) number: u64,
    pub(super) outcome: Outcome,
    /// How long it took.
    pub(super) cost: Duration,
}

pub(super) enum Outcome {
    /// The result at a place in the log.
    Read {
        at: Position,
        page: Answer,
    },
    /// The schema changed meanwhile.
    Stale,
    Failed(records::Error),
}

pub(super) struct Answer {
    pub(super) rows: Vec<Kept>,
    /// Whether there are no rows after these.
    pub(super) whole: bool,
    /// Collections whose changes can change it.
    pub(super) footprint: Arc<BTreeSet<CollectionId>>,
}

/// Does a job on `snapshot`, which is made when it is missing.
pub(super) fn perform(store: &Store, snapshot: &mut Option<Snapshot>, job: Job) -> Done {
    let begun = Instant::now();
    let outcome = match attempt(store, snapshot, &job) {
        Ok(outcome) => outcome,
        Err(error) => Outcome::Failed(error),
    };
    if let Some(held) = snapshot
        && let Err(error) = held.rest()
    {
        tracing::warn!(%error, "realtime: a snapshot could not be let go");
        *snapshot = None;
    }
    Done {
        key: job.key,
        number: job.number,
        outcome,
        cost: begun.elapsed(),
    }
}

fn attempt(
    store: &Store,
    snapshot: &mut Option<Snapshot>,
    job: &Job,
) -> Result<Outcome, records::Error> {
    let snapshot = match snapshot {
        Some(snapshot) => snapshot,
        None => snapshot.insert(store.snapshot()?),
    };
    let at = snapshot.refresh()?;
    let meaning = &*job.meaning;
    snapshot.hurry(Duration::from_secs(LIVE_READ_SECS_MAX));
    let tx = snapshot.tx_under(&meaning.catalog);
    let page = read(&tx, meaning, job.now);
    // Rules that changed while it was read: what was read may fit neither.
    if !Arc::ptr_eq(&store.catalog(), &meaning.catalog) {
        return Ok(Outcome::Stale);
    }
    Ok(Outcome::Read { at, page: page? })
}

fn read(tx: &ReadTx<'_>, meaning: &Meaning, now: Timestamp) -> Result<Answer, records::Error> {
    let call = Call {
        now,
        ..meaning.call.clone()
    };
    let mut reading = Reading {
        tx,
        meaning,
        call: &call,
        rows: Vec::new(),
        bytes: 0,
    };
    let whole = reading.rows()?;
    Ok(Answer {
        rows: reading.rows,
        whole,
        footprint: Arc::new(behind(tx, meaning)?),
    })
}

/// The footprint with views replaced by the tables behind them.
fn behind(tx: &ReadTx<'_>, meaning: &Meaning) -> Result<BTreeSet<CollectionId>, StoreError> {
    let catalog = &meaning.catalog;
    let mut tables = BTreeSet::new();
    for id in &meaning.footprint.collections {
        match catalog.by_id(id) {
            Some(view) if view.is_view() => {
                let names = tx.tables_behind(&view.name)?;
                let found = names.iter().filter_map(|name| catalog.find(name));
                tables.extend(found.map(|collection| collection.id.clone()));
            }
            Some(_) | None => {
                tables.insert(id.clone());
            }
        }
    }
    Ok(tables)
}

struct Reading<'a> {
    tx: &'a ReadTx<'a>,
    meaning: &'a Meaning,
    call: &'a Call,
    rows: Vec<Kept>,
    bytes: usize,
}

impl Reading<'_> {
    /// Reads the rows; whether there are no more.
    fn rows(&mut self) -> Result<bool, records::Error> {
        let meaning = self.meaning;
        let spare = if meaning.kept.is_some() {
            spare(meaning.limit)
        } else {
            0
        };
        let cap = meaning.limit + spare;
        let mut select = Select::all(&meaning.catalog, self.call, &meaning.bound.collection);
        select.filter = meaning.bound.filter.as_ref();
        select.page = Some(Page {
            offset: 0,
            limit: cap as u64,
        });
        let after;
        let keys = match &meaning.order {
            Order::Keys(sort) => {
                let keys = sort.keyset().unwrap_or_default();
                after = After {
                    keys,
                    row: None,
                    backward: false,
                };
                select.after = Some(&after);
                keys.len()
            }
            Order::Loose(sort) => {
                select.sort = sort.as_ref();
                0
            }
        };
        let all = if meaning.paths.is_empty() {
            self.plain(&select, keys)?
        } else {
            self.expanded(&select)?
        };
        Ok(all && self.rows.len() < cap)
    }

    /// Encodes rows as they come; whether none was left out.
    fn plain(&mut self, select: &Select<'_>, keys: usize) -> Result<bool, records::Error> {
        let (tx, meaning) = (self.tx, self.meaning);
        let collection = &meaning.bound.collection;
        let lens = Sight::new(tx, self.call).lens(collection);
        let id = collection.field_index("id");
        let width = collection.fields.len();
        let mut all = true;
        tx.for_each(select, &mut |row| {
            // Spare rows are a help, not a duty.
            if self.bytes > LIVE_RESULT_BYTES_MAX / 2 && self.rows.len() >= meaning.limit
                || self.bytes > LIVE_RESULT_BYTES_MAX
            {
                all = false;
                return;
            }
            let mut view = Vec::with_capacity(256);
            lens.write(row, None, &mut view);
            let name = id.map_or("", |at| match row.cell(at) {
                crate::kit::value::Cell::Text(text) => text,
                _ => "",
            });
            let keys = (width..width + keys).map(|at| row.cell(at).to_value());
            self.add(name, view, keys.collect());
        })?;
        self.within()?;
        Ok(all)
    }

    fn expanded(&mut self, select: &Select<'_>) -> Result<bool, records::Error> {
        let (tx, meaning) = (self.tx, self.meaning);
        let collection = &meaning.bound.collection;
        let mut records = Vec::new();
        tx.for_each(select, &mut |row| {
            let cells = (0..collection.fields.len()).map(|at| row.cell(at).to_value());
            records.push(Record::from_cells(Arc::clone(collection), cells.collect()));
        })?;
        let expanded = expand::expand(tx, self.call, collection, &records, &meaning.paths)?;
        let lens = Sight::new(tx, self.call).lens(collection);
        for (at, record) in records.iter().enumerate() {
            let mut view = Vec::with_capacity(256);
            lens.write(record, expanded.of(at), &mut view);
            self.add(record.id(), view, Vec::new());
            self.within()?;
        }
        Ok(true)
    }

    fn add(&mut self, id: &str, view: Vec<u8>, keys: Vec<crate::kit::value::Value>) {
        let kept = Kept {
            row: Arc::new(Row {
                id: id.into(),
                view: picked(self.meaning, view),
            }),
            keys,
        };
        self.bytes += kept.size_bytes();
        self.rows.push(kept);
    }

    fn within(&self) -> Result<(), records::Error> {
        if self.bytes > LIVE_RESULT_BYTES_MAX {
            return Err(records::Error::TooLarge);
        }
        Ok(())
    }
}

/// A record with the fields that the question asks for.
pub(super) fn picked(meaning: &Meaning, view: Vec<u8>) -> Bytes {
    let Some(picker) = &meaning.picker else {
        return Bytes::from(view);
    };
    let Ok(mut value) = json::parse_first(&view) else {
        return Bytes::from(view);
    };
    picker.pick(&mut value);
    let mut out = Vec::new();
    json::write(&value, &mut out);
    Bytes::from(out)
}

/// A record as the question shows it, from its cells alone.
pub(super) fn view(tx: &ReadTx<'_>, meaning: &Meaning, row: &dyn Columns) -> Bytes {
    let lens = Sight::new(tx, &meaning.call).lens(&meaning.bound.collection);
    let mut view = Vec::with_capacity(256);
    lens.write(row, None, &mut view);
    picked(meaning, view)
}
