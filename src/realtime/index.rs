//! Finding those whom a change can concern without asking each: rules that say `field = value` are looked up by the
//! value, so that thousands of them cost a change of somebody else's record nothing. Pure.

use std::collections::{HashMap, HashSet};
use std::hash::Hash;

use compact_str::CompactString;

use crate::kit::value::{Cell, Columns};

/// A text field and the only text of it that matters.
pub(super) type OnlyIf = Option<(usize, CompactString)>;

/// Members, each with what must hold of a row for it to matter.
#[derive(Debug)]
pub(super) struct Index<K> {
    by_text: HashMap<usize, HashMap<CompactString, HashSet<K>>>,
    rest: HashSet<K>,
}

impl<K> Default for Index<K> {
    fn default() -> Self {
        Self {
            by_text: HashMap::new(),
            rest: HashSet::new(),
        }
    }
}

impl<K: Clone + Eq + Hash> Index<K> {
    pub(super) fn insert(&mut self, member: K, only_if: &OnlyIf) {
        match only_if {
            None => self.rest.insert(member),
            Some((field, text)) => self
                .by_text
                .entry(*field)
                .or_default()
                .entry(text.clone())
                .or_default()
                .insert(member),
        };
    }

    pub(super) fn remove(&mut self, member: &K, only_if: &OnlyIf) {
        let Some((field, text)) = only_if else {
            self.rest.remove(member);
            return;
        };
        let Some(texts) = self.by_text.get_mut(field) else {
            return;
        };
        if let Some(members) = texts.get_mut(text) {
            members.remove(member);
            if members.is_empty() {
                texts.remove(text);
            }
        }
        if texts.is_empty() {
            self.by_text.remove(field);
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.by_text.is_empty() && self.rest.is_empty()
    }

    /// The members for whom one of two states of a row can matter, each once.
    pub(super) fn concerned<'a>(
        &'a self,
        before: Option<&dyn Columns>,
        after: Option<&dyn Columns>,
    ) -> Vec<&'a K> {
        let mut found: Vec<&K> = self.rest.iter().collect();
        for (field, texts) in &self.by_text {
            let text = |row: Option<&dyn Columns>| match row.map(|row| row.cell(*field)) {
                Some(Cell::Text(text)) => texts.get_key_value(text),
                _ => None,
            };
            let (old, new) = (text(before), text(after));
            found.extend(old.into_iter().flat_map(|(_, members)| members));
            if old.map(|(text, _)| text) != new.map(|(text, _)| text) {
                found.extend(new.into_iter().flat_map(|(_, members)| members));
            }
        }
        found
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kit::value::Value;

    struct Row([Value; 2]);

    impl Columns for Row {
        fn cell(&self, index: usize) -> Cell<'_> {
            self.0[index].as_cell()
        }
    }

    #[test]
    fn only_those_who_name_the_value_are_found() {
        let mut index = Index::default();
        for owner in ["ann", "bob", "eve"] {
            index.insert(owner, &Some((1, owner.into())));
        }
        index.insert("all", &None);
        let row = |owner: &str| Row([Value::from("id"), Value::from(owner)]);
        let found = |before: &Row, after: &Row| {
            let mut found: Vec<&str> = index
                .concerned(Some(before), Some(after))
                .into_iter()
                .copied()
                .collect();
            found.sort_unstable();
            found
        };

        assert_eq!(found(&row("ann"), &row("ann")), ["all", "ann"]);
        assert_eq!(found(&row("ann"), &row("bob")), ["all", "ann", "bob"]);
        assert_eq!(found(&row(""), &row("sue")), ["all"]);
    }

    #[test]
    fn what_is_removed_leaves_nothing() {
        let mut index = Index::default();
        let only_if = Some((0, CompactString::from("x")));
        index.insert(1, &only_if);
        index.insert(2, &None);
        index.remove(&1, &only_if);
        index.remove(&2, &None);
        assert!(index.is_empty());
    }
}
