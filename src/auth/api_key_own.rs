//! Making keys: by whoever has just proven who they are, never by a key. Ending one is deleting its row.

use std::sync::Arc;

use super::api_key::{self, Fresh};
use super::error::Error;
use super::form;
use super::notice::Changed;
use super::rows;
use super::service::Auth;
use crate::call::{Actor, Call, ScopeError, Scopes};
use crate::kit::json::{Json, JsonMap};
use crate::kit::limits::{API_KEY_ADDRESSES_MAX, API_KEY_NAME_CHARS_MAX, API_KEYS_MAX};
use crate::kit::time::Timestamp;
use crate::ops::settings::network;
use crate::records::account;
use crate::schema::field::parse_date;
use crate::schema::system::API_KEYS;
use crate::schema::{Collection, FieldError, FieldErrors, Record};

/// What a key is to be.
#[derive(Clone, Debug, Default)]
pub struct KeyForm {
    /// What its owner calls it.
    pub name: String,
    /// Whether it reaches as far as the superuser that it belongs to.
    pub superuser: bool,
    /// Else actions by collection.
    pub scopes: JsonMap,
    /// Where it may be used from; empty is everywhere.
    pub addresses: Vec<String>,
    /// When it ends; empty is never.
    pub expires: String,
    /// The record that it is to stand for, where that is not the caller: superusers only.
    pub record: String,
    /// Proof that the caller is who they are.
    pub password: String,
}

/// A key as its maker is shown it, once.
#[derive(Clone, Debug)]
pub struct NewKey {
    /// Id of its row.
    pub id: String,
    /// The key.
    pub key: String,
    /// What it is told by from now on.
    pub prefix: String,
    /// Its name.
    pub name: String,
    /// Whether it reaches as far as its owner.
    pub superuser: bool,
    /// Actions by the ids of collections.
    pub scopes: Json,
    /// Where it may be used from.
    pub addresses: Vec<String>,
    /// When it ends; empty is never.
    pub expires: String,
}

/// A form that holds.
struct Wanted {
    name: String,
    superuser: bool,
    scopes: Scopes,
    addresses: Vec<String>,
    expires: Option<Timestamp>,
}

impl Auth {
    /// Makes a key of the caller's account, or for a superuser of any account of the collection `name`. It is shown once.
    ///
    /// # Errors
    /// [`Error::NoSession`] to keys, [`Error::Stale`], [`Error::NotFound`], [`Error::Form`].
    pub async fn make_key(
        &self,
        call: &Call,
        name: &str,
        token: &str,
        form: KeyForm,
    ) -> Result<NewKey, Error> {
        let collection = self.accounts(name)?;
        let Actor::Auth(identity) = &call.actor else {
            return Err(Error::Unauthorized);
        };
        if identity.key.is_some() {
            return Err(Error::NoSession);
        }
        let maker = &identity.record;
        let owner = self.owner(call, &collection, &form.record).await?;
        self.prove_anew(call, maker, token, &form.password).await?;
        let wanted = self.validated(&owner, form, call.now)?;
        let made = self.keep(&owner, wanted, call.now).await?;
        self.notify(call, &owner, Changed::KeyAdded);
        Ok(made)
    }

    /// Whose key it is to be.
    async fn owner(
        &self,
        call: &Call,
        collection: &Arc<Collection>,
        id: &str,
    ) -> Result<Record, Error> {
        match call.actor.record() {
            Some(own)
                if own.collection().id == collection.id && (id.is_empty() || id == own.id()) =>
            {
                Ok(own.clone())
            }
            // A superuser's own power is lent by nobody else.
            Some(own) if call.actor.is_superuser() && !collection.is_superusers() => {
                if id.is_empty() {
                    return Err(Error::OtherCollection(own.collection().name.to_string()));
                }
                self.account(collection, id).await
            }
            Some(own) if own.collection().id == collection.id => Err(Error::NotFound),
            Some(own) => Err(Error::OtherCollection(own.collection().name.to_string())),
            None => Err(Error::Unauthorized),
        }
    }

