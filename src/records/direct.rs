//! Uploads past this server: a client that may make or change a record gets an address to put one file at, and a token
//! that stands for the file when the record is made or changed. What came is judged then, as any upload is.

use std::sync::Arc;

use compact_str::CompactString;
use serde::{Deserialize, Serialize};

use super::draft::{Draft, Submission};
use super::{Error, Records, access, check, create, update};
use crate::call::{Actor, Call};
use crate::files::{Shared, Upload};
use crate::kit::json::{Json, JsonMap};
use crate::kit::limits::{DIRECT_BYTES_MAX, DIRECT_SECS_MAX};
use crate::schema::field::resolve_key;
use crate::schema::{Action, Collection, FieldError, FieldErrors, FieldKind};

/// What begins the value of a file field that is a token; no stored name does.
const TOKEN: &str = "direct:";
/// What tokens are sealed for.
const BINDING: &str = "direct upload";

/// What a client is going to upload.
#[derive(Clone, Debug, Default)]
pub struct Expected {
    /// Name of the file field.
    pub field: String,
    /// What the file is called.
    pub name: String,
    /// Bytes.
    pub size: u64,
    /// The record to be changed; empty for one to be made.
    pub record: String,
    /// What else will be submitted: rules may look at it.
    pub values: JsonMap,
}

/// Where it goes.
#[derive(Clone, Debug, Serialize)]
pub struct Invited {
    /// The value that stands for the file.
    token: String,
    /// How the file is sent.
    method: &'static str,
    /// Where to, and how long the address works.
    #[serde(flatten)]
    to: Shared,
}

/// What a token says.
#[derive(Debug, Serialize, Deserialize)]
struct Ticket {
    collection: String,
    field: String,
    /// Who got it.
    owner: String,
    key: String,
    name: String,
    size: u64,
    /// Milliseconds since 1970 until it is good.
    until: i64,
}

impl Records {
    /// Gives an address to put a file at, to a caller whom the rule of creating, or changing, lets through now.
    ///
    /// # Errors
    /// The rule's refusal; [`Error::Upload`] for a file that the field would not take; [`Error::NoBucket`].
    pub async fn invite(
        &self,
        call: &Call,
        collection: &str,
        expected: Expected,
    ) -> Result<Invited, Error> {
        let catalog = self.store().catalog();
        let collection = create::writable(&catalog, collection)?;
        let action = if expected.record.is_empty() {
            Action::Create
        } else {
            Action::Update
        };
        access::gate(&catalog, call, collection, action)?;
        let field = fit(call, collection, &expected)?;
        let ticket = |key: String| Ticket {
            collection: collection.id.as_str().to_owned(),
            field,
            owner: owner(call),
            key,
            name: expected.name.clone(),
            size: expected.size,
            until: call.now.as_millis() + i64::try_from(DIRECT_SECS_MAX * 1_000).unwrap_or(0),
        };
        self.ask_rule(call, collection, &expected).await?;
        let expected = self.files().expect(expected.size);
        let expected = expected.map_err(|error| Error::Storage(error.to_string()))?;
        let (to, key) = expected.ok_or(Error::NoBucket)?;
        let text =
            serde_json::to_string(&ticket(key)).map_err(|error| Error::Files(error.to_string()))?;
        let sealed = self.store().cursors().seal_text(&text, BINDING);
        Ok(Invited {
            token: format!("{TOKEN}{sealed}"),
            method: "PUT",
            to,
        })
    }

    /// Whether the rule lets the caller through with what it says it will submit. What else may be wrong with the values
    /// is told when they are submitted.
    async fn ask_rule(
        &self,
        call: &Call,
        collection: &Arc<Collection>,
        expected: &Expected,
    ) -> Result<(), Error> {
        let upload = Upload::promised(expected.name.clone(), expected.size);
        let submission = Submission {
            values: expected.values.clone(),
            files: vec![(expected.field.as_str().into(), upload)],
        };
        let draft = Draft::new(collection, call, submission);
        let (asker, id) = (call.clone(), CompactString::from(&*expected.record));
        let judged = self.store().read(move |tx| {
            if id.is_empty() {
                create::judge(tx, &asker, &draft).map(drop)
            } else {
                update::judge(tx, &asker, &id, &draft, |_| false).map(drop)
            }
        });
        match judged.await {
            Ok(()) | Err(Error::Create(_) | Error::Update(_)) => Ok(()),
            Err(refused) => Err(refused),
        }
    }

