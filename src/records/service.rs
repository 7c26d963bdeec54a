//! The service that routes call: what is slow (hashing, storing files) happens outside of transactions, everything else
//! in one closure on the store's own threads.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use compact_str::CompactString;
use parking_lot::Mutex;

use super::blobs::{self, Leftover};
use super::bulk::Jobs;
use super::draft::{Draft, Submission};
use super::explain::{Explained, Question};
use super::proof::Blindly;
use super::remove::Gone;
use super::{Error, access, create, explain, list, remove, update, version, view};
use crate::auth::{Passwords, Throttle, is_common};
use crate::call::Call;
use crate::files::{Files, Pending};
use crate::kit::limits::{
    BODY_BYTES_MAX, CASCADE_SHARED_MAX, EDITOR_BYTES_DEFAULT, FILE_BYTES_DEFAULT,
    GUESS_CLIENTS_MAX, GUESS_DELAY_MILLIS_MAX, GUESS_WINDOW_MILLIS, JSON_BYTES_DEFAULT,
    WRITE_ALONE_SECS_MAX,
};
use crate::ops::Settings;
use crate::schema::{Action, Collection, FieldKind, Record};
use crate::store::{Store, StoreError, WriteTx};

/// Reading and writing records. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Records {
    store: Store,
    passwords: Passwords,
    throttle: Throttle,
    files: Files,
    settings: Settings,
    guesses: Arc<Guesses>,
    jobs: Jobs,
}

impl Records {
    /// Over a store, with the pool that hashes passwords, the counts of failures to prove one, the place of files, and
    /// what is demanded of passwords.
    #[must_use]
    pub fn new(
        store: Store,
        passwords: Passwords,
        throttle: Throttle,
        files: Files,
        settings: Settings,
    ) -> Self {
        Self {
            store,
            passwords,
            throttle,
            files,
            settings,
            guesses: Arc::default(),
            jobs: Jobs::default(),
        }
    }

    /// One page of a collection, encoded; `only` names the keys of records to give, `None` is all.
    ///
    /// # Errors
    /// As the contract's precedence says (1.5).
    pub async fn list(
        &self,
        call: &Call,
        collection: &str,
        only: Option<Vec<String>>,
    ) -> Result<Vec<u8>, Error> {
        let (asker, name) = (call.clone(), CompactString::from(collection));
        let seal = self.store.cursors().clone();
        let listed = self
            .store
            .read(move |tx| list::list(tx, &asker, &name, only, &seal))
            .await?;
        if listed.guess && self.guesses.suspicious(call) {
            let millis = u64::from(u16::from_le_bytes(crate::kit::id::random_bytes()));
            tokio::time::sleep(Duration::from_millis(millis % GUESS_DELAY_MILLIS_MAX)).await;
        }
        Ok(listed.body)
    }

    /// One record, encoded.
    ///
    /// # Errors
    /// [`Error::NotFound`] for a missing record and an invisible one alike.
    pub async fn view(&self, call: &Call, collection: &str, id: &str) -> Result<Vec<u8>, Error> {
        // A look-up by key without expand reads one row: quicker than the way to another thread.
        if call.query("expand").is_none_or(str::is_empty) {
            return self
                .store
                .read_now(|tx| view::view(tx, call, collection, id));
        }
        let call = call.clone();
        let (collection, id) = (CompactString::from(collection), CompactString::from(id));
        self.store
            .read(move |tx| view::view(tx, &call, &collection, &id))
            .await
    }

    /// Refuses paths that name no collection, before a body is read.
    ///
    /// # Errors
    /// [`Error::UnknownCollection`].
    pub fn known(&self, name: &str) -> Result<(), Error> {
        access::collection(&self.store.catalog(), name).map(drop)
    }

    /// As [`Records::known`], and refuses views.
    ///
    /// # Errors
    /// [`Error::UnknownCollection`] and [`Error::ReadOnly`].
    pub fn deletable(&self, name: &str) -> Result<(), Error> {
        if access::collection(&self.store.catalog(), name)?.is_view() {
            return Err(Error::ReadOnly);
        }
        Ok(())
    }

    /// Bytes that the body of a create or update may have (contract 1.10): what the fields may hold besides the
    /// ordinary limit.
    ///
    /// # Errors
    /// When the path names no collection, or a view.
    pub fn body_limit(&self, name: &str) -> Result<u64, Error> {
        let catalog = self.store.catalog();
        let collection = create::writable(&catalog, name)?;
        let of = |size: i64, default: u64| match u64::try_from(size) {
            Ok(0) | Err(_) => default,
            Ok(size) => size,
        };
        let fields = collection.fields.iter().map(|field| match &field.kind {
            FieldKind::File(o) => {
                let files = u64::try_from(o.max_select).unwrap_or(0).max(1);
                of(o.max_size, FILE_BYTES_DEFAULT).saturating_mul(files)
            }
            FieldKind::Json(o) => of(o.max_size, JSON_BYTES_DEFAULT),
            FieldKind::Editor(o) => of(o.max_size, EDITOR_BYTES_DEFAULT),
            _ => 0,
        });
        Ok(fields.fold(BODY_BYTES_MAX, u64::saturating_add))
    }

