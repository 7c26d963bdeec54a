//! The text of a mail for programs that show no HTML, made from the HTML in the contract's manner: a link becomes
//! `[text](address)`, an item of a list begins with `- `, and what cannot be read is left out.

use std::borrow::Cow;

/// Elements whose content is not text to be read.
const DROPPED: [&str; 11] = [
    "script", "style", "head", "title", "form", "select", "textarea", "svg", "iframe", "object",
    "template",
];
/// Elements that stand in a line of their own.
const BLOCKS: [&str; 26] = [
    "address",
    "article",
    "aside",
    "blockquote",
    "br",
    "dd",
    "div",
    "dl",
    "dt",
    "footer",
    "h1",
    "h2",
    "h3",
    "h4",
    "h5",
    "h6",
    "header",
    "hr",
    "main",
    "ol",
    "p",
    "pre",
    "section",
    "table",
    "td",
    "tr",
];

/// The readable text of `html`.
pub(super) fn text(html: &str) -> String {
    let mut out = Lines::default();
    // Addresses of the links that are open; closing tags without an opening one close nothing.
    let mut links: Vec<Option<String>> = Vec::new();
    let mut rest = html;
    while let Some(at) = rest.find('<') {
        out.words(&decoded(&rest[..at]));
        rest = &rest[at..];
        let Some(tag) = Tag::read(rest) else {
            // A lone bracket is text.
            out.words("<");
            rest = &rest[1..];
            continue;
        };
        rest = &rest[tag.bytes..];
        let name = tag.name.as_str();
        if !tag.closes && DROPPED.contains(&name) {
            rest = after_element(rest, name);
        } else if name == "a" && !tag.closes {
            out.mark("[");
            links.push(tag.href);
        } else if name == "a" {
            match links.pop() {
                Some(Some(href)) => out.mark(&format!("]({href})")),
                Some(None) => out.mark("]"),
                None => {}
            }
        } else if name == "li" {
            out.end_line();
            if !tag.closes {
                out.mark("- ");
            }
        } else if name == "ul" || BLOCKS.contains(&name) {
            out.end_line();
        }
    }
    out.words(&decoded(rest));
    out.finish()
}

#[derive(Default)]
struct Lines {
    done: String,
    line: String,
    /// Whether there was space since the last word.
    apart: bool,
}

impl Lines {
    fn words(&mut self, text: &str) {
        for (n, word) in text.split(char::is_whitespace).enumerate() {
            self.apart |= n > 0;
            if !word.is_empty() {
                if self.apart && !self.line.is_empty() && !self.line.ends_with([' ', '[']) {
                    self.line.push(' ');
                }
                self.apart = false;
                self.line.push_str(word);
            }
        }
    }

    fn mark(&mut self, mark: &str) {
        if self.apart && !self.line.is_empty() && !mark.starts_with(']') {
            self.line.push(' ');
        }
        self.apart = false;
        self.line.push_str(mark);
    }

    fn end_line(&mut self) {
        let line = std::mem::take(&mut self.line);
        self.apart = false;
        if !line.trim().is_empty() {
            if !self.done.is_empty() {
                self.done.push('\n');
            }
            self.done.push_str(line.trim_end());
        }
    }

    fn finish(mut self) -> String {
        self.end_line();
        self.done
    }
}

struct Tag {
    name: String,
    closes: bool,
    href: Option<String>,
    /// Bytes from `<` to `>`, both included.
    bytes: usize,
}

impl Tag {
    /// The tag, comment or declaration that `text` begins with; `None` when it is no markup.
    fn read(text: &str) -> Option<Self> {
        if let Some(comment) = text.strip_prefix("<!--") {
            let bytes = comment.find("-->").map_or(text.len(), |at| at + 7);
            return Some(Self::nameless(bytes));
        }
        let inside = text.get(1..)?;
        let first = inside.chars().next()?;
        if !(first.is_ascii_alphabetic() || matches!(first, '/' | '!' | '?')) {
            return None;
        }
        let end = end_of_tag(inside)?;
        let content = &inside[..end];
        let closes = content.starts_with('/');
        let content = content.trim_start_matches('/');
        let name_end = content
            .find(|c: char| c.is_whitespace() || c == '/')
            .unwrap_or(content.len());
        let (name, attributes) = content.split_at(name_end);
        Some(Self {
            name: name.to_ascii_lowercase(),
            closes,
            href: attribute(attributes, "href").map(|value| decoded(value).into_owned()),
            bytes: end + 2,
        })
    }

