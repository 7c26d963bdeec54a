//! A forgotten password: a mail with a link, and the new password (contract-auth 2.9).

use std::sync::Arc;

use super::common::is_common;
use super::error::Error;
use super::form::{self, TEXT_CHARS_MAX};
use super::letters::Quietly;
use super::service::{Auth, link_token, linked};
use super::token::{self, Purpose};
use crate::call::Call;
use crate::records::account;
use crate::schema::field::PasswordOptions;
use crate::schema::{Collection, FieldError, FieldErrors, FieldKind, Record};
use crate::store::{ReadTx, WriteTx};

const MAIL: &str = "password reset";
const FAILED: &str = "Failed to set new password.";

/// What the confirmation submits.
#[derive(Clone, Default)]
pub struct NewPassword {
    /// The token of the link.
    pub token: String,
    /// The new password.
    pub password: String,
    /// The same again.
    pub password_confirm: String,
}

impl Auth {
    /// Sends the link to set a new password, told alike for known and unknown addresses.
    ///
    /// # Errors
    /// [`Error::Form`] and [`Error::Throttled`].
    pub async fn request_password_reset(
        &self,
        call: &Call,
        collection: &Arc<Collection>,
        email: &str,
    ) -> Result<Quietly, Error> {
        if let Some(error) = form::address(email) {
            return Err(Error::Form(FieldErrors::one("email", error)));
        }
        self.count_request(call)?;
        self.levelled(async {
            let record = self.addressee(collection, email).await?;
            Ok(match record {
                Some(record) => self.send_reset(call, &record),
                None => Quietly::Skipped("unknown address"),
            })
        })
        .await
    }

    /// The auth collection that a path names, where a password may be asked to be replaced.
    ///
    /// # Errors
    /// As [`Auth::accounts`], and [`Error::NoPasswords`].
    pub fn resettable_accounts(&self, name: &str) -> Result<Arc<Collection>, Error> {
        let collection = self.accounts(name)?;
        match collection.auth() {
            Some(auth) if auth.password_auth.enabled => Ok(collection),
            Some(_) | None => Err(Error::NoPasswords),
        }
    }

    fn send_reset(&self, call: &Call, record: &Record) -> Quietly {
        let Some(auth) = record.collection().auth() else {
            return Quietly::Skipped("no accounts");
        };
        let Some(turn) = self.take_turn(MAIL, record, call.now) else {
            return Quietly::Skipped("sent a moment ago");
        };
        let Some(token) = link_token(record, Purpose::PasswordReset, call.now, None) else {
            return Quietly::Skipped("the account has no key");
        };
        let values = [("TOKEN", token.as_str())];
        let letter = self.letter(
            &auth.reset_password_template,
            record.text("email"),
            record,
            &values,
        );
        let (throttle, now) = (self.throttle().clone(), call.now);
        self.post(MAIL, record, letter, move |sent| async move {
            if !sent {
                throttle.forget(&turn, now);
            }
        });
        Quietly::Posted
    }

    /// Takes the link's token and the new password. Every token of the account ends with it, this one too.
    ///
    /// # Errors
    /// [`Error::Form`] with all that is wrong at once, then [`Error::Save`].
    pub async fn confirm_password_reset(
        &self,
        call: &Call,
        collection: &Arc<Collection>,
        form: NewPassword,
    ) -> Result<(), Error> {
        let options = password_options(collection);
        let (accounts, link, now) = (Arc::clone(collection), form.token.clone(), call.now);
        let token_error = self
            .store()
            .read(move |tx| Ok::<_, Error>(proven(tx, &accounts, &link, now)?.err()))
            .await?;
        let mut errors = passwords(&form, &options);
        errors.extend("token", token_error);
        form::refuse(errors)?;
        let settings = self.settings().current();
        let common = || {
            let refused = settings.accounts.refuses_common(collection) && is_common(&form.password);
            refused.then(FieldError::common_password)
        };
        let refused = options.validate_plain(&form.password).or_else(common);
        if let Some(error) = refused {
            return Err(Error::Save(FAILED, FieldErrors::one("password", error)));
        }
        let hash = self.passwords().hash(&form.password).await?;
        let (call, collection) = (call.clone(), Arc::clone(collection));
        self.store()
            .write(move |tx| reset(tx, &call, &collection, &form.token, &hash))
            .await
    }
}

fn password_options(collection: &Collection) -> PasswordOptions {
    match collection.field("password").map(|field| &field.kind) {
        Some(FieldKind::Password(options)) => options.clone(),
        _ => PasswordOptions::default(),
    }
}

/// What is wrong with the two passwords, before the field itself judges.
fn passwords(form: &NewPassword, options: &PasswordOptions) -> FieldErrors {
    let mut errors = FieldErrors::new();
    let least = usize::try_from(options.min).unwrap_or(0).max(1);
    let most = usize::try_from(options.chars_max()).unwrap_or(0);
    let most = most.max(TEXT_CHARS_MAX);
    let chars = form.password.chars().count();
    if form.password.is_empty() {
        errors.add("password", FieldError::required());
    } else if chars < least || chars > most {
        errors.add("password", form::out_of_range(least, most));
    }
    if form.password_confirm.is_empty() {
        errors.add("passwordConfirm", FieldError::required());
    } else if form.password_confirm != form.password {
        let error = FieldError::new("validation_values_mismatch", "Values don't match.");
        errors.add("passwordConfirm", error);
    }
    errors
}

/// Whose password the token lets change, or why nobody's.
fn proven(
    tx: &ReadTx<'_>,
    collection: &Collection,
    token: &str,
    now: crate::kit::time::Timestamp,
) -> Result<Result<Record, FieldError>, Error> {
    if token.is_empty() {
        return Ok(Err(FieldError::required()));
    }
    Ok(match linked(tx, token, Purpose::PasswordReset, now)? {
        None => Err(form::broken_token()),
        Some(record) if record.collection().id != collection.id => Err(form::foreign_token()),
        Some(record) => Ok(record),
    })
}

/// The proof again, and the change, in one transaction: the token serves once, however often it is sent at a time.
fn reset(
    tx: &mut WriteTx<'_>,
    call: &Call,
    collection: &Collection,
    token: &str,
    hash: &str,
) -> Result<(), Error> {
    let before = match proven(tx, collection, token, call.now)? {
        Ok(record) => record,
        Err(error) => return Err(Error::Form(FieldErrors::one("token", error))),
    };
    let mut after = before.clone();
    after.set("password", hash);
    // The mail reached whoever now sets the password.
    let reached = token::unproven_text(token, "email");
    if reached.is_some_and(|email| email == before.text("email")) {
        if !account::is_verified(&before) {
            account::end_planted(tx, call, &before)?;
        }
        after.set("verified", true);
    }
    account::save(tx, call, &before, after)?;
    Ok(())
}
