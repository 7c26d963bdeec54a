//! Sign-in by a mailed code (contract-auth 2.3). A code serves once, for a while, and only so many tries are free: by
//! account and address as the contract has it, and over all addresses, where the code then is void.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use super::error::Error;
use super::finish::{Method, Outcome, Proof};
use super::rows;
use super::service::Auth;
use super::sign_in::too_long;
use crate::call::Call;
use crate::kit::id;
use crate::kit::limits::{
    CODE_TRIES_ADDRESS_MAX, CODE_TRIES_MAX, CODE_TRIES_WINDOW_MILLIS, CODES_UNEXPIRED_MAX,
    FAILURE_MILLIS_MIN,
};
use crate::kit::value::Value;
use crate::records::account;
use crate::schema::field::is_email;
use crate::schema::{Collection, FieldError, FieldErrors, Record};
use crate::store::{StoreError, WriteTx};

const ROWS: &str = "_otps";
/// Characters of the password that takes the place of one that somebody else may have set.
const RANDOM_PASSWORD_CHARS: usize = 30;

/// What a sign-in by code submits.
#[derive(Clone, Debug, Default)]
pub struct CodeForm {
    /// Which code.
    pub otp_id: String,
    /// The code.
    pub password: String,
    /// The first factor's id, empty for none.
    pub mfa_id: String,
}

impl Auth {
    /// The auth collection that a path names, where codes are a way to sign in.
    ///
    /// # Errors
    /// As [`Auth::accounts`], and [`Error::MethodOff`].
    pub fn code_accounts(&self, name: &str) -> Result<Arc<Collection>, Error> {
        let collection = self.accounts(name)?;
        match collection.auth() {
            Some(auth) if auth.otp.enabled => Ok(collection),
            Some(_) | None => Err(Error::MethodOff("OTP")),
        }
    }

    /// The id of a code for `email`, told alike for known and unknown addresses.
    ///
    /// # Errors
    /// [`Error::Form`].
    pub async fn request_code(
        &self,
        call: &Call,
        collection: &Arc<Collection>,
        email: &str,
    ) -> Result<String, Error> {
        validate_email(email)?;
        let (accounts, now) = (Arc::clone(collection), call.now);
        let email = Value::text(email);
        let newest = self.store().read(move |tx| {
            let Some(record) = tx.find_by(&accounts, "email", &email)? else {
                return Ok(None);
            };
            let life = accounts.auth().map_or(0, |auth| auth.otp.duration);
            let mut codes = account::owned(tx, ROWS, &record)?;
            codes.retain(|code| !rows::is_older(code, life, now));
            codes.sort_by(|a, b| a.text("created").cmp(b.text("created")));
            let full = codes.len() >= CODES_UNEXPIRED_MAX;
            Ok::<_, Error>(codes.pop().filter(|_| full))
        });
        if let Some(code) = newest.await? {
            return Ok(code.id().to_owned());
        }
        // A code that cannot be mailed is not kept: there is no mailer yet, so this is every code.
        tracing::warn!(
            collection = collection.name.as_str(),
            "a sign-in code was asked for, but mail is not set up"
        );
        Ok(id::record_id().into())
    }

    /// Signs in by code.
    ///
    /// # Errors
    /// [`Error::Code`] for every code that does not do, and what else hinders.
    pub async fn sign_in_by_code(
        &self,
        call: &Call,
        collection: &Arc<Collection>,
        form: CodeForm,
    ) -> Result<Outcome, Error> {
        validate(&form)?;
        let floor = Instant::now() + Duration::from_millis(FAILURE_MILLIS_MIN);
        let proof = match self.prove_code(call, collection, form).await {
            Ok(proof) => proof,
            Err(error) => {
                tokio::time::sleep_until(floor).await;
                return Err(error);
            }
        };
        self.finish(call, proof).await
    }

