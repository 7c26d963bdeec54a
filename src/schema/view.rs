//! The columns of a view query, read from its text as the contract has it (2.12): names from the database, kinds from
//! the words.

use std::sync::Arc;

use compact_str::{CompactString, format_compact};

use super::collection::{Collection, CollectionId};
use super::field::{
    Field, FieldKind, JsonOptions, NumberOptions, Pattern, RelationOptions, TextOptions,
};
use super::index::{Scan, split_top, unquote};
use super::set::Schema;
use super::system::ID_PATTERN;
use crate::kit::id;

/// A name with what it stands for: `email`, `u.email e`, `count(id) as total`, `users u`.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Named {
    /// What is before the alias, as written.
    original: String,
    /// The name outside, without quotes.
    alias: String,
}

/// A parsed view query.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ViewQuery {
    /// The query without the semicolon at its end.
    text: String,
    columns: Vec<Named>,
    tables: Vec<Named>,
}

impl ViewQuery {
    /// Reads a query.
    ///
    /// # Errors
    /// What is wrong, in a sentence that superusers see.
    pub fn parse(text: &str) -> Result<Self, String> {
        let text = text.trim().trim_end_matches([';', ' ', '\n', '\t', '\r']);
        if text.contains('\0') {
            return Err("the query holds a NUL".to_owned());
        }
        let statements = split_top(text, ';').ok_or("unbalanced quotes or parentheses")?;
        if statements.len() > 1 {
            return Err("multiple statements are not supported".to_owned());
        }
        let clauses = clauses(text);
        let columns = named(clauses.columns, &[])?;
        if columns.iter().any(|column| column.original.ends_with('*')) {
            return Err(
                "wildcard columns (*) are not supported - manually type the collection \
                        field names you want the view query to have"
                    .to_owned(),
            );
        }
        let tables = named(clauses.tables, &clauses.ctes)?;
        Ok(Self {
            text: text.to_owned(),
            columns,
            tables,
        })
    }

    /// The query as one SELECT that can stand in parentheses.
    #[must_use]
    pub fn text(&self) -> &str {
        &self.text
    }

    /// The fields of the view, one for each column that the database names.
    #[must_use]
    pub fn infer(&self, names: &[String], schema: &Schema) -> Vec<Field> {
        names
            .iter()
            .map(|name| {
                if name == "id" {
                    return id_field();
                }
                self.columns
                    .iter()
                    .find(|column| column.alias == *name)
                    .and_then(|column| self.infer_one(column, schema))
                    .unwrap_or_else(|| json_field(name))
            })
            .collect()
    }

    /// An output column that computes something from a hidden field, by its name: plain columns stay hidden in the
    /// view, computed ones would show what they are made of.
    #[must_use]
    pub fn leaks(&self, fields: &[Field], schema: &Schema) -> Option<String> {
        // The database reads names in any case.
        let hidden: std::collections::HashSet<CompactString> = schema
            .iter()
            .filter(|collection| !collection.is_view())
            .flat_map(|collection| collection.fields.iter())
            .filter(|field| field.hidden)
            .map(|field| field.name.to_ascii_lowercase())
            .collect();
        let computed = self.columns.iter().filter(|column| {
            !fields
                .iter()
                .any(|field| field.name == column.alias && field.hidden)
        });
        let mut texts: Vec<&str> = computed.map(|column| column.original.as_str()).collect();
        texts.extend(inner_queries(&self.text));
        // Only names that the query's tables really have count; a subquery may read any table, so all count there.
        texts
            .into_iter()
            .flat_map(words)
            .find(|word| hidden.contains(&*word.to_ascii_lowercase()) && self.reads(word, schema))
            .map(str::to_owned)
    }

    /// Whether a table that the text mentions has a hidden field of this name.
    fn reads(&self, field: &str, schema: &Schema) -> bool {
        words(&self.text).any(|word| {
            schema.find(word).is_some_and(|collection| {
                column_of(collection, field).is_some_and(|(_, f)| f.hidden)
            })
        })
    }

    /// The stored field that a plain column shows: its collection and position.
    #[must_use]
    pub fn origin(&self, column: &str, schema: &Schema) -> Option<(Arc<Collection>, usize)> {
        let column = self.columns.iter().find(|named| named.alias == column)?;
        let (table, field) = self.source(&column.original)?;
        let collection = schema.find(table)?;
        let (at, _) = column_of(collection, field)?;
        Some((Arc::clone(collection), at))
    }

