//! One change to all who may see it: judged once a group, written once a view, shared by every member.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::AtomicU64;

use bytes::Bytes;
use compact_str::CompactString;

use super::client::{ClientId, Outbox, Place, Pushed, Transport};
use super::frame::{self, Happened};
use super::groups::Group;
use super::judge::{self, Verdict};
use super::roster::Roster;
use super::stats;
use super::view;
use crate::expr::Catalog;
use crate::kit::time::Timestamp;
use crate::records;
use crate::schema::{Collection, Record};
use crate::store::{Change, ChangeKind, Position, ReadTx};

/// The moment at which changes are judged.
pub(super) struct Scene<'a> {
    pub(super) catalog: &'a Arc<Catalog>,
    /// The database before the changes.
    pub(super) before: &'a ReadTx<'a>,
    /// The database after them.
    pub(super) after: &'a ReadTx<'a>,
    pub(super) now: Timestamp,
}

/// Gives one change to its subscribers. `cursor` seals the change's position, when somebody needs it; outboxes that
/// must be woken go to `sleepers`; `judged` counts groups.
pub(super) fn change(
    roster: &Roster,
    scene: &Scene<'_>,
    change: &Change,
    cursor: &dyn Fn() -> CompactString,
    sleepers: &mut Vec<Arc<Outbox>>,
    judged: &AtomicU64,
) -> Told {
    let Some((before, after)) = images(&change.kind) else {
        return Told::default();
    };
    let Some(any) = after.or(before) else {
        return Told::default();
    };
    // Rules and fields are those of now; a record of a collection that is gone, or is another by the same name, is nobody's.
    let Some(collection) = scene.catalog.by_id(&any.collection().id) else {
        return Told::default();
    };
    let before = before.map(|record| adapt(record, collection));
    let after = after.map(|record| adapt(record, collection));
    let Some(id) = after
        .as_ref()
        .or(before.as_ref())
        .map(|record| record.id().to_owned())
    else {
        return Told::default();
    };
    let mut delivery = Delivery {
        scene,
        before: before.as_ref(),
        after: after.as_ref(),
        position: change.position,
        cursor: None,
        sleepers,
        told: Told::default(),
    };
    for group in roster.concerned(collection, &id, before.as_ref(), after.as_ref()) {
        stats::add(judged, 1);
        // A rule that makes the evaluation panic is the trouble of its group alone.
        let judging = AssertUnwindSafe(|| delivery.to(group, cursor));
        match catch_unwind(judging) {
            Ok(Ok(())) => {}
            Ok(Err(records::Error::Store(error))) if error.is_passing() => {
                tracing::warn!(%error, "realtime: a rule cannot be judged now");
                let members = group.members.keys();
                delivery.told.unjudged.extend(members.cloned());
            }
            // Whoever cannot be judged hears nothing (security P09).
            Ok(Err(error)) => tracing::warn!(%error, "realtime: a rule could not be judged"),
            Err(_) => tracing::error!("realtime: judging a rule panicked"),
        }
    }
    delivery.told
}

/// What became of a change.
#[derive(Default)]
pub(super) struct Told {
    /// Connections whose queues are full.
    pub(super) full: Vec<ClientId>,
    /// Subscriptions that could not be judged, and can be later.
    pub(super) unjudged: Vec<(ClientId, CompactString)>,
}

struct Delivery<'a> {
    scene: &'a Scene<'a>,
    before: Option<&'a Record>,
    after: Option<&'a Record>,
    position: Position,
    cursor: Option<CompactString>,
    sleepers: &'a mut Vec<Arc<Outbox>>,
    told: Told,
}

