//! Proving the old password before an account gets another one: outside of transactions, since hashing is slow, and in
//! few tries, counted together with those of signing in.

use std::sync::Arc;

use compact_str::CompactString;

use super::draft::Draft;
use super::service::Records;
use super::{Error, account, update};
use crate::auth::is_known_device;
use crate::call::Call;
use crate::store::ReadTx;

/// Whether the password is looked at even where the caller may not change the record as it is now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Blindly {
    /// In a batch: what stands before it may change that.
    Yes,
    /// Who may not change a record learns nothing of it, not even by the time that hashing takes.
    No,
}

/// What there is to be proven.
struct Account {
    hash: CompactString,
    email: String,
    known: bool,
}

impl Records {
    /// Checks `oldPassword`, when there is one, against the hash stored now. The transaction then compares hashes: a
    /// password changed in between is not proven.
    ///
    /// # Errors
    /// [`Error::Throttled`] after too many failures; the store's and the hashing pool's own.
    pub(super) async fn prove_old_password(
        &self,
        call: &Call,
        id: &str,
        draft: &mut Draft,
        blindly: Blindly,
    ) -> Result<(), Error> {
        let old = draft.extra("oldPassword");
        if old.is_empty() || !draft.collection().is_auth() || call.actor.is_above_rules() {
            return Ok(());
        }
        if !account::changes_password(draft) {
            return Ok(());
        }
        let (asker, early, id) = (call.clone(), draft.clone(), CompactString::from(id));
        let found = self
            .store()
            .read(move |tx| account(tx, &asker, &id, &early, blindly));
        let Some(account) = found.await? else {
            return Ok(());
        };
        let collection = Arc::clone(draft.collection());
        let attempt = self
            .throttle()
            .begin(
                collection.id.as_str(),
                &account.email,
                call.client_ip,
                call.now,
                account.known,
            )
            .map_err(Error::Throttled)?;
        if self.passwords().verify(Some(&account.hash), &old).await? {
            attempt.succeeded();
            draft.proven_hash = Some(account.hash);
        }
        Ok(())
    }
}

fn account(
    tx: &ReadTx<'_>,
    call: &Call,
    id: &str,
    draft: &Draft,
    blindly: Blindly,
) -> Result<Option<Account>, Error> {
    if blindly == Blindly::No
        && let Err(
            Error::NotFound | Error::Refused(_) | Error::SuperusersOnly(_) | Error::OutOfScope,
        ) = update::judge(tx, call, id, draft, |_| true)
    {
        return Ok(None);
    }
    let Some(record) = tx.find(draft.collection(), id)? else {
        return Ok(None);
    };
    Ok(Some(Account {
        hash: record.text("password").into(),
        email: record.text("email").to_owned(),
        known: is_known_device(tx, &record, call)?,
    }))
}

/// Passwords that a batch sets: what it has set itself, a later part of it may prove by the text alone.
#[derive(Debug, Default)]
pub(super) struct Fresh(Vec<(CompactString, CompactString)>);

impl Fresh {
    /// Adds those of `draft`, hashed already.
    pub(super) fn add(&mut self, draft: &Draft) {
        let hashed = draft.passwords.iter().filter_map(|password| {
            let hash = password.hash.clone()?;
            Some((hash, password.plain.clone()))
        });
        self.0.extend(hashed);
    }

    /// Whether `draft` proves the password behind `hash`, stored or set by the same batch.
    pub(super) fn proves(&self, draft: &Draft, hash: &str) -> bool {
        let old = draft.extra("oldPassword");
        let set_here = || {
            self.0
                .iter()
                .any(|(fresh, plain)| fresh == hash && *plain == old)
        };
        draft.proves(hash) || (!old.is_empty() && set_here())
    }
}
