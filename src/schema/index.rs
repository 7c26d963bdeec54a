//! `CREATE INDEX` statements: read loosely, written in one normal form (contract 2.6).

/// A parsed statement.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Index {
    /// `UNIQUE`
    pub unique: bool,
    /// `IF NOT EXISTS`
    pub optional: bool,
    /// Name without quotes.
    pub name: String,
    /// Table without quotes and schema.
    pub table: String,
    /// Columns and expressions in order.
    pub columns: Vec<IndexColumn>,
    /// What follows `WHERE`, as written.
    pub condition: String,
}

/// One entry of an index.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IndexColumn {
    /// A column name without quotes, or an expression as written.
    pub name: String,
    /// `COLLATE` name, as written.
    pub collate: String,
    /// `ASC`, `DESC` or empty.
    pub order: String,
}

impl IndexColumn {
    /// Whether this is a column and not an expression.
    #[must_use]
    pub fn is_plain(&self) -> bool {
        is_word(&self.name)
    }
}

impl Index {
    /// Reads a statement; `None` when it is not one, or lacks a usable name, table or columns.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let rest = keyword(text.trim(), "create")?;
        let (unique, rest) = match keyword(rest, "unique") {
            Some(rest) => (true, rest),
            None => (false, rest),
        };
        let rest = keyword(rest, "index")?;
        let after_optional = keyword(rest, "if")
            .and_then(|rest| keyword(rest, "not"))
            .and_then(|rest| keyword(rest, "exists"));
        let optional = after_optional.is_some();
        let rest = after_optional.unwrap_or(rest);
        let (name, rest) = path(rest)?;
        let rest = keyword(rest, "on")?;
        let (table, rest) = path(rest)?;
        let (inside, rest) = parenthesised(rest.trim_start())?;
        let rest = rest.trim().trim_end_matches(';').trim();
        let condition = match keyword(rest, "where") {
            Some(condition) => condition.trim().to_owned(),
            None if rest.is_empty() => String::new(),
            None => return None,
        };
        let columns = split_top(inside, ',')?
            .into_iter()
            .map(column)
            .collect::<Option<Vec<_>>>()?;
        (is_word(&name) && !table.contains('`') && !columns.is_empty() && is_one(&condition))
            .then_some(Self {
                unique,
                optional,
                name,
                table,
                columns,
                condition,
            })
    }

    /// The normal form.
    #[must_use]
    pub fn build(&self) -> String {
        let columns: Vec<String> = self.columns.iter().map(column_text).collect();
        let list = if columns.len() > 1 {
            format!("\n  {}\n", columns.join(",\n  "))
        } else {
            columns.concat()
        };
        let unique = if self.unique { "UNIQUE " } else { "" };
        let optional = if self.optional { "IF NOT EXISTS " } else { "" };
        let condition = if self.condition.is_empty() {
            String::new()
        } else {
            format!(" WHERE {}", self.condition)
        };
        format!(
            "CREATE {unique}INDEX {optional}`{}` ON `{}` ({list}){condition}",
            self.name, self.table
        )
    }

    /// Whether this is a unique index over `field` alone.
    #[must_use]
    pub fn is_unique_on(&self, field: &str) -> bool {
        self.unique
            && matches!(self.columns.as_slice(), [only] if only.name.eq_ignore_ascii_case(field))
    }
}

fn column_text(column: &IndexColumn) -> String {
    let mut text = if column.is_plain() {
        format!("`{}`", column.name)
    } else {
        column.name.clone()
    };
    for (word, value) in [(" COLLATE ", &column.collate), (" ", &column.order)] {
        if !value.is_empty() {
            text.push_str(word);
            text.push_str(value);
        }
    }
    text
}

fn column(text: &str) -> Option<IndexColumn> {
    let mut rest = text.trim();
    let mut order = String::new();
    for word in ["asc", "desc"] {
        if let Some(front) = last_word(rest, word) {
            word.to_ascii_uppercase().clone_into(&mut order);
            rest = front;
        }
    }
    let mut collate = String::new();
    if let Some((front, name)) = rest.rsplit_once(char::is_whitespace)
        && let Some(front) = last_word(front.trim_end(), "collate")
        && is_word(name)
    {
        name.clone_into(&mut collate);
        rest = front;
    }
    let bare = unquote(rest);
    let name = if is_word(bare) { bare } else { rest };
    (!name.is_empty()).then(|| IndexColumn {
        name: name.to_owned(),
        collate,
        order,
    })
}

/// `text` without a last `word`, when it ends with one.
fn last_word<'a>(text: &'a str, word: &str) -> Option<&'a str> {
    let start = text.len().checked_sub(word.len())?;
    let (front, end) = (text.get(..start)?, text.get(start..)?);
    (end.eq_ignore_ascii_case(word) && front.ends_with(char::is_whitespace))
        .then(|| front.trim_end())
}

/// What follows `word` at the start of `text`.
fn keyword<'a>(text: &'a str, word: &str) -> Option<&'a str> {
    let text = text.trim_start();
    let start = text.get(..word.len())?;
    let rest = &text[word.len()..];
    let ends = rest.is_empty() || !rest.starts_with(|c: char| c.is_alphanumeric() || c == '_');
    (start.eq_ignore_ascii_case(word) && ends).then_some(rest)
}

/// A name with an optional schema before it: the name without quotes, and what follows.
fn path(text: &str) -> Option<(String, &str)> {
    let (mut name, mut rest) = name(text.trim_start())?;
    if let Some(after) = rest.strip_prefix('.') {
        (name, rest) = self::name(after)?;
    }
    Some((name.to_owned(), rest))
}

