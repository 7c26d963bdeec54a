//! Why a rule says yes or no: asked by superusers about somebody's request, answered clause by clause from what the
//! rule is bound to, on the state of this moment. Nothing is written, and nobody's rights change.

use std::sync::Arc;

use serde::Serialize;

use super::draft::{Draft, Submission};
use super::refusal::rule_name;
use super::{Error, access, create};
use crate::call::{Actor, Call, Identity};
use crate::expr::{Catalog, Clause, Filter, Seen, Shape, Shown};
use crate::kit::json::Json;
use crate::kit::json::JsonMap;
use crate::kit::limits::EXPLAIN_VALUE_CHARS_MAX;
use crate::kit::value::Value;
use crate::schema::{Action, Collection, FieldError, FieldErrors, Record};
use crate::store::ReadTx;

/// What is asked: a rule, who comes, and with what.
#[derive(Clone, Debug)]
pub struct Question {
    /// The rule as the API names it.
    pub rule: String,
    /// A text to try instead of the rule that is saved.
    pub text: Option<String>,
    /// Collection and id of whoever comes; nobody for a guest.
    pub caller: Option<(String, String)>,
    /// The record under judgement; of a create the submitted values are.
    pub record: String,
    /// What is submitted.
    pub values: JsonMap,
    /// The request as rules see it: method, query, headers, context and address.
    pub request: Call,
}

/// The answer.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Explained {
    collection: String,
    rule: &'static str,
    /// The rule's text; null is locked.
    text: Option<String>,
    /// `locked`, `everyone`, `rule` or `broken`.
    state: &'static str,
    /// Why a broken rule is one.
    error: Option<String>,
    /// Whether the caller is a superuser, whom no rule binds.
    superuser: bool,
    /// Whether the request passes; null where that depends on the record and none was named.
    holds: Option<bool>,
    /// `here`, `missing` or `none`, as the named record is.
    record: &'static str,
    /// When the rule was judged.
    at: String,
    clause: Option<ClauseView>,
}

/// A clause and what became of it.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct ClauseView {
    shape: &'static str,
    text: String,
    holds: Option<bool>,
    /// Each part holds for some related record, but not all of them for the same one.
    apart: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    left: Option<SideView>,
    #[serde(skip_serializing_if = "Option::is_none")]
    right: Option<SideView>,
    parts: Vec<Self>,
}

#[derive(Debug, Serialize)]
struct SideView {
    text: String,
    /// `value`, `secret` (never shown) or `elsewhere` (in other records, or only the database computes it).
    kind: &'static str,
    value: Json,
}

/// What is judged, and as what.
struct Case<'a> {
    tx: &'a ReadTx<'a>,
    collection: Arc<Collection>,
    call: Call,
    /// The record, and whether it is stored.
    row: Option<(Record, bool)>,
}

/// Answers `question` about `collection`.
///
/// # Errors
/// [`Error::UnknownCollection`]; [`Error::Question`] when it names what does not exist.
pub(super) fn explain(
    tx: &ReadTx<'_>,
    name: &str,
    question: &Question,
) -> Result<Explained, Error> {
    let collection = Arc::clone(access::collection(tx.catalog(), name)?);
    let (rule, saved) = rule_of(&collection, &question.rule)?;
    let text = question.text.clone().or(saved);
    let case = case(tx, collection, question, rule)?;
    let superuser = case.call.actor.is_superuser();
    let missing = case.row.is_none() && !question.record.is_empty();
    let mut explained = Explained {
        collection: case.collection.name.to_string(),
        rule,
        state: "rule",
        error: None,
        superuser,
        holds: None,
        record: match (&case.row, missing) {
            (_, true) => "missing",
            (Some(_), false) => "here",
            (None, false) => "none",
        },
        at: case.call.now.to_text().to_string(),
        clause: None,
        text: text.clone(),
    };
    match text.as_deref() {
        None => {
            explained.state = "locked";
            explained.holds = Some(false);
        }
        Some("") => {
            explained.state = "everyone";
            explained.holds = Some(rule != "manageRule" || case.call.actor.record().is_some());
        }
        Some(text) => match tx.catalog().clauses(&case.collection, text) {
            Ok(clause) => {
                let view = case.view(&clause)?;
                explained.holds = view.holds;
                explained.clause = Some(view);
            }
            Err(error) => {
                explained.state = "broken";
                explained.error = Some(error.to_string());
                explained.holds = Some(false);
            }
        },
    }
    if missing {
        explained.holds = Some(false);
    } else if superuser {
        explained.holds = Some(true);
    }
    Ok(explained)
}

fn refused(name: &str, code: &'static str, message: &'static str) -> Error {
    Error::Question(FieldErrors::one(name, FieldError::new(code, message)))
}

