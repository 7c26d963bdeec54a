//! Names -> meaning: an expression against a schema. What a guard forbids is refused here, before any row is read.

use std::sync::Arc;

use compact_str::{CompactString, format_compact};

use super::ast::{self, Expr};
use super::bound::{
    Access, Bound, Column, Compare, From, Join, JoinId, JoinKind, Node, Operand, Reads, Strftime,
};
use super::catalog::{BindError, Guard};
use super::macros::Macro;
use super::request::{Given, GivenAccess, Part, affinity_of, is_auth_constant};
use super::{back_relation, parse};
use crate::kit::limits::PATH_JOINS_MAX;
use crate::schema::field::RelationOptions;
use crate::schema::{Collection, Field, FieldKind, Schema};

/// Binds a parsed expression over `root`; `actor` is the collection of the signed-in record, once it is known.
///
/// # Errors
/// When it names unknown things, or touches what `guard` forbids.
pub(super) fn bind(
    schema: &Schema,
    root: &Arc<Collection>,
    expr: &Expr,
    guard: Guard,
    actor: Option<&Arc<Collection>>,
) -> Result<Bound, BindError> {
    let mut binder = Binder::new(schema, root, guard, actor);
    let node = binder.expr(expr)?;
    binder.finish(node)
}

/// Binds a `sort` entry: one identifier.
///
/// # Errors
/// As [`bind`].
pub(super) fn bind_identifier(
    schema: &Schema,
    root: &Arc<Collection>,
    name: &str,
    guard: Guard,
) -> Result<(Operand, Bound), BindError> {
    let mut binder = Binder::new(schema, root, guard, None);
    let operand = binder.path(name)?;
    if !matches!(operand, Operand::Column(_)) {
        return Err(error(format!("cannot sort by {name:?}")));
    }
    let bound = binder.finish(Node::All(Vec::new()))?;
    Ok((operand, bound))
}

pub(super) fn error(message: impl Into<String>) -> BindError {
    BindError(message.into())
}

/// A suffix of the last segment of a path.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Modifier {
    IsSet,
    Changed,
    Length,
    Each,
    Lower,
}

pub(super) struct Binder<'a> {
    pub(super) schema: &'a Schema,
    /// The collection whose records are submitted and judged.
    pub(super) root: &'a Arc<Collection>,
    guard: Guard,
    pub(super) actor: Option<&'a Arc<Collection>>,
    /// The joined row that plain names mean, and its collection: the root, or a joined one under its list rule.
    base: Option<JoinId>,
    base_collection: Arc<Collection>,
    joins: Vec<Join>,
    /// Joined collections whose list rule is to be added.
    protected: Vec<(JoinId, Arc<Collection>)>,
    pub(super) needs_actor: bool,
    in_memory: bool,
    reads: Reads,
}

impl<'a> Binder<'a> {
    fn new(
        schema: &'a Schema,
        root: &'a Arc<Collection>,
        guard: Guard,
        actor: Option<&'a Arc<Collection>>,
    ) -> Self {
        Self {
            schema,
            root,
            guard,
            actor,
            base: None,
            base_collection: Arc::clone(root),
            joins: Vec::new(),
            protected: Vec::new(),
            needs_actor: false,
            in_memory: true,
            reads: Reads::default(),
        }
    }

    /// Adds the list rules of what was joined, and gives the whole.
    fn finish(mut self, node: Node) -> Result<Bound, BindError> {
        let mut parts = vec![node];
        for (join, collection) in std::mem::take(&mut self.protected) {
            if let Some(rule) = collection.rules.list.as_deref()
                && !rule.is_empty()
            {
                parts.push(self.list_rule(join, &collection, rule)?);
            }
        }
        let node = match (parts.len(), parts.pop()) {
            (1, Some(only)) => only,
            (_, last) => {
                parts.extend(last);
                Node::All(parts)
            }
        };
        let mut footprint = Vec::new();
        for join in &self.joins {
            let only_items = matches!(&join.kind, JoinKind::Each(From::Column(None, _)));
            self.in_memory &= only_items;
            if let Some(target) = &join.target
                && !footprint.contains(&target.id)
            {
                footprint.push(target.id.clone());
            }
        }
        Ok(Bound {
            node,
            joins: self.joins,
            needs_actor: self.needs_actor,
            in_memory: self.in_memory && !self.needs_actor,
            footprint,
            reads: self.reads,
        })
    }

