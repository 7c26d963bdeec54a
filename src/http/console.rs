//! `POST /api/sql`: a superuser's own statements.

use axum::extract::State;

use super::answer::{self, Answer};
use super::body::Unread;
use super::extract::InPerson;
use crate::app::App;
use crate::kit::limits::BODY_BYTES_MAX;
use crate::ops::console::{self, Access};

/// `POST /api/sql`
pub(super) async fn run(State(app): State<App>, InPerson(call): InPerson, body: Unread) -> Answer {
    let form = body.read(BODY_BYTES_MAX).await?.form()?;
    let query = form.text("query")?;
    let access = if form.flag("readOnly")? {
        Access::ReadOnly
    } else {
        Access::Full
    };
    let outcome = console::run(&app.store, &app.logs, &call, &query, access).await?;
    answer::ordered(&call, &outcome)
}
