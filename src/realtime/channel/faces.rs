//! The record behind a member, as another member may see it.

use std::collections::HashMap;
use std::sync::Arc;

use bytes::Bytes;
use compact_str::{CompactString, format_compact};

use crate::call::{Actor, Call, Context};
use crate::expr::RuleState;
use crate::kit::time::Timestamp;
use crate::realtime::judge;
use crate::records;
use crate::schema::{Action, Collection, Record};
use crate::store::ReadTx;

/// Views of records within one snapshot, each made once for all viewers who see alike.
pub(super) struct Faces<'a> {
    tx: &'a ReadTx<'a>,
    now: Timestamp,
    known: HashMap<(CompactString, CompactString, CompactString), Option<Bytes>>,
}

impl<'a> Faces<'a> {
    pub(super) fn new(tx: &'a ReadTx<'a>, now: Timestamp) -> Self {
        Self {
            tx,
            now,
            known: HashMap::new(),
        }
    }

    /// The record of `person` for `viewer`; nothing for guests and for what the viewer may not see.
    pub(super) fn of(&mut self, person: &Actor, viewer: &Actor) -> Option<Bytes> {
        let record = person.record()?;
        let collection = Arc::clone(self.tx.catalog().by_id(&record.collection().id)?);
        let key = (
            class(self.tx, &collection, record, viewer),
            CompactString::from(collection.id.as_str()),
            CompactString::from(record.id()),
        );
        if let Some(known) = self.known.get(&key) {
            return known.clone();
        }
        let call = Call::new(viewer.clone(), self.now).in_context(Context::Realtime);
        // Whatever the reason, what cannot be seen is not shown.
        let view = records::view::view(self.tx, &call, collection.id.as_str(), record.id())
            .ok()
            .map(Bytes::from);
        self.known.insert(key, view.clone());
        view
    }
}

/// What of the viewer the view depends on.
fn class(
    tx: &ReadTx<'_>,
    collection: &Collection,
    record: &Record,
    viewer: &Actor,
) -> CompactString {
    if viewer.is_superuser() {
        return CompactString::const_new("superuser");
    }
    if viewer.is(collection.id.as_str(), record.id()) {
        return CompactString::const_new("self");
    }
    let managed = collection
        .auth()
        .is_some_and(|auth| auth.manage_rule.is_some());
    let alone = || {
        viewer
            .record()
            .map_or(CompactString::const_new("guest"), |own| {
                format_compact!("{}/{}", own.collection().id.as_str(), own.id())
            })
    };
    match tx.catalog().rule(collection, Action::View) {
        _ if managed => alone(),
        RuleState::Locked | RuleState::Broken(_) => CompactString::const_new("nobody"),
        RuleState::Public => CompactString::const_new("everybody"),
        RuleState::Bound(filter) if filter.depends_on_caller() => alone(),
        RuleState::Bound(filter) => judge::values(viewer, &filter.auth_fields()),
    }
}
