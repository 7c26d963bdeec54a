//! What a file is, judged by its first bytes alone: the client's type and extension are never believed.
//! The names are the contract's (what the reference stores in its side files and compares with `mimeTypes`).

use serde::de::IgnoredAny;

/// Bytes of a file that are looked at.
pub const HEAD_BYTES: usize = 3072;

/// A recognised kind of content.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Kind {
    /// Media type, with its charset for text.
    pub mime: &'static str,
    /// Usual extension with its dot; empty when there is none.
    pub extension: &'static str,
}

const fn kind(mime: &'static str, extension: &'static str) -> Kind {
    Kind { mime, extension }
}

/// Content that nothing recognises.
pub const UNKNOWN: Kind = kind("application/octet-stream", "");
const PLAIN: Kind = kind("text/plain; charset=utf-8", ".txt");

impl Kind {
    /// Whether the kind is `allowed` (a media type, parameters ignored), by its own name or a known other one.
    #[must_use]
    pub fn is(&self, allowed: &str) -> bool {
        let own = essence(self.mime);
        let allowed = essence(allowed);
        own.eq_ignore_ascii_case(allowed)
            || ALIASES.iter().any(|(name, alias)| {
                own.eq_ignore_ascii_case(name) && allowed.eq_ignore_ascii_case(alias)
            })
    }
}

fn essence(mime: &str) -> &str {
    mime.split(';').next().unwrap_or(mime).trim()
}

/// Other names by which a kind is accepted.
const ALIASES: &[(&str, &str)] = &[
    ("application/pdf", "application/x-pdf"),
    ("application/zip", "application/x-zip"),
    ("application/zip", "application/x-zip-compressed"),
    ("application/gzip", "application/x-gzip"),
    ("application/gzip", "application/x-gunzip"),
    ("application/gzip", "application/gzipped"),
    ("application/gzip", "application/gzip-compressed"),
    ("application/gzip", "application/x-gzip-compressed"),
    ("application/gzip", "gzip/document"),
    ("application/vnd.rar", "application/x-rar-compressed"),
    ("application/vnd.rar", "application/x-rar"),
    ("application/ogg", "application/x-ogg"),
    ("application/vnd.sqlite3", "application/x-sqlite3"),
    ("application/xhtml+xml", "application/xhtml+xml"),
    ("audio/mpeg", "audio/x-mpeg"),
    ("audio/mpeg", "audio/mp3"),
    ("audio/wav", "audio/x-wav"),
    ("audio/wav", "audio/vnd.wave"),
    ("audio/wav", "audio/wave"),
    ("audio/midi", "audio/mid"),
    ("audio/midi", "audio/sp-midi"),
    ("audio/midi", "audio/x-mid"),
    ("audio/midi", "audio/x-midi"),
    ("audio/aiff", "audio/x-aiff"),
    ("image/bmp", "image/x-bmp"),
    ("image/bmp", "image/x-ms-bmp"),
    ("image/vnd.adobe.photoshop", "image/x-psd"),
    ("image/vnd.adobe.photoshop", "application/photoshop"),
    ("text/rtf", "application/rtf"),
    ("text/xml", "application/xml"),
    ("text/x-shellscript", "text/x-sh"),
    ("text/x-shellscript", "application/x-shellscript"),
    ("text/x-shellscript", "application/x-sh"),
    ("text/x-python", "text/x-script.python"),
    ("text/x-python", "application/x-python"),
    ("application/x-subrip", "application/x-srt"),
    ("application/x-subrip", "text/x-srt"),
    ("video/x-msvideo", "video/avi"),
    ("video/x-msvideo", "video/msvideo"),
    ("application/x-elf", "application/x-executable"),
];

