//! A cell as SQLite holds it. Records, bound arguments and the evaluator all speak in these.

use compact_str::{CompactString, format_compact};

/// One dynamically typed value.
#[derive(Clone, Debug, PartialEq, Default)]
pub enum Value {
    /// SQL NULL.
    #[default]
    Null,
    /// A 64-bit integer; booleans are 0 and 1.
    Int(i64),
    /// A double; never NaN.
    Real(f64),
    /// UTF-8 text; ids and dates are held inline.
    Text(CompactString),
    /// Raw bytes.
    Blob(Vec<u8>),
}

impl Value {
    /// A text value.
    pub fn text(text: impl Into<CompactString>) -> Self {
        Self::Text(text.into())
    }

    /// The text, when this is text.
    #[must_use]
    pub fn as_text(&self) -> Option<&str> {
        match self {
            Self::Text(text) => Some(text),
            Self::Null | Self::Int(_) | Self::Real(_) | Self::Blob(_) => None,
        }
    }

    /// The text, or `""` for anything that is not text.
    #[must_use]
    pub fn text_or_empty(&self) -> &str {
        self.as_text().unwrap_or("")
    }

    /// The number, when this is one.
    #[must_use]
    pub fn as_f64(&self) -> Option<f64> {
        match self {
            #[expect(clippy::cast_precision_loss, reason = "SQLite compares the same way")]
            Self::Int(n) => Some(*n as f64),
            Self::Real(n) => Some(*n),
            Self::Null | Self::Text(_) | Self::Blob(_) => None,
        }
    }

    /// Whether the value counts as true in a bool column.
    #[must_use]
    pub fn as_bool(&self) -> bool {
        match self {
            Self::Int(n) => *n != 0,
            Self::Real(n) => *n != 0.0,
            Self::Null | Self::Text(_) | Self::Blob(_) => false,
        }
    }

    /// Whether this is SQL NULL.
    #[must_use]
    pub const fn is_null(&self) -> bool {
        matches!(self, Self::Null)
    }

    /// Approximate bytes held, for queues that are bounded by size.
    #[must_use]
    pub fn size_bytes(&self) -> usize {
        match self {
            Self::Null | Self::Int(_) | Self::Real(_) => 8,
            Self::Text(text) => text.len() + 8,
            Self::Blob(bytes) => bytes.len() + 8,
        }
    }

    /// A number as the narrowest kind that holds it exactly, as a NUMERIC column would store it.
    #[must_use]
    pub fn number(n: f64) -> Self {
        #[expect(
            clippy::cast_possible_truncation,
            reason = "checked to be integral and in range"
        )]
        if n.fract() == 0.0
            && n.abs() < 9_007_199_254_740_992.0
            && !(n == 0.0 && n.is_sign_negative())
        {
            Self::Int(n as i64)
        } else {
            Self::Real(n)
        }
    }

    /// Text that is a number as that number, as NUMERIC affinity has it; anything else as it is.
    #[must_use]
    pub fn to_numeric(&self) -> Self {
        let Self::Text(text) = self else {
            return self.clone();
        };
        let trimmed = text.trim_matches([' ', '\t', '\n', '\u{b}', '\u{c}', '\r']);
        let numeric = trimmed
            .bytes()
            .all(|b| b.is_ascii_digit() || b"+-.eE".contains(&b))
            && trimmed.bytes().any(|b| b.is_ascii_digit());
        if !numeric {
            return self.clone();
        }
        if let Ok(int) = trimmed.parse::<i64>() {
            return Self::Int(int);
        }
        trimmed
            .parse::<f64>()
            .map_or_else(|_| self.clone(), Self::Real)
    }

    /// The value as a person would write it, for messages and casts to text.
    #[must_use]
    pub fn to_display(&self) -> CompactString {
        match self {
            Self::Null => CompactString::const_new(""),
            Self::Int(n) => format_compact!("{n}"),
            Self::Real(n) => super::json::number_text(*n),
            Self::Text(text) => text.clone(),
            Self::Blob(bytes) => CompactString::from_utf8_lossy(bytes),
        }
    }
}

impl From<&str> for Value {
    fn from(text: &str) -> Self {
        Self::Text(text.into())
    }
}

impl From<CompactString> for Value {
    fn from(text: CompactString) -> Self {
        Self::Text(text)
    }
}

impl From<String> for Value {
    fn from(text: String) -> Self {
        Self::Text(text.into())
    }
}

impl From<bool> for Value {
    fn from(b: bool) -> Self {
        Self::Int(i64::from(b))
    }
}

impl From<i64> for Value {
    fn from(n: i64) -> Self {
        Self::Int(n)
    }
}

/// A borrowed [`Value`].
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Cell<'a> {
    /// SQL NULL.
    Null,
    /// A 64-bit integer.
    Int(i64),
    /// A double.
    Real(f64),
    /// UTF-8 text.
    Text(&'a str),
    /// Raw bytes.
    Blob(&'a [u8]),
}

impl<'a> Cell<'a> {
    /// The text, or `""` for anything that is not text.
    #[must_use]
    pub fn text_or_empty(self) -> &'a str {
        match self {
            Self::Text(text) => text,
            Self::Null | Self::Int(_) | Self::Real(_) | Self::Blob(_) => "",
        }
    }

    /// An owned copy.
    #[must_use]
    pub fn to_value(self) -> Value {
        match self {
            Self::Null => Value::Null,
            Self::Int(n) => Value::Int(n),
            Self::Real(n) => Value::Real(n),
            Self::Text(text) => Value::Text(text.into()),
            Self::Blob(bytes) => Value::Blob(bytes.to_vec()),
        }
    }
}

impl Value {
    /// A view of it.
    #[must_use]
    pub fn as_cell(&self) -> Cell<'_> {
        match self {
            Self::Null => Cell::Null,
            Self::Int(n) => Cell::Int(*n),
            Self::Real(n) => Cell::Real(*n),
            Self::Text(text) => Cell::Text(text),
            Self::Blob(bytes) => Cell::Blob(bytes),
        }
    }
}

/// Anything that has the cells of a collection's fields, in the order of the fields: a store row or a record.
/// One encoder and one evaluator read both, so that two paths cannot disagree.
pub trait Columns {
    /// The cell of the field at `index`; NULL when there is none.
    fn cell(&self, index: usize) -> Cell<'_>;
}

impl Columns for [Value] {
    fn cell(&self, index: usize) -> Cell<'_> {
        self.get(index).map_or(Cell::Null, Value::as_cell)
    }
}
