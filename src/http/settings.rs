//! `/api/settings`: the whole document, superusers only.

use axum::extract::State;

use super::answer::{self, Answer};
use super::body::Unread;
use super::extract::Superuser;
use crate::app::App;
use crate::kit::json::Json;
use crate::kit::limits::BODY_BYTES_MAX;
use crate::kit::secret::Secret;
use crate::kit::task::Task;
use crate::ops::settings::apple::{self, AppleKey};
use crate::ops::settings::probe;

/// `GET /api/settings`
pub(super) async fn view(State(app): State<App>, Superuser(call): Superuser) -> Answer {
    answer::ordered(&call, &app.settings.answered())
}

/// `PATCH /api/settings`
pub(super) async fn update(
    State(app): State<App>,
    Superuser(call): Superuser,
    body: Unread,
) -> Answer {
    let form = body.read(BODY_BYTES_MAX).await?.form()?;
    app.settings.update(&Json::Object(form.into_map())).await?;
    let logs = app.logs.clone();
    Task::spawn(async move {
        if let Err(error) = logs.prune().await {
            tracing::error!(%error, "logs that the new settings do not keep are still there");
        }
    })
    .detach("the answer does not wait for old logs to go");
    answer::ordered(&call, &app.settings.answered())
}

/// `POST /api/settings/test/s3`
pub(super) async fn test_s3(
    State(app): State<App>,
    Superuser(_call): Superuser,
    body: Unread,
) -> Answer {
    let form = body.read(BODY_BYTES_MAX).await?.form()?;
    let filesystem = form.text("filesystem")?;
    probe::s3(&app.settings.current(), &app.pool, &filesystem).await?;
    Ok(answer::no_content())
}

/// `POST /api/settings/test/email`
pub(super) async fn test_email(
    State(app): State<App>,
    Superuser(call): Superuser,
    body: Unread,
) -> Answer {
    let form = body.read(BODY_BYTES_MAX).await?.form()?;
    let (to, template) = (form.text("email")?, form.text("template")?);
    let collection = form.text("collection")?;
    app.auth
        .send_test_mail(&call, &to, &template, &collection)
        .await?;
    Ok(answer::no_content())
}

/// `POST /api/settings/apple/generate-client-secret`
pub(super) async fn apple_secret(Superuser(call): Superuser, body: Unread) -> Answer {
    let form = body.read(BODY_BYTES_MAX).await?.form()?;
    let key = AppleKey {
        client_id: form.text("clientId")?,
        team_id: form.text("teamId")?,
        key_id: form.text("keyId")?,
        private_key: Secret::new(form.text("privateKey")?),
        duration: form.int("duration")?,
    };
    let secret = apple::secret(&key, call.now)?;
    answer::value(&call, &serde_json::json!({ "secret": secret }))
}
