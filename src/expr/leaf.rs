//! One comparison that still needs a row, and what can be said of it before it is written.

use super::ast::Op;
use super::bound::{Access, Column, Join, JoinId, Operand, Strftime};
use super::request::Known;
use crate::call::Call;

/// One side of a comparison that still needs a row.
#[derive(Clone, Debug)]
pub(super) enum Side {
    Known(Known),
    Column(Column),
    Strftime(Strftime, Option<Box<Self>>),
    Distance(Box<[Self; 4]>),
    /// Whether the submitted value differs from the column.
    Changed(Known, Column),
}

impl Side {
    pub(super) fn new(operand: &Operand, call: &Call) -> Self {
        match operand {
            Operand::Literal(value) => Self::Known(Known::literal(value.clone())),
            Operand::Macro(date) => Self::Known(Known::literal(date.value(call.now))),
            Operand::Given(given) => Self::Known(given.known(call)),
            Operand::Column(column) => Self::Column(column.clone()),
            Operand::Strftime(strftime) => Self::Strftime(
                strftime.clone(),
                strftime.time.as_ref().map(|t| Box::new(Self::new(t, call))),
            ),
            Operand::Distance(args) => {
                Self::Distance(Box::new(std::array::from_fn(|i| Self::new(&args[i], call))))
            }
            Operand::Changed(given, column) => {
                let mut known = given.known(call);
                known.raw = true;
                Self::Changed(known, column.clone())
            }
        }
    }

    /// Whether NULL and empty stay different (contract 4.6).
    pub(super) fn is_raw(&self) -> bool {
        match self {
            Self::Known(known) => known.raw,
            Self::Column(column) => column.is_raw(),
            Self::Strftime(..) => false,
            Self::Distance(_) | Self::Changed(..) => true,
        }
    }

    /// The value, when no row is needed for it.
    pub(super) fn known(&self) -> Option<&Known> {
        match self {
            Self::Known(known) => Some(known),
            Self::Column(_) | Self::Strftime(..) | Self::Distance(_) | Self::Changed(..) => None,
        }
    }

    /// Calls `each` with every column it reads.
    pub(super) fn for_each_column(&self, each: &mut dyn FnMut(&Column)) {
        match self {
            Self::Known(_) => {}
            Self::Column(column) | Self::Changed(_, column) => each(column),
            Self::Strftime(_, time) => {
                if let Some(time) = time {
                    time.for_each_column(each);
                }
            }
            Self::Distance(args) => args.iter().for_each(|arg| arg.for_each_column(each)),
        }
    }

    /// Whether it is NULL for sure when the columns of a row are.
    fn is_null_with_its_row(&self) -> bool {
        match self {
            Self::Known(_) | Self::Changed(..) => false,
            Self::Column(column) => column.access != Access::Length,
            Self::Strftime(..) | Self::Distance(_) => true,
        }
    }

    /// Gives its columns other joined rows.
    fn remap(&mut self, to: &dyn Fn(JoinId) -> JoinId) {
        match self {
            Self::Known(_) => {}
            Self::Column(column) | Self::Changed(_, column) => {
                column.join = column.join.map(to);
            }
            Self::Strftime(_, time) => {
                if let Some(time) = time {
                    time.remap(to);
                }
            }
            Self::Distance(args) => args.iter_mut().for_each(|arg| arg.remap(to)),
        }
    }
}

/// A comparison that still needs a row.
#[derive(Clone, Debug)]
pub(super) struct Leaf {
    pub(super) left: Side,
    pub(super) op: Op,
    pub(super) right: Side,
    /// Whether no joined row may violate it (contract 4.7).
    pub(super) all: bool,
    /// Whether it looks for a row that violates the comparison instead of one that satisfies it.
    pub(super) violation: bool,
    /// Whether the rows that violate it are looked for beside each row that satisfies it: a distance is that of the latter.
    pub(super) within: bool,
    /// Whether each side can have more than one value.
    pub(super) many: [bool; 2],
    pub(super) base: Option<JoinId>,
}

