//! One comparison in PostgreSQL's words.
//!
//! There a column has one type, while SQLite compares values of any class. So every expression has a [`Kind`] here:
//! text, number, or *cell*, a text that holds a value of either class so that bytewise order is SQLite's order: `0` and
//! sixteen hexadecimal digits for a number, `1` and the text itself for a text (`burrow.num_cell`). Two sides of one
//! kind are compared as they are, by which indexes serve; all others are compared as cells.

use crate::expr::ast::Op;
use crate::expr::bound::{Access, Affinity, Column, Stored};
use crate::expr::compare::{self, sqlite_text};
use crate::expr::leaf::{Leaf, Side};
use crate::kit::value::Value;

use super::compare::same_affinity;
use super::writer::{Scope, Writer};

/// What an expression is to PostgreSQL.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::expr) enum Kind {
    /// `text`.
    Text,
    /// A number of any type.
    Number,
    /// A value of either class, as text.
    Cell,
}

/// What becomes of a side before it is compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Convert {
    Nothing,
    /// Texts that are numbers become numbers.
    Numeric,
    /// Numbers become text.
    Text,
}

/// A side as it is compared.
enum Form<'s> {
    /// A value, converted already.
    Value(Value),
    Side(&'s Side, Convert),
}

impl Writer<'_> {
    /// The comparison of `leaf` itself.
    pub(super) fn compare_postgres(&mut self, leaf: &Leaf, scope: &Scope) {
        match leaf.op {
            Op::Eq | Op::Ne => self.pg_equality(leaf, scope),
            Op::Lt => self.pg_pair(leaf, " < ", true, scope),
            Op::Le => self.pg_pair(leaf, " <= ", true, scope),
            Op::Gt => self.pg_pair(leaf, " > ", true, scope),
            Op::Ge => self.pg_pair(leaf, " >= ", true, scope),
            Op::Like => self.pg_like(leaf, " LIKE ", scope),
            Op::NotLike => self.pg_like(leaf, " NOT LIKE ", scope),
        }
    }

    /// Both sides around `sign`; with `affinity` they are converted as SQLite converts them.
    fn pg_pair(&mut self, leaf: &Leaf, sign: &'static str, affinity: bool, scope: &Scope) {
        let (own, other) = (self.pg_affinity(&leaf.left), self.pg_affinity(&leaf.right));
        let left = form(&leaf.left, own, if affinity { other } else { own });
        let right = form(&leaf.right, other, if affinity { own } else { other });
        let kind = match (left.kind(), right.kind()) {
            (Some(left), Some(right)) if left == right => left,
            (Some(only), None) | (None, Some(only)) => only,
            (Some(_), Some(_)) => Kind::Cell,
            (None, None) => Kind::Text,
        };
        self.pg_form(&left, kind, scope);
        if kind != Kind::Number {
            self.sql.push(" COLLATE \"C\"");
        }
        self.sql.push(sign);
        self.pg_form(&right, kind, scope);
    }

    fn pg_affinity(&self, side: &Side) -> Affinity {
        match side {
            Side::Known(known) => known.affinity,
            // Submitted values compare as they came.
            Side::Column(column) if self.draft && column.join.is_none() => Affinity::None,
            Side::Column(column) => column.compared_affinity(),
            Side::Strftime(..) | Side::Distance(_) | Side::Changed(..) => Affinity::None,
        }
    }

    fn pg_form(&mut self, form: &Form<'_>, want: Kind, scope: &Scope) {
        match form {
            Form::Value(value) => self.pg_value(value, want),
            Form::Side(side, convert) => {
                let kind = converted(kind_of(side), *convert);
                self.pg_lifted(kind, want, |writer| match convert {
                    Convert::Text => writer.pg_text(side, scope),
                    Convert::Numeric => writer.pg_numeric(side, scope),
                    Convert::Nothing => writer.pg_side(side, scope),
                });
            }
        }
    }

    /// What `inner` writes, as a cell where it is none and one is wanted.
    fn pg_lifted(&mut self, kind: Kind, want: Kind, inner: impl FnOnce(&mut Self)) {
        let (before, after) = match (kind, want) {
            (Kind::Text, Kind::Cell) => ("('1' || ", ")"),
            (Kind::Number, Kind::Cell) => ("burrow.num_cell(", ")"),
            (Kind::Text | Kind::Number | Kind::Cell, _) => ("", ""),
        };
        self.sql.push(before);
        inner(self);
        self.sql.push(after);
    }

    fn pg_value(&mut self, value: &Value, want: Kind) {
        match want {
            Kind::Text => self.sql.arg(value.clone()).push("::text"),
            Kind::Number => self.sql.arg(value.clone()).push("::float8"),
            Kind::Cell => self.sql.arg(cell(value)).push("::text"),
        };
    }

    /// Numeric affinity applied to a side.
    fn pg_numeric(&mut self, side: &Side, scope: &Scope) {
        match kind_of(side) {
            Kind::Number => self.pg_side(side, scope),
            Kind::Text => {
                self.sql.push("burrow.numeric_cell(");
                self.pg_side(side, scope);
                self.sql.push(")");
            }
            Kind::Cell => {
                self.sql.push("burrow.cell_numeric(");
                self.pg_side(side, scope);
                self.sql.push(")");
            }
        }
    }

    fn pg_like(&mut self, leaf: &Leaf, sign: &'static str, scope: &Scope) {
        self.sql.push("lower(");
        self.pg_text(&leaf.left, scope);
        self.sql.push(" COLLATE \"C\")").push(sign);
        match &leaf.right {
            Side::Known(known) => {
                let pattern = match compare::pattern(known) {
                    Value::Text(mut text) => {
                        text.make_ascii_lowercase();
                        // A backslash that escapes nothing matches nothing; PostgreSQL would refuse it.
                        let bare = text.len() - text.trim_end_matches('\\').len();
                        if bare % 2 == 1 {
                            Value::Null
                        } else {
                            Value::Text(text)
                        }
                    }
                    other => other,
                };
                self.sql.arg(pattern).push("::text");
            }
            Side::Strftime(..) => {
                self.sql.push("burrow.pattern(");
                self.pg_text(&leaf.right, scope);
                self.sql.push(")");
            }
            Side::Column(_) | Side::Distance(_) | Side::Changed(..) => {
                self.sql.push("('%' || lower(");
                self.pg_text(&leaf.right, scope);
                self.sql.push(" COLLATE \"C\") || '%')");
            }
        }
        self.sql.push(" ESCAPE '\\'");
    }

    fn pg_equality(&mut self, leaf: &Leaf, scope: &Scope) {
        let equal = leaf.op == Op::Eq;
        let same = " IS NOT DISTINCT FROM ";
        let different = " IS DISTINCT FROM ";
        if leaf.is_raw() {
            self.pg_pair(leaf, if equal { same } else { different }, true, scope);
            return;
        }
        let (side, other) = match (leaf.left.known(), leaf.right.known()) {
            (Some(known), _) => (&leaf.right, known),
            (None, Some(known)) => (&leaf.left, known),
            (None, None) => {
                self.pg_both_columns(leaf, equal, scope);
                return;
            }
        };
        if other.is_empty() {
            self.pg_empty(side, equal, scope);
            return;
        }
        let sign = if equal { " = " } else { different };
        if matches!(side, Side::Strftime(..)) {
            // `NULL = 'x'` is unknown for a column, but a time that cannot be formatted is plainly different.
            let value = other.value.clone();
            let kind = value_kind(&value).unwrap_or(Kind::Text);
            let want = if kind == Kind::Text {
                Kind::Text
            } else {
                Kind::Cell
            };
            self.pg_lifted(Kind::Text, want, |writer| {
                writer.sql.push("COALESCE(");
                writer.pg_side(side, scope);
                writer.sql.push(", '')");
            });
            self.sql.push(sign);
            self.pg_value(&value, want);
            return;
        }
        let affinity = !other.column || same_affinity(side, other);
        self.pg_pair(leaf, sign, affinity, scope);
    }

    /// Whether `side` is NULL or the empty text, or neither.
    fn pg_empty(&mut self, side: &Side, equal: bool, scope: &Scope) {
        let kind = kind_of(side);
        self.sql.push("(");
        if kind != Kind::Number {
            self.pg_side(side, scope);
            self.sql.push(if equal { " = " } else { " <> " });
            self.sql.push(match kind {
                Kind::Cell => "'1'",
                Kind::Text | Kind::Number => "''",
            });
            self.sql.push(if equal { " OR " } else { " AND " });
        }
        self.pg_side(side, scope);
        self.sql
            .push(if equal { " IS NULL)" } else { " IS NOT NULL)" });
    }

    fn pg_both_columns(&mut self, leaf: &Leaf, equal: bool, scope: &Scope) {
        let sign = if equal { " = " } else { " <> " };
        if leaf.is_bare_time() {
            let sign = if equal { " = " } else { " IS DISTINCT FROM " };
            self.pg_pair(leaf, sign, true, scope);
            return;
        }
        if !self.may_be_null(&leaf.left, scope) && !self.may_be_null(&leaf.right, scope) {
            self.pg_pair(leaf, sign, false, scope);
            return;
        }
        let text = [&leaf.left, &leaf.right]
            .into_iter()
            .all(|side| kind_of(side) == Kind::Text);
        let (want, nothing) = if text {
            (Kind::Text, ", '')")
        } else {
            (Kind::Cell, ", '1')")
        };
        for (i, side) in [&leaf.left, &leaf.right].into_iter().enumerate() {
            if i > 0 {
                self.sql.push(sign);
            }
            self.sql.push("COALESCE(");
            self.pg_lifted(kind_of(side), want, |writer| writer.pg_side(side, scope));
            self.sql.push(nothing);
        }
    }

    /// A side in the kind that it has.
    fn pg_side(&mut self, side: &Side, scope: &Scope) {
        match side {
            Side::Known(known) => {
                let kind = value_kind(&known.value).unwrap_or(Kind::Text);
                self.pg_value(&known.value, kind);
            }
            Side::Column(column) => self.pg_column(column, scope),
            Side::Strftime(call, time) => {
                self.sql
                    .push("burrow.strftime(")
                    .arg(Value::Text(call.format.clone()))
                    .push("::text, ");
                match time {
                    Some(time) => self.pg_text(time, scope),
                    None => {
                        self.sql.push("'now'");
                    }
                }
                self.sql.push(", ARRAY[");
                for (i, modifier) in call.modifiers.iter().enumerate() {
                    self.sql.push(if i > 0 { ", " } else { "" });
                    self.sql.arg(Value::Text(modifier.clone())).push("::text");
                }
                self.sql.push("]::text[])");
            }
            Side::Distance(args) => {
                self.sql.push("burrow.geo_distance(");
                for (i, arg) in args.iter().enumerate() {
                    self.sql.push(if i > 0 { ", " } else { "" });
                    self.pg_number(arg, scope);
                }
                self.sql.push(")");
            }
            Side::Changed(known, column) => {
                self.sql.push("(CASE WHEN ");
                let stored = Side::Column(column.clone());
                let own = self.pg_affinity(&stored);
                let sent = Side::Known(known.clone());
                let form_sent = form(&sent, known.affinity, own);
                let form_stored = form(&stored, own, known.affinity);
                let kind = match (form_sent.kind(), form_stored.kind()) {
                    (Some(left), Some(right)) if left == right => left,
                    (None, Some(only)) => only,
                    _ => Kind::Cell,
                };
                self.pg_form(&form_stored, kind, scope);
                self.sql.push(" IS DISTINCT FROM ");
                self.pg_form(&form_sent, kind, scope);
                self.sql.push(" THEN 1 ELSE 0 END)");
            }
        }
    }

    /// A column in the kind that it has.
    pub(super) fn pg_column(&mut self, column: &Column, scope: &Scope) {
        if column.lower {
            self.sql.push("lower(");
            let plain = Column {
                lower: false,
                ..column.clone()
            };
            self.pg_column_text(&plain, scope);
            self.sql.push(" COLLATE \"C\")");
            return;
        }
        match &column.access {
            Access::Plain | Access::Item if column.stored == Stored::Json => {
                self.sql.push("burrow.numeric_cell(");
                self.bare(column.join, &column.name, scope);
                self.sql.push(")");
            }
            Access::Plain | Access::Item => self.bare(column.join, &column.name, scope),
            Access::Each => self.pg_item(column, "value", scope),
            Access::Json(path) => {
                self.sql.push("burrow.json_cell(");
                self.bare(column.join, &column.name, scope);
                self.sql
                    .push(", ")
                    .arg(Value::Text(path.clone()))
                    .push("::text)");
            }
            Access::Length if column.multiple => {
                self.sql.push("burrow.list_length(");
                self.bare(column.join, &column.name, scope);
                self.sql.push(")");
            }
            Access::Length => {
                self.sql.push("(CASE WHEN ");
                self.bare(column.join, &column.name, scope);
                self.sql.push(" <> '' THEN 1 ELSE 0 END)");
            }
        }
    }

    fn pg_item(&mut self, column: &Column, part: &'static str, scope: &Scope) {
        match column.join.and_then(|j| scope.get(j).copied().flatten()) {
            Some(alias) => {
                self.sql.push("\"__e").number(alias.number).push("\".");
                self.sql.ident(part);
            }
            None => {
                self.sql.push("NULL::text");
            }
        }
    }

    /// A side as text, as SQLite casts it.
    fn pg_text(&mut self, side: &Side, scope: &Scope) {
        match side {
            Side::Known(known) if known.value.is_null() => {
                self.sql.push("NULL::text");
            }
            Side::Known(known) => {
                let text = Value::Text(sqlite_text(&known.value));
                self.sql.arg(text).push("::text");
            }
            Side::Column(column) if column.lower => self.pg_column(column, scope),
            Side::Column(column) => self.pg_column_text(column, scope),
            Side::Strftime(..) => self.pg_side(side, scope),
            Side::Distance(_) | Side::Changed(..) => {
                self.sql.push("burrow.num_text(");
                self.pg_side(side, scope);
                self.sql.push(")");
            }
        }
    }

    fn pg_column_text(&mut self, column: &Column, scope: &Scope) {
        match &column.access {
            Access::Plain | Access::Item => match column.stored {
                Stored::Text => self.bare(column.join, &column.name, scope),
                Stored::Json => {
                    self.sql.push("burrow.numeric_text(");
                    self.bare(column.join, &column.name, scope);
                    self.sql.push(")");
                }
                Stored::Number => {
                    self.sql.push("burrow.num_text(");
                    self.bare(column.join, &column.name, scope);
                    self.sql.push(")");
                }
            },
            Access::Each => self.pg_item(column, "spelt", scope),
            Access::Json(path) => {
                self.sql.push("burrow.json_spelt(");
                self.bare(column.join, &column.name, scope);
                self.sql
                    .push(", ")
                    .arg(Value::Text(path.clone()))
                    .push("::text)");
            }
            Access::Length => {
                self.sql.push("(");
                self.pg_column(column, scope);
                self.sql.push(")::text");
            }
        }
    }

    /// A side as a number, NULL where it is none.
    fn pg_number(&mut self, side: &Side, scope: &Scope) {
        if let Side::Known(known) = side {
            let number = match &known.value {
                Value::Text(text) => text.trim().parse().map_or(Value::Null, Value::Real),
                number => number.as_f64().map_or(Value::Null, Value::Real),
            };
            self.pg_value(&number, Kind::Number);
            return;
        }
        let function = match kind_of(side) {
            Kind::Number => {
                self.pg_side(side, scope);
                return;
            }
            Kind::Text => "burrow.text_number(",
            Kind::Cell => "burrow.cell_number(",
        };
        self.sql.push(function);
        self.pg_side(side, scope);
        self.sql.push(")");
    }
}

