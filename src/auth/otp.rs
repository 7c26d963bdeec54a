//! Sign-in by a mailed code (contract-auth 2.3). A code serves once, for a while, and only so many tries are free: by
//! account and address as the contract has it, and over all addresses, where the code then is void.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use super::error::Error;
use super::finish::{Method, Outcome, Proof};
use super::form::{self, TEXT_CHARS_MAX};
use super::service::Auth;
use super::{password, rows};
use crate::call::Call;
use crate::kit::limits::{
    CODE_TRIES_ADDRESS_MAX, CODE_TRIES_MAX, CODE_TRIES_WINDOW_MILLIS, FAILURE_MILLIS_MIN,
};
use crate::records::account;
use crate::schema::{Collection, FieldError, FieldErrors, Record};
use crate::store::{StoreError, WriteTx};

const ROWS: &str = "_otps";

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
        // An invented code is tried like a real one: the count is the person's, not the code's.
        let invented = self.invented().person(&form.otp_id, call.now)?;
        let unknown = invented.as_deref().unwrap_or(&form.otp_id);
        let subject = found.map_or(unknown, |(_, record)| record.id());
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
            Some(self.passwords().hash(&password::random()).await?)
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
    account::end_planted(tx, call, &before)?;
    Ok(account::save(tx, call, &before, after)?)
}

fn validate(form: &CodeForm) -> Result<(), Error> {
    let mut errors = FieldErrors::new();
    for (name, value, most) in [
        ("otpId", &form.otp_id, TEXT_CHARS_MAX),
        ("password", &form.password, 71),
    ] {
        if value.is_empty() {
            errors.add(name, FieldError::required());
        } else if value.len() > most {
            errors.add(name, form::too_long(most));
        }
    }
    form::refuse(errors)
}
