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
    DiscoverableAuthentication, Passkey, PublicKeyCredential, Uuid, Webauthn, WebauthnBuilder,
    WebauthnError,
};

use super::ceremonies::Ceremony;
use super::error::Error;
use super::finish::{Method, Outcome, Proof};
use super::service::Auth;
use crate::call::Call;
use crate::kit::json::{self, Json};
use crate::kit::limits::{CEREMONIES_ADDRESS_MAX, CEREMONY_MILLIS};
use crate::kit::value::Value;
use crate::schema::{Collection, Record};
use crate::store::{ReadTx, StoreError};

pub(super) const ROWS: &str = "_passkeys";

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
        let ceremony = Ceremony::sign_in(state, &collection.id);
        Ok(Challenge {
            id: self.ceremonies().begin(ceremony, call.now)?,
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
        }) = self.ceremonies().take(challenge, call.now)?
        else {
            return Err(Error::Failed);
        };
        if begun != collection.id.as_str() {
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

    /// Who we are to devices: what the settings say.
    pub(super) fn relying_party(&self) -> Result<Webauthn, Error> {
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
pub(super) fn collection(tx: &ReadTx<'_>) -> Result<Arc<Collection>, Error> {
    let found = tx.catalog().find_exact(ROWS);
    found
        .filter(|collection| collection.system)
        .cloned()
        .ok_or(Error::Failed)
}

pub(super) fn passkey_of(row: &Record) -> Option<Passkey> {
    serde_json::from_str(row.text("credential")).ok()
}

/// What devices know an account by: it tells nothing of it.
pub(super) fn handle(account: &Record) -> Uuid {
    let name = format!("{}/{}", account.collection().id.as_str(), account.id());
    let mut bytes = [0; 16];
    bytes.copy_from_slice(&Sha256::digest(name)[..16]);
    Uuid::from_bytes(bytes)
}

/// Whether an answer was given in a page that stands inside another site's.
pub(super) fn is_framed(client_data: &[u8]) -> bool {
    match json::parse_first(client_data) {
        Ok(data) => data["crossOrigin"] == true,
        Err(_) => true,
    }
}

#[expect(clippy::needless_pass_by_value, reason = "handed to map_err")]
pub(super) fn refused(error: WebauthnError) -> Error {
    tracing::warn!(%error, "a passkey was refused");
    Error::Passkey
}
