//! The writer thread: every change of the database goes through it.
//!
//! Short writes share one transaction, each in its own savepoint, and are answered together after one COMMIT. When a
//! member ends the whole transaction (a full disk, an I/O error), it gets its own error, the members that had run are
//! answered [`StoreError::Busy`] (their work is undone, and a closure that ran cannot run again), and those still
//! waiting run in a new transaction. Nobody is told of a success that is not on the disk.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, RecvTimeoutError};
use parking_lot::Mutex;

use super::connection::Link;
use super::log;
use super::schema_rows;
use super::tap::Tap;
use crate::expr::Catalog;
use crate::kit::limits;
use crate::schema::CollectionId;
use crate::store::change::Action;
use crate::store::job::{Done, Group, Job, Left, Member, still_wanted};
use crate::store::shared::Shared;
use crate::store::{Change, ChangeKind, CommitGroup, Concerned, Position, StoreError, WriteTx};

/// How often the writer looks at the age of the log when nobody writes.
const IDLE_LOOK: Duration = Duration::from_secs(60);
/// Pause between two steps of trimming while there is more to drop.
const TRIM_PAUSE: Duration = Duration::from_millis(50);
/// Changes between two steps of trimming.
const CHANGES_PER_TRIM: u64 = 256;
/// Entries of another process that are told apart; past it all collections count as touched.
const FOREIGN_ENTRIES_READ: usize = 10_000;

/// Where the writer is found, by its thread and by callers with a short write and nobody before them. Empty once closed.
pub(super) type Desk = Mutex<Option<Writer>>;

/// Works until it is told to close, or nobody can ask any more.
pub(super) fn run(desk: &Desk, jobs: &Receiver<Job>) {
    let mut idle = TRIM_PAUSE;
    loop {
        let job = match jobs.recv_timeout(idle) {
            Ok(job) => Some(job),
            Err(RecvTimeoutError::Timeout) => None,
            Err(RecvTimeoutError::Disconnected) => break,
        };
        let mut desk = desk.lock();
        let Some(writer) = desk.as_mut() else { break };
        if let Some(job) = &job {
            writer.shared.begun(job);
        }
        let goes_on = match job {
            Some(job) => writer.work(job),
            None => {
                writer.trim();
                true
            }
        };
        idle = if writer.trimming {
            TRIM_PAUSE
        } else {
            IDLE_LOOK
        };
        if !goes_on {
            break;
        }
    }
    drop(desk.lock().take());
}

/// The connection that writes, and what it knows of the log.
pub(super) struct Writer {
    link: Link,
    jobs: Receiver<Job>,
    shared: Arc<Shared>,
    /// Place of the next entry.
    next: u64,
    /// SQLite's counter of other connections' commits.
    data_version: i64,
    /// Changes since the last step of trimming.
    untrimmed: u64,
    /// Bytes of the log, roughly.
    log_bytes: u64,
    /// Whether the last step of trimming found something, so that more may be there.
    trimming: bool,
    /// Whether a COMMIT waits for the disk.
    durable: bool,
    /// Members of the last group.
    last_group: usize,
    /// Hears of writes that did not come by it.
    pub(super) tap: Option<Arc<Tap>>,
}

impl Writer {
    pub(super) fn new(
        link: Link,
        jobs: Receiver<Job>,
        shared: Arc<Shared>,
        durable: bool,
    ) -> Result<Self, StoreError> {
        let next = log::last_position(&link.connection)? + 1;
        let log_bytes = log::estimate_bytes(&link.connection)?;
        shared.head.store(next - 1, Ordering::Release);
        let mut writer = Self {
            link,
            jobs,
            shared,
            next,
            data_version: 0,
            untrimmed: 0,
            log_bytes,
            trimming: true,
            durable,
            last_group: 0,
            tap: None,
        };
        writer.data_version = writer.read_data_version()?;
        // It may have gone since it was opened, and that would be no news for the first write.
        if log::is_gone(&writer.link.connection)? {
            return Err(gone());
        }
        Ok(writer)
    }

    /// Does one job and those that share its COMMIT; `false` when it is the last.
    fn work(&mut self, job: Job) -> bool {
        let mut next = Some(job);
        while let Some(job) = next.take() {
            match job {
                Job::Member { member, since } => next = self.group(member, since),
                Job::Alone {
                    member,
                    since,
                    deadline,
                } => self.alone(member, since, Some(deadline)),
                Job::Look => self.look(),
                Job::Close => return false,
            }
            self.trim_when_due();
        }
        true
    }

    /// Does one short write for a caller that found nobody else at the desk.
    pub(super) fn at_once(&mut self, member: Box<dyn Member>) {
        self.alone(member, Instant::now(), None);
        self.trim_when_due();
    }

    fn trim_when_due(&mut self) {
        if self.untrimmed >= CHANGES_PER_TRIM {
            self.trim();
        }
    }

