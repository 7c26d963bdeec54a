//! Running jobs: at their minute, or when a superuser says so.

use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt;
use serde::Serialize;

use super::{Expression, Job};
use crate::kit::clock::Clock;
use crate::kit::task::Task;
use crate::kit::time::Timestamp;
use crate::mail::Mailer;
use crate::ops::{Backups, Error, Logs, Settings};
use crate::store::Store;

const MINUTE_MS: i64 = 60_000;

/// The scheduler. Cheap to clone; the clock's ticking ends with the last clone.
#[derive(Clone, Debug)]
pub struct Crons {
    work: Work,
    _ticking: Arc<Task>,
}

/// What jobs work on.
#[derive(Clone, Debug)]
pub struct Work {
    /// The database.
    pub store: Store,
    /// The request logs.
    pub logs: Logs,
    /// What superusers have set.
    pub settings: Settings,
    /// Archives of the directory.
    pub backups: Backups,
    /// What is sent to people.
    pub mailer: Mailer,
    /// Source of time.
    pub clock: Clock,
}

/// A job as it is answered.
#[derive(Clone, Debug, Serialize)]
pub struct Listed {
    id: &'static str,
    expression: String,
}

impl Crons {
    /// Starts looking at the clock every minute.
    #[must_use]
    pub fn start(work: Work) -> Self {
        let ticking = Task::spawn(tick(work.clone()));
        Self {
            work,
            _ticking: Arc::new(ticking),
        }
    }

    /// All jobs.
    #[must_use]
    pub fn list(&self) -> Vec<Listed> {
        let listed = |(job, expression): (Job, String)| Listed {
            id: job.id(),
            expression,
        };
        self.work.jobs().into_iter().map(listed).collect()
    }

    /// Begins what is due now, as the clock's ticking does every minute.
    pub fn tick(&self) {
        self.work.minute(self.work.clock.now());
    }

    /// Runs a job in the background.
    ///
    /// # Errors
    /// [`Error::NotFound`] when there is none of that name.
    pub fn run(&self, id: &str) -> Result<(), Error> {
        let mut jobs = self.work.jobs().into_iter().map(|(job, _)| job);
        let job = jobs
            .find(|job| job.id() == id)
            .ok_or(Error::NotFound("Missing or invalid cron job."))?;
        self.work.begin(job);
        Ok(())
    }
}

impl Work {
    /// The jobs that there are now, with their times.
    fn jobs(&self) -> Vec<(Job, String)> {
        let settings = self.settings.current();
        let mut jobs: Vec<(Job, String)> = Job::ALL
            .iter()
            .map(|job| (*job, job.expression().to_owned()))
            .collect();
        if !settings.backups.cron.is_empty() {
            jobs.push((Job::AutoBackup, settings.backups.cron.clone()));
        }
        jobs
    }

    /// Begins what is due in the minute of `now`: once, however many servers share the database.
    fn minute(&self, now: Timestamp) {
        for (job, expression) in self.jobs() {
            let due = Expression::parse(&expression).is_some_and(|when| when.is_due(now.civil()));
            if due && self.claims(job, now) {
                self.begin(job);
            }
        }
    }

    fn claims(&self, job: Job, now: Timestamp) -> bool {
        let Some(common) = self.store.common() else {
            return true;
        };
        let minute = now.as_millis().div_euclid(MINUTE_MS);
        common.claim(job.id(), minute, now).unwrap_or_else(|error| {
            tracing::error!(%error, job = job.id(), "a job was not begun");
            false
        })
    }

    fn begin(&self, job: Job) {
        let work = self.clone();
        Task::spawn(async move {
            let run = job.run(&work);
            // A job that panics ends alone.
            match std::panic::AssertUnwindSafe(run).catch_unwind().await {
                Ok(Ok(())) => {}
                Ok(Err(error)) => tracing::error!(%error, job = job.id(), "a job failed"),
                Err(_panic) => tracing::error!(job = job.id(), "a job panicked"),
            }
        })
        .detach("a job ends by itself, whoever asked for it");
    }
}

async fn tick(work: Work) {
    loop {
        let into_minute = work.clock.now().as_millis().rem_euclid(MINUTE_MS);
        let left = u64::try_from(MINUTE_MS - into_minute).unwrap_or(0);
        tokio::time::sleep(Duration::from_millis(left)).await;
        work.minute(work.clock.now());
    }
}
