//! The directory of static files: which file a path means. Nothing outside the directory is ever opened, whatever the
//! path or a link in the directory says.

use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};

use percent_encoding::percent_decode_str;

use super::{Blob, Content};

/// What a path of the public directory means.
#[derive(Debug)]
pub enum Found {
    /// A file, with the type that its name tells.
    File(Blob),
    /// The same thing has another, canonical path.
    Moved(String),
    /// Nothing.
    Missing,
}

/// Looks up the path of a URL, still encoded, under `root`. With `fallback` what is missing is the root's `index.html`.
///
/// # Errors
/// When a file that is there cannot be opened.
pub fn find(root: &Path, path: &str, fallback: bool) -> io::Result<Found> {
    match lookup(root, path)? {
        Found::Missing if fallback => open(root, &root.join("index.html")),
        found => Ok(found),
    }
}

fn lookup(root: &Path, path: &str) -> io::Result<Found> {
    let Some(relative) = relative(path) else {
        return Ok(Found::Missing);
    };
    if let Some(directory) = path.strip_suffix("/index.html") {
        return Ok(match open(root, &root.join(&relative))? {
            Found::File(_) => Found::Moved(format!("{directory}/")),
            other => other,
        });
    }
    let target = root.join(&relative);
    let slash = path.ends_with('/');
    match std::fs::metadata(&target) {
        Ok(meta) if meta.is_dir() && !slash => Ok(Found::Moved(format!("{path}/"))),
        Ok(meta) if meta.is_dir() => open(root, &target.join("index.html")),
        Ok(_) if slash => Ok(Found::Moved(path.trim_end_matches('/').to_owned())),
        Ok(_) => open(root, &target),
        Err(_) => Ok(Found::Missing),
    }
}

/// The path below the root that a URL's path means; `None` when it could mean anything else.
fn relative(path: &str) -> Option<PathBuf> {
    let inner = path.strip_prefix('/')?;
    let inner = inner.strip_suffix('/').unwrap_or(inner);
    let mut relative = PathBuf::new();
    if inner.is_empty() {
        return Some(relative);
    }
    for segment in inner.split('/') {
        let segment = percent_decode_str(segment).decode_utf8().ok()?;
        // What begins with a dot is somebody's settings or history, but for what is meant to be found.
        let plain = !segment.is_empty()
            && (!segment.starts_with('.') || segment == ".well-known")
            && !segment.contains(['/', '\\', '\0', ':']);
        if !plain {
            return None;
        }
        relative.push(segment.as_ref());
    }
    Some(relative)
}

/// Opens a file, if it is one and lies under `root` after every link was followed.
fn open(root: &Path, target: &Path) -> io::Result<Found> {
    let (Ok(root), Ok(real)) = (root.canonicalize(), target.canonicalize()) else {
        return Ok(Found::Missing);
    };
    if !real.starts_with(&root) {
        return Ok(Found::Missing);
    }
    let file = File::open(&real)?;
    let meta = file.metadata()?;
    if !meta.is_file() {
        return Ok(Found::Missing);
    }
    Ok(Found::File(Blob {
        size: meta.len(),
        modified: meta.modified()?,
        mime: mime_of(&real).to_owned(),
        content: Content::File(file),
    }))
}

/// Whether a file of that path has its content's hash in its name, as build tools (Vite, Rollup, webpack, esbuild) put it
/// into the folders that they keep for such files: `assets/index-B7xk2_Qz.js`, `static/js/main.8f3ab21c.js`. Elsewhere a
/// name that only looks like it proves nothing.
#[must_use]
pub fn is_named_after_content(path: &str) -> bool {
    const FOLDERS: [&str; 4] = ["assets", "static", "immutable", "_astro"];
    let mut segments = path.rsplit('/');
    let name = segments.next().unwrap_or("");
    let mut parts: Vec<_> = name.split('.').collect();
    parts.pop();
    segments.any(|folder| FOLDERS.contains(&folder)) && parts.into_iter().any(ends_in_hash)
}

