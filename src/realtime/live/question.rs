//! What a live query asks, and what that is for one caller: bound once, shared by all for whom it is the same.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::Arc;

use compact_str::{CompactString, ToCompactString};

use crate::call::{Actor, Call};
use crate::expr::{Catalog, Settled, Sort};
use crate::kit::fields::Picker;
use crate::kit::time::Timestamp;
use crate::realtime::groups::Class;
use crate::realtime::judge;
use crate::records::expand::Paths;
use crate::records::list::{self, Bound};
use crate::records::{self, Footprint};

/// What a client asks to be kept true, word for word.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Question {
    /// Name or id.
    pub collection: String,
    /// As the `filter` of a list.
    pub filter: String,
    /// As the `sort` of a list.
    pub sort: String,
    /// As the `expand` of a list.
    pub expand: String,
    /// As the `fields` of a list, said of its items.
    pub fields: String,
    /// Most rows.
    pub limit: u32,
}

impl Question {
    /// The list request that it keeps true.
    fn call(&self, actor: &Actor, now: Timestamp) -> Call {
        let mut call = Call::new(actor.clone(), now);
        let limit = self.limit.to_compact_string();
        let pairs = [
            ("filter", self.filter.as_str()),
            ("sort", &self.sort),
            ("expand", &self.expand),
            ("fields", &self.fields),
            ("perPage", &limit),
        ];
        let given = pairs.into_iter().filter(|(_, value)| !value.is_empty());
        call.query = Arc::new(
            given
                .map(|(name, value)| (name.into(), value.into()))
                .collect(),
        );
        call
    }
}

/// Callers and questions for which every result is the same.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Key {
    question: Arc<Question>,
    class: Class,
    /// What the caller's own record holds, where more of it counts than the class says.
    person: u64,
    /// Counts changes of the schema.
    pub(super) schema: u64,
}

/// How rows are ordered.
#[derive(Debug)]
pub(super) enum Order {
    /// By keys that each row has one of; ties as they were made.
    Keys(Sort),
    /// As the database has it.
    Loose(Option<Sort>),
}

/// A question bound for a caller.
#[derive(Debug)]
pub(super) struct Meaning {
    pub(super) catalog: Arc<Catalog>,
    pub(super) call: Call,
    pub(super) bound: Bound,
    pub(super) order: Order,
    pub(super) paths: Paths,
    pub(super) picker: Option<Picker>,
    pub(super) limit: usize,
    pub(super) footprint: Footprint,
    /// How a row is judged, where the result can be kept in memory. No filter is no verdict to give.
    pub(super) kept: Option<Option<Settled>>,
}

impl Meaning {
    /// Binds `question` for `actor` under the rules of `catalog`.
    ///
    /// # Errors
    /// As those of the list request.
    pub(super) fn of(
        catalog: &Arc<Catalog>,
        question: &Question,
        actor: &Actor,
        now: Timestamp,
    ) -> Result<Self, records::Error> {
        let call = question.call(actor, now);
        let (bound, query) = list::ask(catalog, &call, &question.collection)?;
        let bad = |text: &str| records::Error::BadQuery(text.to_owned());
        if bound.sort.as_ref().is_some_and(Sort::is_random) {
            return Err(bad("a live query has no random order"));
        }
        let picker = Picker::parse(&question.fields).map_err(|error| bad(&error.to_string()))?;
        let steady = bound
            .sort
            .as_ref()
            .is_none_or(|sort| sort.keyset().is_some());
        let order = if steady && !bound.collection.is_view() {
            Order::Keys(
                bound
                    .sort
                    .as_ref()
                    .map_or_else(Sort::rowid, Sort::then_rowid),
            )
        } else {
            Order::Loose(bound.sort.clone())
        };
        let footprint = Footprint::of(catalog, &call, &bound, &query.expand);
        let kept = kept(&bound, &order, &footprint, &call);
        Ok(Self {
            catalog: Arc::clone(catalog),
            call,
            bound,
            order,
            paths: query.expand,
            picker,
            limit: usize::try_from(question.limit).unwrap_or(usize::MAX),
            footprint,
            kept,
        })
    }

    /// What this question of this caller shares with others.
    pub(super) fn key(&self, question: &Arc<Question>, schema: u64) -> Key {
        let actor = &self.call.actor;
        let class = self.class(actor);
        let person = match &class {
            Class::One(_) => fingerprint(actor),
            Class::Superuser | Class::Like(_) => 0,
        };
        Key {
            question: Arc::clone(question),
            class,
            person,
            schema,
        }
    }

    fn class(&self, actor: &Actor) -> Class {
        let filter = self.bound.filter.as_ref();
        let by_path = filter.is_some_and(crate::expr::Filter::depends_on_caller)
            || self
                .bound
                .sort
                .as_ref()
                .is_some_and(Sort::depends_on_caller);
        let fields = filter
            .map(crate::expr::Filter::auth_fields)
            .unwrap_or_default();
        if actor.is_superuser() && !by_path && fields.is_empty() {
            return Class::Superuser;
        }
        // An auth record shows its e-mail to its owner, and an expanded record may be one.
        if by_path
            || self.bound.collection.is_auth()
            || actor.scoped_key().is_some()
            || !self.paths.is_empty()
            || actor.is_superuser()
        {
            return Class::one(actor);
        }
        Class::Like(judge::values(actor, &fields))
    }

    /// The only rows that a change can concern, where that is plain (see [`Settled::only_if`]).
    pub(super) fn only_if(&self) -> Option<(usize, CompactString)> {
        self.kept.as_ref()?.as_ref()?.only_if()
    }
}

/// Whether, and how, a row can be judged and put in its place without the database.
fn kept(
    bound: &Bound,
    order: &Order,
    footprint: &Footprint,
    call: &Call,
) -> Option<Option<Settled>> {
    let Order::Keys(sort) = order else {
        return None;
    };
    let plain = sort.restriction().is_none()
        && sort.keyset().is_some_and(|keys| {
            let last = keys.len() - 1;
            keys[..last].iter().all(|key| key.field_index().is_some())
        });
    if !plain || !footprint.row_alone || footprint.clock {
        return None;
    }
    match &bound.filter {
        None => Some(None),
        Some(filter) => filter.settle(call).map(Some),
    }
}

fn fingerprint(actor: &Actor) -> u64 {
    let mut hasher = DefaultHasher::new();
    for cell in actor.record().into_iter().flat_map(|record| record.cells()) {
        cell.to_display().hash(&mut hasher);
    }
    hasher.finish()
}
