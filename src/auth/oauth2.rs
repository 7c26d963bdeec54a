//! Sign-in by OAuth2 (contract-auth 2.11): the provider says who somebody is, `oauth2_link` which account is theirs, and
//! where there is none, one is made as the caller could have made it.

use std::sync::Arc;

use super::error::Error;
use super::finish::{Method, Outcome, Proof};
use super::oauth2_link::{self as link, Account};
use super::provider::{Code, Profile, ProviderError, Providers, Token};
use super::service::Auth;
use super::sign_in::ignores_case;
use super::{avatar, oauth2_return};
use crate::call::{Call, Context};
use crate::kit::id;
use crate::kit::json::{self, Json, JsonMap};
use crate::kit::value::Value;
use crate::records::{Submission, account};
use crate::schema::collection::OAuth2Provider;
use crate::schema::field::Check;
use crate::schema::{Collection, FieldError, FieldErrors, FieldKind, Record};

/// Characters of the password that takes the place of one that somebody else may have set.
const RANDOM_PASSWORD_CHARS: usize = 30;

/// What a sign-in by OAuth2 submits.
#[derive(Clone, Debug, Default)]
pub struct OAuth2Form {
    /// Name of the provider.
    pub provider: String,
    /// What the provider sent back.
    pub code: String,
    /// The verifier of `auth-methods`.
    pub verifier: String,
    /// Where the provider sent it.
    pub redirect_url: String,
    /// Values for an account that has to be made.
    pub create_data: JsonMap,
    /// The first factor's id, empty for none.
    pub mfa_id: String,
}

impl Auth {
    /// The auth collection that a path names, where providers are a way to sign in.
    ///
    /// # Errors
    /// As [`Auth::accounts`], and [`Error::MethodOff`].
    pub fn oauth2_accounts(&self, name: &str) -> Result<Arc<Collection>, Error> {
        let collection = self.accounts(name)?;
        match collection.auth() {
            // Saving the superusers turns it off; a directory may still say otherwise.
            Some(auth) if auth.oauth2.enabled && !collection.is_superusers() => Ok(collection),
            Some(_) | None => Err(Error::MethodOff("OAuth2")),
        }
    }

    /// Signs in by OAuth2.
    ///
    /// # Errors
    /// [`Error::OAuth2Form`], [`Error::Provider`], and what hinders making, linking or signing in an account.
    pub async fn sign_in_by_oauth2(
        &self,
        call: &Call,
        collection: &Arc<Collection>,
        form: OAuth2Form,
    ) -> Result<Outcome, Error> {
        let config = validate(collection, &form)?.clone();
        let (token, profile) = self.ask_provider(call, &config, &form).await?;
        let call = call.in_context(Context::OAuth2);
        let found = self.find_linked(&call, collection, &config, &profile);
        let (record, is_new) = match found.await? {
            Some(found) => (self.link(&call, found, &config, &profile).await?, false),
            None => {
                let data = form.create_data;
                let made = self.join(&call, collection, &config, &profile, data);
                (Box::pin(made).await?, true)
            }
        };
        let proof = Proof {
            record,
            method: Some(Method::OAuth2),
            mfa_id: form.mfa_id,
            new_hash: None,
            token: None,
            meta: Some(meta(&token, &profile, is_new)),
        };
        self.finish(&call, proof).await
    }

