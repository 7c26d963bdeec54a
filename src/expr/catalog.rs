//! A schema with its rules bound: each once, when first asked for. The unit that a request holds for its life.

use std::ops::Deref;
use std::sync::Arc;

use crate::call::Call;
use crate::kit::sql::Sql;
use crate::kit::value::Columns;
use crate::schema::{Action, Collection, CollectionId, Schema};

/// Why an expression cannot be used. Its text is shown to superusers at save time only.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct BindError(pub String);

/// How much a bound expression must read to be decided.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Reach {
    /// The record's own cells, the request and the caller's own cells.
    Record,
    /// Other rows too: only SQL decides.
    Tables,
}

/// Whose expression it is, and so what it may touch (contract 4.10).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Guard {
    /// A stored rule, or a superuser's filter: everything.
    Trusted,
    /// A guest's or user's filter or sort: no hidden fields, no `@request`, joins under list rules, e-mails guarded.
    Client,
}

/// Where the row under judgement is.
#[derive(Clone, Copy, Debug)]
pub enum Root<'a> {
    /// The collection's own table or view, under this alias.
    Table(&'a str),
}

/// A bound filter or rule. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Filter {
    inner: Arc<()>,
}

impl Filter {
    /// What must be read to decide it.
    #[must_use]
    pub fn reach(&self) -> Reach {
        todo!()
    }

    /// `self AND other`, sharing joins between equal paths (contract 4.7). Both are of the same collection.
    #[must_use]
    pub fn and(&self, _other: &Self) -> Self {
        todo!()
    }

    /// Appends a boolean SQL expression over the row that `root` names.
    pub fn write_sql(&self, _catalog: &Catalog, _root: Root<'_>, _call: &Call, _sql: &mut Sql) {
        let _ = &self.inner;
        todo!()
    }

    /// The verdict for `row` (cells in field order) where `reach` is [`Reach::Record`]; `None` where only SQL can tell.
    #[must_use]
    pub fn holds(&self, _call: &Call, _row: &dyn Columns) -> Option<bool> {
        todo!()
    }

    /// Collections whose rows the expression reads besides the record itself (empty for [`Reach::Record`]).
    #[must_use]
    pub fn footprint(&self) -> &[CollectionId] {
        todo!()
    }
}

/// A bound `sort`.
#[derive(Clone, Debug)]
pub struct Sort {
    inner: Arc<()>,
}

impl Sort {
    /// Appends the terms of an ORDER BY clause, without the keyword.
    pub fn write_sql(&self, _catalog: &Catalog, _root: Root<'_>, _call: &Call, _sql: &mut Sql) {
        let _ = &self.inner;
        todo!()
    }
}

/// A rule as a caller meets it.
#[derive(Clone, Debug)]
pub enum RuleState {
    /// null: superusers only.
    Locked,
    /// Empty: everybody.
    Public,
    /// An expression.
    Bound(Filter),
    /// An expression that does not resolve any more: nobody (never "true").
    Broken(BindError),
}

/// A schema and everything compiled from it.
#[derive(Debug, Default)]
pub struct Catalog {
    schema: Schema,
}

impl Catalog {
    /// Wraps a schema; nothing is bound yet.
    #[must_use]
    pub fn new(schema: Schema) -> Self {
        Self { schema }
    }

    /// The rule of `collection` for `action`, bound once and kept.
    #[must_use]
    pub fn rule(&self, _collection: &Collection, _action: Action) -> RuleState {
        todo!()
    }

    /// Binds any expression over `collection` (filters, authRule, manageRule, mfa rule); results are cached by text.
    ///
    /// # Errors
    /// When it does not parse, names unknown things, or touches what `guard` forbids.
    pub fn filter(
        &self,
        _collection: &Collection,
        _text: &str,
        _guard: Guard,
    ) -> Result<Filter, BindError> {
        todo!()
    }

    /// Binds a `sort` parameter.
    ///
    /// # Errors
    /// As [`Catalog::filter`].
    pub fn sort(
        &self,
        _collection: &Collection,
        _text: &str,
        _guard: Guard,
    ) -> Result<Sort, BindError> {
        todo!()
    }
}

impl Deref for Catalog {
    type Target = Schema;

    fn deref(&self) -> &Schema {
        &self.schema
    }
}
