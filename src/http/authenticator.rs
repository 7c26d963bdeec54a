//! `/api/collections/{collection}/totp/*` and `auth-with-totp`: authenticator apps.

use axum::extract::State;
use axum::http::HeaderMap;

use super::answer::{self, Answer};
use super::auth::{mfa_id, session, with_body};
use super::body::Unread;
use super::extract::{self, At};
use crate::app::App;
use crate::call::Call;
use crate::kit::limits::BODY_BYTES_MAX;

/// `POST /auth-with-totp`
pub(super) async fn sign_in(
    State(app): State<App>,
    call: Call,
    At(collection): At<String>,
    body: Unread,
) -> Answer {
    let collection = app.auth.accounts(&collection)?;
    let form = body.read(BODY_BYTES_MAX).await?.form()?;
    let (code, id) = (form.text("code")?, mfa_id(&call, &form)?);
    let call = with_body(call, form);
    let auth = &app.auth;
    let outcome = auth.sign_in_by_authenticator(&call, &collection, &code, id);
    session(&call, outcome.await?)
}

/// `POST /totp/setup`
pub(super) async fn set_up(
    State(app): State<App>,
    call: Call,
    At(collection): At<String>,
    headers: HeaderMap,
    body: Unread,
) -> Answer {
    let account = app.auth.own_account(&call, &collection)?;
    let form = body.read(BODY_BYTES_MAX).await?.form()?;
    let (token, password) = (extract::token(&headers), form.text("password")?);
    let setup = app
        .auth
        .set_up_authenticator(&call, &account, token, &password)
        .await?;
    let shown = serde_json::json!({
        "id": setup.id,
        "qr": setup.picture,
        "secret": setup.secret,
        "url": setup.url,
    });
    answer::value(&call, &shown)
}

/// `POST /totp/confirm`
pub(super) async fn confirm(
    State(app): State<App>,
    call: Call,
    At(collection): At<String>,
    body: Unread,
) -> Answer {
    let account = app.auth.own_account(&call, &collection)?;
    let code = body.read(BODY_BYTES_MAX).await?.form()?.text("code")?;
    let confirmed = app.auth.confirm_authenticator(&call, &account, &code);
    recovery_codes(&call, &confirmed.await?)
}

/// `POST /totp/recovery-codes`
pub(super) async fn renew(
    State(app): State<App>,
    call: Call,
    At(collection): At<String>,
    body: Unread,
) -> Answer {
    let account = app.auth.own_account(&call, &collection)?;
    let code = body.read(BODY_BYTES_MAX).await?.form()?.text("code")?;
    let renewed = app.auth.renew_recovery_codes(&call, &account, &code);
    recovery_codes(&call, &renewed.await?)
}

/// `POST /totp/remove`
pub(super) async fn remove(
    State(app): State<App>,
    call: Call,
    At(collection): At<String>,
    body: Unread,
) -> Answer {
    let account = app.auth.own_account(&call, &collection)?;
    let code = body.read(BODY_BYTES_MAX).await?.form()?.text("code")?;
    app.auth
        .remove_authenticator(&call, &account, &code)
        .await?;
    Ok(answer::no_content())
}

fn recovery_codes(call: &Call, codes: &[String]) -> Answer {
    answer::value(call, &serde_json::json!({ "recoveryCodes": codes }))
}
