//! Where one statement of a text ends and the next begins, as PostgreSQL reads it: inside of quotes, dollar quotes and
//! comments a semicolon is a letter like any other.

/// The statements of `text`, without their semicolons; those that are empty are left out.
pub(super) fn split(text: &str) -> Vec<&str> {
    let mut statements = Vec::new();
    let (mut begun, mut at) = (0, 0);
    while at < text.len() {
        let rest = &text[at..];
        if rest.starts_with(';') {
            statements.push(&text[begun..at]);
            at += 1;
            begun = at;
            continue;
        }
        at += skipped(&text[..at], rest);
    }
    statements.push(&text[begun..]);
    statements.retain(|statement| !is_empty(statement));
    statements
}

/// Bytes of what `rest` begins with as a whole; `before` is what stands in front of it.
fn skipped(before: &str, rest: &str) -> usize {
    let first = rest.chars().next().map_or(1, char::len_utf8);
    if rest.starts_with("--") {
        return rest.find('\n').unwrap_or(rest.len());
    }
    if rest.starts_with("/*") {
        return comment(rest);
    }
    if rest.starts_with('\'') {
        let mut letters = before.chars().rev();
        // E'...' has escapes, where the E is no end of a name.
        let escapes = matches!(letters.next(), Some('e' | 'E'))
            && !letters
                .next()
                .is_some_and(|c| c.is_alphanumeric() || c == '_');
        return quoted(rest, b'\'', escapes);
    }
    if rest.starts_with('"') {
        return quoted(rest, b'"', false);
    }
    let in_name = before
        .chars()
        .next_back()
        .is_some_and(|c| c.is_alphanumeric() || c == '_' || c == '$');
    if rest.starts_with('$')
        && !in_name
        && let Some(tag) = tag(rest)
    {
        let inner = &rest[tag.len()..];
        return inner
            .find(tag)
            .map_or(rest.len(), |end| 2 * tag.len() + end);
    }
    first
}

fn quoted(rest: &str, quote: u8, escapes: bool) -> usize {
    let bytes = rest.as_bytes();
    let mut at = 1;
    while at < bytes.len() {
        if escapes && bytes[at] == b'\\' {
            at += 1;
        } else if bytes[at] == quote {
            return at + 1;
        }
        at += 1;
    }
    bytes.len()
}

/// Comments may hold comments.
fn comment(rest: &str) -> usize {
    let bytes = rest.as_bytes();
    let (mut depth, mut at) = (0, 0);
    while at < bytes.len() {
        match bytes.get(at..at + 2) {
            Some(b"/*") => {
                depth += 1;
                at += 2;
            }
            Some(b"*/") => {
                depth -= 1;
                at += 2;
                if depth == 0 {
                    return at;
                }
            }
            _ => at += 1,
        }
    }
    bytes.len()
}

/// `$$` or `$name$`.
fn tag(rest: &str) -> Option<&str> {
    let name = rest[1..]
        .find(|c: char| !(c.is_alphanumeric() || c == '_'))
        .map(|end| &rest[1..=end])?;
    let ends = rest[1 + name.len()..].starts_with('$');
    let digit = name.chars().next().is_some_and(|c| c.is_ascii_digit());
    (ends && !digit).then(|| &rest[..name.len() + 2])
}

fn is_empty(statement: &str) -> bool {
    let mut at = 0;
    while at < statement.len() {
        let rest = &statement[at..];
        if !rest.starts_with(char::is_whitespace)
            && !rest.starts_with("--")
            && !rest.starts_with("/*")
        {
            return false;
        }
        at += skipped("", rest);
    }
    true
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn semicolons_end_statements_where_they_are_no_text() {
        for (text, statements) in [
            ("", vec![]),
            (" ; -- x;\n ;", vec![]),
            ("SELECT 1", vec!["SELECT 1"]),
            ("SELECT 1;SELECT 2;", vec!["SELECT 1", "SELECT 2"]),
            ("SELECT ';''a;';B", vec!["SELECT ';''a;'", "B"]),
            ("SELECT E'\\';'; B", vec!["SELECT E'\\';'", " B"]),
            ("SELECT te'\\'; B", vec!["SELECT te'\\'", " B"]),
            ("SELECT \"a;b\"; B", vec!["SELECT \"a;b\"", " B"]),
            ("DO $$ a; b $$; B", vec!["DO $$ a; b $$", " B"]),
            ("DO $x$ $$;$$ $x$; B", vec!["DO $x$ $$;$$ $x$", " B"]),
            ("SELECT $1; a$b$; B", vec!["SELECT $1", " a$b$", " B"]),
            (
                "A /* ; /* ; */ ; */ ; B -- ;",
                vec!["A /* ; /* ; */ ; */ ", " B -- ;"],
            ),
            ("SELECT '\u{f6}ffnet", vec!["SELECT '\u{f6}ffnet"]),
            ("$", vec!["$"]),
            ("/*", vec![]),
        ] {
            assert_eq!(split(text), statements, "{text}");
        }
    }
}
