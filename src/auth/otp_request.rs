//! Asking for a code to sign in with (contract-auth 2.3): made and hashed whether anybody has the address or not, mailed
//! to those who have.

use std::sync::Arc;

use super::error::Error;
use super::form;
use super::letters::Quietly;
use super::rows;
use super::service::Auth;
use crate::call::Call;
use crate::kit::id;
use crate::kit::limits::{CODE_DIGITS_MAX, CODES_UNEXPIRED_MAX};
use crate::kit::time::Timestamp;
use crate::records::account;
use crate::schema::collection::OtpOptions;
use crate::schema::{Collection, FieldErrors, Record};
use crate::store::{StoreError, WriteTx};

const ROWS: &str = "_otps";
const MAIL: &str = "one-time password";

/// The answer to whoever asks for a code.
#[derive(Clone, Debug)]
pub struct PromisedCode {
    /// The id under which the code is expected.
    pub id: String,
    /// What came of it, for the log.
    pub outcome: Quietly,
}

/// A fresh code as a collection wants them.
#[must_use]
pub fn fresh_code(options: &OtpOptions) -> String {
    let digits = usize::try_from(options.length).unwrap_or(0);
    id::random(digits.min(CODE_DIGITS_MAX), id::DIGITS).into()
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
    /// [`Error::Form`] and [`Error::Throttled`].
    pub async fn request_code(
        &self,
        call: &Call,
        collection: &Arc<Collection>,
        email: &str,
    ) -> Result<PromisedCode, Error> {
        if let Some(error) = form::address(email) {
            return Err(Error::Form(FieldErrors::one("email", error)));
        }
        self.count_request(call)?;
        self.levelled(self.promise_code(call, collection, email))
            .await
    }

    async fn promise_code(
        &self,
        call: &Call,
        collection: &Arc<Collection>,
        email: &str,
    ) -> Result<PromisedCode, Error> {
        let options = collection.auth().map(|auth| &auth.otp);
        let options = options.ok_or(Error::NoAccounts)?;
        let (code, life, now) = (fresh_code(options), options.duration, call.now);
        let hash = self.passwords().hash(&code).await?;
        let Some(record) = self.addressee(collection, email).await? else {
            let invented = self.invented();
            return Ok(PromisedCode {
                id: invented
                    .promise(collection.id.as_str(), email, now, life)?
                    .into(),
                outcome: Quietly::Skipped("unknown address"),
            });
        };
        let owner = record.clone();
        let kept = self
            .store()
            .write(move |tx| keep(tx, &owner, &hash, life, now));
        let outcome = match kept.await? {
            Kept::Full(newest) => {
                return Ok(PromisedCode {
                    id: newest,
                    outcome: Quietly::Skipped("enough codes are good"),
                });
            }
            Kept::Fresh(row) => {
                let id = row.id().to_owned();
                self.mail_code(&record, row, &code, options);
                PromisedCode {
                    id,
                    outcome: Quietly::Posted,
                }
            }
        };
        Ok(outcome)
    }

    fn mail_code(&self, record: &Record, row: Record, code: &str, options: &OtpOptions) {
        let address = record.text("email").to_owned();
        let values = [("OTP", code), ("OTP_ID", row.id())];
        let letter = self.letter(&options.email_template, &address, record, &values);
        let store = self.store().clone();
        self.post(MAIL, record, letter, move |sent| async move {
            let noted = store
                .write(move |tx| match tx.find(row.collection(), row.id())? {
                    // Where the mail went is what a sign-in by the code proves.
                    Some(before) if sent => {
                        let mut after = before.clone();
                        after.set("sentTo", address);
                        tx.update(&before, &after)
                    }
                    Some(row) => tx.delete(&row),
                    None => Ok(()),
                })
                .await;
            if let Err(error) = noted {
                tracing::error!(%error, "it cannot be noted whether a code was sent");
            }
        });
    }
}

enum Kept {
    Fresh(Record),
    /// No further code while that many are good; the id of the newest.
    Full(String),
}

fn keep(
    tx: &mut WriteTx<'_>,
    owner: &Record,
    hash: &str,
    life: i64,
    now: Timestamp,
) -> Result<Kept, Error> {
    let mut codes = account::owned(tx, ROWS, owner)?;
    codes.retain(|code| !rows::is_older(code, life, now));
    codes.sort_by(|a, b| a.text("created").cmp(b.text("created")));
    if codes.len() >= CODES_UNEXPIRED_MAX
        && let Some(newest) = codes.last()
    {
        return Ok(Kept::Full(newest.id().to_owned()));
    }
    let collection = tx.catalog().find_exact(ROWS).cloned();
    let collection = collection.ok_or(Error::Store(StoreError::Gone))?;
    let row = rows::fresh(&collection, owner, &[("password", hash)], now);
    tx.insert(&row)?;
    Ok(Kept::Fresh(row))
}
