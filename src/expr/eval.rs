//! The same verdicts as the SQL, from the cells of one row.

use super::bound::{Access, Affinity, Column, Join, JoinId};
use super::functions::geo_distance;
use super::json_path;
use super::leaf::{Leaf, Side};
use super::plan::Plan;
use super::request::Known;
use crate::kit::limits::EVAL_ROWS_MAX;
use crate::kit::value::{Columns, Value};

use super::compare::{compare, is_same, sqlite_text};

/// The verdict of `plan` for one row, where it reads no other; `None` when that cannot be told in memory.
/// With `typed` its cells compare like stored columns, else like the values that were submitted.
pub(super) fn holds(plan: &Plan, joins: &[Join], row: &dyn Columns, typed: bool) -> Option<bool> {
    let mut used: Vec<JoinId> = Vec::new();
    plan.for_each_join(joins, &mut |join| {
        if !used.contains(&join) {
            used.push(join);
        }
    });
    let mut lists = Vec::with_capacity(used.len());
    let mut combinations: usize = 1;
    for join in used {
        let values = list_values(plan, joins, join, row)?;
        combinations = combinations.checked_mul(values.len())?;
        lists.push((join, values));
    }
    if combinations > EVAL_ROWS_MAX {
        return None;
    }
    // Every combination of the items of the lists is one joined row; one that satisfies everything is enough.
    for number in 0..combinations {
        let scope = Rows {
            row,
            typed,
            items: pick(&lists, number),
            lists: &lists,
        };
        if scope.node(plan)? {
            return Some(true);
        }
    }
    Some(false)
}

/// What `side` is for `row`, where it reads no other: the whole list where it means the items of one.
pub(super) fn side(side: &Side, joins: &[Join], row: &dyn Columns, typed: bool) -> Option<Known> {
    use super::bound::{From, JoinKind};
    let rows = Rows {
        row,
        typed,
        items: Vec::new(),
        lists: &[],
    };
    match side {
        Side::Column(column) if column.join.is_some() => {
            let own =
                |join: &JoinId| matches!(joins[*join].kind, JoinKind::Each(From::Column(None, _)));
            column.join.filter(own)?;
            Some(Known::literal(row.cell(column.index).to_value()))
        }
        other => rows.side(other),
    }
}

type Lists = [(JoinId, Vec<Value>)];

/// The combination called `number`.
fn pick(lists: &Lists, mut number: usize) -> Vec<(JoinId, &Value)> {
    lists
        .iter()
        .map(|(join, values)| {
            let value = &values[number % values.len()];
            number /= values.len();
            (*join, value)
        })
        .collect()
}

/// The items of the row's own list that `join` means; an empty list gives one NULL, as a left join does.
fn list_values(plan: &Plan, joins: &[Join], join: JoinId, row: &dyn Columns) -> Option<Vec<Value>> {
    use super::bound::{From, JoinKind};
    let JoinKind::Each(From::Column(None, _)) = &joins[join].kind else {
        return None;
    };
    let mut index = None;
    plan.for_each_leaf(&mut |leaf| {
        leaf.for_each_column(&mut |column| {
            if column.join == Some(join) {
                index = Some(column.index);
            }
        });
    });
    let mut values = json_path::each(row.cell(index?));
    if values.is_empty() {
        values.push(Value::Null);
    }
    Some(values)
}

struct Rows<'a> {
    row: &'a dyn Columns,
    typed: bool,
    items: Vec<(JoinId, &'a Value)>,
    lists: &'a Lists,
}

impl Rows<'_> {
    /// Depth is bounded by the number of comparisons.
    fn node(&self, plan: &Plan) -> Option<bool> {
        match plan {
            Plan::Known(known) => Some(*known),
            Plan::All(parts) => {
                for part in parts {
                    if !self.node(part)? {
                        return Some(false);
                    }
                }
                Some(true)
            }
            Plan::Any(parts) => {
                for part in parts {
                    if self.node(part)? {
                        return Some(true);
                    }
                }
                Some(false)
            }
            Plan::Leaf(leaf) => self.leaf(leaf),
        }
    }

    fn leaf(&self, leaf: &Leaf) -> Option<bool> {
        let (left, right) = (self.side(&leaf.left)?, self.side(&leaf.right)?);
        if compare(&left, leaf.op, &right) != Some(true) {
            return Some(false);
        }
        if !leaf.all {
            return Some(true);
        }
        let raw = Leaf {
            violation: true,
            ..leaf.clone()
        }
        .is_raw();
        for mut left in self.every(&leaf.left)? {
            for mut right in self.every(&leaf.right)? {
                (left.raw, right.raw) = (raw, raw);
                if compare(&left, leaf.op, &right) == Some(false) {
                    return Some(false);
                }
            }
        }
        Some(true)
    }

    /// All values that a side can have, one for each item of its list.
    fn every(&self, side: &Side) -> Option<Vec<Known>> {
        let Side::Column(column) = side else {
            return Some(vec![self.side(side)?]);
        };
        let list = self
            .lists
            .iter()
            .find(|(join, _)| Some(*join) == column.join);
        Some(match list {
            Some((_, values)) => values
                .iter()
                .map(|value| known_item(column, value))
                .collect(),
            None => vec![self.side(side)?],
        })
    }

    fn side(&self, side: &Side) -> Option<Known> {
        Some(match side {
            Side::Known(known) => known.clone(),
            Side::Column(column) => match column.join {
                Some(join) => {
                    let (_, value) = self.items.iter().find(|(known, _)| *known == join)?;
                    known_item(column, value)
                }
                None => self.column(column),
            },
            Side::Strftime(..) => return None,
            Side::Distance(args) => {
                let mut numbers = [Value::Null, Value::Null, Value::Null, Value::Null];
                for (number, arg) in numbers.iter_mut().zip(args.iter()) {
                    *number = self.side(arg)?.value;
                }
                Known {
                    value: geo_distance(&numbers),
                    affinity: Affinity::None,
                    column: true,
                    raw: true,
                }
            }
            Side::Changed(sent, column) => {
                let stored = self.column(column);
                let mut known = Known::literal(Value::from(!is_same(sent, &stored)));
                known.raw = true;
                known
            }
        })
    }

    fn column(&self, column: &Column) -> Known {
        let cell = self.row.cell(column.index);
        let value = match &column.access {
            Access::Plain | Access::Each | Access::Item => cell.to_value(),
            Access::Json(path) => json_path::extract(cell, path),
            Access::Length if column.multiple => Value::Int(json_path::length(cell)),
            Access::Length => {
                let empty = matches!(cell, crate::kit::value::Cell::Null)
                    || matches!(cell, crate::kit::value::Cell::Text(""));
                Value::from(!empty)
            }
        };
        Known {
            value: lowered(column, value),
            affinity: if self.typed {
                column.compared_affinity()
            } else {
                Affinity::None
            },
            column: true,
            raw: column.is_raw(),
        }
    }
}

fn known_item(column: &Column, value: &Value) -> Known {
    Known {
        value: lowered(column, value.clone()),
        affinity: if column.lower {
            Affinity::None
        } else {
            Affinity::Blob
        },
        column: true,
        raw: false,
    }
}

fn lowered(column: &Column, value: Value) -> Value {
    if !column.lower || value.is_null() {
        return value;
    }
    let mut text = sqlite_text(&value);
    text.make_ascii_lowercase();
    Value::Text(text)
}