    fn infer_one(&self, column: &Named, schema: &Schema) -> Option<Field> {
        let name = column.alias.as_str();
        let lower = column.original.to_ascii_lowercase();
        let number = |only_int| {
            Field::new(
                name,
                FieldKind::Number(NumberOptions {
                    only_int,
                    ..NumberOptions::default()
                }),
            )
        };
        if lower.starts_with("count(") {
            return Some(number(true));
        }
        if lower.starts_with("total(") {
            return Some(number(false));
        }
        if let Some(kind) = cast_type(&lower) {
            return match kind {
                "real" | "decimal" | "numeric" => Some(number(false)),
                "int" | "integer" => Some(number(true)),
                "text" => Some(Field::new(name, FieldKind::Text(TextOptions::default()))),
                "bool" | "boolean" => Some(Field::new(name, FieldKind::Bool)),
                _ => None,
            };
        }
        let (table, field) = self.source(&column.original)?;
        let collection = schema.find(table)?;
        if field.eq_ignore_ascii_case("id") {
            return Some(relation(name, &collection.id));
        }
        column_of(collection, field).map(|(_, field)| clone_as(field, name))
    }

    /// Table and column of a plain column.
    fn source<'a>(&'a self, original: &'a str) -> Option<(&'a str, &'a str)> {
        let parts = split_top(original, '.')?;
        match parts.as_slice() {
            [column] => Some((unquote(&self.tables.first()?.original), unquote(column))),
            [table, column] => {
                let table = unquote(table);
                let named = self.tables.iter().find(|known| known.alias == table)?;
                Some((unquote(&named.original), unquote(column)))
            }
            _ => None,
        }
    }
}

fn id_field() -> Field {
    Field {
        system: true,
        required: true,
        ..Field::new(
            "id",
            FieldKind::Text(TextOptions {
                primary_key: true,
                pattern: Pattern::new(ID_PATTERN),
                ..TextOptions::default()
            }),
        )
    }
}

fn json_field(name: &str) -> Field {
    Field::new(name, FieldKind::Json(JsonOptions { max_size: 1 }))
}

fn relation(name: &str, target: &CollectionId) -> Field {
    Field::new(
        name,
        FieldKind::Relation(RelationOptions {
            collection_id: target.clone(),
            cascade_delete: false,
            min_select: 0,
            max_select: 1,
        }),
    )
}

fn clone_as(field: &Field, name: &str) -> Field {
    /// Letters that tell the clones of one save from those of another.
    const SUFFIX_LEN: usize = 4;
    Field {
        id: format_compact!("_clone_{}", id::random(SUFFIX_LEN, id::ALNUM)),
        name: CompactString::from(name),
        ..field.clone()
    }
}

/// Whether the fields of two views of one query are the same but for the random ids of clones.
#[must_use]
pub fn same_fields(a: &Collection, b: &[Field]) -> bool {
    a.fields.len() == b.len()
        && a.fields.iter().zip(b).all(|(one, other)| {
            let id = other.id.clone();
            let is_clone = one.id.starts_with("_clone_") && other.id.starts_with("_clone_");
            *other
                == if is_clone {
                    Field { id, ..one.clone() }
                } else {
                    one.clone()
                }
        })
}

fn cast_type(lower: &str) -> Option<&str> {
    let inside = lower.strip_prefix("cast(")?.strip_suffix(')')?;
    let (front, kind) = inside.trim_end().rsplit_once(char::is_whitespace)?;
    front.trim_end().ends_with(" as").then_some(kind)
}

/// Identifiers and keywords of a text, quotes or not.
fn words(text: &str) -> impl Iterator<Item = &str> {
    text.split(|c: char| !(c.is_alphanumeric() || c == '_'))
        .filter(|word| !word.is_empty())
}

/// The field that the database takes for the column `name`, and its position.
fn column_of<'c>(collection: &'c Collection, name: &str) -> Option<(usize, &'c Field)> {
    let mut fields = collection.fields.iter().enumerate();
    fields.find(|(_, field)| field.name.eq_ignore_ascii_case(name))
}

/// What stands in parentheses and is a query of its own: subqueries and CTEs.
fn inner_queries(text: &str) -> Vec<&str> {
    let mut found = Vec::new();
    let mut opened = Vec::new();
    let mut scan = Scan::new(text);
    while let Some(Some((at, c))) = scan.next_plain() {
        match c {
            '(' => opened.push(at + 1),
            ')' => {
                if let Some(from) = opened.pop() {
                    let inside = &text[from..at];
                    if words(inside)
                        .next()
                        .is_some_and(|word| word.eq_ignore_ascii_case("select"))
                    {
                        found.push(inside);
                    }
                }
            }
            _ => {}
        }
    }
    found
}

