//! The picture of a person, fetched from where their provider says it is. Whoever controls the account there controls the
//! URL: it never leads into a private network, and what comes is a picture of a bounded size or nothing. Why it is
//! nothing is told to the log alone.

use std::time::Duration;

use bytes::Bytes;
use hyper::Method;
use hyper::header::HeaderMap;
use url::Url;

use crate::files::Upload;
use crate::kit::limits::{AVATAR_BYTES_MAX, AVATAR_SECS_MAX};
use crate::outbound::{Ask, Outbound, OutboundError, Reach};
use crate::records::check;
use crate::schema::field::FileOptions;

/// The picture at `url`, if it is one that a field with `options` takes.
pub(super) async fn fetch(outbound: &Outbound, url: &str, options: &FileOptions) -> Option<Upload> {
    let ask = Ask {
        method: Method::GET,
        url: Url::parse(url).ok()?,
        headers: HeaderMap::new(),
        body: Bytes::new(),
        reach: Reach::Public,
        timeout: Duration::from_secs(AVATAR_SECS_MAX),
        answer_bytes_max: AVATAR_BYTES_MAX,
    };
    let answer = outbound.send(ask).await;
    let reply = answer
        .and_then(|reply| {
            let status = reply.status.as_u16();
            let error = || OutboundError::Connection(format!("status {status}"));
            if reply.status.is_success() {
                Ok(reply)
            } else {
                Err(error())
            }
        })
        .inspect_err(
            |error| tracing::warn!(%error, "the picture of a new account is not to be had"),
        )
        .ok()?;
    let name = reply.url.path().rsplit('/').next().unwrap_or("");
    let name = if name.is_empty() { "avatar" } else { name };
    let picture = Upload::from_bytes(name, reply.body);
    let mime = picture.kind().mime;
    // A drawing may carry a script.
    let fits = mime.starts_with("image/") && !mime.starts_with("image/svg");
    if !fits || !check::takes(options, &picture) {
        tracing::warn!(
            mime,
            "the picture of a new account is none that its field takes"
        );
        return None;
    }
    Some(picture)
}
