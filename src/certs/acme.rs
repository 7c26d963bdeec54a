//! Certificates from an authority that speaks ACME (RFC 8555): one order a name, proven over TLS (RFC 8737) or over HTTP,
//! whichever the authority can reach; renewed when a third of their time is left, tried again ever more rarely.

use std::future::Future;
use std::path::PathBuf;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::header::CONTENT_LENGTH;
use hyper::{Request, Response};
use instant_acme::{
    Account, AccountCredentials, AuthorizationStatus, BodyWrapper, BytesResponse, ChallengeType,
    Error, HttpClient, Identifier, NewAccount, NewOrder, OrderStatus, RetryPolicy,
};
use rcgen::{CertificateParams, CustomExtension, KeyPair, PKCS_ECDSA_P256_SHA256};
use url::Url;

use super::cache::Cache;
use super::keyed::Keyed;
use super::{CertError, Shelf};
use crate::kit::clock::Clock;
use crate::kit::limits::{
    ACME_ANSWER_BYTES_MAX, ACME_ORDER_SECS_MAX, ACME_REQUEST_SECS_MAX, ACME_RETRY_SECS_MAX,
    ACME_RETRY_SECS_MIN, CERT_RENEWAL_LOOK_SECS_MAX,
};
use crate::outbound::{Ask, Outbound, Reach};

/// Where certificates come from unless a flag says otherwise.
pub const LETS_ENCRYPT: &str = "https://acme-v02.api.letsencrypt.org/directory";

/// A server's dealings with its authority.
#[derive(Clone, Debug)]
pub struct Acme {
    /// URL of the authority's directory.
    pub directory: String,
    /// Where the authority writes when something is wrong with an account.
    pub email: Option<String>,
    /// How the authority is asked.
    pub outbound: Outbound,
    /// Time, for renewals.
    pub clock: Clock,
}

impl Acme {
    /// Keeps a certificate of `name` on the shelf for as long as it is polled.
    pub async fn keep(self, name: String, data_dir: PathBuf, shelf: Arc<Shelf>) {
        let cache = Cache::new(&data_dir);
        let mut held = cache.pair(&name).filter(|kept| self.is_usable(kept));
        if let Some(kept) = &held {
            shelf.show(&name, kept);
        }
        let mut failures = 0_u32;
        loop {
            if let Some(wait) = held.as_ref().and_then(|kept| self.until_renewal(kept)) {
                tokio::time::sleep(wait).await;
                continue;
            }
            match self.obtain(&name, &cache, &shelf).await {
                Ok(fresh) => {
                    shelf.show(&name, &fresh);
                    tracing::info!(name, until = %fresh.until.to_text(), "a certificate was issued");
                    held = Some(fresh);
                    failures = 0;
                }
                Err(()) => {
                    failures += 1;
                    tokio::time::sleep(pause(failures)).await;
                }
            }
        }
    }

    /// Authorities can reach one door and not the other: behind a balancer that ends TLS only HTTP, behind a firewall
    /// only TLS. Each failure is told of.
    async fn obtain(&self, name: &str, cache: &Cache, shelf: &Shelf) -> Result<Keyed, ()> {
        let most = Duration::from_secs(ACME_ORDER_SECS_MAX);
        for kind in [ChallengeType::TlsAlpn01, ChallengeType::Http01] {
            let order = Box::pin(self.order(name, &kind, cache, shelf));
            match tokio::time::timeout(most, order).await {
                Ok(Ok(fresh)) => return Ok(fresh),
                Ok(Err(error)) => tracing::warn!(name, ?kind, %error, "no certificate was issued"),
                Err(_) => tracing::warn!(name, ?kind, "the certificate authority took too long"),
            }
        }
        Err(())
    }

    fn is_usable(&self, kept: &Keyed) -> bool {
        kept.until > self.clock.now()
    }

    /// How long to wait before looking again; `None` when it is time to renew. Short steps, since clocks are set.
    fn until_renewal(&self, kept: &Keyed) -> Option<Duration> {
        let left = kept.renew_at().as_millis() - self.clock.now().as_millis();
        let left = u64::try_from(left).ok().filter(|left| *left > 0)?;
        Some(Duration::from_millis(left).min(Duration::from_secs(CERT_RENEWAL_LOOK_SECS_MAX)))
    }

