//! What an answer depends on: the collections whose changes can change it, found without reading a row.

use std::collections::BTreeSet;
use std::sync::Arc;

use super::access::{self, Gate};
use super::expand::{self, Paths};
use super::list::Bound;
use crate::call::{Call, Context};
use crate::expr::{Catalog, Filter, Guard};
use crate::schema::{Collection, CollectionId, FieldKind};

/// What the answer to a list depends on. The caller's own record is not part of it.
#[derive(Clone, Debug, Default)]
pub struct Footprint {
    /// Collections that are read; views stand for themselves.
    pub collections: BTreeSet<CollectionId>,
    /// Whether time alone can change it.
    pub clock: bool,
    /// Whether a row of the list alone decides whether and how it is shown.
    pub row_alone: bool,
}

impl Footprint {
    /// That of the list `bound`, asked by `call`, with the relations at `paths`.
    #[must_use]
    pub fn of(catalog: &Arc<Catalog>, call: &Call, bound: &Bound, paths: &Paths) -> Self {
        let mut footprint = Self {
            row_alone: true,
            ..Self::default()
        };
        let mut walk = Walk {
            catalog,
            call,
            found: &mut footprint,
        };
        walk.collection(&bound.collection);
        if let Some(filter) = &bound.filter {
            walk.filter(filter);
        }
        for id in bound.sort.iter().flat_map(crate::expr::Sort::footprint) {
            walk.found.collections.insert(id);
        }
        if !paths.is_empty() {
            walk.found.row_alone = false;
            let call = call.in_context(Context::Expand);
            let mut walk = Walk {
                call: &call,
                ..walk
            };
            walk.expand(&bound.collection, paths);
        }
        footprint
    }
}

struct Walk<'a> {
    catalog: &'a Arc<Catalog>,
    call: &'a Call,
    found: &'a mut Footprint,
}

impl Walk<'_> {
    /// A collection whose records are shown: the rule that shows e-mail addresses counts.
    fn collection(&mut self, collection: &Collection) {
        self.found.collections.insert(collection.id.clone());
        let rule = collection
            .auth()
            .and_then(|options| options.manage_rule.as_deref())
            .filter(|rule| !rule.is_empty() && !self.call.actor.is_above_rules());
        if let Some(rule) = rule
            && let Ok(filter) = self.catalog.filter(collection, rule, Guard::Trusted)
        {
            self.filter(&filter);
        }
    }

    fn filter(&mut self, filter: &Filter) {
        let read = filter.footprint_for(self.catalog, self.call);
        self.found.collections.extend(read);
        self.found.clock |= filter.reads_clock();
        self.found.row_alone &= filter.reach() == crate::expr::Reach::Record;
    }

    /// Depth is bounded by [`Paths::parse`].
    fn expand(&mut self, collection: &Arc<Collection>, paths: &Paths) {
        for (name, next) in paths.steps() {
            let target = match collection.field(name).map(|field| &field.kind) {
                Some(FieldKind::Relation(options)) => Some(options.collection_id.clone()),
                _ => expand::back_relation(self.catalog, collection, name)
                    .map(|(source, _)| source.id.clone()),
            };
            let Some((target, gate)) =
                target.and_then(|id| access::expand_gate(self.catalog, self.call, &id))
            else {
                continue;
            };
            self.collection(&target);
            if let Gate::Where(filter) = &gate {
                self.filter(filter);
            }
            self.expand(&target, next);
        }
    }
}
