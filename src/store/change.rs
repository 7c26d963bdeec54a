//! The change log: what was committed, in order.

use std::sync::Arc;

use compact_str::CompactString;

use super::difference::Concerned;
use crate::kit::time::Timestamp;
use crate::kit::value::Value;
use crate::schema::{CollectionId, Record, RecordId};

/// Place in the log; grows by one for each change.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Position(pub u64);

/// A place in the log of one epoch, as clients hold it (sealed on the wire).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cursor {
    /// Changes whenever the past is not ours any more.
    pub epoch: u64,
    /// Place in the log.
    pub position: Position,
}

/// A committed fact.
#[derive(Clone, Debug)]
pub struct Change {
    /// Where it stands in the log.
    pub position: Position,
    /// Transaction: changes of one commit member share it.
    pub tx: u64,
    /// When it was committed.
    pub time: Timestamp,
    /// What happened.
    pub kind: ChangeKind,
}

/// What happened.
#[derive(Clone, Debug)]
pub enum ChangeKind {
    /// A record was made.
    Create {
        /// The record after it.
        after: Arc<Record>,
    },
    /// A record was changed.
    Update {
        /// The record before it.
        before: Arc<Record>,
        /// The record after it.
        after: Arc<Record>,
    },
    /// A record was removed.
    Delete {
        /// The record before it.
        before: Arc<Record>,
    },
    /// Collections, rules, settings or secrets changed: everything compiled is stale.
    Schema {
        /// The collections it concerns; none for settings and secrets.
        collections: Vec<Concerned>,
    },
    /// Rows of a table may have changed without entries of their own (raw SQL).
    Touched {
        /// The collection.
        collection: CollectionId,
    },
}

impl ChangeKind {
    /// Collection and record it concerns.
    #[must_use]
    pub fn subject(&self) -> Option<(CollectionId, RecordId)> {
        match self {
            Self::Create { after } | Self::Update { after, .. } => {
                Some((after.collection().id.clone(), RecordId::new(after.id())))
            }
            Self::Delete { before } => {
                Some((before.collection().id.clone(), RecordId::new(before.id())))
            }
            Self::Schema { .. } | Self::Touched { .. } => None,
        }
    }
}

/// The changes of one COMMIT, in order.
#[derive(Clone, Debug)]
pub struct CommitGroup {
    /// Never empty.
    pub changes: Vec<Change>,
    /// Whether each changed record is among them. What changed more than memory should hold is told as
    /// [`ChangeKind::Touched`] only: the log has the records.
    pub whole: bool,
}

/// An entry of the log as it is stored: what a reader of the past gets.
#[derive(Clone, Debug, PartialEq)]
pub struct Entry {
    /// Where it stands in the log.
    pub position: Position,
    /// Transaction.
    pub tx: u64,
    /// When it was committed.
    pub time: Timestamp,
    /// What happened.
    pub action: Action,
    /// To what; none for changes of schema and settings.
    pub subject: Option<Subject>,
    /// Old cells by field id: all of a deleted record, the changed ones of an updated record.
    pub undo: Vec<(CompactString, Value)>,
    /// The collections that a change of schema concerns; unknown where another version has written the entry.
    pub concerns: Option<Vec<Concerned>>,
}

impl Entry {
    /// Whether it leaves unknown what was visible in `collection` before it.
    #[must_use]
    pub fn loses_past(&self, collection: &CollectionId) -> bool {
        match (self.action, &self.subject) {
            (Action::Create | Action::Update | Action::Delete, _) => false,
            (Action::Touched, subject) => subject
                .as_ref()
                .is_none_or(|subject| subject.collection == *collection),
            (Action::Schema, _) => self.concerns.as_ref().is_none_or(|concerned| {
                concerned
                    .iter()
                    .any(|one| one.collection == *collection && one.past_lost)
            }),
        }
    }
}

/// What an entry is about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Subject {
    /// The collection.
    pub collection: CollectionId,
    /// The record; none for a whole collection that was touched.
    pub record: Option<RecordId>,
}

/// What happened, as stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    /// A record was made.
    Create,
    /// A record was changed.
    Update,
    /// A record was removed.
    Delete,
    /// Collections, rules, settings or secrets changed.
    Schema,
    /// Rows may have changed without entries of their own.
    Touched,
}

impl Action {
    /// The number stored for it.
    pub(super) fn code(self) -> i64 {
        match self {
            Self::Create => 1,
            Self::Update => 2,
            Self::Delete => 3,
            Self::Schema => 4,
            Self::Touched => 5,
        }
    }

    /// The action of a stored number; one that we do not know makes everything stale, which is always safe.
    pub(super) fn from_code(code: i64) -> Self {
        match code {
            1 => Self::Create,
            2 => Self::Update,
            3 => Self::Delete,
            5 => Self::Touched,
            _ => Self::Schema,
        }
    }
}
