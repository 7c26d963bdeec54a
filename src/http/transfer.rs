//! `/api/collections/{collection}/import` and `/export`: records in bulk, superusers only.

use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::body::{Body, Bytes};
use axum::extract::State;
use axum::http::{HeaderMap, HeaderValue, Response, header};
use futures_util::stream;
use parking_lot::Mutex;
use tokio::sync::mpsc;

use super::answer::{self, Answer};
use super::body::{Spooled, Unread};
use super::error::Fault;
use super::extract::{At, Superuser, text};
use super::files;
use crate::app::App;
use crate::call::Call;
use crate::kit::json::{self, Json};
use crate::kit::limits::IMPORT_BYTES_MAX;
use crate::kit::task::Task;
use crate::records::Error;
use crate::records::transfer::{Asked, Export, Format, ImportOptions, Input, Progress, Watch};

/// Between two lines of progress.
const PROGRESS_PACE: Duration = Duration::from_millis(250);
/// Lines of progress that wait for a client; further ones are left out.
const PROGRESS_WAITING: usize = 4;

/// `POST /api/collections/{collection}/import`
pub(super) async fn import(
    State(app): State<App>,
    Superuser(call): Superuser,
    At(name): At<String>,
    headers: HeaderMap,
    body: Unread,
) -> Answer {
    app.records.known(&name)?;
    let spooled = body.spool(IMPORT_BYTES_MAX).await?;
    let options = options(&call, &spooled)?;
    let input = Input {
        bytes: Some(spooled.file.size),
        reader: spooled.file.open().map_err(Fault::internal)?,
    };
    let streamed = text(&headers, header::ACCEPT).contains("application/x-ndjson");
    if streamed {
        return followed(app, call, name, input, options).await;
    }
    let watch: Watch = Arc::new(|_| true);
    let report = app.records.import(&call, &name, input, options, watch);
    answer::value(&call, &report.await?.to_json())
}

/// Parameters of the query string, or parts of the form beside the file.
fn options(call: &Call, spooled: &Spooled) -> Result<ImportOptions, Fault> {
    let of = |name: &str| match call.query(name) {
        Some(value) if !value.is_empty() => value.to_owned(),
        _ => spooled.text(name).to_owned(),
    };
    let guess =
        Format::of_media(&spooled.content_type).or_else(|| Format::of_file(&spooled.file.name));
    let asked = Asked {
        format: &of("format"),
        separator: &of("separator"),
        mapping: &of("mapping"),
        upsert: &of("upsert"),
        dry_run: &of("dryRun"),
        on_error: &of("onError"),
    };
    Ok(asked.options(guess)?)
}

/// Answers with lines of progress and the report as the last one. What cannot begin is refused as otherwise.
async fn followed(
    app: App,
    call: Call,
    name: String,
    input: Input,
    options: ImportOptions,
) -> Answer {
    let (lines, mut waiting) = mpsc::channel::<Json>(PROGRESS_WAITING);
    let (begun, begins) = tokio::sync::oneshot::channel::<Result<(), Error>>();
    let begun = Arc::new(Mutex::new(Some(begun)));
    let told = Mutex::new(None::<Instant>);
    let watch: Watch = {
        let (lines, begun) = (lines.clone(), Arc::clone(&begun));
        Arc::new(move |progress: Progress| {
            if let Some(begun) = begun.lock().take() {
                drop(begun.send(Ok(())));
            }
            let mut told = told.lock();
            if told.is_none_or(|at| at.elapsed() >= PROGRESS_PACE) {
                *told = Some(Instant::now());
                // A client that does not read misses a line, one that has left ends the import.
                drop(lines.try_send(progress.to_json()));
            }
            !lines.is_closed()
        })
    };
    let work = Task::spawn(async move {
        let done = app
            .records
            .import(&call, &name, input, options, watch)
            .await;
        let first = begun.lock().take();
        match (first, done) {
            (Some(begun), Err(error)) => drop(begun.send(Err(error))),
            (begun, done) => {
                if let Some(begun) = begun {
                    drop(begun.send(Ok(())));
                }
                let last = match done {
                    Ok(report) => report.to_json(),
                    Err(error) => {
                        let mut last = Fault::from(error).to_json();
                        last["type"] = Json::from("error");
                        last
                    }
                };
                drop(lines.send(last).await);
            }
        }
    });
    begins.await.map_err(Fault::internal)??;
    let body = stream::poll_fn(move |context| {
        // Held until the last line: dropped with the answer, it ends the import.
        let _work = &work;
        waiting.poll_recv(context).map(|line| {
            line.map(|line| {
                let mut line = json::to_text(&line);
                line.push('\n');
                Ok::<_, std::convert::Infallible>(Bytes::from(line))
            })
        })
    });
    let mut response = Response::new(Body::from_stream(body));
    response.headers_mut().insert(
        header::CONTENT_TYPE,
        HeaderValue::from_static("application/x-ndjson"),
    );
    Ok(response)
}

/// `GET /api/collections/{collection}/export`
pub(super) async fn export(
    State(app): State<App>,
    Superuser(call): Superuser,
    At(name): At<String>,
    headers: HeaderMap,
) -> Answer {
    let format = match call.query("format").unwrap_or("") {
        "" => Format::of_media(text(&headers, header::ACCEPT)).unwrap_or(Format::Csv),
        name => Format::parse(name).ok_or_else(|| {
            Fault::bad_request().with_message("The format must be csv, json or ndjson.")
        })?,
    };
    let only = call.query("fields").filter(|fields| !fields.is_empty());
    let only = only.map(|fields| fields.split(',').map(|f| f.trim().to_owned()).collect());
    let mut export = app.records.export(&call, &name, format, only);
    let first = export.next().await?.unwrap_or_default();
    let collection = app.collections.view(&name)?;
    let mut response = Response::new(Body::from_stream(stream::unfold(
        (Some(first), export),
        piece,
    )));
    let own = response.headers_mut();
    own.insert(
        header::CONTENT_TYPE,
        HeaderValue::from_static(format.media()),
    );
    let file = format!("{}.{}", collection.name, format.name());
    files::set(own, header::CONTENT_DISPOSITION, &files::attachment(&file));
    own.insert(
        header::CACHE_CONTROL,
        HeaderValue::from_static("private, no-store"),
    );
    Ok(response)
}

type Piece = (Result<Vec<u8>, std::io::Error>, (Option<Vec<u8>>, Export));

/// The first piece, which was read already, then the others. One that cannot be read breaks the answer off, so that
/// nobody takes it for the whole.
async fn piece((first, mut export): (Option<Vec<u8>>, Export)) -> Option<Piece> {
    if let Some(first) = first {
        return Some((Ok(first), (None, export)));
    }
    match export.next().await {
        Ok(Some(piece)) => Some((Ok(piece), (None, export))),
        Ok(None) => None,
        Err(error) => {
            tracing::warn!(%error, "an export broke off");
            Some((
                Err(std::io::Error::other("the export broke off")),
                (None, export),
            ))
        }
    }
}
