//! An expression taken apart: each clause is bound on its own and judged as the whole is, so that what is said of it is
//! what the rule does. For people who ask why; nobody's rights are decided here.

use std::sync::Arc;

use super::ast::{Comparison, Expr, Op, Operand as Written};
use super::bind;
use super::bound::{Column, Node, Operand};
use super::catalog::{BindError, Catalog, Filter, Source};
use super::eval;
use super::leaf::Side;
use super::plan::{self, Plan};
use super::request::{Given, Part};
use super::{Guard, parse};
use crate::call::Call;
use crate::kit::json;
use crate::kit::limits::RULE_BYTES_MAX;
use crate::kit::value::{Columns, Value};
use crate::schema::{Collection, FieldKind};

/// How the parts of a clause make it hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shape {
    /// Every part must hold, for the same related records.
    All,
    /// One part is enough.
    Any,
    /// A comparison; it has no parts.
    Compare,
}

impl Shape {
    /// As answers name it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::All => "all",
            Self::Any => "any",
            Self::Compare => "compare",
        }
    }
}

/// A clause of an expression, and its own clauses.
#[derive(Clone, Debug)]
pub struct Clause {
    /// How its parts make it hold.
    pub shape: Shape,
    /// As it would be written, without comments.
    pub text: String,
    /// What decides it alone.
    pub filter: Filter,
    /// In the order they are written.
    pub parts: Vec<Self>,
    sides: Option<[String; 2]>,
}

/// One side of a comparison.
#[derive(Clone, Debug, PartialEq)]
pub struct Shown {
    /// As it is written.
    pub text: String,
    /// What it is.
    pub seen: Seen,
}

/// What is known of one side of a comparison without reading other rows.
#[derive(Clone, Debug, PartialEq)]
pub enum Seen {
    /// This value.
    Value(Value),
    /// A value that nobody is shown: passwords and token keys.
    Secret,
    /// It stands in other records, or only the database computes it.
    Elsewhere,
}

impl Catalog {
    /// Takes `text` over `collection` apart.
    ///
    /// # Errors
    /// As [`Catalog::filter`].
    pub fn clauses(
        &self,
        collection: &Arc<Collection>,
        text: &str,
    ) -> Result<Arc<Clause>, BindError> {
        if text.len() > RULE_BYTES_MAX {
            return Err(BindError("the expression is too long".to_owned()));
        }
        self.clause(collection, parse::parse(text)?).map(Arc::new)
    }

    /// Depth is bounded: groups are flat, and each level holds a comparison.
    fn clause(&self, collection: &Arc<Collection>, expr: Expr) -> Result<Clause, BindError> {
        let general = bind::bind(self, collection, &expr, Guard::Trusted, None)?;
        let text = written(&expr, false);
        let (shape, parts, sides) = match &expr {
            Expr::All(parts) => (Shape::All, parts.as_slice(), None),
            Expr::Any(parts) => (Shape::Any, parts.as_slice(), None),
            Expr::Compare(Comparison { left, right, .. }) => (
                Shape::Compare,
                [].as_slice(),
                Some([operand(left), operand(right)]),
            ),
        };
        let parts = parts
            .iter()
            .map(|part| self.clause(collection, part.clone()))
            .collect::<Result<_, _>>()?;
        Ok(Clause {
            shape,
            text,
            filter: Filter::of_source(Source::new(
                Arc::clone(collection),
                expr,
                Guard::Trusted,
                general,
            )),
            parts,
            sides,
        })
    }

    /// What `text` says to `call` before any record is read, where that decides it.
    ///
    /// # Errors
    /// As [`Catalog::filter`].
    pub fn decided(
        &self,
        collection: &Collection,
        text: &str,
        call: &Call,
    ) -> Result<Option<bool>, BindError> {
        let filter = self.filter(collection, text, Guard::Trusted)?;
        let bound = filter.first_bound(self, call);
        Ok(match plan::settle(&bound, call) {
            Plan::Known(known) => Some(known),
            Plan::All(_) | Plan::Any(_) | Plan::Leaf(_) => None,
        })
    }
}

