//! The targets of `fuzz` without its engine: inputs of the corpus, changed at random. Some hundred each here;
//! `BURROW_FUZZ=1000000` makes it as many, `BURROW_FUZZ_TARGET` names one.

#[path = "../../fuzz/src/lib.rs"]
mod targets;

use std::path::Path;
use std::time::Instant;

use burrow::kit::id;

#[expect(
    clippy::disallowed_methods,
    reason = "how long a test runs is no setting of the product"
)]
fn wish(name: &str) -> Option<String> {
    std::env::var(name).ok()
}

/// Pieces that parsers look for.
const PIECES: [&[u8]; 40] = [
    b"&&",
    b"||",
    b"(",
    b")",
    b"?=",
    b"!~",
    b">=",
    b"'",
    b"\"",
    b"\\",
    b"@request.auth.id",
    b"@now",
    b"@collection.posts.id",
    b"title",
    b"owner.name",
    b"tags:each",
    b"any.a.0",
    b":lower",
    b":length",
    b":isset",
    b"geoDistance(",
    b"strftime('%Y',",
    b"null",
    b"true",
    b"1e309",
    b"-0",
    b"\xff",
    b"\0",
    b"\xf0\x9f\x90\x9a",
    b"--XX\r\n",
    b"Content-Disposition: form-data; name=\"a\"; filename=\"b\"\r\n\r\n",
    b"\r\n",
    b"--",
    b"{\"",
    b"[[[[",
    b"eyJhbGciOiJub25lIn0.",
    b".",
    b"../",
    b"PK\x03\x04",
    b"@jsonPayload",
];

fn below(bound: usize) -> usize {
    usize::try_from(id::below(u32::try_from(bound).unwrap_or(u32::MAX))).unwrap_or(0)
}

/// `seed` with some changes.
fn changed(seed: &[u8], other: &[u8]) -> Vec<u8> {
    let mut data = seed.to_vec();
    for _ in 0..1 + below(4) {
        let at = below(data.len() + 1);
        match below(7) {
            0 if !data.is_empty() => {
                let at = at.min(data.len() - 1);
                data[at] ^= 1 << below(8);
            }
            1 if !data.is_empty() => {
                let end = (at + below(8)).min(data.len());
                data.drain(at.min(end)..end);
            }
            2 if !data.is_empty() => {
                let end = (at + below(32)).min(data.len());
                let piece = data[at.min(end)..end].to_vec();
                data.splice(at..at, piece);
            }
            3 if !other.is_empty() => {
                let from = below(other.len());
                data.truncate(at);
                data.extend_from_slice(&other[from..]);
            }
            4 => data.truncate(at),
            5 => data.insert(at, id::below(256).to_le_bytes()[0]),
            _ => {
                data.splice(at..at, PIECES[below(PIECES.len())].iter().copied());
            }
        }
    }
    data.truncate(64 << 10);
    data
}

fn seeds(name: &str) -> Vec<Vec<u8>> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("fuzz/corpus")
        .join(name);
    let files = std::fs::read_dir(folder).unwrap().flatten();
    let seeds: Vec<_> = files
        .map(|file| std::fs::read(file.path()).unwrap())
        .collect();
    assert!(!seeds.is_empty(), "{name} has no corpus");
    seeds
}

#[test]
fn no_input_breaks_what_parsers_promise() {
    let wanted = wish("BURROW_FUZZ").and_then(|text| text.parse().ok());
    let only = wish("BURROW_FUZZ_TARGET");
    for (name, target) in targets::TARGETS {
        if only.as_ref().is_some_and(|only| only != name) {
            continue;
        }
        // What touches the disk or decodes pictures takes long.
        let usual = if ["schema_import", "archive", "thumb"].contains(&name) {
            150
        } else {
            1_500
        };
        let runs = wanted.unwrap_or(usual);
        let mut corpus = seeds(name);
        let begun = Instant::now();
        for run in 0..runs {
            let (seed, other) = (below(corpus.len()), below(corpus.len()));
            let input = if run < corpus.len() {
                corpus[run].clone()
            } else {
                changed(&corpus[seed], &corpus[other])
            };
            let outcome = std::panic::catch_unwind(|| target(&input));
            assert!(
                outcome.is_ok(),
                "{name} broke on {:?}",
                String::from_utf8_lossy(&input)
            );
            // Now and then a change is built upon, so that inputs wander off.
            if below(50) == 0 && corpus.len() < 400 {
                corpus.push(input);
            }
        }
        eprintln!("{name}: {runs} inputs in {:?}", begun.elapsed());
    }
}