/// Kinds known by bytes at a fixed place.
const MAGIC: &[(usize, &[u8], Kind)] = &[
    (0, b"\x89PNG\r\n\x1a\n", kind("image/png", ".png")),
    (0, b"\xff\xd8\xff", kind("image/jpeg", ".jpg")),
    (0, b"GIF87a", kind("image/gif", ".gif")),
    (0, b"GIF89a", kind("image/gif", ".gif")),
    (8, b"WEBP", kind("image/webp", ".webp")),
    (0, b"%PDF-", kind("application/pdf", ".pdf")),
    (0, b"II*\0", kind("image/tiff", ".tiff")),
    (0, b"MM\0*", kind("image/tiff", ".tiff")),
    (0, b"BM", kind("image/bmp", ".bmp")),
    (0, b"\0\0\x01\0", kind("image/x-icon", ".ico")),
    (0, b"8BPS", kind("image/vnd.adobe.photoshop", ".psd")),
    (
        0,
        b"\0\0\0\x0cjP  \r\n\x87\n\0\0\0\x14ftypjp2 ",
        kind("image/jp2", ".jp2"),
    ),
    (0, b"\xff\x0a", kind("image/jxl", ".jxl")),
    (0, b"\0\0\0\x0cJXL \r\n\x87\n", kind("image/jxl", ".jxl")),
    (0, b"\x1f\x8b", kind("application/gzip", ".gz")),
    (0, b"BZh", kind("application/x-bzip2", ".bz2")),
    (0, b"\xfd7zXZ\0", kind("application/x-xz", ".xz")),
    (0, b"(\xb5/\xfd", kind("application/zstd", ".zst")),
    (
        0,
        b"7z\xbc\xaf\x27\x1c",
        kind("application/x-7z-compressed", ".7z"),
    ),
    (0, b"Rar!\x1a\x07", kind("application/vnd.rar", ".rar")),
    (257, b"ustar", kind("application/x-tar", ".tar")),
    (0, b"OggS", kind("application/ogg", ".ogg")),
    (0, b"fLaC\0\0\0\x22", kind("audio/flac", ".flac")),
    (0, b"ID3\x02", kind("audio/mpeg", ".mp3")),
    (0, b"ID3\x03", kind("audio/mpeg", ".mp3")),
    (0, b"ID3\x04", kind("audio/mpeg", ".mp3")),
    (0, b"MThd", kind("audio/midi", ".midi")),
    (0, b"\xff\xf1", kind("audio/aac", ".aac")),
    (0, b"\xff\xf9", kind("audio/aac", ".aac")),
    (8, b"WAVE", kind("audio/wav", ".wav")),
    (8, b"AVI LIST", kind("video/x-msvideo", ".avi")),
    (8, b"AIFF", kind("audio/aiff", ".aiff")),
    (0, b"FLV\x01", kind("video/x-flv", ".flv")),
    (0, b"wOFF", kind("font/woff", ".woff")),
    (0, b"wOF2", kind("font/woff2", ".woff2")),
    (0, b"OTTO", kind("font/otf", ".otf")),
    (0, b"\0\x01\0\0\0", kind("font/ttf", ".ttf")),
    (
        0,
        b"SQLite format 3\0",
        kind("application/vnd.sqlite3", ".sqlite"),
    ),
    (0, b"\x7fELF", kind("application/x-elf", "")),
    (
        0,
        b"MZ",
        kind("application/vnd.microsoft.portable-executable", ".exe"),
    ),
    (0, b"\0asm", kind("application/wasm", ".wasm")),
    (0, b"{\\rtf", kind("text/rtf", ".rtf")),
];

/// Kinds of the ISO media family by their brand.
const BRANDS: &[(&[u8], Kind)] = &[
    (b"avif", kind("image/avif", ".avif")),
    (b"avis", kind("image/avif", ".avif")),
    (b"heic", kind("image/heic", ".heic")),
    (b"heix", kind("image/heic", ".heic")),
    (b"hevc", kind("image/heic-sequence", ".heic")),
    (b"hevx", kind("image/heic-sequence", ".heic")),
    (b"mif1", kind("image/heif", ".heif")),
    (b"msf1", kind("image/heif-sequence", ".heif")),
    (b"qt  ", kind("video/quicktime", ".mov")),
    (b"M4A ", kind("audio/x-m4a", ".m4a")),
    (b"M4V", kind("video/x-m4v", ".m4v")),
    (b"3gp", kind("video/3gpp", ".3gp")),
    (b"3g2", kind("video/3gpp2", ".3g2")),
    (b"", kind("video/mp4", ".mp4")),
];

