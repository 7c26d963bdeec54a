//! A settled expression as SQL: one boolean over the row under judgement. Joined rows are reached by `IN` and `EXISTS`,
//! never by a join of the statement itself, so that no row comes twice and counting and paging stay simple.
//!
//! The expression is cut at its disjunctions and wherever two conditions share no joined row of many: what hangs
//! together is searched together (contract 4.7), everything else on its own.

use super::ast::Op;
use super::bound::{Access, Affinity, Column, From, Join, JoinId, JoinKind};
use super::eval;
use super::plan::{self, Leaf, Plan, Side};
use super::request::{Known, affinity_of};
use crate::call::Call;
use crate::kit::sql::Sql;
use crate::kit::value::Value;
use crate::schema::{FieldKind, Record};

/// Name of a row that stands in no table.
pub(super) const ROW_ALIAS: &str = "__row";

/// `WITH` the cells of `row` as the only row of a private table, up to the `WHERE` of a select from it. The name is
/// private, so that nothing else of the statement can see it. With `typed` its columns compare like those of the
/// stored table; submitted values compare as they came (contract 4.12).
pub(super) fn row_statement(row: &Record, typed: bool, sql: &mut Sql) {
    let collection = row.collection();
    sql.push("WITH ").ident(ROW_ALIAS).push("(");
    for (i, field) in collection.fields.iter().enumerate() {
        if i > 0 {
            sql.push(", ");
        }
        sql.ident(&field.name);
    }
    sql.push(") AS (SELECT ");
    for (i, (field, cell)) in collection.fields.iter().zip(row.cells()).enumerate() {
        if i > 0 {
            sql.push(", ");
        }
        let kind = match (typed, &field.kind) {
            (true, FieldKind::Number(_) | FieldKind::Bool) => " AS NUMERIC)",
            (true, kind) if affinity_of(collection, kind) == Affinity::Text => " AS TEXT)",
            // A cast would turn JSON text into a number.
            (true | false, _) => {
                sql.arg(cell.clone());
                continue;
            }
        };
        sql.push("CAST(").arg(cell.clone()).push(kind);
    }
    sql.push(") SELECT 1 FROM ")
        .ident(ROW_ALIAS)
        .push(" WHERE ");
}

/// A joined row that may be named at the present place.
#[derive(Clone, Copy)]
struct Alias {
    number: u64,
    /// Whether its columns are those of a row for sure, not NULL for want of one.
    present: bool,
}

type Scope = Vec<Option<Alias>>;

/// Writes expressions over one root row.
pub(super) struct Writer<'a> {
    root: &'a str,
    /// Whether many rows are judged, so that sets computed once pay.
    scan: bool,
    call: &'a Call,
    joins: Vec<Join>,
    next_alias: u64,
    sql: &'a mut Sql,
}

impl<'a> Writer<'a> {
    /// Over the row that `root` names; `scan` when many rows will be judged.
    pub(super) fn new(
        root: &'a str,
        scan: bool,
        call: &'a Call,
        joins: Vec<Join>,
        sql: &'a mut Sql,
    ) -> Self {
        Self {
            root,
            scan,
            call,
            joins,
            next_alias: 0,
            sql,
        }
    }

    /// Appends the whole expression.
    pub(super) fn write(&mut self, plan: &Plan) {
        let scope = vec![None; self.joins.len()];
        self.node(plan, &scope);
    }

    /// Depth is bounded by comparisons and joins.
    fn node(&mut self, plan: &Plan, scope: &Scope) {
        match plan {
            Plan::Known(known) => {
                self.sql.push(if *known { "1" } else { "0" });
            }
            Plan::All(parts) => {
                let parts: Vec<&Plan> = parts.iter().collect();
                self.all(&parts, scope);
            }
            Plan::Any(parts) => {
                self.sql.push("(");
                for (i, part) in parts.iter().enumerate() {
                    if i > 0 {
                        self.sql.push(" OR ");
                    }
                    self.node(part, scope);
                }
                self.sql.push(")");
            }
            Plan::Leaf(leaf) => self.leaf(leaf, scope),
        }
    }

    /// A conjunction: parts that share joined rows of many are searched together.
    fn all(&mut self, parts: &[&Plan], scope: &Scope) {
        let groups = self.connected(parts, scope);
        if parts.is_empty() {
            self.sql.push("1");
            return;
        }
        self.sql.push("(");
        for (i, group) in groups.iter().enumerate() {
            if i > 0 {
                self.sql.push(" AND ");
            }
            match group.as_slice() {
                [only] => self.node(only, scope),
                many => {
                    let shared = self.first_shared(many, scope);
                    match shared {
                        Some(join) => self.introduce(join, many, scope),
                        None => {
                            for (i, part) in many.iter().enumerate() {
                                if i > 0 {
                                    self.sql.push(" AND ");
                                }
                                self.node(part, scope);
                            }
                        }
                    }
                }
            }
        }
        self.sql.push(")");
    }