    /// Runs `member` and those waiting behind it in one transaction; gives back the job that could not join them.
    fn group(&mut self, member: Box<dyn Member>, since: Instant) -> Option<Job> {
        if self.jobs.is_empty() && !(self.durable && self.last_group > 1) {
            // Nobody to share with: a savepoint would be wasted.
            self.alone(member, since, None);
            return None;
        }
        let mut group = Group::default();
        let mut waiting = Some((member, since));
        let mut left_over = None;
        if let Err(error) = self.begin(&mut group) {
            if let Some((member, _)) = waiting {
                member.refuse(error);
            }
            return None;
        }
        let mut members = 0;
        let mut patience = self.patience();
        while let Some((member, since)) = waiting.take() {
            self.join(&mut group, member, since);
            if self.link.connection.is_autocommit() {
                group.answer_all(|| Err(StoreError::Busy));
                return None;
            }
            members += 1;
            if members < limits::WRITE_GROUP_MAX {
                let next = self.next(members, &mut patience);
                if let Ok(job) = &next {
                    self.shared.begun(job);
                }
                match next {
                    Ok(Job::Member { member, since }) => waiting = Some((member, since)),
                    Ok(other) => left_over = Some(other),
                    Err(_) => {}
                }
            }
        }
        self.last_group = members;
        self.commit(group);
        left_over
    }

    /// How long a group may wait for members that have not come yet. Only where its COMMIT waits for the disk: those of the
    /// last group come back a moment after their answers, and would else wait for a sync of their own.
    fn patience(&self) -> Duration {
        if self.durable {
            Duration::from_micros(limits::WRITE_LINGER_MICROS_MAX)
        } else {
            Duration::ZERO
        }
    }

    /// What comes next for a group of so many members.
    fn next(&self, members: usize, patience: &mut Duration) -> Result<Job, RecvTimeoutError> {
        if let Ok(job) = self.jobs.try_recv() {
            return Ok(job);
        }
        if patience.is_zero() || members >= self.last_group {
            return Err(RecvTimeoutError::Timeout);
        }
        let begun = Instant::now();
        let next = self.jobs.recv_timeout(*patience);
        *patience = patience.saturating_sub(begun.elapsed());
        next
    }

    /// Runs one member of a group inside its savepoint.
    fn join(&mut self, group: &mut Group, member: Box<dyn Member>, since: Instant) {
        let Some(member) = still_wanted(member, since) else {
            return;
        };
        if let Err(error) = self.link.step("SAVEPOINT member") {
            member.refuse(error);
            return;
        }
        let (done, left) = self.call(group, member);
        let Some(done) = done else {
            self.undo_member();
            return;
        };
        if !done.keep {
            self.undo_member();
            (done.answer)(Ok(()));
            return;
        }
        match self.link.step("RELEASE member") {
            Ok(()) => group.keep(done, left),
            Err(error) => {
                self.undo_member();
                (done.answer)(Err(error));
            }
        }
    }

    /// Undoes the member that ran last; the whole group where that is impossible.
    fn undo_member(&self) {
        if self.link.connection.is_autocommit() {
            return;
        }
        let undone = self
            .link
            .step("ROLLBACK TO member")
            .and_then(|()| self.link.step("RELEASE member"));
        if let Err(error) = undone {
            tracing::error!(%error, "a savepoint could not be undone");
            self.rollback();
        }
    }

    /// Runs `member` in a transaction of its own.
    fn alone(&mut self, member: Box<dyn Member>, since: Instant, deadline: Option<Duration>) {
        let Some(member) = still_wanted(member, since) else {
            return;
        };
        let mut group = Group::default();
        if let Err(error) = self.begin(&mut group) {
            member.refuse(error);
            return;
        }
        if let Some(span) = deadline {
            self.link.deadline.set(span);
        }
        let (done, left) = self.call(&group, member);
        self.link.deadline.clear();
        match done {
            Some(done) if done.keep && self.link.connection.is_autocommit() => {
                (done.answer)(Err(StoreError::Busy));
            }
            Some(done) if done.keep => {
                group.keep(done, left);
                self.commit(group);
            }
            Some(done) => {
                self.rollback();
                (done.answer)(Ok(()));
            }
            None => self.rollback(),
        }
    }

    /// Calls a member; nothing when it panicked, whose caller learns it from the dropped answer.
    fn call(&self, group: &Group, member: Box<dyn Member>) -> (Option<Done>, Left) {
        let catalog = group
            .catalog
            .clone()
            .unwrap_or_else(|| self.shared.catalog.load_full());
        let next = self.next + group.entries;
        let mut tx = WriteTx::new(
            &self.link.connection,
            catalog,
            next,
            self.shared.clock.now(),
        );
        let done = catch_unwind(AssertUnwindSafe(|| member.run(&mut tx)));
        let left = tx.finish();
        if done.is_err() {
            tracing::error!("a write panicked; its changes are undone");
        }
        (done.ok(), left)
    }

