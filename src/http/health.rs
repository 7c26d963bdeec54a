//! `GET /api/health`: that the server answers, and to superusers what it sees of them. Touches no storage, but tells
//! where a database that others serve too is away.

use axum::extract::State;

use super::answer::{self, Answer};
use super::error::Fault;
use crate::app::App;
use crate::call::Call;
use crate::kit::json::{Json, JsonMap};
use crate::ops::logs::expanded;

/// Headers that tell of a proxy which was not configured.
const PROXY_HEADERS: [&str; 3] = ["CF-Connecting-IP", "Fly-Client-IP", "X-Forwarded-For"];

#[derive(serde::Serialize)]
struct Health {
    message: &'static str,
    code: u16,
    data: Json,
}

/// Answers that the server is up.
pub(super) async fn health(State(app): State<App>, call: Call) -> Answer {
    if !app.store.is_reachable() {
        return Err(Fault::busy().with_message("The database cannot be reached."));
    }
    let mut data = JsonMap::new();
    if call.actor.is_superuser() {
        let settings = app.settings.current();
        let configured = settings.trusted_proxy.headers.iter().map(String::as_str);
        let header = configured
            .chain(PROXY_HEADERS)
            .find(|name| has(&call, name));
        data.insert("canBackup".to_owned(), Json::from(app.backups.is_free()));
        data.insert("realIP".to_owned(), Json::from(expanded(call.client_ip)));
        data.insert(
            "possibleProxyHeader".to_owned(),
            Json::from(header.unwrap_or("")),
        );
    }
    let health = Health {
        message: "API is healthy.",
        code: 200,
        data: Json::Object(data),
    };
    answer::ordered(&call, &health)
}

fn has(call: &Call, header: &str) -> bool {
    let name = header.to_ascii_lowercase().replace('-', "_");
    call.headers
        .iter()
        .any(|(key, value)| *key == name && !value.is_empty())
}