impl Form<'_> {
    /// Nothing for NULL, which is of any kind.
    fn kind(&self) -> Option<Kind> {
        match self {
            Self::Value(value) => value_kind(value),
            Self::Side(side, convert) => Some(converted(kind_of(side), *convert)),
        }
    }
}

fn form(side: &Side, own: Affinity, other: Affinity) -> Form<'_> {
    let convert = if other == Affinity::Numeric && own != Affinity::Numeric {
        Convert::Numeric
    } else if other == Affinity::Text && own == Affinity::None {
        Convert::Text
    } else {
        Convert::Nothing
    };
    match (side, convert) {
        (Side::Known(known), Convert::Nothing) => Form::Value(known.value.clone()),
        (Side::Known(known), Convert::Numeric) => Form::Value(compare::to_numeric(&known.value)),
        (Side::Known(known), Convert::Text) => Form::Value(compare::to_text_affinity(&known.value)),
        (side, convert) => Form::Side(side, convert),
    }
}

fn converted(kind: Kind, convert: Convert) -> Kind {
    match (convert, kind) {
        (Convert::Nothing, kind) => kind,
        (Convert::Text, _) => Kind::Text,
        (Convert::Numeric, Kind::Number) => Kind::Number,
        (Convert::Numeric, Kind::Text | Kind::Cell) => Kind::Cell,
    }
}

