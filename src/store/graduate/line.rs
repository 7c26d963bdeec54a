//! A table and its rows as PostgreSQL's COPY has them (its text format): what goes over, and what both sides are compared
//! by.

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::kit::sql::{Dialect, Sql};
use crate::kit::value::{Cell, Columns, Value};
use crate::schema::{Collection, FieldKind};

/// What a column holds in PostgreSQL.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::store) enum Kind {
    /// `text`
    Text,
    /// `float8`
    Number,
    /// `bigint` and `smallint`
    Whole,
    /// `bytea`
    Bytes,
}

/// A table that is copied, with its columns in the order of the lines.
#[derive(Clone, Debug)]
pub(in crate::store) struct Table {
    pub(in crate::store) name: String,
    pub(in crate::store) columns: Vec<(String, Kind)>,
}

/// The column that numbers rows, under a name that SQLite knows too.
const ROWID: &str = "_rowid_";
/// That of the change log.
const POSITION: &str = "position";

impl Table {
    /// The table of a base or auth collection.
    pub(in crate::store) fn of(collection: &Collection) -> Self {
        let fields = collection.fields.iter().map(|field| {
            let kind = match &field.kind {
                FieldKind::Number(_) => Kind::Number,
                FieldKind::Bool => Kind::Whole,
                _ => Kind::Text,
            };
            (field.name.to_string(), kind)
        });
        Self {
            name: collection.name.to_string(),
            columns: [(ROWID.to_owned(), Kind::Whole)]
                .into_iter()
                .chain(fields)
                .collect(),
        }
    }

    fn fixed(name: &str, columns: &[(&str, Kind)]) -> Self {
        let owned = columns
            .iter()
            .map(|(name, kind)| ((*name).to_owned(), *kind));
        Self {
            name: name.to_owned(),
            columns: owned.collect(),
        }
    }

    /// Which migrations were applied.
    pub(in crate::store) fn migrations() -> Self {
        Self::fixed(
            "_migrations",
            &[("file", Kind::Text), ("applied", Kind::Whole)],
        )
    }

    /// Settings.
    pub(in crate::store) fn params() -> Self {
        let columns = ["id", "value", "created", "updated"].map(|name| (name, Kind::Text));
        Self::fixed("_params", &columns)
    }

    /// Collections.
    pub(in crate::store) fn collections() -> Self {
        let texts = [
            "id",
            "type",
            "name",
            "fields",
            "indexes",
            "listRule",
            "viewRule",
            "createRule",
            "updateRule",
            "deleteRule",
            "options",
            "created",
            "updated",
        ];
        let mut table = Self::fixed("_collections", &texts.map(|name| (name, Kind::Text)));
        table.columns.push(("system".to_owned(), Kind::Whole));
        table.columns.push((ROWID.to_owned(), Kind::Whole));
        table
    }

    /// The change log.
    pub(in crate::store) fn changes() -> Self {
        Self::fixed(
            "_burrow_changes",
            &[
                (POSITION, Kind::Whole),
                ("tx", Kind::Whole),
                ("time", Kind::Whole),
                ("action", Kind::Whole),
                ("collection", Kind::Text),
                ("record", Kind::Text),
                ("undo", Kind::Bytes),
            ],
        )
    }

    /// Request logs.
    pub(in crate::store) fn logs() -> Self {
        Self::fixed(
            "_logs",
            &[
                (ROWID, Kind::Whole),
                ("id", Kind::Text),
                ("level", Kind::Whole),
                ("message", Kind::Text),
                ("data", Kind::Text),
                ("created", Kind::Text),
            ],
        )
    }

    /// Whether its rows keep their numbers.
    pub(in crate::store) fn is_numbered(&self) -> bool {
        self.columns.iter().any(|(name, _)| name == ROWID)
    }

    /// The column by which its rows are fetched in parts; none where they are few.
    fn key(&self) -> Option<usize> {
        let is_key = |(name, _): &(String, Kind)| name == ROWID || name == POSITION;
        self.columns.iter().position(is_key)
    }

    /// What follows `SELECT ... FROM table` for at most so many rows after the one of the number `after`; nothing where the
    /// whole table is fetched at once.
    pub(in crate::store) fn part(&self, after: i64, most: u64) -> String {
        let Some(key) = self.key() else {
            return String::new();
        };
        let name = &self.columns[key].0;
        format!(" WHERE {name} > {after} ORDER BY {name} LIMIT {most}")
    }

