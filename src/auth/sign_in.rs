//! Sign-in by password, refresh and impersonation (contract-auth 2.2, 2.4, 2.5).

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use super::error::Error;
use super::finish::{Method, Outcome, Proof};
use super::form::{self, TEXT_CHARS_MAX};
use super::service::Auth;
use super::sessions::{self, Beginning};
use super::throttle::Attempt;
use super::{origins, password, service};
use crate::call::{Actor, Call};
use crate::kit::limits::{FAILURE_MILLIS_MIN, TOKEN_LIFE_SECS_MAX};
use crate::kit::value::Value;
use crate::schema::field::is_email;
use crate::schema::index::Index;
use crate::schema::{Collection, FieldError, FieldErrors, Record};
use crate::store::ReadTx;

/// The field of the address.
pub(super) const EMAIL: &str = "email";

/// What a sign-in by password submits.
#[derive(Clone, Debug, Default)]
pub struct PasswordForm {
    /// Who.
    pub identity: String,
    /// The secret.
    pub password: String,
    /// The field that `identity` is looked for in; empty for all.
    pub identity_field: String,
    /// The first factor's id, empty for none.
    pub mfa_id: String,
}

impl Auth {
    /// The auth collection that a path names.
    ///
    /// # Errors
    /// [`Error::UnknownCollection`] and [`Error::NoAccounts`].
    pub fn accounts(&self, name: &str) -> Result<Arc<Collection>, Error> {
        let catalog = self.store().catalog();
        let collection = catalog.find(name).ok_or(Error::UnknownCollection)?;
        if !collection.is_auth() {
            return Err(Error::NoAccounts);
        }
        Ok(Arc::clone(collection))
    }

    /// As [`Auth::accounts`], where passwords are a way to sign in.
    ///
    /// # Errors
    /// Those, and [`Error::MethodOff`].
    pub fn password_accounts(&self, name: &str) -> Result<Arc<Collection>, Error> {
        let collection = self.accounts(name)?;
        match collection.auth() {
            Some(auth) if auth.password_auth.enabled => Ok(collection),
            Some(_) | None => Err(Error::MethodOff("password")),
        }
    }

    /// Signs in by password. No failure is answered before a common floor of time, known account or not.
    ///
    /// # Errors
    /// [`Error::Failed`] for an unknown identity and a wrong password alike, and what else hinders.
    pub async fn sign_in(
        &self,
        call: &Call,
        collection: &Arc<Collection>,
        form: PasswordForm,
    ) -> Result<Outcome, Error> {
        validate(collection, &form)?;
        let floor = Instant::now() + Duration::from_millis(FAILURE_MILLIS_MIN);
        let proof = match self.prove_password(call, collection, form).await {
            Ok(proof) => proof,
            Err(error) => {
                tokio::time::sleep_until(floor).await;
                return Err(error);
            }
        };
        self.finish(call, proof).await
    }

    async fn prove_password(
        &self,
        call: &Call,
        collection: &Arc<Collection>,
        form: PasswordForm,
    ) -> Result<Proof, Error> {
        let (accounts, wanted) = (Arc::clone(collection), form.clone());
        let device = origins::fingerprint(call);
        let found = self.store().read(move |tx| {
            let record = find(tx, &accounts, &wanted)?;
            let known = match &record {
                Some(record) => origins::is_known(tx, record, &device)?,
                None => false,
            };
            Ok::<_, Error>((record, known))
        });
        let (record, known) = found.await?;
        let attempt = self.attempt(collection, &form.identity, call.client_ip, call.now, known)?;
        let stored = record.as_ref().map(|record| record.text("password"));
        let right = self.passwords().verify(stored, &form.password).await?;
        let (true, Some(record)) = (right, record) else {
            return Err(Error::Failed);
        };
        attempt.succeeded();
        let scheme = self.passwords().scheme();
        let new_hash = if password::needs_upgrade(scheme, record.text("password")) {
            // A busy pool must not keep anybody out: the next sign-in upgrades.
            self.passwords().hash(&form.password).await.ok()
        } else {
            None
        };
        Ok(Proof {
            record,
            method: Some(Method::Password),
            mfa_id: form.mfa_id,
            new_hash,
            token: None,
            meta: None,
        })
    }

    /// Begins an attempt on an account by its password.
    pub(super) fn attempt(
        &self,
        collection: &Collection,
        identity: &str,
        address: IpAddr,
        now: crate::kit::time::Timestamp,
        known: bool,
    ) -> Result<Attempt, Error> {
        self.throttle()
            .begin(collection.id.as_str(), identity, address, now, known)
            .map_err(Error::Throttled)
    }

    /// A further session from the one of the call, whose token is `token`: a new token if that one may be renewed, the
    /// same otherwise. The guards come in the contract's order.
    ///
    /// # Errors
    /// [`Error::Unauthorized`], [`Error::OtherCollection`], and what hinders a sign-in.
    pub async fn refresh(&self, call: &Call, name: &str, token: &str) -> Result<Outcome, Error> {
        let catalog = self.store().catalog();
        let wanted = catalog.find(name).ok_or(Error::UnknownCollection)?;
        let Actor::Auth(identity) = &call.actor else {
            return Err(Error::Unauthorized);
        };
        let own = identity.record.collection();
        if own.id != wanted.id {
            return Err(Error::OtherCollection(own.name.to_string()));
        }
        if identity.key.is_some() {
            return Err(Error::NoSession);
        }
        let proof = Proof {
            record: identity.record.clone(),
            method: None,
            mfa_id: String::new(),
            new_hash: None,
            token: (!identity.refreshable).then(|| token.to_owned()),
            meta: None,
        };
        self.finish(call, proof).await
    }