struct Clauses<'a> {
    columns: &'a str,
    tables: &'a str,
    ctes: Vec<&'a str>,
}

/// Cuts the top level of a query into its column list and its tables.
fn clauses(text: &str) -> Clauses<'_> {
    let words = top_words(text);
    let mut clauses = Clauses {
        columns: "",
        tables: "",
        ctes: Vec::new(),
    };
    let word = |at: usize| words.get(at).map(|&(from, to)| &text[from..to]);
    let is = |at: usize, name: &str| word(at).is_some_and(|w| w.eq_ignore_ascii_case(name));
    let Some(select) = (0..words.len()).find(|&at| is(at, "select")) else {
        return clauses;
    };
    clauses.ctes = (0..select)
        .filter(|&at| is(at + 1, "as"))
        .filter_map(word)
        .collect();
    let mut first = select + 1;
    if is(first, "distinct") || is(first, "all") {
        first += 1;
    }
    let start = words.get(first).map_or(text.len(), |&(from, _)| from);
    // A quoted or parenthesised first column is no word: begin right after the keyword.
    let start = start.min(words[first - 1].1).max(words[first - 1].1);
    let from = (first..words.len()).find(|&at| is(at, "from"));
    let end = from.map_or(text.len(), |at| words[at].0);
    clauses.columns = text.get(start..end).unwrap_or("");
    if let Some(from) = from {
        const ENDS: [&str; 6] = ["where", "group", "having", "order", "limit", "window"];
        let end = (from..words.len())
            .find(|&at| ENDS.iter().any(|name| is(at, name)))
            .map_or(text.len(), |at| words[at].0);
        clauses.tables = text.get(words[from].1..end).unwrap_or("");
    }
    clauses
}

/// The words outside quotes and parentheses: where each begins and ends.
fn top_words(text: &str) -> Vec<(usize, usize)> {
    let mut found = Vec::new();
    let mut open: Option<usize> = None;
    let mut scan = Scan::new(text);
    while let Some(Some((at, c))) = scan.next_plain() {
        let is_letter = scan.depth == 0 && (c.is_alphanumeric() || c == '_');
        match (open, is_letter) {
            (None, true) => open = Some(at),
            (Some(from), false) => {
                found.push((from, at));
                open = None;
            }
            _ => {}
        }
    }
    if let Some(from) = open {
        found.push((from, text.len()));
    }
    found
}

/// The entries of a column or table list; tables named in `unknown` are no collections.
fn named(list: &str, unknown: &[&str]) -> Result<Vec<Named>, String> {
    const JOINS: [&str; 8] = [
        "left", "right", "full", "inner", "outer", "cross", "natural", "join",
    ];
    const CONDITIONS: [&str; 2] = ["on", "using"];
    let mut all = Vec::new();
    for entry in split_top(list, ',').unwrap_or_default() {
        // Entries of a table list may be joined; a condition ends what is named.
        let mut parts: Vec<&str> = Vec::new();
        let mut in_condition = false;
        for part in split_words(entry) {
            let is_any = |names: &[&str]| names.iter().any(|name| part.eq_ignore_ascii_case(name));
            if is_any(&JOINS) {
                push_named(&mut all, &parts, unknown)?;
                parts.clear();
                in_condition = false;
            } else if is_any(&CONDITIONS) {
                in_condition = true;
            } else if !in_condition {
                parts.push(part);
            }
        }
        push_named(&mut all, &parts, unknown)?;
    }
    Ok(all)
}

fn push_named(all: &mut Vec<Named>, parts: &[&str], unknown: &[&str]) -> Result<(), String> {
    let (original, alias) = match parts {
        [] => return Ok(()),
        [only] => {
            let last = split_top(only, '.').and_then(|path| path.last().copied());
            (*only, last.unwrap_or(only))
        }
        [_, second, ..]
            if ["union", "except", "intersect"]
                .iter()
                .any(|w| second.eq_ignore_ascii_case(w)) =>
        {
            return Err(format!(
                "invalid identifier part - expected \"as\", got {second}"
            ));
        }
        [original, alias] => (*original, *alias),
        [original, word, alias] if word.eq_ignore_ascii_case("as") => (*original, *alias),
        [_, word, _] => {
            return Err(format!(
                "invalid identifier part - expected \"as\", got {word}"
            ));
        }
        _ => return Err(format!("invalid identifier parts [{}]", parts.join(" "))),
    };
    let known = !unknown.contains(&original);
    all.push(Named {
        original: if known {
            original.to_owned()
        } else {
            String::new()
        },
        alias: unquote(alias).to_owned(),
    });
    Ok(())
}