    async fn ask_provider(
        &self,
        call: &Call,
        config: &OAuth2Provider,
        form: &OAuth2Form,
    ) -> Result<(Token, Profile), Error> {
        let failed = |message: &'static str| {
            move |cause: ProviderError| Error::Provider {
                message,
                cause: cause.to_string(),
            }
        };
        let code = Code {
            code: form.code.clone(),
            verifier: form.verifier.clone(),
            redirect_url: form.redirect_url.clone(),
        };
        let deadline = Providers::deadline();
        let token = self.providers().token(config, &code, call.now, deadline);
        let token = token
            .await
            .map_err(failed("Failed to fetch OAuth2 token."))?;
        let profile = self.providers().profile(config, &token, call.now, deadline);
        let mut profile = profile
            .await
            .map_err(failed("Failed to fetch OAuth2 user."))?;
        // Apple tells the name once, and not here.
        if config.name == oauth2_return::NAMING_PROVIDER {
            let told = self.names().take(&form.code, call.now);
            if profile.name.is_empty() {
                profile.name = told.unwrap_or_default();
            }
        }
        Ok((token, profile))
    }

    async fn find_linked(
        &self,
        call: &Call,
        collection: &Arc<Collection>,
        config: &OAuth2Provider,
        profile: &Profile,
    ) -> Result<Option<Account>, Error> {
        let (call, collection) = (call.clone(), Arc::clone(collection));
        let (provider, profile) = (config.name.clone(), profile.clone());
        self.store()
            .read(move |tx| link::find(tx, &call, &collection, &provider, &profile))
            .await
    }

    /// Ties the person to an account that exists.
    async fn link(
        &self,
        call: &Call,
        found: Account,
        config: &OAuth2Provider,
        profile: &Profile,
    ) -> Result<Record, Error> {
        let doubtful = !found.is_own && !account::is_verified(&found.record);
        let hash = if doubtful {
            let password = id::random(RANDOM_PASSWORD_CHARS, id::ALNUM);
            Some(self.passwords().hash(&password).await?)
        } else {
            None
        };
        let (call, provider, profile) = (call.clone(), config.name.clone(), profile.clone());
        let collection = Arc::clone(found.record.collection());
        self.store()
            .write(move |tx| {
                // What was found may have changed since.
                let found = link::find(tx, &call, &collection, &provider, &profile)?;
                let found = found.ok_or(Error::Failed)?;
                link::link(tx, &call, found, &provider, &profile, hash.as_deref())
            })
            .await
    }

    /// Makes an account for the person.
    async fn join(
        &self,
        call: &Call,
        collection: &Arc<Collection>,
        config: &OAuth2Provider,
        profile: &Profile,
        data: JsonMap,
    ) -> Result<Record, Error> {
        let submission = self.submission(collection, profile, data).await?;
        let email = profile.email.clone();
        let (provider, profile, now) = (config.name.clone(), profile.clone(), call.now);
        self.records()
            .sign_up(
                call,
                collection,
                submission,
                move |record| {
                    if record.text("email") == email {
                        record.set("verified", true);
                    }
                },
                move |tx, record| link::insert(tx, record, &provider, &profile, now),
            )
            .await
    }

    /// What the new account is made of: what was submitted, and where it is silent, what the provider says.
    async fn submission(
        &self,
        collection: &Arc<Collection>,
        profile: &Profile,
        mut values: JsonMap,
    ) -> Result<Submission, Error> {
        let mut files = Vec::new();
        if !values.contains_key("email") {
            values.insert("email".to_owned(), Json::from(profile.email.as_str()));
        }
        let Some(mapped) = collection.auth().map(|auth| &auth.oauth2.mapped_fields) else {
            return Ok(Submission { values, files });
        };
        for (field, value) in [
            (&mapped.id, &profile.id),
            (&mapped.name, &profile.name),
            (&mapped.username, &profile.username),
            (&mapped.avatar_url, &profile.avatar_url),
        ] {
            if field.is_empty() || value.is_empty() || values.contains_key(field) {
                continue;
            }
            if std::ptr::eq(field, &mapped.username)
                && !self.is_free(collection, field, value).await?
            {
                continue;
            }
            match collection.field(field).map(|field| &field.kind) {
                None => {}
                Some(FieldKind::File(options)) => {
                    let picture = avatar::fetch(self.outbound(), value, options).await;
                    files.extend(picture.map(|picture| (field.as_str().into(), picture)));
                }
                Some(_) => {
                    values.insert(field.clone(), Json::from(value.as_str()));
                }
            }
        }
        Ok(Submission { values, files })
    }

    /// Whether a user name fits its field and nobody has it.
    async fn is_free(
        &self,
        collection: &Arc<Collection>,
        field: &str,
        name: &str,
    ) -> Result<bool, Error> {
        let value = Value::text(name);
        let fits = collection
            .field(field)
            .is_some_and(|field| field.validate(&value, &Check { before: None }).is_none());
        if !fits {
            return Ok(false);
        }
        let (collection, field) = (Arc::clone(collection), field.to_owned());
        let taken = self.store().read(move |tx| {
            Ok::<_, Error>(if ignores_case(&collection, &field) {
                tx.find_by_nocase(&collection, &field, &value)?
            } else {
                tx.find_by(&collection, &field, &value)?
            })
        });
        Ok(taken.await?.is_none())
    }
}

/// The configured provider that a complete form names.
fn validate<'c>(
    collection: &'c Collection,
    form: &OAuth2Form,
) -> Result<&'c OAuth2Provider, Error> {
    let mut errors = FieldErrors::new();
    for (name, value) in [("provider", &form.provider), ("code", &form.code)] {
        if value.is_empty() {
            errors.add(name, FieldError::required());
        }
    }
    let options = collection.auth().map(|auth| &auth.oauth2);
    let config = options
        .into_iter()
        .flat_map(|options| &options.providers)
        .find(|config| config.name == form.provider);
    if config.is_none() && !form.provider.is_empty() {
        let name = form.provider.as_str();
        let error = FieldError::new(
            "validation_invalid_provider",
            format!("Provider with name {name} is missing or is not enabled."),
        );
        errors.add("provider", error.with("name", name));
    }
    if let Some(config) = config
        && !may_return_to(config, &form.redirect_url)
    {
        let error = FieldError::new("validation_in_invalid", "Must be a valid value.");
        errors.add("redirectURL", error);
    }
    match config {
        Some(config) if errors.is_empty() => Ok(config),
        Some(_) | None => Err(Error::OAuth2Form(errors)),
    }
}

/// Whether codes sent to `url` are taken: any, unless the provider's `extra.redirectURLs` lists some.
fn may_return_to(config: &OAuth2Provider, url: &str) -> bool {
    match config.extra.get("redirectURLs") {
        Some(Json::Array(listed)) if !listed.is_empty() => listed.iter().any(|item| item == url),
        Some(_) | None => true,
    }
}

/// What the answer tells of the provider.
fn meta(token: &Token, profile: &Profile, is_new: bool) -> Vec<u8> {
    let expiry = token.expires.map(|end| end.to_text()).unwrap_or_default();
    let told = serde_json::json!({
        "accessToken": token.access,
        "avatarURL": profile.avatar_url,
        "avatarUrl": profile.avatar_url,
        "email": profile.email,
        "expiry": expiry.as_str(),
        "id": profile.id,
        "isNew": is_new,
        "name": profile.name,
        "rawUser": profile.raw,
        "refreshToken": token.refresh,
        "username": profile.username,
    });
    json::to_text(&told).into()
}