impl Leaf {
    /// Calls `each` with every column on either side.
    pub(super) fn for_each_column(&self, each: &mut dyn FnMut(&Column)) {
        self.left.for_each_column(each);
        self.right.for_each_column(each);
    }

    /// Calls `each` with every joined row it reads and their parents, down to where it starts.
    pub(super) fn for_each_join(&self, joins: &[Join], each: &mut dyn FnMut(JoinId)) {
        self.for_each_column(&mut |column| {
            let mut at = column.join;
            while let Some(join) = at {
                each(join);
                at = joins[join].parent;
            }
        });
    }

    /// Calls `each` as [`Leaf::for_each_join`] does, but only with rows that it joins itself.
    pub(super) fn for_each_own_join(&self, joins: &[Join], each: &mut dyn FnMut(JoinId)) {
        self.for_each_column(&mut |column| {
            let mut at = column.join;
            while let Some(join) = at.filter(|join| Some(*join) != self.base) {
                each(join);
                at = joins[join].parent;
            }
        });
    }

    pub(super) fn many_sides(&self, joins: &[Join]) -> [bool; 2] {
        [&self.left, &self.right].map(|side| {
            // geoDistance itself knows no "every one of many" (contract 4.5).
            !matches!(side, Side::Distance(_))
                && chain(side, joins, self.base)
                    .into_iter()
                    .any(|join| joins[join].many)
        })
    }

    /// Whether it compares each of many values with a distance that reads joined rows.
    pub(super) fn has_joined_distance(&self, joins: &[Join]) -> bool {
        self.all
            && [&self.left, &self.right].into_iter().any(|side| {
                matches!(side, Side::Distance(_)) && !chain(side, joins, self.base).is_empty()
            })
    }

    /// Whether NULL and empty stay different (contract 4.6). Among the values of one side of many, only that side's
    /// kind counts: so the reference looks for violations.
    pub(super) fn is_raw(&self) -> bool {
        let (left, right) = (self.left.is_raw(), self.right.is_raw());
        match (self.violation, self.many) {
            (true, [true, false]) => left,
            (true, [false, true]) => right,
            (false, _) | (true, [false, false] | [true, true]) => left || right,
        }
    }

    /// Whether a time that cannot be formatted is plain NULL here: one that is compared with each of many values.
    pub(super) fn is_bare_time(&self) -> bool {
        let timed = |side: &Side| matches!(side, Side::Strftime(..));
        match (self.violation, self.many) {
            (true, [true, false]) => timed(&self.right),
            (true, [false, true]) => timed(&self.left),
            (false, _) | (true, [false, false] | [true, true]) => false,
        }
    }

    /// Whether the comparison is never unknown, so that "not violated" is "satisfied".
    pub(super) fn is_two_valued(&self) -> bool {
        let known = self.left.known().or(self.right.known());
        // The search for violations must ask the very opposite.
        let violation = Self {
            violation: true,
            ..self.clone()
        };
        if self.guarded_email().is_some()
            || self.is_raw() != violation.is_raw()
            || (known.is_none() && violation.is_bare_time())
        {
            return false;
        }
        let empty = |side: &Side| side.known().is_some_and(Known::is_empty);
        match self.op {
            Op::Ne => true,
            Op::Eq => self.is_raw() || known.is_none() || empty(&self.left) || empty(&self.right),
            Op::Lt | Op::Le | Op::Gt | Op::Ge | Op::Like | Op::NotLike => false,
        }
    }

    /// The e-mail column that is only to be read where it is public.
    pub(super) fn guarded_email(&self) -> Option<Column> {
        let mut found = None;
        self.for_each_column(&mut |column| {
            if column.guarded_email {
                found = Some(column.clone());
            }
        });
        found
    }