fn value_kind(value: &Value) -> Option<Kind> {
    match value {
        Value::Null => None,
        Value::Int(_) | Value::Real(_) => Some(Kind::Number),
        Value::Text(_) | Value::Blob(_) => Some(Kind::Text),
    }
}

fn kind_of(side: &Side) -> Kind {
    match side {
        Side::Known(known) => value_kind(&known.value).unwrap_or(Kind::Text),
        Side::Column(column) => column_kind(column),
        Side::Strftime(..) => Kind::Text,
        Side::Distance(_) | Side::Changed(..) => Kind::Number,
    }
}

pub(in crate::expr) fn column_kind(column: &Column) -> Kind {
    if column.lower {
        return Kind::Text;
    }
    match column.access {
        Access::Plain | Access::Item => match column.stored {
            Stored::Text => Kind::Text,
            Stored::Number => Kind::Number,
            Stored::Json => Kind::Cell,
        },
        Access::Each | Access::Json(_) => Kind::Cell,
        Access::Length => Kind::Number,
    }
}

/// The text of a value as a cell; see the module.
fn cell(value: &Value) -> Value {
    match value {
        Value::Null => Value::Null,
        Value::Int(_) | Value::Real(_) => {
            // Negative zero is zero.
            let number = value.as_f64().unwrap_or(0.0) + 0.0;
            let bits = number.to_bits();
            let ordered = if bits >> 63 == 1 {
                !bits
            } else {
                bits | (1 << 63)
            };
            Value::from(format!("0{ordered:016x}"))
        }
        Value::Text(text) => Value::from(format!("1{text}")),
        Value::Blob(bytes) => Value::from(format!("1{}", String::from_utf8_lossy(bytes))),
    }
}
