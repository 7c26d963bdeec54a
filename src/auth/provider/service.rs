//! The questions to a provider: a token for a code, then the person for the token.

use std::time::Duration;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use bytes::Bytes;
use hyper::Method;
use hyper::header::{self, HeaderMap, HeaderValue};
use jsonwebtoken::jwk::JwkSet;
use tokio::time::Instant;
use url::{Url, form_urlencoded};

use super::ask::{self, FORM, Session};
use super::id_token::{self, Expected};
use super::profile::{self, Profile};
use crate::kit::json::{Json, JsonMap};
use crate::kit::limits::PROVIDER_SECS_MAX;
use crate::kit::time::Timestamp;
use crate::outbound::{Outbound, Reply};
use crate::schema::collection::OAuth2Provider;
use crate::schema::provider::{Email, provider};

const APPLE: &str = "https://appleid.apple.com";
const APPLE_KEYS: &str = "https://appleid.apple.com/auth/keys";

/// Why a provider's word was not to be had. The cause is for the log.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct ProviderError(String);

impl ProviderError {
    #[expect(
        clippy::needless_pass_by_value,
        reason = "callers hand over what they have caught"
    )]
    pub(super) fn new(cause: impl ToString) -> Self {
        Self(cause.to_string())
    }
}

/// What somebody brought back from a provider.
#[derive(Clone, Debug, Default)]
pub struct Code {
    /// The code.
    pub code: String,
    /// The verifier that its link was made with.
    pub verifier: String,
    /// Where they came back to.
    pub redirect_url: String,
}

/// What a code bought.
#[derive(Clone, Default)]
pub struct Token {
    /// For asking on the person's behalf.
    pub access: String,
    /// For a new token.
    pub refresh: String,
    /// When it ends; `None` where the provider does not say.
    pub expires: Option<Timestamp>,
    /// The answer as it came.
    pub raw: JsonMap,
}

impl std::fmt::Debug for Token {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Token").finish_non_exhaustive()
    }
}

/// Asks providers. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Providers(Outbound);

impl Providers {
    /// Asks through `outbound`.
    #[must_use]
    pub fn new(outbound: Outbound) -> Self {
        Self(outbound)
    }

    /// Changes a code for a token. All questions of a sign-in are asked by `deadline`.
    ///
    /// # Errors
    /// When there is no token.
    pub async fn token(
        &self,
        config: &OAuth2Provider,
        code: &Code,
        now: Timestamp,
        deadline: Instant,
    ) -> Result<Token, ProviderError> {
        self.session(config, now, deadline)?.token(code).await
    }

    /// Whose token it is.
    ///
    /// # Errors
    /// When the provider names nobody who may sign in.
    pub async fn profile(
        &self,
        config: &OAuth2Provider,
        token: &Token,
        now: Timestamp,
        deadline: Instant,
    ) -> Result<Profile, ProviderError> {
        self.session(config, now, deadline)?.profile(token).await
    }

    /// The time by which all questions of a sign-in that begins now are to be answered.
    #[must_use]
    pub fn deadline() -> Instant {
        Instant::now() + Duration::from_secs(PROVIDER_SECS_MAX)
    }

    fn session<'a>(
        &'a self,
        config: &'a OAuth2Provider,
        now: Timestamp,
        deadline: Instant,
    ) -> Result<Session<'a>, ProviderError> {
        let entry = provider(&config.name);
        Ok(Session {
            outbound: &self.0,
            entry: entry.ok_or_else(|| ProviderError::new("the provider is not registered"))?,
            config,
            now,
            deadline,
        })
    }
}

