//! Reading records: one description of a query for list, view, expand and realtime, and its SQL text.

use std::sync::Arc;

use compact_str::CompactString;

use crate::call::Call;
use crate::expr::{Catalog, Filter, Root, Sort, SortKey};
use crate::kit::limits::PROBED_ROWS_MAX;
use crate::kit::sql::{Dialect, Sql};
use crate::kit::value::Value;
use crate::schema::{Collection, CollectionId, Record};
use crate::store::{ReadTx, StoreError};

/// The name under which a query's own row is known to filters and sorts.
const ROW: &str = "_r";

/// Which rows of a page.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Page {
    /// Rows to leave out.
    pub offset: u64,
    /// Most rows to give.
    pub limit: u64,
}

/// A query over one collection's rows; cells come in the order of its fields.
#[derive(Clone, Debug)]
pub struct Select<'a> {
    /// Collections and compiled rules.
    pub catalog: &'a Catalog,
    /// Who asks.
    pub call: &'a Call,
    /// Whose rows.
    pub collection: &'a Arc<Collection>,
    /// Which rows; all conditions hold together.
    pub filter: Option<&'a Filter>,
    /// Only these ids; `Some(&[])` is no row.
    pub ids: Option<&'a [&'a str]>,
    /// In which order; none is the database's.
    pub sort: Option<&'a Sort>,
    /// How many.
    pub page: Option<Page>,
    /// Go on after a row; the rows then come in this order and each brings the cells of the keys after its own.
    pub after: Option<&'a After<'a>>,
}

/// A place between two rows of an ordered list: the keys of the sort, then the id.
#[derive(Clone, Debug)]
pub struct After<'a> {
    /// The keys of the sort.
    pub keys: &'a [SortKey],
    /// Their cells in the row beside the place and that row's id; `None` is before the first row.
    pub row: Option<(Vec<Value>, CompactString)>,
    /// Go from the place towards the beginning: the rows come in the opposite order.
    pub backward: bool,
}

impl After<'_> {
    /// Whether rows with a larger key come first.
    fn falls(&self, key: &SortKey) -> bool {
        key.is_descending() != self.backward
    }
}

impl<'a> Select<'a> {
    /// All rows of `collection`, to be narrowed by setting the other members.
    #[must_use]
    pub fn all(catalog: &'a Catalog, call: &'a Call, collection: &'a Arc<Collection>) -> Self {
        Self {
            catalog,
            call,
            collection,
            filter: None,
            ids: None,
            sort: None,
            page: None,
            after: None,
        }
    }

    /// The statement that gives the rows. Its text depends on the shape of the query only, never on values, so that
    /// the prepared statement is found again.
    pub(crate) fn rows_sql(&self, dialect: Dialect) -> Sql {
        let mut sql = Sql::new(dialect);
        sql.push("SELECT ");
        push_columns(self.collection, &mut sql);
        for key in self.after.iter().flat_map(|after| after.keys) {
            sql.push(", ");
            key.write_sql(self.catalog, Root::Table(ROW), self.call, &mut sql);
        }
        self.push_from(&mut sql);
        if let Some(after) = self.after {
            self.push_order(after, &mut sql);
        } else if let Some(sort) = self.sort {
            sql.push(" ORDER BY ");
            sort.write_sql(self.catalog, Root::Table(ROW), self.call, &mut sql);
        }
        if let Some(page) = self.page {
            sql.push(" LIMIT ").arg(bounded(page.limit));
            if page.offset > 0 {
                sql.push(" OFFSET ").arg(bounded(page.offset));
            }
        }
        sql
    }

    /// The statement that gives the ids of the rows, in any order.
    pub(crate) fn ids_sql(&self, dialect: Dialect) -> Sql {
        let mut sql = Sql::new(dialect);
        sql.push("SELECT ").column(ROW, "id");
        self.push_from(&mut sql);
        if let Some(page) = self.page {
            sql.push(" LIMIT ").arg(bounded(page.limit));
        }
        sql
    }

