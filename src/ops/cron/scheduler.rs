//! Running jobs: at their minute, or when a superuser says so.

use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt;
use serde::Serialize;

use super::Job;
use crate::kit::clock::Clock;
use crate::kit::task::Task;
use crate::ops::{Error, Logs};
use crate::store::Store;

const MINUTE_MS: i64 = 60_000;

/// The scheduler. Cheap to clone; the clock's ticking ends with the last clone.
#[derive(Clone, Debug)]
pub struct Crons {
    work: Work,
    _ticking: Arc<Task>,
}

#[derive(Clone, Debug)]
struct Work {
    store: Store,
    logs: Logs,
    clock: Clock,
}

/// A job as it is answered.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct Listed {
    id: &'static str,
    expression: &'static str,
}

impl Crons {
    /// Starts looking at the clock every minute.
    #[must_use]
    pub fn start(store: Store, logs: Logs, clock: Clock) -> Self {
        let work = Work { store, logs, clock };
        let ticking = Task::spawn(tick(work.clone()));
        Self {
            work,
            _ticking: Arc::new(ticking),
        }
    }

    /// All jobs.
    #[must_use]
    pub fn list(&self) -> Vec<Listed> {
        Job::ALL
            .iter()
            .map(|job| Listed {
                id: job.id(),
                expression: job.expression(),
            })
            .collect()
    }

    /// Runs a job in the background.
    ///
    /// # Errors
    /// [`Error::NotFound`] when there is none of that name.
    pub fn run(&self, id: &str) -> Result<(), Error> {
        let job = Job::ALL
            .into_iter()
            .find(|job| job.id() == id)
            .ok_or(Error::NotFound("Missing or invalid cron job."))?;
        self.work.begin(job);
        Ok(())
    }
}

impl Work {
    fn begin(&self, job: Job) {
        let work = self.clone();
        Task::spawn(async move {
            let run = job.run(&work.store, &work.logs, &work.clock);
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
        let now = work.clock.now();
        for job in Job::ALL.into_iter().filter(|job| job.is_due(now)) {
            work.begin(job);
        }
    }
}
