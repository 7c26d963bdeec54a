//! `/api/collections/{collection}/auth-*` and impersonation: who somebody is, and the session that follows.

use axum::body::Body;
use axum::extract::State;
use axum::http::{HeaderMap, HeaderValue, Method, Response, StatusCode, header};

use super::answer::{self, Answer};
use super::body::Unread;
use super::error::Fault;
use super::extract::{self, At, Superuser};
use super::form::Form;
use crate::app::App;
use crate::auth::{CodeForm, Error, Methods, OAuth2Form, Outcome, PasswordForm, Returned, Wanted};
use crate::call::Call;
use crate::kit::limits::BODY_BYTES_MAX;

/// `GET /auth-methods`
pub(super) async fn methods(
    State(app): State<App>,
    call: Call,
    At(collection): At<String>,
) -> Answer {
    let collection = app.auth.accounts(&collection)?;
    let mut methods = Methods::of(&collection).ok_or(Error::NoAccounts)?;
    if call.query("own") == Some("1") {
        let by_passkey = app.auth.passkey_accounts(collection.id.as_str()).is_ok();
        methods = methods.with_passkeys(by_passkey);
    }
    answer::ordered(&call, &methods)
}

/// `POST /auth-with-password`
pub(super) async fn with_password(
    State(app): State<App>,
    call: Call,
    At(collection): At<String>,
    body: Unread,
) -> Answer {
    let collection = app.auth.password_accounts(&collection)?;
    let form = body.read(BODY_BYTES_MAX).await?.form()?;
    let submitted = PasswordForm {
        identity: form.text("identity")?,
        password: form.text("password")?,
        identity_field: form.text("identityField")?,
        mfa_id: mfa_id(&call, &form)?,
    };
    let call = with_body(call, form);
    let outcome = app.auth.sign_in(&call, &collection, submitted).await?;
    session(&call, outcome)
}

/// `POST /auth-with-otp`
pub(super) async fn with_code(
    State(app): State<App>,
    call: Call,
    At(collection): At<String>,
    body: Unread,
) -> Answer {
    let collection = app.auth.code_accounts(&collection)?;
    let form = body.read(BODY_BYTES_MAX).await?.form()?;
    let submitted = CodeForm {
        otp_id: form.text("otpId")?,
        password: form.text("password")?,
        mfa_id: mfa_id(&call, &form)?,
    };
    let call = with_body(call, form);
    let outcome = app
        .auth
        .sign_in_by_code(&call, &collection, submitted)
        .await?;
    session(&call, outcome)
}

/// `POST /auth-with-oauth2`
pub(super) async fn with_oauth2(
    State(app): State<App>,
    call: Call,
    At(collection): At<String>,
    body: Unread,
) -> Answer {
    let collection = app.auth.oauth2_accounts(&collection)?;
    let form = body.read(BODY_BYTES_MAX).await?.form()?;
    let redirect_url = match form.text("redirectURL")? {
        // As older clients call it.
        url if url.is_empty() => form.text("redirectUrl")?,
        url => url,
    };
    let submitted = OAuth2Form {
        provider: form.text("provider")?,
        code: form.text("code")?,
        verifier: form.text("codeVerifier")?,
        redirect_url,
        create_data: form.object("createData")?,
        mfa_id: mfa_id(&call, &form)?,
    };
    let call = with_body(call, form);
    let outcome = app.auth.sign_in_by_oauth2(&call, &collection, submitted);
    session(&call, Box::pin(outcome).await?)
}

/// `GET` and `POST /api/oauth2-redirect`: where providers send people back to.
pub(super) async fn come_back(
    State(app): State<App>,
    call: Call,
    method: Method,
    body: Unread,
) -> Answer {
    let by_post = method == Method::POST;
    let returned = if by_post {
        read_return(body).await
    } else {
        let text = |name: &str| call.query(name).unwrap_or("").to_owned();
        Some(Returned {
            state: text("state"),
            code: text("code"),
            error: text("error"),
            user: String::new(),
        })
    };
    let went_well = match returned {
        Some(returned) => app.auth.come_back(&app.hub, &call, &returned).await,
        None => false,
    };
    let mut response = Response::new(Body::empty());
    *response.status_mut() = if by_post {
        StatusCode::SEE_OTHER
    } else {
        StatusCode::TEMPORARY_REDIRECT
    };
    let page = HeaderValue::from_static(if went_well {
        "../_/#/auth/oauth2-redirect-success"
    } else {
        "../_/#/auth/oauth2-redirect-failure"
    });
    response.headers_mut().insert(header::LOCATION, page);
    Ok(response)
}

/// What a provider posts; whatever cannot be read is nothing.
async fn read_return(body: Unread) -> Option<Returned> {
    let form = body.read(BODY_BYTES_MAX).await.ok()?.form().ok()?;
    let text = |name: &str| form.text(name).unwrap_or_default();
    Some(Returned {
        state: text("state"),
        code: text("code"),
        error: text("error"),
        user: text("user"),
    })
}

/// `POST /auth-refresh`
pub(super) async fn refresh(
    State(app): State<App>,
    call: Call,
    At(collection): At<String>,
    headers: HeaderMap,
) -> Answer {
    let token = extract::token(&headers);
    let outcome = app.auth.refresh(&call, &collection, token).await?;
    session(&call, outcome)
}

/// `POST /end-other-sessions`
pub(super) async fn end_others(
    State(app): State<App>,
    call: Call,
    At(collection): At<String>,
) -> Answer {
    let outcome = app.auth.end_other_sessions(&call, &collection).await?;
    session(&call, outcome)
}

/// `POST /impersonate/{id}`
pub(super) async fn impersonate(
    State(app): State<App>,
    Superuser(call): Superuser,
    At((collection, id)): At<(String, String)>,
    body: Unread,
) -> Answer {
    // Unlike its neighbours this path carries no limits by collection, and so tells both cases alike.
    let collection = app
        .auth
        .accounts(&collection)
        .map_err(|_| Error::NoAccounts)?;
    app.auth.account(&collection, &id).await?;
    let form = body.read(BODY_BYTES_MAX).await?.form()?;
    let life_secs = form.int("duration")?;
    let outcome = app
        .auth
        .impersonate(&call, &collection, &id, life_secs)
        .await?;
    session(&call, outcome)
}

/// The id of a first factor: the query's before the body's.
pub(super) fn mfa_id(call: &Call, form: &Form) -> Result<String, Fault> {
    match call.query("mfaId") {
        Some(id) if !id.is_empty() => Ok(id.to_owned()),
        // What is no text is no first factor, as in the contract: the form is not refused for it.
        Some(_) | None => Ok(form.text("mfaId").unwrap_or_default()),
    }
}

/// The call with what was submitted, for rules that look at it.
pub(super) fn with_body(call: Call, form: Form) -> Call {
    Call {
        body: form.into_map().into(),
        ..call
    }
}

pub(super) fn session(call: &Call, outcome: Outcome) -> Answer {
    match outcome {
        Outcome::Session(encoded) => answer::json(call, encoded),
        Outcome::SecondFactor(wanted) => Ok(second_factor(&wanted)),
    }
}

/// 401 with the id: the contract's one answer of this status that is no envelope. Ours is what it says of methods.
fn second_factor(wanted: &Wanted) -> Response<Body> {
    let mut body = serde_json::json!({ "mfaId": wanted.id });
    if !wanted.methods.is_empty() {
        body["methods"] = serde_json::json!(wanted.methods);
    }
    let mut response = answer::picked(body.to_string());
    *response.status_mut() = StatusCode::UNAUTHORIZED;
    response
}
