//! Requests to a provider, in its manner, all within the time of one sign-in.

use bytes::Bytes;
use hyper::Method;
use hyper::header::{self, HeaderMap, HeaderName, HeaderValue};
use tokio::time::Instant;
use url::{Url, form_urlencoded};

use super::service::{ProviderError, Token};
use crate::kit::json::{self, Json, JsonMap};
use crate::kit::limits::PROVIDER_ANSWER_BYTES_MAX;
use crate::kit::time::Timestamp;
use crate::outbound::{Ask, Outbound, Reach, Reply};
use crate::schema::collection::OAuth2Provider;
use crate::schema::provider::Provider;

pub(super) const FORM: &str = "application/x-www-form-urlencoded";

/// The questions of one sign-in.
pub(super) struct Session<'a> {
    pub(super) outbound: &'a Outbound,
    pub(super) entry: &'static Provider,
    pub(super) config: &'a OAuth2Provider,
    pub(super) now: Timestamp,
    pub(super) deadline: Instant,
}

impl Session<'_> {
    pub(super) fn user_url(&self) -> Result<Url, ProviderError> {
        self.url(&self.config.user_info_url, self.entry.user_url)
    }

    pub(super) fn url(&self, configured: &str, own: &str) -> Result<Url, ProviderError> {
        let text = if configured.is_empty() {
            own
        } else {
            configured
        };
        Url::parse(text).map_err(ProviderError::new)
    }

    pub(super) fn bearer(&self, token: &Token) -> Result<HeaderMap, ProviderError> {
        let mut headers = HeaderMap::new();
        let bearer = format!("Bearer {}", token.access);
        headers.insert(header::AUTHORIZATION, secret(&bearer)?);
        headers.insert(header::ACCEPT, HeaderValue::from_static("application/json"));
        let id = self.config.client_id.as_str();
        let more: &[(&'static str, &str)] = match self.entry.name {
            "notion" => &[("notion-version", "2022-06-28")],
            "trakt" => &[("trakt-api-key", id), ("trakt-api-version", "2")],
            "twitch" => &[("client-id", id)],
            _ => &[],
        };
        for &(name, value) in more {
            let value = HeaderValue::from_str(value).map_err(ProviderError::new)?;
            headers.insert(HeaderName::from_static(name), value);
        }
        Ok(headers)
    }

    pub(super) async fn get(&self, url: Url, token: &Token) -> Result<Reply, ProviderError> {
        let headers = self.bearer(token)?;
        self.ask(Method::GET, url, headers, Bytes::new()).await
    }

    pub(super) async fn post(
        &self,
        url: Url,
        mut headers: HeaderMap,
        form: &[(&str, &str)],
    ) -> Result<Reply, ProviderError> {
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(FORM));
        headers.insert(header::ACCEPT, HeaderValue::from_static("application/json"));
        let body = form_urlencoded::Serializer::new(String::new())
            .extend_pairs(form)
            .finish();
        self.ask(Method::POST, url, headers, body.into()).await
    }

    pub(super) async fn ask(
        &self,
        method: Method,
        url: Url,
        headers: HeaderMap,
        body: Bytes,
    ) -> Result<Reply, ProviderError> {
        let ask = Ask {
            method,
            url,
            headers,
            body,
            // A superuser chose the provider; it may well stand in the same network.
            reach: Reach::Anywhere,
            timeout: self.deadline.saturating_duration_since(Instant::now()),
            answer_bytes_max: PROVIDER_ANSWER_BYTES_MAX,
        };
        self.outbound.send(ask).await.map_err(ProviderError::new)
    }
}

pub(super) fn escape(text: &str) -> String {
    form_urlencoded::byte_serialize(text.as_bytes()).collect()
}

pub(super) fn secret(text: &str) -> Result<HeaderValue, ProviderError> {
    let mut value = HeaderValue::from_str(text).map_err(ProviderError::new)?;
    value.set_sensitive(true);
    Ok(value)
}

pub(super) fn accepted(reply: &Reply) -> Result<(), ProviderError> {
    if reply.status.is_success() {
        return Ok(());
    }
    let status = reply.status.as_u16();
    Err(ProviderError::new(format!("answered with status {status}")))
}

pub(super) fn json_of(reply: &Reply) -> Result<Json, ProviderError> {
    accepted(reply)?;
    json::parse_first(&reply.body).map_err(ProviderError::new)
}

pub(super) fn object(bytes: &[u8]) -> Option<JsonMap> {
    match json::parse_first(bytes) {
        Ok(Json::Object(map)) => Some(map),
        _ => None,
    }
}
