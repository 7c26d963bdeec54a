//! An expression whose names mean something: columns of the row, of joined rows, and parts of the request.

use std::sync::Arc;

use compact_str::CompactString;

use super::ast::Op;
use super::macros::Macro;
use super::request::Given;
use crate::kit::value::Value;
use crate::schema::{Collection, CollectionId};

/// A joined row, by its place in [`Bound::joins`]; parents come before children.
pub(super) type JoinId = usize;

/// How SQLite prepares a value for a comparison.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Affinity {
    /// Results of functions and bound values: they take that of the other side.
    None,
    /// Columns without a declared type, such as the items of a list: a text column leaves them as they are.
    Blob,
    /// Text columns.
    Text,
    /// Number, bool and JSON columns.
    Numeric,
}

/// What a column of PostgreSQL holds of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stored {
    Text,
    Number,
    /// JSON, as text.
    Json,
}

/// What of a column is compared.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Access {
    /// Itself.
    Plain,
    /// The value at a JSON path (`$`, `$.a[0]`).
    Json(CompactString),
    /// How many items it holds.
    Length,
    /// `value` of the [`JoinKind::Each`] join it stands in.
    Each,
    /// The one value of a field that could hold many (`:each` of a single one): an item, so without the column's affinity.
    Item,
}

/// A column of the row under judgement or of a joined row.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Column {
    /// The joined row; `None` is the row itself.
    pub(super) join: Option<JoinId>,
    /// Position of the field in its collection (of the listed field for [`Access::Each`]).
    pub(super) index: usize,
    /// Name of the column.
    pub(super) name: CompactString,
    pub(super) access: Access,
    pub(super) lower: bool,
    /// Affinity of the bare column.
    pub(super) affinity: Affinity,
    pub(super) stored: Stored,
    /// Whether the column may hold NULL though its row exists.
    pub(super) nullable: bool,
    /// Whether the field holds a list.
    pub(super) multiple: bool,
    /// Read only where `emailVisibility` of the same row is set (contract 4.10).
    pub(super) guarded_email: bool,
}

impl Column {
    /// Whether it is a bare cell of the row under judgement.
    pub(super) fn is_plain_of_row(&self) -> bool {
        self.join.is_none() && self.access == Access::Plain && !self.lower && !self.guarded_email
    }

    /// Whether NULL and empty stay different in comparisons (contract 4.6).
    pub(super) fn is_raw(&self) -> bool {
        matches!(self.access, Access::Json(_))
    }

    /// Affinity of what is compared.
    pub(super) fn compared_affinity(&self) -> Affinity {
        match self.access {
            Access::Plain if !self.lower => self.affinity,
            Access::Plain | Access::Json(_) | Access::Length | Access::Each | Access::Item => {
                Affinity::None
            }
        }
    }
}

/// One side of a comparison.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Operand {
    Literal(Value),
    Macro(Macro),
    Given(Given),
    Column(Column),
    Strftime(Strftime),
    /// `geoDistance(lonA, latA, lonB, latB)`.
    Distance(Box<[Self; 4]>),
    /// `@request.body.name:changed`: sent, and different from the column.
    Changed(Given, Column),
}

/// `strftime(format [, time [, modifier ...]])`.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Strftime {
    pub(super) format: CompactString,
    pub(super) time: Option<Box<Operand>>,
    pub(super) modifiers: Vec<CompactString>,
}

impl Operand {
    /// Calls `each` with every column it reads.
    fn for_each_column(&self, each: &mut dyn FnMut(&Column)) {
        match self {
            Self::Literal(_) | Self::Macro(_) | Self::Given(_) => {}
            Self::Column(column) | Self::Changed(_, column) => each(column),
            Self::Strftime(call) => {
                if let Some(time) = &call.time {
                    time.for_each_column(each);
                }
            }
            Self::Distance(args) => args.iter().for_each(|arg| arg.for_each_column(each)),
        }
    }

    /// Gives its columns other joined rows.
    fn remap(&mut self, to: &dyn Fn(JoinId) -> JoinId) {
        match self {
            Self::Literal(_) | Self::Macro(_) | Self::Given(_) => {}
            Self::Column(column) | Self::Changed(_, column) => column.join = column.join.map(to),
            Self::Strftime(call) => {
                if let Some(time) = &mut call.time {
                    time.remap(to);
                }
            }
            Self::Distance(args) => args.iter_mut().for_each(|arg| arg.remap(to)),
        }
    }
}

/// A leaf.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Compare {
    pub(super) left: Operand,
    pub(super) op: Op,
    /// Whether one of many values is enough.
    pub(super) any: bool,
    pub(super) right: Operand,
    /// The joined row that the expression is about, where it is the list rule of a joined collection.
    pub(super) base: Option<JoinId>,
}

