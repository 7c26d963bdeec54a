//! `url`: what counts as an address on the network, and which hosts (contract 3.6).

use std::net::Ipv6Addr;
use std::sync::LazyLock;

use regex::Regex;

use super::DomainOptions;
use crate::schema::error::FieldError;

/// Letters of a URL that are too many.
const URL_CHARS_LIMIT: usize = 2_083;

/// Bytes of a URL that are too few.
const URL_BYTES_MIN: usize = 4;

/// The form that the contract tests for: scheme and sign-in are optional, the host is an address or a name. White space
/// and digits are ASCII ones.
static FORM: LazyLock<Option<Regex>> = LazyLock::new(|| {
    const FORM: &str = concat!(
        r"^(?:(?:ftp|tcp|udp|wss?|https?)://)?",
        r"(?:[^\t\n\x0c\r ]+(?::[^\t\n\x0c\r ]*)?@)?",
        r"(?:",
        // An address of four numbers, the first of them no broadcast.
        r"(?:[1-9][0-9]?|1[0-9]{2}|2[01][0-9]|22[0-3]|24[0-9]|25[0-5])",
        r"(?:\.(?:[0-9]{1,2}|1[0-9]{2}|2[0-4][0-9]|25[0-5])){2}",
        r"\.(?:[0-9][0-9]?|1[0-9]{2}|2[0-4][0-9]|25[0-4])",
        r"|\[[0-9a-fA-F:.]+\]",
        // A name: labels joined by dots, dashes or underscores, then the last label.
        r"|(?:[a-zA-Z0-9](?:[a-zA-Z0-9_-]+)?[a-zA-Z0-9](?:[-.][a-zA-Z0-9]+)*",
        r"|(?:www\.|[a-zA-Z0-9]+(?:[-_.]?[a-zA-Z0-9])*[a-zA-Z0-9]\.[a-zA-Z0-9]+)?)?",
        r"(?:(?:[a-zA-Z\x{a1}-\x{ffff}0-9]+-?-?)*[a-zA-Z\x{a1}-\x{ffff}0-9]+)",
        r"(?:\.[a-zA-Z\x{a1}-\x{ffff}]+)?",
        r")\.?(?::[0-9]{1,5})?(?:[/?#][^\t\n\x0c\r ]*)?$",
    );
    Regex::new(FORM).ok()
});

/// Whether `text` has the form of a URL.
#[must_use]
pub fn is_url(text: &str) -> bool {
    host_of(text).is_some()
}

/// Host and port of a valid URL; empty where only the scheme would say which part that is.
fn host_of(text: &str) -> Option<&str> {
    if text.len() < URL_BYTES_MIN
        || text.chars().count() >= URL_CHARS_LIMIT
        || text.starts_with('.')
        || text.chars().any(char::is_control)
    {
        return None;
    }
    let parts = split(text)?;
    if parts.host.starts_with('.') || (parts.host.is_empty() && !parts.path.contains('.')) {
        return None;
    }
    FORM.as_ref()?
        .is_match(text)
        .then_some(if parts.scheme { parts.host } else { "" })
}

struct Parts<'a> {
    scheme: bool,
    host: &'a str,
    path: &'a str,
}

/// The parts of a URL. One with a colon and no scheme is read as if it had one, so that `host:port` is a host.
fn split(text: &str) -> Option<Parts<'_>> {
    let (scheme, rest) = match text.split_once("://") {
        Some((_, rest)) => (true, rest),
        None if text.contains(':') => (false, text),
        None => {
            return Some(Parts {
                scheme: false,
                host: "",
                path: text.split(['?', '#']).next().unwrap_or(""),
            });
        }
    };
    let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
    let (authority, tail) = rest.split_at(end);
    let path = tail.split(['?', '#']).next().unwrap_or("");
    let (user, host) = authority.rsplit_once('@').unwrap_or(("", authority));
    let fits = user.bytes().all(is_user_byte)
        && escapes_are_whole(user)
        && escapes_are_whole(path)
        && is_host(host);
    fits.then_some(Parts { scheme, host, path })
}

/// A host with a port, if any: names are judged by the form, addresses in brackets here.
fn is_host(host: &str) -> bool {
    if let Some(rest) = host.strip_prefix('[') {
        return rest.split_once(']').is_some_and(|(address, port)| {
            address.parse::<Ipv6Addr>().is_ok()
                && (port.is_empty() || port.strip_prefix(':').is_some_and(is_port))
        });
    }
    let port = host.split_once(':').map_or("", |(_, port)| port);
    is_port(port) && !host.contains('%')
}

fn is_port(port: &str) -> bool {
    port.bytes().all(|b| b.is_ascii_digit())
}

fn is_user_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"-._:~!$&'()*+,;=%@".contains(&byte)
}

fn escapes_are_whole(text: &str) -> bool {
    text.split('%').skip(1).all(|after| {
        after
            .as_bytes()
            .get(..2)
            .is_some_and(|hex| hex.iter().all(u8::is_ascii_hexdigit))
    })
}

pub(super) fn validate(options: &DomainOptions, required: bool, value: &str) -> Option<FieldError> {
    if value.is_empty() {
        return required.then(FieldError::required);
    }
    let Some(host) = host_of(value) else {
        return Some(FieldError::new(
            "validation_invalid_url",
            "Must be a valid url.",
        ));
    };
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
            "wss://b.co",
            "tcp://b.co:1",
            "mailto:a@b.co",
            "http://b.co:99999",
            "http://[::1]:80/",
            "http://\u{e4}\u{f6}.de",
            "http://u:p@b.co",
            "http:p@q.rs",
            "p@q.rs",
            "b.co",
            "b.co:80",
            "ex.com/x",
            "a_b.com",
            "tcp:1",
            "1.2.3.4",
            "http://a.com?%zz",
            "a@b@c.de",
            "u^x@a.com",
        ] {
            assert!(is_url(good), "{good}");
        }
        for bad in [
            "",
            "a.b",
            "HTTP://X",
            "//b.co",
            "javascript:alert(1)",
            "file:///a",
            "data:x",
            "data:text/html,a.b",
            "http://",
            "http:///a.com",
            "http:/a.com",
            "hhttp://a.com",
            "http://a b",
            "http://a..b",
            "http://.a",
            "http://-a",
            "http://a-.com",
            "http://a.1",
            "http://999.1.1.1",
            "http://a.com/%zz",
            "http://u%zz@a.com",
            "http://a.com:999999",
            "http://a^b.com",
            "example",
            "1.2.3",
        ] {
            assert!(!is_url(bad), "{bad}");
        }
        assert!(!is_url(&format!("http://a/{}", "x".repeat(2_083))));
    }
}