impl Clause {
    /// Both sides of a comparison for the record `row`, whose cells are stored ones when `typed`; nothing for a group.
    #[must_use]
    pub fn sides(
        &self,
        catalog: &Catalog,
        call: &Call,
        row: Option<(&Collection, &dyn Columns, bool)>,
    ) -> Option<[Shown; 2]> {
        let texts = self.sides.as_ref()?;
        let bound = self.filter.first_bound(catalog, call);
        let Node::Compare(compare) = &bound.node else {
            return None;
        };
        let seen = |operand: &Operand| {
            if row.is_some_and(|(collection, ..)| is_secret(operand, collection))
                || is_own_secret(operand)
            {
                return Seen::Secret;
            }
            let side = Side::new(operand, call);
            let value = match (&side, row) {
                (Side::Known(known), _) => Some(known.value.clone()),
                (_, Some((_, cells, typed))) => {
                    eval::side(&side, &bound.joins, cells, typed).map(|known| known.value)
                }
                (_, None) => None,
            };
            value.map_or(Seen::Elsewhere, Seen::Value)
        };
        let [left, right] = texts.clone();
        Some([
            Shown {
                text: left,
                seen: seen(&compare.left),
            },
            Shown {
                text: right,
                seen: seen(&compare.right),
            },
        ])
    }
}

/// Whether a column of the record is never shown to anybody.
fn is_secret(operand: &Operand, collection: &Collection) -> bool {
    let secret = |column: &Column| {
        column.join.is_none()
            && (column.name == "tokenKey"
                || collection
                    .fields
                    .get(column.index)
                    .is_some_and(|field| matches!(field.kind, FieldKind::Password(_))))
    };
    match operand {
        Operand::Column(column) | Operand::Changed(_, column) => secret(column),
        Operand::Literal(_)
        | Operand::Macro(_)
        | Operand::Given(_)
        | Operand::Strftime(_)
        | Operand::Distance(_) => false,
    }
}

/// Whether it is a secret of the caller's record or request.
fn is_own_secret(operand: &Operand) -> bool {
    let Operand::Given(Given { part, .. }) = operand else {
        return false;
    };
    match part {
        Part::Auth(name) => name == "tokenKey" || name == "password",
        Part::Header(name) => name == "authorization" || name == "cookie",
        Part::Body(path) => path.first().is_some_and(|name| {
            let name = name.to_ascii_lowercase();
            name.contains("password") || name == "tokenkey"
        }),
        Part::Context
        | Part::Method
        | Part::Query(_)
        | Part::AuthJson(..)
        | Part::Channel
        | Part::ChannelSegments
        | Part::ChannelSegment(_) => false,
    }
}

/// `expr` as text; in brackets where it stands `inside` another group.
fn written(expr: &Expr, inside: bool) -> String {
    let joined = |parts: &[Expr], sign: &str| {
        let parts: Vec<_> = parts.iter().map(|part| written(part, true)).collect();
        let text = parts.join(sign);
        if inside { format!("({text})") } else { text }
    };
    match expr {
        Expr::All(parts) => joined(parts, " && "),
        Expr::Any(parts) => joined(parts, " || "),
        Expr::Compare(comparison) => {
            let any = if comparison.any { "?" } else { "" };
            format!(
                "{} {any}{} {}",
                operand(&comparison.left),
                sign(comparison.op),
                operand(&comparison.right)
            )
        }
    }
}

fn sign(op: Op) -> &'static str {
    match op {
        Op::Eq => "=",
        Op::Ne => "!=",
        Op::Lt => "<",
        Op::Le => "<=",
        Op::Gt => ">",
        Op::Ge => ">=",
        Op::Like => "~",
        Op::NotLike => "!~",
    }
}

/// Depth is bounded by the parser.
fn operand(from: &Written) -> String {
    match from {
        Written::Path(path) => path.to_string(),
        Written::Number(number) => json::number_text(*number).to_string(),
        Written::Text(text) => {
            let mut out = Vec::with_capacity(text.len() + 2);
            json::write_str(text, &mut out);
            String::from_utf8(out).unwrap_or_default()
        }
        Written::Function(name, args) => {
            let args: Vec<_> = args.iter().map(operand).collect();
            format!("{name}({})", args.join(", "))
        }
    }
}