/// The tree.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Node {
    All(Vec<Self>),
    Any(Vec<Self>),
    Compare(Box<Compare>),
}

impl Node {
    /// Calls `each` with every column it reads.
    fn for_each_column(&self, each: &mut dyn FnMut(&Column)) {
        match self {
            Self::All(parts) | Self::Any(parts) => {
                parts.iter().for_each(|part| part.for_each_column(each));
            }
            Self::Compare(compare) => {
                compare.left.for_each_column(each);
                compare.right.for_each_column(each);
            }
        }
    }

    /// Gives every column another joined row.
    pub(super) fn remap(&mut self, to: &dyn Fn(JoinId) -> JoinId) {
        match self {
            Self::All(parts) | Self::Any(parts) => parts.iter_mut().for_each(|p| p.remap(to)),
            Self::Compare(compare) => {
                compare.left.remap(to);
                compare.right.remap(to);
                compare.base = compare.base.map(to);
            }
        }
    }
}

/// What a join starts from.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum From {
    /// A column of the row under judgement (`None`) or of a joined row.
    Column(Option<JoinId>, CompactString),
    /// A value of the request.
    Given(Given),
    /// An item of a list: the [`JoinKind::Each`] join it stands in.
    Item(JoinId),
}

/// How joined rows are found.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum JoinKind {
    /// The record whose id is there.
    One(From),
    /// The records whose `column` is the id there.
    Back(From, CompactString),
    /// The records whose list `column` contains the id there.
    BackMany(From, CompactString),
    /// All records (`@collection`).
    Every,
    /// The items of the list there; no table.
    Each(From),
}

impl JoinKind {
    /// The same, starting from a column of another joined row.
    pub(super) fn with_parent(self, parent: JoinId) -> Self {
        let moved = |from: From| match from {
            From::Column(Some(_), column) => From::Column(Some(parent), column),
            From::Item(_) => From::Item(parent),
            From::Column(None, _) | From::Given(_) => from,
        };
        match self {
            Self::One(from) => Self::One(moved(from)),
            Self::Back(from, column) => Self::Back(moved(from), column),
            Self::BackMany(from, column) => Self::BackMany(moved(from), column),
            Self::Each(from) => Self::Each(moved(from)),
            Self::Every => Self::Every,
        }
    }
}

/// A joined row, shared by all uses of the same path.
#[derive(Clone, Debug)]
pub(super) struct Join {
    /// The same for equal paths, of any expression over the same collection.
    pub(super) key: String,
    pub(super) parent: Option<JoinId>,
    pub(super) kind: JoinKind,
    /// Whose rows; `None` for the items of a list.
    pub(super) target: Option<Arc<Collection>>,
    /// Whether there can be more than one row for one row of the parent.
    pub(super) many: bool,
}

/// A bound expression.
#[derive(Clone, Debug)]
pub(super) struct Bound {
    pub(super) node: Node,
    pub(super) joins: Vec<Join>,
    /// Whether it must be bound again for the collection of the signed-in record.
    pub(super) needs_actor: bool,
    /// Whether the record and the request alone decide it.
    pub(super) in_memory: bool,
    pub(super) footprint: Vec<CollectionId>,
    pub(super) reads: Reads,
}

impl Bound {
    /// Adds the names of the row's own columns that it reads.
    pub(super) fn own_fields(&self, names: &mut Vec<CompactString>) {
        self.node.for_each_column(&mut |column| {
            if column.join.is_none() {
                names.push(column.name.clone());
            }
            if column.guarded_email {
                names.push(CompactString::const_new("emailVisibility"));
            }
        });
        for join in &self.joins {
            let from = match &join.kind {
                JoinKind::One(from)
                | JoinKind::Back(from, _)
                | JoinKind::BackMany(from, _)
                | JoinKind::Each(from) => from,
                JoinKind::Every => continue,
            };
            if let From::Column(None, name) = from {
                names.push(name.clone());
            }
        }
    }
}

/// What of a call an expression reads.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Reads {
    /// Names of `@request.auth`: fields, `id`, `collectionId`, `collectionName`.
    pub(super) auth: Vec<CompactString>,
    /// Whether time decides.
    pub(super) clock: bool,
    /// Whether it reads any other part of `@request`.
    pub(super) request: bool,
}

impl Reads {
    /// Notes a name of `@request.auth`.
    pub(super) fn auth(&mut self, name: &str) {
        if !self.auth.iter().any(|known| known == name) {
            self.auth.push(name.into());
        }
    }

    /// Adds what another expression reads.
    pub(super) fn add(&mut self, other: &Self) {
        other.auth.iter().for_each(|name| self.auth(name));
        self.clock |= other.clock;
        self.request |= other.request;
    }
}
