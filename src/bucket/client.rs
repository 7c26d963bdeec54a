//! One request to the store: signed, sent, tried again, its refusal understood.

use std::sync::Arc;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use http_body_util::BodyExt;
use hyper::body::Incoming;
use hyper::header::{self, HeaderName, HeaderValue};
use hyper::{Method, Request, Response, StatusCode};
use jiff::Timestamp;
use rusty_s3::{Credentials, S3Action};
use url::Url;

use super::{BucketError, Options, Source};
use crate::kit::clock::Clock;
use crate::kit::id;
use crate::kit::limits::{
    BUCKET_ANSWER_BYTES_MAX, BUCKET_PIECE_SECS_MAX, BUCKET_SIGNED_SECS, BUCKET_TRIES_MAX,
};
use crate::outbound::{OutboundError, Pool};

/// Bytes of a refusal that are read.
const REFUSAL_BYTES_MAX: usize = 16 << 10;
/// Pause after the first failure; it doubles.
const PAUSE: Duration = Duration::from_millis(100);

/// A bucket. Cheap to clone.
#[derive(Clone)]
pub struct Bucket(pub(super) Arc<Inner>);

pub(super) struct Inner {
    pool: Pool,
    /// Why it cannot be asked for, where the options do not hold.
    place: Result<rusty_s3::Bucket, String>,
    pub(super) credentials: Credentials,
    options: Options,
}

impl std::fmt::Debug for Bucket {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Bucket").field(&self.0.options).finish()
    }
}

/// A request that is signed already.
pub(super) struct Ask {
    pub(super) method: Method,
    pub(super) url: Url,
    pub(super) headers: Vec<(HeaderName, HeaderValue)>,
    pub(super) body: Source,
}

impl Bucket {
    /// The bucket of `options`. Nothing is asked yet.
    #[must_use]
    pub fn new(pool: &Pool, options: &Options) -> Self {
        let secret = options.secret.reveal().clone();
        Self(Arc::new(Inner {
            pool: pool.clone(),
            place: options.place(),
            credentials: Credentials::new(options.access_key.clone(), secret),
            options: options.clone(),
        }))
    }

    /// Whether both are the same, by the same key.
    #[must_use]
    pub fn is_same(&self, other: &Self) -> bool {
        self.0.options == other.0.options
    }

    /// Its name, for people.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.0.options.bucket
    }

    pub(super) fn place(&self) -> Result<&rusty_s3::Bucket, BucketError> {
        self.0
            .place
            .as_ref()
            .map_err(|why| BucketError::Options(why.clone()))
    }

    /// Sends the request of `action`, with its signed headers.
    pub(super) async fn act<'a, A: S3Action<'a>>(
        &self,
        mut action: A,
        headers: &[(&'static str, String)],
        body: Source,
    ) -> Result<Response<Incoming>, BucketError> {
        let mut sent = Vec::with_capacity(headers.len());
        for (name, value) in headers {
            let unfit = |_| BucketError::Options(format!("{value:?} cannot stand in a header"));
            sent.push((
                HeaderName::from_static(name),
                HeaderValue::from_str(value).map_err(unfit)?,
            ));
            action.headers_mut().insert(*name, value.clone());
        }
        self.send(&Ask {
            method: method(A::METHOD),
            url: sign(&action, Duration::from_secs(BUCKET_SIGNED_SECS)),
            headers: sent,
            body,
        })
        .await
    }

    /// Sends a request, again where that may help: all of them mean the same however often they are sent.
    pub(super) async fn send(&self, ask: &Ask) -> Result<Response<Incoming>, BucketError> {
        let mut pause = PAUSE;
        let mut tried = 1;
        loop {
            match self.once(ask).await {
                Err(error) if tried < BUCKET_TRIES_MAX && error.is_passing() => {
                    tracing::debug!(%error, tried, "a request to a bucket is tried again");
                    // Not all at the same moment.
                    let jitter = Duration::from_millis(u64::from(id::below(50)));
                    tokio::time::sleep(pause + jitter).await;
                    pause *= 2;
                    tried += 1;
                }
                other => return other,
            }
        }
    }

    async fn once(&self, ask: &Ask) -> Result<Response<Incoming>, BucketError> {
        let mut request = Request::new(ask.body.body().await?);
        *request.method_mut() = ask.method.clone();
        let unfit = |error: hyper::http::uri::InvalidUri| BucketError::Options(error.to_string());
        *request.uri_mut() = ask.url.as_str().parse().map_err(unfit)?;
        let length = ask.body.length();
        let headers = request.headers_mut();
        if ask.method == Method::PUT || ask.method == Method::POST {
            headers.insert(header::CONTENT_LENGTH, HeaderValue::from(length));
        }
        headers.extend(ask.headers.iter().cloned());
        let response = self.0.pool.send(request, length).await?;
        if response.status().is_success() {
            return Ok(response);
        }
        Err(refusal(response).await)
    }
}

/// The address of `action`, good for `span`.
pub(super) fn sign<'a>(action: &impl S3Action<'a>, span: Duration) -> Url {
    let now = Clock::system().now().as_millis();
    let now = Timestamp::from_millisecond(now).unwrap_or(Timestamp::UNIX_EPOCH);
    action.sign_with_time(span, &now)
}

