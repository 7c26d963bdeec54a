//! `/api/collections/{collection}/request-*` and `confirm-*`: what accounts are mailed about. Requests that anybody may
//! make are answered the same for known and unknown people; the log alone tells.

use axum::body::Body;
use axum::extract::State;
use axum::http::Response;

use super::answer::{self, Answer};
use super::body::Unread;
use super::error::FaultLog;
use super::extract::At;
use crate::app::App;
use crate::auth::{NewPassword, Quietly};
use crate::call::Call;
use crate::kit::limits::BODY_BYTES_MAX;

/// `POST /request-otp`
pub(super) async fn request_code(
    State(app): State<App>,
    call: Call,
    At(collection): At<String>,
    body: Unread,
) -> Answer {
    let collection = app.auth.code_accounts(&collection)?;
    let form = body.read(BODY_BYTES_MAX).await?.form()?;
    let email = form.text("email")?;
    let code = app.auth.request_code(&call, &collection, &email).await?;
    let answer = answer::value(&call, &serde_json::json!({ "otpId": code.id }))?;
    Ok(quietly(answer, code.outcome))
}

/// `POST /request-verification`
pub(super) async fn request_verification(
    State(app): State<App>,
    call: Call,
    At(collection): At<String>,
    body: Unread,
) -> Answer {
    let collection = app.auth.accounts(&collection)?;
    let form = body.read(BODY_BYTES_MAX).await?.form()?;
    let email = form.text("email")?;
    let asked = app
        .auth
        .request_verification(&call, &collection, &email)
        .await?;
    Ok(quietly(answer::no_content(), asked))
}

/// `POST /confirm-verification`
pub(super) async fn confirm_verification(
    State(app): State<App>,
    call: Call,
    At(collection): At<String>,
    body: Unread,
) -> Answer {
    let collection = app.auth.accounts(&collection)?;
    let form = body.read(BODY_BYTES_MAX).await?.form()?;
    let token = form.text("token")?;
    app.auth
        .confirm_verification(&call, &collection, &token)
        .await?;
    Ok(answer::no_content())
}

/// `POST /request-password-reset`
pub(super) async fn request_password_reset(
    State(app): State<App>,
    call: Call,
    At(collection): At<String>,
    body: Unread,
) -> Answer {
    let collection = app.auth.resettable_accounts(&collection)?;
    let form = body.read(BODY_BYTES_MAX).await?.form()?;
    let email = form.text("email")?;
    let asked = app
        .auth
        .request_password_reset(&call, &collection, &email)
        .await?;
    Ok(quietly(answer::no_content(), asked))
}

/// `POST /confirm-password-reset`
pub(super) async fn confirm_password_reset(
    State(app): State<App>,
    call: Call,
    At(collection): At<String>,
    body: Unread,
) -> Answer {
    let collection = app.auth.accounts(&collection)?;
    let form = body.read(BODY_BYTES_MAX).await?.form()?;
    let submitted = NewPassword {
        token: form.text("token")?,
        password: form.text("password")?,
        password_confirm: form.text("passwordConfirm")?,
    };
    app.auth
        .confirm_password_reset(&call, &collection, submitted)
        .await?;
    Ok(answer::no_content())
}

/// `POST /request-email-change`
pub(super) async fn request_email_change(
    State(app): State<App>,
    call: Call,
    At(collection): At<String>,
    body: Unread,
) -> Answer {
    let collection = app.auth.movable_accounts(&call, &collection)?;
    let form = body.read(BODY_BYTES_MAX).await?.form()?;
    let email = form.text("newEmail")?;
    app.auth
        .request_email_change(&call, &collection, &email)
        .await?;
    Ok(answer::no_content())
}

/// `POST /confirm-email-change`
pub(super) async fn confirm_email_change(
    State(app): State<App>,
    call: Call,
    At(collection): At<String>,
    body: Unread,
) -> Answer {
    let collection = app.auth.accounts(&collection)?;
    let form = body.read(BODY_BYTES_MAX).await?.form()?;
    let (token, password) = (form.text("token")?, form.text("password")?);
    app.auth
        .confirm_email_change(&call, &collection, &token, &password)
        .await?;
    Ok(answer::no_content())
}

fn quietly(mut response: Response<Body>, outcome: Quietly) -> Response<Body> {
    if let Quietly::Skipped(why) = outcome {
        response.extensions_mut().insert(FaultLog::hushed(why));
    }
    response
}
