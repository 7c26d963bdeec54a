//! One live query: its result, how fresh it is, and who hears of it.

use std::collections::{BTreeSet, HashSet};
use std::sync::Arc;
use std::time::Instant;

use bytes::Bytes;

use super::diff::{Row, Rows};
use super::mailbox::Seat;
use super::question::{Meaning, Order};
use super::reading::{self, Answer};
use super::window::{Kept, Window};
use crate::kit::limits::{LIVE_BACKLOG_MAX, LIVE_QUERY_BYTES, LIVE_RESULT_BYTES_MAX};
use crate::kit::time::Timestamp;
use crate::realtime::deliver::{adapt, images};
use crate::realtime::index::OnlyIf;
use crate::realtime::ring::size_bytes;
use crate::schema::Record;
use crate::store::{Change, Position, ReadTx, Snapshot, StoreError};

/// A query that somebody hears of.
pub(super) struct Query {
    /// Tells it from an earlier one of the same key, whose result may still be on its way.
    pub(super) number: u64,
    pub(super) meaning: Arc<Meaning>,
    pub(super) only_if: OnlyIf,
    pub(super) members: HashSet<Seat>,
    /// The result; none before it was read.
    pub(super) rows: Option<Arc<Rows>>,
    /// Where it was read.
    pub(super) at: Position,
    /// The last change that may concern it and is not in it.
    pub(super) newest: Position,
    /// Collections whose changes can change it; none before it was read.
    pub(super) footprint: Option<Arc<BTreeSet<crate::schema::CollectionId>>>,
    pub(super) is_reading: bool,
    /// Whether time may have changed it.
    pub(super) is_aged: bool,
    /// Whether anybody was told of it.
    pub(super) is_told: bool,
    /// Not to be read before.
    pub(super) due: Instant,
    pub(super) read_at: Timestamp,
    window: Option<Window>,
    backlog: Vec<Change>,
    backlog_bytes: usize,
    bytes: usize,
}

/// What one change did to a result that is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Effect {
    /// Nothing.
    None,
    /// Another result.
    Changed,
}

impl Query {
    pub(super) fn new(number: u64, meaning: Arc<Meaning>, now: Timestamp) -> Self {
        Self {
            number,
            only_if: meaning.only_if(),
            meaning,
            members: HashSet::new(),
            rows: None,
            at: Position::default(),
            newest: Position::default(),
            footprint: None,
            is_reading: false,
            is_aged: false,
            is_told: false,
            due: Instant::now(),
            read_at: now,
            window: None,
            backlog: Vec::new(),
            backlog_bytes: 0,
            bytes: 0,
        }
    }

    pub(super) fn is_kept(&self) -> bool {
        self.meaning.kept.is_some()
    }

    /// Whether the result is that of every change looked at.
    pub(super) fn is_true(&self) -> bool {
        self.rows.is_some() && !self.must_be_read()
    }

    /// Whether only the database can tell the result.
    pub(super) fn must_be_read(&self) -> bool {
        self.rows.is_none() || self.newest > self.at || self.is_aged
    }

    /// Bytes it counts for.
    pub(super) fn size_bytes(&self) -> usize {
        LIVE_QUERY_BYTES + self.bytes
    }

    /// Takes over what was read at `at`; what has changed since is done again where that can be.
    ///
    /// # Errors
    /// The store's own.
    pub(super) fn take(
        &mut self,
        at: Position,
        answer: Answer,
        present: &Snapshot,
    ) -> Result<(), StoreError> {
        self.at = at;
        self.footprint = Some(answer.footprint);
        self.bytes = answer.rows.iter().map(Kept::size_bytes).sum();
        if !self.is_kept() {
            self.rows = Some(answer.rows.into_iter().map(|kept| kept.row).collect());
            return Ok(());
        }
        self.window = Some(Window::new(answer.rows, answer.whole));
        for change in std::mem::take(&mut self.backlog) {
            self.apply(&change, present)?;
        }
        self.show();
        Ok(())
    }

    /// It is about to be read: what was looked at before will be in the result.
    pub(super) fn begin(&mut self, now: Timestamp) {
        self.is_reading = true;
        self.is_aged = false;
        self.read_at = now;
        self.backlog.clear();
        self.backlog_bytes = 0;
    }

    /// Keeps a change for when the result has been read. One that finds no room has it read once more.
    pub(super) fn keep_for_later(&mut self, change: &Change) {
        self.backlog_bytes += size_bytes(change);
        if self.backlog.len() < LIVE_BACKLOG_MAX && self.backlog_bytes < LIVE_RESULT_BYTES_MAX {
            self.backlog.push(change.clone());
        } else {
            self.newest = change.position;
        }
    }

    /// Does a change to a result that is kept. `present` is a state of the database not before it.
    pub(super) fn apply(
        &mut self,
        change: &Change,
        present: &Snapshot,
    ) -> Result<Effect, StoreError> {
        let meaning = Arc::clone(&self.meaning);
        let tx = &present.tx_under(&meaning.catalog);
        let (Some(window), Some(judge), Order::Keys(sort)) =
            (&mut self.window, &meaning.kept, &meaning.order)
        else {
            return Ok(Effect::None);
        };
        if change.position <= self.at {
            return Ok(Effect::None);
        }
        let Some((before, after)) = images(&change.kind) else {
            return Ok(Effect::None);
        };
        let Some(id) = after.or(before).map(|record| record.id().to_owned()) else {
            return Ok(Effect::None);
        };
        let known = window.keys(&id).and_then(|keys| match keys.last() {
            Some(crate::kit::value::Value::Int(rowid)) => Some(*rowid),
            _ => None,
        });
        let removed = window.remove(&id);
        let mut changed = removed;
        if let Some(after) = after {
            let row = adapt(after, &meaning.bound.collection);
            let holds = match judge {
                None => Some(true),
                Some(judge) => judge.holds(&row),
            };
            let Some(holds) = holds else {
                self.newest = change.position;
                return Ok(Effect::None);
            };
            if holds {
                let rowid = match known {
                    Some(rowid) => rowid,
                    None => rowid(tx, &row, change.position)?,
                };
                let keys = sort.keys_of(&row, rowid).unwrap_or_default();
                if let Some(at) = window.place(sort, &keys) {
                    let view: Bytes = reading::view(tx, &meaning, &row);
                    let row = Arc::new(Row {
                        id: id.into(),
                        view,
                    });
                    window.insert(at, Kept { row, keys }, meaning.limit);
                    changed = true;
                }
            }
        }
        if window.is_short(meaning.limit) {
            self.newest = change.position;
        }
        self.bytes = window.size_bytes();
        Ok(if changed {
            Effect::Changed
        } else {
            Effect::None
        })
    }

    /// Makes the result that is shown from the one that is kept.
    pub(super) fn show(&mut self) {
        if let Some(window) = &self.window
            && !window.is_short(self.meaning.limit)
        {
            self.rows = Some(window.shown(self.meaning.limit));
        }
    }
}

/// Where a record stands in the order in which records were made. One that is gone again in the state at hand was made
/// after all others of that time.
fn rowid(tx: &ReadTx<'_>, record: &Record, at: Position) -> Result<i64, StoreError> {
    const LATER: i64 = i64::MAX / 2;
    let found = tx.rowid(record.collection(), record.id())?;
    Ok(found.unwrap_or_else(|| LATER.saturating_add(i64::try_from(at.0).unwrap_or(0))))
}