    fn validated(&self, owner: &Record, form: KeyForm, now: Timestamp) -> Result<Wanted, Error> {
        let mut errors = FieldErrors::new();
        let name = form.name.trim().to_owned();
        if name.is_empty() {
            errors.add("name", FieldError::required());
        } else if name.chars().count() > API_KEY_NAME_CHARS_MAX {
            errors.add("name", form::too_long(API_KEY_NAME_CHARS_MAX));
        }
        let catalog = self.store().catalog();
        let asked = Scopes::asked(&form.scopes, |name| catalog.find(name).map(|c| &**c));
        let scopes = match asked {
            Ok(scopes) => scopes,
            Err(error) => {
                let (name, error) = scope_error(error);
                errors.nest("scopes", FieldErrors::one(name, error));
                Scopes::default()
            }
        };
        if form.superuser && !owner.collection().is_superusers() {
            let error = "Only the keys of superusers may do everything.";
            errors.add(
                "superuser",
                FieldError::new("validation_not_superuser", error),
            );
        } else if form.superuser && !form.scopes.is_empty() {
            let error = "A key that may do everything has no scopes.";
            errors.add(
                "scopes",
                FieldError::new("validation_unexpected_scopes", error),
            );
        } else if !form.superuser && form.scopes.is_empty() {
            errors.add("scopes", FieldError::required());
        }
        errors.nest("addresses", address_errors(&form.addresses));
        if form.addresses.len() > API_KEY_ADDRESSES_MAX {
            errors.add("addresses", form::out_of_range(0, API_KEY_ADDRESSES_MAX));
        }
        let expires = match form.expires.as_str() {
            "" => None,
            text => match parse_date(text) {
                Some(ends) if ends > now => Some(ends),
                _ => {
                    let error = "Must be a date in the future.";
                    errors.add("expires", FieldError::new("validation_invalid_date", error));
                    None
                }
            },
        };
        form::refuse(errors)?;
        Ok(Wanted {
            name,
            superuser: form.superuser,
            scopes,
            addresses: form.addresses,
            expires,
        })
    }

    async fn keep(&self, owner: &Record, wanted: Wanted, now: Timestamp) -> Result<NewKey, Error> {
        let fresh = Fresh::new();
        let scopes = wanted.scopes.to_json();
        let addresses = Json::from(wanted.addresses.clone());
        let expires = wanted.expires.map(|ends| ends.to_text().to_string());
        let expires = expires.unwrap_or_default();
        let (kept, name, ends) = (fresh.clone(), wanted.name.clone(), expires.clone());
        let (record, scopes_text) = (owner.clone(), scopes.to_string());
        let superuser = wanted.superuser;
        let id = self.store().write(move |tx| {
            if account::owned(tx, API_KEYS, &record)?.len() >= API_KEYS_MAX {
                let error = FieldError::new(
                    "validation_too_many_keys",
                    format!("There are {API_KEYS_MAX} keys already."),
                );
                return Err(Error::Form(FieldErrors::one("name", error)));
            }
            let keys = api_key::collection(tx).ok_or(Error::Failed)?;
            let addresses = addresses.to_string();
            let values = [
                ("name", name.as_str()),
                ("prefix", kept.prefix.as_str()),
                ("hash", kept.digest.as_str()),
                ("scopes", scopes_text.as_str()),
                ("addresses", addresses.as_str()),
                ("expires", ends.as_str()),
            ];
            let mut row = rows::fresh(&keys, &record, &values, now);
            row.set("superuser", superuser);
            tx.insert(&row)?;
            Ok(row.id().to_owned())
        });
        Ok(NewKey {
            id: id.await?,
            key: fresh.text,
            prefix: fresh.prefix,
            name: wanted.name,
            superuser,
            scopes,
            addresses: wanted.addresses,
            expires,
        })
    }
}

fn scope_error(error: ScopeError) -> (String, FieldError) {
    let error_of = |code: &'static str, text: &str| FieldError::new(code, text.to_owned());
    match error {
        ScopeError::UnknownCollection(name) => {
            let error = "There is no such collection.";
            (name, error_of("validation_invalid_collection", error))
        }
        ScopeError::BadActions(name) => {
            let error = "Must be a list of list, view, create, update and delete, or \"*\".";
            (name, error_of("validation_invalid_actions", error))
        }
        ScopeError::ReadOnly(name) => {
            let error = "Keys may list and view collections of the system, no more.";
            (name, error_of("validation_read_only_collection", error))
        }
    }
}

fn address_errors(addresses: &[String]) -> FieldErrors {
    let mut errors = FieldErrors::new();
    for (at, text) in addresses.iter().enumerate() {
        if network(text).is_none() {
            let error = FieldError::new(
                "validation_invalid_ip_or_subnet",
                "Invalid IP or CIDR subnet.",
            );
            errors.add(at.to_string(), error);
        }
    }
    errors
}
