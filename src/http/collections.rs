//! `/api/collections`: superusers only.

use axum::extract::State;

use super::answer::{self, Answer};
use super::body::Unread;
use super::error::Fault;
use super::extract::{At, Superuser};
use crate::app::App;
use crate::auth::provider;
use crate::collections::{Error, Exposed};
use crate::kit::json::{self, Json, JsonMap};
use crate::kit::limits::BODY_BYTES_MAX;
use crate::schema::provider::PROVIDERS;
use crate::schema::{Collection, write_json};

/// `GET /api/collections`
pub(super) async fn list(State(app): State<App>, Superuser(call): Superuser) -> Answer {
    let page = app.collections.list(&call).await?;
    answer::json(&call, page)
}

/// `GET /api/collections/{collection}`
pub(super) async fn view(
    State(app): State<App>,
    Superuser(call): Superuser,
    At(name): At<String>,
) -> Answer {
    let collection = app.collections.view(&name)?;
    answer::json(&call, encoded(&collection))
}

/// `POST /api/collections`
pub(super) async fn create(
    State(app): State<App>,
    Superuser(call): Superuser,
    body: Unread,
) -> Answer {
    let submitted = body.read(BODY_BYTES_MAX).await?;
    let payload = submitted.record().map_err(|_| Error::UnreadableKind)?;
    let collection = app.collections.create(&call, payload).await?;
    answer::json(&call, encoded(&collection))
}

/// `PATCH /api/collections/{collection}`
pub(super) async fn update(
    State(app): State<App>,
    Superuser(call): Superuser,
    At(name): At<String>,
    body: Unread,
) -> Answer {
    app.collections.view(&name)?;
    let submitted = body.read(BODY_BYTES_MAX).await?;
    let payload = submitted.record().map_err(|_| Error::Unreadable)?;
    let collection = app.collections.update(&call, &name, payload).await?;
    answer::json(&call, encoded(&collection))
}

/// `DELETE /api/collections/{collection}`
pub(super) async fn delete(
    State(app): State<App>,
    Superuser(call): Superuser,
    At(name): At<String>,
) -> Answer {
    app.collections.delete(&call, &name).await?;
    Ok(answer::no_content())
}

/// `DELETE /api/collections/{collection}/truncate`
pub(super) async fn truncate(
    State(app): State<App>,
    Superuser(call): Superuser,
    At(name): At<String>,
) -> Answer {
    app.collections.truncate(&call, &name).await?;
    Ok(answer::no_content())
}

/// `PUT /api/collections/import`
pub(super) async fn import(
    State(app): State<App>,
    Superuser(call): Superuser,
    body: Unread,
) -> Answer {
    let form = body.read(BODY_BYTES_MAX).await?.form()?;
    let items = match form.get("collections") {
        None | Some(Json::Null) => Vec::new(),
        Some(Json::Array(items)) => items
            .iter()
            .map(|item| item.as_object().cloned())
            .collect::<Option<Vec<JsonMap>>>()
            .ok_or_else(Fault::unreadable_form)?,
        Some(_) => return Err(Fault::unreadable_form()),
    };
    let delete_missing = form.flag("deleteMissing")?;
    app.collections.import(&call, items, delete_missing).await?;
    Ok(answer::no_content())
}

/// Other methods on `/api/collections/import`: a collection of that name is never there.
pub(super) async fn no_collection(Superuser(_): Superuser) -> Answer {
    Err(Fault::not_found())
}

/// `GET /api/collections/meta/scaffolds`
pub(super) async fn scaffolds(State(app): State<App>, Superuser(call): Superuser) -> Answer {
    let mut out = b"{".to_vec();
    for (at, scaffold) in app.collections.scaffolds().iter().enumerate() {
        if at > 0 {
            out.push(b',');
        }
        json::write_str(scaffold.kind.name(), &mut out);
        out.push(b':');
        write_json(scaffold, &mut out);
    }
    out.push(b'}');
    answer::json(&call, out)
}

/// `GET /api/collections/meta/oauth2-providers`
pub(super) async fn providers(Superuser(call): Superuser) -> Answer {
    let list: Vec<Provider> = PROVIDERS
        .iter()
        .map(|provider| Provider {
            name: provider.name,
            display_name: provider.label,
            logo: provider::logo(provider.label),
        })
        .collect();
    answer::ordered(&call, &list)
}

/// `POST /api/collections/meta/dry-run-view`
pub(super) async fn dry_run(
    State(app): State<App>,
    Superuser(call): Superuser,
    body: Unread,
) -> Answer {
    let form = body.read(BODY_BYTES_MAX).await?.form()?;
    let tried = app.collections.dry_run(&form.text("query")?).await?;
    answer::json(&call, tried)
}

/// `GET /api/collections/meta/exposure`
pub(super) async fn exposure(State(app): State<App>, Superuser(call): Superuser) -> Answer {
    answer::ordered(
        &call,
        &Exposure {
            items: app.collections.exposed(&call),
        },
    )
}

/// What the rules leave open.
#[derive(serde::Serialize)]
struct Exposure {
    items: Vec<Exposed>,
}

/// A registered provider as the dashboard shows it.
#[derive(serde::Serialize)]
#[serde(rename_all = "camelCase")]
struct Provider {
    name: &'static str,
    display_name: &'static str,
    logo: String,
}

fn encoded(collection: &Collection) -> Vec<u8> {
    let mut out = Vec::with_capacity(2_048);
    write_json(collection, &mut out);
    out
}
