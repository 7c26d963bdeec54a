//! Many writes in one transaction: later ones see earlier ones, and all of them hold or none (contract 8).

use std::time::Duration;

use compact_str::CompactString;

use super::blobs::{self, Leftover};
use super::draft::{Draft, Submission};
use super::proof::{Blindly, Fresh};
use super::remove::Gone;
use super::service::Records;
use super::{Error, access, create, service, update, view};
use crate::call::Call;
use crate::files::Pending;
use crate::schema::Action;
use crate::store::{StoreError, WriteTx};

/// What one request of a batch wants.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Wish {
    /// `POST .../records`
    Create,
    /// `PATCH .../records/{id}`
    Update(CompactString),
    /// `PUT .../records`: update where the id exists, create otherwise.
    Upsert,
    /// `DELETE .../records/{id}`
    Delete(CompactString),
    /// Anything else: fails when its turn comes.
    Unsupported,
}

/// One request of a batch.
#[derive(Clone, Debug)]
pub struct Item {
    /// Who asks, with the query and headers of the inner request, in the context of a batch.
    pub call: Call,
    /// What is wanted.
    pub wish: Wish,
    /// Name or id of the collection.
    pub collection: CompactString,
    /// What was submitted.
    pub submission: Submission,
}

/// Why a batch was undone.
#[derive(Debug, thiserror::Error)]
pub enum BatchError {
    /// The request at this position failed.
    #[error("request {index}: {error}")]
    Item {
        /// Position, from 0.
        index: usize,
        /// What it would have been answered.
        error: Box<Error>,
    },
    /// The transaction did not hold.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// An item on its way into the transaction.
struct Prepared {
    item: Item,
    /// `None` for deletions. What was refused already is told when its turn comes: an earlier item may fail first.
    draft: Result<Option<Draft>, Error>,
}

impl Records {
    /// Does all of `items` or nothing. Gives the encoded records, `None` for deletions.
    ///
    /// # Errors
    /// The first failing item, or that the transaction took longer than `timeout`.
    pub async fn batch(
        &self,
        items: Vec<Item>,
        timeout: Duration,
    ) -> Result<Vec<Option<Vec<u8>>>, BatchError> {
        let mut prepared = Vec::with_capacity(items.len());
        for mut item in items {
            let draft = self.prepare(&mut item).await;
            prepared.push(Prepared { item, draft });
        }
        let pending = self.store_uploads(&mut prepared).await?;
        let mut fresh = Fresh::default();
        for draft in prepared.iter().filter_map(|one| one.draft.as_ref().ok()) {
            draft.iter().for_each(|draft| fresh.add(draft));
        }
        let done: Result<_, BatchError> = self
            .store()
            .write_alone(timeout, move |tx| {
                let mut answers = Vec::with_capacity(prepared.len());
                let mut leftover = Leftover::default();
                for (index, prepared) in prepared.into_iter().enumerate() {
                    let answer = run(tx, prepared, &fresh, &mut leftover);
                    answers.push(answer.map_err(|error| failed(index, error))?);
                }
                Ok((answers, leftover))
            })
            .await;
        service::settle(pending, done.is_ok());
        let (answers, leftover) = done?;
        blobs::dispose(self.files(), leftover).await;
        Ok(answers)
    }

    /// Stores the uploads of all items. One whose record's id cannot name a folder fails when its turn comes.
    async fn store_uploads(&self, prepared: &mut [Prepared]) -> Result<Pending, BatchError> {
        let mut added = Vec::new();
        for one in prepared.iter_mut() {
            let Ok(Some(draft)) = &one.draft else {
                continue;
            };
            let id = draft.target(&one.item.wish).unwrap_or_else(|| {
                Some(draft.extra("id"))
                    .filter(|id| !id.is_empty())
                    .unwrap_or_else(|| draft.fresh_id.clone())
            });
            match blobs::added(draft, &id, None) {
                Ok(more) => added.extend(more),
                Err(error) => one.draft = Err(error),
            }
        }
        let stored = blobs::store(self.files(), added).await;
        stored.map_err(|error| failed(0, error))
    }