    /// Why a rule of `collection` says what it says to somebody's request.
    ///
    /// # Errors
    /// [`Error::UnknownCollection`]; [`Error::Question`] when the question names what does not exist.
    pub async fn explain(&self, collection: &str, question: Question) -> Result<Explained, Error> {
        let name = CompactString::from(collection);
        self.store
            .read(move |tx| explain::explain(tx, &name, &question))
            .await
    }

    /// Makes a record and gives it encoded.
    ///
    /// # Errors
    /// As the contract's precedence says (1.5).
    pub async fn create(
        &self,
        call: &Call,
        collection: &str,
        submission: Submission,
    ) -> Result<Vec<u8>, Error> {
        let catalog = self.store.catalog();
        let collection = create::writable(&catalog, collection)?;
        access::gate(&catalog, call, collection, Action::Create)?;
        let submission = self.redeem(call, collection, submission).await?;
        let mut draft = Draft::new(collection, call, submission);
        let mut added = Vec::new();
        if draft.is_slow() {
            let (asker, early) = (call.clone(), draft.clone());
            added = self
                .store
                .read(move |tx| {
                    let record = create::judge(tx, &asker, &early)?;
                    blobs::added(&early, record.id(), Some(&record))
                })
                .await?;
            self.hash(&mut draft).await?;
        }
        let pending = blobs::store(&self.files, added).await?;
        let asker = call.clone();
        let made = self
            .store
            .write_short(move |tx| {
                let record = create::create(tx, &asker, &draft)?;
                view::encode(tx, &asker, record.collection(), &record)
            })
            .await;
        settle(pending, made.is_ok());
        made
    }

