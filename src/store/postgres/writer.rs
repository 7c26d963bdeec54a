//! The writer thread: every change that this node makes goes through it.
//!
//! Writers of all nodes take turns by one lock of the database, which a transaction holds to its end: what a write has
//! read is still so when it commits, as with the embedded engine, and the places in the change log come into sight in
//! their order. Short writes share one transaction, each in its own savepoint, and are answered together after one
//! COMMIT. What other nodes have committed meanwhile is told before what this one commits.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicI32, Ordering};
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, RecvTimeoutError};

use super::address::Address;
use super::foreign::{self, Learned};
use super::log::{self, End};
use super::looks::Looks;
use super::session::Session;
use crate::kit::limits;
use crate::store::job::{Done, Group, Job, Left, Member, still_wanted};
use crate::store::shared::Shared;
use crate::store::{Change, CommitGroup, StoreError, WriteTx};

/// The lock that writers of all nodes take turns by.
const WRITERS: i64 = 0x4275_7272_6f77_0001;
/// How often the age of the log is looked at when nobody writes.
const IDLE_LOOK: Duration = Duration::from_secs(60);
/// Pause between two steps of trimming while there is more to drop.
const TRIM_PAUSE: Duration = Duration::from_millis(50);
/// Changes between two steps of trimming.
const CHANGES_PER_TRIM: u64 = 256;

/// Works until it is told to close, or nobody can ask any more.
pub(super) fn run(mut writer: Writer) {
    let mut idle = TRIM_PAUSE;
    loop {
        let job = match writer.jobs.recv_timeout(idle) {
            Ok(job) => Some(job),
            Err(RecvTimeoutError::Timeout) => None,
            Err(RecvTimeoutError::Disconnected) => return,
        };
        if let Some(job) = &job {
            writer.shared.begun(job);
        }
        match job {
            Some(job) => {
                if !writer.work(job) {
                    return;
                }
            }
            None => writer.trim(),
        }
        idle = if writer.trimming {
            TRIM_PAUSE
        } else {
            IDLE_LOOK
        };
    }
}

/// The connection that writes, and what it knows of the log.
pub(super) struct Writer {
    address: Address,
    /// Nothing while the database is away.
    session: Option<Session>,
    jobs: Receiver<Job>,
    shared: Arc<Shared>,
    /// The server's process of the connection, whose notifications are our own.
    process: Arc<AtomicI32>,
    /// When the log was last seen to its end.
    looks: Arc<Looks>,
    /// Place of the next entry, as far as this node has been told.
    next: u64,
    /// Place and time of the entry before it, where they are known.
    known: Option<(u64, i64)>,
    /// Whether commits that were known are gone.
    is_lost: bool,
    /// The connection was made after so many losses of the database.
    losses: u64,
    /// Changes since the last step of trimming.
    untrimmed: u64,
    /// Bytes of the log, roughly.
    log_bytes: u64,
    /// Whether the last step of trimming found something, so that more may be there.
    trimming: bool,
}

