//! One comparison as SQL, and the keys of a sort.

use crate::expr::ast::Op;
use crate::expr::bound::{Access, Affinity, Column, JoinId};
use crate::expr::compare;
use crate::expr::leaf::{Leaf, Side};
use crate::expr::request::Known;
use crate::kit::sql::Dialect;
use crate::kit::value::Value;

use super::writer::{Alias, Scope, Writer};

/// Comparisons of one leaf, once all joined rows have names.
impl Writer<'_> {
    pub(super) fn compare(&mut self, leaf: &Leaf, scope: &Scope) {
        // A hidden address neither satisfies nor violates anything.
        let email = leaf.guarded_email();
        if email.is_some() {
            self.sql.push("(");
        }
        if leaf.violation {
            self.sql.push("NOT (");
        }
        match self.sql.dialect() {
            Dialect::Sqlite => self.compare_sqlite(leaf, scope),
            Dialect::Postgres => self.compare_postgres(leaf, scope),
        }
        if leaf.violation {
            self.sql.push(")");
        }
        if let Some(email) = &email {
            self.sql.push(" AND ");
            self.visibility(email, scope);
            self.sql.push(")");
        }
    }

    fn compare_sqlite(&mut self, leaf: &Leaf, scope: &Scope) {
        match leaf.op {
            Op::Eq | Op::Ne => self.equality(leaf, scope),
            Op::Lt => self.plain(leaf, " < ", scope),
            Op::Le => self.plain(leaf, " <= ", scope),
            Op::Gt => self.plain(leaf, " > ", scope),
            Op::Ge => self.plain(leaf, " >= ", scope),
            Op::Like => self.like(leaf, " LIKE ", scope),
            Op::NotLike => self.like(leaf, " NOT LIKE ", scope),
        }
    }

    pub(super) fn plain(&mut self, leaf: &Leaf, sign: &'static str, scope: &Scope) {
        self.side(&leaf.left, scope);
        self.sql.push(sign);
        self.side(&leaf.right, scope);
    }

    pub(super) fn like(&mut self, leaf: &Leaf, sign: &'static str, scope: &Scope) {
        self.side(&leaf.left, scope);
        self.sql.push(sign);
        match &leaf.right {
            Side::Known(known) => {
                self.sql.arg(compare::pattern(known));
            }
            // Its format is a literal, and so it is a whole pattern like one.
            Side::Strftime(..) => self.side(&leaf.right, scope),
            Side::Column(_) | Side::Distance(_) | Side::Changed(..) => {
                self.sql.push("('%' || ");
                self.side(&leaf.right, scope);
                self.sql.push(" || '%')");
            }
        }
        self.sql.push(" ESCAPE '\\'");
    }

    pub(super) fn equality(&mut self, leaf: &Leaf, scope: &Scope) {
        let equal = leaf.op == Op::Eq;
        if leaf.is_raw() {
            self.plain(leaf, if equal { " IS " } else { " IS NOT " }, scope);
            return;
        }
        let (side, other) = match (leaf.left.known(), leaf.right.known()) {
            (Some(known), _) => (&leaf.right, known),
            (None, Some(known)) => (&leaf.left, known),
            (None, None) => {
                self.both_columns(leaf, equal, scope);
                return;
            }
        };
        if other.is_empty() {
            self.sql.push("(");
            self.side(side, scope);
            self.sql
                .push(if equal { " = '' OR " } else { " != '' AND " });
            self.side(side, scope);
            self.sql
                .push(if equal { " IS NULL)" } else { " IS NOT NULL)" });
            return;
        }
        if other.column && !same_affinity(side, other) {
            self.sql.push("+");
        }
        // `NULL = 'x'` is unknown for a column, but a time that cannot be formatted is plainly different.
        let coalesced = matches!(side, Side::Strftime(..));
        self.sql.push(if coalesced { "COALESCE(" } else { "" });
        self.side(side, scope);
        self.sql.push(if coalesced { ", '')" } else { "" });
        self.sql.push(if equal { " = " } else { " IS NOT " });
        self.sql.arg(other.value.clone());
    }

    pub(super) fn both_columns(&mut self, leaf: &Leaf, equal: bool, scope: &Scope) {
        let affinity = |side: &Side| match side {
            Side::Column(column) => column.compared_affinity(),
            Side::Known(_) | Side::Strftime(..) | Side::Distance(_) | Side::Changed(..) => {
                Affinity::None
            }
        };
        let plain = !self.may_be_null(&leaf.left, scope) && !self.may_be_null(&leaf.right, scope);
        let sign = if equal { " = " } else { " != " };
        if leaf.is_bare_time() {
            self.plain(leaf, if equal { " = " } else { " IS NOT " }, scope);
            return;
        }
        if plain {
            // Coalesced columns have no affinity; the plus takes it away without hiding a column of the same kind
            // from its index.
            let same = affinity(&leaf.left) == affinity(&leaf.right);
            for (i, side) in [&leaf.left, &leaf.right].into_iter().enumerate() {
                if i > 0 {
                    self.sql.push(sign);
                }
                if !same {
                    self.sql.push("+");
                }
                self.side(side, scope);
            }
            return;
        }
        self.sql.push("COALESCE(");
        self.side(&leaf.left, scope);
        self.sql.push(", '')").push(sign).push("COALESCE(");
        self.side(&leaf.right, scope);
        self.sql.push(", '')");
    }

    pub(super) fn may_be_null(&self, side: &Side, scope: &Scope) -> bool {
        match side {
            Side::Column(column) => match (&column.access, column.join) {
                (Access::Length, _) => false,
                (Access::Plain | Access::Item, None) => column.nullable,
                (Access::Plain | Access::Item, Some(join)) => {
                    let present = scope
                        .get(join)
                        .copied()
                        .flatten()
                        .is_some_and(|a| a.present);
                    column.nullable || !present
                }
                (Access::Json(_) | Access::Each, _) => true,
            },
            Side::Known(_) | Side::Strftime(..) | Side::Distance(_) | Side::Changed(..) => true,
        }
    }

    pub(super) fn side(&mut self, side: &Side, scope: &Scope) {
        match side {
            Side::Known(known) => self.known(known),
            Side::Column(column) => self.column(column, scope),
            Side::Strftime(call, time) => {
                self.sql
                    .push("strftime(")
                    .arg(Value::Text(call.format.clone()));
                if let Some(time) = time {
                    self.sql.push(", ");
                    self.side(time, scope);
                }
                for modifier in &call.modifiers {
                    self.sql.push(", ").arg(Value::Text(modifier.clone()));
                }
                self.sql.push(")");
            }
            Side::Distance(args) => {
                self.sql.push("geo_distance(");
                for (i, arg) in args.iter().enumerate() {
                    if i > 0 {
                        self.sql.push(", ");
                    }
                    self.side(arg, scope);
                }
                self.sql.push(")");
            }
            Side::Changed(known, column) => {
                self.sql.push("(");
                self.column(column, scope);
                self.sql.push(" IS NOT ").arg(known.value.clone()).push(")");
            }
        }
    }

    /// A field of the signed-in record compares like its column.
    pub(super) fn known(&mut self, known: &Known) {
        let cast = match known.affinity {
            Affinity::None | Affinity::Blob => {
                self.sql.arg(known.value.clone());
                return;
            }
            Affinity::Text => " AS TEXT)",
            Affinity::Numeric => " AS NUMERIC)",
        };
        self.sql.push("CAST(").arg(known.value.clone()).push(cast);
    }

    /// A column as it is compared.
    pub(super) fn column(&mut self, column: &Column, scope: &Scope) {
        if column.lower {
            self.sql.push("LOWER(");
        }
        match &column.access {
            Access::Plain => self.bare(column.join, &column.name, scope),
            Access::Item => {
                // The sign takes the affinity away and leaves the value.
                self.sql.push("+");
                self.bare(column.join, &column.name, scope);
            }
            Access::Each => match column.join.and_then(|j| scope.get(j).copied().flatten()) {
                Some(alias) => self.item_column(alias.number),
                None => {
                    self.sql.push("NULL");
                }
            },
            Access::Json(path) => {
                self.sql.push("(CASE WHEN json_valid(");
                self.bare(column.join, &column.name, scope);
                self.sql.push(") THEN json_extract(");
                self.bare(column.join, &column.name, scope);
                self.sql.push(", ").arg(Value::Text(path.clone()));
                self.sql.push(")");
                if path == "$" {
                    self.sql.push(" ELSE ");
                    self.bare(column.join, &column.name, scope);
                }
                self.sql.push(" END)");
            }
            Access::Length => self.length(column, scope),
        }
        if column.lower {
            self.sql.push(")");
        }
    }

    pub(super) fn length(&mut self, column: &Column, scope: &Scope) {
        self.sql.push("(CASE WHEN ");
        if column.multiple {
            self.sql.push("substr(");
            self.bare(column.join, &column.name, scope);
            self.sql.push(", 1, 1) = '[' AND json_valid(");
            self.bare(column.join, &column.name, scope);
            self.sql.push(") THEN json_array_length(");
            self.bare(column.join, &column.name, scope);
            self.sql.push(") WHEN ");
        }
        self.bare(column.join, &column.name, scope);
        self.sql.push(" != '' THEN 1 ELSE 0 END)");
    }

    pub(super) fn bare(&mut self, join: Option<JoinId>, name: &str, scope: &Scope) {
        match join {
            None => {
                self.sql.column(self.root, name);
            }
            Some(join) => match scope.get(join).copied().flatten() {
                Some(alias) => self.joined_column(alias.number, name),
                None => {
                    self.sql.push("NULL");
                }
            },
        }
    }

    pub(super) fn visibility(&mut self, email: &Column, scope: &Scope) {
        self.bare(email.join, "emailVisibility", scope);
        self.sql.push(" = 1");
    }

    fn sorted(&mut self, column: &Column, scope: &Scope) {
        match self.sql.dialect() {
            Dialect::Sqlite => self.column(column, scope),
            Dialect::Postgres => self.pg_column(column, scope),
        }
    }

    /// The sort key of `column`: of joined rows the first one's; a guarded e-mail counts as empty where it is hidden.
    pub(in crate::expr) fn sort_key(&mut self, column: &Column) {
        let mut chain = Vec::new();
        let mut at = column.join;
        while let Some(join) = at {
            chain.push(join);
            at = self.joins[join].parent;
        }
        let mut scope: Scope = vec![None; self.joins.len()];
        for &join in &chain {
            self.next_alias += 1;
            scope[join] = Some(Alias {
                number: self.next_alias,
                present: false,
            });
        }
        if !chain.is_empty() {
            self.sql.push("(SELECT ");
        }
        if column.guarded_email {
            self.sql.push("CASE WHEN ");
            self.visibility(column, &scope);
            self.sql.push(" THEN ");
            self.sorted(column, &scope);
            self.sql.push(" ELSE '' END");
        } else {
            self.sorted(column, &scope);
        }
        if chain.is_empty() {
            return;
        }
        self.sql
            .push_either(" FROM (SELECT 1)", " FROM (SELECT 1) AS \"__o\"");
        for &join in chain.iter().rev() {
            self.sql.push(" LEFT JOIN ");
            let kind = self.joins[join].kind.clone();
            let number = scope[join].map_or(0, |alias| alias.number);
            self.tables(join, number, &kind, &scope);
            self.sql.push(" ON ");
            self.condition(number, &kind, &scope);
        }
        self.sql.push(" LIMIT 1)");
    }
}

pub(super) fn same_affinity(side: &Side, known: &Known) -> bool {
    match side {
        Side::Column(column) => column.compared_affinity() == known.affinity,
        Side::Known(_) | Side::Strftime(..) | Side::Distance(_) | Side::Changed(..) => {
            known.affinity == Affinity::None
        }
    }
}
