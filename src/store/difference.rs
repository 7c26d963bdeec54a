//! Which collections a change of schema concerns, and what it does to their past.

use std::sync::Arc;

use crate::expr::{Catalog, Reach, RuleState};
use crate::schema::{Action, Collection, CollectionId};

/// A collection that a change of schema concerns.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Concerned {
    /// Which.
    pub collection: CollectionId,
    /// Whether what was visible in it before cannot be told any more: its fields are others, or a rule that reads other
    /// tables is. What a rule on the record alone allowed is judged by the rule of now.
    pub past_lost: bool,
}

/// What of `before` is different in `after`.
pub(super) fn between(before: &Catalog, after: &Catalog) -> Vec<Concerned> {
    let gone = before
        .iter()
        .filter(|old| after.by_id(&old.id).is_none())
        .map(|old| concerned(old, true));
    let there = after.iter().filter_map(|new| match before.by_id(&new.id) {
        None => Some(concerned(new, true)),
        Some(old) if Arc::ptr_eq(old, new) || old == new => None,
        Some(old) => Some(concerned(new, loses_past((before, old), (after, new)))),
    });
    gone.chain(there).collect()
}

fn concerned(collection: &Collection, past_lost: bool) -> Concerned {
    Concerned {
        collection: collection.id.clone(),
        past_lost,
    }
}

fn loses_past(before: (&Catalog, &Collection), after: (&Catalog, &Collection)) -> bool {
    let (old, new) = (before.1, after.1);
    old.fields != new.fields
        || [Action::List, Action::View].into_iter().any(|action| {
            let changed = old.rules.of(action) != new.rules.of(action);
            changed && (reads_tables(before, action) || reads_tables(after, action))
        })
}

fn reads_tables((catalog, collection): (&Catalog, &Collection), action: Action) -> bool {
    match catalog.rule(collection, action) {
        RuleState::Locked | RuleState::Public => false,
        RuleState::Bound(filter) => filter.reach() == Reach::Tables,
        RuleState::Broken(_) => true,
    }
}