    /// The statement that counts the rows, the page aside.
    pub(crate) fn count_sql(&self, dialect: Dialect) -> Sql {
        let mut sql = Sql::new(dialect);
        sql.push("SELECT count(*)");
        self.push_from(&mut sql);
        sql
    }

    /// As [`Select::count_sql`], but it stops counting at `most`.
    pub(crate) fn count_up_to_sql(&self, dialect: Dialect, most: u64) -> Sql {
        let mut sql = Sql::new(dialect);
        sql.push("SELECT count(*) FROM (SELECT 1");
        self.push_from(&mut sql);
        sql.push(" LIMIT ").arg(bounded(most));
        sql.push_either(")", ") AS \"__n\"");
        sql
    }

    /// How filters look at the rows: a few that are known by id are not worth computing sets for.
    fn root(&self) -> Root<'static> {
        match self.ids {
            Some(ids) if ids.len() <= PROBED_ROWS_MAX => Root::Row(ROW),
            Some(_) | None => Root::Table(ROW),
        }
    }

    fn push_from(&self, sql: &mut Sql) {
        sql.push(" FROM ")
            .ident(&self.collection.name)
            .push(" AS ")
            .ident(ROW);
        let mut glue = " WHERE ";
        if let Some(ids) = self.ids {
            sql.push(glue).column(ROW, "id");
            push_ids(ids, sql);
            glue = " AND ";
        }
        if let Some(filter) = self.filter {
            sql.push(glue).push("(");
            filter.write_sql(self.catalog, self.root(), self.call, sql);
            sql.push(")");
            glue = " AND ";
        }
        if let Some(after) = self.after
            && let Some((values, id)) = &after.row
        {
            sql.push(glue);
            self.push_after(after, values, id, sql);
        }
    }

    fn push_order(&self, after: &After<'_>, sql: &mut Sql) {
        let root = Root::Table(ROW);
        sql.push(" ORDER BY ");
        for key in after.keys {
            key.write_term(after.falls(key), self.catalog, root, self.call, sql);
            sql.push(", ");
        }
        sql.column(ROW, "id");
        if after.backward {
            sql.push(" DESC");
        }
    }

    /// `k1 past v1 OR (k1 IS v1 AND (k2 past v2 OR (... id > last)))`. NULL comes before everything, so that nothing is
    /// past it downwards and everything else is upwards.
    fn push_after(&self, after: &After<'_>, values: &[Value], id: &str, sql: &mut Sql) {
        for (key, value) in after.keys.iter().zip(values) {
            let write = |sql: &mut Sql| {
                key.write_sql(self.catalog, Root::Table(ROW), self.call, sql);
            };
            sql.push("(");
            match (value.is_null(), after.falls(key)) {
                (true, true) => {
                    sql.push_either("0", "FALSE");
                }
                (true, false) => {
                    write(sql);
                    sql.push(" IS NOT NULL");
                }
                (false, false) => {
                    write(sql);
                    sql.push(" > ").arg(value.clone());
                }
                (false, true) => {
                    write(sql);
                    sql.push(" < ").arg(value.clone());
                    if key.is_nullable() {
                        sql.push(" OR ");
                        write(sql);
                        sql.push(" IS NULL");
                    }
                }
            }
            sql.push(" OR (");
            write(sql);
            sql.push_either(" IS ", " IS NOT DISTINCT FROM ")
                .arg(value.clone())
                .push(" AND ");
        }
        sql.column(ROW, "id")
            .push(if after.backward { " < " } else { " > " })
            .arg(id);
        for _ in after.keys {
            sql.push("))");
        }
    }
}

/// The rows of a collection whose relation field holds one of some ids: what a deletion must look after, and what the
/// `expand` of a back-relation shows.
#[derive(Clone, Debug)]
pub struct Referring<'a> {
    /// Collections and compiled rules.
    pub catalog: &'a Catalog,
    /// Who asks.
    pub call: &'a Call,
    /// Whose rows.
    pub collection: &'a Arc<Collection>,
    /// Position of the relation field.
    pub field: usize,
    /// The ids pointed to.
    pub ids: &'a [&'a str],
    /// What else must hold.
    pub filter: Option<&'a Filter>,
    /// Most rows to give.
    pub limit: usize,
}

