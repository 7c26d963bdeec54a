//! `GET /api/realtime/stats`: what realtime holds and does, for superusers. No secret id of a connection appears.

use axum::extract::State;
use serde_json::json;

use crate::app::App;
use crate::http::answer::{self, Answer};
use crate::http::extract::Superuser;
use crate::realtime::Transport;

/// `GET /api/realtime/stats`
pub(in crate::http) async fn view(State(app): State<App>, Superuser(call): Superuser) -> Answer {
    let survey = app.hub.survey();
    let topics: Vec<_> = survey
        .topics
        .iter()
        .map(|seen| json!({"topic": seen.topic, "subscriptions": seen.subscriptions}))
        .collect();
    let latest: Vec<_> = survey
        .latest
        .iter()
        .map(|seen| {
            let person = seen.person.as_ref();
            json!({
                "transport": match seen.transport {
                    Transport::Sse => "sse",
                    Transport::WebSocket => "webSocket",
                },
                "address": seen.address.to_string(),
                "since": seen.since.to_text(),
                "collectionName": person.map(|(collection, _)| collection),
                "recordId": person.map(|(_, id)| id),
                "subscriptions": seen.subscriptions,
                "waiting": seen.waiting,
            })
        })
        .collect();
    let answer = json!({
        "connections": {
            "webSocket": survey.web_sockets,
            "sse": survey.streams,
            "signedIn": survey.signed_in,
            "max": survey.connections_max,
            "latest": latest,
        },
        "subscriptions": {
            "total": survey.subscriptions,
            "groups": survey.groups,
            "replaying": survey.replaying,
            "topics": topics,
        },
        "channels": {
            "open": survey.channels.open,
            "members": survey.channels.members,
            "historyBytes": survey.channels.history_bytes,
        },
        "totals": {
            "events": survey.events,
            "frames": survey.frames,
            "messages": survey.messages,
            "putBack": survey.put_back,
            "resets": survey.resets,
        },
        "perSecond": {
            "events": survey.rates.events,
            "frames": survey.rates.frames,
        },
        "lag": {
            "milliseconds": survey.lag.as_secs_f64() * 1000.0,
            "changes": survey.waiting,
        },
    });
    answer::value(&call, &answer)
}
