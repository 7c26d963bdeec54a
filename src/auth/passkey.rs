//! Passkeys (WebAuthn level 2): made by whoever has just proven who they are, found by the device itself, always with the
//! person verified by it. Who we are, and from where answers may come, stands in the settings, never in a request. The
//! checks of the ceremonies are the library's.

use std::sync::Arc;

use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use serde::Deserialize;
use sha2::{Digest, Sha256};
use url::Url;
use webauthn_rs::prelude::{
    DiscoverableAuthentication, Passkey, PasskeyRegistration, PublicKeyCredential,
    RegisterPublicKeyCredential, Uuid, Webauthn, WebauthnBuilder, WebauthnError,
};

use super::ceremonies::Ceremony;
use super::error::Error;
use super::finish::{Method, Outcome, Proof};
use super::rows;
use super::service::Auth;
use crate::call::Call;
use crate::kit::json::{self, Json};
use crate::kit::limits::{
    CEREMONIES_ADDRESS_MAX, CEREMONY_MILLIS, PASSKEY_NAME_CHARS_MAX, PASSKEYS_MAX,
};
use crate::kit::value::Value;
use crate::records::account;
use crate::schema::{Collection, FieldError, FieldErrors, Record};
use crate::store::{ReadTx, StoreError, WriteTx};

const ROWS: &str = "_passkeys";
/// What a passkey is called until its owner says otherwise.
const UNNAMED: &str = "Passkey";

/// A challenge for a device.
#[derive(Clone, Debug)]
pub struct Challenge {
    /// Under which its answer is expected.
    pub id: String,
    /// What the browser hands to the device.
    pub options: Json,
}

impl Auth {
    /// The auth collection that a path names, where passkeys are a way to sign in.
    ///
    /// # Errors
    /// As [`Auth::accounts`], and [`Error::MethodOff`].
    pub fn passkey_accounts(&self, name: &str) -> Result<Arc<Collection>, Error> {
        let collection = self.accounts(name)?;
        let settings = self.settings().current();
        let named = |name: &String| *name == collection.name || name == collection.id.as_str();
        if settings.passkeys.collections.iter().any(named) {
            Ok(collection)
        } else {
            Err(Error::MethodOff("passkey"))
        }
    }

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
            .read(move |tx| account::owned(tx, ROWS, &record));
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
            account: Box::new(account.clone()),
        };
        Ok(Challenge {
            id: self.ceremonies().begin(ceremony, call.now).into(),
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
        }) = self.ceremonies().take(challenge, call.now)
        else {
            return Err(Error::Passkey);
        };
        // The same account, and nothing has ended its tokens since.
        let same = begun.collection().id == account.collection().id
            && begun.id() == account.id()
            && begun.text("tokenKey") == account.text("tokenKey");
        if !same {
            return Err(Error::Passkey);
        }
        let passkey = self.verify_new(&state, credential)?;
        let id = BASE64_URL_SAFE_NO_PAD.encode(passkey.cred_id());
        let kept = serde_json::to_string(&passkey).map_err(|_| Error::Passkey)?;
        let (record, now) = (account.clone(), call.now);
        let written = self.store().write(move |tx| {
            let rows = collection(tx)?;
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
        written.await
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

    /// Begins a sign-in by passkey.
    ///
    /// # Errors
    /// [`Error::RelyingParty`], [`Error::Throttled`].
    pub fn challenge_passkey(
        &self,
        call: &Call,
        collection: &Collection,
    ) -> Result<Challenge, Error> {
        let key = format!("passkey {}", call.client_ip.to_canonical());
        self.throttle()
            .count(&key, CEREMONIES_ADDRESS_MAX, CEREMONY_MILLIS, call.now)
            .map_err(Error::Throttled)?;
        let party = self.relying_party()?;
        let (mut options, state) = party.start_discoverable_authentication().map_err(refused)?;
        // Whether to ask in a form field or at once is the page's to decide.
        options.mediation = None;
        let ceremony = Ceremony::SignIn {
            state: Box::new(state),
            collection: collection.id.clone(),
        };
        Ok(Challenge {
            id: self.ceremonies().begin(ceremony, call.now).into(),
            options: serde_json::to_value(options).map_err(|_| Error::Failed)?,
        })
    }

    /// Signs in by passkey, as the first factor or after another.
    ///
    /// # Errors
    /// [`Error::Failed`] for whatever is wrong with it, and what hinders any sign-in.
    pub async fn sign_in_by_passkey(
        &self,
        call: &Call,
        collection: &Arc<Collection>,
        challenge: &str,
        credential: &Json,
        mfa_id: String,
    ) -> Result<Outcome, Error> {
        let Some(Ceremony::SignIn {
            state,
            collection: begun,
        }) = self.ceremonies().take(challenge, call.now)
        else {
            return Err(Error::Failed);
        };
        if begun != collection.id {
            return Err(Error::Failed);
        }
        let answer = PublicKeyCredential::deserialize(credential).map_err(|_| Error::Failed)?;
        let found = self.find_passkey(collection, &answer).await?;
        let (row, record) = found.ok_or(Error::Failed)?;
        let passkey = self.verify(&answer, *state, &row, &record)?;
        let kept = serde_json::to_string(&passkey).map_err(|_| Error::Failed)?;
        let now = call.now;
        let used = self.store().write(move |tx| {
            let before = tx.find(row.collection(), row.id())?.ok_or(Error::Failed)?;
            let mut after = before.clone();
            after.set("credential", kept.as_str());
            after.set("lastUsed", now.to_text());
            tx.update(&before, &after).map_err(|error| match error {
                StoreError::Gone => Error::Failed,
                other => other.into(),
            })
        });
        used.await?;
        let proof = Proof {
            record,
            method: Some(Method::Passkey),
            mfa_id,
            new_hash: None,
            token: None,
            meta: None,
        };
        self.finish(call, proof).await
    }

    /// The passkey that an answer names, with its account.
    async fn find_passkey(
        &self,
        collection: &Arc<Collection>,
        answer: &PublicKeyCredential,
    ) -> Result<Option<(Record, Record)>, Error> {
        let id = BASE64_URL_SAFE_NO_PAD.encode(answer.get_credential_id());
        let accounts = Arc::clone(collection);
        self.store()
            .read(move |tx| {
                let rows = self::collection(tx)?;
                let Some(row) = tx.find_by(&rows, "credentialId", &Value::text(id))? else {
                    return Ok(None);
                };
                if row.text("collectionRef") != accounts.id.as_str() {
                    return Ok(None);
                }
                let record = tx.find(&accounts, row.text("recordRef"))?;
                Ok(record.map(|record| (row, record)))
            })
            .await
    }

    /// Whether the device holds the key and has verified the person; the passkey as it is after that.
    fn verify(
        &self,
        answer: &PublicKeyCredential,
        state: DiscoverableAuthentication,
        row: &Record,
        record: &Record,
    ) -> Result<Passkey, Error> {
        let failed = |error: WebauthnError| {
            // A counter that goes back is a copy of the key somewhere.
            tracing::warn!(%error, passkey = row.id(), "a passkey was refused");
            Error::Failed
        };
        let mut passkey = passkey_of(row).ok_or(Error::Failed)?;
        let named = answer.get_user_unique_id();
        if named != Some(handle(record).as_bytes().as_slice())
            || is_framed(answer.response.client_data_json.as_ref())
        {
            return Err(Error::Failed);
        }
        let party = self.relying_party()?;
        let result = party
            .finish_discoverable_authentication_v2(answer, state, &passkey)
            .map_err(failed)?;
        if !result.user_verified() {
            return Err(Error::Failed);
        }
        passkey.update_credential(&result);
        Ok(passkey)
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
                Ok(tx.delete(&row)?)
            })
            .await
    }

    /// Who we are to devices: what the settings say.
    fn relying_party(&self) -> Result<Webauthn, Error> {
        let settings = self.settings().current();
        let unfit = |_| Error::RelyingParty;
        let own = Url::parse(&settings.meta.app_url).map_err(|_| Error::RelyingParty)?;
        let id = match settings.passkeys.rp_id.as_str() {
            "" => own.domain().ok_or(Error::RelyingParty)?.to_owned(),
            configured => configured.to_owned(),
        };
        let listed = settings.passkeys.origins.iter();
        let mut origins: Vec<Url> = listed.filter_map(|url| Url::parse(url).ok()).collect();
        if origins.is_empty() {
            origins.push(own);
        }
        let (first, others) = origins.split_first().ok_or(Error::RelyingParty)?;
        let mut builder = WebauthnBuilder::new(&id, first)
            .map_err(unfit)?
            .rp_name(&settings.meta.app_name);
        for origin in others {
            builder = builder.append_allowed_origin(origin);
        }
        builder.build().map_err(unfit)
    }
}

