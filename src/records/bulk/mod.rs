//! One order for many records: change, remove or duplicate them, with progress, a way to stop and a way to take it back.
//! Each record is a write of its own under the ordinary validations, so that one that fails hurts no other and everybody
//! else's writes come in between. An order goes on to its end when the connection that gave it breaks.

mod act;
mod job;
mod undo;

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use compact_str::CompactString;
use parking_lot::Mutex;

pub use job::{Failure, Job, Progress, State};

use super::draft::{Draft, Submission};
use super::service::Records;
use super::{Error, blobs, create};
use crate::call::Call;
use crate::expr::Guard;
use crate::kit::json::JsonMap;
use crate::kit::limits::{
    BULK_DELAY_MILLIS_MAX, BULK_JOBS_MAX, BULK_KEPT_MAX, BULK_RECORDS_MAX, BULK_UNDO_SECS,
};
use crate::kit::task::Task;
use crate::schema::field::resolve_key;
use crate::schema::{Collection, FieldError, FieldErrors, FieldKind};
use crate::store::{Page, Select};

/// What is done to each record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Deed {
    /// Some of its values are set.
    Update,
    /// It is removed.
    Delete,
    /// A new one is made with its values.
    Duplicate,
    /// An earlier order is taken back.
    Undo,
}

impl Deed {
    /// Its name on the wire.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Update => "update",
            Self::Delete => "delete",
            Self::Duplicate => "duplicate",
            Self::Undo => "undo",
        }
    }
}

/// Which records.
#[derive(Clone, Debug)]
pub enum Target {
    /// These.
    Ids(Vec<CompactString>),
    /// All that the filter holds for when the order is given; an empty one holds for all.
    Filter(String),
}

/// What a superuser wants done.
#[derive(Clone, Debug)]
pub struct Order {
    /// To each record.
    pub deed: Deed,
    /// Which ones.
    pub target: Target,
    /// Values for changes and duplicates, modifiers included.
    pub values: JsonMap,
    /// How long to wait before the first record, in which the order can be stopped as if it had never been given.
    pub delay: Duration,
}

/// The orders that are being carried out, and those that can be taken back.
#[derive(Clone, Debug, Default)]
pub(super) struct Jobs(Arc<Mutex<VecDeque<Arc<Job>>>>);

impl Jobs {
    fn find(&self, id: &str) -> Option<Arc<Job>> {
        self.0.lock().iter().find(|job| job.id == id).cloned()
    }

    /// Remembers a job; those that are thereby forgotten come back. Refuses when too many are running.
    fn add(&self, job: &Arc<Job>) -> Result<Vec<Arc<Job>>, Error> {
        let mut jobs = self.0.lock();
        if jobs.iter().filter(|job| !job.is_over()).count() >= BULK_JOBS_MAX {
            return Err(Error::BulkBusy);
        }
        jobs.push_back(Arc::clone(job));
        let mut forgotten = Vec::new();
        while jobs.len() > BULK_KEPT_MAX
            && let Some(at) = jobs.iter().position(|job| job.is_over())
        {
            forgotten.extend(jobs.remove(at));
        }
        Ok(forgotten)
    }

    fn remove(&self, id: &str) -> Option<Arc<Job>> {
        let mut jobs = self.0.lock();
        let at = jobs.iter().position(|job| job.id == id)?;
        jobs.remove(at)
    }
}

impl Records {
    /// Begins to carry out an order of a superuser.
    ///
    /// # Errors
    /// [`Error::Bulk`] with what is wrong with the order, [`Error::BulkBusy`], and as the path of a write.
    pub async fn bulk(&self, call: &Call, name: &str, order: Order) -> Result<Arc<Job>, Error> {
        if !call.actor.is_superuser() {
            return Err(Error::NotSuperuser);
        }
        let collection = Arc::clone(create::writable(&self.store().catalog(), name)?);
        let errors = faults(&collection, &order);
        if !errors.is_empty() {
            return Err(Error::Bulk(errors));
        }
        let ids = self.bulk_ids(call, &collection, order.target).await?;
        let job = Arc::new(Job::new(order.deed, &collection, ids.len()));
        self.bulk_remember(&job)?;
        let (records, call, values) = (self.clone(), call.clone(), order.values);
        let (carried_out, delay) = (Arc::clone(&job), order.delay);
        Task::spawn(async move {
            if carried_out.waited(delay).await {
                let draft = Draft::new(
                    &collection,
                    &call,
                    Submission {
                        values: values.clone(),
                        ..Submission::default()
                    },
                );
                act::carry_out(&records, &carried_out, call, draft, values, ids).await;
            }
            records.bulk_ended(&carried_out);
        })
        .detach("it reports to its job, and goes on when nobody listens");
        Ok(job)
    }

    /// Begins to take an order back.
    ///
    /// # Errors
    /// [`Error::NotFound`] for one that is not known any more; [`Error::Bulk`] for one that is not over or was taken back
    /// already.
    pub fn bulk_undo(&self, call: &Call, id: &str) -> Result<Arc<Job>, Error> {
        let done = self.bulk_job(call, id)?;
        let steps = done.take_back().ok_or_else(|| {
            let fault = FieldError::new("bulk_undo", "This cannot be undone, or not yet.");
            Error::Bulk(FieldErrors::one("undo", fault))
        })?;
        let job = Arc::new(Job::new(Deed::Undo, &done.collection, steps.len()));
        self.bulk_remember(&job)?;
        let (records, call, undoing) = (self.clone(), call.clone(), Arc::clone(&job));
        Task::spawn(async move {
            undo::carry_out(&records, &undoing, call, &done, steps).await;
            records.bulk_ended(&undoing);
        })
        .detach("it reports to its job, and goes on when nobody listens");
        Ok(job)
    }

