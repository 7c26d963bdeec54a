//! A row that stands in no table, as a statement of its own.

use crate::expr::bound::{Affinity, Stored};
use crate::expr::request::{affinity_of, stored_as};
use crate::kit::sql::{Dialect, Sql};
use crate::schema::{FieldKind, Record};

/// Name of a row that stands in no table.
pub(in crate::expr) const ROW_ALIAS: &str = "__row";

/// `WITH` the cells of `row` as the only row of a private table, up to the `WHERE` of a select from it. The name is
/// private, so that nothing else of the statement can see it. With `typed` its columns compare like those of the
/// stored table; submitted values compare as they came (contract 4.12).
pub(in crate::expr) fn row_statement(row: &Record, typed: bool, sql: &mut Sql) {
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
        if sql.dialect() == Dialect::Postgres {
            sql.arg(cell.clone()).push(match stored_as(&field.kind) {
                Stored::Text | Stored::Json => "::text",
                Stored::Number => "::float8",
            });
            continue;
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
