//! What other nodes have committed, as this node tells it: every change with its record before and after, as if it had
//! been made here. The log holds what undoes each change; the rows of now and the undo values, from the newest entry
//! back to the oldest, give all states between.

use std::collections::HashMap;
use std::sync::Arc;

use super::log;
use super::schema_rows;
use super::session::Session;
use crate::expr::Catalog;
use crate::kit::sql::Dialect;
use crate::kit::time::Timestamp;
use crate::kit::value::Value;
use crate::schema::{Collection, CollectionId, Record};
use crate::store::change::{Action, Entry};
use crate::store::{Change, ChangeKind, CommitGroup, Concerned, Position, StoreError, query, read};

/// Entries that are told apart; past it all collections count as touched.
const ENTRIES_READ: usize = 10_000;

/// What was learned.
pub(super) struct Learned {
    /// The collections of now, where they have changed.
    pub(super) catalog: Option<Arc<Catalog>>,
    pub(super) commit: CommitGroup,
}

type Key = (CollectionId, String);

/// The changes after `position`, up to `last`. Inside a transaction.
pub(super) fn since(
    session: &Session,
    catalog: &Arc<Catalog>,
    position: u64,
    last: u64,
    now: Timestamp,
) -> Result<Learned, StoreError> {
    let entries = log::read_after(session, position, ENTRIES_READ)?;
    let overflow = last.saturating_sub(position) > entries.len() as u64;
    let schema = overflow || entries.iter().any(|entry| entry.action == Action::Schema);
    let after = if schema {
        let loaded = schema_rows::load(session, catalog.generation() + 1)?;
        Some(Arc::new(Catalog::new(loaded)))
    } else {
        None
    };
    let present = after.as_ref().unwrap_or(catalog);
    session.under(present.generation());
    let changes = if overflow {
        everything(present, last, now)
    } else {
        Past::read(session, present, &entries)?.changes(entries)
    };
    Ok(Learned {
        catalog: after,
        commit: CommitGroup {
            whole: !overflow,
            changes,
        },
    })
}

/// Everything, read anew, where nothing of what was known may be so any more.
pub(super) fn anew(
    session: &Session,
    catalog: &Arc<Catalog>,
    last: u64,
    now: Timestamp,
) -> Result<Learned, StoreError> {
    let loaded = schema_rows::load(session, catalog.generation() + 1)?;
    let present = Arc::new(Catalog::new(loaded));
    let changes = everything(&present, last, now);
    Ok(Learned {
        catalog: Some(present),
        commit: CommitGroup {
            whole: false,
            changes,
        },
    })
}

/// All that may have changed, where the changes are too many or gone.
fn everything(catalog: &Catalog, last: u64, now: Timestamp) -> Vec<Change> {
    let change = |kind| Change {
        position: Position(last),
        tx: last,
        time: now,
        kind,
    };
    let concerned = catalog.iter().map(|collection| Concerned {
        collection: collection.id.clone(),
        past_lost: true,
    });
    let schema = change(ChangeKind::Schema {
        collections: concerned.collect(),
    });
    let touched = catalog.iter().map(|collection| {
        change(ChangeKind::Touched {
            collection: collection.id.clone(),
        })
    });
    [schema].into_iter().chain(touched).collect()
}

/// The states of records, at the place in the log that was reached on the way back.
struct Past<'a> {
    catalog: &'a Catalog,
    states: HashMap<Key, Record>,
}

impl<'a> Past<'a> {
    /// The rows of now of all records that the entries name.
    fn read(
        session: &Session,
        catalog: &'a Catalog,
        entries: &[Entry],
    ) -> Result<Self, StoreError> {
        let mut named: HashMap<CollectionId, Vec<&str>> = HashMap::new();
        for subject in entries.iter().filter_map(|entry| entry.subject.as_ref()) {
            if let Some(record) = &subject.record {
                let ids = named.entry(subject.collection.clone()).or_default();
                if !ids.contains(&record.as_str()) {
                    ids.push(record.as_str());
                }
            }
        }
        let mut states = HashMap::new();
        for (id, records) in named {
            let Some(collection) = catalog.by_id(&id) else {
                continue;
            };
            let sql = query::select_ids(Dialect::Postgres, collection, &records);
            session.query_rows(&sql, &mut |row| {
                let record = read::record(Dialect::Postgres, collection, row);
                states.insert((id.clone(), record.id().to_owned()), record);
            })?;
        }
        Ok(Self { catalog, states })
    }

    fn changes(mut self, entries: Vec<Entry>) -> Vec<Change> {
        let mut changes: Vec<Change> = entries
            .into_iter()
            .rev()
            .filter_map(|entry| {
                let (position, tx, time) = (entry.position, entry.tx, entry.time);
                let kind = self.undo(entry)?;
                Some(Change {
                    position,
                    tx,
                    time,
                    kind,
                })
            })
            .collect();
        changes.reverse();
        changes
    }

    /// What `entry` did, going back to before it; nothing for collections that are gone.
    fn undo(&mut self, entry: Entry) -> Option<ChangeKind> {
        let subject = match (entry.action, entry.subject) {
            (Action::Schema, _) | (_, None) => {
                return Some(ChangeKind::Schema {
                    collections: entry.concerns.unwrap_or_default(),
                });
            }
            (_, Some(subject)) => subject,
        };
        let collection = Arc::clone(self.catalog.by_id(&subject.collection)?);
        let touched = ChangeKind::Touched {
            collection: subject.collection.clone(),
        };
        let Some(record) = subject.record else {
            return Some(touched);
        };
        let key = (subject.collection, record.as_str().to_owned());
        let kind = match (entry.action, self.states.remove(&key)) {
            (Action::Create, Some(after)) => ChangeKind::Create {
                after: Arc::new(after),
            },
            (Action::Update, Some(after)) => {
                let before = with(&collection, after.cells().to_vec(), &entry.undo);
                self.states.insert(key, before.clone());
                ChangeKind::Update {
                    before: Arc::new(before),
                    after: Arc::new(after),
                }
            }
            (Action::Delete, _) => {
                let nothing = vec![Value::Null; collection.fields.len()];
                let before = with(&collection, nothing, &entry.undo);
                self.states.insert(key, before.clone());
                ChangeKind::Delete {
                    before: Arc::new(before),
                }
            }
            // Somebody removed the row without an entry.
            (Action::Create | Action::Update | Action::Touched | Action::Schema, _) => touched,
        };
        Some(kind)
    }
}

/// `cells` with those of `undo` in their places.
fn with(
    collection: &Arc<Collection>,
    mut cells: Vec<Value>,
    undo: &[(compact_str::CompactString, Value)],
) -> Record {
    for (field, value) in undo {
        let at = collection
            .fields
            .iter()
            .position(|known| known.id == *field);
        if let Some(cell) = at.and_then(|at| cells.get_mut(at)) {
            *cell = value.clone();
        }
    }
    Record::from_cells(Arc::clone(collection), cells)
}
