//! The register of cases tells the truth: every test that it names is there.

use std::collections::HashSet;
use std::fs;
use std::path::{Path, PathBuf};

/// Names of functions below `folder`.
fn functions(folder: &Path) -> HashSet<String> {
    let mut waiting: Vec<PathBuf> = vec![folder.to_owned()];
    let mut names = HashSet::new();
    while let Some(path) = waiting.pop() {
        if path.is_dir() {
            waiting.extend(
                fs::read_dir(path)
                    .unwrap()
                    .map(|entry| entry.unwrap().path()),
            );
        } else if path.extension().is_some_and(|e| e == "rs") {
            let text = fs::read_to_string(path).unwrap();
            names.extend(text.split("fn ").skip(1).map(|rest| {
                rest.chars()
                    .take_while(|c| c.is_ascii_alphanumeric() || *c == '_')
                    .collect()
            }));
        }
    }
    names
}

/// Titles of the tests with the official SDK.
fn titles(folder: &Path) -> HashSet<String> {
    let files = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap());
    files
        .map(|entry| entry.path())
        .filter(|path| path.to_string_lossy().ends_with(".test.js"))
        .flat_map(|path| {
            let text = fs::read_to_string(path).unwrap();
            let rest = text.split("test(\"").skip(1);
            rest.filter_map(|rest| Some(rest.split_once('"')?.0.to_owned()))
                .collect::<Vec<_>>()
        })
        .collect()
}

#[test]
fn every_test_that_the_register_names_is_there() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut there = functions(&root.join("tests/it"));
    there.extend(functions(&root.join("src")));
    there.extend(titles(&root.join("tests/sdk")));
    let text = fs::read_to_string(root.join("docs/security-cases.md")).unwrap();
    let mut labels = HashSet::new();
    for line in text
        .lines()
        .filter(|line| line.starts_with("| ") && line.contains("**"))
    {
        let cells: Vec<&str> = line.trim_matches('|').split(" | ").map(str::trim).collect();
        assert_eq!(cells.len(), 3, "{line}");
        assert!(labels.insert(cells[0].to_owned()), "twice: {}", cells[0]);
        let reason = cells[2].starts_with("Not yet") || cells[2].starts_with("Nothing");
        let tests: Vec<&str> = if reason {
            Vec::new()
        } else {
            cells[2].split('`').skip(1).step_by(2).collect()
        };
        assert!(
            !tests.is_empty() || reason,
            "neither a test nor a reason: {line}"
        );
        for test in tests {
            let name = test.rsplit("::").next().unwrap();
            assert!(there.contains(name), "{}: there is no {test}", cells[0]);
        }
    }
    assert!(labels.len() > 60, "{}", labels.len());
}
