//! One step of a replay: what the log holds after a place, as one subscriber may see it now.
//!
//! A record is told of once, in its present state, at the place of its last entry; one that was visible at the start or
//! at some time since and is not now, as gone. Cursors are such that a client which resumes at any of them misses nothing: a frame's
//! cursor stays before the first entry of every record that is yet to be told.

use std::collections::HashMap;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::Arc;

use bytes::Bytes;
use compact_str::CompactString;

use super::client::Transport;
use super::frame::{self, Happened};
use super::judge::{self, Verdict};
use super::past::{Past, Pasts};
use super::topic::Topic;
use super::view;
use crate::call::{Actor, Call};
use crate::kit::limits::{
    REPLAY_BYTES_MAX, REPLAY_ENTRIES_MAX, REPLAY_FRAMES_MAX, REPLAY_MEMORY_BYTES_MAX,
};
use crate::kit::time::Timestamp;
use crate::records;
use crate::schema::{Collection, CollectionId, Record, RecordId};
use crate::store::{Entry, Position, ReadTx, StoreError};

/// Who hears the past, and as whom.
pub(super) struct Listener<'a> {
    pub(super) tx: &'a ReadTx<'a>,
    pub(super) now: Timestamp,
    pub(super) transport: Transport,
    pub(super) actor: &'a Actor,
    pub(super) sub: &'a CompactString,
    pub(super) topic: &'a Topic,
    /// Whether it is the only subscription of its connection.
    pub(super) alone: bool,
    pub(super) seal: &'a dyn Fn(Position) -> CompactString,
}

/// How far a replay has come.
#[derive(Clone, Debug, Default)]
pub(super) struct Progress {
    /// Everything up to here has been read.
    pub(super) reached: Position,
    /// Records that change again later: they are told of then.
    carry: Pasts,
    ahead: Ahead,
}

impl Progress {
    pub(super) fn from(since: Position) -> Self {
        Self {
            reached: since,
            ..Self::default()
        }
    }

    /// Where a client may resume without missing anything.
    pub(super) fn safe(&self) -> Position {
        let carried = self.carry.values().map(|past| before(past.first)).min();
        carried.map_or(self.reached, |bound| bound.min(self.reached))
    }

    fn size_bytes(&self) -> usize {
        const PLACE: usize = 16;
        let carried: usize = self.carry.values().map(Past::size_bytes).sum();
        carried + self.ahead.last.len() * PLACE
    }
}

/// The last place of each record in the part of the log that is yet to be read; by hash, for there may be many.
#[derive(Clone, Debug, Default)]
struct Ahead {
    scanned: Position,
    last: HashMap<u64, Position>,
}

impl Ahead {
    /// Looks through the log to its end.
    fn scan(&mut self, tx: &ReadTx<'_>, collection: &CollectionId) -> Result<(), StoreError> {
        let from = self.scanned;
        tx.changed_after(from, collection, &mut |position, record| {
            self.scanned = position;
            self.last.insert(hash(record), position);
        })
    }

    fn is_last(&self, record: &RecordId, at: Position) -> bool {
        self.last
            .get(&hash(record.as_str()))
            .is_none_or(|last| *last <= at)
    }
}

fn hash(record: &str) -> u64 {
    let mut hasher = DefaultHasher::new();
    record.hash(&mut hasher);
    hasher.finish()
}

fn before(first: Position) -> Position {
    Position(first.0.saturating_sub(1))
}

/// What a step found.
pub(super) enum Step {
    /// Frames in order, where to go on, and whether that is the end of the log.
    Told {
        frames: Vec<Bytes>,
        progress: Progress,
        level: bool,
    },
    /// The past cannot be told any more.
    Expired,
}

/// Takes one step.
pub(super) fn step(
    listener: &Listener<'_>,
    mut progress: Progress,
) -> Result<Step, records::Error> {
    let tx = listener.tx;
    let since = progress.reached;
    if since > tx.log_end()? || since.0 + 1 < tx.log_start()?.0 {
        return Ok(Step::Expired);
    }
    let Some(collection) = tx.catalog().find_exact(&listener.topic.collection).cloned() else {
        return Ok(Step::Expired);
    };
    let entries = tx.changes_after(since, REPLAY_ENTRIES_MAX)?;
    let level = entries.len() < REPLAY_ENTRIES_MAX;
    let end = entries.last().map_or(since, |entry| entry.position);
    let verdict = judge::verdict(tx.catalog(), &collection, listener.topic, listener.actor);
    let matters = matters(&verdict, &collection);
    for entry in entries {
        if entry.loses_past(&collection.id) {
            return Ok(Step::Expired);
        }
        if let Some(record) = concerned(&entry, &collection, listener.topic) {
            progress
                .carry
                .entry(record)
                .or_insert_with(|| Past::begin(&entry))
                .add(entry, &matters);
        }
    }
    if !level {
        progress.ahead.scanned = progress.ahead.scanned.max(end);
        progress.ahead.scan(tx, &collection.id)?;
    }
    let telling = Telling {
        verdict,
        call: judge::call(listener.topic, listener.actor, listener.now),
        listener,
        collection,
        tales: Vec::new(),
        bytes: 0,
    };
    telling.tell(progress, end, level)
}

