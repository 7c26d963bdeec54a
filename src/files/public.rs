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
