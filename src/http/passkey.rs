//! `/api/collections/{collection}/passkeys/*` and `auth-with-passkey`: passkeys.

use axum::extract::State;
use axum::http::HeaderMap;

use super::answer::{self, Answer};
use super::auth::{mfa_id, session, with_body};
use super::body::Unread;
use super::extract::{self, At};
use crate::app::App;
use crate::auth::Challenge;
use crate::call::Call;
use crate::kit::json::Json;
use crate::kit::limits::BODY_BYTES_MAX;

/// `POST /passkeys/challenge`
pub(super) async fn challenge(
    State(app): State<App>,
    call: Call,
    At(collection): At<String>,
) -> Answer {
    let collection = app.auth.passkey_accounts(&collection)?;
    let challenge = app.auth.challenge_passkey(&call, &collection)?;
    shown(&call, &challenge)
}

/// `POST /auth-with-passkey`
pub(super) async fn sign_in(
    State(app): State<App>,
    call: Call,
    At(collection): At<String>,
    body: Unread,
) -> Answer {
    let collection = app.auth.passkey_accounts(&collection)?;
    let form = body.read(BODY_BYTES_MAX).await?.form()?;
    let (challenge, id) = (form.text("challengeId")?, mfa_id(&call, &form)?);
    let credential = Json::Object(form.object("credential")?);
    let call = with_body(call, form);
    let auth = &app.auth;
    let outcome = auth.sign_in_by_passkey(&call, &collection, &challenge, &credential, id);
    session(&call, Box::pin(outcome).await?)
}

/// `POST /passkeys/setup`
pub(super) async fn begin(
    State(app): State<App>,
    call: Call,
    At(collection): At<String>,
    headers: HeaderMap,
    body: Unread,
) -> Answer {
    app.auth.passkey_accounts(&collection)?;
    let account = app.auth.own_account(&call, &collection)?;
    let form = body.read(BODY_BYTES_MAX).await?.form()?;
    let (token, password) = (extract::token(&headers), form.text("password")?);
    let auth = &app.auth;
    let challenge = auth.begin_passkey(&call, &account, token, &password);
    shown(&call, &challenge.await?)
}

/// `POST /passkeys/confirm`
pub(super) async fn confirm(
    State(app): State<App>,
    call: Call,
    At(collection): At<String>,
    body: Unread,
) -> Answer {
    app.auth.passkey_accounts(&collection)?;
    let account = app.auth.own_account(&call, &collection)?;
    let form = body.read(BODY_BYTES_MAX).await?.form()?;
    let (challenge, name) = (form.text("challengeId")?, form.text("name")?);
    let credential = Json::Object(form.object("credential")?);
    let id = app
        .auth
        .confirm_passkey(&call, &account, &challenge, &name, &credential)
        .await?;
    answer::value(&call, &serde_json::json!({ "id": id }))
}

/// `POST /passkeys/rename`
pub(super) async fn rename(
    State(app): State<App>,
    call: Call,
    At(collection): At<String>,
    body: Unread,
) -> Answer {
    let account = app.auth.own_account(&call, &collection)?;
    let form = body.read(BODY_BYTES_MAX).await?.form()?;
    let (id, name) = (form.text("id")?, form.text("name")?);
    app.auth.rename_passkey(&account, &id, &name).await?;
    Ok(answer::no_content())
}

/// `POST /passkeys/remove`
pub(super) async fn remove(
    State(app): State<App>,
    call: Call,
    At(collection): At<String>,
    headers: HeaderMap,
    body: Unread,
) -> Answer {
    let account = app.auth.own_account(&call, &collection)?;
    let form = body.read(BODY_BYTES_MAX).await?.form()?;
    let (token, password) = (extract::token(&headers), form.text("password")?);
    let id = form.text("id")?;
    app.auth
        .remove_passkey(&call, &account, &id, token, &password)
        .await?;
    Ok(answer::no_content())
}

fn shown(call: &Call, challenge: &Challenge) -> Answer {
    let shown = serde_json::json!({
        "challengeId": challenge.id,
        "options": challenge.options,
    });
    answer::value(call, &shown)
}
