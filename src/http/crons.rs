//! `/api/crons`: scheduled jobs, superusers only.

use axum::extract::State;

use super::answer::{self, Answer};
use super::extract::{At, Superuser};
use crate::app::App;

/// `GET /api/crons`
pub(super) async fn list(State(app): State<App>, Superuser(call): Superuser) -> Answer {
    answer::ordered(&call, &app.crons.list())
}

/// `POST /api/crons/{id}`
pub(super) async fn run(
    State(app): State<App>,
    Superuser(_call): Superuser,
    At(id): At<String>,
) -> Answer {
    app.crons.run(&id)?;
    Ok(answer::no_content())
}
