//! `POST /api/passwords/check`: what forms tell people before they choose a password.

use super::answer::{self, Answer};
use super::body::Unread;
use super::extract::Superuser;
use crate::auth;
use crate::kit::limits::BODY_BYTES_MAX;

/// Whether a password is one of those that everybody tries first.
pub(super) async fn check(Superuser(call): Superuser, body: Unread) -> Answer {
    let form = body.read(BODY_BYTES_MAX).await?.form()?;
    let common = auth::is_common(&form.text("password")?);
    answer::value(&call, &serde_json::json!({ "common": common }))
}
