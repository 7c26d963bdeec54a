//! `/api/openapi.json`: what the API is; superusers only, as the collections are.

use axum::extract::State;

use super::answer::{self, Answer};
use super::extract::Superuser;
use crate::app::App;

/// `GET /api/openapi.json`
pub(super) async fn view(State(app): State<App>, Superuser(call): Superuser) -> Answer {
    answer::ordered(&call, &app.collections.describe())
}
