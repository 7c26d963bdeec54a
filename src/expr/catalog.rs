//! A schema with its rules bound: each once, when first asked for. The unit that a request holds for its life.

use std::borrow::Cow;
use std::collections::HashMap;
use std::ops::Deref;
use std::sync::Arc;

use compact_str::CompactString;
use parking_lot::RwLock;

use super::ast::Expr;
use super::bind;
use super::bound::{Bound, Node};
use super::eval;
use super::parse;
use super::plan;
use super::sort::Sort;
use super::sql::Writer;
use crate::call::Call;
use crate::kit::limits::{EXPR_CACHE_MAX, RULE_BYTES_MAX};
use crate::kit::sql::{Dialect, Sql};
use crate::kit::value::Columns;
use crate::schema::{Action, Collection, CollectionId, Record, Schema};

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
    /// The collection's own table or view under this alias, of which many rows are judged: sets of matching records
    /// are computed once for all of them.
    Table(&'a str),
    /// The same, of which one or few rows are judged, found by their ids: other records are probed for each.
    Row(&'a str),
}

impl<'a> Root<'a> {
    pub(super) fn alias(self) -> &'a str {
        match self {
            Self::Table(alias) | Self::Row(alias) => alias,
        }
    }

    pub(super) fn is_scan(self) -> bool {
        matches!(self, Self::Table(_))
    }
}

/// A bound filter or rule. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Filter {
    /// What holds together; never empty.
    pub(super) parts: Vec<Arc<Source>>,
}

/// One expression: bound for callers in general, and again for each auth collection where that makes a difference.
#[derive(Debug)]
pub(super) struct Source {
    root: Arc<Collection>,
    expr: Expr,
    guard: Guard,
    pub(super) general: Arc<Bound>,
    /// At most one entry an auth collection.
    by_actor: RwLock<Vec<(CollectionId, Arc<Bound>)>>,
}

impl Source {
    /// An expression over `root` with what it means for callers in general.
    pub(super) fn new(root: Arc<Collection>, expr: Expr, guard: Guard, general: Bound) -> Self {
        Self {
            root,
            expr,
            guard,
            general: Arc::new(general),
            by_actor: RwLock::default(),
        }
    }

    fn bound(&self, schema: &Schema, call: &Call) -> Arc<Bound> {
        let actor = call.actor.record().map(|record| record.collection());
        let Some(actor) = actor.filter(|_| self.general.needs_actor) else {
            return Arc::clone(&self.general);
        };
        if let Some((_, bound)) = self.by_actor.read().iter().find(|(id, _)| *id == actor.id) {
            return Arc::clone(bound);
        }
        let bound = bind::bind(schema, &self.root, &self.expr, self.guard, Some(actor));
        // A path through the caller that leads nowhere: nobody, never "true".
        let bound = Arc::new(bound.unwrap_or_else(|_| Bound {
            node: Node::Any(Vec::new()),
            ..Bound::clone(&self.general)
        }));
        let mut known = self.by_actor.write();
        if !known.iter().any(|(id, _)| *id == actor.id) {
            known.push((actor.id.clone(), Arc::clone(&bound)));
        }
        bound
    }
}

impl Filter {
    /// What must be read to decide it.
    #[must_use]
    pub fn reach(&self) -> Reach {
        if self.parts.iter().all(|part| part.general.in_memory) {
            Reach::Record
        } else {
            Reach::Tables
        }
    }

    /// `self AND other`, sharing joins between equal paths (contract 4.7). Both are of the same collection.
    #[must_use]
    pub fn and(&self, other: &Self) -> Self {
        let mut parts = self.parts.clone();
        parts.extend(other.parts.iter().cloned());
        Self { parts }
    }

    /// A filter that was bound already and needs no caller.
    pub(super) fn of_bound(root: &Arc<Collection>, bound: Bound, guard: Guard) -> Self {
        let general = Bound {
            needs_actor: false,
            ..bound
        };
        let nothing = Expr::All(Vec::new());
        Self::of_source(Source::new(Arc::clone(root), nothing, guard, general))
    }

    pub(super) fn of_source(source: Source) -> Self {
        Self {
            parts: vec![Arc::new(source)],
        }
    }

    /// What its first expression means to `call`.
    pub(super) fn first_bound(&self, catalog: &Catalog, call: &Call) -> Arc<Bound> {
        self.parts[0].bound(catalog, call)
    }

    fn bounds(&self, catalog: &Catalog, call: &Call) -> Vec<Arc<Bound>> {
        self.parts
            .iter()
            .map(|part| part.bound(catalog, call))
            .collect()
    }

    /// Appends a boolean SQL expression over the row that `root` names.
    pub fn write_sql(&self, catalog: &Catalog, root: Root<'_>, call: &Call, sql: &mut Sql) {
        self.write(catalog, root, call, false, sql);
    }