impl Writer {
    pub(super) fn new(
        address: Address,
        session: Session,
        jobs: Receiver<Job>,
        shared: Arc<Shared>,
        process: Arc<AtomicI32>,
        looks: Arc<Looks>,
    ) -> Result<Self, StoreError> {
        let next = shared.head.load(Ordering::Acquire) + 1;
        let log_bytes = log::estimate_bytes(&session)?;
        process.store(session.process()?, Ordering::Release);
        Ok(Self {
            address,
            session: Some(session),
            jobs,
            shared,
            process,
            looks,
            next,
            known: None,
            is_lost: false,
            losses: 0,
            untrimmed: 0,
            log_bytes,
            trimming: true,
        })
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
                } => self.alone(member, since, deadline),
                Job::Look => self.look(),
                Job::Close => return false,
            }
            if self.untrimmed >= CHANGES_PER_TRIM {
                self.trim();
            }
        }
        true
    }

    /// The connection, made anew where it has broken.
    fn session(&mut self) -> Result<&Session, StoreError> {
        let losses = self.looks.losses();
        if self.losses != losses || self.session.as_ref().is_some_and(Session::is_broken) {
            self.session = None;
        }
        let session = match self.session.take() {
            Some(session) => session,
            None if !self.looks.is_reachable() => {
                return Err(StoreError::Away("it was not there a moment ago".to_owned()));
            }
            None => {
                let session = Session::connect(&self.address)?;
                self.process.store(session.process()?, Ordering::Release);
                self.losses = losses;
                self.is_same_log(&session)?;
                session
            }
        };
        Ok(self.session.insert(session))
    }

    /// Looks whether the log still ends as this node knows it: a replica that has taken over may lack the last commits.
    fn is_same_log(&mut self, session: &Session) -> Result<(), StoreError> {
        let Some((position, time)) = self.known else {
            return Ok(());
        };
        if log::time_at(session, position)? != Some(time) {
            self.is_lost = true;
        }
        Ok(())
    }

    /// Begins a transaction in turn, and learns first what other nodes have written.
    fn begin(&mut self, deadline: Duration) -> Result<(), StoreError> {
        let was_connected = self.session.is_some();
        match self.try_begin(deadline) {
            // It may have been restarted since the connection was used last. Nothing was done yet.
            Err(StoreError::Away(_)) if was_connected => self.try_begin(deadline),
            done => done,
        }
    }

    fn try_begin(&mut self, deadline: Duration) -> Result<(), StoreError> {
        let text = format!(
            "BEGIN; SET LOCAL lock_timeout = {}; SET LOCAL statement_timeout = {}; \
             SET LOCAL idle_in_transaction_session_timeout = {}; SELECT pg_advisory_xact_lock({WRITERS}); \
             SET LOCAL lock_timeout = {}; {}",
            limits::WRITE_WAIT_SECS_MAX * 1_000,
            deadline.as_millis(),
            limits::DATABASE_SILENCE_SECS_MAX * 1_000,
            limits::DATABASE_LOCK_MILLIS_MAX,
            log::END,
        );
        let asked = Instant::now();
        let begun = self.session().and_then(|session| session.begin(&text));
        let level = begun.and_then(|rows| {
            let end = End::of(rows.last().map_or(&[], Vec::as_slice));
            if self.is_lost || end.last + 1 < self.next {
                self.begin_epoch()?;
                return Err(StoreError::Busy);
            }
            self.follow(end)
        });
        if let Err(error) = level {
            self.rollback();
            return Err(error);
        }
        self.looks.seen(asked);
        Ok(())
    }

    /// Commits of the past are gone: whatever was remembered of it counts for nothing. Inside a transaction of its own,
    /// in turn; ends it.
    fn begin_epoch(&mut self) -> Result<(), StoreError> {
        let Some(session) = &self.session else {
            return Err(StoreError::Away("the connection was closed".to_owned()));
        };
        let epoch = log::new_epoch(session)?;
        session.commit("NOTIFY burrow_changes; COMMIT")?;
        tracing::warn!(
            epoch,
            "the database has lost commits that were known here: the change log begins anew"
        );
        self.is_lost = false;
        Ok(())
    }

    /// Goes on to `end`, also of another epoch. Inside a transaction.
    fn follow(&mut self, end: End) -> Result<(), StoreError> {
        if end.epoch != self.looks.epoch() {
            return self.start_over(end);
        }
        if end.last >= self.next {
            return self.learn(end.last);
        }
        Ok(())
    }

    /// Everything may be different.
    fn start_over(&mut self, end: End) -> Result<(), StoreError> {
        let Some(session) = &self.session else {
            return Err(StoreError::Away("the connection was closed".to_owned()));
        };
        let catalog = self.shared.catalog.load_full();
        let now = self.shared.clock.now();
        let learned = foreign::anew(session, &catalog, end.last, now)?;
        self.known = None;
        self.looks.begin_epoch(end.epoch);
        self.take_over(end.last, learned);
        Ok(())
    }

    /// Takes over what other nodes have written, and tells it. Inside a transaction.
    fn learn(&mut self, last: u64) -> Result<(), StoreError> {
        let Some(session) = &self.session else {
            return Err(StoreError::Away("the connection was closed".to_owned()));
        };
        let catalog = self.shared.catalog.load_full();
        let learned = foreign::since(
            session,
            &catalog,
            self.next - 1,
            last,
            self.shared.clock.now(),
        )?;
        self.take_over(last, learned);
        Ok(())
    }

    fn take_over(&mut self, last: u64, learned: Learned) {
        self.next = last + 1;
        self.remember(&learned.commit.changes);
        self.shared.head.store(last, Ordering::Release);
        if let Some(catalog) = learned.catalog {
            self.shared.catalog.store(catalog);
        }
        self.shared.tell(&learned.commit);
    }

    /// Remembers the end of the log, where `changes` reach it.
    fn remember(&mut self, changes: &[Change]) {
        let end = |change: &&Change| change.position.0 + 1 == self.next;
        let last = changes.last().filter(end);
        self.known = last.map(|change| (change.position.0, change.time.as_millis()));
    }

    /// Runs `member` and those waiting behind it in one transaction; gives back the job that could not join them.
    fn group(&mut self, member: Box<dyn Member>, since: Instant) -> Option<Job> {
        let deadline = Duration::from_secs(limits::WRITE_ALONE_SECS_MAX);
        let mut group = Group::default();
        if let Err(error) = self.begin(deadline) {
            member.refuse(error);
            return None;
        }
        let mut waiting = Some((member, since));
        let mut left_over = None;
        let mut members = 0;
        while let Some((member, since)) = waiting.take() {
            self.join(&mut group, member, since);
            if !self.stands() {
                group.answer_all(|| Err(StoreError::Busy));
                return None;
            }
            members += 1;
            if members < limits::WRITE_GROUP_MAX {
                let next = self.jobs.try_recv();
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
        self.commit(group);
        left_over
    }

    /// Whether the transaction can still be committed.
    fn stands(&self) -> bool {
        self.session
            .as_ref()
            .is_some_and(|session| session.is_open() && !session.is_broken())
    }

    /// Runs one member of a group inside its savepoint.
    fn join(&mut self, group: &mut Group, member: Box<dyn Member>, since: Instant) {
        let Some(member) = still_wanted(member, since) else {
            return;
        };
        if let Err(error) = self.batch("SAVEPOINT member") {
            member.refuse(error);
            self.rollback();
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
        match self.batch("RELEASE member") {
            Ok(()) => group.keep(done, left),
            Err(error) => {
                self.undo_member();
                (done.answer)(Err(error));
            }
        }
    }

    fn batch(&self, text: &str) -> Result<(), StoreError> {
        match &self.session {
            Some(session) => session.batch(text),
            None => Err(StoreError::Away("the connection was closed".to_owned())),
        }
    }

    /// Undoes the member that ran last; the whole group where that is impossible.
    fn undo_member(&mut self) {
        if let Err(error) = self.batch("ROLLBACK TO member; RELEASE member") {
            tracing::warn!(%error, "a savepoint could not be undone");
            self.rollback();
        }
    }

    /// Runs `member` in a transaction of its own.
    fn alone(&mut self, member: Box<dyn Member>, since: Instant, deadline: Duration) {
        let Some(member) = still_wanted(member, since) else {
            return;
        };
        let mut group = Group::default();
        if let Err(error) = self.begin(deadline) {
            member.refuse(error);
            return;
        }
        if let Some(session) = &self.session {
            session.until(Some(Instant::now() + deadline));
        }
        let (done, left) = self.call(&group, member);
        if let Some(session) = &self.session {
            session.until(None);
        }
        match done {
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
        let nothing = || Left {
            catalog: Arc::clone(&catalog),
            changes: Vec::new(),
            entries: 0,
            bytes: 0,
            partial: false,
        };
        let Some(session) = &self.session else {
            member.refuse(StoreError::Away("the connection was closed".to_owned()));
            return (None, nothing());
        };
        session.under(catalog.generation());
        let next = self.next + group.entries;
        let now = self.shared.clock.now();
        let mut tx = WriteTx::new(session, Arc::clone(&catalog), next, now);
        let done = catch_unwind(AssertUnwindSafe(|| member.run(&mut tx)));
        let left = tx.finish();
        if done.is_err() {
            tracing::error!("a write panicked; its changes are undone");
        }
        (done.ok(), left)
    }

    fn commit(&mut self, group: Group) {
        let text = if group.entries > 0 {
            "NOTIFY burrow_changes; COMMIT"
        } else {
            // In a transaction that an error has ended, COMMIT alone would undo everything and call that a success.
            "SELECT 1; COMMIT"
        };
        let done = match &self.session {
            Some(session) => session.commit(text),
            None => Err(StoreError::Away("the connection was closed".to_owned())),
        };
        if let Err(error) = done {
            self.rollback();
            // Nobody knows whether it was committed where the connection broke meanwhile: nobody is told that it was,
            // and what was is learned as if it came from another node.
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
            foreign: _,
        } = group;
        self.next += entries;
        if entries > 0 {
            self.remember(&changes);
        }
        self.untrimmed += entries;
        self.log_bytes += bytes;
        self.shared.head.store(self.next - 1, Ordering::Release);
        if let Some(catalog) = catalog {
            self.shared.catalog.store(catalog);
        }
        if !changes.is_empty() {
            self.shared.tell(&CommitGroup {
                changes,
                whole: !partial,
            });
        }
        for answer in answers {
            answer(Ok(()));
        }
    }

    /// Undoes the open transaction; a connection that cannot even do that is closed.
    fn rollback(&mut self) {
        if let Some(session) = &self.session
            && let Err(error) = session.rollback()
        {
            tracing::debug!(%error, "a rollback failed");
            self.session = None;
        }
    }

    /// Looks for what other nodes have written, outside of any write of ours and without waiting for the turn of a
    /// writer: places come into sight in their order.
    fn look(&mut self) {
        self.looks.begun();
        let begin = format!(
            "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY; SET LOCAL statement_timeout = {}",
            limits::READ_SECS_MAX * 1_000
        );
        let asked = Instant::now();
        let end = self.session().and_then(|session| {
            let rows = session.begin(&format!("{begin}; {}", log::END))?;
            Ok(End::of(rows.last().map_or(&[], Vec::as_slice)))
        });
        let learned = end.and_then(|end| {
            if self.is_lost || end.last + 1 < self.next && end.epoch == self.looks.epoch() {
                // Only who has the turn of a writer may say so.
                return Ok(false);
            }
            self.follow(end).map(|()| true)
        });
        match learned {
            Ok(true) => {
                self.looks.seen(asked);
                if let Some(session) = &self.session {
                    session.end();
                }
            }
            Ok(false) => {
                self.rollback();
                let begun = self.begin(Duration::from_secs(limits::READ_SECS_MAX));
                if begun.is_ok() {
                    self.rollback();
                }
                self.looks.ask();
            }
            Err(error) => {
                tracing::warn!(%error, "cannot look for what other nodes wrote");
                self.rollback();
            }
        }
    }

    /// One small step of trimming, in a transaction of its own.
    fn trim(&mut self) {
        self.untrimmed = 0;
        let now = self.shared.clock.now();
        let deadline = Duration::from_secs(limits::READ_SECS_MAX);
        let mut step = || -> Result<u64, StoreError> {
            self.begin(deadline)?;
            let Some(session) = &self.session else {
                return Ok(0);
            };
            let dropped = log::trim(session, now, self.log_bytes)?;
            let left = if dropped > 0 {
                log::estimate_bytes(session)?
            } else {
                self.log_bytes
            };
            session.commit("COMMIT")?;
            self.log_bytes = left;
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
