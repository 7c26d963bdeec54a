//! Frames of one result for many readers: each made once, shared by all who get the same.

use std::sync::Arc;

use bytes::Bytes;
use compact_str::CompactString;

use super::diff::{self, Rows};
use crate::realtime::frame;

/// What stands between the names of a frame.
type Content = Arc<Vec<u8>>;

/// The frames of one result at one place.
pub(super) struct Frames {
    rows: Arc<Rows>,
    pub(super) cursor: CompactString,
    items: Option<Content>,
    /// By what the reader has.
    changes: Vec<(Arc<Rows>, Option<Content>)>,
    made: Vec<(CompactString, *const u8, Bytes)>,
}

impl Frames {
    pub(super) fn new(rows: Arc<Rows>, cursor: CompactString) -> Self {
        Self {
            rows,
            cursor,
            items: None,
            changes: Vec::new(),
            made: Vec::new(),
        }
    }

    /// What the reader of `sub` who has `shown` must be told, if anything.
    pub(super) fn next(&mut self, sub: &CompactString, shown: Option<&Arc<Rows>>) -> Option<Bytes> {
        let (kind, content) = match shown {
            None => ("snapshot", self.items()),
            Some(shown) => ("diff", self.changes(shown)?),
        };
        let from = content.as_ptr();
        let known = self
            .made
            .iter()
            .find(|(name, made, _)| name == sub && *made == from);
        if let Some((_, _, frame)) = known {
            return Some(frame.clone());
        }
        let frame = frame::ws_result(kind, sub, &content, &self.cursor);
        self.made.push((sub.clone(), from, frame.clone()));
        Some(frame)
    }

    fn items(&mut self) -> Content {
        let items = self
            .items
            .get_or_insert_with(|| Arc::new(diff::items(&self.rows)));
        Arc::clone(items)
    }

    fn changes(&mut self, shown: &Arc<Rows>) -> Option<Content> {
        if Arc::ptr_eq(shown, &self.rows) {
            return None;
        }
        let known = self.changes.iter().find(|(old, _)| Arc::ptr_eq(old, shown));
        if let Some((_, changes)) = known {
            return changes.clone();
        }
        let changes = diff::changes(shown, &self.rows).map(Arc::new);
        self.changes.push((Arc::clone(shown), changes.clone()));
        changes
    }
}
