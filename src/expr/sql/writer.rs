//! Which joined rows are searched together, and how: by sets computed once, or by probing.

use crate::call::Call;
use crate::expr::bound::{From, Join, JoinId, JoinKind};
use crate::expr::leaf::Leaf;
use crate::expr::plan::{self, Plan};
use crate::kit::sql::{Dialect, Sql};

/// A joined row that may be named at the present place.
#[derive(Clone, Copy)]
pub(super) struct Alias {
    pub(super) number: u64,
    /// Whether its columns are those of a row for sure, not NULL for want of one.
    pub(super) present: bool,
}

/// The joined rows that have names, by their ids.
pub(super) type Scope = Vec<Option<Alias>>;

/// Writes expressions over one root row.
pub(in crate::expr) struct Writer<'a> {
    pub(super) root: &'a str,
    /// Whether many rows are judged, so that sets computed once pay.
    pub(super) scan: bool,
    pub(super) call: &'a Call,
    pub(super) joins: Vec<Join>,
    /// Whether the row under judgement was submitted, so that its values have no column's affinity.
    pub(super) draft: bool,
    pub(super) next_alias: u64,
    pub(super) sql: &'a mut Sql,
}

impl<'a> Writer<'a> {
    /// Over the row that `root` names; `scan` when many rows will be judged.
    pub(in crate::expr) fn new(
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
            draft: false,
            next_alias: 0,
            sql,
        }
    }

    /// The same, over a row that was submitted.
    pub(in crate::expr) fn of_draft(mut self) -> Self {
        self.draft = true;
        self
    }

    /// Appends the whole expression.
    pub(in crate::expr) fn write(&mut self, plan: &Plan) {
        let scope = vec![None; self.joins.len()];
        self.node(plan, &scope);
    }

    /// Depth is bounded by comparisons and joins.
    pub(super) fn node(&mut self, plan: &Plan, scope: &Scope) {
        match plan {
            Plan::Known(known) => {
                self.sql.push_either(
                    if *known { "1" } else { "0" },
                    if *known { "TRUE" } else { "FALSE" },
                );
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
    pub(super) fn all(&mut self, parts: &[&Plan], scope: &Scope) {
        let groups = self.connected(parts, scope);
        if parts.is_empty() {
            self.sql.push_either("1", "TRUE");
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
    pub(super) fn open_joins(&self, part: &Plan, scope: &Scope) -> Vec<JoinId> {
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

    pub(super) fn connected<'p>(&self, parts: &[&'p Plan], scope: &Scope) -> Vec<Vec<&'p Plan>> {
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
    pub(super) fn first_shared(&self, parts: &[&Plan], scope: &Scope) -> Option<JoinId> {
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

    pub(super) fn leaf(&mut self, leaf: &Leaf, scope: &Scope) {
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
        if own.is_empty() || leaf.violation || leaf.within || !by_violation {
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
    pub(super) fn exists(&mut self, leaf: &Leaf, scope: &Scope) {
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
                self.introduce_leaf(join, &simple, scope);
            }
            None if leaf.within => self.unviolated(leaf, scope),
            None => self.compare(leaf, scope),
        }
    }

    /// The present rows satisfy the comparison of `leaf`, and none beside them violates it.
    fn unviolated(&mut self, leaf: &Leaf, scope: &Scope) {
        self.sql.push("(");
        self.compare(leaf, scope);
        let violation = leaf.violation(&mut self.joins);
        self.sql.push(" AND (");
        self.exists(&violation, scope);
        self.sql.push(") IS NOT TRUE)");
    }

    pub(super) fn introduce_leaf(&mut self, join: JoinId, leaf: &Leaf, scope: &Scope) {
        let present = leaf.rejects_null(&self.joins, join);
        let apart = leaf.is_all_below(&self.joins, join);
        self.search(join, present, apart, scope, &|writer, scope| {
            writer.exists(leaf, scope);
        });
    }

    pub(super) fn introduce(&mut self, join: JoinId, parts: &[&Plan], scope: &Scope) {
        let present = parts.iter().any(|p| p.rejects_null(&self.joins, join));
        let apart = parts.iter().all(|p| p.is_all_below(&self.joins, join));
        self.search(join, present, apart, scope, &|writer, scope| {
            writer.all(parts, scope);
        });
    }

    /// `inner` holds for some row of `join`. With `present` only real rows count; `apart` says that `inner` reads
    /// nothing else, so that the set of matching rows can be computed once for all root rows.
    pub(super) fn search(
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
                self.start(from, scope);
                self.sql.push(" IN (SELECT ");
                self.joined_column(number, "id");
                self.sql.push(" FROM ");
                self.table(join, number);
                self.where_inner(&inside, inner);
            }
            JoinKind::Back(from @ From::Column(..), column) if as_set => {
                self.start(from, scope);
                self.sql.push(" IN (SELECT ");
                self.joined_column(number, column);
                self.sql.push(" FROM ");
                self.table(join, number);
                self.where_inner(&inside, inner);
            }
            JoinKind::BackMany(from @ From::Column(..), column) if as_set => {
                self.start(from, scope);
                self.sql.push(" IN (SELECT ");
                self.item_id(number);
                self.sql.push(" FROM ");
                self.table(join, number);
                self.sql.push_either(" JOIN ", " CROSS JOIN ");
                self.items(number, |writer| writer.joined_column(number, column));
                self.where_inner(&inside, inner);
            }
            kind => {
                self.sql.push("EXISTS (SELECT 1 FROM ");
                if !present {
                    self.sql
                        .push_either("(SELECT 1) LEFT JOIN ", "(SELECT 1) AS \"__o\" LEFT JOIN ");
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

    pub(super) fn where_inner(&mut self, inside: &Scope, inner: &dyn Fn(&mut Self, &Scope)) {
        self.sql.push(" WHERE ");
        inner(self, inside);
        self.sql.push(")");
    }

    /// The tables of a join, after FROM or LEFT JOIN.
    pub(super) fn tables(&mut self, join: JoinId, number: u64, kind: &JoinKind, scope: &Scope) {
        match kind {
            JoinKind::One(_) | JoinKind::Back(..) | JoinKind::BackMany(..) | JoinKind::Every => {
                self.table(join, number)
            }
            JoinKind::Each(from) => self.items(number, |writer| writer.start(from, scope)),
        }
    }

    /// What makes a row one of the join's.
    pub(super) fn condition(&mut self, number: u64, kind: &JoinKind, scope: &Scope) {
        match kind {
            JoinKind::One(from) => {
                self.joined_column(number, "id");
                self.sql.push(" = ");
                self.start(from, scope);
            }
            JoinKind::Back(from, column) => {
                self.joined_column(number, column);
                self.sql.push(" = ");
                self.start(from, scope);
            }
            JoinKind::BackMany(from, column) => {
                self.start(from, scope);
                self.sql.push(" IN (SELECT ");
                self.item_id(number);
                self.sql.push(" FROM ");
                self.items(number, |writer| writer.joined_column(number, column));
                self.sql.push(")");
            }
            JoinKind::Every | JoinKind::Each(_) => {
                self.sql.push_either("1", "TRUE");
            }
        }
    }

    pub(super) fn table(&mut self, join: JoinId, number: u64) {
        if let Some(target) = &self.joins[join].target {
            self.sql.ident(&target.name).push(" AS ");
        }
        self.sql.push("\"__j").number(number).push("\"");
    }

    pub(super) fn joined_column(&mut self, number: u64, column: &str) {
        self.sql
            .push("\"__j")
            .number(number)
            .push("\".")
            .ident(column);
    }

    /// `json_each` over a list; text that is no list counts as its only item.
    pub(super) fn items(&mut self, number: u64, list: impl Fn(&mut Self)) {
        if self.sql.dialect() == Dialect::Postgres {
            self.sql.push("burrow.items(");
            list(self);
            self.sql.push(") AS \"__e").number(number).push("\"");
            return;
        }
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

    pub(super) fn item_column(&mut self, number: u64) {
        self.sql.push("\"__e").number(number).push("\".\"value\"");
    }

    /// An item as the id of a record: in PostgreSQL its text, NULL for what is none.
    fn item_id(&mut self, number: u64) {
        match self.sql.dialect() {
            Dialect::Sqlite => self.item_column(number),
            Dialect::Postgres => {
                self.sql.push("\"__e").number(number).push("\".\"id\"");
            }
        }
    }

    pub(super) fn start(&mut self, from: &From, scope: &Scope) {
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
                Some(alias) => self.item_id(alias.number),
                None => {
                    self.sql.push("NULL");
                }
            },
            From::Given(given) => {
                let value = given.known(self.call).value;
                self.sql.arg(value).push_either("", "::text");
            }
        }
    }
}
