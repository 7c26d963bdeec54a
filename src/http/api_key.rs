//! `/api/collections/{collection}/api-keys`: keys for machines. They are listed and ended as records of `_apiKeys`.

use axum::extract::State;
use axum::http::HeaderMap;

use super::answer::{self, Answer};
use super::body::Unread;
use super::extract::{self, At};
use crate::app::App;
use crate::auth::KeyForm;
use crate::call::Call;
use crate::kit::limits::BODY_BYTES_MAX;

/// `POST /api-keys`
pub(super) async fn create(
    State(app): State<App>,
    call: Call,
    At(collection): At<String>,
    headers: HeaderMap,
    body: Unread,
) -> Answer {
    app.auth.accounts(&collection)?;
    let form = body.read(BODY_BYTES_MAX).await?.form()?;
    let submitted = KeyForm {
        name: form.text("name")?,
        superuser: form.flag("superuser")?,
        scopes: form.object("scopes")?,
        addresses: form.texts("addresses")?,
        expires: form.text("expires")?,
        record: form.text("record")?,
        password: form.text("password")?,
    };
    let token = extract::token(&headers);
    let made = app.auth.make_key(&call, &collection, token, submitted);
    let made = made.await?;
    let shown = serde_json::json!({
        "addresses": made.addresses,
        "expires": made.expires,
        "id": made.id,
        "key": made.key,
        "name": made.name,
        "prefix": made.prefix,
        "scopes": made.scopes,
        "superuser": made.superuser,
    });
    answer::value(&call, &shown)
}
