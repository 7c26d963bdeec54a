//! Moving to another address: a mail to the new one, and the confirmation with the password (contract-auth 2.10).

use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use super::error::Error;
use super::form;
use super::service::{Auth, link_token, linked};
use super::sign_in::{self, find_in};
use super::token::{self, Purpose};
use crate::call::Call;
use crate::kit::limits::{EMAIL_CHANGES_MAX, FAILURE_MILLIS_MIN, SIGN_IN_WINDOW_MILLIS};
use crate::records::account;
use crate::schema::{Collection, FieldError, FieldErrors, Record};
use crate::store::{ReadTx, StoreError, WriteTx};

const SUPERUSERS: &str = "All superusers can change their emails directly.";
const REQUEST_FAILED: &str = "Failed to request email change.";
const CONFIRM_FAILED: &str = "Failed to confirm email change.";
/// Characters of the password in the confirmation (contract-auth 2.10).
const PASSWORD_CHARS_MAX: usize = 100;

impl Auth {
    /// Sends the link that moves the caller to the address `new_email`, and waits until it left: the contract tells the
    /// caller when it did not.
    ///
    /// # Errors
    /// [`Error::Unauthorized`], [`Error::Form`], [`Error::Throttled`] and [`Error::Mail`].
    pub async fn request_email_change(
        &self,
        call: &Call,
        collection: &Arc<Collection>,
        new_email: &str,
    ) -> Result<(), Error> {
        let record = call.actor.record().ok_or(Error::Unauthorized)?;
        if let Some(error) = form::address(new_email) {
            return refused("newEmail", error);
        }
        if record.text("email") == new_email {
            let error = FieldError::new("validation_not_in_invalid", "Must not be in list.");
            return refused("newEmail", error);
        }
        // Which addresses are taken can be learnt here: not by the thousand.
        let key = format!("email change {} {}", collection.id.as_str(), record.id());
        self.throttle()
            .count(&key, EMAIL_CHANGES_MAX, SIGN_IN_WINDOW_MILLIS, call.now)
            .map_err(Error::Throttled)?;
        let (accounts, wanted) = (Arc::clone(collection), new_email.to_owned());
        let taken = self
            .store()
            .read(move |tx| is_taken(tx, &accounts, &wanted))
            .await?;
        if taken {
            let error =
                FieldError::new("validation_invalid_new_email", "Invalid new email address.");
            return refused("newEmail", error);
        }
        let token = link_token(record, Purpose::EmailChange, call.now, Some(new_email))
            .ok_or(Error::Failed)?;
        let auth = collection.auth().ok_or(Error::NoAccounts)?;
        let template = &auth.confirm_email_change_template;
        let letter = self.letter(template, new_email, record, &[("TOKEN", &token)]);
        let sent = self.mailer().send(&letter).await;
        sent.map_err(|error| Error::Mail(REQUEST_FAILED, error))
    }

    /// The collection that a path names, where the caller is an account of it and accounts move by mail.
    ///
    /// # Errors
    /// [`Error::UnknownCollection`], [`Error::Unauthorized`], [`Error::OtherCollection`] and [`Error::Superusers`].
    pub fn movable_accounts(&self, call: &Call, name: &str) -> Result<Arc<Collection>, Error> {
        let catalog = self.store().catalog();
        let wanted = catalog.find(name).ok_or(Error::UnknownCollection)?;
        let own = call.actor.record().ok_or(Error::Unauthorized)?.collection();
        if own.id != wanted.id {
            return Err(Error::OtherCollection(own.name.to_string()));
        }
        if call.actor.key().is_some() {
            return Err(Error::NoSession);
        }
        if wanted.is_superusers() {
            return Err(Error::Superusers(SUPERUSERS));
        }
        Ok(Arc::clone(wanted))
    }

    /// Takes the link's token and the password: the account has the new address, and every token of it ends.
    ///
    /// # Errors
    /// [`Error::Superusers`], [`Error::Form`], [`Error::Throttled`] and [`Error::Save`].
    pub async fn confirm_email_change(
        &self,
        call: &Call,
        collection: &Arc<Collection>,
        token: &str,
        password: &str,
    ) -> Result<(), Error> {
        if collection.is_superusers() {
            return Err(Error::Superusers(SUPERUSERS));
        }
        let floor = Instant::now() + Duration::from_millis(FAILURE_MILLIS_MIN);
        let done = self.prove_and_change(call, collection, token, password);
        let done = done.await;
        if done.is_err() {
            tokio::time::sleep_until(floor).await;
        }
        done
    }

