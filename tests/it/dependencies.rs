//! What the product is made of: licences that may be given on, none of what is banned, one version of what is large, and
//! unsafe code in one file only. Known vulnerabilities are looked up where there is a network, at release.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::process::Command;

use serde_json::Value as Json;

/// Licences that ask for no more than to be named.
const LICENCES: [&str; 14] = [
    "0BSD",
    "Apache-2.0",
    "Apache-2.0 WITH LLVM-exception",
    "BSD-2-Clause",
    "BSD-3-Clause",
    "BSL-1.0",
    "CC0-1.0",
    "CDLA-Permissive-2.0",
    "ISC",
    "MIT",
    "MPL-2.0",
    "Unicode-3.0",
    "Unlicense",
    "Zlib",
];

/// Never: what needs libraries of the system, and what has a better successor here.
const BANNED: [&str; 5] = ["openssl", "openssl-sys", "native-tls", "reqwest", "failure"];

/// Large, or such that two versions of them would not understand each other.
const ONCE: [&str; 11] = [
    "axum",
    "hyper",
    "image",
    "jsonwebtoken",
    "libsqlite3-sys",
    "regex",
    "rusqlite",
    "rustls",
    "serde",
    "tokio",
    "tungstenite",
];

/// Versions before these have known holes.
const FLOORS: [(&str, [u64; 3]); 11] = [
    ("bcrypt", [0, 19, 2]),
    ("bytes", [1, 11, 1]),
    ("h2", [0, 4, 16]),
    ("idna", [1, 0, 3]),
    ("jsonwebtoken", [10, 3, 0]),
    ("postgres-protocol", [0, 6, 12]),
    ("rustls", [0, 23, 18]),
    ("time", [0, 3, 47]),
    ("tokio-postgres", [0, 7, 18]),
    ("tracing-subscriber", [0, 3, 20]),
    ("zip", [2, 3, 0]),
];

/// Name, version and licence of each package that the product itself is made of, on any system.
fn packages() -> Vec<(String, String, String)> {
    let output = Command::new(env!("CARGO"))
        .args(["metadata", "--format-version", "1", "--locked"])
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .output()
        .unwrap();
    let complaint = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{complaint}");
    let all: Json = serde_json::from_slice(&output.stdout).unwrap();
    let nodes: BTreeMap<&str, &Json> = all["resolve"]["nodes"]
        .as_array()
        .unwrap()
        .iter()
        .map(|node| (node["id"].as_str().unwrap(), node))
        .collect();
    let mut used = BTreeSet::new();
    let mut waiting = vec![all["resolve"]["root"].as_str().unwrap()];
    while let Some(id) = waiting.pop() {
        if !used.insert(id) {
            continue;
        }
        for dependency in nodes[id]["deps"].as_array().unwrap() {
            let kinds = dependency["dep_kinds"].as_array().unwrap();
            if kinds.iter().any(|kind| kind["kind"] != "dev") {
                waiting.push(dependency["pkg"].as_str().unwrap());
            }
        }
    }
    let text = |package: &Json, key: &str| package[key].as_str().unwrap_or("").to_owned();
    all["packages"]
        .as_array()
        .unwrap()
        .iter()
        .filter(|package| used.contains(package["id"].as_str().unwrap()))
        .map(|package| {
            (
                text(package, "name"),
                text(package, "version"),
                text(package, "license"),
            )
        })
        .collect()
}

/// Whether one of the alternatives of a licence expression may be chosen.
fn may_be_used(licence: &str) -> bool {
    let plain = licence.replace(['(', ')'], "").replace('/', " OR ");
    plain.split(" OR ").any(|choice| {
        choice
            .split(" AND ")
            .all(|part| LICENCES.contains(&part.trim()))
    })
}

#[test]
fn licences_bans_and_versions() {
    let packages = packages();
    assert!(packages.len() > 50);
    let mut versions: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    let mut wrong = Vec::new();
    for (name, version, licence) in &packages {
        if !may_be_used(licence) {
            wrong.push(format!("{name} {version}: licence {licence:?}"));
        }
        if BANNED.contains(&name.as_str()) {
            wrong.push(format!("{name} {version} is banned"));
        }
        versions.entry(name).or_default().push(version);
    }
    for name in ONCE {
        let found = versions.get(name).cloned().unwrap_or_default();
        if found.len() != 1 {
            wrong.push(format!("{name} is there as {found:?}"));
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn versions_with_known_holes_are_not_used() {
    for (name, version, _) in packages() {
        let Some((_, floor)) = FLOORS.iter().find(|(known, _)| *known == name) else {
            continue;
        };
        let plain = version.split(['-', '+']).next().unwrap_or("");
        let numbers: Vec<u64> = plain.split('.').map(|part| part.parse().unwrap()).collect();
        assert!(numbers.as_slice() >= floor.as_slice(), "{name} {version}");
    }
    let sqlite: Vec<u64> = rusqlite::version()
        .split('.')
        .map(|part| part.parse().unwrap())
        .collect();
    assert!(sqlite >= vec![3, 53, 2], "{sqlite:?}");
}

#[test]
fn every_dependency_was_taken_for_a_reason() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let reasons = std::fs::read_to_string(root.join("docs/dependencies.md")).unwrap();
    let manifest = std::fs::read_to_string(root.join("Cargo.toml")).unwrap();
    let is_part = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
    let words: BTreeSet<&str> = reasons.split(|c| !is_part(c)).collect();
    let lines = manifest
        .lines()
        .skip_while(|line| *line != "[dependencies]");
    let without: Vec<&str> = lines
        .take_while(|line| !line.starts_with("[lints"))
        .filter_map(|line| line.split_once(" = "))
        .map(|(name, _)| name)
        .filter(|name| !words.contains(name))
        .collect();
    assert!(
        without.is_empty(),
        "no reason in docs/dependencies.md: {without:?}"
    );
}

#[test]
fn unsafe_code_is_in_one_file() {
    let mut folders = vec![Path::new(env!("CARGO_MANIFEST_DIR")).join("src")];
    let mut found = Vec::new();
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap().flatten() {
            let path = entry.path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|ending| ending == "rs") {
                let text = std::fs::read_to_string(&path).unwrap();
                // The lint denies it everywhere; what lifts the lint has to name it.
                if text.contains("unsafe_code") {
                    found.push(path.file_name().unwrap().to_string_lossy().into_owned());
                }
            }
        }
    }
    assert_eq!(found, ["vfs.rs"]);
}
