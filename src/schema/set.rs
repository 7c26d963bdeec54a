//! The immutable set of all collections. A request holds one for its life.

use std::collections::HashMap;
use std::sync::{Arc, OnceLock};

use compact_str::CompactString;

use super::collection::{Collection, CollectionId};
use super::field::FieldKind;
use super::layout::Layout;

/// Name of the collection of superusers.
pub const SUPERUSERS: &str = "_superusers";

/// All collections, by id and by name; `generation` grows with every change and keys the caches of compiled things.
#[derive(Clone, Debug, Default)]
pub struct Schema {
    generation: u64,
    collections: Vec<Arc<Collection>>,
    by_id: HashMap<CollectionId, usize>,
    by_name: HashMap<CompactString, usize>,
    referrers: HashMap<CollectionId, Vec<(usize, usize)>>,
    layouts: Vec<OnceLock<Arc<Layout>>>,
}

impl Schema {
    /// A schema of `collections` in stored order.
    #[must_use]
    pub fn new(generation: u64, collections: Vec<Arc<Collection>>) -> Self {
        let mut schema = Self {
            generation,
            ..Self::default()
        };
        for (at, collection) in collections.iter().enumerate() {
            schema.by_id.insert(collection.id.clone(), at);
            schema.by_name.insert(collection.name.to_lowercase(), at);
            for (index, field) in collection.fields.iter().enumerate() {
                if let FieldKind::Relation(options) = &field.kind {
                    schema
                        .referrers
                        .entry(options.collection_id.clone())
                        .or_default()
                        .push((at, index));
                }
            }
        }
        schema.layouts = collections.iter().map(|_| OnceLock::new()).collect();
        schema.collections = collections;
        schema
    }

    /// Grows with every change of the schema.
    #[must_use]
    pub fn generation(&self) -> u64 {
        self.generation
    }

    /// All collections in stored order.
    pub fn iter(&self) -> impl Iterator<Item = &Arc<Collection>> {
        self.collections.iter()
    }

    /// By id, exactly.
    #[must_use]
    pub fn by_id(&self, id: &CollectionId) -> Option<&Arc<Collection>> {
        self.by_id.get(id).map(|&at| &self.collections[at])
    }

    /// By name in any case, or by exact id: how a URL names a collection.
    #[must_use]
    pub fn find(&self, name_or_id: &str) -> Option<&Arc<Collection>> {
        // Lowering allocates only when needed: most names are lower-case already.
        let by_name = if name_or_id.bytes().any(|b| b.is_ascii_uppercase()) {
            self.by_name.get(name_or_id.to_lowercase().as_str())
        } else {
            self.by_name.get(name_or_id)
        };
        by_name
            .or_else(|| self.by_id.get(&CollectionId::new(name_or_id)))
            .map(|&at| &self.collections[at])
    }

    /// By exact name or exact id: how a realtime topic or a rule names a collection.
    #[must_use]
    pub fn find_exact(&self, name_or_id: &str) -> Option<&Arc<Collection>> {
        self.find(name_or_id)
            .filter(|c| c.name == name_or_id || c.id.as_str() == name_or_id)
    }

    /// The layout of `collection`: kept for a member of this schema, made anew for any other state of a collection.
    #[must_use]
    pub fn layout(&self, collection: &Arc<Collection>) -> Arc<Layout> {
        let member = self
            .by_id
            .get(&collection.id)
            .filter(|&&at| Arc::ptr_eq(&self.collections[at], collection));
        match member {
            Some(&at) => {
                let layout = self.layouts[at].get_or_init(|| Arc::new(Layout::new(collection)));
                Arc::clone(layout)
            }
            None => Arc::new(Layout::new(collection)),
        }
    }

    /// The relation fields, of any collection, that point to `target`: (collection, position of the field).
    pub fn referrers(
        &self,
        target: &CollectionId,
    ) -> impl Iterator<Item = (&Arc<Collection>, usize)> {
        self.referrers
            .get(target)
            .into_iter()
            .flatten()
            .map(|&(at, field)| (&self.collections[at], field))
    }
}
