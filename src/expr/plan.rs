//! A bound expression for one call: what the request decides is decided, the rest is simplified and ready to be
//! written. The language has no negation, so that "unknown" and "false" are the same everywhere above a leaf.

use super::ast::Op;
use super::bound::{Bound, Compare, Join, JoinId, Node, Reads};
use super::compare;
use super::request::Known;
use crate::call::Call;
use crate::kit::limits::LIKE_BYTES_MAX;

use super::leaf::{Leaf, Side};

/// What is left to be decided by rows.
#[derive(Clone, Debug)]
pub(super) enum Plan {
    Known(bool),
    All(Vec<Self>),
    Any(Vec<Self>),
    Leaf(Box<Leaf>),
}

/// Settles `bound` for `call`.
pub(super) fn settle(bound: &Bound, call: &Call) -> Plan {
    node(&bound.node, &bound.joins, call)
}

/// Depth is bounded by the number of comparisons.
fn node(from: &Node, joins: &[Join], call: &Call) -> Plan {
    match from {
        Node::All(parts) => {
            let mut kept = Vec::with_capacity(parts.len());
            for part in parts {
                match node(part, joins, call) {
                    Plan::Known(true) => {}
                    Plan::Known(false) => return Plan::Known(false),
                    Plan::All(inner) => kept.extend(inner),
                    other => kept.push(other),
                }
            }
            one_or(kept, true, Plan::All)
        }
        Node::Any(parts) => {
            let mut kept = Vec::with_capacity(parts.len());
            for part in parts {
                match node(part, joins, call) {
                    Plan::Known(false) => {}
                    Plan::Known(true) => return Plan::Known(true),
                    Plan::Any(inner) => kept.extend(inner),
                    other => kept.push(other),
                }
            }
            one_or(kept, false, Plan::Any)
        }
        Node::Compare(compare) => leaf(compare, joins, call),
    }
}

fn one_or(mut parts: Vec<Plan>, empty: bool, many: fn(Vec<Plan>) -> Plan) -> Plan {
    match (parts.len(), parts.pop()) {
        (_, None) => Plan::Known(empty),
        (1, Some(only)) => only,
        (_, Some(last)) => {
            parts.push(last);
            many(parts)
        }
    }
}

fn leaf(compare: &Compare, joins: &[Join], call: &Call) -> Plan {
    let left = settle_changed(Side::new(&compare.left, call));
    let right = settle_changed(Side::new(&compare.right, call));
    let too_long = |known: &Known| compare::pattern(known).text_or_empty().len() > LIKE_BYTES_MAX;
    if matches!(compare.op, Op::Like | Op::NotLike) && right.known().is_some_and(too_long) {
        return Plan::Known(false);
    }
    if let (Side::Known(left), Side::Known(right)) = (&left, &right) {
        return Plan::Known(compare::compare(left, compare.op, right) == Some(true));
    }
    let equality = matches!(compare.op, Op::Eq | Op::Ne);
    let null = |side: &Side| side.known().is_some_and(|known| known.value.is_null());
    if !equality && (null(&left) || null(&right)) {
        return Plan::Known(false);
    }
    // The reference matches a function with literal arguments against these arguments made into patterns: a time
    // like `%2024%` is none.
    if !equality
        && let (Op::Like | Op::NotLike, Side::Strftime(call, time)) = (compare.op, &right)
        && (!call.modifiers.is_empty() || time.as_ref().is_some_and(|t| t.known().is_some()))
    {
        return Plan::Known(false);
    }
    let mut leaf = Leaf {
        left,
        op: compare.op,
        right,
        all: false,
        violation: false,
        within: false,
        many: [false; 2],
        base: compare.base,
    };
    leaf.many = leaf.many_sides(joins);
    leaf.all = !compare.any && leaf.many != [false; 2];
    leaf.within = leaf.has_joined_distance(joins);
    Plan::Leaf(Box::new(leaf))
}

/// A value that was not sent has not changed.
fn settle_changed(side: Side) -> Side {
    match side {
        Side::Changed(known, _) if known.value.is_null() => {
            Side::Known(Known::literal(crate::kit::value::Value::Int(0)))
        }
        other => other,
    }
}

impl Plan {
    /// Calls `each` with every joined row it reads and their parents.
    pub(super) fn for_each_join(&self, joins: &[Join], each: &mut dyn FnMut(JoinId)) {
        match self {
            Self::Known(_) => {}
            Self::All(parts) | Self::Any(parts) => {
                parts
                    .iter()
                    .for_each(|part| part.for_each_join(joins, each));
            }
            Self::Leaf(leaf) => leaf.for_each_join(joins, each),
        }
    }

    /// Calls `each` with every leaf.
    pub(super) fn for_each_leaf(&self, each: &mut dyn FnMut(&Leaf)) {
        match self {
            Self::Known(_) => {}
            Self::All(parts) | Self::Any(parts) => {
                parts.iter().for_each(|part| part.for_each_leaf(each));
            }
            Self::Leaf(leaf) => each(leaf),
        }
    }

    /// See [`Leaf::rejects_null`].
    pub(super) fn rejects_null(&self, joins: &[Join], join: JoinId) -> bool {
        match self {
            Self::Known(known) => !known,
            Self::All(parts) => parts.iter().any(|part| part.rejects_null(joins, join)),
            Self::Any(parts) => parts.iter().all(|part| part.rejects_null(joins, join)),
            Self::Leaf(leaf) => leaf.rejects_null(joins, join),
        }
    }

    /// See [`Leaf::is_all_below`].
    pub(super) fn is_all_below(&self, joins: &[Join], join: JoinId) -> bool {
        match self {
            Self::Known(_) => true,
            Self::All(parts) | Self::Any(parts) => {
                parts.iter().all(|part| part.is_all_below(joins, join))
            }
            // "Every one" starts again at the row itself.
            Self::Leaf(leaf) => !leaf.all && leaf.is_all_below(joins, join),
        }
    }
}

/// Whether following `join` from the row under judgement can give more than one row.
pub(super) fn is_many(joins: &[Join], mut at: Option<JoinId>) -> bool {
    while let Some(join) = at {
        if joins[join].many {
            return true;
        }
        at = joins[join].parent;
    }
    false
}

/// One bound expression of several over the same collection, equal paths joined once.
pub(super) fn merge(parts: &[std::sync::Arc<Bound>]) -> Bound {
    let mut joins: Vec<Join> = Vec::new();
    let mut nodes = Vec::with_capacity(parts.len());
    let mut merged = Bound {
        node: Node::All(Vec::new()),
        joins: Vec::new(),
        needs_actor: false,
        in_memory: true,
        footprint: Vec::new(),
        reads: Reads::default(),
    };
    for part in parts {
        let mut ids: Vec<JoinId> = Vec::with_capacity(part.joins.len());
        for join in &part.joins {
            let known = joins.iter().position(|known| known.key == join.key);
            ids.push(known.unwrap_or_else(|| {
                let mut join = join.clone();
                if let Some(parent) = join.parent {
                    join.parent = Some(ids[parent]);
                    join.kind = join.kind.with_parent(ids[parent]);
                }
                joins.push(join);
                joins.len() - 1
            }));
        }
        let mut node = part.node.clone();
        node.remap(&|id| ids[id]);
        nodes.push(node);
        merged.reads.add(&part.reads);
        merged.needs_actor |= part.needs_actor;
        merged.in_memory &= part.in_memory;
        for id in &part.footprint {
            if !merged.footprint.contains(id) {
                merged.footprint.push(id.clone());
            }
        }
    }
    merged.node = Node::All(nodes);
    merged.joins = joins;
    merged
}