    async fn order(
        &self,
        name: &str,
        kind: &ChallengeType,
        cache: &Cache,
        shelf: &Shelf,
    ) -> Result<Keyed, CertError> {
        let account = self.account(cache).await?;
        let identifiers = [Identifier::Dns(name.to_owned())];
        let mut order = account.new_order(&NewOrder::new(&identifiers)).await?;
        let mut shown = Vec::new();
        let proven = async {
            let mut authorizations = order.authorizations();
            while let Some(authorization) = authorizations.next().await {
                let mut authorization = authorization?;
                if authorization.status == AuthorizationStatus::Valid {
                    continue;
                }
                let mut challenge = authorization
                    .challenge(kind.clone())
                    .ok_or(Error::Unsupported("this kind of challenge"))?;
                let key = challenge.key_authorization();
                shown.push(challenge.token.clone());
                match kind {
                    ChallengeType::Http01 => shelf.reply(&challenge.token, key.as_str()),
                    _ => shelf.prove(name, &proof(name, key.digest().as_ref())?),
                }
                challenge.set_ready().await?;
            }
            let status = order.poll_ready(&patience()).await?;
            if status != OrderStatus::Ready {
                return Err(CertError::Authority(format!("the order is {status:?}")));
            }
            let key = order.finalize().await?;
            let chain = order.poll_certificate(&patience()).await?;
            Ok((key, chain))
        }
        .await;
        for token in &shown {
            shelf.forget(name, token);
        }
        let (key, chain) = proven?;
        let keyed = Keyed::from_pem(key.as_bytes(), chain.as_bytes())?;
        cache.keep_pair(name, &key, &chain)?;
        Ok(keyed)
    }

    /// The account that is kept, if it is one of this authority; else a new one.
    async fn account(&self, cache: &Cache) -> Result<Account, CertError> {
        let builder = || Account::builder_with_http(Box::new(self.clone()));
        if let Some(kept) = cache.account().as_deref().and_then(|text| self.kept(text)) {
            return Ok(builder().from_credentials(kept).await?);
        }
        let contact = self.email.as_deref().map(|email| format!("mailto:{email}"));
        let contact: Vec<&str> = contact.as_deref().into_iter().collect();
        let account = NewAccount {
            contact: &contact,
            terms_of_service_agreed: true,
            only_return_existing: false,
        };
        let (account, credentials) = builder()
            .create(&account, self.directory.clone(), None)
            .await?;
        let text = serde_json::to_vec(&credentials)
            .map_err(|error| CertError::Unusable(error.to_string()))?;
        cache.keep_account(&text)?;
        Ok(account)
    }

    fn kept(&self, text: &[u8]) -> Option<AccountCredentials> {
        let json: serde_json::Value = serde_json::from_slice(text).ok()?;
        let ours = json.get("directory")?.as_str()? == self.directory;
        ours.then(|| serde_json::from_value(json).ok())?
    }

    async fn send(self, request: Request<BodyWrapper<Bytes>>) -> Result<BytesResponse, Error> {
        let other = |error: Box<dyn std::error::Error + Send + Sync>| Error::Other(error);
        let (parts, body) = request.into_parts();
        let Ok(body) = body.collect().await;
        let url = Url::parse(&parts.uri.to_string()).map_err(|error| other(error.into()))?;
        let ask = Ask {
            method: parts.method,
            url,
            headers: parts.headers,
            body: body.to_bytes(),
            reach: Reach::Anywhere,
            timeout: Duration::from_secs(ACME_REQUEST_SECS_MAX),
            answer_bytes_max: ACME_ANSWER_BYTES_MAX,
        };
        let reply = self.outbound.send(ask).await;
        let reply = reply.map_err(|error| other(error.into()))?;
        let mut response = Response::new(Full::new(reply.body));
        *response.status_mut() = reply.status;
        *response.headers_mut() = reply.headers;
        response.headers_mut().remove(CONTENT_LENGTH);
        Ok(response.into())
    }
}

impl HttpClient for Acme {
    fn request(
        &self,
        request: Request<BodyWrapper<Bytes>>,
    ) -> Pin<Box<dyn Future<Output = Result<BytesResponse, Error>> + Send>> {
        Box::pin(self.clone().send(request))
    }
}

/// What is shown to an authority that looks for its challenge over TLS: a certificate that no one trusts, with the digest
/// in it (RFC 8737).
fn proof(name: &str, digest: &[u8]) -> Result<Keyed, CertError> {
    let made = || -> Result<_, rcgen::Error> {
        let mut params = CertificateParams::new([name.to_owned()])?;
        params.custom_extensions = vec![CustomExtension::new_acme_identifier(digest)];
        let key = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256)?;
        Ok((key.serialize_pem(), params.self_signed(&key)?.pem()))
    };
    let (key, chain) = made().map_err(|error| CertError::Unusable(error.to_string()))?;
    Keyed::from_pem(key.as_bytes(), chain.as_bytes())
}

fn patience() -> RetryPolicy {
    RetryPolicy::new().timeout(Duration::from_secs(ACME_ORDER_SECS_MAX))
}

/// Seconds between tries: authorities shut out who fails too often.
fn pause(failures: u32) -> Duration {
    let factor = 1_u64 << failures.saturating_sub(1).min(12);
    Duration::from_secs((ACME_RETRY_SECS_MIN * factor).min(ACME_RETRY_SECS_MAX))
}

/// Whether an authority can be asked for `name`: a name of DNS, not an address, not of this machine alone.
#[must_use]
pub fn is_certifiable(name: &str) -> bool {
    matches!(url::Host::parse(name), Ok(url::Host::Domain(_))) && !name.contains('*')
}

impl From<Error> for CertError {
    fn from(error: Error) -> Self {
        Self::Authority(error.to_string())
    }
}
