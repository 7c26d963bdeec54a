//! Authenticator apps as a second factor: set up by whoever has just proven who they are, asked for at every sign-in from
//! then on, taken away only by a code of the app or a recovery code. A code serves once: the step that it belongs to is
//! written down before anybody is let in.

use std::sync::Arc;

use super::error::Error;
use super::finish::{Method, Outcome, Proof};
use super::notice::Changed;
use super::rows;
use super::service::Auth;
use super::totp::{self, Seed};
use crate::call::Call;
use crate::kit::limits::{FACTOR_SETUP_SECS, FACTOR_TRIES_MAX, FACTOR_TRIES_WINDOW_MILLIS};
use crate::kit::time::Timestamp;
use crate::kit::value::Value;
use crate::schema::{Collection, FieldError, FieldErrors, Record};
use crate::store::{ReadTx, StoreError, WriteTx};

const ROWS: &str = "_totps";

/// What somebody needs to set an app up.
#[derive(Clone, Debug)]
pub struct Setup {
    /// Id of the row in `_totps`.
    pub id: String,
    /// The secret, to be typed in.
    pub secret: String,
    /// The same and more, to be followed on the device itself.
    pub url: String,
    /// The same as a picture (SVG), to be scanned.
    pub picture: String,
}

/// Whether `record` has an authenticator that is in use.
pub(super) fn is_set_up(tx: &ReadTx<'_>, record: &Record) -> Result<bool, Error> {
    Ok(row(tx, record)?.is_some_and(|row| is_confirmed(&row)))
}

fn is_confirmed(row: &Record) -> bool {
    row.get("confirmed").is_some_and(Value::as_bool)
}

/// The collection of authenticators; none where somebody else's collection has its name.
fn collection(tx: &ReadTx<'_>) -> Result<Arc<Collection>, Error> {
    let found = tx.catalog().find_exact(ROWS);
    found
        .filter(|collection| collection.system)
        .cloned()
        .ok_or(Error::Failed)
}

fn row(tx: &ReadTx<'_>, record: &Record) -> Result<Option<Record>, Error> {
    let values = [
        (
            "collectionRef",
            Value::text(record.collection().id.as_str()),
        ),
        ("recordRef", Value::text(record.id())),
    ];
    let Some(rows) = tx.catalog().find_exact(ROWS).filter(|c| c.system) else {
        return Ok(None);
    };
    Ok(tx.find_by_all(rows, &values)?)
}

impl Auth {
    /// Begins to set up an authenticator for the caller, who has just proven who they are. It is not asked for before
    /// [`Auth::confirm_authenticator`].
    ///
    /// # Errors
    /// [`Error::Stale`], [`Error::Form`] when there is one already.
    pub async fn set_up_authenticator(
        &self,
        call: &Call,
        account: &Record,
        token: &str,
        password: &str,
    ) -> Result<Setup, Error> {
        self.prove_anew(call, account, token, password).await?;
        let seed = Seed::fresh();
        let sealed = self.seal(seed.reveal())?;
        let (record, now) = (account.clone(), call.now);
        let id = self
            .store()
            .write(move |tx| begin(tx, &record, &sealed, now))
            .await?;
        let name = match account.text("email") {
            "" => account.id(),
            email => email,
        };
        let settings = self.settings().current();
        let url = seed.url(&settings.meta.app_name, name);
        Ok(Setup {
            id,
            secret: seed.reveal().to_owned(),
            picture: totp::picture(&url).ok_or(Error::Failed)?,
            url,
        })
    }

    /// Takes the authenticator into use, once it shows the right code; gives the recovery codes, which are never shown
    /// again.
    ///
    /// # Errors
    /// [`Error::Factor`] and [`Error::Throttled`].
    pub async fn confirm_authenticator(
        &self,
        call: &Call,
        account: &Record,
        code: &str,
    ) -> Result<Vec<String>, Error> {
        self.count_factor_try(account, call.now)?;
        let (codes, kept) = totp::recovery_codes();
        let (auth, record, now) = (self.clone(), account.clone(), call.now);
        let code = code.to_owned();
        self.store()
            .write(move |tx| {
                let before = row(tx, &record)?.ok_or(Error::Factor)?;
                let is_old = is_old(&before, now);
                if is_confirmed(&before) || is_old {
                    return Err(Error::Factor);
                }
                let mut after = auth.take_step(&before, &code, now)?;
                after.set("confirmed", true);
                after.set("recovery", kept.as_str());
                tx.update(&before, &after).map_err(gone)
            })
            .await?;
        self.notify(call, account, Changed::AppAdded);
        Ok(codes)
    }

    /// Fresh recovery codes in place of the old ones, for a code of the app.
    ///
    /// # Errors
    /// As [`Auth::confirm_authenticator`].
    pub async fn renew_recovery_codes(
        &self,
        call: &Call,
        account: &Record,
        code: &str,
    ) -> Result<Vec<String>, Error> {
        self.count_factor_try(account, call.now)?;
        let (codes, kept) = totp::recovery_codes();
        let (auth, record, now) = (self.clone(), account.clone(), call.now);
        let code = code.to_owned();
        self.store()
            .write(move |tx| {
                let before = row(tx, &record)?
                    .filter(is_confirmed)
                    .ok_or(Error::Factor)?;
                let mut after = auth.take_step(&before, &code, now)?;
                after.set("recovery", kept.as_str());
                tx.update(&before, &after).map_err(gone)
            })
            .await?;
        self.notify(call, account, Changed::NewRecoveryCodes);
        Ok(codes)
    }