/// Whether the verdict can depend on a field, by its id.
fn matters(verdict: &Verdict, collection: &Collection) -> impl Fn(&str) -> bool + use<> {
    let fields: Option<Vec<CompactString>> = match verdict {
        Verdict::Nothing | Verdict::Everything => Some(Vec::new()),
        Verdict::Where(filter) => filter.own_fields().map(|names| {
            let named = |field: &&crate::schema::Field| names.contains(&field.name);
            let fields = collection.fields.iter().filter(named);
            fields.map(|field| field.id.as_str().into()).collect()
        }),
    };
    move |id| {
        fields
            .as_ref()
            .is_none_or(|fields| fields.iter().any(|known| known == id))
    }
}

/// The record that an entry is about, if the topic names it.
fn concerned(entry: &Entry, collection: &Collection, topic: &Topic) -> Option<RecordId> {
    let subject = entry.subject.as_ref()?;
    let record = subject.record.as_ref()?;
    let wanted = topic
        .record
        .as_deref()
        .is_none_or(|id| id == record.as_str());
    (subject.collection == collection.id && wanted).then(|| record.clone())
}

/// An event before its cursor is known.
struct Tale {
    first: Position,
    last: Position,
    happened: Happened,
    view: Vec<u8>,
}

struct Telling<'a> {
    listener: &'a Listener<'a>,
    verdict: Verdict,
    call: Call,
    collection: Arc<Collection>,
    tales: Vec<Tale>,
    bytes: usize,
}

impl Telling<'_> {
    fn tell(
        mut self,
        mut progress: Progress,
        end: Position,
        level: bool,
    ) -> Result<Step, records::Error> {
        progress.reached = end;
        let mut order: Vec<_> = progress
            .carry
            .iter()
            .filter(|(id, past)| level || progress.ahead.is_last(id, past.last))
            .map(|(id, past)| (past.last, id.clone()))
            .collect();
        order.sort_by_key(|(last, _)| *last);
        let count = order.len();
        let mut whole = true;
        for (at, (last, id)) in order.into_iter().enumerate() {
            let Some(past) = progress.carry.remove(&id) else {
                continue;
            };
            if let Some((happened, view)) = self.judge(id.as_str(), &past)? {
                self.bytes += view.len();
                self.tales.push(Tale {
                    first: past.first,
                    last,
                    happened,
                    view,
                });
            }
            let full = self.bytes >= REPLAY_BYTES_MAX || self.tales.len() >= REPLAY_FRAMES_MAX;
            if full && at + 1 < count {
                // The rest is read again; what is known of its beginning stays.
                progress.reached = last;
                progress.carry.retain(|_, past| past.first <= last);
                whole = false;
                break;
            }
        }
        if progress.size_bytes() > REPLAY_MEMORY_BYTES_MAX {
            return Ok(Step::Expired);
        }
        if level && whole {
            progress.ahead = Ahead::default();
        }
        Ok(Step::Told {
            frames: self.frames(progress.safe()),
            progress,
            level: level && whole,
        })
    }

    /// What the subscriber is told of a record, if anything.
    fn judge(&self, id: &str, past: &Past) -> Result<Option<(Happened, Vec<u8>)>, records::Error> {
        let tx = self.listener.tx;
        let present = tx.find(&self.collection, id)?;
        if let Some(record) = &present
            && self.sees(record)?
        {
            let happened = if past.existed {
                Happened::Update
            } else {
                Happened::Create
            };
            return Ok(Some((happened, self.view(record)?)));
        }
        // Seen at the start or at some time since: whoever fetched a list in between may hold it.
        let mut seen = None;
        for state in past.states(&self.collection, present.as_ref()) {
            if self.sees(&state)? {
                seen = Some(state);
                break;
            }
        }
        let Some(seen) = seen else {
            return Ok(None);
        };
        // Removed while it was in sight: its last state may be shown. Else only that it went.
        if present.is_none()
            && let Some(last) = past.at_end(&self.collection)
            && self.sees(&last)?
        {
            return Ok(Some((Happened::Delete, self.view(&last)?)));
        }
        // As the reference: what goes out of sight is not told over SSE.
        Ok((self.listener.transport == Transport::WebSocket)
            .then(|| (Happened::Leave, view::stub(&seen))))
    }

    fn sees(&self, record: &Record) -> Result<bool, StoreError> {
        let tx = self.listener.tx;
        judge::sees(&self.verdict, tx.catalog(), &self.call, record, tx)
    }

    fn view(&self, record: &Record) -> Result<Vec<u8>, records::Error> {
        view::record(self.listener.tx, &self.call, self.listener.topic, record)
    }

    /// Makes frames, each with the latest cursor at which nothing is missed; `safe` is that of the last one.
    fn frames(self, safe: Position) -> Vec<Bytes> {
        let mut bound = safe;
        let mut cursors = Vec::with_capacity(self.tales.len());
        for tale in self.tales.iter().rev() {
            cursors.push(bound.min(tale.last));
            if matches!(tale.happened, Happened::Leave | Happened::Delete) {
                bound = bound.min(before(tale.first));
            }
        }
        let Listener {
            transport,
            sub,
            topic,
            seal,
            alone,
            ..
        } = *self.listener;
        let cursors = cursors.into_iter().rev();
        self.tales
            .into_iter()
            .zip(cursors)
            .map(|(tale, cursor)| match transport {
                Transport::Sse => {
                    let id = alone.then(|| seal(cursor));
                    frame::sse_event(id.as_deref(), &topic.text, tale.happened, &tale.view)
                }
                Transport::WebSocket => {
                    frame::ws_event(sub, tale.happened, &tale.view, &seal(cursor))
                }
            })
            .collect()
    }
}