/// Whether a part of a name is a hash, or ends in one behind a dash. A word or a date is none: a hash has hexadecimal
/// digits of both kinds, or capitals and digits mixed in.
fn ends_in_hash(part: &str) -> bool {
    const CHARS_MIN: usize = 8;
    let Some((before, tail)) = part
        .len()
        .checked_sub(CHARS_MIN)
        .and_then(|at| part.split_at_checked(at))
    else {
        return false;
    };
    let all = |is: fn(u8) -> bool| tail.bytes().all(is);
    let hex =
        all(|b| b.is_ascii_digit() || matches!(b, b'a'..=b'f')) && !all(|b| b.is_ascii_digit());
    let mixed = all(|b| b.is_ascii_alphanumeric() || b == b'_' || b == b'-')
        && tail.bytes().skip(1).any(|b| b.is_ascii_uppercase());
    let set_off = match before.bytes().last() {
        None | Some(b'-') => true,
        Some(b) => hex && b.is_ascii_hexdigit(),
    };
    (hex || mixed) && set_off && tail.bytes().any(|b| b.is_ascii_digit())
}

/// The type that a name's extension tells.
#[must_use]
pub fn mime_of(path: &Path) -> &'static str {
    const TYPES: &[(&str, &str)] = &[
        ("html", "text/html; charset=utf-8"),
        ("htm", "text/html; charset=utf-8"),
        ("css", "text/css; charset=utf-8"),
        ("js", "text/javascript; charset=utf-8"),
        ("mjs", "text/javascript; charset=utf-8"),
        ("json", "application/json"),
        ("map", "application/json"),
        ("webmanifest", "application/manifest+json"),
        ("xml", "text/xml; charset=utf-8"),
        ("txt", "text/plain; charset=utf-8"),
        ("md", "text/markdown; charset=utf-8"),
        ("csv", "text/csv; charset=utf-8"),
        ("svg", "image/svg+xml"),
        ("png", "image/png"),
        ("jpg", "image/jpeg"),
        ("jpeg", "image/jpeg"),
        ("gif", "image/gif"),
        ("webp", "image/webp"),
        ("avif", "image/avif"),
        ("ico", "image/x-icon"),
        ("bmp", "image/bmp"),
        ("woff", "font/woff"),
        ("woff2", "font/woff2"),
        ("ttf", "font/ttf"),
        ("otf", "font/otf"),
        ("wasm", "application/wasm"),
        ("pdf", "application/pdf"),
        ("zip", "application/zip"),
        ("gz", "application/gzip"),
        ("mp3", "audio/mpeg"),
        ("ogg", "audio/ogg"),
        ("wav", "audio/wav"),
        ("mp4", "video/mp4"),
        ("webm", "video/webm"),
        ("mov", "video/quicktime"),
    ];
    let extension = path.extension().and_then(|e| e.to_str()).unwrap_or("");
    TYPES
        .iter()
        .find(|(known, _)| known.eq_ignore_ascii_case(extension))
        .map_or("application/octet-stream", |(_, mime)| mime)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_names_with_a_hash_in_a_build_folder_are_named_after_their_content() {
        for (path, expected) in [
            ("/assets/index-B7xk2_Qz.js", true),
            ("/assets/a-b-c-D3n-x_8Q.css", true),
            ("/static/js/main.8f3ab21c.js", true),
            ("/static/js/main.8f3ab21c.chunk.js", true),
            ("/_app/immutable/entry/start.DQf3kz1_.js", true),
            ("/assets/index.js", false),
            ("/assets/my-component.js", false),
            ("/assets/photo-20240101.jpg", false),
            ("/assets/logo-Version2.png", false),
            ("/static/main.8f3ab21c0d9e8f7a6b5c.js", true),
            ("/index-B7xk2_Qz.js", false),
            ("/assets/", false),
            ("/assets/\u{e9}\u{e9}\u{e9}\u{e9}\u{e9}1.js", false),
            ("/assets/noextension1", false),
        ] {
            assert_eq!(is_named_after_content(path), expected, "{path}");
        }
    }

    #[test]
    fn only_plain_segments_are_paths() {
        for (path, expected) in [
            ("/", Some("")),
            ("/a/b.txt", Some("a/b.txt")),
            ("/a%20b/", Some("a b")),
            ("/..", None),
            ("/%2e%2e/x", None),
            ("/a/%2fetc", None),
            ("/a//b", None),
            ("//evil.com", None),
            ("/%5cevil.com", None),
            ("/a%00", None),
            ("/./a", None),
            ("/c:/x", None),
            ("/%ff", None),
        ] {
            assert_eq!(relative(path), expected.map(PathBuf::from), "{path}");
        }
    }
}