    fn write(&self, catalog: &Catalog, root: Root<'_>, call: &Call, draft: bool, sql: &mut Sql) {
        let bounds = self.bounds(catalog, call);
        let bound = whole(&bounds);
        let plan = plan::settle(&bound, call);
        let joins = match bound {
            Cow::Borrowed(bound) => bound.joins.clone(),
            Cow::Owned(bound) => bound.joins,
        };
        let mut writer = Writer::new(root.alias(), root.is_scan(), call, joins, sql);
        if draft {
            writer = writer.of_draft();
        }
        writer.write(&plan);
    }

    /// A statement that gives one row when the expression holds for `row`, a state of a stored record that need not be
    /// the present one: what `@collection` and back-relations see does not include it.
    #[must_use]
    pub fn write_select_for_row(
        &self,
        catalog: &Catalog,
        call: &Call,
        row: &Record,
        dialect: Dialect,
    ) -> Sql {
        self.select_for(catalog, call, row, true, dialect)
    }

    /// The same for a record that was submitted and is in no table; its values compare as they came (contract 4.12).
    #[must_use]
    pub fn write_select_for_draft(
        &self,
        catalog: &Catalog,
        call: &Call,
        row: &Record,
        dialect: Dialect,
    ) -> Sql {
        self.select_for(catalog, call, row, false, dialect)
    }

    fn select_for(
        &self,
        catalog: &Catalog,
        call: &Call,
        row: &Record,
        typed: bool,
        dialect: Dialect,
    ) -> Sql {
        let mut sql = Sql::new(dialect);
        super::sql::row_statement(row, typed, &mut sql);
        let root = Root::Row(super::sql::ROW_ALIAS);
        self.write(catalog, root, call, !typed, &mut sql);
        sql
    }

    /// The verdict for `row` (cells in field order) where `reach` is [`Reach::Record`]; `None` where only SQL can tell.
    #[must_use]
    pub fn holds(&self, call: &Call, row: &dyn Columns) -> Option<bool> {
        self.judge(call, row, true)
    }

    /// The same for submitted values; see [`Filter::write_select_for_draft`].
    #[must_use]
    pub fn holds_for_draft(&self, call: &Call, row: &dyn Columns) -> Option<bool> {
        self.judge(call, row, false)
    }

    fn judge(&self, call: &Call, row: &dyn Columns, typed: bool) -> Option<bool> {
        if self.reach() == Reach::Tables {
            return None;
        }
        let bounds: Vec<_> = self
            .parts
            .iter()
            .map(|part| Arc::clone(&part.general))
            .collect();
        let bound = whole(&bounds);
        let plan = plan::settle(&bound, call);
        eval::holds(&plan, &bound.joins, row, typed)
    }

    /// Collections whose rows the expression reads besides the record itself (none for [`Reach::Record`]). Paths that
    /// start at the caller's record are known only once there is one: see [`Filter::footprint_for`].
    #[must_use]
    pub fn footprint(&self) -> Vec<CollectionId> {
        let read = self.parts.iter().flat_map(|part| &part.general.footprint);
        read.cloned().collect()
    }

    /// As [`Filter::footprint`], for the caller of `call`.
    #[must_use]
    pub fn footprint_for(&self, catalog: &Catalog, call: &Call) -> Vec<CollectionId> {
        let bounds = self.bounds(catalog, call);
        let read = bounds.iter().flat_map(|bound| &bound.footprint);
        read.cloned().collect()
    }

    /// Whether it follows relations of the caller's own record.
    #[must_use]
    pub fn depends_on_caller(&self) -> bool {
        self.parts.iter().any(|part| part.general.needs_actor)
    }

    /// The parts of the caller's identity that it reads: field names, `id`, `collectionId`, `collectionName`. Callers
    /// that agree in them get the same verdict, [`Filter::reads_request`] aside.
    #[must_use]
    pub fn auth_fields(&self) -> Vec<CompactString> {
        let mut reads = super::bound::Reads::default();
        self.parts
            .iter()
            .for_each(|part| reads.add(&part.general.reads));
        reads.auth
    }

    /// Names of the row's own fields that the verdict depends on; `None` where any of them may count.
    #[must_use]
    pub fn own_fields(&self) -> Option<Vec<CompactString>> {
        if self.depends_on_caller() {
            return None;
        }
        let mut names = Vec::new();
        for part in &self.parts {
            part.general.own_fields(&mut names);
        }
        Some(names)
    }

    /// Whether the verdict changes with time alone.
    #[must_use]
    pub fn reads_clock(&self) -> bool {
        self.parts.iter().any(|part| part.general.reads.clock)
    }

    /// Whether it reads the request beyond the identity: query, headers, body, method or context.
    #[must_use]
    pub fn reads_request(&self) -> bool {
        self.parts.iter().any(|part| part.general.reads.request)
    }
}