/// The rule that the API calls `name`, and its text.
fn rule_of(collection: &Collection, name: &str) -> Result<(&'static str, Option<String>), Error> {
    let unknown = || refused("rule", "validation_invalid_rule", "There is no such rule.");
    let actions = [
        Action::List,
        Action::View,
        Action::Create,
        Action::Update,
        Action::Delete,
    ];
    if let Some(action) = actions
        .into_iter()
        .find(|action| rule_name(*action) == name)
    {
        let writes = matches!(action, Action::Create | Action::Update | Action::Delete);
        if writes && collection.is_view() {
            return Err(unknown());
        }
        return Ok((
            rule_name(action),
            collection.rules.of(action).map(str::to_owned),
        ));
    }
    let auth = collection.auth().ok_or_else(unknown)?;
    match name {
        "authRule" => Ok(("authRule", auth.auth_rule.clone())),
        "manageRule" => Ok(("manageRule", auth.manage_rule.clone())),
        _ => Err(unknown()),
    }
}

/// Who comes.
fn caller(tx: &ReadTx<'_>, question: &Question) -> Result<Actor, Error> {
    let Some((collection, id)) = &question.caller else {
        return Ok(Actor::Guest);
    };
    let unknown = || {
        refused(
            "caller",
            "validation_missing_caller",
            "There is no such account.",
        )
    };
    let collection = tx
        .catalog()
        .find(collection)
        .filter(|c| c.is_auth())
        .ok_or_else(unknown)?;
    let record = tx.find(collection, id)?.ok_or_else(unknown)?;
    Ok(Actor::Auth(Arc::new(Identity {
        record,
        expires: None,
        refreshable: false,
        session: None,
        key: None,
    })))
}

fn case<'a>(
    tx: &'a ReadTx<'a>,
    collection: Arc<Collection>,
    question: &Question,
    rule: &str,
) -> Result<Case<'a>, Error> {
    let mut call = question.request.clone();
    call.actor = caller(tx, question)?;
    let submission = Submission {
        values: question.values.clone(),
        ..Submission::default()
    };
    let draft = || Draft::new(&collection, &call, submission);
    let (row, body) = match rule {
        "createRule" => {
            let draft = draft();
            let record = draft.apply(&create::blank(&collection));
            (
                Some((create::posed(&record), false)),
                Some(draft.body(&record)),
            )
        }
        _ if question.record.is_empty() => (None, None),
        _ => match tx.find(&collection, &question.record)? {
            Some(before) if rule == "updateRule" => {
                let draft = draft();
                let body = draft.body(&draft.apply(&before));
                (Some((before, true)), Some(body))
            }
            found => (found.map(|record| (record, true)), None),
        },
    };
    call.body = Arc::new(body.unwrap_or_else(|| question.values.clone()));
    Ok(Case {
        tx,
        collection,
        call,
        row,
    })
}

impl Case<'_> {
    fn judge(&self, clause: &Clause) -> Result<Option<bool>, Error> {
        let filter: &Filter = &clause.filter;
        match &self.row {
            Some((record, true)) => access::holds(self.tx, &self.call, filter, record).map(Some),
            Some((record, false)) => {
                create::holds_draft(self.tx, &self.call, filter, record).map(Some)
            }
            None => {
                let catalog: &Catalog = self.tx.catalog();
                let decided = catalog.decided(&self.collection, &clause.text, &self.call);
                Ok(decided.unwrap_or(Some(false)))
            }
        }
    }

    /// Depth is bounded by the parser.
    fn view(&self, clause: &Clause) -> Result<ClauseView, Error> {
        let holds = self.judge(clause)?;
        let parts = clause
            .parts
            .iter()
            .map(|part| self.view(part))
            .collect::<Result<Vec<_>, _>>()?;
        let row = self.row.as_ref().map(|(record, typed)| {
            let cells: &dyn crate::kit::value::Columns = record;
            (record.collection().as_ref(), cells, *typed)
        });
        let [left, right] = match clause.sides(self.tx.catalog(), &self.call, row) {
            Some([left, right]) => [Some(side(left)), Some(side(right))],
            None => [None, None],
        };
        let all = clause.shape == Shape::All && parts.iter().all(|part| part.holds == Some(true));
        Ok(ClauseView {
            shape: clause.shape.name(),
            text: clause.text.clone(),
            apart: all && holds == Some(false),
            holds,
            left,
            right,
            parts,
        })
    }
}

fn side(shown: Shown) -> SideView {
    let (kind, value) = match shown.seen {
        Seen::Value(value) => ("value", cut(value)),
        Seen::Secret => ("secret", Json::Null),
        Seen::Elsewhere => ("elsewhere", Json::Null),
    };
    SideView {
        text: shown.text,
        kind,
        value,
    }
}

/// The value as JSON; of a long text its beginning.
fn cut(value: Value) -> Json {
    match value {
        Value::Null => Json::Null,
        Value::Int(n) => Json::from(n),
        Value::Real(n) => serde_json::Number::from_f64(n).map_or(Json::Null, Json::Number),
        Value::Blob(_) => Json::Null,
        Value::Text(text) => match text.char_indices().nth(EXPLAIN_VALUE_CHARS_MAX) {
            Some((at, _)) => Json::from(format!("{}...", &text[..at])),
            None => Json::from(text.as_str()),
        },
    }
}
