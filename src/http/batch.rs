//! `POST /api/batch`: many writes of records in one transaction. Here is only the reading of its envelope; what the
//! items mean is the records service's.

use std::sync::Arc;
use std::time::Duration;

use axum::extract::State;
use compact_str::CompactString;

use super::answer::{self, Answer};
use super::body::{Submitted, Unread};
use super::error::Fault;
use super::extract;
use crate::app::App;
use crate::call::{Call, Context};
use crate::kit::fields::Picker;
use crate::kit::json::{self, Json, JsonMap};
use crate::kit::limits::{BATCH_BODY_BYTES_MAX, BATCH_URL_CHARS_MAX};
use crate::records::Submission;
use crate::records::batch::{BatchError, Item, Wish};
use crate::schema::{FieldError, FieldErrors};

/// `POST /api/batch`
pub(super) async fn batch(State(app): State<App>, call: Call, body: Unread) -> Answer {
    let settings = app.settings.current();
    let limits = &settings.batch;
    if !limits.enabled {
        return Err(Fault::forbidden().with_message("Batch requests are not allowed."));
    }
    let most = u64::try_from(limits.max_body_size).unwrap_or(0);
    let most = if most == 0 {
        BATCH_BODY_BYTES_MAX
    } else {
        most
    };
    let requests = requests(&body.read(most).await?)?;
    validate(&requests, limits.max_requests)?;
    let (items, pickers) = items(&call, requests);
    within_limits(&app, &call, &items)?;
    let timeout = Duration::from_secs(u64::try_from(limits.timeout).unwrap_or(0).max(1));
    let answers = app.records.batch(items, timeout).await?;
    answer::json(&call, encode(&answers, &pickers)?)
}

/// Items count as the actions that they are, besides the batch itself.
fn within_limits(app: &App, call: &Call, items: &[Item]) -> Result<(), Fault> {
    if !app.limiter.binds(call) {
        return Ok(());
    }
    let catalog = app.store.catalog();
    for (index, item) in items.iter().enumerate() {
        let action = match item.wish {
            Wish::Create | Wish::Upsert => "create",
            Wish::Update(_) => "update",
            Wish::Delete(_) => "delete",
            Wish::Unsupported => continue,
        };
        let Some(collection) = catalog.find(&item.collection) else {
            continue;
        };
        let path = format!("/api/collections/{}/records", item.collection);
        let standing = app
            .limiter
            .count_action(&item.call, collection, &[action], &path);
        if !standing.is_admitted() {
            app.metrics.limit();
            return Err(item_fault(index, &Fault::too_many_requests()));
        }
    }
    Ok(())
}

/// One request as it was sent.
struct Request {
    method: String,
    url: String,
    headers: JsonMap,
    body: JsonMap,
    files: Vec<(CompactString, crate::files::Upload)>,
}

fn requests(submitted: &Submitted) -> Result<Vec<Request>, Fault> {
    let unreadable =
        || Fault::bad_request().with_message("Failed to read the submitted batch data.");
    let form = submitted.form().map_err(|_| unreadable())?;
    let listed = match form.get("requests") {
        None | Some(Json::Null) => &[],
        Some(Json::Array(items)) => items.as_slice(),
        Some(_) => return Err(unreadable()),
    };
    let mut requests = Vec::with_capacity(listed.len());
    for item in listed {
        requests.push(request(item).ok_or_else(unreadable)?);
    }
    for (part, upload) in &submitted.files {
        if let Some((index, key)) = part_of(part)
            && let Some(request) = requests.get_mut(index)
        {
            request.files.push((key.into(), upload.clone()));
        }
    }
    Ok(requests)
}

/// `requests.N.KEY` or `requests[N].KEY`.
fn part_of(part: &str) -> Option<(usize, &str)> {
    let rest = part.strip_prefix("requests")?;
    let (index, key) = match rest.strip_prefix('[') {
        Some(rest) => rest.split_once("].")?,
        None => rest.strip_prefix('.')?.split_once('.')?,
    };
    Some((index.parse().ok()?, key))
}

/// A request from JSON; property names match in any case, types must fit.
fn request(item: &Json) -> Option<Request> {
    let map = match item {
        Json::Null => &JsonMap::new(),
        Json::Object(map) => map,
        _ => return None,
    };
    let member = |name: &str| {
        map.get(name).or_else(|| {
            map.iter()
                .find(|(key, _)| key.eq_ignore_ascii_case(name))
                .map(|(_, value)| value)
        })
    };
    let text = |name| match member(name) {
        None | Some(Json::Null) => Some(String::new()),
        Some(Json::String(text)) => Some(text.clone()),
        Some(_) => None,
    };
    let object = |name| match member(name) {
        None | Some(Json::Null) => Some(JsonMap::new()),
        Some(Json::Object(map)) => Some(map.clone()),
        Some(_) => None,
    };
    let headers = object("headers")?;
    headers.values().all(Json::is_string).then_some(())?;
    Some(Request {
        method: text("method")?,
        url: text("url")?,
        headers,
        body: object("body")?,
        files: Vec::new(),
    })
}

fn validate(requests: &[Request], most: i64) -> Result<(), Fault> {
    let mut errors = FieldErrors::new();
    let count = i64::try_from(requests.len()).unwrap_or(i64::MAX);
    if requests.is_empty() {
        errors.add("requests", FieldError::required());
    } else if count > most {
        errors.add("requests", too_long(most));
    } else {
        let mut listed = FieldErrors::new();
        for (index, request) in requests.iter().enumerate() {
            listed.nest(index.to_string(), request_errors(request));
        }
        errors.nest("requests", listed);
    }
    if errors.is_empty() {
        return Ok(());
    }
    Err(Fault::bad_request()
        .with_message("Invalid batch request data.")
        .with_data(errors))
}

