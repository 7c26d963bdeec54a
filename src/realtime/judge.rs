//! Who may hear what: the rule of the topic's collection and the subscriber's own filter, as one verdict.

use std::sync::Arc;

use compact_str::{CompactString, ToCompactString};

use super::groups::Class;
use super::index::OnlyIf;
use super::topic::Topic;
use crate::call::{Actor, Call, Context};
use crate::expr::{Catalog, Filter, Guard, Reach, RuleState, Settled};
use crate::kit::time::Timestamp;
use crate::records::access;
use crate::schema::{Action, Collection, Record};
use crate::store::{ReadTx, StoreError};

/// Why a subscription is refused, with the status and words that a list request would get.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// No such collection.
    UnknownCollection,
    /// The rule is locked.
    Locked,
    /// The API key does not reach that far.
    OutOfScope,
    /// The filter is not for this caller.
    ForbiddenFilter,
    /// The filter, or the rule, cannot be used.
    BadFilter,
}

impl Refusal {
    /// HTTP status of the same refusal.
    #[must_use]
    pub fn status(self) -> u16 {
        match self {
            Self::UnknownCollection => 404,
            Self::Locked | Self::OutOfScope | Self::ForbiddenFilter => 403,
            Self::BadFilter => 400,
        }
    }

    /// What the client is told.
    #[must_use]
    pub fn message(self) -> &'static str {
        match self {
            Self::UnknownCollection => "Missing collection context.",
            Self::Locked => "Only superusers can perform this action.",
            Self::OutOfScope => "The API key does not allow this action.",
            Self::ForbiddenFilter => "Only superusers can filter by @request and @collection.",
            Self::BadFilter => "Something went wrong while processing your request.",
        }
    }
}

/// What a group of subscribers may see of a collection's records.
#[derive(Debug)]
pub(super) enum Verdict {
    /// Nothing.
    Nothing,
    /// Every record.
    Everything,
    /// Records for which the expression holds.
    Where(Filter),
}

/// The verdict for `topic` as `actor`.
pub(super) fn verdict(
    catalog: &Catalog,
    collection: &Collection,
    topic: &Topic,
    actor: &Actor,
) -> Verdict {
    match combined(catalog, collection, topic, actor) {
        Ok(None) => Verdict::Everything,
        Ok(Some(filter)) => Verdict::Where(filter),
        Err(_) => Verdict::Nothing,
    }
}

/// Whether the topic can be subscribed to at all: what a WebSocket client is told at once.
pub(super) fn may_subscribe(
    catalog: &Catalog,
    topic: &Topic,
    actor: &Actor,
) -> Result<(), Refusal> {
    let collection = catalog
        .find_exact(&topic.collection)
        .ok_or(Refusal::UnknownCollection)?;
    combined(catalog, collection, topic, actor).map(|_| ())
}

/// Rule and filter as one expression; `None` when neither restricts.
fn combined(
    catalog: &Catalog,
    collection: &Collection,
    topic: &Topic,
    actor: &Actor,
) -> Result<Option<Filter>, Refusal> {
    let action = if topic.record.is_some() {
        Action::View
    } else {
        Action::List
    };
    if !actor.may(collection, action) {
        return Err(Refusal::OutOfScope);
    }
    let rule = if actor.is_above_rules() {
        None
    } else {
        match catalog.rule(collection, action) {
            RuleState::Locked => return Err(Refusal::Locked),
            RuleState::Broken(_) => return Err(Refusal::BadFilter),
            RuleState::Public => None,
            RuleState::Bound(filter) => Some(filter),
        }
    };
    let text = topic.options.query("filter");
    if text.is_empty() {
        return Ok(rule);
    }
    let guard = if actor.is_superuser() {
        Guard::Trusted
    } else {
        Guard::Client
    };
    if guard == Guard::Client && (text.contains("@request.") || text.contains("@collection.")) {
        return Err(Refusal::ForbiddenFilter);
    }
    if text.len() > crate::kit::limits::FILTER_BYTES_MAX {
        return Err(Refusal::BadFilter);
    }
    let filter = catalog
        .filter(collection, text, guard)
        .map_err(|_| Refusal::BadFilter)?;
    if actor.scoped_key().is_some() {
        access::within_reach(catalog, actor, filter.footprint())
            .map_err(|_| Refusal::OutOfScope)?;
    }
    Ok(Some(match rule {
        Some(rule) => rule.and(&filter),
        None => filter,
    }))
}

