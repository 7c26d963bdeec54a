//! The walk over an expression: literals, macros, functions, and what each name starts from.

use std::sync::Arc;

use crate::expr::ast::{self, Expr};
use crate::expr::bound::{
    Bound, Compare, From, Join, JoinId, JoinKind, Node, Operand, Reads, Strftime,
};
use crate::expr::catalog::{BindError, Guard};
use crate::expr::channel;
use crate::expr::macros::Macro;
use crate::expr::parse;
use crate::schema::{Collection, Schema};

/// Binds a parsed expression over `root`; `actor` is the collection of the signed-in record, once it is known.
///
/// # Errors
/// When it names unknown things, or touches what `guard` forbids.
pub(in crate::expr) fn bind(
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
pub(in crate::expr) fn bind_identifier(
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

pub(in crate::expr) fn error(message: impl Into<String>) -> BindError {
    BindError(message.into())
}

/// The joins that an expression needs, under construction.
pub(super) struct Binder<'a> {
    pub(in crate::expr) schema: &'a Schema,
    /// The collection whose records are submitted and judged.
    pub(in crate::expr) root: &'a Arc<Collection>,
    pub(super) guard: Guard,
    pub(in crate::expr) actor: Option<&'a Arc<Collection>>,
    /// The joined row that plain names mean, and its collection: the root, or a joined one under its list rule.
    pub(super) base: Option<JoinId>,
    pub(super) base_collection: Arc<Collection>,
    pub(super) joins: Vec<Join>,
    /// Joined collections whose list rule is to be added.
    pub(super) protected: Vec<(JoinId, Arc<Collection>)>,
    pub(in crate::expr) needs_actor: bool,
    pub(super) in_memory: bool,
    pub(super) reads: Reads,
}

impl<'a> Binder<'a> {
    pub(super) fn new(
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
    pub(super) fn finish(mut self, node: Node) -> Result<Bound, BindError> {
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
    pub(super) fn list_rule(
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
        let absent = Node::Compare(Box::new(Compare {
            left: self.path("id")?,
            op: ast::Op::Eq,
            any: true,
            right: Operand::Literal("".into()),
            base: self.base,
        }));
        let rule = self.expr(&parsed)?;
        (self.guard, self.base, self.base_collection) = outer;
        Ok(Node::Any(vec![absent, rule]))
    }

    /// Depth is bounded: groups are flat, and each level holds a comparison.
    pub(super) fn expr(&mut self, expr: &Expr) -> Result<Node, BindError> {
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
                Node::Compare(Box::new(Compare {
                    left,
                    op: comparison.op,
                    any: comparison.any,
                    right,
                    base: self.base,
                }))
            }
        })
    }

    pub(super) fn operand(&mut self, operand: &ast::Operand) -> Result<Operand, BindError> {
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

    pub(super) fn distance(&mut self, args: &[ast::Operand]) -> Result<Operand, BindError> {
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

    pub(super) fn strftime(&mut self, args: &[ast::Operand]) -> Result<Operand, BindError> {
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

    pub(super) fn path(&mut self, path: &str) -> Result<Operand, BindError> {
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

    pub(super) fn special(&mut self, path: &str, segments: &[&str]) -> Result<Operand, BindError> {
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
            ["@channel", rest @ ..] if self.root.id.as_str() == channel::ROOT => {
                self.channel(rest)?.ok_or_else(unknown)
            }
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
}
