//! A filter settled for one call and kept: who judges many rows for the same caller settles it once.

use std::sync::Arc;

use compact_str::CompactString;

use super::ast::Op;
use super::bound::{Affinity, Join};
use super::catalog::{Filter, Reach, whole};
use super::eval;
use super::leaf::Side;
use super::plan::{self, Plan};
use crate::call::Call;
use crate::kit::value::Columns;

/// A filter over the record alone, with everything that the call decides decided.
#[derive(Clone, Debug)]
pub struct Settled {
    plan: Plan,
    joins: Vec<Join>,
}

impl Filter {
    /// Settles it for `call`; `None` where only SQL can tell. Good for as long as the caller is the same, and where
    /// [`Filter::reads_clock`] says so only for this moment.
    #[must_use]
    pub fn settle(&self, call: &Call) -> Option<Settled> {
        if self.reach() == Reach::Tables {
            return None;
        }
        let bounds: Vec<_> = self
            .parts
            .iter()
            .map(|part| Arc::clone(&part.general))
            .collect();
        let bound = whole(&bounds);
        Some(Settled {
            plan: plan::settle(&bound, call),
            joins: bound.joins.clone(),
        })
    }
}

impl Settled {
    /// As [`Filter::holds`].
    #[must_use]
    pub fn holds(&self, row: &dyn Columns) -> Option<bool> {
        eval::holds(&self.plan, &self.joins, row, true)
    }

    /// A text field and the only text of it for which the filter can hold, where it says so plainly: rows with any
    /// other need not be judged.
    #[must_use]
    pub fn only_if(&self) -> Option<(usize, CompactString)> {
        match &self.plan {
            Plan::All(parts) => parts.iter().find_map(equality),
            other => equality(other),
        }
    }
}

/// `text column = known text`.
fn equality(plan: &Plan) -> Option<(usize, CompactString)> {
    let Plan::Leaf(leaf) = plan else {
        return None;
    };
    let ((Side::Column(column), Side::Known(known)) | (Side::Known(known), Side::Column(column))) =
        (&leaf.left, &leaf.right)
    else {
        return None;
    };
    let text = known.value.as_text().filter(|text| !text.is_empty())?;
    let plain = leaf.op == Op::Eq
        && column.is_plain_of_row()
        && !column.multiple
        && column.affinity == Affinity::Text
        && matches!(known.affinity, Affinity::None | Affinity::Text);
    plain.then(|| (column.index, text.into()))
}
