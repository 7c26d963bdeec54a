//! From one result to the next: the fewest steps that turn the one into the other (realtime protocol, `diff`). Pure.

use std::collections::HashMap;
use std::sync::Arc;

use bytes::Bytes;
use compact_str::CompactString;

use crate::kit::json;

/// A record of a result as its reader sees it.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Row {
    pub(super) id: CompactString,
    /// Its JSON.
    pub(super) view: Bytes,
}

/// A result in its order.
pub(super) type Rows = [Arc<Row>];

/// The items of a snapshot, as a JSON array.
pub(super) fn items(rows: &Rows) -> Vec<u8> {
    let mut out = Vec::with_capacity(rows.iter().map(|row| row.view.len() + 1).sum::<usize>() + 2);
    out.push(b'[');
    for (at, row) in rows.iter().enumerate() {
        if at > 0 {
            out.push(b',');
        }
        out.extend_from_slice(&row.view);
    }
    out.push(b']');
    out
}

/// The changes that turn `old` into `new`, as a JSON array; `None` when there are none.
pub(super) fn changes(old: &Rows, new: &Rows) -> Option<Vec<u8>> {
    let steps = steps(old, new);
    if steps.is_empty() {
        return None;
    }
    let mut out = vec![b'['];
    for step in steps {
        if out.len() > 1 {
            out.push(b',');
        }
        step.write(&mut out);
    }
    out.push(b']');
    Some(out)
}

/// One step. Positions are those of the list as the earlier steps left it.
#[derive(Debug, PartialEq, Eq)]
enum Step<'a> {
    Remove(&'a str),
    Update(usize, &'a Row),
    Add(usize, &'a Row),
}

impl Step<'_> {
    fn write(&self, out: &mut Vec<u8>) {
        let (op, id, put) = match self {
            Self::Remove(id) => ("remove", Some(*id), None),
            Self::Update(at, row) => ("update", Some(row.id.as_str()), Some((at, row))),
            Self::Add(at, row) => ("add", None, Some((at, row))),
        };
        out.extend_from_slice(b"{\"op\":\"");
        out.extend_from_slice(op.as_bytes());
        out.push(b'"');
        if let Some(id) = id {
            out.extend_from_slice(b",\"id\":");
            json::write_str(id, out);
        }
        if let Some((at, row)) = put {
            out.extend_from_slice(format!(",\"index\":{at},\"record\":").as_bytes());
            out.extend_from_slice(&row.view);
        }
        out.push(b'}');
    }
}

fn same(old: &Arc<Row>, new: &Arc<Row>) -> bool {
    Arc::ptr_eq(old, new) || old.view == new.view
}

fn steps<'a>(old: &'a Rows, new: &'a Rows) -> Vec<Step<'a>> {
    let wanted: HashMap<&str, usize> = new
        .iter()
        .enumerate()
        .map(|(at, row)| (row.id.as_str(), at))
        .collect();
    let mut steps = Vec::new();
    // What is there, by its place in `new`.
    let mut list: Vec<usize> = Vec::with_capacity(new.len());
    let mut before: Vec<Option<&Arc<Row>>> = vec![None; new.len()];
    for row in old {
        match wanted.get(row.id.as_str()) {
            Some(&at) => {
                list.push(at);
                before[at] = Some(row);
            }
            None => steps.push(Step::Remove(&row.id)),
        }
    }
    let settled = longest_rising(&list);
    let mut is_settled = vec![false; new.len()];
    for at in settled {
        is_settled[at] = true;
    }
    for (at, row) in new.iter().enumerate() {
        match before[at] {
            Some(known) if is_settled[at] && same(known, row) => continue,
            Some(_) => list.retain(|other| *other != at),
            None => {}
        }
        // Right after its neighbour, which stands where it belongs.
        let place = match at.checked_sub(1) {
            None => 0,
            Some(left) => list
                .iter()
                .position(|other| *other == left)
                .map_or(0, |at| at + 1),
        };
        list.insert(place, at);
        steps.push(match before[at] {
            Some(_) => Step::Update(place, row),
            None => Step::Add(place, row),
        });
    }
    steps
}

/// The members of a longest subsequence that rises: those that need not move.
fn longest_rising(list: &[usize]) -> Vec<usize> {
    // `ends[n]` is where the best subsequence of n + 1 members ends.
    let mut ends: Vec<usize> = Vec::new();
    let mut before: Vec<Option<usize>> = vec![None; list.len()];
    for (at, value) in list.iter().enumerate() {
        let length = ends.partition_point(|&end| list[end] < *value);
        before[at] = length.checked_sub(1).map(|shorter| ends[shorter]);
        if length == ends.len() {
            ends.push(at);
        } else {
            ends[length] = at;
        }
    }
    let mut members = Vec::with_capacity(ends.len());
    let mut at = ends.last().copied();
    while let Some(end) = at {
        members.push(list[end]);
        at = before[end];
    }
    members
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn rows(of: &[(u8, u8)]) -> Vec<Arc<Row>> {
        of.iter()
            .map(|(id, view)| {
                Arc::new(Row {
                    id: compact_str::format_compact!("{id}"),
                    view: Bytes::from(view.to_string()),
                })
            })
            .collect()
    }

    /// Does what the protocol says a client does.
    fn apply(list: &[Arc<Row>], steps: &[Step<'_>]) -> Vec<(CompactString, Bytes)> {
        let mut list: Vec<_> = list
            .iter()
            .map(|row| (row.id.clone(), row.view.clone()))
            .collect();
        for step in steps {
            match step {
                Step::Remove(id) => list.retain(|(known, _)| known != id),
                Step::Update(at, row) => {
                    let place = list.iter().position(|(known, _)| *known == row.id).unwrap();
                    list.remove(place);
                    list.insert(*at, (row.id.clone(), row.view.clone()));
                }
                Step::Add(at, row) => list.insert(*at, (row.id.clone(), row.view.clone())),
            }
        }
        list
    }

    #[test]
    fn nothing_is_said_where_nothing_changed() {
        let list = rows(&[(1, 1), (2, 2)]);
        assert_eq!(changes(&list, &rows(&[(1, 1), (2, 2)])), None);
    }

    #[test]
    fn one_that_moves_is_one_step() {
        let (old, new) = (
            rows(&[(1, 1), (2, 2), (3, 3)]),
            rows(&[(3, 9), (1, 1), (2, 2)]),
        );
        let text = String::from_utf8(changes(&old, &new).unwrap()).unwrap();
        assert_eq!(text, r#"[{"op":"update","id":"3","index":0,"record":9}]"#);
    }

    fn result() -> impl Strategy<Value = Vec<(u8, u8)>> {
        let ids = Just((0..12).collect::<Vec<u8>>()).prop_shuffle();
        let picked = (ids, 0..12_usize);
        picked
            .prop_flat_map(|(ids, length)| {
                let views = proptest::collection::vec(0..3_u8, length);
                (Just(ids), views)
            })
            .prop_map(|(ids, views)| ids.into_iter().zip(views).collect())
    }

    proptest! {
        #[test]
        fn the_steps_lead_from_one_result_to_the_other(old in result(), new in result()) {
            let (old, new) = (rows(&old), rows(&new));
            let there = apply(&old, &steps(&old, &new));
            let expected: Vec<_> = new.iter().map(|row| (row.id.clone(), row.view.clone())).collect();
            prop_assert_eq!(there, expected);
        }
    }
}
