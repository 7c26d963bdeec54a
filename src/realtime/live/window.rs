//! A result that is kept in memory: the first rows of an order, each change put in its place without the database.
//! Pure.

use std::cmp::Ordering;
use std::sync::Arc;

use super::diff::Row;
use crate::expr::Sort;
use crate::kit::value::Value;

/// A row with its place in the order.
#[derive(Clone, Debug)]
pub(super) struct Kept {
    pub(super) row: Arc<Row>,
    pub(super) keys: Vec<Value>,
}

impl Kept {
    pub(super) fn size_bytes(&self) -> usize {
        const OWN: usize = 96;
        OWN + self.row.view.len() + self.keys.iter().map(Value::size_bytes).sum::<usize>()
    }
}

/// The first rows of a result, some more than are shown, so that a few may go before the database must be asked.
#[derive(Clone, Debug, Default)]
pub(super) struct Window {
    rows: Vec<Kept>,
    /// Whether there are no rows after these.
    whole: bool,
    bytes: usize,
}

/// Rows kept beyond the shown ones.
pub(super) fn spare(limit: usize) -> usize {
    (limit / 2).clamp(16, 256)
}

impl Window {
    pub(super) fn new(rows: Vec<Kept>, whole: bool) -> Self {
        let bytes = rows.iter().map(Kept::size_bytes).sum();
        Self { rows, whole, bytes }
    }

    pub(super) fn size_bytes(&self) -> usize {
        self.bytes
    }

    /// The rows that are shown.
    pub(super) fn shown(&self, limit: usize) -> Arc<[Arc<Row>]> {
        let shown = self.rows.iter().take(limit);
        shown.map(|kept| Arc::clone(&kept.row)).collect()
    }

    /// The keys of a row that is here.
    pub(super) fn keys(&self, id: &str) -> Option<&[Value]> {
        let kept = self.rows.iter().find(|kept| kept.row.id == id)?;
        Some(&kept.keys)
    }

    /// Whether fewer rows are here than are to be shown, though there may be more.
    pub(super) fn is_short(&self, limit: usize) -> bool {
        !self.whole && self.rows.len() < limit
    }

    /// Takes a row out; whether it was here.
    pub(super) fn remove(&mut self, id: &str) -> bool {
        let Some(at) = self.rows.iter().position(|kept| kept.row.id == id) else {
            return false;
        };
        self.bytes -= self.rows.remove(at).size_bytes();
        true
    }

    /// Where a row of these keys would stand, if that is among these rows.
    pub(super) fn place(&self, sort: &Sort, keys: &[Value]) -> Option<usize> {
        let before = |kept: &Kept| sort.compare(&kept.keys, keys) == Ordering::Less;
        let at = self.rows.partition_point(before);
        (at < self.rows.len() || self.whole).then_some(at)
    }

    /// Puts a row in its place.
    pub(super) fn insert(&mut self, at: usize, kept: Kept, limit: usize) {
        self.bytes += kept.size_bytes();
        self.rows.insert(at, kept);
        if self.rows.len() > limit + spare(limit) {
            self.whole = false;
            if let Some(last) = self.rows.pop() {
                self.bytes -= last.size_bytes();
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use compact_str::format_compact;

    use super::*;

    fn kept(n: i64) -> Kept {
        Kept {
            row: Arc::new(Row {
                id: format_compact!("{n}"),
                view: bytes::Bytes::from(n.to_string()),
            }),
            keys: vec![Value::Int(n)],
        }
    }

    fn insert(window: &mut Window, n: i64) {
        if let Some(at) = window.place(&Sort::rowid(), &[Value::Int(n)]) {
            window.insert(at, kept(n), 2);
        }
    }

    fn shown(window: &Window) -> Vec<String> {
        window
            .shown(2)
            .iter()
            .map(|row| row.id.to_string())
            .collect()
    }

    #[test]
    fn rows_are_kept_in_their_order() {
        let mut window = Window::new(Vec::new(), true);
        for n in [5, 1, 3] {
            insert(&mut window, n);
        }
        assert_eq!(shown(&window), ["1", "3"]);
        assert!(window.remove("1") && !window.remove("1"));
        assert_eq!(shown(&window), ["3", "5"]);
    }

    #[test]
    fn what_stands_after_the_last_known_row_is_not_known() {
        let mut window = Window::new(vec![kept(1), kept(2)], false);
        insert(&mut window, 9);
        window.remove("1");
        assert_eq!(shown(&window), ["2"]);
        assert!(window.is_short(2));
    }

    #[test]
    fn too_many_rows_are_let_go() {
        let mut window = Window::new(Vec::new(), true);
        for n in 0..40 {
            insert(&mut window, n);
        }
        assert_eq!(window.rows.len(), 2 + spare(2));
        assert!(!window.whole);
        let bytes = window.rows.iter().map(Kept::size_bytes).sum::<usize>();
        assert_eq!(window.size_bytes(), bytes);
    }
}