/// The collection of passkeys; none where somebody else's collection has its name.
fn collection(tx: &ReadTx<'_>) -> Result<Arc<Collection>, Error> {
    let found = tx.catalog().find_exact(ROWS);
    found
        .filter(|collection| collection.system)
        .cloned()
        .ok_or(Error::Failed)
}

fn own_row(tx: &WriteTx<'_>, account: &Record, id: &str) -> Result<Record, Error> {
    let rows = collection(tx)?;
    tx.find(&rows, id)?
        .filter(|row| rows::is_of(row, account))
        .ok_or(Error::NotFound)
}

fn passkey_of(row: &Record) -> Option<Passkey> {
    serde_json::from_str(row.text("credential")).ok()
}

/// What devices know an account by: it tells nothing of it.
fn handle(account: &Record) -> Uuid {
    let name = format!("{}/{}", account.collection().id.as_str(), account.id());
    let mut bytes = [0; 16];
    bytes.copy_from_slice(&Sha256::digest(name)[..16]);
    Uuid::from_bytes(bytes)
}

/// Whether an answer was given in a page that stands inside another site's.
fn is_framed(client_data: &[u8]) -> bool {
    match json::parse_first(client_data) {
        Ok(data) => data["crossOrigin"] == true,
        Err(_) => true,
    }
}

fn named(name: &str) -> Result<String, Error> {
    let name = name.trim();
    if name.chars().count() > PASSKEY_NAME_CHARS_MAX {
        let error = super::form::too_long(PASSKEY_NAME_CHARS_MAX);
        return Err(Error::Form(FieldErrors::one("name", error)));
    }
    let name = if name.is_empty() { UNNAMED } else { name };
    Ok(name.to_owned())
}

#[expect(clippy::needless_pass_by_value, reason = "handed to map_err")]
fn refused(error: WebauthnError) -> Error {
    tracing::warn!(%error, "a passkey was refused");
    Error::Passkey
}
