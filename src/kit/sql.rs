//! A statement under construction. Text comes from literals and quoted identifiers alone; every value is bound.
//! There is deliberately no way to push a runtime string as raw text.

use super::value::Value;

/// Whose SQL a statement is written in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Dialect {
    /// The embedded engine's.
    Sqlite,
    /// PostgreSQL 15 and newer.
    Postgres,
}

/// SQL text with its bound arguments, in order. Arguments stand as `?` in the text of either dialect; the one that
/// numbers them does so when it prepares the statement.
#[derive(Clone, Debug, PartialEq)]
pub struct Sql {
    dialect: Dialect,
    text: String,
    args: Vec<Value>,
}

impl Sql {
    /// An empty statement.
    #[must_use]
    pub fn new(dialect: Dialect) -> Self {
        /// Bytes that most statements need.
        const USUAL: usize = 256;
        Self {
            dialect,
            text: String::with_capacity(USUAL),
            args: Vec::new(),
        }
    }

    /// Whose SQL it is.
    #[must_use]
    pub fn dialect(&self) -> Dialect {
        self.dialect
    }

    /// Adds the text of the statement's dialect.
    pub fn push_either(&mut self, sqlite: &'static str, postgres: &'static str) -> &mut Self {
        self.push(match self.dialect {
            Dialect::Sqlite => sqlite,
            Dialect::Postgres => postgres,
        })
    }

    /// Adds literal text.
    pub fn push(&mut self, text: &'static str) -> &mut Self {
        self.text.push_str(text);
        self
    }

    /// Adds an identifier, quoted.
    pub fn ident(&mut self, name: &str) -> &mut Self {
        self.text.push('"');
        if !name.bytes().any(|byte| matches!(byte, b'"' | b'\0')) {
            self.text.push_str(name);
            self.text.push('"');
            return self;
        }
        for c in name.chars() {
            // A NUL would end the statement for SQLite; no identifier that we store holds one.
            if c == '\0' {
                continue;
            }
            if c == '"' {
                self.text.push('"');
            }
            self.text.push(c);
        }
        self.text.push('"');
        self
    }

    /// Adds `alias.column`, both quoted.
    pub fn column(&mut self, alias: &str, column: &str) -> &mut Self {
        self.ident(alias).push(".").ident(column)
    }

    /// Adds a bound argument.
    pub fn arg(&mut self, value: impl Into<Value>) -> &mut Self {
        self.text.push('?');
        self.args.push(value.into());
        self
    }

    /// Adds a whole number as text: safe by its type, and so part of a cached statement.
    pub fn number(&mut self, n: u64) -> &mut Self {
        self.text.push_str(&n.to_string());
        self
    }

    /// Adds another statement's text and arguments.
    pub fn append(&mut self, other: &Self) -> &mut Self {
        self.text.push_str(&other.text);
        self.args.extend_from_slice(&other.args);
        self
    }

    /// The text.
    #[must_use]
    pub fn text(&self) -> &str {
        &self.text
    }

    /// The arguments.
    #[must_use]
    pub fn args(&self) -> &[Value] {
        &self.args
    }

    /// Whether nothing was added yet.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.text.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn identifiers_cannot_break_out() {
        let mut sql = Sql::new(Dialect::Sqlite);
        sql.push("SELECT ")
            .ident("a\" FROM b; --")
            .push(" = ")
            .arg("x");
        assert_eq!(sql.text(), "SELECT \"a\"\" FROM b; --\" = ?");
        assert_eq!(sql.args(), &[Value::text("x")]);
    }
}