    /// The joined rows of many that `part` reads and that are not named yet.
    fn open_joins(&self, part: &Plan, scope: &Scope) -> Vec<JoinId> {
        let mut open = Vec::new();
        part.for_each_join(&self.joins, &mut |join| {
            if scope.get(join).copied().flatten().is_none()
                && plan::is_many(&self.joins, Some(join))
                && !open.contains(&join)
            {
                open.push(join);
            }
        });
        open
    }

    fn connected<'p>(&self, parts: &[&'p Plan], scope: &Scope) -> Vec<Vec<&'p Plan>> {
        let mut groups: Vec<(Vec<JoinId>, Vec<&Plan>)> = Vec::new();
        for &part in parts {
            let mut joins = self.open_joins(part, scope);
            let mut members = vec![part];
            groups.retain_mut(|(known, others)| {
                if !known.iter().any(|join| joins.contains(join)) {
                    return true;
                }
                joins.append(known);
                others.append(&mut members);
                members = std::mem::take(others);
                false
            });
            groups.push((joins, members));
        }
        groups.into_iter().map(|(_, members)| members).collect()
    }

    /// The outermost joined row of many that two of `parts` share, or what it hangs on.
    fn first_shared(&self, parts: &[&Plan], scope: &Scope) -> Option<JoinId> {
        let mut seen: Vec<JoinId> = Vec::new();
        let mut shared: Option<JoinId> = None;
        for part in parts {
            let open = self.open_joins(part, scope);
            for join in open {
                if seen.contains(&join) {
                    shared = Some(shared.map_or(join, |known| known.min(join)));
                } else {
                    seen.push(join);
                }
            }
        }
        let mut top = shared?;
        while let Some(parent) = self.joins[top].parent
            && scope.get(parent).copied().flatten().is_none()
        {
            top = parent;
        }
        Some(top)
    }

    fn leaf(&mut self, leaf: &Leaf, scope: &Scope) {
        let mut own = Vec::new();
        leaf.for_each_own_join(&self.joins, &mut |join| own.push(join));
        let shared = own
            .iter()
            .any(|&join| scope.get(join).copied().flatten().is_some());
        let outermost = own.iter().copied().min();
        let by_violation = leaf.all
            || outermost.is_some_and(|join| {
                !leaf.violation
                    && !own.iter().any(|&j| self.joins[j].many)
                    && !leaf.rejects_null(&self.joins, join)
            });
        if own.is_empty() || leaf.violation || !by_violation {
            self.exists(leaf, scope);
            return;
        }
        let needs_witness = shared || !leaf.is_two_valued();
        if needs_witness && !leaf.all {
            self.exists(leaf, scope);
            return;
        }
        if needs_witness {
            self.sql.push("(");
            self.exists(leaf, scope);
            self.sql.push(" AND ");
        }
        let violation = leaf.violation(&mut self.joins);
        let mut fresh = scope.clone();
        for join in own {
            if let Some(known) = fresh.get_mut(join) {
                *known = None;
            }
        }
        self.sql.push("(");
        self.exists(&violation, &fresh);
        self.sql.push(") IS NOT TRUE");
        if needs_witness {
            self.sql.push(")");
        }
    }

    /// Some combination of joined rows satisfies the comparison of `leaf`.
    fn exists(&mut self, leaf: &Leaf, scope: &Scope) {
        let mut top: Option<JoinId> = None;
        leaf.for_each_join(&self.joins, &mut |join| {
            let named = |id: JoinId| scope.get(id).copied().flatten().is_some();
            if !named(join) && self.joins[join].parent.is_none_or(named) {
                top = Some(top.map_or(join, |known| known.min(join)));
            }
        });
        match top {
            Some(join) => {
                let mut simple = leaf.clone();
                simple.all = false;
                self.introduce_leaf(join, simple, scope);
            }
            None => self.compare(leaf, scope),
        }
    }

    fn introduce_leaf(&mut self, join: JoinId, leaf: Leaf, scope: &Scope) {
        let present = leaf.rejects_null(&self.joins, join);
        let apart = leaf.is_all_below(&self.joins, join);
        self.search(join, present, apart, scope, &|writer, scope| {
            writer.exists(&leaf, scope);
        });
    }

    fn introduce(&mut self, join: JoinId, parts: &[&Plan], scope: &Scope) {
        let present = parts.iter().any(|p| p.rejects_null(&self.joins, join));
        let apart = parts.iter().all(|p| p.is_all_below(&self.joins, join));
        self.search(join, present, apart, scope, &|writer, scope| {
            writer.all(parts, scope);
        });
    }

    /// `inner` holds for some row of `join`. With `present` only real rows count; `apart` says that `inner` reads
    /// nothing else, so that the set of matching rows can be computed once for all root rows.
    fn search(
        &mut self,
        join: JoinId,
        present: bool,
        apart: bool,
        scope: &Scope,
        inner: &dyn Fn(&mut Self, &Scope),
    ) {
        self.next_alias += 1;
        let number = self.next_alias;
        let mut inside = scope.clone();
        inside.resize(self.joins.len(), None);
        inside[join] = Some(Alias { number, present });
        let kind = self.joins[join].kind.clone();
        let as_set = present && apart && self.scan;
        match &kind {
            JoinKind::One(from @ (From::Column(..) | From::Item(_))) if as_set => {
                self.from_value(from, scope);
                self.sql.push(" IN (SELECT ");
                self.joined_column(number, "id");
                self.sql.push(" FROM ");
                self.table(join, number);
                self.where_inner(&inside, inner);
            }
            JoinKind::Back(from @ From::Column(..), column) if as_set => {
                self.from_value(from, scope);
                self.sql.push(" IN (SELECT ");
                self.joined_column(number, column);
                self.sql.push(" FROM ");
                self.table(join, number);
                self.where_inner(&inside, inner);
            }
            JoinKind::BackMany(from @ From::Column(..), column) if as_set => {
                self.from_value(from, scope);
                self.sql.push(" IN (SELECT ");
                self.item_column(number);
                self.sql.push(" FROM ");
                self.table(join, number);
                self.sql.push(" JOIN ");
                self.items(number, |writer| writer.joined_column(number, column));
                self.where_inner(&inside, inner);
            }
            kind => {
                self.sql.push("EXISTS (SELECT 1 FROM ");
                if !present {
                    self.sql.push("(SELECT 1) LEFT JOIN ");
                }
                self.tables(join, number, kind, scope);
                self.sql.push(if present { " WHERE " } else { " ON " });
                self.condition(number, kind, scope);
                self.sql.push(if present { " AND " } else { " WHERE " });
                inner(self, &inside);
                self.sql.push(")");
            }
        }
    }

    fn where_inner(&mut self, inside: &Scope, inner: &dyn Fn(&mut Self, &Scope)) {
        self.sql.push(" WHERE ");
        inner(self, inside);
        self.sql.push(")");
    }

    /// The tables of a join, after FROM or LEFT JOIN.
    fn tables(&mut self, join: JoinId, number: u64, kind: &JoinKind, scope: &Scope) {
        match kind {
            JoinKind::One(_) | JoinKind::Back(..) | JoinKind::BackMany(..) | JoinKind::Every => {
                self.table(join, number)
            }
            JoinKind::Each(from) => self.items(number, |writer| writer.from_value(from, scope)),
        }
    }

    /// What makes a row one of the join's.
    fn condition(&mut self, number: u64, kind: &JoinKind, scope: &Scope) {
        match kind {
            JoinKind::One(from) => {
                self.joined_column(number, "id");
                self.sql.push(" = ");
                self.from_value(from, scope);
            }
            JoinKind::Back(from, column) => {
                self.joined_column(number, column);
                self.sql.push(" = ");
                self.from_value(from, scope);
            }
            JoinKind::BackMany(from, column) => {
                self.from_value(from, scope);
                self.sql.push(" IN (SELECT ");
                self.item_column(number);
                self.sql.push(" FROM ");
                self.items(number, |writer| writer.joined_column(number, column));
                self.sql.push(")");
            }
            JoinKind::Every | JoinKind::Each(_) => {
                self.sql.push("1");
            }
        }
    }

    fn table(&mut self, join: JoinId, number: u64) {
        if let Some(target) = &self.joins[join].target {
            self.sql.ident(&target.name).push(" AS ");
        }
        self.sql.push("\"__j").number(number).push("\"");
    }

    fn joined_column(&mut self, number: u64, column: &str) {
        self.sql
            .push("\"__j")
            .number(number)
            .push("\".")
            .ident(column);
    }

    /// `json_each` over a list; text that is no list counts as its only item.
    fn items(&mut self, number: u64, list: impl Fn(&mut Self)) {
        self.sql.push("json_each(CASE WHEN substr(");
        list(self);
        self.sql.push(", 1, 1) = '[' AND json_valid(");
        list(self);
        self.sql.push(") THEN ");
        list(self);
        self.sql.push(" ELSE json_array(");
        list(self);
        self.sql.push(") END) AS \"__e").number(number).push("\"");
    }

    fn item_column(&mut self, number: u64) {
        self.sql.push("\"__e").number(number).push("\".\"value\"");
    }

    fn from_value(&mut self, from: &From, scope: &Scope) {
        match from {
            From::Column(None, column) => {
                self.sql.column(self.root, column);
            }
            From::Column(Some(join), column) => match scope.get(*join).copied().flatten() {
                Some(alias) => self.joined_column(alias.number, column),
                None => {
                    self.sql.push("NULL");
                }
            },
            From::Item(join) => match scope.get(*join).copied().flatten() {
                Some(alias) => self.item_column(alias.number),
                None => {
                    self.sql.push("NULL");
                }
            },
            From::Given(given) => {
                let value = given.known(self.call).value;
                self.sql.arg(value);
            }
        }
    }
}