/// Kinds inside a ZIP, by the beginning of an entry's name.
const ZIP_ENTRIES: &[(&[u8], Kind)] = &[
    (
        b"word/",
        kind(
            "application/vnd.openxmlformats-officedocument.wordprocessingml.document",
            ".docx",
        ),
    ),
    (
        b"xl/",
        kind(
            "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
            ".xlsx",
        ),
    ),
    (
        b"ppt/",
        kind(
            "application/vnd.openxmlformats-officedocument.presentationml.presentation",
            ".pptx",
        ),
    ),
    (
        b"mimetypeapplication/epub+zip",
        kind("application/epub+zip", ".epub"),
    ),
    (
        b"mimetypeapplication/vnd.oasis.opendocument.text",
        kind("application/vnd.oasis.opendocument.text", ".odt"),
    ),
    (
        b"mimetypeapplication/vnd.oasis.opendocument.spreadsheet",
        kind("application/vnd.oasis.opendocument.spreadsheet", ".ods"),
    ),
    (
        b"mimetypeapplication/vnd.oasis.opendocument.presentation",
        kind("application/vnd.oasis.opendocument.presentation", ".odp"),
    ),
    (
        b"AndroidManifest.xml",
        kind("application/vnd.android.package-archive", ".apk"),
    ),
    (b"META-INF/", kind("application/java-archive", ".jar")),
];

/// Tags that make a text HTML.
const HTML_TAGS: &[&str] = &[
    "<!DOCTYPE HTML",
    "<HTML",
    "<HEAD",
    "<SCRIPT",
    "<IFRAME",
    "<H1",
    "<DIV",
    "<FONT",
    "<TABLE",
    "<A",
    "<STYLE",
    "<TITLE",
    "<B",
    "<BODY",
    "<BR",
    "<P",
];

/// Kinds of XML by a tag or namespace in it.
const XML_KINDS: &[(&str, Kind)] = &[
    ("<rss", kind("application/rss+xml", ".rss")),
    (
        "http://www.w3.org/2005/Atom",
        kind("application/atom+xml", ".atom"),
    ),
    (
        "http://www.opengis.net/kml/2.2",
        kind("application/vnd.google-earth.kml+xml", ".kml"),
    ),
    (
        "http://www.w3.org/1999/xhtml",
        kind("application/xhtml+xml", ".html"),
    ),
    (
        "http://www.topografix.com/GPX/1/1",
        kind("application/gpx+xml", ".gpx"),
    ),
];

/// Kinds of text by the interpreter that its first line names.
const INTERPRETERS: &[(&str, Kind)] = &[
    ("python", kind("text/x-python", ".py")),
    ("perl", kind("text/x-perl", ".pl")),
    ("node", kind("text/javascript", ".js")),
    ("lua", kind("text/x-lua", ".lua")),
    ("ruby", kind("text/x-ruby", ".rb")),
    ("php", kind("text/x-php", ".php")),
    ("sh", kind("text/x-shellscript", ".sh")),
];

/// Judges a file by its first bytes; more than [`HEAD_BYTES`] are ignored.
#[must_use]
pub fn sniff(content: &[u8]) -> Kind {
    let cut = content.len() > HEAD_BYTES;
    let head = &content[..content.len().min(HEAD_BYTES)];
    if head.is_empty() {
        return kind("text/plain", ".txt");
    }
    binary(head).unwrap_or_else(|| text(head, cut))
}

fn binary(head: &[u8]) -> Option<Kind> {
    if head.starts_with(b"PK\x03\x04") || head.starts_with(b"PK\x05\x06") {
        return Some(zip(head));
    }
    if head.get(4..8) == Some(b"ftyp") {
        let brand = head.get(8..12).unwrap_or_default();
        return BRANDS
            .iter()
            .find(|(prefix, _)| brand.starts_with(prefix))
            .map(|(_, kind)| *kind);
    }
    if head.starts_with(b"\x1aE\xdf\xa3") {
        return Some(if contains(head, b"webm") {
            kind("video/webm", ".webm")
        } else {
            kind("video/x-matroska", ".mkv")
        });
    }
    // MPEG audio frame: eleven set bits, a layer, a bit rate and a sampling rate that exist.
    if let [0xff, second, third, ..] = *head
        && second & 0xe0 == 0xe0
        && second & 0x06 == 0x02
        && third & 0xf0 != 0xf0
    {
        return Some(kind("audio/mpeg", ".mp3"));
    }
    // Two letters of text are no proof of a picture or a program.
    MAGIC
        .iter()
        .find(|(at, magic, _)| head.get(*at..).is_some_and(|rest| rest.starts_with(magic)))
        .filter(|(_, magic, _)| magic.len() > 2 || !magic.is_ascii() || is_binary(head))
        .map(|(_, _, kind)| *kind)
}