    /// The order `id`, running or over.
    ///
    /// # Errors
    /// [`Error::NotFound`].
    pub fn bulk_job(&self, call: &Call, id: &str) -> Result<Arc<Job>, Error> {
        if !call.actor.is_superuser() {
            return Err(Error::NotSuperuser);
        }
        self.jobs().find(id).ok_or(Error::NotFound)
    }

    /// All orders that are known, the latest first.
    ///
    /// # Errors
    /// [`Error::NotSuperuser`].
    pub fn bulk_jobs(&self, call: &Call) -> Result<Vec<Arc<Job>>, Error> {
        if !call.actor.is_superuser() {
            return Err(Error::NotSuperuser);
        }
        Ok(self.jobs().0.lock().iter().rev().cloned().collect())
    }

    async fn bulk_ids(
        &self,
        call: &Call,
        collection: &Arc<Collection>,
        target: Target,
    ) -> Result<Vec<CompactString>, Error> {
        let too_many = |name: &str| {
            let text = format!("No more than {BULK_RECORDS_MAX} records at once.");
            Error::Bulk(FieldErrors::one(
                name,
                FieldError::new("bulk_too_many", text),
            ))
        };
        let text = match target {
            Target::Ids(mut ids) => {
                if ids.len() > BULK_RECORDS_MAX {
                    return Err(too_many("ids"));
                }
                let mut seen = std::collections::HashSet::with_capacity(ids.len());
                ids.retain(|id| seen.insert(id.clone()));
                return Ok(ids);
            }
            Target::Filter(text) => text,
        };
        let (asker, collection) = (call.clone(), Arc::clone(collection));
        let ids = self
            .store()
            .read(move |tx| {
                let catalog = tx.catalog();
                let filter = if text.is_empty() {
                    None
                } else {
                    let bound = catalog.filter(&collection, &text, Guard::Trusted);
                    Some(bound.map_err(|error| {
                        let fault = FieldError::new("bulk_filter", error.to_string());
                        Error::Bulk(FieldErrors::one("filter", fault))
                    })?)
                };
                let mut select = Select::all(catalog, &asker, &collection);
                select.filter = filter.as_ref();
                select.page = Some(Page {
                    offset: 0,
                    limit: BULK_RECORDS_MAX as u64 + 1,
                });
                Ok::<_, Error>(tx.ids(&select)?)
            })
            .await?;
        if ids.len() > BULK_RECORDS_MAX {
            return Err(too_many("filter"));
        }
        Ok(ids)
    }

    fn bulk_remember(&self, job: &Arc<Job>) -> Result<(), Error> {
        for forgotten in self.jobs().add(job)? {
            self.bulk_forget(&forgotten);
        }
        Ok(())
    }

    /// Keeps what is needed to take the order back, files above all, for a while.
    fn bulk_ended(&self, job: &Arc<Job>) {
        job.end();
        let (records, id) = (self.clone(), job.id.clone());
        Task::spawn(async move {
            tokio::time::sleep(Duration::from_secs(BULK_UNDO_SECS)).await;
            if let Some(job) = records.jobs().remove(&id) {
                records.bulk_forget(&job);
            }
        })
        .detach("a timer; at a shutdown the files it waits for are found at the next start");
    }

    fn bulk_forget(&self, job: &Job) {
        let leftover = job.leftover();
        let files = self.files().clone();
        Task::spawn(async move { blobs::dispose(&files, leftover).await })
            .detach("what is not removed now is found at the next start");
    }
}

/// What is wrong with an order, told before anything is done.
fn faults(collection: &Collection, order: &Order) -> FieldErrors {
    let mut errors = FieldErrors::new();
    if order.delay > Duration::from_millis(BULK_DELAY_MILLIS_MAX) {
        let text = format!("No more than {BULK_DELAY_MILLIS_MAX} milliseconds.");
        errors.add("delay", FieldError::new("bulk_delay", text));
    }
    if order.deed == Deed::Duplicate && collection.is_auth() {
        let text = "Accounts cannot be duplicated: each needs an identity of its own.";
        errors.add("action", FieldError::new("bulk_accounts", text));
    }
    if order.deed == Deed::Update && order.values.is_empty() {
        errors.add("values", FieldError::required());
    }
    let mut values = FieldErrors::new();
    for key in order.values.keys() {
        let why = match resolve_key(collection, key) {
            None => "There is no such field.",
            Some((index, _)) => match &collection.fields[index].kind {
                FieldKind::Password(_) => "Passwords cannot be set for many records at once.",
                FieldKind::Autodate(_) => "This is set by the server.",
                FieldKind::Text(options) if options.primary_key => {
                    "Ids cannot be set for many records at once."
                }
                _ if collection.is_auth() && collection.fields[index].name == "tokenKey" => {
                    "Token keys cannot be set for many records at once."
                }
                _ => continue,
            },
        };
        values.add(key.as_str(), FieldError::new("bulk_value", why));
    }
    errors.nest("values", values);
    errors
}