    fn nameless(bytes: usize) -> Self {
        Self {
            name: String::new(),
            closes: false,
            href: None,
            bytes,
        }
    }
}

/// Where the `>` is that ends a tag: not one inside quotes.
fn end_of_tag(inside: &str) -> Option<usize> {
    let mut quote = None;
    for (at, byte) in inside.bytes().enumerate() {
        match (quote, byte) {
            (None, b'>') => return Some(at),
            (None, b'"' | b'\'') => quote = Some(byte),
            (Some(open), byte) if open == byte => quote = None,
            _ => {}
        }
    }
    None
}

/// The value of a quoted attribute.
fn attribute<'t>(attributes: &'t str, wanted: &str) -> Option<&'t str> {
    let mut rest = attributes;
    loop {
        let (before, after) = rest.split_once('=')?;
        let name = before.rsplit(char::is_whitespace).find(|n| !n.is_empty())?;
        let after = after.trim_start();
        let quote = after.chars().next().filter(|c| matches!(c, '"' | '\''));
        let (value, next) = match quote {
            Some(quote) => after[1..].split_once(quote)?,
            None => after.split_once(char::is_whitespace).unwrap_or((after, "")),
        };
        if name.eq_ignore_ascii_case(wanted) {
            return Some(value);
        }
        rest = next;
    }
}

/// What follows the end of the element `name`; nothing when it never ends.
fn after_element<'t>(text: &'t str, name: &str) -> &'t str {
    let mut rest = text;
    while let Some(at) = rest.find("</") {
        rest = &rest[at + 2..];
        let named = rest.get(..name.len());
        if named.is_some_and(|found| found.eq_ignore_ascii_case(name)) {
            return rest.split_once('>').map_or("", |(_, after)| after);
        }
    }
    ""
}

/// `text` with the usual character references as characters; others stay as they are.
fn decoded(text: &str) -> Cow<'_, str> {
    if !text.contains('&') {
        return Cow::Borrowed(text);
    }
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find('&') {
        out.push_str(&rest[..at]);
        rest = &rest[at..];
        let known = rest
            .find(';')
            .and_then(|end| Some((character(&rest[1..end])?, end + 1)));
        match known {
            Some((c, bytes)) => {
                out.push(c);
                rest = &rest[bytes..];
            }
            None => {
                out.push('&');
                rest = &rest[1..];
            }
        }
    }
    out.push_str(rest);
    Cow::Owned(out)
}

fn character(name: &str) -> Option<char> {
    match name {
        "amp" => Some('&'),
        "lt" => Some('<'),
        "gt" => Some('>'),
        "quot" => Some('"'),
        "apos" => Some('\''),
        "nbsp" => Some(' '),
        _ => {
            let number = name.strip_prefix('#')?;
            let code = match number.strip_prefix(['x', 'X']) {
                Some(hex) => u32::from_str_radix(hex, 16).ok()?,
                None => number.parse().ok()?,
            };
            char::from_u32(code)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn html_becomes_text_to_read() {
        for (html, expected) in [
            (
                "<p>Hello,</p>\n<p>Ann  and\n Bob</p>",
                "Hello,\nAnn and Bob",
            ),
            (
                "<p>\n  <a class=\"btn\" href=\"http://x/?a=1&amp;b=2\" target=\"_blank\">Go there</a>\n</p>",
                "[Go there](http://x/?a=1&b=2)",
            ),
            (
                "see <a href='/x'>it</a>, or <a>not</a>.",
                "see [it](/x), or [not].",
            ),
            (
                "<ul><li>one</li><li>two <b>b</b></li></ul>",
                "- one\n- two b",
            ),
            ("a<br/>b<hr>c", "a\nb\nc"),
            ("<style>p{}</style>x<script>alert('</p>')</script>y", "xy"),
            ("<form><p>z</p></form><img src=x>w", "w"),
            ("<!-- <p>no</p> -->yes", "yes"),
            (
                "1 < 2 &amp; 3 &gt; 2 &#39;&#x41;&unknown;",
                "1 < 2 & 3 > 2 'A&unknown;",
            ),
            ("<a title=\"a>b\" href=\"u\">t</a>", "[t](u)"),
            ("</a><p", "<p"),
            ("<script>never ends", ""),
            ("\u{e9}<\u{e9}", "\u{e9}<\u{e9}"),
        ] {
            assert_eq!(text(html), expected, "{html}");
        }
    }
}