impl Referring<'_> {
    /// The statement that gives the rows.
    pub(crate) fn rows_sql(&self, dialect: Dialect) -> Sql {
        let mut sql = select_all(dialect, self.collection);
        self.push_where(&mut sql);
        sql
    }

    /// The statement that gives the ids of the rows.
    fn ids_sql(&self, dialect: Dialect) -> Sql {
        let mut sql = Sql::new(dialect);
        sql.push("SELECT ").column(ROW, "id").push(" FROM ");
        sql.ident(&self.collection.name).push(" AS ").ident(ROW);
        self.push_where(&mut sql);
        sql
    }

    fn push_where(&self, sql: &mut Sql) {
        sql.push(" WHERE ");
        self.push_refers(sql);
        if let Some(filter) = self.filter {
            sql.push(" AND (");
            filter.write_sql(self.catalog, Root::Row(ROW), self.call, sql);
            sql.push(")");
        }
        sql.push(" LIMIT ").arg(bounded(self.limit as u64));
    }

    fn push_refers(&self, sql: &mut Sql) {
        let field = &self.collection.fields[self.field];
        if field.kind.is_multiple() {
            match sql.dialect() {
                Dialect::Sqlite => sql
                    .push("EXISTS (SELECT 1 FROM json_each(CASE WHEN json_valid(")
                    .column(ROW, &field.name)
                    .push(") THEN ")
                    .column(ROW, &field.name)
                    .push(" ELSE '[]' END) AS \"_e\" WHERE \"_e\".value"),
                Dialect::Postgres => sql
                    .push("EXISTS (SELECT 1 FROM burrow.items(")
                    .column(ROW, &field.name)
                    .push(") AS \"_e\" WHERE \"_e\".\"id\""),
            };
            push_ids(self.ids, sql);
            sql.push(")");
        } else {
            sql.column(ROW, &field.name);
            push_ids(self.ids, sql);
        }
    }
}

impl ReadTx<'_> {
    /// The ids of the rows of a query, in any order.
    ///
    /// # Errors
    /// The store's own.
    pub fn ids(&self, select: &Select<'_>) -> Result<Vec<CompactString>, StoreError> {
        let mut ids = Vec::new();
        self.query_rows(&select.ids_sql(self.dialect()), &mut |row| {
            ids.push(row.cell(0).text_or_empty().into());
        })?;
        Ok(ids)
    }

    /// The ids of the records that refer to others by one field.
    ///
    /// # Errors
    /// The store's own.
    pub fn referring_ids(
        &self,
        referring: &Referring<'_>,
    ) -> Result<Vec<CompactString>, StoreError> {
        let mut ids = Vec::new();
        self.query_rows(&referring.ids_sql(self.dialect()), &mut |row| {
            ids.push(row.cell(0).text_or_empty().into());
        })?;
        Ok(ids)
    }

    /// Whether `filter` holds for a record that is not stored: it stands in for a row of its table, so that the other
    /// rows of the table are seen without it.
    ///
    /// # Errors
    /// The store's own.
    pub fn holds_for(
        &self,
        call: &Call,
        filter: &Filter,
        record: &Record,
    ) -> Result<bool, StoreError> {
        let catalog = self.catalog();
        self.exists(&filter.write_select_for_draft(catalog, call, record, self.dialect()))
    }
}

/// All rows of a collection, open for a WHERE clause over its own columns.
pub(crate) fn select_all(dialect: Dialect, collection: &Collection) -> Sql {
    let mut sql = Sql::new(dialect);
    sql.push("SELECT ");
    push_columns(collection, &mut sql);
    sql.push(" FROM ")
        .ident(&collection.name)
        .push(" AS ")
        .ident(ROW);
    sql
}