    /// `(joined.id = '' OR (list rule))`: rows whose joined record is hidden vanish (contract 4.10).
    fn list_rule(
        &mut self,
        join: JoinId,
        collection: &Arc<Collection>,
        rule: &str,
    ) -> Result<Node, BindError> {
        let parsed = parse::parse(rule)?;
        let outer = (self.guard, self.base, Arc::clone(&self.base_collection));
        self.guard = Guard::Trusted;
        self.base = Some(join);
        self.base_collection = Arc::clone(collection);
        let absent = Node::Compare(Compare {
            left: self.path("id")?,
            op: ast::Op::Eq,
            any: true,
            right: Operand::Literal("".into()),
            base: self.base,
        });
        let rule = self.expr(&parsed)?;
        (self.guard, self.base, self.base_collection) = outer;
        Ok(Node::Any(vec![absent, rule]))
    }

    /// Depth is bounded: groups are flat, and each level holds a comparison.
    fn expr(&mut self, expr: &Expr) -> Result<Node, BindError> {
        let many = |binder: &mut Self, parts: &[Expr]| {
            parts
                .iter()
                .map(|part| binder.expr(part))
                .collect::<Result<Vec<_>, _>>()
        };
        Ok(match expr {
            Expr::All(parts) => Node::All(many(self, parts)?),
            Expr::Any(parts) => Node::Any(many(self, parts)?),
            Expr::Compare(comparison) => {
                let left = self.operand(&comparison.left)?;
                let right = self.operand(&comparison.right)?;
                if matches!(comparison.op, ast::Op::Like | ast::Op::NotLike)
                    && matches!(right, Operand::Distance(_))
                {
                    // A distance is no pattern: it is neither like anything nor unlike it.
                    return Ok(Node::Any(Vec::new()));
                }
                Node::Compare(Compare {
                    left,
                    op: comparison.op,
                    any: comparison.any,
                    right,
                    base: self.base,
                })
            }
        })
    }

    fn operand(&mut self, operand: &ast::Operand) -> Result<Operand, BindError> {
        match operand {
            ast::Operand::Number(n) => Ok(Operand::Literal(crate::kit::value::Value::Real(*n))),
            ast::Operand::Text(text) => Ok(Operand::Literal(text.clone().into())),
            ast::Operand::Path(path) => self.path(path),
            ast::Operand::Function(name, args) => match name.as_str() {
                "geoDistance" => self.distance(args),
                "strftime" => self.strftime(args),
                _ => Err(error(format!("unknown function {name:?}"))),
            },
        }
    }

    fn distance(&mut self, args: &[ast::Operand]) -> Result<Operand, BindError> {
        let args: &[ast::Operand; 4] = args
            .try_into()
            .map_err(|_| error("geoDistance takes exactly 4 arguments"))?;
        let mut bound = Vec::with_capacity(4);
        for arg in args {
            if matches!(arg, ast::Operand::Text(_) | ast::Operand::Function(..)) {
                return Err(error("geoDistance takes numbers and identifiers only"));
            }
            bound.push(self.operand(arg)?);
        }
        let bound: Box<[Operand; 4]> = bound
            .try_into()
            .map_err(|_| error("geoDistance takes exactly 4 arguments"))?;
        Ok(Operand::Distance(bound))
    }

    fn strftime(&mut self, args: &[ast::Operand]) -> Result<Operand, BindError> {
        self.in_memory = false;
        self.reads.clock = true;
        let mut args = args.iter();
        let Some(ast::Operand::Text(format)) = args.next() else {
            return Err(error("strftime needs a format text"));
        };
        let time = match args.next() {
            None => None,
            Some(ast::Operand::Function(..)) => {
                return Err(error("strftime takes no nested function"));
            }
            Some(time) => Some(Box::new(self.operand(time)?)),
        };
        let modifiers = args
            .map(|arg| match arg {
                ast::Operand::Text(text) => Ok(text.clone()),
                ast::Operand::Path(_) | ast::Operand::Number(_) | ast::Operand::Function(..) => {
                    Err(error("strftime modifiers are texts"))
                }
            })
            .collect::<Result<_, _>>()?;
        Ok(Operand::Strftime(Strftime {
            format: format.clone(),
            time,
            modifiers,
        }))
    }

