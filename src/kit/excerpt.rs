//! The `excerpt` modifier: the beginning of a text without its markup (contract 1.9). One pass, no recursion, so that
//! nested tags cost no more than long text.

/// A compiled `excerpt(max, withEllipsis?)`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Excerpt {
    max_chars: usize,
    ellipsis: bool,
}

/// Elements whose content is left out.
const DROPPED: &[&str] = &[
    "head", "style", "script", "iframe", "embed", "applet", "object", "svg", "img", "picture",
    "dialog", "template", "button", "form", "textarea", "input", "select", "option",
];
/// Elements that have no content.
const VOID: &[&str] = &[
    "area", "base", "br", "col", "embed", "hr", "img", "input", "link", "meta", "source", "track",
    "wbr",
];
/// Elements around which no space is put.
const INLINE: &[&str] = &[
    "a", "abbr", "acronym", "b", "bdo", "big", "br", "button", "cite", "code", "em", "i", "label",
    "q", "small", "span", "strong", "strike", "sub", "sup", "time",
];
/// Elements whose content is text up to their own end tag.
const RAW: &[&str] = &["script", "style", "textarea", "iframe"];

impl Excerpt {
    /// Parses `excerpt(max)` or `excerpt(max, withEllipsis)`.
    pub(super) fn parse(text: &str) -> Option<Self> {
        let args = text
            .trim()
            .strip_prefix("excerpt")?
            .strip_prefix('(')?
            .strip_suffix(')')?;
        let mut args = args.split(',').map(str::trim);
        let max_chars = args.next()?.parse().ok().filter(|max| *max > 0)?;
        let ellipsis = matches!(
            args.next(),
            Some("1" | "t" | "T" | "true" | "TRUE" | "True")
        );
        if args.next().is_some() {
            return None;
        }
        Some(Self {
            max_chars,
            ellipsis,
        })
    }

    /// The excerpt of `text`.
    pub(super) fn of(&self, text: &str) -> String {
        let plain = plain(text);
        let plain = plain.trim();
        let Some((cut, _)) = plain.char_indices().nth(self.max_chars) else {
            return plain.to_owned();
        };
        let mut out = plain[..cut].trim().to_owned();
        if self.ellipsis {
            out.push_str("...");
        }
        out
    }
}

/// Text without tags, white space collapsed.
fn plain(html: &str) -> String {
    let mut out = String::with_capacity(html.len().min(4096));
    let mut rest = html;
    // The dropped element that we are in, and how many of its name are open.
    let mut dropped: Option<(String, usize)> = None;
    while let Some(at) = rest.find('<') {
        let (text, after) = rest.split_at(at);
        if dropped.is_none() {
            push_text(&mut out, text);
        }
        let Some((tag, left)) = tag(after) else {
            if dropped.is_none() {
                out.push('<');
            }
            rest = &after[1..];
            continue;
        };
        rest = left;
        let Some(tag) = tag else {
            continue;
        };
        if let Some((name, open)) = &mut dropped {
            if *name == tag.name {
                *open = if tag.end { *open - 1 } else { *open + 1 };
                if *open == 0 {
                    dropped = None;
                }
            }
            continue;
        }
        if !INLINE.contains(&tag.name.as_str()) {
            push_space(&mut out);
        }
        if tag.end || !DROPPED.contains(&tag.name.as_str()) || VOID.contains(&tag.name.as_str()) {
            continue;
        }
        if RAW.contains(&tag.name.as_str()) {
            rest = after_raw(rest, &tag.name);
        } else if !tag.closed {
            dropped = Some((tag.name, 1));
        }
    }
    if dropped.is_none() {
        push_text(&mut out, rest);
    }
    out
}

struct Tag {
    name: String,
    end: bool,
    closed: bool,
}

/// The tag, comment or declaration at the start of `text`, and what follows it; `None` for a lone `<`.
fn tag(text: &str) -> Option<(Option<Tag>, &str)> {
    if let Some(comment) = text.strip_prefix("<!--") {
        let left = comment.find("-->").map_or("", |end| &comment[end + 3..]);
        return Some((None, left));
    }
    let inner = &text[1..];
    let end = inner.starts_with('/');
    let named = inner.strip_prefix('/').unwrap_or(inner);
    if !named.starts_with(|c: char| c.is_ascii_alphabetic()) {
        if !named.starts_with(['!', '?']) && !end {
            return None;
        }
        let left = inner.find('>').map_or("", |close| &inner[close + 1..]);
        return Some((None, left));
    }
    // A tag that never ends swallows the rest; looking again from its next letter would be quadratic.
    let Some(close) = close_of(named) else {
        return Some((None, ""));
    };
    let name: String = named
        .chars()
        .take_while(|c| !c.is_ascii_whitespace() && *c != '/' && *c != '>')
        .map(|c| c.to_ascii_lowercase())
        .collect();
    let closed = named[..close].ends_with('/');
    Some((Some(Tag { name, end, closed }), &named[close + 1..]))
}

