//! `/api/backups`: archives of the whole directory, superusers only.

use axum::extract::State;
use axum::http::{HeaderMap, HeaderValue, Method, Response, header};

use axum::body::Body;

use super::answer::{self, Answer};
use super::body::Unread;
use super::error::Fault;
use super::extract::{At, InPerson, Superuser};
use super::files;
use crate::app::App;
use crate::call::Call;
use crate::kit::limits::BODY_BYTES_MAX;

/// `GET /api/backups`
pub(super) async fn list(State(app): State<App>, Superuser(call): Superuser) -> Answer {
    answer::ordered(&call, &app.backups.list().await?)
}

/// `POST /api/backups`
pub(super) async fn create(
    State(app): State<App>,
    Superuser(_call): Superuser,
    body: Unread,
) -> Answer {
    let unreadable =
        || Fault::bad_request().with_message("An error occurred while loading the submitted data.");
    let form = body.read(BODY_BYTES_MAX).await?.form();
    let name = form.and_then(|form| form.text("name"));
    app.backups.create(&name.map_err(|_| unreadable())?).await?;
    Ok(answer::no_content())
}

/// `POST /api/backups/upload`: as large as the disk allows.
pub(super) async fn upload(
    State(app): State<App>,
    InPerson(_call): InPerson,
    body: Unread,
) -> Answer {
    let files = body.read(u64::MAX).await?.files;
    let file = files.into_iter().find(|(name, _)| name == "file");
    app.backups.upload(file.map(|(_, file)| file)).await?;
    Ok(answer::no_content())
}

/// `GET /api/backups/{key}`: for the file token of a superuser, as links carry it.
pub(super) async fn download(
    State(app): State<App>,
    call: Call,
    At(key): At<String>,
    method: Method,
    headers: HeaderMap,
) -> Answer {
    if !files::bearer(&app, &call).await?.is_superuser() {
        return Err(
            Fault::forbidden().with_message("Insufficient permissions to access the resource.")
        );
    }
    let blob = app
        .backups
        .open(&key, files::want(&method, &headers))
        .await?;
    let mut response = Response::new(Body::empty());
    let own = response.headers_mut();
    files::set(own, header::CONTENT_TYPE, &blob.mime);
    files::set(own, header::CONTENT_DISPOSITION, &files::attachment(&key));
    // Every secret of the application is in there.
    own.insert(
        header::CACHE_CONTROL,
        HeaderValue::from_static("private, no-store"),
    );
    files::deliver(&headers, response, blob).await
}

/// `DELETE /api/backups/{key}`
pub(super) async fn delete(
    State(app): State<App>,
    Superuser(_call): Superuser,
    At(key): At<String>,
) -> Answer {
    app.backups.delete(&key).await?;
    Ok(answer::no_content())
}

/// `POST /api/backups/{key}/restore`
pub(super) async fn restore(
    State(app): State<App>,
    InPerson(_call): InPerson,
    At(key): At<String>,
) -> Answer {
    app.backups.restore(&key).await?;
    Ok(answer::no_content())
}