    fn path(&mut self, path: &str) -> Result<Operand, BindError> {
        let segments: Vec<&str> = path.split('.').collect();
        if path.starts_with('@') {
            return self.special(path, &segments);
        }
        if segments.len() == 1 && self.base_collection.field(path).is_none() {
            use crate::kit::value::Value;
            if path.eq_ignore_ascii_case("null") {
                return Ok(Operand::Literal(Value::Null));
            }
            if path.eq_ignore_ascii_case("true") {
                return Ok(Operand::Literal(Value::Int(1)));
            }
            if path.eq_ignore_ascii_case("false") {
                return Ok(Operand::Literal(Value::Int(0)));
            }
        }
        let collection = Arc::clone(&self.base_collection);
        self.field_path(self.base, &collection, &segments)
    }

    fn special(&mut self, path: &str, segments: &[&str]) -> Result<Operand, BindError> {
        if let Some(date) = Macro::parse(path) {
            self.reads.clock = true;
            return Ok(Operand::Macro(date));
        }
        let unknown = || error(format!("unknown identifier {path:?}"));
        if self.guard == Guard::Client {
            return Err(unknown());
        }
        match segments {
            ["@request", rest @ ..] => self.request(rest)?.ok_or_else(unknown),
            ["@collection", name, rest @ ..] if !rest.is_empty() => {
                let (name, alias) = name.split_once(':').unwrap_or((name, ""));
                let target = self
                    .schema
                    .find(name)
                    .cloned()
                    .ok_or_else(|| error(format!("unknown collection {name:?}")))?;
                let key = format!("@{}:{alias}", target.id.as_str());
                let suffix = format!(":{alias}");
                let taken = |join: &Join| {
                    join.kind == JoinKind::Every && join.key.ends_with(&suffix) && join.key != key
                };
                if !alias.is_empty() && self.base.is_none() && self.joins.iter().any(taken) {
                    return Err(error(format!("alias {alias:?} means two collections")));
                }
                let join = self.join(self.base, JoinKind::Every, key, &target, true)?;
                self.field_path(Some(join), &target, rest)
            }
            _ => Err(unknown()),
        }
    }

    /// Follows `segments` from a row of `collection` to a column.
    pub(super) fn field_path(
        &mut self,
        mut at: Option<JoinId>,
        collection: &Arc<Collection>,
        segments: &[&str],
    ) -> Result<Operand, BindError> {
        let mut collection = Arc::clone(collection);
        let mut rest = segments;
        loop {
            let Some((&segment, after)) = rest.split_first() else {
                return Err(error("a relation needs a field after it"));
            };
            let (name, modifier) = if after.is_empty() {
                split_modifier(segment)?
            } else {
                (segment, None)
            };
            let Some(index) = collection.field_index(name) else {
                let (join, target) = self.back_relation(at, &collection, name)?;
                (at, collection, rest) = (Some(join), target, after);
                continue;
            };
            let field = &collection.fields[index];
            if self.guard == Guard::Client && field.hidden {
                return Err(error(format!("unknown field {name:?}")));
            }
            if after.is_empty() {
                return self.column(at, &collection, index, modifier);
            }
            match &field.kind {
                FieldKind::Json(_) | FieldKind::GeoPoint => {
                    return json_column(at, &collection, index, after);
                }
                FieldKind::Relation(options) => {
                    if !field.kind.is_multiple() && after.len() == 1 {
                        // With a modifier the record itself is joined, as for any other of its fields.
                        if after[0] == "id" {
                            self.check_depth(at)?;
                            return self.column(at, &collection, index, None);
                        }
                    }
                    let (join, target) =
                        self.relation(From::Column(at, field.name.clone()), at, field, options)?;
                    (at, collection, rest) = (Some(join), target, after);
                }
                FieldKind::Text(_)
                | FieldKind::Number(_)
                | FieldKind::Bool
                | FieldKind::Email(_)
                | FieldKind::Url(_)
                | FieldKind::Editor(_)
                | FieldKind::Date(_)
                | FieldKind::Autodate(_)
                | FieldKind::Select(_)
                | FieldKind::File(_)
                | FieldKind::Password(_) => {
                    return Err(error(format!("field {name:?} is not a relation")));
                }
            }
        }
    }

