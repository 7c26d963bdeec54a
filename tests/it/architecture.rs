//! The house rules that a program can check: floors look down only, SQL in one room, docs on every module.

use std::fs;
use std::path::{Path, PathBuf};

/// Modules by floor, lowest first: a module may use those of its own floor and below.
const FLOORS: &[&[&str]] = &[
    &["kit"],
    &["call", "expr", "schema"],
    &[
        "bucket", "certs", "config", "files", "mail", "outbound", "store",
    ],
    &["auth", "collections", "ops", "realtime", "records"],
    &["app"],
    &["cli", "http"],
];

/// Uses against the table, each with its reason.
const EXCEPTIONS: &[(&str, &str, &str)] = &[(
    "config",
    "auth",
    "the flag that chooses the hash is read where all flags are",
)];

fn sources() -> Vec<(PathBuf, String)> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut waiting = vec![root.clone()];
    let mut found = Vec::new();
    while let Some(dir) = waiting.pop() {
        for entry in fs::read_dir(dir).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                waiting.push(path);
            } else if path.extension().is_some_and(|e| e == "rs") {
                let text = fs::read_to_string(&path).unwrap();
                found.push((path.strip_prefix(&root).unwrap().to_owned(), text));
            }
        }
    }
    found.sort();
    found
}

/// The module of the first level that a file belongs to.
fn module(path: &Path) -> String {
    let first = path.iter().next().unwrap().to_string_lossy();
    first.trim_end_matches(".rs").to_owned()
}

fn floor(module: &str) -> Option<usize> {
    FLOORS.iter().position(|floor| floor.contains(&module))
}

/// Code without its tests at the foot.
fn code(text: &str) -> &str {
    text.split("#[cfg(test)]").next().unwrap_or(text)
}

/// Modules named after `crate::` in the code, in `use` lines and elsewhere.
fn used(text: &str) -> Vec<String> {
    code(text)
        .match_indices("crate::")
        .flat_map(|(at, found)| {
            let rest = &text[at + found.len()..];
            if let Some(group) = rest.strip_prefix('{') {
                let group = group.split('}').next().unwrap_or("");
                return group
                    .split(',')
                    .map(|name| head(name.trim()))
                    .collect::<Vec<_>>();
            }
            vec![head(rest)]
        })
        .filter(|name| !name.is_empty())
        .collect()
}

fn head(path: &str) -> String {
    path.chars()
        .take_while(|c| c.is_ascii_alphanumeric() || *c == '_')
        .collect()
}

#[test]
fn floors_look_down_only() {
    let mut wrong = Vec::new();
    for (path, text) in sources() {
        let module = module(&path);
        let Some(own) = floor(&module) else {
            assert!(
                module == "lib" || module == "main",
                "{} is on no floor: add it to the table",
                path.display()
            );
            continue;
        };
        for other in used(&text) {
            let excused = EXCEPTIONS
                .iter()
                .any(|(from, to, _)| *from == module && *to == other);
            if floor(&other).is_some_and(|other| other > own) && !excused {
                wrong.push(format!("{} uses {other}", path.display()));
            }
        }
    }
    assert!(wrong.is_empty(), "upward imports:\n{}", wrong.join("\n"));
}

#[test]
fn sql_lives_in_the_store_and_the_compiler() {
    const WORDS: &[&str] = &[
        "\"SELECT ",
        "\"INSERT ",
        "\"UPDATE ",
        "\"DELETE ",
        "\"CREATE TABLE",
        "\"ALTER ",
        "\"DROP ",
        "\"PRAGMA ",
        " FROM \"",
        " WHERE \"",
        "rusqlite::",
        "tokio_postgres::",
    ];
    let mut wrong = Vec::new();
    for (path, text) in sources() {
        let inside = path.starts_with("store")
            || path.starts_with("expr/sql.rs")
            || path.starts_with("expr/sql");
        // The builder shows in its test what it builds.
        let test = path
            .iter()
            .any(|part| part == "tests" || part == "tests.rs");
        if inside || test || path == Path::new("kit/sql.rs") {
            continue;
        }
        for (number, line) in code(&text).lines().enumerate() {
            let comment = line.trim_start().starts_with("//");
            if !comment && WORDS.iter().any(|word| line.contains(word)) {
                wrong.push(format!(
                    "{}:{}: {}",
                    path.display(),
                    number + 1,
                    line.trim()
                ));
            }
        }
    }
    assert!(
        wrong.is_empty(),
        "SQL outside the store:\n{}",
        wrong.join("\n")
    );
}

#[test]
fn every_file_says_what_it_is_for_and_is_ascii() {
    let mut wrong = Vec::new();
    for (path, text) in sources() {
        if !text.starts_with("//!") {
            wrong.push(format!("{}: no //! at the top", path.display()));
        }
        if let Some(line) = text.lines().position(|line| !line.is_ascii()) {
            wrong.push(format!("{}:{}: not ASCII", path.display(), line + 1));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn public_items_have_docs() {
    const ITEMS: &[&str] = &[
        "pub fn ",
        "pub async fn ",
        "pub const fn ",
        "pub struct ",
        "pub enum ",
        "pub trait ",
        "pub type ",
        "pub const ",
        "pub static ",
    ];
    let mut wrong = Vec::new();
    for (path, text) in sources() {
        let lines: Vec<&str> = code(&text).lines().collect();
        for (at, line) in lines.iter().enumerate() {
            if !ITEMS.iter().any(|item| line.trim_start().starts_with(item)) {
                continue;
            }
            let before = above_attributes(&lines[..at]);
            if !before.is_some_and(|line| line.starts_with("///")) {
                wrong.push(format!("{}:{}: {}", path.display(), at + 1, line.trim()));
            }
        }
    }
    assert!(wrong.is_empty(), "no doc sentence:\n{}", wrong.join("\n"));
}

/// The last line that is not part of an attribute.
fn above_attributes<'a>(lines: &[&'a str]) -> Option<&'a str> {
    let mut inside = false;
    lines.iter().rev().map(|line| line.trim()).find(|line| {
        let starts = line.starts_with("#[");
        let skipped = inside || starts || *line == ")]";
        inside = skipped && !starts;
        !skipped
    })
}

#[test]
fn what_the_second_engine_leaves_out_is_there_and_says_why() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it");
    let list = fs::read_to_string(root.join("embedded.txt")).unwrap();
    for line in list.lines().filter(|line| !line.starts_with('#')) {
        let (name, reason) = line.split_once("  ").unwrap_or_else(|| panic!("{line}"));
        assert!(!reason.trim().is_empty(), "{line}");
        let (module, function) = name.rsplit_once("::").unwrap();
        let base = root.join(module.replace("::", "/"));
        let files = [base.with_extension("rs"), base.join("mod.rs")];
        let there = files.iter().any(|file| {
            fs::read_to_string(file).is_ok_and(|text| text.contains(&format!("fn {function}()")))
        });
        assert!(there, "{name} is no test");
    }
}
