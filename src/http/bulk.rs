//! `/api/collections/{collection}/bulk` and `/api/bulk`: one order for many records. Here is the reading of orders and
//! the telling of progress, a line of JSON at a time.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use axum::extract::State;
use axum::http::{HeaderValue, Response, header};
use bytes::Bytes;
use compact_str::CompactString;
use futures_util::stream;
use serde_json::json;
use tokio::sync::watch;

use super::answer::{self, Answer};
use super::body::Unread;
use super::error::Fault;
use super::extract::{At, Superuser};
use crate::app::App;
use crate::kit::json::{self, Json, JsonMap};
use crate::kit::limits::{BODY_BYTES_MAX, BULK_LINE_MILLIS};
use crate::records;
use crate::records::bulk::{Deed, Job, Order, Progress, Target};
use crate::schema::{FieldError, FieldErrors};

/// `POST /api/collections/{collection}/bulk`
pub(super) async fn start(
    State(app): State<App>,
    Superuser(call): Superuser,
    At(collection): At<String>,
    body: Unread,
) -> Answer {
    app.records.known(&collection)?;
    let order = order(body.read(BODY_BYTES_MAX).await?.record()?)?;
    let job = app.records.bulk(&call, &collection, order).await?;
    Ok(told(job))
}

/// `GET /api/bulk`
pub(super) async fn list(State(app): State<App>, Superuser(call): Superuser) -> Answer {
    let jobs = app.records.bulk_jobs(&call)?;
    let items = jobs.iter().map(|job| to_json(job, &job.progress()));
    answer::value(&call, &json!({"items": Json::Array(items.collect())}))
}

/// `GET /api/bulk/{job}`
pub(super) async fn view(
    State(app): State<App>,
    Superuser(call): Superuser,
    At(job): At<String>,
) -> Answer {
    let job = app.records.bulk_job(&call, &job)?;
    answer::value(&call, &to_json(&job, &job.progress()))
}

/// `DELETE /api/bulk/{job}`
pub(super) async fn stop(
    State(app): State<App>,
    Superuser(call): Superuser,
    At(job): At<String>,
) -> Answer {
    app.records.bulk_job(&call, &job)?.stop();
    Ok(answer::no_content())
}

/// `POST /api/bulk/{job}/undo`
pub(super) async fn undo(
    State(app): State<App>,
    Superuser(call): Superuser,
    At(job): At<String>,
) -> Answer {
    Ok(told(app.records.bulk_undo(&call, &job)?))
}

fn order(mut body: JsonMap) -> Result<Order, Fault> {
    let mut errors = FieldErrors::new();
    let deed = match body.get("action").and_then(Json::as_str) {
        Some("update") => Some(Deed::Update),
        Some("delete") => Some(Deed::Delete),
        Some("duplicate") => Some(Deed::Duplicate),
        _ => {
            let text = "Must be update, delete or duplicate.";
            errors.add("action", FieldError::new("validation_in_invalid", text));
            None
        }
    };
    let target = match (body.remove("ids"), body.remove("filter")) {
        (Some(Json::Array(ids)), None) => {
            let ids: Option<Vec<CompactString>> = ids
                .iter()
                .map(|id| id.as_str().map(CompactString::from))
                .collect();
            ids.map(Target::Ids)
        }
        (None, Some(Json::String(text))) => Some(Target::Filter(text)),
        _ => None,
    };
    if target.is_none() {
        let text = "Must be a list of ids, or there must be a filter instead.";
        errors.add("ids", FieldError::new("validation_invalid", text));
    }
    let values = match body.remove("values") {
        None | Some(Json::Null) => Some(JsonMap::new()),
        Some(Json::Object(values)) => Some(values),
        Some(_) => {
            errors.add("values", FieldError::invalid());
            None
        }
    };
    let delay = match body.get("delay") {
        None | Some(Json::Null) => Some(0),
        Some(delay) => delay.as_u64(),
    };
    if delay.is_none() {
        errors.add("delay", FieldError::invalid());
    }
    match (deed, target, values, delay) {
        (Some(deed), Some(target), Some(values), Some(delay)) => Ok(Order {
            deed,
            target,
            values,
            delay: Duration::from_millis(delay),
        }),
        _ => Err(records::Error::Bulk(errors).into()),
    }
}

fn to_json(job: &Job, progress: &Progress) -> Json {
    let mut told = json!({
        "action": job.deed.as_str(),
        "collection": job.collection.name,
        "done": progress.done,
        "failed": progress.failed,
        "id": job.id,
        "state": progress.state.as_str(),
        "total": job.total,
        "undo": job.can_undo(),
    });
    if job.is_over() {
        let failures = progress.failures.iter().map(|failure| {
            json!({"data": failure.data, "id": failure.record, "message": failure.message})
        });
        told["errors"] = Json::Array(failures.collect());
    }
    told
}

/// The progress of a job as it comes, up to its end.
fn told(job: Arc<Job>) -> Response<Body> {
    let follow = job.follow();
    let telling = Telling {
        job,
        follow,
        at: Place::Beginning,
    };
    let mut response = Response::new(Body::from_stream(stream::unfold(telling, step)));
    let headers = response.headers_mut();
    let kind = HeaderValue::from_static("application/x-ndjson");
    headers.insert(header::CONTENT_TYPE, kind);
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert("X-Accel-Buffering", HeaderValue::from_static("no"));
    response
}

struct Telling {
    job: Arc<Job>,
    follow: watch::Receiver<Progress>,
    at: Place,
}

enum Place {
    Beginning,
    Middle,
    End,
}

/// The next line. Changes come quicker than anybody reads: those of a short while are one line.
async fn step(mut telling: Telling) -> Option<(Result<Bytes, Infallible>, Telling)> {
    match telling.at {
        Place::Beginning => telling.at = Place::Middle,
        Place::Middle => {
            if !telling.job.is_over() {
                tokio::time::sleep(Duration::from_millis(BULK_LINE_MILLIS)).await;
                telling.follow.changed().await.ok()?;
            }
        }
        Place::End => return None,
    }
    let progress = telling.follow.borrow_and_update().clone();
    if telling.job.is_over() {
        telling.at = Place::End;
    }
    let mut line = json::to_text(&to_json(&telling.job, &progress)).into_bytes();
    line.push(b'\n');
    Some((Ok(line.into()), telling))
}
