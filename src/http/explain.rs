//! `POST /api/collections/{collection}/explain`: why a rule says yes or no; superusers only.

use std::sync::Arc;

use axum::extract::State;
use compact_str::CompactString;

use super::answer::{self, Answer};
use super::body::Unread;
use super::error::Fault;
use super::extract::{At, Superuser};
use super::form::Form;
use crate::app::App;
use crate::call::{Call, Context};
use crate::kit::json::{Json, JsonMap};
use crate::kit::limits::BODY_BYTES_MAX;
use crate::records::Question;

/// `POST /api/collections/{collection}/explain`
pub(super) async fn explain(
    State(app): State<App>,
    Superuser(call): Superuser,
    At(collection): At<String>,
    body: Unread,
) -> Answer {
    let form = body.read(BODY_BYTES_MAX).await?.form()?;
    let question = question(&call, &form)?;
    let explained = app.records.explain(&collection, question).await?;
    answer::ordered(&call, &explained)
}

fn question(call: &Call, form: &Form) -> Result<Question, Fault> {
    let rule = form.text("rule")?;
    let text = match form.get("text") {
        None | Some(Json::Null) => None,
        Some(_) => Some(form.text("text")?),
    };
    let caller = form.object("caller")?;
    let part = |name: &str| match caller.get(name) {
        None | Some(Json::Null) => Ok(String::new()),
        Some(Json::String(text)) => Ok(text.clone()),
        Some(_) => Err(Fault::unreadable_form()),
    };
    let caller = (!caller.is_empty()).then_some((part("collection")?, part("id")?));
    let mut request = Call {
        context: context(&form.text("context")?)?,
        query: Arc::new(pairs(form.object("query")?, |name| name)),
        headers: Arc::new(pairs(form.object("headers")?, |name| {
            name.to_ascii_lowercase().replace('-', "_")
        })),
        body: Arc::default(),
        ..call.clone()
    };
    let method = form.text("method")?;
    request.method = match (method.is_empty(), rule.as_str()) {
        (false, _) => method.to_ascii_uppercase().into(),
        (true, "createRule") => CompactString::const_new("POST"),
        (true, "updateRule") => CompactString::const_new("PATCH"),
        (true, "deleteRule") => CompactString::const_new("DELETE"),
        (true, _) => CompactString::const_new("GET"),
    };
    Ok(Question {
        rule,
        text,
        caller,
        record: form.text("record")?,
        values: form.object("values")?,
        request,
    })
}

fn context(name: &str) -> Result<Context, Fault> {
    let all = [
        Context::Default,
        Context::OAuth2,
        Context::Otp,
        Context::Password,
        Context::Realtime,
        Context::ProtectedFile,
        Context::Expand,
        Context::Batch,
    ];
    if name.is_empty() {
        return Ok(Context::Default);
    }
    all.into_iter()
        .find(|context| context.as_str() == name)
        .ok_or_else(Fault::unreadable_form)
}

fn pairs(map: JsonMap, named: impl Fn(String) -> String) -> Vec<(CompactString, CompactString)> {
    let text = |value: Json| match value {
        Json::String(text) => CompactString::from(text),
        other => CompactString::from(other.to_string()),
    };
    map.into_iter()
        .map(|(name, value)| (CompactString::from(named(name)), text(value)))
        .collect()
}