    /// The number of a row that was read.
    pub(in crate::store) fn number(&self, cells: &[Value]) -> Option<i64> {
        match cells.get(self.key()?) {
            Some(Value::Int(number)) => Some(*number),
            _ => None,
        }
    }

    /// Adds the names of its columns to a statement, with commas between.
    pub(in crate::store) fn push_columns(&self, sql: &mut Sql) {
        for (at, (name, _)) in self.columns.iter().enumerate() {
            sql.push(if at == 0 { "" } else { ", " }).ident(name);
        }
    }

    /// `COPY` of lines into it.
    pub(in crate::store) fn copy_in(&self) -> Sql {
        let mut sql = Sql::new(Dialect::Postgres);
        sql.push("COPY ").ident(&self.name).push(" (");
        self.push_columns(&mut sql);
        sql.push(") FROM STDIN");
        sql
    }

    /// Adds the line of `row`, whose first cells are those of the columns; why it cannot be.
    pub(in crate::store) fn write(
        &self,
        row: &(impl Columns + ?Sized),
        out: &mut Vec<u8>,
    ) -> Result<(), String> {
        for (at, (name, kind)) in self.columns.iter().enumerate() {
            if at > 0 {
                out.push(b'\t');
            }
            write(row.cell(at), *kind, out).map_err(|why| {
                let id = self.columns.iter().position(|(name, _)| name == "id");
                let id = id.map_or("", |at| row.cell(at).text_or_empty());
                format!("{}.{name} of the record {id:?}: {why}", self.name)
            })?;
        }
        out.push(b'\n');
        Ok(())
    }

    /// A line of PostgreSQL's (without its end) as [`Table::write`] would have written it.
    pub(in crate::store) fn rewrite(&self, line: &[u8], out: &mut Vec<u8>) {
        for (at, text) in line.split(|byte| *byte == b'\t').enumerate() {
            if at > 0 {
                out.push(b'\t');
            }
            let kind = self.columns.get(at).map(|(_, kind)| *kind);
            match std::str::from_utf8(text)
                .ok()
                .and_then(|text| text.parse::<f64>().ok())
            {
                Some(number) if kind == Some(Kind::Number) => {
                    out.extend_from_slice(number.to_string().as_bytes());
                }
                _ => out.extend_from_slice(text),
            }
        }
        out.push(b'\n');
    }

    /// The cells of a line (without its end).
    pub(in crate::store) fn read(&self, line: &[u8]) -> Vec<Value> {
        let cells = line.split(|byte| *byte == b'\t');
        self.columns
            .iter()
            .zip(cells)
            .map(|((_, kind), text)| read(text, *kind))
            .collect()
    }
}

/// Adds a cell as COPY writes it.
fn write(cell: Cell<'_>, kind: Kind, out: &mut Vec<u8>) -> Result<(), &'static str> {
    if matches!(cell, Cell::Null) {
        out.extend_from_slice(b"\\N");
        return Ok(());
    }
    match kind {
        Kind::Text => match cell {
            Cell::Text(text) => escape(text, out),
            Cell::Blob(bytes) => {
                let text = std::str::from_utf8(bytes).map_err(|_| "it is not UTF-8")?;
                escape(text, out)
            }
            other => escape(&other.to_value().to_display(), out),
        },
        Kind::Number => {
            let number = match cell {
                #[expect(
                    clippy::cast_precision_loss,
                    reason = "numbers are doubles in PostgreSQL"
                )]
                Cell::Int(n) => n as f64,
                Cell::Real(n) => n,
                _ => return Err("it is not a number"),
            };
            out.extend_from_slice(number.to_string().as_bytes());
            Ok(())
        }
        Kind::Whole => match cell {
            Cell::Int(n) => {
                out.extend_from_slice(n.to_string().as_bytes());
                Ok(())
            }
            Cell::Real(n) if n.fract() == 0.0 && n.abs() < 1e15 => {
                out.extend_from_slice(n.to_string().as_bytes());
                Ok(())
            }
            _ => Err("it is not a whole number"),
        },
        Kind::Bytes => {
            let bytes = match cell {
                Cell::Blob(bytes) => bytes,
                Cell::Text(text) => text.as_bytes(),
                _ => return Err("these are not bytes"),
            };
            out.extend_from_slice(b"\\\\x");
            for byte in bytes {
                out.extend(
                    [byte >> 4, byte & 15].map(|digit| b"0123456789abcdef"[usize::from(digit)]),
                );
            }
            Ok(())
        }
    }
}