/// The statement that gives the rows with some ids.
pub(crate) fn select_ids(dialect: Dialect, collection: &Collection, ids: &[&str]) -> Sql {
    let mut sql = select_all(dialect, collection);
    sql.push(" WHERE ").column(ROW, "id");
    push_ids(ids, &mut sql);
    sql
}

/// The statement that gives the rows whose reference pair names one record of one auth collection.
pub(crate) fn owned_sql(
    dialect: Dialect,
    collection: &Collection,
    owner: &CollectionId,
    record: &str,
) -> Sql {
    let mut sql = select_all(dialect, collection);
    sql.push(" WHERE ")
        .column(ROW, "collectionRef")
        .push(" = ")
        .arg(owner.as_str())
        .push(" AND ")
        .column(ROW, "recordRef")
        .push(" = ")
        .arg(record);
    sql
}

fn push_columns(collection: &Collection, sql: &mut Sql) {
    for (index, field) in collection.fields.iter().enumerate() {
        if index > 0 {
            sql.push(", ");
        }
        sql.column(ROW, &field.name);
    }
}

/// One id is compared, many are bound as one JSON array: the text stays the same for any number of them.
fn push_ids(ids: &[&str], sql: &mut Sql) {
    if let [id] = ids {
        sql.push(" = ").arg(*id);
        return;
    }
    let mut list = Vec::with_capacity(ids.len() * 20 + 2);
    list.push(b'[');
    for (index, id) in ids.iter().enumerate() {
        if index > 0 {
            list.push(b',');
        }
        crate::kit::json::write_str(id, &mut list);
    }
    list.push(b']');
    sql.push_either(
        " IN (SELECT value FROM json_each(",
        " = ANY (ARRAY(SELECT json_array_elements_text(",
    )
    .arg(String::from_utf8(list).unwrap_or_default())
    .push_either("))", "::text::json)))");
}

fn bounded(n: u64) -> Value {
    Value::Int(i64::try_from(n).unwrap_or(i64::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kit::time::Timestamp;
    use crate::schema::field::TextOptions;
    use crate::schema::{Field, FieldKind, Kind, Rules};

    fn posts() -> Collection {
        let text = |name: &str| Field {
            id: name.into(),
            name: name.into(),
            system: false,
            hidden: false,
            presentable: false,
            help: String::new(),
            required: false,
            kind: FieldKind::Text(TextOptions::default()),
        };
        Collection {
            id: CollectionId::new("pbc_1"),
            name: "posts".into(),
            system: false,
            kind: Kind::Base,
            fields: vec![text("id"), text("title")],
            indexes: Vec::new(),
            rules: Rules::default(),
            created: "".into(),
            updated: "".into(),
        }
    }

    #[test]
    fn the_text_does_not_depend_on_values() {
        let catalog = Catalog::default();
        let call = Call::new(crate::call::Actor::Guest, Timestamp::from_millis(0));
        let collection = Arc::new(posts());
        let mut select = Select::all(&catalog, &call, &collection);
        select.ids = Some(&["a", "b\""]);
        select.page = Some(Page {
            offset: 0,
            limit: 30,
        });

        let sql = select.rows_sql(Dialect::Sqlite);

        assert_eq!(
            sql.text(),
            "SELECT \"_r\".\"id\", \"_r\".\"title\" FROM \"posts\" AS \"_r\" WHERE \"_r\".\"id\" IN (SELECT value FROM \
             json_each(?)) LIMIT ?"
        );
        assert_eq!(
            sql.args(),
            &[Value::text("[\"a\",\"b\\\"\"]"), Value::Int(30)]
        );
    }

    #[test]
    fn counting_may_stop_early() {
        let catalog = Catalog::default();
        let call = Call::new(crate::call::Actor::Guest, Timestamp::from_millis(0));
        let collection = Arc::new(posts());
        let sql = Select::all(&catalog, &call, &collection).count_up_to_sql(Dialect::Sqlite, 10);
        assert_eq!(
            sql.text(),
            "SELECT count(*) FROM (SELECT 1 FROM \"posts\" AS \"_r\" LIMIT ?)"
        );
    }
}
