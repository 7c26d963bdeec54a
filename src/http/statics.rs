//! What no route takes: files of the public directory for GET and HEAD, 404 for everything else.

use axum::extract::State;
use axum::http::Method;

use super::answer::Answer;
use super::error::Fault;
use crate::app::App;

/// Answers a request that no route takes.
pub(super) async fn fallback(State(_app): State<App>, method: Method) -> Answer {
    if method == Method::GET || method == Method::HEAD {
        return Err(Fault::not_found().with_message("File not found."));
    }
    Err(Fault::not_found())
}
