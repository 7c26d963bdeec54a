//! `/api/logs`: what happened, superusers only.

use axum::extract::State;

use super::answer::{self, Answer};
use super::extract::{At, Superuser};
use crate::app::App;

/// `GET /api/logs`
pub(super) async fn list(State(app): State<App>, Superuser(call): Superuser) -> Answer {
    answer::ordered(&call, &app.logs.list(&call).await?)
}

/// `GET /api/logs/stats`
pub(super) async fn stats(State(app): State<App>, Superuser(call): Superuser) -> Answer {
    answer::ordered(&call, &app.logs.stats(&call).await?)
}

/// `GET /api/logs/{id}`
pub(super) async fn view(
    State(app): State<App>,
    Superuser(call): Superuser,
    At(id): At<String>,
) -> Answer {
    answer::ordered(&call, &app.logs.view(&call, &id).await?)
}

/// `DELETE /api/logs`
pub(super) async fn clear(State(app): State<App>, Superuser(_call): Superuser) -> Answer {
    app.logs.clear().await?;
    Ok(answer::no_content())
}