pub(super) fn whole(bounds: &[Arc<Bound>]) -> Cow<'_, Bound> {
    match bounds {
        [only] => Cow::Borrowed(only),
        many => Cow::Owned(plan::merge(many)),
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

type Cached<T> = RwLock<HashMap<CollectionId, HashMap<Box<str>, Result<T, BindError>>>>;

/// A schema and everything compiled from it. What is compiled dies with it: a change of the schema makes a new one.
#[derive(Debug, Default)]
pub struct Catalog {
    schema: Schema,
    trusted: Cached<Filter>,
    client: Cached<Filter>,
    sorts: Cached<Sort>,
    client_sorts: Cached<Sort>,
}

impl Catalog {
    /// Wraps a schema; nothing is bound yet.
    #[must_use]
    pub fn new(schema: Schema) -> Self {
        Self {
            schema,
            ..Self::default()
        }
    }

    /// The rule of `collection` for `action`, bound once and kept.
    #[must_use]
    pub fn rule(&self, collection: &Collection, action: Action) -> RuleState {
        match collection.rules.of(action) {
            None => RuleState::Locked,
            Some("") => RuleState::Public,
            Some(text) => match self.filter(collection, text, Guard::Trusted) {
                Ok(filter) => RuleState::Bound(filter),
                Err(error) => RuleState::Broken(error),
            },
        }
    }

    /// Binds any expression over `collection` (filters, authRule, manageRule, mfa rule); results are cached by text.
    ///
    /// # Errors
    /// When it does not parse, names unknown things, or touches what `guard` forbids.
    pub fn filter(
        &self,
        collection: &Collection,
        text: &str,
        guard: Guard,
    ) -> Result<Filter, BindError> {
        let cache = match guard {
            Guard::Trusted => &self.trusted,
            Guard::Client => &self.client,
        };
        self.cached(cache, collection, text, |root| {
            if text.len() > RULE_BYTES_MAX {
                return Err(bind::error("the expression is too long"));
            }
            let expr = parse::parse(text)?;
            let general = bind::bind(&self.schema, &root, &expr, guard, None)?;
            Ok(Filter::of_source(Source::new(root, expr, guard, general)))
        })
    }

    /// Binds a `sort` parameter.
    ///
    /// # Errors
    /// As [`Catalog::filter`].
    pub fn sort(
        &self,
        collection: &Collection,
        text: &str,
        guard: Guard,
    ) -> Result<Sort, BindError> {
        let cache = match guard {
            Guard::Trusted => &self.sorts,
            Guard::Client => &self.client_sorts,
        };
        self.cached(cache, collection, text, |root| {
            Sort::bind(&self.schema, &root, text, guard)
        })
    }

    fn cached<T: Clone>(
        &self,
        cache: &Cached<T>,
        collection: &Collection,
        text: &str,
        bind: impl FnOnce(Arc<Collection>) -> Result<T, BindError>,
    ) -> Result<T, BindError> {
        let own = self
            .schema
            .by_id(&collection.id)
            .filter(|own| std::ptr::eq(Arc::as_ptr(own), collection) || own.as_ref() == collection);
        let Some(own) = own else {
            // A draft that is not part of this schema yet: nothing to remember it by.
            return bind(Arc::new(collection.clone()));
        };
        if let Some(known) = cache.read().get(&own.id).and_then(|texts| texts.get(text)) {
            return known.clone();
        }
        let result = bind(Arc::clone(own));
        let mut cache = cache.write();
        if cache.values().map(HashMap::len).sum::<usize>() >= EXPR_CACHE_MAX {
            cache.clear();
        }
        cache
            .entry(own.id.clone())
            .or_default()
            .insert(text.into(), result.clone());
        result
    }
}

impl Deref for Catalog {
    type Target = Schema;

    fn deref(&self) -> &Schema {
        &self.schema
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::schema::Kind;

    /// What a request costs does not grow with the number of collections: it binds what it needs, and nothing else.
    #[test]
    fn a_rule_binds_itself_and_no_other() {
        let many = (0..200).map(|at| {
            let mut collection = Collection::scaffold(Kind::Base);
            collection.id = CollectionId::new(format!("c{at}"));
            collection.name = format!("c{at}").into();
            collection.rules.list = Some("id != ''".to_owned());
            Arc::new(collection)
        });
        let catalog = Catalog::new(Schema::new(1, many.collect()));
        let bound = || catalog.trusted.read().len();
        assert_eq!(bound(), 0);

        let collection = Arc::clone(catalog.find("c7").unwrap());
        for _ in 0..2 {
            let rule = catalog.rule(&collection, Action::List);
            assert!(matches!(rule, RuleState::Bound(_)));
        }

        assert_eq!(bound(), 1);
    }
}