    /// Begins a transaction, and learns first what other processes have written.
    fn begin(&mut self, group: &mut Group) -> Result<(), StoreError> {
        self.link.step("BEGIN IMMEDIATE")?;
        match self.read_data_version() {
            Ok(version) if version == self.data_version => Ok(()),
            Ok(version) => {
                if let Some(tap) = &self.tap {
                    tap.lose();
                }
                self.learn(group).inspect_err(|_| self.rollback())?;
                // Not before: what could not be learned is asked for again.
                self.data_version = version;
                Ok(())
            }
            Err(error) => {
                self.rollback();
                Err(error)
            }
        }
    }

    fn commit(&mut self, group: Group) {
        if let Err(error) = self.link.step("COMMIT") {
            self.rollback();
            tracing::error!(%error, "a commit failed");
            let full = matches!(error, StoreError::Full);
            group.answer_all(|| {
                Err(if full {
                    StoreError::Full
                } else {
                    StoreError::Busy
                })
            });
            return;
        }
        self.publish(group);
    }

    /// Tells the world what was committed, then those who asked.
    fn publish(&mut self, group: Group) {
        let Group {
            entries,
            bytes,
            partial,
            catalog,
            changes,
            answers,
            foreign,
        } = group;
        self.next += entries;
        self.untrimmed += entries;
        self.log_bytes += bytes;
        self.shared.head.store(self.next - 1, Ordering::Release);
        if let Some(catalog) = catalog {
            self.shared.catalog.store(catalog);
        }
        let mut all = foreign;
        all.extend(changes);
        if !all.is_empty() {
            let commit = CommitGroup {
                changes: all,
                whole: !partial,
            };
            self.shared.tell(&commit);
        }
        for answer in answers {
            answer(Ok(()));
        }
    }

    fn rollback(&self) {
        if !self.link.connection.is_autocommit()
            && let Err(error) = self.link.step("ROLLBACK")
        {
            tracing::error!(%error, "a rollback failed");
        }
    }

    fn read_data_version(&self) -> Result<i64, StoreError> {
        let mut statement = self.link.connection.prepare_cached("PRAGMA data_version")?;
        Ok(statement.query_row([], |row| row.get(0))?)
    }

    /// Looks for what other processes have written, outside of any write of ours.
    fn look(&mut self) {
        let mut group = Group::default();
        match self.begin(&mut group) {
            Ok(()) => self.commit(group),
            Err(error) => tracing::warn!(%error, "cannot look for foreign writes"),
        }
    }

    /// Reads the entries that other processes have appended and takes over their schema. Inside a transaction.
    fn learn(&mut self, group: &mut Group) -> Result<(), StoreError> {
        let connection = &self.link.connection;
        if log::is_gone(connection)? {
            return Err(gone());
        }
        let entries = log::read_after(connection, self.next - 1, FOREIGN_ENTRIES_READ)?;
        let now = self.shared.clock.now();
        let overflow = entries.len() == FOREIGN_ENTRIES_READ;
        let mut touched: Vec<CollectionId> = Vec::new();
        let mut concerned: Vec<Concerned> = Vec::new();
        let mut schema = overflow;
        for entry in entries {
            match (entry.subject, entry.action) {
                (Some(subject), _) if !touched.contains(&subject.collection) => {
                    touched.push(subject.collection);
                }
                (None, Action::Schema) => {
                    schema = true;
                    concerned.extend(entry.concerns.unwrap_or_default());
                }
                _ => {}
            }
        }
        let last = log::last_position(connection)?;
        if schema {
            let generation = self.shared.catalog.load().generation() + 1;
            let loaded = schema_rows::load(connection, generation)?;
            if overflow {
                touched.extend(loaded.iter().map(|collection| collection.id.clone()));
            }
            group.catalog = Some(Arc::new(Catalog::new(loaded)));
        }
        let schema = schema.then_some(ChangeKind::Schema {
            collections: concerned,
        });
        let kinds = schema.into_iter().chain(
            touched
                .into_iter()
                .map(|collection| ChangeKind::Touched { collection }),
        );
        group.foreign = kinds
            .map(|kind| Change {
                position: Position(last),
                tx: last,
                time: now,
                kind,
            })
            .collect();
        self.next = last + 1;
        Ok(())
    }

    /// One small step of trimming, in a transaction of its own.
    fn trim(&mut self) {
        self.untrimmed = 0;
        let now = self.shared.clock.now();
        let mut step = || -> Result<u64, StoreError> {
            self.link.step("BEGIN IMMEDIATE")?;
            let dropped = log::trim(&self.link.connection, now, self.log_bytes)?;
            if dropped > 0 {
                self.log_bytes = log::estimate_bytes(&self.link.connection)?;
            }
            self.link.step("COMMIT")?;
            Ok(dropped)
        };
        match step() {
            Ok(dropped) => self.trimming = dropped > 0,
            Err(error) => {
                self.trimming = false;
                self.rollback();
                tracing::warn!(%error, "the change log was not trimmed");
            }
        }
    }
}

fn gone() -> StoreError {
    StoreError::Away("the data has gone to PostgreSQL".to_owned())
}
