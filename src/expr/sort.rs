//! `sort`: a few identifiers with directions (contract 4.11).

use std::cmp::Ordering;
use std::sync::Arc;

use super::bind;
use super::bound::{Bound, Column, Node, Operand};
use super::catalog::{BindError, Catalog, Filter, Guard, Root};
use super::compare;
use super::parse;
use super::plan;
use super::sql::{Kind, Writer, column_kind};
use crate::call::Call;
use crate::kit::limits::{SORT_ENTRIES_MAX, SORT_ENTRY_BYTES_MAX};
use crate::kit::sql::{Dialect, Sql};
use crate::kit::value::{Columns, Value};
use crate::schema::{Collection, CollectionId, Schema};

/// A bound `sort`. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Sort {
    keys: Arc<[SortKey]>,
    restriction: Option<Filter>,
}

/// One entry of a `sort`.
#[derive(Clone, Debug)]
pub struct SortKey {
    by: By,
    descending: bool,
}

#[derive(Clone, Debug)]
enum By {
    Random,
    Rowid,
    Column(Column, Arc<Bound>),
}

/// The last tie break: the order in which records were made.
const ROWID: SortKey = SortKey {
    by: By::Rowid,
    descending: false,
};

impl Sort {
    pub(super) fn bind(
        schema: &Schema,
        root: &Arc<Collection>,
        text: &str,
        guard: Guard,
    ) -> Result<Self, BindError> {
        let entries: Vec<&str> = text.split(',').collect();
        if entries.len() > SORT_ENTRIES_MAX {
            return Err(bind::error("too many sort fields"));
        }
        let mut keys = Vec::with_capacity(entries.len());
        let mut guards = Vec::new();
        for entry in entries {
            if entry.len() > SORT_ENTRY_BYTES_MAX {
                return Err(bind::error("too long sort field"));
            }
            let entry = entry.trim();
            let (descending, name) = match entry.strip_prefix('-') {
                Some(name) => (true, name),
                None => (false, entry.strip_prefix('+').unwrap_or(entry)),
            };
            let by = match name {
                "@random" => By::Random,
                "@rowid" if root.is_view() => {
                    return Err(bind::error("a view has no insertion order"));
                }
                "@rowid" => By::Rowid,
                name => {
                    let name = parse::parse_identifier(name)?;
                    let (operand, bound) = bind::bind_identifier(schema, root, &name, guard)?;
                    let Operand::Column(column) = operand else {
                        return Err(bind::error(format!("cannot sort by {name:?}")));
                    };
                    if !matches!(&bound.node, Node::All(parts) if parts.is_empty()) {
                        guards.push(Arc::new(bound.clone()));
                    }
                    By::Column(column, Arc::new(bound))
                }
            };
            keys.push(SortKey { by, descending });
        }
        let restriction =
            (!guards.is_empty()).then(|| Filter::of_bound(root, plan::merge(&guards), guard));
        Ok(Self {
            keys: keys.into(),
            restriction,
        })
    }

    /// What must hold of every listed row beside its filter: the list rules of collections that the sort joins
    /// (contract 4.10).
    #[must_use]
    pub fn restriction(&self) -> Option<&Filter> {
        self.restriction.as_ref()
    }

    /// The order in which records were made.
    #[must_use]
    pub fn rowid() -> Self {
        Self {
            keys: Arc::new([ROWID]),
            restriction: None,
        }
    }

    /// The same, ties in the order in which records were made.
    #[must_use]
    pub fn then_rowid(&self) -> Self {
        Self {
            keys: self.keys.iter().cloned().chain([ROWID]).collect(),
            restriction: self.restriction.clone(),
        }
    }

    /// Whether rows come as chance will have it.
    #[must_use]
    pub fn is_random(&self) -> bool {
        self.keys.iter().any(|key| matches!(key.by, By::Random))
    }

    /// Whether it follows relations of the caller's own record.
    #[must_use]
    pub fn depends_on_caller(&self) -> bool {
        self.bounds().any(|bound| bound.needs_actor)
    }

    /// Collections whose rows it reads besides the listed ones.
    #[must_use]
    pub fn footprint(&self) -> Vec<CollectionId> {
        let read = self.bounds().flat_map(|bound| &bound.footprint);
        read.cloned().collect()
    }