fn name(text: &str) -> Option<(&str, &str)> {
    let close = match text.chars().next()? {
        '`' => '`',
        '"' => '"',
        '\'' => '\'',
        '[' => ']',
        _ => {
            let end = text
                .find(|c: char| !(c.is_alphanumeric() || c == '_'))
                .unwrap_or(text.len());
            return (end > 0).then(|| text.split_at(end));
        }
    };
    let end = text[1..].find(close)? + 1;
    Some((&text[1..end], &text[end + 1..]))
}

/// The inside of the parentheses that `text` begins with, and what follows them.
fn parenthesised(text: &str) -> Option<(&str, &str)> {
    let mut scan = Scan::new(text);
    if !text.starts_with('(') {
        return None;
    }
    while let Some((at, c)) = scan.next_plain()? {
        if c == ')' && scan.depth == 0 {
            return Some((&text[1..at], &text[at + 1..]));
        }
    }
    None
}

/// The parts between top-level separators.
pub(super) fn split_top(text: &str, separator: char) -> Option<Vec<&str>> {
    let mut parts = Vec::new();
    let mut from = 0;
    let mut scan = Scan::new(text);
    while let Some((at, c)) = scan.next_plain()? {
        if c == separator && scan.depth == 0 {
            parts.push(&text[from..at]);
            from = at + c.len_utf8();
        }
    }
    if scan.depth != 0 {
        return None;
    }
    parts.push(&text[from..]);
    Some(parts)
}

/// Whether `text` is one expression: balanced, no second statement, no comment.
fn is_one(text: &str) -> bool {
    !text.contains("--")
        && !text.contains("/*")
        && split_top(text, ';').is_some_and(|parts| parts.len() == 1)
}

/// Letters of SQL outside quotes, with the depth of parentheses after each.
pub(super) struct Scan<'a> {
    letters: std::str::CharIndices<'a>,
    pub(super) depth: usize,
}

impl<'a> Scan<'a> {
    pub(super) fn new(text: &'a str) -> Self {
        Self {
            letters: text.char_indices(),
            depth: 0,
        }
    }

    /// The next letter outside quotes; the outer `None` is an open quote or a parenthesis that was never opened.
    #[expect(
        clippy::option_option,
        reason = "broken text and its end are two things"
    )]
    pub(super) fn next_plain(&mut self) -> Option<Option<(usize, char)>> {
        let Some((at, c)) = self.letters.next() else {
            return Some(None);
        };
        let close = match c {
            '\'' | '"' | '`' => c,
            '[' => ']',
            '(' => {
                self.depth += 1;
                return Some(Some((at, c)));
            }
            ')' => {
                self.depth = self.depth.checked_sub(1)?;
                return Some(Some((at, c)));
            }
            _ => return Some(Some((at, c))),
        };
        // Doubled quotes close and open again, which comes to the same.
        self.letters.by_ref().find(|&(_, letter)| letter == close)?;
        // A quoted stretch counts as one letter that separates nothing.
        Some(Some((at, '\u{fffc}')))
    }
}

/// `text` without one pair of quotes of any kind.
pub(super) fn unquote(text: &str) -> &str {
    let text = text.trim();
    for (open, close) in [('`', '`'), ('"', '"'), ('\'', '\''), ('[', ']')] {
        if let Some(inner) = text
            .strip_prefix(open)
            .and_then(|rest| rest.strip_suffix(close))
        {
            return inner;
        }
    }
    text
}

/// `^\w+$` in ASCII.
#[must_use]
pub(super) fn is_word(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn statements_are_normalised_as_the_contract_shows() {
        for (input, expected) in [
            (
                "CREATE INDEX i1 ON ixc (a)",
                "CREATE INDEX `i1` ON `ixc` (`a`)",
            ),
            (
                "create unique index if not exists i2 on ixc (a, b desc) where a != \"\"",
                "CREATE UNIQUE INDEX IF NOT EXISTS `i2` ON `ixc` (\n  `a`,\n  `b` DESC\n) WHERE a != \"\"",
            ),
            (
                "CREATE INDEX `i3` ON `ixc` (`a` COLLATE NOCASE ASC)",
                "CREATE INDEX `i3` ON `ixc` (`a` COLLATE NOCASE ASC)",
            ),
            (
                "CREATE INDEX \"i4\" ON \"ixc\" (lower(b), c)",
                "CREATE INDEX `i4` ON `ixc` (\n  lower(b),\n  `c`\n)",
            ),
            (
                "CREATE INDEX [i5] ON main.other(c)",
                "CREATE INDEX `i5` ON `other` (`c`)",
            ),
            (
                "CREATE INDEX i6 ON t (json_extract(a, '$.b,)c'))",
                "CREATE INDEX `i6` ON `t` (json_extract(a, '$.b,)c'))",
            ),
        ] {
            let index = Index::parse(input).expect(input);
            assert_eq!(index.build(), expected);
            assert_eq!(Index::parse(&index.build()).unwrap(), index);
        }
    }

    #[test]
    fn what_is_no_single_statement_is_refused() {
        for bad in [
            "",
            "zzz",
            "create unique index on b1(id)",
            "create index `a b` on b1 (id)",
            "create index a on b1 (id",
            "create index a on b1 ()",
            "create index a on b1 (id) zzz",
            "create index a on b1 (id) where 1; drop table b1",
            "create index a on b1 (id) where 1 -- x",
        ] {
            assert_eq!(Index::parse(bad), None, "{bad}");
        }
    }

    #[test]
    fn single_column_unique_indexes_are_recognised() {
        let index = Index::parse("create unique index zz on t (\"email\" desc) where 1").unwrap();
        assert!(index.is_unique_on("email"));
        assert!(!index.is_unique_on("mail"));
    }
}