    /// Joins the records that a relation field points to.
    pub(super) fn relation(
        &mut self,
        from: From,
        at: Option<JoinId>,
        field: &Field,
        options: &RelationOptions,
    ) -> Result<(JoinId, Arc<Collection>), BindError> {
        let target = self
            .schema
            .by_id(&options.collection_id)
            .cloned()
            .ok_or_else(|| error(format!("relation {:?} points nowhere", field.name)))?;
        let many = field.kind.is_multiple();
        // Submitted lists are joined apart from their items (`:each`); stored ones are the same joined rows.
        let tag = match &from {
            From::Column(..) | From::Item(_) => "",
            From::Given(given) => match given.part {
                Part::Body(_) => "@body.ids.",
                _ => "@auth.",
            },
        };
        let key = format!("{tag}{}", field.name);
        let join = if many {
            let items = self.each(from, at, &key)?;
            let from = From::Item(items);
            self.join(
                Some(items),
                JoinKind::One(from),
                "id".to_owned(),
                &target,
                false,
            )?
        } else {
            self.join(at, JoinKind::One(from), key, &target, false)?
        };
        Ok((join, target))
    }

    fn back_relation(
        &mut self,
        at: Option<JoinId>,
        collection: &Arc<Collection>,
        name: &str,
    ) -> Result<(JoinId, Arc<Collection>), BindError> {
        let from = From::Column(at, CompactString::const_new("id"));
        self.back_relation_from(from, at, collection, name)
    }

    /// Joins the records that point here through the field that `name` (`coll_via_field`) says.
    pub(super) fn back_relation_from(
        &mut self,
        from: From,
        at: Option<JoinId>,
        collection: &Arc<Collection>,
        name: &str,
    ) -> Result<(JoinId, Arc<Collection>), BindError> {
        let (referrer, index) = back_relation::find(self.schema, collection, name)
            .ok_or_else(|| error(format!("unknown field {name:?}")))?;
        let field = &referrer.fields[index];
        if self.guard == Guard::Client && field.hidden {
            return Err(error(format!("unknown field {name:?}")));
        }
        let column = field.name.clone();
        let many = field.kind.is_multiple();
        let unique = !many && back_relation::is_unique(&referrer, &field.name);
        let tag = if matches!(from, From::Given(_)) {
            "@auth."
        } else {
            ""
        };
        let key = format!("{tag}{}<{column}", referrer.id.as_str());
        let kind = if many {
            JoinKind::BackMany(from, column)
        } else {
            JoinKind::Back(from, column)
        };
        let join = self.join(at, kind, key, &referrer, !unique)?;
        Ok((join, referrer))
    }

    /// The join of a path: the one that is there already, or a new one.
    fn join(
        &mut self,
        parent: Option<JoinId>,
        kind: JoinKind,
        key: String,
        target: &Arc<Collection>,
        many: bool,
    ) -> Result<JoinId, BindError> {
        let id = self.add_join(parent, kind, key, Some(target), many)?;
        if self.guard == Guard::Client {
            if target.rules.list.is_none() {
                return Err(error(format!("{:?} cannot be joined", target.name)));
            }
            if !self.protected.iter().any(|(known, _)| *known == id) {
                self.protected.push((id, Arc::clone(target)));
            }
        }
        Ok(id)
    }