    fn bounds(&self) -> impl Iterator<Item = &Bound> {
        self.keys.iter().filter_map(|key| match &key.by {
            By::Random | By::Rowid => None,
            By::Column(_, bound) => Some(&**bound),
        })
    }

    /// The keys of a row, where the row alone has them.
    #[must_use]
    pub fn keys_of(&self, row: &dyn Columns, rowid: i64) -> Option<Vec<Value>> {
        let key = |key: &SortKey| match &key.by {
            By::Random => None,
            By::Rowid => Some(Value::Int(rowid)),
            By::Column(..) => key.field_index().map(|at| row.cell(at).to_value()),
        };
        self.keys.iter().map(key).collect()
    }

    /// The order of two rows by their keys, as the database has it.
    #[must_use]
    pub fn compare(&self, left: &[Value], right: &[Value]) -> Ordering {
        let pairs = self.keys.iter().zip(left.iter().zip(right));
        pairs
            .map(|(key, (left, right))| {
                let order = compare::order_classes(left, right);
                if key.descending {
                    order.reverse()
                } else {
                    order
                }
            })
            .find(|order| order.is_ne())
            .unwrap_or(Ordering::Equal)
    }

    /// Appends the terms of an ORDER BY clause, without the keyword.
    pub fn write_sql(&self, catalog: &Catalog, root: Root<'_>, call: &Call, sql: &mut Sql) {
        for (i, key) in self.keys.iter().enumerate() {
            if i > 0 {
                sql.push(", ");
            }
            key.write_term(key.descending, catalog, root, call, sql);
        }
    }

    /// The keys by which a page can go on after a given row, or `None` when there is no such order: random, or by
    /// one of many joined rows. The caller adds the id as the last tie break.
    #[must_use]
    pub fn keyset(&self) -> Option<&[SortKey]> {
        let steady = |key: &SortKey| match &key.by {
            By::Random => false,
            By::Rowid => true,
            By::Column(column, bound) => !plan::is_many(&bound.joins, column.join),
        };
        self.keys.iter().all(steady).then_some(&*self.keys)
    }
}

impl SortKey {
    /// Whether larger values come first.
    #[must_use]
    pub fn is_descending(&self) -> bool {
        self.descending
    }

    /// Whether the key can be NULL (which sorts before everything).
    #[must_use]
    pub fn is_nullable(&self) -> bool {
        match &self.by {
            By::Random | By::Rowid => false,
            By::Column(column, _) => column.nullable || column.join.is_some(),
        }
    }

    /// The position of the field that the key is, when it is a plain column of the row.
    #[must_use]
    pub fn field_index(&self) -> Option<usize> {
        match &self.by {
            By::Column(column, _) if column.is_plain_of_row() => Some(column.index),
            By::Random | By::Rowid | By::Column(..) => None,
        }
    }

    /// Appends the key's term of an ORDER BY clause: with a direction, and NULL before everything, as SQLite has it.
    pub fn write_term(
        &self,
        descending: bool,
        catalog: &Catalog,
        root: Root<'_>,
        call: &Call,
        sql: &mut Sql,
    ) {
        self.write_sql(catalog, root, call, sql);
        if descending {
            sql.push(" DESC");
        }
        if sql.dialect() == Dialect::Postgres && self.is_nullable() {
            sql.push(if descending {
                " NULLS LAST"
            } else {
                " NULLS FIRST"
            });
        }
    }

    /// Appends the key's SQL expression, without its direction.
    pub fn write_sql(&self, _catalog: &Catalog, root: Root<'_>, call: &Call, sql: &mut Sql) {
        match &self.by {
            By::Random => {
                sql.push("RANDOM()");
            }
            By::Rowid => {
                sql.column(root.alias(), "_rowid_");
            }
            By::Column(column, bound) => {
                let joins = bound.joins.clone();
                Writer::new(root.alias(), root.is_scan(), call, joins, sql).sort_key(column);
                // Texts of columns are declared so; those of functions would come in the order of the database.
                let text = column_kind(column) != Kind::Number;
                if sql.dialect() == Dialect::Postgres && text {
                    sql.push(" COLLATE \"C\"");
                }
            }
        }
    }
}
