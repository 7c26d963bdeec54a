//! The two transports of realtime: Server-Sent Events as the official SDK speaks them, and WebSocket frames.

mod pace;
mod socket;
pub(super) mod stats;
mod stream;

use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::Response;

use super::answer::{self, Answer};
use super::body::Unread;
use super::error::Fault;
use crate::app::App;
use crate::call::Call;
use crate::kit::limits::{BODY_BYTES_MAX, SUBSCRIPTION_BYTES_MAX};
use crate::realtime::ClientId;
use crate::schema::{FieldError, FieldErrors};

/// `GET /api/realtime`: a stream of events, or a WebSocket where the request asks for one.
pub(super) async fn connect(State(app): State<App>, call: Call, request: Request) -> Answer {
    if socket::is_upgrade(request.headers()) {
        return socket::open(app, &call, request);
    }
    stream::open(&app, &call)
}

/// `POST /api/realtime`: replaces the subscriptions of an event stream.
pub(super) async fn submit(
    State(app): State<App>,
    call: Call,
    body: Unread,
) -> Result<Response<Body>, Fault> {
    let form = body.read(BODY_BYTES_MAX).await?.form()?;
    let client = form.text("clientId")?;
    let topics = form.texts("subscriptions")?;
    let most = app.settings.current().realtime.subscriptions_max();
    validate(&client, &topics, most)?;
    let id = ClientId::from_text(&client);
    app.hub
        .submit_anywhere(&id, &call.actor, call.client_ip, &topics)
        .await?;
    Ok(answer::no_content())
}

fn validate(client: &str, topics: &[String], most: usize) -> Result<(), Fault> {
    const CLIENT_CHARS_MAX: usize = 255;
    let mut errors = FieldErrors::new();
    if client.is_empty() {
        errors.add("clientId", FieldError::required());
    } else if client.chars().count() > CLIENT_CHARS_MAX {
        errors.add("clientId", length_out_of_range(CLIENT_CHARS_MAX));
    }
    if topics.len() > most {
        errors.add("subscriptions", length_too_long(most));
    } else {
        let mut items = FieldErrors::new();
        for (index, _) in topics
            .iter()
            .enumerate()
            .filter(|(_, topic)| topic.len() > SUBSCRIPTION_BYTES_MAX)
        {
            items.add(index.to_string(), length_too_long(SUBSCRIPTION_BYTES_MAX));
        }
        errors.nest("subscriptions", items);
    }
    if errors.is_empty() {
        return Ok(());
    }
    Err(Fault::bad_request()
        .with_message("An error occurred while validating the submitted data.")
        .with_data(errors))
}

fn length_too_long(max: usize) -> FieldError {
    FieldError::new(
        "validation_length_too_long",
        format!("The length must be no more than {max}."),
    )
    .with("min", 0)
    .with("max", max)
}

fn length_out_of_range(max: usize) -> FieldError {
    FieldError::new(
        "validation_length_out_of_range",
        format!("The length must be between 1 and {max}."),
    )
    .with("min", 1)
    .with("max", max)
}