fn method(method: rusty_s3::Method) -> Method {
    match method {
        rusty_s3::Method::Head => Method::HEAD,
        rusty_s3::Method::Get => Method::GET,
        rusty_s3::Method::Post => Method::POST,
        rusty_s3::Method::Put => Method::PUT,
        rusty_s3::Method::Delete => Method::DELETE,
    }
}

/// The next piece of an answer, within bounds of time.
pub(super) async fn piece(body: &mut Incoming) -> Result<Option<Bytes>, BucketError> {
    let span = Duration::from_secs(BUCKET_PIECE_SECS_MAX);
    loop {
        let frame = tokio::time::timeout(span, body.frame()).await;
        match frame.map_err(|_| OutboundError::Timeout)? {
            None => return Ok(None),
            Some(Err(error)) => return Err(OutboundError::Connection(error.to_string()).into()),
            Some(Ok(frame)) => {
                if let Ok(piece) = frame.into_data() {
                    return Ok(Some(piece));
                }
            }
        }
    }
}

/// A whole answer of few bytes.
pub(super) async fn text(response: Response<Incoming>) -> Result<String, BucketError> {
    let whole = whole(response.into_body(), BUCKET_ANSWER_BYTES_MAX).await?;
    String::from_utf8(whole.to_vec()).map_err(|error| BucketError::Answer(error.to_string()))
}

pub(super) async fn whole(mut body: Incoming, most: usize) -> Result<Bytes, BucketError> {
    let mut whole = BytesMut::new();
    while let Some(piece) = piece(&mut body).await? {
        if whole.len() + piece.len() > most {
            return Err(BucketError::Answer("it is too large".to_owned()));
        }
        whole.extend_from_slice(&piece);
    }
    Ok(whole.freeze())
}

async fn refusal(response: Response<Incoming>) -> BucketError {
    let status = response.status();
    let body = whole(response.into_body(), REFUSAL_BYTES_MAX).await;
    let body = body.unwrap_or_default();
    understood(status, &String::from_utf8_lossy(&body))
}

/// What a refusal means. Answers to HEAD have no words.
pub(super) fn understood(status: StatusCode, body: &str) -> BucketError {
    let code = tag(body, "Code").unwrap_or("").to_owned();
    match status {
        StatusCode::NOT_FOUND if matches!(code.as_str(), "" | "NoSuchKey" | "NotFound") => {
            return BucketError::Missing;
        }
        StatusCode::PRECONDITION_FAILED => return BucketError::Changed,
        _ => {}
    }
    let message = match tag(body, "Message") {
        Some(message) => message.to_owned(),
        None => status.canonical_reason().unwrap_or("").to_owned(),
    };
    BucketError::Refused {
        status: status.as_u16(),
        code,
        message,
    }
}

/// The text of the first element of that name.
fn tag<'a>(xml: &'a str, name: &str) -> Option<&'a str> {
    let (_, rest) = xml.split_once(&format!("<{name}>"))?;
    Some(rest.split_once("</")?.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn refusals_are_understood() {
        let xml = "<Error><Code>SignatureDoesNotMatch</Code><Message>No.</Message></Error>";
        let said = understood(StatusCode::FORBIDDEN, xml).to_string();
        assert_eq!(
            said,
            "the store refused it with 403 SignatureDoesNotMatch: No."
        );
        assert!(matches!(
            understood(StatusCode::NOT_FOUND, ""),
            BucketError::Missing
        ));
        let xml = "<Error><Code>NoSuchBucket</Code></Error>";
        let said = understood(StatusCode::NOT_FOUND, xml);
        assert!(matches!(said, BucketError::Refused { status: 404, .. }));
        assert!(understood(StatusCode::SERVICE_UNAVAILABLE, "<html>").is_passing());
        assert!(!understood(StatusCode::FORBIDDEN, "<Code>").is_passing());
    }
}
