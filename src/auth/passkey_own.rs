//! Passkeys of an account: made, named and taken away by whoever has just proven who they are.

use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use serde::Deserialize;
use webauthn_rs::prelude::{Passkey, PasskeyRegistration, RegisterPublicKeyCredential};

use super::ceremonies::{Account, Ceremony};
use super::error::Error;
use super::notice::Changed;
use super::passkey::{self, Challenge, handle, is_framed, passkey_of, refused};
use super::service::Auth;
use super::{form, rows};
use crate::call::Call;
use crate::kit::json::Json;
use crate::kit::limits::{PASSKEY_NAME_CHARS_MAX, PASSKEYS_MAX};
use crate::records::account;
use crate::schema::{FieldError, FieldErrors, Record};
use crate::store::{StoreError, WriteTx};

/// What a passkey is called until its owner says otherwise.
const UNNAMED: &str = "Passkey";

impl Auth {
    /// Begins a new passkey of the caller's account, who has just proven who they are.
    ///
    /// # Errors
    /// [`Error::Stale`], [`Error::Form`] when there are too many, [`Error::RelyingParty`].
    pub async fn begin_passkey(
        &self,
        call: &Call,
        account: &Record,
        token: &str,
        password: &str,
    ) -> Result<Challenge, Error> {
        self.prove_anew(call, account, token, password).await?;
        let record = account.clone();
        let known = self
            .store()
            .read(move |tx| account::owned(tx, passkey::ROWS, &record));
        let known = known.await?;
        if known.len() >= PASSKEYS_MAX {
            let error = FieldError::new(
                "validation_too_many_passkeys",
                format!("There are {PASSKEYS_MAX} passkeys already."),
            );
            return Err(Error::Form(FieldErrors::one("credential", error)));
        }
        let known = known.iter().filter_map(passkey_of);
        let known = known.map(|passkey| passkey.cred_id().clone()).collect();
        let name = match account.text("email") {
            "" => account.id(),
            email => email,
        };
        let party = self.relying_party()?;
        let (options, state) = party
            .start_passkey_registration(handle(account), name, name, Some(known))
            .map_err(refused)?;
        let mut options = serde_json::to_value(options).map_err(|_| Error::Passkey)?;
        // Found by the device itself, without a name typed first.
        let selection = &mut options["publicKey"]["authenticatorSelection"];
        selection["residentKey"] = Json::from("required");
        selection["requireResidentKey"] = Json::from(true);
        let ceremony = Ceremony::Register {
            state: Box::new(state),
            account: Account::of(account),
        };
        Ok(Challenge {
            id: self.ceremonies().begin(ceremony, call.now)?,
            options,
        })
    }

    /// Keeps the new passkey that a device has made; gives the id of its row.
    ///
    /// # Errors
    /// [`Error::Passkey`] for whatever is wrong with it.
    pub async fn confirm_passkey(
        &self,
        call: &Call,
        account: &Record,
        challenge: &str,
        name: &str,
        credential: &Json,
    ) -> Result<String, Error> {
        let name = named(name)?;
        let Some(Ceremony::Register {
            state,
            account: begun,
        }) = self.ceremonies().take(challenge, call.now)?
        else {
            return Err(Error::Passkey);
        };
        // The same account, and nothing has ended its tokens since.
        if begun != Account::of(account) {
            return Err(Error::Passkey);
        }
        let passkey = self.verify_new(&state, credential)?;
        let id = BASE64_URL_SAFE_NO_PAD.encode(passkey.cred_id());
        let kept = serde_json::to_string(&passkey).map_err(|_| Error::Passkey)?;
        let (record, now) = (account.clone(), call.now);
        let written = self.store().write(move |tx| {
            let rows = passkey::collection(tx)?;
            let values = [
                ("name", name.as_str()),
                ("credentialId", id.as_str()),
                ("credential", kept.as_str()),
            ];
            let row = rows::fresh(&rows, &record, &values, now);
            match tx.insert(&row) {
                Ok(()) => Ok(row.id().to_owned()),
                // Somebody has this one already.
                Err(StoreError::NotUnique { .. }) => Err(Error::Passkey),
                Err(error) => Err(error.into()),
            }
        });
        let id = written.await?;
        self.notify(call, account, Changed::PasskeyAdded);
        Ok(id)
    }

    fn verify_new(&self, state: &PasskeyRegistration, credential: &Json) -> Result<Passkey, Error> {
        let answer =
            RegisterPublicKeyCredential::deserialize(credential).map_err(|_| Error::Passkey)?;
        if is_framed(answer.response.client_data_json.as_ref()) {
            return Err(Error::Passkey);
        }
        let party = self.relying_party()?;
        party
            .finish_passkey_registration(&answer, state)
            .map_err(refused)
    }

    /// Gives a passkey of the account another name.
    ///
    /// # Errors
    /// [`Error::NotFound`], [`Error::Form`].
    pub async fn rename_passkey(
        &self,
        account: &Record,
        id: &str,
        name: &str,
    ) -> Result<(), Error> {
        let name = named(name)?;
        let (record, id) = (account.clone(), id.to_owned());
        self.store()
            .write(move |tx| {
                let before = own_row(tx, &record, &id)?;
                let mut after = before.clone();
                after.set("name", name.as_str());
                Ok(tx.update(&before, &after)?)
            })
            .await
    }

    /// Takes a passkey of the account away, for whoever has just proven who they are.
    ///
    /// # Errors
    /// [`Error::NotFound`], [`Error::Stale`].
    pub async fn remove_passkey(
        &self,
        call: &Call,
        account: &Record,
        id: &str,
        token: &str,
        password: &str,
    ) -> Result<(), Error> {
        self.prove_anew(call, account, token, password).await?;
        let (record, id) = (account.clone(), id.to_owned());
        self.store()
            .write(move |tx| {
                let row = own_row(tx, &record, &id)?;
                Ok::<_, Error>(tx.delete(&row)?)
            })
            .await?;
        self.notify(call, account, Changed::PasskeyRemoved);
        Ok(())
    }
}

fn own_row(tx: &WriteTx<'_>, account: &Record, id: &str) -> Result<Record, Error> {
    let rows = passkey::collection(tx)?;
    tx.find(&rows, id)?
        .filter(|row| rows::is_of(row, account))
        .ok_or(Error::NotFound)
}

fn named(name: &str) -> Result<String, Error> {
    let name = name.trim();
    if name.chars().count() > PASSKEY_NAME_CHARS_MAX {
        let error = form::too_long(PASSKEY_NAME_CHARS_MAX);
        return Err(Error::Form(FieldErrors::one("name", error)));
    }
    let name = if name.is_empty() { UNNAMED } else { name };
    Ok(name.to_owned())
}