/// Where a tag ends: the first `>` outside quotes.
fn close_of(tag: &str) -> Option<usize> {
    let mut quote = None;
    let mut value = false;
    for (at, byte) in tag.bytes().enumerate() {
        match (quote, byte) {
            (Some(open), _) if byte == open => quote = None,
            (Some(_), _) => {}
            (None, b'"' | b'\'') if value => quote = Some(byte),
            (None, b'>') => return Some(at),
            (None, b'=') => value = true,
            (None, b' ' | b'\t' | b'\n') => {}
            (None, _) => value = false,
        }
    }
    None
}

/// What follows the end tag of a raw text element.
fn after_raw<'a>(text: &'a str, name: &str) -> &'a str {
    let mut from = 0;
    while let Some(at) = text[from..].find("</") {
        let after = from + at + 2;
        let ends = text
            .get(after..after + name.len())
            .is_some_and(|found| found.eq_ignore_ascii_case(name));
        if ends {
            return text[after..]
                .find('>')
                .map_or("", |close| &text[after + close + 1..]);
        }
        from = after;
    }
    ""
}

fn push_space(out: &mut String) {
    if !out.is_empty() && !out.ends_with(' ') {
        out.push(' ');
    }
}

fn push_text(out: &mut String, text: &str) {
    let mut rest = text;
    while let Some(c) = rest.chars().next() {
        let (c, len) = match c {
            '&' => entity(rest).unwrap_or(('&', 1)),
            _ => (c, c.len_utf8()),
        };
        rest = &rest[len..];
        if c.is_whitespace() {
            push_space(out);
        } else {
            out.push(c);
        }
    }
}

/// The character that a reference at the start of `text` stands for, and its length: numbers and the common names.
fn entity(text: &str) -> Option<(char, usize)> {
    let end = text.bytes().take(12).position(|b| b == b';')?;
    let name = &text[1..end];
    let c = match name {
        "amp" => '&',
        "lt" => '<',
        "gt" => '>',
        "quot" => '"',
        "apos" => '\'',
        "nbsp" => '\u{a0}',
        "copy" => '\u{a9}',
        "reg" => '\u{ae}',
        "trade" => '\u{2122}',
        "hellip" => '\u{2026}',
        "ndash" => '\u{2013}',
        "mdash" => '\u{2014}',
        "lsquo" => '\u{2018}',
        "rsquo" => '\u{2019}',
        "ldquo" => '\u{201c}',
        "rdquo" => '\u{201d}',
        "laquo" => '\u{ab}',
        "raquo" => '\u{bb}',
        "bull" => '\u{2022}',
        "middot" => '\u{b7}',
        "euro" => '\u{20ac}',
        "pound" => '\u{a3}',
        "sect" => '\u{a7}',
        "deg" => '\u{b0}',
        "times" => '\u{d7}',
        _ => {
            let number = name.strip_prefix('#')?;
            let code = match number.strip_prefix(['x', 'X']) {
                Some(hex) => u32::from_str_radix(hex, 16).ok()?,
                None => number.parse().ok()?,
            };
            char::from_u32(code).filter(|c| *c != '\0')?
        }
    };
    Some((c, end + 1))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn markup_goes_and_words_stay_apart() {
        for (html, expected) in [
            (
                "<p>Hello <b>big</b> world</p><style>x</style><div>Next</div>&amp; &lt;i&gt; done",
                "Hello big world Next & <i> done",
            ),
            ("a < b and b > c", "a < b and b > c"),
            ("<p>a</p><p>b</p>", "a b"),
            ("a<b>b</b>c", "abc"),
            ("<script>if (a<b) '</p>'</script>x", "x"),
            ("x<!-- <p>no</p> -->y", "xy"),
            ("<svg><svg></svg>no</svg>yes", "yes"),
            ("<a title=\"a>b\">t</a>", "t"),
            ("&#65;&#x42;&nope;", "AB&nope;"),
            ("  a \n\t b  ", "a b"),
            ("x<p unfinished", "x"),
        ] {
            assert_eq!(plain(html).trim(), expected, "{html}");
        }
    }

    #[test]
    fn five_megabytes_of_nested_tags_are_one_pass() {
        let html = "<div><form>".repeat(500_000);
        assert_eq!(Excerpt::parse("excerpt(5)").unwrap().of(&html), "");
        let quotes = "<a b=\"".repeat(200_000);
        assert!(Excerpt::parse("excerpt(5)").unwrap().of(&quotes).len() <= 5);
    }
}
