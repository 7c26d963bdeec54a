//! Between PostgreSQL's values and ours.

use std::error::Error;

use tokio_postgres::Row;
use tokio_postgres::types::private::BytesMut;
use tokio_postgres::types::{Format, FromSql, IsNull, ToSql, Type, to_sql_checked};

use crate::kit::json;
use crate::kit::value::{Cell, Columns, Value};

/// A row that was read; columns count from its first one.
pub(super) struct RowCells<'a>(pub(super) &'a Row);

impl Columns for RowCells<'_> {
    fn cell(&self, index: usize) -> Cell<'_> {
        match self.0.try_get::<_, Option<Read<'_>>>(index) {
            Ok(Some(Read(cell))) => cell,
            Ok(None) | Err(_) => Cell::Null,
        }
    }
}

struct Read<'a>(Cell<'a>);

impl<'a> FromSql<'a> for Read<'a> {
    fn from_sql(ty: &Type, raw: &'a [u8]) -> Result<Self, Box<dyn Error + Sync + Send>> {
        Ok(Self(match *ty {
            Type::BOOL => Cell::Int(i64::from(bool::from_sql(ty, raw)?)),
            Type::INT2 => Cell::Int(i16::from_sql(ty, raw)?.into()),
            Type::INT4 => Cell::Int(i32::from_sql(ty, raw)?.into()),
            Type::INT8 => Cell::Int(i64::from_sql(ty, raw)?),
            Type::FLOAT4 => number(f32::from_sql(ty, raw)?.into()),
            Type::FLOAT8 => number(f64::from_sql(ty, raw)?),
            Type::BYTEA => Cell::Blob(raw),
            _ => std::str::from_utf8(raw).map_or(Cell::Blob(raw), Cell::Text),
        }))
    }

    fn accepts(_: &Type) -> bool {
        true
    }
}

/// A double as the narrowest kind that holds it exactly.
fn number(n: f64) -> Cell<'static> {
    match Value::number(n) {
        Value::Int(n) => Cell::Int(n),
        _ => Cell::Real(n),
    }
}

/// A borrowed argument, of the type that the statement wants.
#[derive(Debug)]
pub(super) struct Argument<'a>(pub(super) Cell<'a>);

impl ToSql for Argument<'_> {
    fn to_sql(
        &self,
        ty: &Type,
        out: &mut BytesMut,
    ) -> Result<IsNull, Box<dyn Error + Sync + Send>> {
        if matches!(self.0, Cell::Null) {
            return Ok(IsNull::Yes);
        }
        match *ty {
            Type::UNKNOWN => match self.0 {
                Cell::Blob(bytes) => {
                    out.extend_from_slice(b"\\x");
                    for byte in bytes {
                        out.extend_from_slice(format!("{byte:02x}").as_bytes());
                    }
                    Ok(IsNull::No)
                }
                Cell::Real(n) => n.to_string().as_str().to_sql(&Type::TEXT, out),
                Cell::Text(text) => text.to_sql(&Type::TEXT, out),
                other => text(other).as_str().to_sql(&Type::TEXT, out),
            },
            Type::BOOL => (whole(self.0)? != 0).to_sql(ty, out),
            Type::INT2 => i16::try_from(whole(self.0)?)?.to_sql(ty, out),
            Type::INT4 => i32::try_from(whole(self.0)?)?.to_sql(ty, out),
            Type::INT8 => whole(self.0)?.to_sql(ty, out),
            Type::FLOAT8 => real(self.0)?.to_sql(ty, out),
            Type::BYTEA => match self.0 {
                Cell::Blob(bytes) => bytes.to_sql(ty, out),
                other => text(other).as_bytes().to_sql(ty, out),
            },
            _ => match self.0 {
                Cell::Text(text) => text.to_sql(&Type::TEXT, out),
                other => text(other).as_str().to_sql(&Type::TEXT, out),
            },
        }
    }

    fn accepts(_: &Type) -> bool {
        true
    }

    /// What the statement gives a type to is sent as text.
    fn encode_format(&self, ty: &Type) -> Format {
        if *ty == Type::UNKNOWN {
            Format::Text
        } else {
            Format::Binary
        }
    }

    to_sql_checked!();
}

#[expect(
    clippy::cast_possible_truncation,
    reason = "what is no whole number is refused"
)]
fn whole(cell: Cell<'_>) -> Result<i64, Box<dyn Error + Sync + Send>> {
    match cell {
        Cell::Int(n) => Ok(n),
        Cell::Real(n) if n.fract() == 0.0 && n.abs() < 9.2e18 => Ok(n as i64),
        Cell::Text(text) => Ok(text.trim().parse()?),
        Cell::Null | Cell::Real(_) | Cell::Blob(_) => Err("not a whole number".into()),
    }
}

#[expect(clippy::cast_precision_loss, reason = "numbers are doubles here")]
fn real(cell: Cell<'_>) -> Result<f64, Box<dyn Error + Sync + Send>> {
    match cell {
        Cell::Int(n) => Ok(n as f64),
        Cell::Real(n) => Ok(n),
        Cell::Text(text) => Ok(text.trim().parse()?),
        Cell::Null | Cell::Blob(_) => Err("not a number".into()),
    }
}

fn text(cell: Cell<'_>) -> String {
    match cell {
        Cell::Null => String::new(),
        Cell::Int(n) => n.to_string(),
        Cell::Real(n) => json::number_text(n).to_string(),
        Cell::Text(text) => text.to_owned(),
        Cell::Blob(bytes) => String::from_utf8_lossy(bytes).into_owned(),
    }
}
