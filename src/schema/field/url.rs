//! `url`: what counts as an address on the network, and which hosts (contract 3.6). The form is the one of the public
//! Go library govalidator, whose verdicts clients know; it is a strange one, and kept as it is.

use std::sync::LazyLock;

use regex::Regex;

use super::DomainOptions;
use crate::schema::error::FieldError;

/// Letters of a URL that are too many.
const URL_CHARS_LIMIT: usize = 2_083;
/// Letters of a URL that are too few.
const URL_BYTES_SHORT: usize = 3;

/// Scheme, user and port may be missing; a host is an address, or a name whose labels are letters and digits.
#[expect(clippy::expect_used, reason = "the pattern is constant and tested")]
static FORM: LazyLock<Regex> = LazyLock::new(|| {
    let octet = r"(\d{1,2}|1\d\d|2[0-4]\d|25[0-5])";
    let ipv4 = format!(
        r"([1-9]\d?|1\d\d|2[01]\d|22[0-3]|24\d|25[0-5])(\.{octet}){{2}}\.([0-9]\d?|1\d\d|2[0-4]\d|25[0-5])"
    );
    let ipv6 = r"\[[0-9a-fA-F:.]+\]";
    let labels = r"[a-zA-Z0-9]([a-zA-Z0-9_-]+)?[a-zA-Z0-9]([-.][a-zA-Z0-9]+)*";
    let prefix = r"(www\.)|([a-zA-Z0-9]+([-_.]?[a-zA-Z0-9])*[a-zA-Z0-9]\.[a-zA-Z0-9]+)";
    let letter = r"a-zA-Z\x{a1}-\x{ffff}";
    let name = format!(r"([{letter}0-9]+-?-?)*[{letter}0-9]+(\.[{letter}]+)?");
    let host = format!(r"({ipv4}|{ipv6}|(({labels})|({prefix})?)?({name}))");
    Regex::new(&format!(
        r"^((ftp|tcp|udp|wss?|https?)://)?([^\t\n\x0C\r ]+(:[^\t\n\x0C\r ]*)?@)?{host}\.?(:[0-9]{{1,5}})?([/?#][^\t\n\x0C\r ]*)?$"
    ))
    .expect("the form of a URL is a pattern")
});

/// Whether `text` has the form of a URL.
#[must_use]
pub fn is_url(text: &str) -> bool {
    if text.chars().count() >= URL_CHARS_LIMIT
        || text.len() <= URL_BYTES_SHORT
        || text.starts_with('.')
    {
        return false;
    }
    let has_scheme = text.contains("://");
    // Without a scheme but with a port, the text is read as if it had one.
    let assumed = (text.contains(':') && !has_scheme).then(|| format!("http://{text}"));
    let Some(parts) = Parts::read(assumed.as_deref().unwrap_or(text)) else {
        return false;
    };
    if parts.host.starts_with('.')
        || (parts.host.is_empty() && !parts.path.is_empty() && !parts.path.contains('.'))
    {
        return false;
    }
    FORM.is_match(text)
}

/// Host (with its port) and path of a text that can be taken apart.
struct Parts<'a> {
    host: &'a str,
    path: &'a str,
}

impl<'a> Parts<'a> {
    fn read(text: &'a str) -> Option<Self> {
        if text.bytes().any(|b| b < 0x20 || b == 0x7f) {
            return None;
        }
        let before_fragment = text.split('#').next().unwrap_or("");
        let plain = before_fragment.split('?').next().unwrap_or("");
        let Some((scheme, rest)) = plain.split_once("://") else {
            return has_whole_escapes(plain).then_some(Self {
                host: "",
                path: plain,
            });
        };
        let is_scheme = scheme.starts_with(|c: char| c.is_ascii_alphabetic())
            && scheme
                .bytes()
                .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'+' | b'-' | b'.'));
        let (authority, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
        let (user, host) = authority.rsplit_once('@').unwrap_or(("", authority));
        let user_letter = |b: u8| b.is_ascii_alphanumeric() || b"-._:~!$&'()*+,;=%@".contains(&b);
        let port = match host.strip_prefix('[') {
            Some(address) => address.split_once(']')?.1,
            None => host.find(':').map_or("", |at| &host[at..]),
        };
        let port_is_number = port.is_empty()
            || port
                .strip_prefix(':')
                .is_some_and(|digits| digits.bytes().all(|b| b.is_ascii_digit()));
        let host_letter = |b: u8| !b" \"<>\\^`{|}%".contains(&b);
        (is_scheme
            && user.bytes().all(user_letter)
            && port_is_number
            && host.bytes().all(host_letter)
            && has_whole_escapes(path))
        .then_some(Self { host, path })
    }
}

fn has_whole_escapes(text: &str) -> bool {
    let bytes = text.as_bytes();
    bytes.iter().enumerate().all(|(at, &byte)| {
        byte != b'%'
            || bytes
                .get(at + 1..at + 3)
                .is_some_and(|hex| hex.iter().all(u8::is_ascii_hexdigit))
    })
}

pub(super) fn validate(options: &DomainOptions, required: bool, value: &str) -> Option<FieldError> {
    if value.is_empty() {
        return required.then(FieldError::required);
    }
    if !is_url(value) {
        return Some(FieldError::new(
            "validation_invalid_url",
            "Must be a valid url.",
        ));
    }
    let host = Parts::read(value).map_or("", |parts| parts.host);
    (!options.allows(host)).then(|| {
        FieldError::new(
            "validation_url_domain_not_allowed",
            "Url domain is not allowed.",
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls_pass_and_fail_as_the_contract_lists_them() {
        for good in [
            "http://a",
            "https://b.co/x?y#z",
            "ftp://b.co",
            "ws://b.co",
            "wss://b.co",
            "tcp://b.co:1",
            "udp://b.co",
            "mailto:a@b.co",
            "http://b.co:99999",
            "http://[::1]:80/",
            "http://\u{e4}\u{f6}.de",
            "http://u:p@b.co",
            "b.co",
        ] {
            assert!(is_url(good), "{good}");
        }
        for bad in [
            "HTTP://X",
            "//b.co",
            "javascript:alert(1)",
            "file:///a",
            "data:x",
            "http://",
            "http://a b",
            "http://a..b",
            "http://.a",
            "http://-a",
            "http://a-.co",
            "http://a.1",
            "http://a/%zz",
            "",
        ] {
            assert!(!is_url(bad), "{bad}");
        }
        assert!(!is_url(&format!("http://a/{}", "x".repeat(2_083))));
    }
}
