//! Proving an address: a mail with a link, and the confirmation (contract-auth 2.8).

use std::sync::Arc;

use super::error::Error;
use super::form;
use super::letters::Quietly;
use super::password;
use super::service::{Auth, link_token, linked};
use super::token::{self, Purpose};
use crate::call::Call;
use crate::records::account;
use crate::schema::{Collection, FieldError, FieldErrors, Record};
use crate::store::WriteTx;

const SUPERUSERS: &str = "All superusers are verified by default.";
const MAIL: &str = "verification";

impl Auth {
    /// Sends the link that proves an address, told alike for known, unknown and proven addresses.
    ///
    /// # Errors
    /// [`Error::Superusers`], [`Error::Form`] and [`Error::Throttled`].
    pub async fn request_verification(
        &self,
        call: &Call,
        collection: &Arc<Collection>,
        email: &str,
    ) -> Result<Quietly, Error> {
        if collection.is_superusers() {
            return Err(Error::Superusers(SUPERUSERS));
        }
        if let Some(error) = form::address(email) {
            return Err(Error::Form(FieldErrors::one("email", error)));
        }
        self.count_request(call)?;
        self.levelled(async {
            let Some(record) = self.addressee(collection, email).await? else {
                return Ok(Quietly::Skipped("unknown address"));
            };
            if account::is_verified(&record) {
                return Ok(Quietly::Skipped("already verified"));
            }
            Ok(self.send_verification(call, &record))
        })
        .await
    }

    fn send_verification(&self, call: &Call, record: &Record) -> Quietly {
        let Some(auth) = record.collection().auth() else {
            return Quietly::Skipped("no accounts");
        };
        let Some(turn) = self.take_turn(MAIL, record, call.now) else {
            return Quietly::Skipped("sent a moment ago");
        };
        let Some(token) = link_token(record, Purpose::Verification, call.now, None) else {
            return Quietly::Skipped("the account has no key");
        };
        let values = [("TOKEN", token.as_str())];
        let letter = self.letter(
            &auth.verification_template,
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

    /// Takes the link's token: the address is proven.
    ///
    /// # Errors
    /// [`Error::Superusers`], and [`Error::Form`] for every token that does not do.
    pub async fn confirm_verification(
        &self,
        call: &Call,
        collection: &Arc<Collection>,
        token: &str,
    ) -> Result<(), Error> {
        if collection.is_superusers() {
            return Err(Error::Superusers(SUPERUSERS));
        }
        let refused = |error| Err(Error::Form(FieldErrors::one("token", error)));
        if token.is_empty() {
            return refused(FieldError::required());
        }
        let Some(email) = token::unproven_text(token, "email") else {
            return refused(FieldError::new(
                "validation_invalid_token_claims",
                "Missing email token claim.",
            ));
        };
        let with_passwords = collection
            .auth()
            .is_some_and(|auth| auth.password_auth.enabled);
        let random = if with_passwords {
            None
        } else {
            Some(self.passwords().hash(&password::random()).await?)
        };
        let (call, collection, token) = (call.clone(), Arc::clone(collection), token.to_owned());
        self.store()
            .write(move |tx| {
                let link = Link {
                    token: &token,
                    email: &email,
                };
                confirm(tx, &call, &collection, &link, random.as_deref())
            })
            .await
    }
}

struct Link<'t> {
    token: &'t str,
    email: &'t str,
}

/// The proof and what follows from it in one transaction: a token that ended meanwhile proves nothing.
fn confirm(
    tx: &mut WriteTx<'_>,
    call: &Call,
    collection: &Collection,
    link: &Link<'_>,
    random: Option<&str>,
) -> Result<(), Error> {
    let refused = |error| Err(Error::Form(FieldErrors::one("token", error)));
    let Some(before) = linked(tx, link.token, Purpose::Verification, call.now)? else {
        return refused(form::broken_token());
    };
    if before.collection().id != collection.id {
        return refused(form::foreign_token());
    }
    if before.text("email") != link.email {
        return refused(FieldError::new(
            "validation_token_email_mismatch",
            "The record email doesn't match with the requested token claims.",
        ));
    }
    if account::is_verified(&before) {
        return Ok(());
    }
    let mut after = before.clone();
    after.set("verified", true);
    if let Some(hash) = random {
        after.set("password", hash);
    }
    account::save(tx, call, &before, after)?;
    Ok(())
}