    /// Makes the account of somebody whom another authority has proven, as `call` would make it. `finish` has the last
    /// word on the record, and what `also` writes is committed with it or not at all.
    ///
    /// # Errors
    /// As [`Records::create`], and those of `also`.
    pub async fn sign_up<E>(
        &self,
        call: &Call,
        collection: &Arc<Collection>,
        submission: Submission,
        finish: impl FnOnce(&mut Record) + Send + 'static,
        also: impl FnOnce(&mut WriteTx<'_>, &Record) -> Result<(), E> + Send + 'static,
    ) -> Result<Record, E>
    where
        E: From<Error> + From<StoreError> + Send + 'static,
    {
        access::gate(&self.store.catalog(), call, collection, Action::Create)?;
        let mut draft = Draft::new(collection, call, submission);
        draft.generate_password();
        let (asker, early) = (call.clone(), draft.clone());
        let added = self
            .store
            .read(move |tx| {
                let record = create::judge(tx, &asker, &early)?;
                blobs::added(&early, record.id(), Some(&record))
            })
            .await?;
        self.hash(&mut draft).await?;
        let pending = blobs::store(&self.files, added).await?;
        let asker = call.clone();
        let made = self
            .store
            .write(move |tx| {
                let record = create::create_with(tx, &asker, &draft, finish)?;
                also(tx, &record)?;
                Ok(record)
            })
            .await;
        settle(pending, made.is_ok());
        made
    }

    /// Changes a record and gives it encoded.
    ///
    /// # Errors
    /// As the contract's precedence says (1.5).
    pub async fn update(
        &self,
        call: &Call,
        collection: &str,
        id: &str,
        submission: Submission,
    ) -> Result<Vec<u8>, Error> {
        let catalog = self.store.catalog();
        let collection = create::writable(&catalog, collection)?;
        access::gate(&catalog, call, collection, Action::Update)?;
        let submission = self.redeem(call, collection, submission).await?;
        let mut draft = Draft::new(collection, call, submission);
        self.prove_old_password(call, id, &mut draft, Blindly::No)
            .await?;
        let mut added = Vec::new();
        if draft.is_slow() {
            let (asker, early) = (call.clone(), draft.clone());
            let id = CompactString::from(id);
            added = self
                .store
                .read(move |tx| {
                    let judged = update::judge(tx, &asker, &id, &early, |hash| early.proves(hash))?;
                    blobs::added(&early, &id, Some(&judged.after))
                })
                .await?;
            self.hash(&mut draft).await?;
        }
        let pending = blobs::store(&self.files, added).await?;
        let (asker, id) = (call.clone(), CompactString::from(id));
        let changed: Result<_, Error> = self
            .store
            .write_short(move |tx| {
                let judged = update::update(tx, &asker, &id, &draft, |hash| draft.proves(hash))?;
                let body = view::encode(tx, &asker, judged.after.collection(), &judged.after)?;
                Ok((body, blobs::dropped(&judged.before, &judged.after)))
            })
            .await;
        settle(pending, changed.is_ok());
        let (body, dropped) = changed?;
        let leftover = Leftover {
            files: dropped,
            ..Leftover::default()
        };
        blobs::dispose(&self.files, leftover).await;
        Ok(body)
    }

    /// Removes a record.
    ///
    /// # Errors
    /// As the contract's precedence says (1.5).
    pub async fn delete(&self, call: &Call, collection: &str, id: &str) -> Result<(), Error> {
        let catalog = self.store.catalog();
        let collection = access::collection(&catalog, collection)?;
        if collection.is_view() {
            return Err(Error::ReadOnly);
        }
        let (asker, wanted) = (call.clone(), CompactString::from(id));
        let table = Arc::clone(collection);
        let shared = self
            .store
            .write(move |tx| {
                let gone = delete_within(tx, &asker, &table, &wanted, CASCADE_SHARED_MAX)?;
                gone.ok_or(Undone::Large)
            })
            .await;
        let gone = match shared {
            Ok(gone) => gone,
            Err(Undone::Failed(error)) => return Err(error),
            // Others would wait for all of it: it is begun anew where it can be interrupted.
            Err(Undone::Large) => {
                let (asker, id) = (call.clone(), CompactString::from(id));
                let collection = Arc::clone(collection);
                let deadline = Duration::from_secs(WRITE_ALONE_SECS_MAX);
                self.store
                    .write_alone(deadline, move |tx| delete(tx, &asker, &collection, &id))
                    .await?
            }
        };
        self.dispose(gone);
        Ok(())
    }

    /// Sees to what removals leave to be done after their commit.
    pub fn dispose(&self, gone: Gone) {
        blobs::dispose_folders(&self.files, gone.folders);
    }

    /// The counts of failures to prove a password.
    #[must_use]
    pub fn throttle(&self) -> &Throttle {
        &self.throttle
    }

    pub(super) fn files(&self) -> &Files {
        &self.files
    }

    pub(super) fn store(&self) -> &Store {
        &self.store
    }

    pub(super) fn jobs(&self) -> &Jobs {
        &self.jobs
    }

    pub(super) fn passwords(&self) -> &Passwords {
        &self.passwords
    }

    pub(super) async fn hash(&self, draft: &mut Draft) -> Result<(), Error> {
        let settings = self.settings.current();
        let refuses = settings.accounts.refuses_common(draft.collection());
        for password in &mut draft.passwords {
            if !password.plain.is_empty() {
                password.common = refuses && !password.generated && is_common(&password.plain);
                let hash = self.passwords.hash(&password.plain).await?;
                password.hash = Some(hash.into());
            }
        }
        Ok(())
    }
}

/// Says how the commit went that uploads were stored for.
pub(super) fn settle(pending: Pending, committed: bool) {
    if committed {
        pending.commit();
    } else {
        pending.rollback();
    }
}

/// Removes the record `id` of `collection` if the caller may.
///
/// # Errors
/// As the contract's precedence says (1.5).
pub fn delete(
    tx: &mut WriteTx<'_>,
    call: &Call,
    collection: &Arc<Collection>,
    id: &str,
) -> Result<Gone, Error> {
    let gone = delete_within(tx, call, collection, id, usize::MAX)?;
    Ok(gone.unwrap_or_default())
}

/// As [`delete`]; nothing when more than `most` records would go along, and the transaction must not be kept.
fn delete_within(
    tx: &mut WriteTx<'_>,
    call: &Call,
    collection: &Arc<Collection>,
    id: &str,
    most: usize,
) -> Result<Option<Gone>, Error> {
    let gate = access::gate(tx.catalog(), call, collection, Action::Delete)?;
    let record = tx.find(collection, id)?.ok_or(Error::NotFound)?;
    gate.check(tx, call, &record, Action::Delete)?;
    version::check(tx, call, &record)?;
    let mut gone = Gone::default();
    let whole = remove::remove_within(tx, call, &record, &mut gone, most)?;
    Ok(whole.then_some(gone))
}

/// Why a deletion that shares its COMMIT with others was undone.
enum Undone {
    /// It takes too much along.
    Large,
    Failed(Error),
}

impl From<Error> for Undone {
    fn from(error: Error) -> Self {
        Self::Failed(error)
    }
}

impl From<StoreError> for Undone {
    fn from(error: StoreError) -> Self {
        Self::Failed(error.into())
    }
}

/// Who got how many empty answers under a rule and a filter lately: guesses are slowed down (contract 5.2).
#[derive(Debug, Default)]
struct Guesses(Mutex<HashMap<CompactString, (i64, u32)>>);

impl Guesses {
    /// Counts an empty answer; whether there were too many of them.
    fn suspicious(&self, call: &Call) -> bool {
        /// Empty answers that nobody is suspected for.
        const INNOCENT: u32 = 3;
        let now = call.now.as_millis();
        let client = CompactString::from(call.client_ip.to_string());
        let mut seen = self.0.lock();
        if seen.len() >= GUESS_CLIENTS_MAX && !seen.contains_key(&client) {
            seen.retain(|_, (since, _)| now - *since < GUESS_WINDOW_MILLIS);
            if seen.len() >= GUESS_CLIENTS_MAX {
                // Full of fresh clients: everybody new waits.
                return true;
            }
        }
        let (since, count) = seen.entry(client).or_insert((now, 0));
        if now - *since >= GUESS_WINDOW_MILLIS {
            (*since, *count) = (now, 0);
        }
        *count += 1;
        *count > INNOCENT
    }
}