    async fn prove_and_change(
        &self,
        call: &Call,
        collection: &Arc<Collection>,
        token: &str,
        password: &str,
    ) -> Result<(), Error> {
        let (accounts, link, now) = (Arc::clone(collection), token.to_owned(), call.now);
        let judged = self
            .store()
            .read(move |tx| proven(tx, &accounts, &link, now))
            .await?;
        let mut errors = FieldErrors::new();
        let most = form::password_chars_max(collection, PASSWORD_CHARS_MAX);
        if password.is_empty() {
            errors.add("password", FieldError::required());
        } else if password.chars().count() > most {
            errors.add("password", form::too_long(most));
        }
        match judged {
            Err(error) => {
                errors.add("token", error);
                // Whatever was typed is not the password of nobody.
                if !(token.is_empty() && password.is_empty()) {
                    errors.add("password", wrong_password());
                }
            }
            Ok(record) if errors.is_empty() => {
                let attempt = self.attempt(
                    collection,
                    record.text("email"),
                    call.client_ip,
                    call.now,
                    false,
                )?;
                let stored = record.text("password");
                if self.passwords().verify(Some(stored), password).await? {
                    attempt.succeeded();
                } else {
                    errors.add("password", wrong_password());
                }
            }
            Ok(_) => {}
        }
        form::refuse(errors)?;
        let (call, collection, token) = (call.clone(), Arc::clone(collection), token.to_owned());
        self.store()
            .write(move |tx| change(tx, &call, &collection, &token))
            .await
    }
}

fn refused(field: &str, error: FieldError) -> Result<(), Error> {
    Err(Error::Form(FieldErrors::one(field, error)))
}

fn wrong_password() -> FieldError {
    FieldError::new(
        "validation_invalid_password",
        "Missing or invalid auth record password.",
    )
}

fn invalid_new_address() -> FieldError {
    FieldError::new(
        "validation_invalid_token_email",
        "The new email address is invalid.",
    )
}

fn is_taken(tx: &ReadTx<'_>, collection: &Arc<Collection>, email: &str) -> Result<bool, Error> {
    Ok(find_in(tx, collection, sign_in::EMAIL, email)?.is_some())
}

/// Who moves by the token, or why nobody does.
fn proven(
    tx: &ReadTx<'_>,
    collection: &Arc<Collection>,
    token: &str,
    now: crate::kit::time::Timestamp,
) -> Result<Result<Record, FieldError>, Error> {
    if token.is_empty() {
        return Ok(Err(FieldError::required()));
    }
    let Some(new_email) = token::unproven_text(token, "newEmail") else {
        return Ok(Err(FieldError::new(
            "validation_invalid_token_payload",
            "Invalid token payload - newEmail must be set.",
        )));
    };
    let Some(record) = linked(tx, token, Purpose::EmailChange, now)? else {
        return Ok(Err(form::broken_token()));
    };
    if record.collection().id != collection.id {
        return Ok(Err(form::foreign_token()));
    }
    if is_taken(tx, collection, &new_email)? {
        return Ok(Err(invalid_new_address()));
    }
    Ok(Ok(record))
}

/// The proof again, and the change, in one transaction: the token key that signed the link changes with the address, so
/// that it serves once.
fn change(
    tx: &mut WriteTx<'_>,
    call: &Call,
    collection: &Arc<Collection>,
    token: &str,
) -> Result<(), Error> {
    let before = match proven(tx, collection, token, call.now)? {
        Ok(record) => record,
        Err(error) => return refused("token", error),
    };
    let new_email = token::unproven_text(token, "newEmail").unwrap_or_default();
    let mut after = before.clone();
    after.set("email", new_email);
    after.set("verified", true);
    let field = collection.field(sign_in::EMAIL);
    let value = after.get(sign_in::EMAIL).cloned();
    if let (Some(field), Some(value)) = (field, value)
        && let Some(error) = field.validate(&value, &crate::schema::field::Check::default())
    {
        let errors = FieldErrors::one(sign_in::EMAIL, error);
        return Err(Error::Save(CONFIRM_FAILED, errors));
    }
    match account::save(tx, call, &before, after) {
        // Somebody else took the address between the link and its use.
        Err(crate::records::Error::Store(StoreError::NotUnique { .. })) => {
            refused("token", invalid_new_address())
        }
        saved => Ok(saved.map(drop)?),
    }
}
