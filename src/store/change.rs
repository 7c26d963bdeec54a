//! The change log: what was committed, in order.

use std::sync::Arc;

use crate::kit::time::Timestamp;
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
    Schema,
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
            Self::Schema | Self::Touched { .. } => None,
        }
    }
}

/// The changes of one COMMIT, in order.
#[derive(Clone, Debug)]
pub struct CommitGroup {
    /// Never empty.
    pub changes: Vec<Change>,
}
