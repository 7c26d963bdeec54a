//! `/api/collections/{collection}/records`: bytes in, bytes out; everything else is the service's.

use std::sync::Arc;

use axum::extract::State;
use axum::http::{HeaderValue, header};

use super::answer::{self, Answer};
use super::body::Unread;
use super::error::Fault;
use super::extract::At;
use crate::app::App;
use crate::call::Call;
use crate::files::name::base_name;
use crate::kit::limits::BODY_BYTES_MAX;
use crate::records::{Expected, Submission, version};

/// `GET /records`
pub(super) async fn list(
    State(app): State<App>,
    call: Call,
    At(collection): At<String>,
    body: Unread,
) -> Answer {
    app.records.known(&collection)?;
    let call = with_body(call, body).await?;
    let only = plain_fields(&call);
    let picked = only.is_some();
    let page = app.records.list(&call, &collection, only).await?;
    if picked {
        return Ok(answer::picked(page));
    }
    answer::json(&call, page)
}

/// `GET /records/{id}`
pub(super) async fn view(
    State(app): State<App>,
    call: Call,
    At((collection, id)): At<(String, String)>,
    body: Unread,
) -> Answer {
    app.records.known(&collection)?;
    let call = with_body(call, body).await?;
    let record = app.records.view(&call, &collection, &id).await?;
    versioned(&call, record)
}

/// `POST /records`
pub(super) async fn create(
    State(app): State<App>,
    call: Call,
    At(collection): At<String>,
    body: Unread,
) -> Answer {
    let submission = submission(&app, &collection, body).await?;
    let record = app.records.create(&call, &collection, submission).await?;
    versioned(&call, record)
}

/// `POST /direct-upload`: an address to put a file at, past this server.
pub(super) async fn direct_upload(
    State(app): State<App>,
    call: Call,
    At(collection): At<String>,
    body: Unread,
) -> Answer {
    let form = body.read(BODY_BYTES_MAX).await?.form()?;
    let expected = Expected {
        field: form.text("field")?,
        name: base_name(&form.text("name")?).to_owned(),
        size: u64::try_from(form.int("size")?).unwrap_or(0),
        record: form.text("record")?,
        values: form.object("values")?,
    };
    let invited = app.records.invite(&call, &collection, expected).await?;
    answer::ordered(&call, &invited)
}

/// `PATCH /records/{id}`
pub(super) async fn update(
    State(app): State<App>,
    call: Call,
    At((collection, id)): At<(String, String)>,
    body: Unread,
) -> Answer {
    let submission = submission(&app, &collection, body).await?;
    let records = &app.records;
    let record = records.update(&call, &collection, &id, submission).await?;
    versioned(&call, record)
}

/// `DELETE /records/{id}`
pub(super) async fn delete(
    State(app): State<App>,
    call: Call,
    At((collection, id)): At<(String, String)>,
    body: Unread,
) -> Answer {
    app.records.deletable(&collection)?;
    let call = with_body(call, body).await?;
    app.records.delete(&call, &collection, &id).await?;
    Ok(answer::no_content())
}

/// 200 with a record, and with its version where its JSON was written as versions are made of it.
fn versioned(call: &Call, record: Vec<u8>) -> Answer {
    let expands = call.query("expand").is_some_and(|paths| !paths.is_empty());
    let tag = (!expands).then(|| version::tag(&record));
    let mut response = answer::json(call, record)?;
    if let Some(tag) = tag.and_then(|tag| HeaderValue::from_str(&tag).ok()) {
        response.headers_mut().insert(header::ETAG, tag);
    }
    Ok(response)
}

/// The names in `fields` when they are top-level ones only: the encoder then writes nothing else.
fn plain_fields(call: &Call) -> Option<Vec<String>> {
    let picker = answer::picker(call).ok().flatten()?;
    let names = picker.plain_names()?;
    Some(names.into_iter().map(str::to_owned).collect())
}

/// The call with what was submitted, which rules see even where nothing is written.
async fn with_body(mut call: Call, body: Unread) -> Result<Call, Fault> {
    if !body.is_empty() {
        call.body = Arc::new(body.read(BODY_BYTES_MAX).await?.record()?);
    }
    Ok(call)
}

async fn submission(app: &App, collection: &str, body: Unread) -> Result<Submission, Fault> {
    let limit = app.records.body_limit(collection)?;
    let submitted = body.read(limit).await?;
    Ok(Submission {
        values: submitted.record()?,
        files: submitted.files,
    })
}