    /// What is slow, before the transaction. Items are judged in it, in their order: only what cannot depend on earlier
    /// ones is refused here.
    async fn prepare(&self, item: &mut Item) -> Result<Option<Draft>, Error> {
        match item.wish {
            Wish::Delete(_) => return Ok(None),
            Wish::Unsupported => return Err(Error::BadQuery("unsupported action".to_owned())),
            Wish::Create | Wish::Update(_) | Wish::Upsert => {}
        }
        let catalog = self.store().catalog();
        let collection = access::collection(&catalog, &item.collection)?;
        if collection.is_view() {
            return Err(Error::ReadOnly);
        }
        let submission = std::mem::take(&mut item.submission);
        let mut draft = Draft::new(collection, &item.call, submission);
        if let Some(id) = draft.target(&item.wish) {
            self.prove_old_password(&item.call, &id, &mut draft, Blindly::Yes)
                .await?;
        }
        // Cheap refusals come before hashing.
        let action = match item.wish {
            Wish::Create => Some(Action::Create),
            Wish::Update(_) => Some(Action::Update),
            Wish::Upsert | Wish::Delete(_) | Wish::Unsupported => None,
        };
        if let Some(action) = action {
            access::gate(&catalog, &item.call, collection, action)?;
        }
        self.hash(&mut draft).await?;
        Ok(Some(draft))
    }
}

impl Draft {
    /// The id of the record that `wish` changes, as far as it can be told before the transaction.
    fn target(&self, wish: &Wish) -> Option<CompactString> {
        match wish {
            Wish::Create | Wish::Delete(_) | Wish::Unsupported => None,
            Wish::Update(id) => Some(id.clone()),
            Wish::Upsert => Some(self.extra("id")).filter(|id| !id.is_empty()),
        }
    }
}

/// An interrupted transaction is nobody's item's fault.
fn failed(index: usize, error: Error) -> BatchError {
    match error {
        Error::Store(error @ (StoreError::Timeout | StoreError::Full | StoreError::Closed)) => {
            BatchError::Store(error)
        }
        error => BatchError::Item {
            index,
            error: Box::new(error),
        },
    }
}

fn run(
    tx: &mut WriteTx<'_>,
    prepared: Prepared,
    fresh: &Fresh,
    leftover: &mut Leftover,
) -> Result<Option<Vec<u8>>, Error> {
    let Prepared { item, draft } = prepared;
    let mut call = item.call;
    let Some(draft) = draft? else {
        let gone = remove(tx, &call, &item.collection, &item.wish)?;
        leftover.gone.folders.extend(gone.folders);
        return Ok(None);
    };
    let existing = match (&item.wish, draft.target(&item.wish)) {
        (Wish::Upsert, Some(id)) => tx.find(draft.collection(), &id)?.map(|_| id),
        (_, target) => target,
    };
    let record = match existing {
        Some(id) => {
            call.method = CompactString::const_new("PATCH");
            let judged = update::update(tx, &call, &id, &draft, |hash| fresh.proves(&draft, hash))?;
            leftover
                .files
                .extend(blobs::dropped(&judged.before, &judged.after));
            judged.after
        }
        None => {
            call.method = CompactString::const_new("POST");
            create::create(tx, &call, &draft)?
        }
    };
    view::encode(tx, &call, record.collection(), &record).map(Some)
}

fn remove(tx: &mut WriteTx<'_>, call: &Call, collection: &str, wish: &Wish) -> Result<Gone, Error> {
    let collection = access::collection(tx.catalog(), collection)?.clone();
    if collection.is_view() {
        return Err(Error::ReadOnly);
    }
    match wish {
        Wish::Delete(id) => service::delete(tx, call, &collection, id),
        Wish::Create | Wish::Update(_) | Wish::Upsert | Wish::Unsupported => Ok(Gone::default()),
    }
}