/// Parts between white space outside quotes and parentheses.
fn split_words(text: &str) -> Vec<&str> {
    let mut parts = Vec::new();
    let mut from: Option<usize> = None;
    let mut scan = Scan::new(text);
    while let Some(Some((at, c))) = scan.next_plain() {
        if c.is_whitespace() && scan.depth == 0 {
            if let Some(start) = from.take() {
                parts.push(&text[start..at]);
            }
        } else if from.is_none() {
            from = Some(at);
        }
    }
    if let Some(start) = from {
        parts.push(&text[start..]);
    }
    parts
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kit::time::Timestamp;
    use crate::schema::system;
    use std::sync::Arc;

    fn schema() -> Schema {
        let all = system::fresh(Timestamp::from_millis(0));
        Schema::new(1, all.into_iter().map(Arc::new).collect())
    }

    fn inferred(query: &str, names: &[&str]) -> String {
        let names: Vec<String> = names.iter().map(|&name| name.to_owned()).collect();
        let fields = ViewQuery::parse(query).unwrap().infer(&names, &schema());
        let shown: Vec<String> = fields
            .iter()
            .map(|field| format!("{}:{}", field.name, field.kind.name()))
            .collect();
        shown.join(" ")
    }

    #[test]
    fn kinds_come_from_the_words() {
        for (query, names, expected) in [
            (
                "select id, (email) from users",
                &["id", "email"][..],
                "id:text email:json",
            ),
            (
                "select id, count(id) as c, total(x) tt, cast(name as int) n, cast(name as text) t, cast(name as varchar) v from users",
                &["id", "c", "tt", "n", "t", "v"],
                "id:text c:number tt:number n:number t:text v:json",
            ),
            (
                "with a as (select id, email from users) select id,email from a",
                &["id", "email"],
                "id:text email:json",
            ),
            (
                "select u.id, u.name, x.id as xid, x.email e from users u left join users x on x.id=u.id",
                &["id", "name", "xid", "e"],
                "id:text name:text xid:relation e:email",
            ),
            (
                "select `users`.`id`, [users].[email] as x, \"users\".\"name\" from users where 1",
                &["id", "x", "name"],
                "id:text x:email name:text",
            ),
            (
                "select (row_number() over()) as id, name from users;",
                &["id", "name"],
                "id:text name:text",
            ),
            (
                "select id, main.users.name from users",
                &["id", "name"],
                "id:text name:json",
            ),
        ] {
            assert_eq!(inferred(query, names), expected, "{query}");
        }
    }

    #[test]
    fn broken_queries_say_why() {
        for (query, expected) in [
            ("select 1 as id; select 2", "multiple statements"),
            ("select *, id from users", "wildcard columns"),
            ("select u.id, u.* from users u", "wildcard columns"),
            (
                "select id, COUNT (id) as c from users",
                "invalid identifier parts [COUNT (id) as c]",
            ),
            (
                "select id from users union select id from users",
                "expected \"as\", got union",
            ),
            ("select id from users) --", "unbalanced"),
        ] {
            let error = ViewQuery::parse(query).unwrap_err();
            assert!(error.contains(expected), "{query}: {error}");
        }
    }

    #[test]
    fn computing_from_hidden_fields_is_found() {
        let leak = |query: &str, names: &[&str]| {
            let names: Vec<String> = names.iter().map(|&name| name.to_owned()).collect();
            let query = ViewQuery::parse(query).unwrap();
            query.leaks(&query.infer(&names, &schema()), &schema())
        };
        assert_eq!(
            leak("select id, password from users", &["id", "password"]),
            None
        );
        assert_eq!(
            leak("select id, password as p from users", &["id", "p"]),
            None
        );
        assert!(leak("select id, lower(password) as p from users", &["id", "p"]).is_some());
        assert!(leak("select id, lower(PASSWORD) as p from USERS", &["id", "p"]).is_some());
        assert_eq!(
            leak("select id, Password as p from users", &["id", "p"]),
            None
        );
        assert!(
            leak(
                "with a as (select id, tokenKey as k from users) select id, k from a",
                &["id", "k"]
            )
            .is_some()
        );
        assert_eq!(
            leak(
                "select id, name from users where password != ''",
                &["id", "name"]
            ),
            None
        );
    }
}
