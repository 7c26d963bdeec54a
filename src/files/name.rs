//! Names under which uploads are stored (contract 6.2): ASCII only, unguessable, never a path.

use crate::kit::id;

/// Bytes of a client's name that are looked at, counted from its end.
const CLIENT_NAME_BYTES: usize = 300;
/// Most characters of the base before the random part.
const BASE_CHARS_MAX: usize = 100;
/// Bases shorter than this get [`RANDOM_CHARS`] further characters.
const BASE_CHARS_MIN: usize = 3;
/// Most characters of the extension after its dot; the last ones stay.
const EXTENSION_CHARS_MAX: usize = 20;
/// Random characters of each stored name.
const RANDOM_CHARS: usize = 10;

/// The stored name for a file that a client called `client`: `sniffed` is the extension (with its dot, or empty)
/// used when the name has none.
#[must_use]
pub fn stored_name(client: &str, sniffed: &str) -> String {
    let name = last_bytes(base_name(client), CLIENT_NAME_BYTES);
    let (base, extension) = split_extension(name);
    let extension = match clean_extension(extension) {
        cleaned if cleaned.is_empty() => sniffed.to_owned(),
        cleaned => cleaned,
    };
    let mut out = snake_case(base);
    if out.len() < BASE_CHARS_MIN {
        out.push_str(&id::random(RANDOM_CHARS, id::LOWER_ALNUM));
    }
    out.truncate(BASE_CHARS_MAX);
    out.push('_');
    out.push_str(&id::random(RANDOM_CHARS, id::LOWER_ALNUM));
    out.push_str(&extension);
    out
}

/// The part of a client's file name after its directories.
#[must_use]
pub fn base_name(client: &str) -> &str {
    let trimmed = client.trim_end_matches('/');
    trimmed.rsplit('/').next().unwrap_or(trimmed)
}

fn last_bytes(name: &str, most: usize) -> &str {
    let mut from = name.len().saturating_sub(most);
    while !name.is_char_boundary(from) {
        from += 1;
    }
    &name[from..]
}

/// Splits before the last two dots: `a.b.c.d` is `a.b` and `.c.d`.
fn split_extension(name: &str) -> (&str, &str) {
    let Some(last) = name.rfind('.') else {
        return (name, "");
    };
    let at = name[..last].rfind('.').unwrap_or(last);
    name.split_at(at)
}

fn clean_extension(extension: &str) -> String {
    let mut out = String::new();
    for part in extension.split('.') {
        let kept: String = part.chars().filter(|c| is_extension_char(*c)).collect();
        if !kept.is_empty() {
            out.push('.');
            out.push_str(&kept);
        }
    }
    if out.len() > EXTENSION_CHARS_MAX + 1 {
        // Cleaned text is ASCII, so any cut is between characters.
        let tail = out.split_off(out.len() - EXTENSION_CHARS_MAX);
        return format!(".{}", tail.trim_start_matches('.'));
    }
    out
}

fn is_extension_char(c: char) -> bool {
    c.is_ascii_alphanumeric() || matches!(c, '_' | '*' | '+' | '=' | '#' | '-')
}

fn snake_case(base: &str) -> String {
    let mut out = String::with_capacity(base.len() + 4);
    let mut after_upper = false;
    let mut gap = false;
    for c in base.chars() {
        if !c.is_ascii_alphanumeric() {
            gap = true;
            after_upper = false;
            continue;
        }
        let upper = c.is_ascii_uppercase();
        if !out.is_empty() && (gap || (upper && !after_upper)) {
            out.push('_');
        }
        out.push(c.to_ascii_lowercase());
        gap = false;
        after_upper = upper;
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `*` in `pattern` stands for ten random characters.
    fn matches(stored: &str, pattern: &str) -> bool {
        let mut rest = stored;
        for (i, literal) in pattern.split('*').enumerate() {
            if i > 0 {
                let Some((random, tail)) = rest.split_at_checked(RANDOM_CHARS) else {
                    return false;
                };
                if !random.bytes().all(|b| id::LOWER_ALNUM.contains(&b)) {
                    return false;
                }
                rest = tail;
            }
            let Some(tail) = rest.strip_prefix(literal) else {
                return false;
            };
            rest = tail;
        }
        rest.is_empty()
    }

    #[test]
    fn stored_names_are_the_contracts() {
        for (client, pattern) in [
            ("Test File (1).TXT", "test_file_1_*.TXT"),
            ("a.txt", "a*_*.txt"),
            ("no_ext", "no_ext_*.txt"),
            ("x.tar.gz", "x*_*.tar.gz"),
            ("a.b.c.d", "a_b_*.c.d"),
            (".hidden", "*_*.hidden"),
            ("\u{65e5}\u{672c}\u{8a9e}.png", "*_*.png"),
            ("v1.2 final.txt", "v1*_*.2final.txt"),
            ("a..txt", "a*_*.txt"),
            ("abc.", "abc_*.txt"),
            ("...", "*_*.txt"),
            ("a b.c d.e f", "a_b_*.cd.ef"),
            ("HelloWorldABCTest-v2.md", "hello_world_abctest_v2_*.md"),
            ("A1B2.x", "a1_b2_*.x"),
            ("aB.x", "a_b_*.x"),
            ("\u{dc}n\u{ef}code name.x", "n_code_name_*.x"),
            ("../../etc/passwd", "passwd_*.txt"),
            ("..\\evil.txt", "*_*.evil.txt"),
            ("C:\\x\\y.txt", "c_x_y_*.txt"),
            ("a/b.txt/", "b*_*.txt"),
            ("foo.a.@@", "foo_*.a"),
            ("foo.\u{e9}.txt", "foo_*.txt"),
            ("foo.txt..", "foo_txt_*.txt"),
            ("foo.-", "foo_*.-"),
            (
                "foo.yyyyyyyyyyyyyyyyyyyyyyyyyyyyyy",
                "foo_*.yyyyyyyyyyyyyyyyyyyy",
            ),
            (
                "foo.aaaaaaaaaaaaaaa.bbbbbbbbbbbbbbbb",
                "foo_*.aaa.bbbbbbbbbbbbbbbb",
            ),
            ("nul\0.txt", "nul_*.txt"),
            ("\u{202e}gpj.exe", "gpj_*.exe"),
        ] {
            let stored = stored_name(client, ".txt");
            assert!(
                matches(&stored, pattern),
                "{client:?} became {stored:?}, not {pattern:?}"
            );
        }
    }

    #[test]
    fn long_names_are_cut() {
        let stored = stored_name(&format!("{}.txt", "x".repeat(5_000)), "");
        assert_eq!(stored.len(), BASE_CHARS_MAX + 1 + RANDOM_CHARS + 4);
        let umlauts = stored_name(&"\u{e4}".repeat(5_000), "");
        assert_eq!(umlauts.len(), 2 * RANDOM_CHARS + 1);
    }
}