    fn add_join(
        &mut self,
        parent: Option<JoinId>,
        kind: JoinKind,
        key: String,
        target: Option<&Arc<Collection>>,
        many: bool,
    ) -> Result<JoinId, BindError> {
        let key = match parent {
            Some(parent) => format!("{}/{key}", self.joins[parent].key),
            None => key,
        };
        if let Some(known) = self.joins.iter().position(|join| join.key == key) {
            return Ok(known);
        }
        if target.is_some() {
            self.check_depth(parent)?;
        }
        self.joins.push(Join {
            key,
            parent,
            kind,
            target: target.cloned(),
            many,
        });
        Ok(self.joins.len() - 1)
    }

    /// Whether one more relation may follow the joined row `at`.
    fn check_depth(&self, at: Option<JoinId>) -> Result<(), BindError> {
        let mut depth = 1;
        let mut above = at;
        while let Some(join) = above.filter(|join| Some(*join) != self.base) {
            depth += usize::from(self.joins[join].target.is_some());
            above = self.joins[join].parent;
        }
        if depth > PATH_JOINS_MAX {
            return Err(error("too many relations in one path"));
        }
        Ok(())
    }

    /// Joins the items of a list.
    pub(super) fn each(
        &mut self,
        from: From,
        at: Option<JoinId>,
        key: &str,
    ) -> Result<JoinId, BindError> {
        self.add_join(at, JoinKind::Each(from), format!("{key}[]"), None, true)
    }

    fn column(
        &mut self,
        at: Option<JoinId>,
        collection: &Collection,
        index: usize,
        modifier: Option<Modifier>,
    ) -> Result<Operand, BindError> {
        let field = &collection.fields[index];
        let mut column = plain_column(at, collection, index);
        column.guarded_email =
            self.guard == Guard::Client && collection.is_auth() && field.name == "email";
        // Whether the address is public stands in a cell that only SQL finds by its name.
        self.in_memory &= !column.guarded_email;
        let lists = matches!(
            field.kind,
            FieldKind::Select(_) | FieldKind::File(_) | FieldKind::Relation(_)
        );
        match modifier {
            Some(Modifier::Lower) => column.lower = true,
            Some(Modifier::Length) if lists => column.access = Access::Length,
            Some(Modifier::Each) if field.kind.is_multiple() => {
                let from = From::Column(at, field.name.clone());
                column.join = Some(self.each(from, at, &field.name)?);
                column.access = Access::Each;
            }
            Some(Modifier::Each) if lists => column.access = Access::Item,
            Some(Modifier::IsSet | Modifier::Changed | Modifier::Length | Modifier::Each)
            | None => {}
        }
        Ok(Operand::Column(column))
    }
}

/// The column of a field, unmodified.
pub(super) fn plain_column(at: Option<JoinId>, collection: &Collection, index: usize) -> Column {
    let field = &collection.fields[index];
    let json = matches!(field.kind, FieldKind::Json(_));
    Column {
        join: at,
        index,
        name: field.name.clone(),
        access: if json {
            Access::Json(CompactString::const_new("$"))
        } else {
            Access::Plain
        },
        lower: false,
        affinity: affinity_of(collection, &field.kind),
        nullable: json || collection.is_view(),
        multiple: field.kind.is_multiple(),
        guarded_email: false,
    }
}

fn json_column(
    at: Option<JoinId>,
    collection: &Collection,
    index: usize,
    segments: &[&str],
) -> Result<Operand, BindError> {
    let mut column = plain_column(at, collection, index);
    column.access = Access::Json(json_path(segments)?);
    column.nullable = true;
    Ok(Operand::Column(column))
}

/// The JSON path of the segments after a json field. Modifiers mean nothing here: they are part of the key.
pub(super) fn json_path(segments: &[&str]) -> Result<CompactString, BindError> {
    let mut path = CompactString::const_new("$");
    for segment in segments {
        if segment.is_empty() {
            return Err(error("empty JSON path segment"));
        }
        if segment.bytes().all(|b| b.is_ascii_digit()) {
            path.push_str(&format_compact!("[{segment}]"));
        } else {
            path.push_str(&format_compact!(".{segment}"));
        }
    }
    Ok(path)
}