    /// Whether it cannot be true when `join` found no row, so that an inner join will do.
    pub(super) fn rejects_null(&self, joins: &[Join], join: JoinId) -> bool {
        let below = |side: &Side| {
            let mut below = false;
            side.for_each_column(&mut |column| below |= is_below(joins, column.join, join));
            below && side.is_null_with_its_row()
        };
        let (left, right) = (below(&self.left), below(&self.right));
        if !left && !right {
            return false;
        }
        let hidden = |email: Column| is_below(joins, email.join, join);
        if self.guarded_email().is_some_and(hidden) {
            return true;
        }
        let other = if left { &self.right } else { &self.left };
        let raw = self.is_raw();
        match self.op {
            Op::Lt | Op::Le | Op::Gt | Op::Ge | Op::Like | Op::NotLike => true,
            Op::Eq | Op::Ne => {
                let Some(known) = other.known() else {
                    return false;
                };
                let nothing = if raw {
                    known.value.is_null()
                } else {
                    known.is_empty()
                };
                match (self.op == Op::Eq, self.violation, raw) {
                    // `NULL = 'x'` is unknown, and so is its violation.
                    (true, true, false) => true,
                    (true, false, _) | (false, true, _) => !nothing,
                    (true, true, true) | (false, false, _) => nothing,
                }
            }
        }
    }

    /// Whether everything it reads hangs on `join`.
    pub(super) fn is_all_below(&self, joins: &[Join], join: JoinId) -> bool {
        let mut all = true;
        self.for_each_column(&mut |column| all &= is_below(joins, column.join, join));
        all
    }

    /// The search for a joined row that violates it. Its two sides join rows of their own, since every combination of
    /// them counts; copies of shared joins are added to `joins`.
    pub(super) fn violation(&self, joins: &mut Vec<Join>) -> Self {
        let mut violation = self.clone();
        violation.all = false;
        violation.violation = true;
        violation.within = false;
        if self.within {
            let side = if self.many[0] {
                &mut violation.left
            } else {
                &mut violation.right
            };
            let rows = chain(side, joins, self.base);
            join_afresh(side, rows, joins);
            return violation;
        }
        let (left, right) = (
            chain(&self.left, joins, self.base),
            chain(&self.right, joins, self.base),
        );
        if right.iter().any(|join| left.contains(join)) {
            join_afresh(&mut violation.right, right, joins);
        }
        violation
    }
}

/// Lets `side` join `rows` again, apart from what they are elsewhere.
fn join_afresh(side: &mut Side, mut rows: Vec<JoinId>, joins: &mut Vec<Join>) {
    rows.sort_unstable();
    let mut copies: Vec<(JoinId, JoinId)> = Vec::with_capacity(rows.len());
    for join in rows {
        let mut copy = joins[join].clone();
        let parent = copies.iter().find(|(old, _)| Some(*old) == copy.parent);
        if let Some(&(_, parent)) = parent {
            copy.parent = Some(parent);
            copy.kind = copy.kind.with_parent(parent);
        }
        joins.push(copy);
        copies.push((join, joins.len() - 1));
    }
    side.remap(&|id| {
        copies
            .iter()
            .find(|(old, _)| *old == id)
            .map_or(id, |&(_, new)| new)
    });
}

/// The joined rows that `side` reads and their parents, down to `base`.
fn chain(side: &Side, joins: &[Join], base: Option<JoinId>) -> Vec<JoinId> {
    let mut chain = Vec::new();
    side.for_each_column(&mut |column| {
        let mut at = column.join;
        while let Some(join) = at.filter(|join| Some(*join) != base) {
            if !chain.contains(&join) {
                chain.push(join);
            }
            at = joins[join].parent;
        }
    });
    chain
}

fn is_below(joins: &[Join], mut at: Option<JoinId>, ancestor: JoinId) -> bool {
    while let Some(join) = at {
        if join == ancestor {
            return true;
        }
        at = joins[join].parent;
    }
    false
}