    async fn prove_code(
        &self,
        call: &Call,
        collection: &Arc<Collection>,
        form: CodeForm,
    ) -> Result<Proof, Error> {
        let (accounts, wanted) = (Arc::clone(collection), form.otp_id.clone());
        let found = self.store().read(move |tx| {
            let Some(codes) = tx.catalog().find_exact(ROWS) else {
                return Ok(None);
            };
            let Some(code) = tx.find(codes, &wanted)? else {
                return Ok(None);
            };
            if code.text("collectionRef") != accounts.id.as_str() {
                return Ok(None);
            }
            let record = tx.find(&accounts, code.text("recordRef"))?;
            Ok::<_, Error>(record.map(|record| (code, record)))
        });
        let found = found.await?;
        self.count_try(call, collection, &form, found.as_ref())
            .await?;
        let life = collection.auth().map_or(0, |auth| auth.otp.duration);
        let found = found.filter(|(code, _)| !rows::is_older(code, life, call.now));
        let stored = found.as_ref().map(|(code, _)| code.text("password"));
        let right = self.passwords().verify(stored, &form.password).await?;
        let (true, Some((code, record))) = (right, found) else {
            return Err(Error::Code);
        };
        let record = self.redeem(call, code, record).await?;
        Ok(Proof {
            record,
            method: Some(Method::Otp),
            mfa_id: form.mfa_id,
            new_hash: None,
            token: None,
            meta: None,
        })
    }

    /// Counts a try, right or wrong. Ids that are no codes count alike, so that they cannot be told apart.
    async fn count_try(
        &self,
        call: &Call,
        collection: &Collection,
        form: &CodeForm,
        found: Option<&(Record, Record)>,
    ) -> Result<(), Error> {
        let subject = found.map_or(form.otp_id.as_str(), |(_, record)| record.id());
        let (throttle, window) = (self.throttle(), CODE_TRIES_WINDOW_MILLIS);
        let by_address = format!(
            "otp {} {subject} {}",
            collection.id.as_str(),
            call.client_ip.to_canonical()
        );
        throttle
            .count(&by_address, CODE_TRIES_ADDRESS_MAX, window, call.now)
            .map_err(Error::CodeThrottled)?;
        let by_code = format!("otp {} {subject}", collection.id.as_str());
        let Err(wait) = throttle.count(&by_code, CODE_TRIES_MAX, window, call.now) else {
            return Ok(());
        };
        if let Some((code, _)) = found {
            let code = code.clone();
            let void = self.store().write(move |tx| match tx.delete(&code) {
                Ok(()) | Err(StoreError::Gone) => Ok(()),
                Err(error) => Err(error),
            });
            void.await?;
        }
        Err(Error::CodeThrottled(wait))
    }

    /// Takes the code away and, where it proves the address, verifies the account. A password that was set before the
    /// address was proven may be a stranger's, and goes.
    async fn redeem(&self, call: &Call, code: Record, record: Record) -> Result<Record, Error> {
        let proves = !account::is_verified(&record)
            && !code.text("sentTo").is_empty()
            && code.text("sentTo") == record.text("email");
        let alone = record
            .collection()
            .auth()
            .is_some_and(|auth| !auth.mfa.enabled);
        let random = if proves && alone {
            let password = id::random(RANDOM_PASSWORD_CHARS, id::ALNUM);
            Some(self.passwords().hash(&password).await?)
        } else {
            None
        };
        let call = call.clone();
        self.store()
            .write(move |tx| {
                match tx.delete(&code) {
                    Ok(()) => {}
                    Err(StoreError::Gone) => return Err(Error::Code),
                    Err(error) => return Err(error.into()),
                }
                if proves {
                    return verify(tx, &call, &record, random.as_deref());
                }
                Ok(record)
            })
            .await
    }
}

fn verify(
    tx: &mut WriteTx<'_>,
    call: &Call,
    record: &Record,
    random: Option<&str>,
) -> Result<Record, Error> {
    let before = tx
        .find(record.collection(), record.id())?
        .ok_or(Error::Code)?;
    let mut after = before.clone();
    after.set("verified", true);
    if let Some(hash) = random {
        after.set("password", hash);
    }
    account::before_update(tx, call, &before, &mut after)?;
    tx.update(&before, &after)?;
    Ok(after)
}

fn validate_email(email: &str) -> Result<(), Error> {
    const MOST: usize = 255;
    let error = if email.is_empty() {
        FieldError::required()
    } else if email.len() > MOST {
        too_long(MOST)
    } else if is_email(email) {
        return Ok(());
    } else {
        FieldError::new("validation_is_email", "Must be a valid email address.")
    };
    Err(Error::Form(FieldErrors::one("email", error)))
}

fn validate(form: &CodeForm) -> Result<(), Error> {
    let mut errors = FieldErrors::new();
    for (name, value, most) in [
        ("otpId", &form.otp_id, 255),
        ("password", &form.password, 71),
    ] {
        if value.is_empty() {
            errors.add(name, FieldError::required());
        } else if value.len() > most {
            errors.add(name, too_long(most));
        }
    }
    if errors.is_empty() {
        Ok(())
    } else {
        Err(Error::Form(errors))
    }
}