/// A segment's name and modifier; more than one colon makes no modifier.
pub(super) fn split_modifier(segment: &str) -> Result<(&str, Option<Modifier>), BindError> {
    let Some((name, modifier)) = segment.split_once(':') else {
        return Ok((segment, None));
    };
    let modifier = match modifier {
        "isset" => Modifier::IsSet,
        "changed" => Modifier::Changed,
        "length" => Modifier::Length,
        "each" => Modifier::Each,
        "lower" => Modifier::Lower,
        other if other.contains(':') => return Ok((segment, None)),
        other => return Err(error(format!("unknown modifier {other:?}"))),
    };
    Ok((name, Some(modifier)))
}

/// The request half of binding: `@request.context`, `.method`, `.query.x`, `.headers.x`, `.body.x...`, `.auth.x...`.
impl Binder<'_> {
    fn request(&mut self, segments: &[&str]) -> Result<Option<Operand>, BindError> {
        let Some((last, path)) = segments.split_last() else {
            return Ok(None);
        };
        let (last_name, modifier) = split_modifier(last)?;
        let given = |part: Part| {
            Operand::Given(Given {
                part,
                access: match modifier {
                    Some(Modifier::IsSet) => GivenAccess::IsSet,
                    Some(
                        Modifier::Changed | Modifier::Length | Modifier::Each | Modifier::Lower,
                    )
                    | None => GivenAccess::Plain,
                },
                lower: modifier == Some(Modifier::Lower),
            })
        };
        let plain = path.iter().chain([&last_name]).copied().skip(1);
        self.reads.request |= segments[0] != "auth";
        Ok(match segments[0] {
            _ if path.is_empty() => match last_name {
                "context" => Some(given(Part::Context)),
                "method" => Some(given(Part::Method)),
                _ => None,
            },
            "query" => Some(given(Part::Query(
                plain.collect::<Vec<_>>().join(".").into(),
            ))),
            "headers" => Some(given(Part::Header(
                plain.collect::<Vec<_>>().join(".").into(),
            ))),
            "body" => Some(self.request_body(&segments[1..])?),
            "auth" => Some(self.request_auth(&segments[1..])?),
            _ => None,
        })
    }

    fn request_body(&mut self, segments: &[&str]) -> Result<Operand, BindError> {
        let root = self.root;
        let (first, after) = segments.split_first().ok_or_else(|| error("empty path"))?;
        let (name, modifier) = if after.is_empty() {
            split_modifier(first)?
        } else {
            (*first, None)
        };
        let part = Part::Body(vec![name.into()]);
        let field = root.field_index(name);
        if let Some(index) = field {
            let field = &root.fields[index];
            match (&field.kind, modifier) {
                (_, Some(Modifier::Changed)) => {
                    let column = plain_column(None, root, index);
                    return Ok(Operand::Changed(Given::plain(part), column));
                }
                (
                    FieldKind::Select(_) | FieldKind::File(_) | FieldKind::Relation(_),
                    Some(Modifier::Length),
                ) => {
                    return Ok(Operand::Given(Given {
                        part,
                        access: GivenAccess::Length,
                        lower: false,
                    }));
                }
                (
                    FieldKind::Select(_) | FieldKind::File(_) | FieldKind::Relation(_),
                    Some(Modifier::Each),
                ) => {
                    if !field.kind.is_multiple() {
                        return Ok(Operand::Given(Given::plain(part)));
                    }
                    return self.each_given(Given::plain(part), &format!("@body.{name}"));
                }
                (_, Some(Modifier::Length | Modifier::Each)) => {
                    return Err(error(format!("{name:?} holds no list")));
                }
                (FieldKind::Relation(options), None) if !after.is_empty() => {
                    let from = From::Given(Given::plain(part));
                    let (join, target) = self.relation(from, None, field, options)?;
                    return self.field_path(Some(join), &target, after);
                }
                (_, Some(Modifier::IsSet | Modifier::Lower) | None) => {}
            }
        } else if matches!(
            modifier,
            Some(Modifier::Changed | Modifier::Length | Modifier::Each)
        ) {
            return Err(error(format!("unknown field {name:?}")));
        }
        let mut keys: Vec<CompactString> = segments.iter().map(|&key| key.into()).collect();
        let (last, modifier) = split_modifier(segments[segments.len() - 1])?;
        if let Some(key) = keys.last_mut() {
            *key = last.into();
        }
        Ok(Operand::Given(Given {
            part: Part::Body(keys),
            access: if modifier == Some(Modifier::IsSet) {
                GivenAccess::IsSet
            } else {
                GivenAccess::Plain
            },
            lower: modifier == Some(Modifier::Lower),
        }))
    }

    /// The items of a list in the request, as joined rows.
    fn each_given(&mut self, given: Given, key: &str) -> Result<Operand, BindError> {
        let join = self.each(From::Given(given), None, key)?;
        Ok(Operand::Column(Column {
            join: Some(join),
            index: 0,
            name: CompactString::const_new("value"),
            access: Access::Each,
            lower: false,
            affinity: super::bound::Affinity::None,
            nullable: true,
            multiple: false,
            guarded_email: false,
        }))
    }

    fn request_auth(&mut self, segments: &[&str]) -> Result<Operand, BindError> {
        let nothing = || Operand::Given(Given::plain(Part::Auth(CompactString::default())));
        let (first, after) = segments.split_first().ok_or_else(|| error("empty path"))?;
        let (name, modifier) = if after.is_empty() {
            split_modifier(first)?
        } else {
            (*first, None)
        };
        self.reads
            .auth(if name.contains("_via_") { "id" } else { name });
        let given = |access, lower| {
            Operand::Given(Given {
                part: Part::Auth(name.into()),
                access,
                lower,
            })
        };
        if after.is_empty() && (is_auth_constant(name) || modifier != Some(Modifier::Each)) {
            return Ok(match modifier {
                Some(Modifier::Length) if !is_auth_constant(name) => {
                    self.auth_length(name, given(GivenAccess::Length, false))
                }
                Some(Modifier::Lower) => given(GivenAccess::Plain, true),
                Some(Modifier::IsSet | Modifier::Changed | Modifier::Length | Modifier::Each)
                | None => given(GivenAccess::Plain, false),
            });
        }
        self.needs_actor = true;
        self.reads.auth("collectionId");
        let Some(actor) = self.actor.map(Arc::clone) else {
            return Ok(nothing());
        };
        let field = actor.field(name);
        let part = Given::plain(Part::Auth(name.into()));
        match field.map(|field| (field, &field.kind)) {
            Some((field, kind)) if after.is_empty() => {
                if kind.is_multiple() {
                    return self.each_given(part, &format!("@auth.{}", field.name));
                }
                Ok(Operand::Given(part))
            }
            Some((_, FieldKind::Json(_) | FieldKind::GeoPoint)) => {
                let path = json_path(after)?;
                Ok(Operand::Given(Given::plain(Part::AuthJson(
                    name.into(),
                    path,
                ))))
            }
            Some((field, FieldKind::Relation(options))) => {
                if !field.kind.is_multiple() && after == ["id"] {
                    return Ok(Operand::Given(part));
                }
                let (join, target) = self.relation(From::Given(part), None, field, options)?;
                self.field_path(Some(join), &target, after)
            }
            None if !after.is_empty() && name.contains("_via_") => {
                let id = Given::plain(Part::Auth(CompactString::const_new("id")));
                let (join, target) =
                    self.back_relation_from(From::Given(id), None, &actor, name)?;
                self.field_path(Some(join), &target, after)
            }
            Some(_) | None => Ok(nothing()),
        }
    }

    /// `:length` counts lists only; it is ignored on everything else. Which it is depends on the caller's collection.
    fn auth_length(&mut self, name: &str, counted: Operand) -> Operand {
        let listed = |collection: &Collection| {
            collection.field(name).is_some_and(|field| {
                matches!(
                    field.kind,
                    FieldKind::Select(_) | FieldKind::File(_) | FieldKind::Relation(_)
                )
            })
        };
        let anywhere = self.schema.iter().any(|c| c.is_auth() && listed(c));
        match self.actor {
            Some(actor) if listed(actor) => counted,
            None if anywhere => {
                self.needs_actor = true;
                counted
            }
            Some(_) | None => Operand::Given(Given::plain(Part::Auth(name.into()))),
        }
    }
}