fn zip(head: &[u8]) -> Kind {
    let mut rest = head;
    while let Some(at) = memchr::memmem::find(rest, b"PK\x03\x04") {
        rest = &rest[at + 4..];
        // The name begins 30 bytes after the start of a local header.
        let name = rest.get(26..).unwrap_or_default();
        if let Some((_, kind)) = ZIP_ENTRIES
            .iter()
            .find(|(start, _)| name.starts_with(start))
        {
            return *kind;
        }
    }
    kind("application/zip", ".zip")
}

fn contains(haystack: &[u8], needle: &[u8]) -> bool {
    memchr::memmem::find(haystack, needle).is_some()
}

fn is_binary(head: &[u8]) -> bool {
    head.iter()
        .any(|b| matches!(b, 0..=8 | 0x0b | 0x0e..=0x1a | 0x1c..=0x1f))
}

fn text(head: &[u8], cut: bool) -> Kind {
    if head.starts_with(b"\xff\xfe") {
        return kind("text/plain; charset=utf-16le", ".txt");
    }
    if head.starts_with(b"\xfe\xff") {
        return kind("text/plain; charset=utf-16be", ".txt");
    }
    if is_binary(head) {
        return UNKNOWN;
    }
    let head = head.strip_prefix(b"\xef\xbb\xbf").unwrap_or(head);
    let text = match std::str::from_utf8(head) {
        Ok(text) => text,
        // A letter cut in two by our own bound is no fault of the text.
        Err(error) if cut && error.error_len().is_none() => {
            std::str::from_utf8(&head[..error.valid_up_to()]).unwrap_or_default()
        }
        Err(_) => return other_charset(head),
    };
    markup(text)
        .or_else(|| script(text))
        .or_else(|| data(text, cut))
        .unwrap_or(PLAIN)
}

fn other_charset(head: &[u8]) -> Kind {
    if head.iter().any(|b| (0x80..=0x9f).contains(b)) {
        kind("text/plain; charset=windows-1252", ".txt")
    } else {
        kind("text/plain; charset=iso-8859-1", ".txt")
    }
}

fn markup(text: &str) -> Option<Kind> {
    let start = text.trim_start();
    let is_html = HTML_TAGS.iter().any(|tag| {
        start
            .get(..tag.len())
            .is_some_and(|found| found.eq_ignore_ascii_case(tag))
            && start[tag.len()..].starts_with([' ', '>', '\t', '\n', '\r'])
    });
    if is_html || start.starts_with("<!--") {
        return Some(kind("text/html; charset=utf-8", ".html"));
    }
    if start.starts_with("<?php") {
        return Some(kind("text/x-php", ".php"));
    }
    if start.starts_with("<svg") || (start.starts_with("<?xml") && start.contains("<svg")) {
        return Some(kind("image/svg+xml", ".svg"));
    }
    if start.starts_with("<?xml") {
        let special = XML_KINDS.iter().find(|(mark, _)| start.contains(mark));
        return Some(special.map_or(kind("text/xml; charset=utf-8", ".xml"), |(_, kind)| *kind));
    }
    None
}

fn script(text: &str) -> Option<Kind> {
    if let Some(interpreter) = text.strip_prefix("#!") {
        let line = interpreter.lines().next().unwrap_or_default();
        return INTERPRETERS
            .iter()
            .find(|(name, _)| line.contains(name))
            .map(|(_, kind)| *kind);
    }
    if text.starts_with("BEGIN:VCARD") {
        return Some(kind("text/vcard", ".vcf"));
    }
    if text.starts_with("BEGIN:VCALENDAR\r\n") || text.starts_with("BEGIN:VCALENDAR\nVERSION") {
        return Some(kind("text/calendar", ".ics"));
    }
    if text.starts_with("From: ") || text.starts_with("Return-Path: <") {
        return Some(kind("message/rfc822", ".eml"));
    }
    if text.starts_with("WEBVTT") {
        return Some(kind("text/vtt", ".vtt"));
    }
    if text.starts_with("1\n00:") && text.contains(" --> ") {
        return Some(kind("application/x-subrip", ".srt"));
    }
    None
}