impl Session<'_> {
    async fn token(&self, code: &Code) -> Result<Token, ProviderError> {
        let url = self.url(&self.config.token_url, self.entry.token_url)?;
        let mut form = vec![("code", code.code.as_str())];
        if !code.verifier.is_empty() && self.config.pkce.unwrap_or(self.entry.pkce) {
            form.push(("code_verifier", &code.verifier));
        }
        form.push(("grant_type", "authorization_code"));
        if !code.redirect_url.is_empty() {
            form.push(("redirect_uri", &code.redirect_url));
        }
        // Some want our own credentials in the head, others in the body, and few say so.
        let id = ask::escape(&self.config.client_id);
        let pair = format!("{id}:{}", ask::escape(&self.config.client_secret));
        let basic = format!("Basic {}", BASE64_STANDARD.encode(pair));
        let mut headers = HeaderMap::new();
        headers.insert(header::AUTHORIZATION, ask::secret(&basic)?);
        let first = self.post(url.clone(), headers, &form).await?;
        if let Some(token) = self.read_token(&first) {
            return Ok(token);
        }
        form.push(("client_id", &self.config.client_id));
        form.push(("client_secret", &self.config.client_secret));
        let second = self.post(url, HeaderMap::new(), &form).await?;
        self.read_token(&second).ok_or_else(|| {
            ProviderError::new(format!("status {} and no token", second.status.as_u16()))
        })
    }

    fn read_token(&self, reply: &Reply) -> Option<Token> {
        if !reply.status.is_success() {
            return None;
        }
        let kind = reply.headers.get(header::CONTENT_TYPE);
        let kind = kind.and_then(|kind| kind.to_str().ok()).unwrap_or("");
        let raw = if kind.starts_with(FORM) || kind.starts_with("text/plain") {
            form_urlencoded::parse(&reply.body)
                .map(|(name, value)| (name.into_owned(), Json::from(value)))
                .collect()
        } else {
            ask::object(&reply.body)?
        };
        let text = |name: &str| profile::text(raw.get(name));
        let expires = text("expires_in").parse::<i64>().ok();
        let expires = expires
            .filter(|&secs| secs > 0)
            .map(|secs| self.now.plus_millis(secs.saturating_mul(1000)));
        let token = Token {
            access: text("access_token"),
            refresh: text("refresh_token"),
            expires,
            raw,
        };
        (!token.access.is_empty()).then_some(token)
    }

    async fn profile(&self, token: &Token) -> Result<Profile, ProviderError> {
        let nobody = || ProviderError::new("the answer names nobody who may sign in");
        let mut raw = match self.entry.name {
            "apple" => self.apple(token).await?,
            name if name.starts_with("oidc") && self.config.user_info_url.is_empty() => {
                self.open_id(token).await?
            }
            _ => self.user(token).await?,
        };
        if self.entry.name == "instagram2"
            && let Some(permissions) = token.raw.get("permissions")
        {
            raw.insert("permissions".to_owned(), permissions.clone());
        }
        let mut profile = Profile::read(self.entry, raw, token).ok_or_else(nobody)?;
        match self.entry.user.email {
            Email::Listed {
                flags,
                may_be_refused,
            } => {
                let list = self.listed_addresses(token, may_be_refused).await?;
                profile.email = profile::listed(&list, flags);
            }
            Email::Gitee if profile.email.is_empty() => {
                let url = self
                    .user_url()?
                    .join("emails")
                    .map_err(ProviderError::new)?;
                let list = self.get(url, token).await?;
                profile.email = profile::listed_by_gitee(&ask::json_of(&list)?);
            }
            Email::Microsoft => self.microsoft(token, &mut profile),
            _ => {}
        }
        Ok(profile)
    }

    /// What the user's URL tells.
    async fn user(&self, token: &Token) -> Result<JsonMap, ProviderError> {
        let url = self.user_url()?;
        let query = match self.entry.name {
            "linear" => Some("query { viewer { id displayName name email avatarUrl active } }"),
            "monday" => Some("query { me { id enabled name email is_verified photo_small } }"),
            _ => None,
        };
        let reply = match query {
            None => self.get(url, token).await?,
            Some(query) => {
                let mut headers = self.bearer(token)?;
                let json = HeaderValue::from_static("application/json");
                headers.insert(header::CONTENT_TYPE, json);
                let body = serde_json::json!({ "query": query }).to_string();
                self.ask(Method::POST, url, headers, body.into()).await?
            }
        };
        ask::accepted(&reply)?;
        ask::object(&reply.body).ok_or_else(|| ProviderError::new("the answer is no JSON object"))
    }

    async fn listed_addresses(
        &self,
        token: &Token,
        may_be_refused: bool,
    ) -> Result<Json, ProviderError> {
        let mut url = self.user_url()?;
        let path = format!("{}/emails", url.path().trim_end_matches('/'));
        url.set_path(&path);
        let reply = self.get(url, token).await?;
        if may_be_refused && matches!(reply.status.as_u16(), 401 | 403 | 404) {
            return Ok(Json::Null);
        }
        ask::json_of(&reply)
    }

    async fn apple(&self, token: &Token) -> Result<JsonMap, ProviderError> {
        let issuers = [APPLE.to_owned()];
        let keys = self.keys(APPLE_KEYS).await?;
        self.proven(token, Some(&keys), &issuers)
    }

    async fn open_id(&self, token: &Token) -> Result<JsonMap, ProviderError> {
        let extra = &self.config.extra;
        let issuers: Vec<String> = match extra.get("issuers") {
            Some(Json::Array(items)) => {
                items.iter().map(|item| profile::text(Some(item))).collect()
            }
            Some(Json::String(issuer)) if !issuer.is_empty() => vec![issuer.clone()],
            _ => Vec::new(),
        };
        let keys = match extra.get("jwksURL").and_then(Json::as_str) {
            None | Some("") => None,
            Some(url) => Some(self.keys(url).await?),
        };
        self.proven(token, keys.as_ref(), &issuers)
    }

    fn proven(
        &self,
        token: &Token,
        keys: Option<&JwkSet>,
        issuers: &[String],
    ) -> Result<JsonMap, ProviderError> {
        let statement = profile::text(token.raw.get("id_token"));
        let expected = Expected {
            client_id: &self.config.client_id,
            issuers,
            now: self.now,
        };
        let claims = match keys {
            Some(keys) => id_token::proven_claims(&statement, keys, expected),
            None => id_token::claims(&statement, expected),
        };
        claims.ok_or_else(|| ProviderError::new("the id_token proves nothing"))
    }

    async fn keys(&self, url: &str) -> Result<JwkSet, ProviderError> {
        let url = Url::parse(url).map_err(ProviderError::new)?;
        let reply = self.ask(Method::GET, url, HeaderMap::new(), Bytes::new());
        let reply = reply.await?;
        ask::accepted(&reply)?;
        // One key of a kind that we do not know must not hide the others.
        let Some(Json::Array(keys)) =
            ask::object(&reply.body).and_then(|mut set| set.remove("keys"))
        else {
            return Err(ProviderError::new("the answer is no set of keys"));
        };
        let keys = keys.into_iter().map(serde_json::from_value);
        Ok(JwkSet {
            keys: keys.filter_map(Result::ok).collect(),
        })
    }

    /// The claim that the collection takes for an address; without a choice it is the user's mail.
    fn microsoft(&self, token: &Token, profile: &mut Profile) {
        let Some(choice) = self.config.extra.get("idTokenEmailClaim") else {
            return;
        };
        let choice = profile::text(Some(choice));
        if choice.is_empty() {
            return;
        }
        let claims = Json::Object(self.proven(token, None, &[]).unwrap_or_default());
        let primary = || match claims.get("verified_primary_email") {
            Some(Json::Array(items)) => profile::text(items.first()),
            other => profile::text(other),
        };
        let email = || profile::text(claims.get("email"));
        let owned = || {
            let proven = profile::truthy(&claims, "xms_edov");
            if proven { email() } else { String::new() }
        };
        profile.email = match choice.as_str() {
            "verified_primary_email" => primary(),
            "email_and_xms_edov" => owned(),
            "any_verified" => Some(primary())
                .filter(|e| !e.is_empty())
                .unwrap_or_else(owned),
            "email" => email(),
            _ => String::new(),
        };
    }
}