    /// Takes the authenticator away, for a code of the app or a recovery code.
    ///
    /// # Errors
    /// As [`Auth::confirm_authenticator`].
    pub async fn remove_authenticator(
        &self,
        call: &Call,
        account: &Record,
        code: &str,
    ) -> Result<(), Error> {
        self.count_factor_try(account, call.now)?;
        let (auth, record, now) = (self.clone(), account.clone(), call.now);
        let code = code.to_owned();
        self.store()
            .write(move |tx| {
                let before = row(tx, &record)?
                    .filter(is_confirmed)
                    .ok_or(Error::Factor)?;
                auth.use_code(&before, &code, now)?;
                tx.delete(&before).map_err(gone)
            })
            .await?;
        self.notify(call, account, Changed::AppRemoved);
        Ok(())
    }

    /// Signs in by a code, after another factor.
    ///
    /// # Errors
    /// [`Error::SecondFactor`], [`Error::Factor`], [`Error::Throttled`], and what hinders any sign-in.
    pub async fn sign_in_by_authenticator(
        &self,
        call: &Call,
        collection: &Arc<Collection>,
        code: &str,
        mfa_id: String,
    ) -> Result<Outcome, Error> {
        let blank = |name: &str| Error::Form(FieldErrors::one(name, FieldError::required()));
        if code.is_empty() {
            return Err(blank("code"));
        }
        if mfa_id.is_empty() {
            return Err(blank("mfaId"));
        }
        let (accounts, wanted) = (Arc::clone(collection), mfa_id.clone());
        let account = self.store().read(move |tx| {
            let Some(begun) = tx.catalog().find_exact("_mfas") else {
                return Ok(None);
            };
            let begun = tx.find(begun, &wanted)?;
            let begun = begun.filter(|row| row.text("collectionRef") == accounts.id.as_str());
            match begun {
                Some(row) => Ok::<_, Error>(tx.find(&accounts, row.text("recordRef"))?),
                None => Ok(None),
            }
        });
        let unknown = Error::SecondFactor("Invalid or expired MFA session.");
        let account = account.await?.ok_or(unknown)?;
        self.count_factor_try(&account, call.now)?;
        let (auth, record, now) = (self.clone(), account.clone(), call.now);
        let code = code.to_owned();
        self.store()
            .write(move |tx| {
                let before = row(tx, &record)?
                    .filter(is_confirmed)
                    .ok_or(Error::Factor)?;
                let after = auth.use_code(&before, &code, now)?;
                tx.update(&before, &after).map_err(gone)
            })
            .await?;
        let proof = Proof {
            record: account,
            method: Some(Method::Totp),
            mfa_id,
            new_hash: None,
            token: None,
            meta: None,
        };
        self.finish(call, proof).await
    }

    /// Counts a try at an account's codes, from wherever it comes.
    fn count_factor_try(&self, account: &Record, now: Timestamp) -> Result<(), Error> {
        let collection = account.collection().id.as_str();
        let key = format!("factor {collection} {}", account.id());
        self.throttle()
            .count(&key, FACTOR_TRIES_MAX, FACTOR_TRIES_WINDOW_MILLIS, now)
            .map_err(Error::Throttled)
    }

    /// The row with the step of `code` used up.
    fn take_step(&self, row: &Record, code: &str, now: Timestamp) -> Result<Record, Error> {
        let seed = self.unseal(row.text("secret"))?;
        let step = Seed::from_text(seed).step(code, now).ok_or(Error::Factor)?;
        let step = i64::try_from(step).map_err(|_| Error::Factor)?;
        if step <= row.get("lastStep").map_or(0, whole) {
            return Err(Error::Factor);
        }
        let mut after = row.clone();
        after.set("lastStep", step);
        Ok(after)
    }

    /// The row with a code of the app or a recovery code used up.
    fn use_code(&self, row: &Record, code: &str, now: Timestamp) -> Result<Record, Error> {
        if let Some(left) = totp::without(row.text("recovery"), code) {
            let mut after = row.clone();
            after.set("recovery", left.as_str());
            return Ok(after);
        }
        self.take_step(row, code, now)
    }

    fn seal(&self, plain: &str) -> Result<String, Error> {
        self.settings()
            .seal(plain)
            .map_err(|error| Error::Secret(error.to_string()))
    }

    fn unseal(&self, stored: &str) -> Result<String, Error> {
        self.settings()
            .unseal(stored)
            .map_err(|error| Error::Secret(error.to_string()))
    }
}

/// Writes a secret down that is not in use yet; gives the id of its row.
fn begin(
    tx: &mut WriteTx<'_>,
    record: &Record,
    sealed: &str,
    now: Timestamp,
) -> Result<String, Error> {
    let collection = collection(tx)?;
    match row(tx, record)? {
        Some(row) if is_confirmed(&row) => {
            let there = FieldError::new(
                "validation_authenticator_exists",
                "There is an authenticator already.",
            );
            return Err(Error::Form(FieldErrors::one("code", there)));
        }
        Some(row) => tx.delete(&row).map_err(gone)?,
        None => {}
    }
    let row = rows::fresh(&collection, record, &[("secret", sealed)], now);
    tx.insert(&row)?;
    Ok(row.id().to_owned())
}

/// A number as the database may hold it.
fn whole(value: &Value) -> i64 {
    #[expect(
        clippy::cast_possible_truncation,
        reason = "steps of half a minute are small and whole"
    )]
    value.as_f64().map_or(0, |number| number as i64)
}

/// Whether a set-up was begun too long ago.
fn is_old(row: &Record, now: Timestamp) -> bool {
    rows::is_older(row, FACTOR_SETUP_SECS, now)
}

/// Somebody was faster: the code is used.
fn gone(error: StoreError) -> Error {
    match error {
        StoreError::Gone => Error::Factor,
        other => other.into(),
    }
}