fn data(text: &str, cut: bool) -> Option<Kind> {
    let start = text.trim_start();
    if start.starts_with(['{', '[']) {
        if is_json(start, cut) {
            return Some(if start.contains("\"type\":\"Feature") {
                kind("application/geo+json", ".geojson")
            } else {
                kind("application/json", ".json")
            });
        }
        // The last line may be cut by our own bound.
        let mut lines: Vec<&str> = start.lines().collect();
        if cut {
            lines.pop();
        }
        if lines.len() > 1 && lines.iter().all(|line| is_json(line, false)) {
            return Some(kind("application/x-ndjson", ".ndjson"));
        }
        return None;
    }
    if is_table(text, b',', cut) {
        return Some(kind("text/csv", ".csv"));
    }
    is_table(text, b'\t', cut).then_some(kind("text/tab-separated-values", ".tsv"))
}

/// Whether `text` is one JSON value, or the beginning of one where it was cut. serde's own recursion limit holds.
fn is_json(text: &str, cut: bool) -> bool {
    match serde_json::from_str::<IgnoredAny>(text) {
        Ok(_) => true,
        Err(error) => cut && error.is_eof(),
    }
}

/// Whether every line has the same number of cells, more than one, on at least two lines.
fn is_table(text: &str, separator: u8, cut: bool) -> bool {
    let mut lines: Vec<&str> = text
        .lines()
        .filter(|line| !line.is_empty() && !line.starts_with('#'))
        .collect();
    if cut {
        lines.pop();
    }
    let Some(first) = lines.first().map(|line| cells(line, separator)) else {
        return false;
    };
    first > 1 && lines.len() > 1 && lines.iter().all(|line| cells(line, separator) == first)
}

fn cells(line: &str, separator: u8) -> usize {
    let mut quoted = false;
    let mut count = 1;
    for byte in line.bytes() {
        match byte {
            b'"' => quoted = !quoted,
            b if b == separator && !quoted => count += 1,
            _ => {}
        }
    }
    count
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn content_decides() {
        let cases: &[(&[u8], &str, &str)] = &[
            (b"", "text/plain", ".txt"),
            (b"hello", "text/plain; charset=utf-8", ".txt"),
            (
                b"<!DOCTYPE html><html>",
                "text/html; charset=utf-8",
                ".html",
            ),
            (b"  <script>x", "text/html; charset=utf-8", ".html"),
            (
                b"<?xml version=\"1.0\"?><a/>",
                "text/xml; charset=utf-8",
                ".xml",
            ),
            (b"<svg xmlns=\"x\"></svg>", "image/svg+xml", ".svg"),
            (b"{\"a\":1}", "application/json", ".json"),
            (b"{\"a\":", "text/plain; charset=utf-8", ".txt"),
            (b"%PDF-1.4\n", "application/pdf", ".pdf"),
            (b"\x89PNG\r\n\x1a\n\0", "image/png", ".png"),
            (b"\xff\xd8\xff\xe0", "image/jpeg", ".jpg"),
            (b"BMW is a car", "text/plain; charset=utf-8", ".txt"),
            (b"\0\x01\x02\x03", "application/octet-stream", ""),
            (b"\0\0\0\x18ftypmp42", "video/mp4", ".mp4"),
            (b"a,b,c\n1,2,3\n", "text/csv", ".csv"),
            (b"#!/bin/sh\n", "text/x-shellscript", ".sh"),
            (b"\xe9t\xe9 text", "text/plain; charset=iso-8859-1", ".txt"),
            (b"BZh91AY", "application/x-bzip2", ".bz2"),
            (b"\xff\xfb\x90\x64", "audio/mpeg", ".mp3"),
            (b"# hello\n\n- x\n", "text/plain; charset=utf-8", ".txt"),
            (b"{\"a\":1}\n{\"a\":2}\n", "application/x-ndjson", ".ndjson"),
        ];
        for (content, mime, extension) in cases {
            assert_eq!(sniff(content), kind(mime, extension), "{content:?}");
        }
    }

    #[test]
    fn a_long_text_cut_inside_a_letter_is_still_text() {
        let long = "\u{65e5}".repeat(2_000);
        assert_eq!(sniff(long.as_bytes()), PLAIN);
    }

    #[test]
    fn parameters_and_aliases_do_not_matter() {
        assert!(sniff(b"hello").is("text/plain"));
        assert!(sniff(b"%PDF-1").is("application/x-pdf"));
        assert!(!sniff(b"%PDF-1").is("image/png"));
    }
}