fn escape(text: &str, out: &mut Vec<u8>) -> Result<(), &'static str> {
    for byte in text.bytes() {
        let letter = match byte {
            0 => return Err("PostgreSQL keeps no text with a NUL in it"),
            b'\\' => b'\\',
            b'\n' => b'n',
            b'\r' => b'r',
            b'\t' => b't',
            8 => b'b',
            11 => b'v',
            12 => b'f',
            _ => {
                out.push(byte);
                continue;
            }
        };
        out.extend([b'\\', letter]);
    }
    Ok(())
}

fn read(text: &[u8], kind: Kind) -> Value {
    if text == b"\\N" {
        return Value::Null;
    }
    let plain = String::from_utf8_lossy(text);
    match kind {
        Kind::Text => Value::from(unescaped(&plain)),
        Kind::Number => plain.parse().map_or(Value::Null, Value::number),
        Kind::Whole => plain.parse().map_or(Value::Null, Value::Int),
        Kind::Bytes => {
            let digits = plain.trim_start_matches("\\\\x").as_bytes();
            let byte = |pair: &[u8]| {
                let text = std::str::from_utf8(pair).unwrap_or("");
                u8::from_str_radix(text, 16).unwrap_or(0)
            };
            Value::Blob(digits.chunks(2).map(byte).collect())
        }
    }
}

fn unescaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut letters = text.chars();
    while let Some(letter) = letters.next() {
        if letter != '\\' {
            out.push(letter);
            continue;
        }
        out.push(match letters.next() {
            Some('n') => '\n',
            Some('r') => '\r',
            Some('t') => '\t',
            Some('b') => '\u{8}',
            Some('v') => '\u{b}',
            Some('f') => '\u{c}',
            Some(other) => other,
            None => break,
        });
    }
    out
}

/// What a table holds, whatever the order of its rows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sum {
    /// How many rows.
    pub rows: u64,
    halves: [u128; 2],
}

impl Sum {
    /// Counts in a line with its end.
    pub(in crate::store) fn add(&mut self, line: &[u8]) {
        let hash: [u8; 32] = Sha256::digest(line).into();
        let (mut one, mut other) = ([0; 16], [0; 16]);
        one.copy_from_slice(&hash[..16]);
        other.copy_from_slice(&hash[16..]);
        self.rows += 1;
        self.halves[0] = self.halves[0].wrapping_add(u128::from_le_bytes(one));
        self.halves[1] = self.halves[1].wrapping_add(u128::from_le_bytes(other));
    }

    /// For people: the first part of the sum of the hashes of all rows.
    #[must_use]
    pub fn short(&self) -> String {
        format!("{:016x}", self.halves[0] >> 64)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_holds_every_kind_of_cell() {
        let table = Table::fixed(
            "t",
            &[
                ("a", Kind::Text),
                ("b", Kind::Number),
                ("c", Kind::Whole),
                ("d", Kind::Bytes),
                ("e", Kind::Text),
            ],
        );
        let cells = [
            Value::from("a\tb\\N\n\u{8}\u{fc}"),
            Value::Real(1.5e300),
            Value::Int(-3),
            Value::Blob(vec![0, 255]),
            Value::Null,
        ];
        let mut line = Vec::new();
        table.write(cells.as_slice(), &mut line).unwrap();
        let bare = line.strip_suffix(b"\n").unwrap();
        assert_eq!(table.read(bare), cells);
        let theirs = String::from_utf8(bare.to_vec()).unwrap();
        let theirs = theirs.replace(&1.5e300.to_string(), "1.5e+300");
        let mut again = Vec::new();
        table.rewrite(theirs.as_bytes(), &mut again);
        assert_eq!(again, line);
    }

    #[test]
    fn what_postgresql_cannot_hold_is_named() {
        let table = Table::fixed("t", &[("id", Kind::Text), ("n", Kind::Number)]);
        let cells = [Value::from("r1"), Value::from("many")];
        let why = table.write(cells.as_slice(), &mut Vec::new()).unwrap_err();
        assert_eq!(why, "t.n of the record \"r1\": it is not a number");
    }
}