    /// A session of somebody else's account for a superuser; it is not renewed and lasts `life_secs` (0 for the
    /// collection's own).
    ///
    /// # Errors
    /// [`Error::NotFound`], and what hinders a sign-in.
    pub async fn impersonate(
        &self,
        call: &Call,
        collection: &Arc<Collection>,
        id: &str,
        life_secs: i64,
    ) -> Result<Outcome, Error> {
        // What a key opens must not be wider than the key.
        if call.actor.key().is_some() && collection.is_superusers() {
            return Err(Error::NoSession);
        }
        let record = self.account(collection, id).await?;
        if life_secs < 0 {
            let error = FieldError::new(
                "validation_min_greater_equal_than_required",
                "Must be no less than 0.",
            );
            let error = error.with("threshold", 0);
            return Err(Error::Form(FieldErrors::one("duration", error)));
        }
        let life_secs = life_secs.min(TOKEN_LIFE_SECS_MAX);
        self.check_address(call, &record)?;
        let (ends, _) = service::static_claims(&record, call.now, life_secs, None);
        let beginning = Beginning::new(call, sessions::IMPERSONATION, ends);
        let (owner, now) = (record.clone(), call.now);
        let session = self
            .store()
            .write(move |tx| sessions::begin(tx, &owner, &beginning))
            .await?;
        let (_, token) = service::static_claims(&record, now, life_secs, session);
        let token = token.ok_or(Error::Failed)?;
        let proof = Proof {
            record,
            method: None,
            mfa_id: String::new(),
            new_hash: None,
            token: Some(token),
            meta: None,
        };
        self.finish(call, proof).await
    }

    /// The account `id`.
    ///
    /// # Errors
    /// [`Error::NotFound`].
    pub async fn account(&self, collection: &Arc<Collection>, id: &str) -> Result<Record, Error> {
        let (collection, id) = (Arc::clone(collection), id.to_owned());
        self.store()
            .read(move |tx| Ok::<_, Error>(tx.find(&collection, &id)?))
            .await?
            .ok_or(Error::NotFound)
    }
}

fn validate(collection: &Collection, form: &PasswordForm) -> Result<(), Error> {
    let mut errors = FieldErrors::new();
    let password_max = form::password_chars_max(collection, TEXT_CHARS_MAX);
    for (name, value, most) in [
        ("identity", &form.identity, TEXT_CHARS_MAX),
        ("password", &form.password, password_max),
    ] {
        if value.is_empty() {
            errors.add(name, FieldError::required());
        } else if value.chars().count() > most {
            errors.add(name, form::too_long(most));
        }
    }
    let fields = identity_fields(collection);
    if !form.identity_field.is_empty() && !fields.contains(&form.identity_field) {
        let error = FieldError::new("validation_in_invalid", "Must be a valid value.");
        errors.add("identityField", error);
    }
    form::refuse(errors)
}

fn identity_fields(collection: &Collection) -> &[String] {
    collection
        .auth()
        .map_or(&[], |auth| auth.password_auth.identity_fields.as_slice())
}

/// The account that an identity names: the first field that has it counts, e-mail before all others.
fn find(
    tx: &ReadTx<'_>,
    collection: &Arc<Collection>,
    form: &PasswordForm,
) -> Result<Option<Record>, Error> {
    if !form.identity_field.is_empty() {
        return find_in(tx, collection, &form.identity_field, &form.identity);
    }
    let fields = identity_fields(collection);
    let email = fields.iter().filter(|field| *field == EMAIL);
    let others = fields.iter().filter(|field| *field != EMAIL);
    for field in email.chain(others) {
        if field == EMAIL && !is_email(&form.identity) {
            continue;
        }
        if let Some(record) = find_in(tx, collection, field, &form.identity)? {
            return Ok(Some(record));
        }
    }
    Ok(None)
}

/// The account whose `field` has the value `identity`; letters of either case are the same where the index says so.
pub(super) fn find_in(
    tx: &ReadTx<'_>,
    collection: &Arc<Collection>,
    field: &str,
    identity: &str,
) -> Result<Option<Record>, Error> {
    if collection.field_index(field).is_none() {
        return Ok(None);
    }
    let value = Value::text(identity);
    Ok(if ignores_case(collection, field) {
        tx.find_by_nocase(collection, field, &value)?
    } else {
        tx.find_by(collection, field, &value)?
    })
}

/// Whether the unique index of a field takes letters of either case for the same.
pub(super) fn ignores_case(collection: &Collection, field: &str) -> bool {
    collection
        .indexes
        .iter()
        .filter_map(|text| Index::parse(text))
        .filter(|index| index.is_unique_on(field))
        .any(|index| {
            index
                .columns
                .iter()
                .any(|column| column.collate.eq_ignore_ascii_case("nocase"))
        })
}
