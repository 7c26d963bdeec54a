//! Carrying out an order, some records at a time.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::Arc;
use std::time::Duration;

use compact_str::CompactString;
use futures_util::{StreamExt, stream};

use super::Deed;
use super::job::{Failure, Job, Step};
use crate::call::Call;
use crate::files::Key;
use crate::kit::json::{self, Json, JsonMap};
use crate::kit::limits::{BULK_AT_ONCE, BULK_BUSY_MILLIS, BULK_BUSY_TRIES};
use crate::kit::value::Value;
use crate::records::draft::{Draft, Submission};
use crate::records::remove::Gone;
use crate::records::service::Records;
use crate::records::{Error, Sight, blobs, create, service, update};
use crate::schema::{Collection, FieldKind};
use crate::store::{ChangeKind, ReadTx, StoreError, WriteTx};

/// What is to be done to each record, shared by all of them.
struct Work {
    deed: Deed,
    call: Call,
    draft: Draft,
    values: JsonMap,
    collection: Arc<Collection>,
}

/// What was done to one.
struct Done {
    step: Option<Step>,
    gone: Gone,
    files: Vec<Key>,
}

pub(super) async fn carry_out(
    records: &Records,
    job: &Arc<Job>,
    call: Call,
    draft: Draft,
    values: JsonMap,
    ids: Vec<CompactString>,
) {
    let work = Arc::new(Work {
        deed: job.deed,
        call,
        draft,
        values,
        collection: Arc::clone(&job.collection),
    });
    let going_on = stream::iter(ids).take_while(|_| {
        let on = !job.is_stopped();
        async move { on }
    });
    going_on
        .map(|id| one(records, job, &work, id))
        .buffer_unordered(BULK_AT_ONCE)
        .for_each(|()| async {})
        .await;
}

async fn one(records: &Records, job: &Job, work: &Arc<Work>, id: CompactString) {
    let outcome = patiently(|| {
        let (work, id) = (Arc::clone(work), id.clone());
        records.store().write(move |tx| work.run(tx, &id))
    })
    .await;
    job.count(match outcome {
        Ok(done) => {
            if let Some(step) = done.step {
                let files = done.files.into_iter().map(|key| (id.clone(), key));
                job.leave(step, done.gone, files.collect());
            }
            Ok(())
        }
        Err(error) => Err(Failure::new(id, &error)),
    });
}

/// Tries again while the writer has too much to do: an order waits its turn.
pub(super) async fn patiently<T, F>(attempt: impl Fn() -> F) -> Result<T, Error>
where
    F: Future<Output = Result<T, Error>>,
{
    for _ in 0..BULK_BUSY_TRIES {
        match attempt().await {
            Err(Error::Store(StoreError::Busy)) => {
                tokio::time::sleep(Duration::from_millis(BULK_BUSY_MILLIS)).await;
            }
            answer => return answer,
        }
    }
    attempt().await
}

impl Work {
    fn run(&self, tx: &mut WriteTx<'_>, id: &str) -> Result<Done, Error> {
        let (mut gone, mut files) = (Gone::default(), Vec::new());
        match self.deed {
            Deed::Update => {
                let judged = update::update(tx, &self.call, id, &self.draft, |_| false)?;
                files = blobs::dropped(&judged.before, &judged.after);
            }
            Deed::Delete => gone = service::delete(tx, &self.call, &self.collection, id)?,
            Deed::Duplicate => self.duplicate(tx, id)?,
            Deed::Undo => {}
        }
        Ok(Done {
            step: step(tx)?,
            gone,
            files,
        })
    }

    /// A new record with the values of another one: without its files, which are its own, and what only it may hold.
    fn duplicate(&self, tx: &mut WriteTx<'_>, id: &str) -> Result<(), Error> {
        let record = tx.find(&self.collection, id)?.ok_or(Error::NotFound)?;
        let mut encoded = Vec::new();
        Sight::new(tx, &self.call)
            .lens(&self.collection)
            .write(&record, None, &mut encoded);
        let parsed = json::parse_first(&encoded);
        let Ok(Json::Object(mut values)) = parsed else {
            return Err(Error::NotFound);
        };
        for field in &self.collection.fields {
            let own = match &field.kind {
                FieldKind::File(_) | FieldKind::Password(_) | FieldKind::Autodate(_) => true,
                FieldKind::Text(options) => options.primary_key,
                _ => false,
            };
            if own {
                values.remove(field.name.as_str());
            } else if let (FieldKind::Json(_), Some(Json::String(text))) =
                (&field.kind, values.get(field.name.as_str()))
            {
                // A text would be read as the JSON that it may hold.
                let quoted = json::to_text(&Json::from(text.as_str()));
                values.insert(field.name.to_string(), Json::from(quoted));
            }
        }
        values.extend(self.values.clone());
        let submission = Submission {
            values,
            ..Submission::default()
        };
        let draft = Draft::new(&self.collection, &self.call, submission);
        create::create(tx, &self.call, &draft).map(drop)
    }
}

/// What it takes to take back what `tx` has done; nothing when it has done nothing, or too much to remember.
fn step(tx: &WriteTx<'_>) -> Result<Option<Step>, Error> {
    let Some(first) = tx.changes().first() else {
        return Ok(None);
    };
    let mut print = Print::default();
    for change in tx.changes() {
        match &change.kind {
            ChangeKind::Create { after } => {
                print.present(tx, after.collection(), after.id(), |_| true)?;
            }
            ChangeKind::Update { before, after } => {
                let changed = |at: usize| before.cells().get(at) != after.cells().get(at);
                print.present(tx, after.collection(), after.id(), changed)?;
            }
            ChangeKind::Delete { before } => {
                print.present(tx, before.collection(), before.id(), |_| false)?;
            }
            ChangeKind::Schema { .. } | ChangeKind::Touched { .. } => return Ok(None),
        }
    }
    Ok(Some(Step {
        first: first.tx,
        print: print.finish(),
    }))
}

/// The state that a transaction left, in eight bytes.
#[derive(Default)]
pub(super) struct Print(DefaultHasher);

impl Print {
    /// Adds the present state of some of a record's fields; dates that every change sets are left out.
    pub(super) fn present(
        &mut self,
        tx: &ReadTx<'_>,
        collection: &Arc<Collection>,
        id: &str,
        fields: impl Fn(usize) -> bool,
    ) -> Result<(), Error> {
        let record = tx.find(collection, id)?;
        id.hash(&mut self.0);
        let Some(record) = record else {
            0_u8.hash(&mut self.0);
            return Ok(());
        };
        1_u8.hash(&mut self.0);
        for (at, field) in collection.fields.iter().enumerate() {
            if !fields(at) || matches!(field.kind, FieldKind::Autodate(_)) {
                continue;
            }
            at.hash(&mut self.0);
            let cell = &record.cells()[at];
            std::mem::discriminant(cell).hash(&mut self.0);
            match cell {
                Value::Real(n) => n.to_bits().hash(&mut self.0),
                other => other.to_display().hash(&mut self.0),
            }
        }
        Ok(())
    }

    pub(super) fn finish(self) -> u64 {
        self.0.finish()
    }
}
