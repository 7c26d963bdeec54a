//! Functions that our SQL uses and SQLite does not have. Each is one Rust function, shared with the evaluator.

use rusqlite::Connection;
use rusqlite::functions::{Context, FunctionFlags};
use rusqlite::types::ValueRef;

use crate::expr::{GEO_DISTANCE, geo_distance};
use crate::kit::value::Value;
use crate::store::StoreError;

/// Adds them to a connection.
pub(super) fn register(connection: &Connection) -> Result<(), StoreError> {
    let flags = FunctionFlags::SQLITE_UTF8
        | FunctionFlags::SQLITE_DETERMINISTIC
        | FunctionFlags::SQLITE_INNOCUOUS;
    connection.create_scalar_function(GEO_DISTANCE, 4, flags, |context| {
        let value = geo_distance(&std::array::from_fn(|at| argument(context, at)));
        Ok(match value {
            Value::Real(n) => Some(n),
            other => other.as_f64(),
        })
    })?;
    Ok(())
}

fn argument(context: &Context<'_>, at: usize) -> Value {
    match context.get_raw(at) {
        ValueRef::Null => Value::Null,
        ValueRef::Integer(n) => Value::Int(n),
        ValueRef::Real(n) => Value::Real(n),
        ValueRef::Text(bytes) => Value::from(String::from_utf8_lossy(bytes).into_owned()),
        ValueRef::Blob(bytes) => Value::Blob(bytes.to_vec()),
    }
}