fn request_errors(request: &Request) -> FieldErrors {
    let mut errors = FieldErrors::new();
    if request.method.is_empty() {
        errors.add("method", FieldError::required());
    } else if !["GET", "POST", "PUT", "PATCH", "DELETE"].contains(&request.method.as_str()) {
        errors.add(
            "method",
            FieldError::new("validation_in_invalid", "Must be a valid value."),
        );
    }
    if request.url.is_empty() {
        errors.add("url", FieldError::required());
    } else if request.url.chars().count() > BATCH_URL_CHARS_MAX {
        let most = i64::try_from(BATCH_URL_CHARS_MAX).unwrap_or(i64::MAX);
        errors.add("url", too_long(most));
    }
    errors
}

fn too_long(most: i64) -> FieldError {
    FieldError::new(
        "validation_length_too_long",
        format!("The length must be no more than {most}."),
    )
    .with("min", 0)
    .with("max", most)
}

/// Items for the service and the pickers for their answers. One that makes no sense fails when its turn comes.
fn items(call: &Call, requests: Vec<Request>) -> (Vec<Item>, Vec<Option<Picker>>) {
    requests
        .into_iter()
        .map(|request| {
            let mut item = item(call, request);
            let picker = answer::picker(&item.call).unwrap_or_else(|_| {
                item.wish = Wish::Unsupported;
                None
            });
            (item, picker)
        })
        .unzip()
}

fn item(outer: &Call, request: Request) -> Item {
    let (path, query) = request.url.split_once('?').unwrap_or((&request.url, ""));
    let (collection, wish) =
        target(&request.method, path).unwrap_or((CompactString::default(), Wish::Unsupported));
    Item {
        call: Call {
            context: Context::Batch,
            method: request.method.as_str().into(),
            query: Arc::new(extract::first_values(query)),
            headers: Arc::new(merged_headers(outer, &request.headers)),
            body: Arc::new(request.body.clone()),
            ..outer.clone()
        },
        wish,
        collection,
        submission: Submission {
            values: request.body,
            files: request.files,
        },
    }
}

/// Collection and wish that a method and path mean; `None` for what is no supported action.
fn target(method: &str, path: &str) -> Option<(CompactString, Wish)> {
    let path = path.strip_prefix("/api/collections/")?;
    let (collection, rest) = path.split_once('/')?;
    let id = match rest.strip_prefix("records")? {
        "" => None,
        rest => Some(extract::unescape_path(rest.strip_prefix('/')?)?),
    };
    if id
        .as_ref()
        .is_some_and(|id| id.is_empty() || id.contains('/'))
    {
        return None;
    }
    let wish = match (method, id) {
        ("POST", None) => Wish::Create,
        ("PUT", None) => Wish::Upsert,
        ("PATCH", Some(id)) => Wish::Update(id),
        ("DELETE", Some(id)) => Wish::Delete(id),
        _ => return None,
    };
    Some((extract::unescape_path(collection)?, wish))
}

/// Inner headers lie over the outer ones, but for the one that says who asks.
fn merged_headers(outer: &Call, inner: &JsonMap) -> Vec<(CompactString, CompactString)> {
    let mut headers = outer.headers.as_ref().clone();
    for (name, value) in inner {
        let name = CompactString::from(name.to_ascii_lowercase().replace('-', "_"));
        let value = CompactString::from(value.as_str().unwrap_or(""));
        if name == "authorization" {
            continue;
        }
        match headers.iter_mut().find(|(known, _)| *known == name) {
            Some(known) => known.1 = value,
            None => headers.push((name, value)),
        }
    }
    headers
}

fn encode(answers: &[Option<Vec<u8>>], pickers: &[Option<Picker>]) -> Result<Vec<u8>, Fault> {
    let mut out = vec![b'['];
    for (index, record) in answers.iter().enumerate() {
        if index > 0 {
            out.push(b',');
        }
        out.extend_from_slice(b"{\"body\":");
        match (record, pickers.get(index)) {
            (None, _) => out.extend_from_slice(b"null,\"status\":204}"),
            (Some(record), Some(Some(picker))) => {
                let mut value = json::parse_first(record).map_err(Fault::internal)?;
                picker.pick_item(&mut value);
                json::write(&value, &mut out);
                out.extend_from_slice(b",\"status\":200}");
            }
            (Some(record), _) => {
                out.extend_from_slice(record);
                out.extend_from_slice(b",\"status\":200}");
            }
        }
    }
    out.push(b']');
    Ok(out)
}

/// The answer to a batch whose request at `index` would have been answered by `inner`.
fn item_fault(index: usize, inner: &Fault) -> Fault {
    let leaf = serde_json::json!({
        "code": "batch_request_failed",
        "message": "Batch request failed.",
        "response": inner.to_json(),
    });
    let mut listed = FieldErrors::new();
    listed.raw(index.to_string(), leaf);
    let mut errors = FieldErrors::new();
    errors.nest("requests", listed);
    Fault::bad_request()
        .with_message("Batch transaction failed.")
        .with_data(errors)
}

impl From<BatchError> for Fault {
    fn from(error: BatchError) -> Self {
        match error {
            BatchError::Item { index, error } => item_fault(index, &Self::from(*error)),
            BatchError::Store(error) => Self::bad_request()
                .with_message("Batch transaction failed.")
                .caused_by(error),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_name_their_request_in_two_ways() {
        assert_eq!(part_of("requests.0.doc+"), Some((0, "doc+")));
        assert_eq!(part_of("requests[12].doc"), Some((12, "doc")));
        for other in [
            "requests",
            "requests.x.doc",
            "requests.1",
            "doc",
            "requests[1]doc",
        ] {
            assert_eq!(part_of(other), None, "{other}");
        }
    }
}