/// A verdict made for a group, good until a rule or the group's identity changes.
#[derive(Debug)]
pub(super) struct Kept {
    /// The rules under which it was made.
    pub(super) catalog: Arc<Catalog>,
    /// Whose records; none when there is no such collection.
    pub(super) collection: Option<Arc<Collection>>,
    pub(super) verdict: Verdict,
    /// The same for the record alone, where that and the caller decide.
    settled: Option<Settled>,
    /// What a row must hold for it to matter.
    pub(super) only_if: OnlyIf,
}

/// The verdict for `topic` as `actor`, and the part of `actor` that it and the view depend on: those who agree in it
/// share one group.
pub(super) fn keep(catalog: &Arc<Catalog>, topic: &Topic, actor: &Actor) -> (Class, Kept) {
    let collection = catalog.find_exact(&topic.collection);
    let verdict = collection.map_or(Verdict::Nothing, |collection| {
        verdict(catalog, collection, topic, actor)
    });
    let settled = match &verdict {
        Verdict::Where(filter) if !filter.reads_clock() => {
            filter.settle(&call(topic, actor, Timestamp::from_millis(0)))
        }
        Verdict::Nothing | Verdict::Everything | Verdict::Where(_) => None,
    };
    let class = class(collection, &verdict, topic, actor);
    let kept = Kept {
        catalog: Arc::clone(catalog),
        collection: collection.cloned(),
        verdict,
        only_if: settled.as_ref().and_then(Settled::only_if),
        settled,
    };
    (class, kept)
}

fn class(
    collection: Option<&Arc<Collection>>,
    verdict: &Verdict,
    topic: &Topic,
    actor: &Actor,
) -> Class {
    let reads = match verdict {
        Verdict::Nothing | Verdict::Everything => Vec::new(),
        Verdict::Where(filter) => filter.auth_fields(),
    };
    let follows = matches!(verdict, Verdict::Where(filter) if filter.depends_on_caller());
    if actor.is_superuser() && reads.is_empty() && !follows {
        return Class::Superuser;
    }
    // An auth record shows its e-mail to its owner, and an expanded record may be one.
    let by_person = collection.is_none_or(|collection| collection.is_auth())
        || !topic.options.query("expand").is_empty()
        || actor.scoped_key().is_some();
    if by_person || follows || actor.is_superuser() {
        return Class::one(actor);
    }
    match verdict {
        Verdict::Nothing => Class::Like(CompactString::const_new("-")),
        Verdict::Everything => Class::Like(CompactString::const_new("*")),
        Verdict::Where(_) => Class::Like(values(actor, &reads)),
    }
}

/// The caller's values of `fields`, unambiguously joined.
pub(super) fn values(actor: &Actor, fields: &[CompactString]) -> CompactString {
    let mut out = CompactString::const_new("=");
    let Some(record) = actor.record() else {
        return out;
    };
    for field in fields {
        let value = match field.as_str() {
            "collectionId" => record.collection().id.as_str().to_compact_string(),
            "collectionName" => record.collection().name.clone(),
            name => record
                .get(name)
                .map(crate::kit::value::Value::to_display)
                .unwrap_or_default(),
        };
        out.push_str(&value.len().to_compact_string());
        out.push(':');
        out.push_str(&value);
    }
    out
}

/// The call that rules and filters of a subscription see.
pub(super) fn call(topic: &Topic, actor: &Actor, now: Timestamp) -> Call {
    let mut call = Call::new(actor.clone(), now).in_context(Context::Realtime);
    call.query = Arc::new(topic.options.query.clone());
    call.headers = Arc::new(topic.options.headers.clone());
    call
}

/// Whether `verdict` lets `record` be seen, asking `tx` only where the record alone does not tell.
pub(super) fn sees(
    verdict: &Verdict,
    catalog: &Catalog,
    call: &Call,
    record: &Record,
    tx: &ReadTx<'_>,
) -> Result<bool, StoreError> {
    match verdict {
        Verdict::Nothing => Ok(false),
        Verdict::Everything => Ok(true),
        Verdict::Where(filter) => {
            if filter.reach() == Reach::Record
                && let Some(holds) = filter.holds(call, record)
            {
                return Ok(holds);
            }
            tx.exists(&filter.write_select_for_row(catalog, call, record, tx.dialect()))
        }
    }
}

impl Kept {
    /// As [`sees`], for the verdict that is kept.
    pub(super) fn sees(
        &self,
        call: &Call,
        record: &Record,
        tx: &ReadTx<'_>,
    ) -> Result<bool, StoreError> {
        let known = self
            .settled
            .as_ref()
            .and_then(|settled| settled.holds(record));
        match known {
            Some(holds) => Ok(holds),
            None => sees(&self.verdict, &self.catalog, call, record, tx),
        }
    }
}