    /// `submission` with files in the place of the tokens that stand for them.
    ///
    /// # Errors
    /// [`Error::Upload`] for a token that means nothing, or whose file has not come.
    pub(super) async fn redeem(
        &self,
        call: &Call,
        collection: &Arc<Collection>,
        mut submission: Submission,
    ) -> Result<Submission, Error> {
        for (key, token) in tokens(collection, &mut submission.values) {
            let Some((index, _)) = resolve_key(collection, &key) else {
                continue;
            };
            let field = &collection.fields[index];
            let refused = |code, text| {
                let error = FieldError::new(code, text);
                Error::Upload(FieldErrors::one(field.name.as_str(), error))
            };
            let ticket = self.ticket(call, collection, &field.id, &token);
            let ticket = ticket.ok_or_else(|| {
                refused(
                    "validation_invalid_upload",
                    "The upload is unknown or too old.",
                )
            })?;
            let arrived = self.files().arrived(&ticket.key, &ticket.name, ticket.size);
            let arrived = arrived
                .await
                .map_err(|error| Error::Storage(error.to_string()))?;
            let upload = arrived.ok_or_else(|| {
                refused(
                    "validation_missing_upload",
                    "The file has not been uploaded.",
                )
            })?;
            submission.files.push((key.into(), upload));
        }
        Ok(submission)
    }

    fn ticket(
        &self,
        call: &Call,
        collection: &Collection,
        field: &str,
        token: &str,
    ) -> Option<Ticket> {
        let sealed = token.strip_prefix(TOKEN)?;
        let text = self.store().cursors().open_text(sealed, BINDING)?;
        let ticket: Ticket = serde_json::from_str(&text).ok()?;
        let fits = ticket.collection == collection.id.as_str()
            && ticket.field == field
            && ticket.owner == owner(call)
            && ticket.until >= call.now.as_millis();
        fits.then_some(ticket)
    }
}

/// The id of the field, if it takes such a file from this caller.
fn fit(call: &Call, collection: &Collection, expected: &Expected) -> Result<String, Error> {
    let refused = |key: &str, error| Err(Error::Upload(FieldErrors::one(key, error)));
    let found = collection.field(&expected.field);
    let found = found.filter(|field| !field.hidden || call.actor.is_above_rules());
    let Some((field, FieldKind::File(options))) = found.map(|field| (field, &field.kind)) else {
        let error = FieldError::new("validation_invalid_field", "There is no such file field.");
        return refused("field", error);
    };
    if expected.name.is_empty() {
        return refused("name", FieldError::required());
    }
    if expected.size == 0 {
        return refused("size", FieldError::required());
    }
    let max = check::bytes_max(options).min(DIRECT_BYTES_MAX);
    if expected.size > max {
        return refused("size", check::too_large(&expected.name, max));
    }
    Ok(field.id.to_string())
}

/// Who asks, as tickets name them.
fn owner(call: &Call) -> String {
    match &call.actor {
        Actor::Auth(identity) => {
            let record = &identity.record;
            format!("{}/{}", record.collection().id.as_str(), record.id())
        }
        _ => String::new(),
    }
}

/// Takes the tokens out of the values of file fields; with the keys that they stood under, in order.
fn tokens(collection: &Collection, values: &mut JsonMap) -> Vec<(String, String)> {
    let is_token = |value: &Json| value.as_str().is_some_and(|text| text.starts_with(TOKEN));
    let mut found = Vec::new();
    values.retain(|key, value| {
        let file = resolve_key(collection, key)
            .is_some_and(|(at, _)| matches!(collection.fields[at].kind, FieldKind::File(_)));
        if !file {
            return true;
        }
        let mut take = |value: &Json| {
            let token = value.as_str().filter(|_| is_token(value));
            found.extend(token.map(|token| (key.to_string(), token.to_owned())));
            token.is_some()
        };
        match value {
            Json::Array(items) => {
                let before = items.len();
                items.retain(|item| !take(item));
                !items.is_empty() || before == 0
            }
            single => !take(single),
        }
    });
    found
}
