//! Coming back from a provider to the connection that began (contract-auth 2.12): the state is the secret id of a realtime
//! connection that waits for it, is good once, and only from where the connection comes from. Nothing of what arrived is
//! shown to whoever brought it.

use std::collections::HashMap;

use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use parking_lot::Mutex;
use sha2::{Digest, Sha256};

use super::service::Auth;
use crate::call::Call;
use crate::kit::json::{self, Json};
use crate::kit::limits::{APPLE_NAME_BYTES_MAX, APPLE_NAME_MILLIS, APPLE_NAMES_MAX};
use crate::kit::time::Timestamp;
use crate::realtime::{ClientId, Hub};
use crate::store::{Common, Note, Store};

/// The one provider that tells a name on the way back and never again.
pub(super) const NAMING_PROVIDER: &str = "apple";
/// What a connection that waits for somebody to come back has subscribed to.
const TOPIC: &str = "@oauth2";

/// What a provider sent somebody back with.
#[derive(Clone, Debug, Default)]
pub struct Returned {
    /// Id of the connection that began.
    pub state: String,
    /// The code.
    pub code: String,
    /// What the provider complains of.
    pub error: String,
    /// The name, in a form of Apple's.
    pub user: String,
}

/// Names by the code that they came with, for a minute; the servers of one PostgreSQL keep them together.
#[derive(Debug, Default)]
pub(super) struct Names {
    common: Option<Common>,
    own: Mutex<HashMap<String, (Timestamp, String)>>,
}

/// What they are called in the database.
const KIND: &str = "name";

impl Names {
    /// For the servers of `store`.
    pub(super) fn of(store: &Store) -> Self {
        Self {
            common: store.common().cloned(),
            own: Mutex::default(),
        }
    }

    fn keep(&self, code: &str, user: &str, now: Timestamp) {
        let Some(name) = name_of(user).filter(|_| code.len() <= APPLE_NAME_BYTES_MAX) else {
            return;
        };
        let ends = now.plus_millis(APPLE_NAME_MILLIS);
        if let Some(common) = &self.common {
            let note = Note {
                kind: KIND,
                key: &print_of(code),
                owner: "",
                value: &name,
                ends,
            };
            if let Err(error) = common.keep(note, now) {
                tracing::warn!(%error, "the name that a provider told is lost");
            }
            return;
        }
        let mut names = self.own.lock();
        names.retain(|_, (until, _)| *until > now);
        if names.len() < APPLE_NAMES_MAX {
            names.insert(code.to_owned(), (ends, name));
        }
    }

    /// The name that came with `code`, once.
    pub(super) fn take(&self, code: &str, now: Timestamp) -> Option<String> {
        if let Some(common) = &self.common {
            return common
                .take(KIND, &print_of(code), now)
                .unwrap_or_else(|error| {
                    tracing::warn!(%error, "the name that a provider told cannot be read");
                    None
                });
        }
        let (until, name) = self.own.lock().remove(code)?;
        (until > now).then_some(name)
    }
}

/// A code is a secret, and any text.
fn print_of(code: &str) -> String {
    BASE64_URL_SAFE_NO_PAD.encode(Sha256::digest(code))
}

fn name_of(user: &str) -> Option<String> {
    let user = json::parse(user).ok()?;
    let part = |key: &str| user["name"][key].as_str().unwrap_or("").trim().to_owned();
    let name = format!("{} {}", part("firstName"), part("lastName"));
    let name = name.trim();
    let fits = !name.is_empty() && name.len() <= APPLE_NAME_BYTES_MAX;
    fits.then(|| name.to_owned())
}

impl Auth {
    /// Hands what came back to the connection that waits for it; whether the sign-in can go on.
    pub async fn come_back(&self, hub: &Hub, call: &Call, returned: &Returned) -> bool {
        if returned.state.is_empty() {
            return false;
        }
        let mut told = serde_json::json!({
            "state": returned.state,
            "code": returned.code,
        });
        if !returned.error.is_empty() {
            told["error"] = Json::from(returned.error.as_str());
            // A code beside an error is worth nothing.
            told["code"] = Json::from("");
        }
        let client = ClientId::from_text(&returned.state);
        let heard = hub.tell_once_anywhere(&client, call.client_ip, TOPIC, &told);
        let heard = heard.await;
        let good = heard && returned.error.is_empty() && !returned.code.is_empty();
        if good && !returned.user.is_empty() {
            self.names().keep(&returned.code, &returned.user, call.now);
        }
        good
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp::from_millis(1_700_000_000_000);

    #[test]
    fn a_name_is_told_once_and_for_a_minute() {
        let names = Names::default();
        let user = r#"{"name":{"firstName":"Ann","lastName":"Lee"}}"#;
        names.keep("a", user, NOW);
        names.keep("b", user, NOW);
        names.keep("c", r#"{"name":"Ann"}"#, NOW);
        names.keep("d", "no json", NOW);
        assert_eq!(names.take("a", NOW).as_deref(), Some("Ann Lee"));
        assert_eq!(names.take("a", NOW), None);
        assert_eq!(names.take("b", NOW.plus_millis(APPLE_NAME_MILLIS)), None);
        assert_eq!(names.take("c", NOW), None);
        assert_eq!(names.take("d", NOW), None);
    }

    #[test]
    fn a_flood_of_names_is_bounded() {
        let names = Names::default();
        let user = r#"{"name":{"firstName":"Ann"}}"#;
        for n in 0..APPLE_NAMES_MAX + 10 {
            names.keep(&n.to_string(), user, NOW);
        }
        assert_eq!(names.own.lock().len(), APPLE_NAMES_MAX);
        let long = format!(
            r#"{{"name":{{"firstName":"{}"}}}}"#,
            "x".repeat(APPLE_NAME_BYTES_MAX + 1)
        );
        let later = NOW.plus_millis(APPLE_NAME_MILLIS);
        names.keep("long", &long, later);
        assert_eq!(names.take("long", later), None);
        names.keep("late", user, later);
        assert_eq!(names.own.lock().len(), 1);
    }
}