/// Comparisons of one leaf, once all joined rows have names.
impl Writer<'_> {
    fn compare(&mut self, leaf: &Leaf, scope: &Scope) {
        // A hidden address neither satisfies nor violates anything.
        let email = leaf.guarded_email();
        if email.is_some() {
            self.sql.push("(");
        }
        if leaf.violation {
            self.sql.push("NOT (");
        }
        match leaf.op {
            Op::Eq | Op::Ne => self.equality(leaf, scope),
            Op::Lt => self.plain(leaf, " < ", scope),
            Op::Le => self.plain(leaf, " <= ", scope),
            Op::Gt => self.plain(leaf, " > ", scope),
            Op::Ge => self.plain(leaf, " >= ", scope),
            Op::Like => self.like(leaf, " LIKE ", scope),
            Op::NotLike => self.like(leaf, " NOT LIKE ", scope),
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

    fn plain(&mut self, leaf: &Leaf, sign: &'static str, scope: &Scope) {
        self.side(&leaf.left, scope);
        self.sql.push(sign);
        self.side(&leaf.right, scope);
    }

    fn like(&mut self, leaf: &Leaf, sign: &'static str, scope: &Scope) {
        self.side(&leaf.left, scope);
        self.sql.push(sign);
        match &leaf.right {
            Side::Known(known) => {
                self.sql.arg(eval::pattern(known));
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

    fn equality(&mut self, leaf: &Leaf, scope: &Scope) {
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

    fn both_columns(&mut self, leaf: &Leaf, equal: bool, scope: &Scope) {
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

    fn may_be_null(&self, side: &Side, scope: &Scope) -> bool {
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

    fn side(&mut self, side: &Side, scope: &Scope) {
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
    fn known(&mut self, known: &Known) {
        let cast = match known.affinity {
            Affinity::None => {
                self.sql.arg(known.value.clone());
                return;
            }
            Affinity::Text => " AS TEXT)",
            Affinity::Numeric => " AS NUMERIC)",
        };
        self.sql.push("CAST(").arg(known.value.clone()).push(cast);
    }

    /// A column as it is compared.
    fn column(&mut self, column: &Column, scope: &Scope) {
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

    fn length(&mut self, column: &Column, scope: &Scope) {
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

    fn bare(&mut self, join: Option<JoinId>, name: &str, scope: &Scope) {
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

    fn visibility(&mut self, email: &Column, scope: &Scope) {
        self.bare(email.join, "emailVisibility", scope);
        self.sql.push(" = 1");
    }

    /// The sort key of `column`: of joined rows the first one's; a guarded e-mail counts as empty where it is hidden.
    pub(super) fn sort_key(&mut self, column: &Column) {
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
            self.column(column, &scope);
            self.sql.push(" ELSE '' END");
        } else {
            self.column(column, &scope);
        }
        if chain.is_empty() {
            return;
        }
        self.sql.push(" FROM (SELECT 1)");
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

fn same_affinity(side: &Side, known: &Known) -> bool {
    match side {
        Side::Column(column) => column.compared_affinity() == known.affinity,
        Side::Known(_) | Side::Strftime(..) | Side::Distance(_) | Side::Changed(..) => {
            known.affinity == Affinity::None
        }
    }
}