impl Delivery<'_> {
    fn to(
        &mut self,
        group: &Group,
        cursor: &dyn Fn() -> CompactString,
    ) -> Result<(), records::Error> {
        let Scene {
            catalog,
            before: tx_before,
            after: tx_after,
            now,
        } = *self.scene;
        // Rules that changed after this commit, and of which the roster will hear next, count already.
        let newer;
        let kept = if Arc::ptr_eq(&group.kept.catalog, catalog) {
            &group.kept
        } else {
            newer = judge::keep(catalog, &group.topic, &group.actor).1;
            &newer
        };
        if matches!(kept.verdict, Verdict::Nothing) {
            return Ok(());
        }
        let call = judge::call(&group.topic, &group.actor, now);
        let (happened, record, tx) = match (self.before, self.after) {
            (None, None) => return Ok(()),
            (None, Some(after)) => (Happened::Create, after, tx_after),
            (Some(before), None) => (Happened::Delete, before, tx_before),
            (Some(_), Some(after)) => (Happened::Update, after, tx_after),
        };
        if kept.sees(&call, record, tx)? {
            let view = view::record(tx, &call, &group.topic, record)?;
            self.send(group, happened, &view, cursor, |_| true);
        } else if happened == Happened::Update
            && group
                .members
                .values()
                .any(|member| member.transport == Transport::WebSocket)
            && let Some(before) = self.before
            && kept.sees(&call, before, tx_before)?
        {
            let view = view::stub(record);
            self.send(group, Happened::Leave, &view, cursor, |transport| {
                transport == Transport::WebSocket
            });
        }
        Ok(())
    }

    fn send(
        &mut self,
        group: &Group,
        happened: Happened,
        view: &[u8],
        cursor: &dyn Fn() -> CompactString,
        wanted: impl Fn(Transport) -> bool,
    ) {
        // With and without the position.
        let mut sse: [Option<Bytes>; 2] = [None, None];
        let mut sockets: Vec<(CompactString, Bytes)> = Vec::new();
        let since = Position(self.position.0.saturating_sub(1));
        for ((id, sub), member) in &group.members {
            if !wanted(member.transport) || member.from >= self.position {
                continue;
            }
            let bytes = match member.transport {
                Transport::Sse => {
                    let level = member.outbox.is_level();
                    let id = if level {
                        Some(self.cursor.get_or_insert_with(cursor).as_str())
                    } else {
                        None
                    };
                    sse[usize::from(level)]
                        .get_or_insert_with(|| {
                            frame::sse_event(id, &group.topic.text, happened, view)
                        })
                        .clone()
                }
                Transport::WebSocket => {
                    // Most connections have one subscription, so that most members share one frame.
                    if let Some((_, bytes)) = sockets.iter().find(|(known, _)| known == sub) {
                        bytes.clone()
                    } else {
                        let cursor = self.cursor.get_or_insert_with(cursor);
                        let bytes = frame::ws_event(sub, happened, view, cursor);
                        sockets.push((sub.clone(), bytes.clone()));
                        bytes
                    }
                }
            };
            let place = Place {
                sub: sub.clone(),
                since,
            };
            match member.outbox.push_event(bytes, place) {
                Pushed::First => self.sleepers.push(Arc::clone(&member.outbox)),
                Pushed::Behind => {}
                Pushed::Full => self.told.full.push(id.clone()),
            }
        }
    }
}

/// A record before and after.
pub(super) type Images<'a> = (Option<&'a Arc<Record>>, Option<&'a Arc<Record>>);

pub(super) fn images(kind: &ChangeKind) -> Option<Images<'_>> {
    match kind {
        ChangeKind::Create { after } => Some((None, Some(after))),
        ChangeKind::Update { before, after } => Some((Some(before), Some(after))),
        ChangeKind::Delete { before } => Some((Some(before), None)),
        ChangeKind::Schema { .. } | ChangeKind::Touched { .. } => None,
    }
}

/// The record with the fields its collection has now, matched by field id: the schema may have changed between the
/// commit and its delivery.
pub(super) fn adapt(record: &Arc<Record>, collection: &Arc<Collection>) -> Record {
    if Arc::ptr_eq(record.collection(), collection)
        || record.collection().fields == collection.fields
    {
        return Record::from_cells(Arc::clone(collection), record.cells().to_vec());
    }
    let old = record.collection();
    let cells = collection
        .fields
        .iter()
        .map(|field| {
            old.fields
                .iter()
                .position(|known| known.id == field.id && known.kind.name() == field.kind.name())
                .map_or_else(|| field.zero(), |index| record.cells()[index].clone())
        })
        .collect();
    Record::from_cells(Arc::clone(collection), cells)
}
