//! What the writer is asked to do, and what those share who share a COMMIT.

use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::oneshot;

use super::WriteTx;
use crate::expr::Catalog;
use crate::kit::limits;
use crate::store::{Change, ChangeKind, StoreError};

/// Tells whoever asked how it went; an error of the COMMIT takes the place of a success.
pub(in crate::store) type Answer = Box<dyn FnOnce(Result<(), StoreError>) + Send>;

/// Work for the writer.
pub(in crate::store) trait Member: Send {
    /// Whether whoever asked has gone meanwhile.
    fn is_abandoned(&self) -> bool;
    /// Does the work inside a transaction.
    fn run(self: Box<Self>, tx: &mut WriteTx<'_>) -> Done;
    /// Answers without doing it.
    fn refuse(self: Box<Self>, error: StoreError);
}

/// What a member leaves behind.
pub(in crate::store) struct Done {
    /// Whether its changes are to be kept.
    pub(in crate::store) keep: bool,
    /// See [`Answer`].
    pub(in crate::store) answer: Answer,
}

/// A closure and where its answer goes.
pub(in crate::store) struct Work<F, T, E> {
    pub(in crate::store) f: F,
    pub(in crate::store) to: oneshot::Sender<Result<T, E>>,
}

impl<F, T, E> Member for Work<F, T, E>
where
    F: FnOnce(&mut WriteTx<'_>) -> Result<T, E> + Send,
    T: Send + 'static,
    E: From<StoreError> + Send + 'static,
{
    fn is_abandoned(&self) -> bool {
        self.to.is_closed()
    }

    fn run(self: Box<Self>, tx: &mut WriteTx<'_>) -> Done {
        let Self { f, to } = *self;
        let result = f(tx);
        Done {
            keep: result.is_ok(),
            answer: Box::new(move |committed| {
                let answer = match committed {
                    Ok(()) => result,
                    Err(error) => result.and(Err(error.into())),
                };
                // Whoever asked may have gone; the write stands all the same.
                drop(to.send(answer));
            }),
        }
    }

    fn refuse(self: Box<Self>, error: StoreError) {
        drop(self.to.send(Err(error.into())));
    }
}

/// What the writer is asked to do.
pub(in crate::store) enum Job {
    /// A member of a group.
    Member {
        /// The work.
        member: Box<dyn Member>,
        /// When it was asked for.
        since: Instant,
    },
    /// Work with a transaction of its own.
    Alone {
        /// The work.
        member: Box<dyn Member>,
        /// When it was asked for.
        since: Instant,
        /// How long it may take.
        deadline: Duration,
    },
    /// Another process says that it wrote: look at the log's tail.
    Look,
    /// Finish what is queued before this and end.
    Close,
}

/// What a transaction of a member leaves behind, besides its answer.
pub(in crate::store) struct Left {
    /// To go on with.
    pub(in crate::store) catalog: Arc<Catalog>,
    /// What listeners are told.
    pub(in crate::store) changes: Vec<Change>,
    /// Entries in the log, and their bytes.
    pub(in crate::store) entries: u64,
    pub(in crate::store) bytes: u64,
    /// Whether some entries are not among the changes.
    pub(in crate::store) partial: bool,
}

/// Members that share a COMMIT.
#[derive(Default)]
pub(in crate::store) struct Group {
    /// Entries in the log, and their bytes.
    pub(in crate::store) entries: u64,
    pub(in crate::store) bytes: u64,
    /// Set when a member changed more than its images may take.
    pub(in crate::store) partial: bool,
    /// Set when the schema changed.
    pub(in crate::store) catalog: Option<Arc<Catalog>>,
    /// In order.
    pub(in crate::store) changes: Vec<Change>,
    pub(in crate::store) answers: Vec<Answer>,
    /// What other processes did before.
    pub(in crate::store) foreign: Vec<Change>,
}

impl Group {
    /// Takes over what a member leaves behind.
    pub(in crate::store) fn keep(&mut self, done: Done, left: Left) {
        let Left {
            catalog,
            changes,
            entries,
            bytes,
            partial,
        } = left;
        self.entries += entries;
        self.bytes += bytes;
        self.partial |= partial;
        if changes
            .iter()
            .any(|change| matches!(change.kind, ChangeKind::Schema { .. }))
        {
            self.catalog = Some(catalog);
        }
        self.changes.extend(changes);
        self.answers.push(done.answer);
    }

    /// Answers all members alike.
    pub(in crate::store) fn answer_all(self, with: impl Fn() -> Result<(), StoreError>) {
        for answer in self.answers {
            answer(with());
        }
    }
}

impl Job {
    /// Since when it waits, where somebody waits for it.
    pub(in crate::store) fn since(&self) -> Option<Instant> {
        match self {
            Self::Member { since, .. } | Self::Alone { since, .. } => Some(*since),
            Self::Look | Self::Close => None,
        }
    }
}

/// The member, unless whoever asked has gone or it has waited for too long.
pub(in crate::store) fn still_wanted(
    member: Box<dyn Member>,
    since: Instant,
) -> Option<Box<dyn Member>> {
    if member.is_abandoned() {
        return None;
    }
    if since.elapsed() > Duration::from_secs(limits::WRITE_WAIT_SECS_MAX) {
        member.refuse(StoreError::Busy);
        return None;
    }
    Some(member)
}
