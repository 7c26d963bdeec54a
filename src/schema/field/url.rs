//! `url`: what counts as an address on the network, and which hosts (contract 3.6).

use std::net::Ipv6Addr;

use super::DomainOptions;
use crate::schema::error::FieldError;

/// Bytes of a URL that are too many.
const URL_BYTES_LIMIT: usize = 2_083;

const SCHEMES: [&str; 7] = ["http", "https", "ftp", "ws", "wss", "tcp", "udp"];

/// Whether `text` has the form of a URL with a known scheme and a host.
#[must_use]
pub fn is_url(text: &str) -> bool {
    host_of(text).is_some()
}

/// Host and port of a valid URL.
fn host_of(text: &str) -> Option<&str> {
    if text.len() >= URL_BYTES_LIMIT || text.chars().any(|c| c.is_whitespace() || c.is_control()) {
        return None;
    }
    let rest = match text.strip_prefix("mailto:") {
        Some(rest) => rest.contains('@').then_some(rest)?,
        None => {
            let (scheme, rest) = text.split_once("://")?;
            SCHEMES.contains(&scheme).then_some(rest)?
        }
    };
    let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
    let authority = &rest[..end];
    let host = authority
        .rsplit_once('@')
        .map_or(authority, |(_, host)| host);
    is_host(host).then_some(host)
}

fn is_host(host: &str) -> bool {
    if let Some(rest) = host.strip_prefix('[') {
        return rest.split_once(']').is_some_and(|(address, port)| {
            address.parse::<Ipv6Addr>().is_ok()
                && (port.is_empty() || port.strip_prefix(':').is_some_and(is_port))
        });
    }
    let (name, port) = host.rsplit_once(':').unwrap_or((host, "1"));
    is_port(port)
        && name.starts_with(|c| is_letter(c))
        && name.ends_with(|c| is_letter(c) || c == '.')
        && !name.contains("..")
        && name
            .chars()
            .all(|c| is_letter(c) || matches!(c, '-' | '_' | '.'))
}

fn is_letter(c: char) -> bool {
    c.is_ascii_alphanumeric() || !c.is_ascii()
}

fn is_port(port: &str) -> bool {
    (1..=5).contains(&port.len()) && port.bytes().all(|b| b.is_ascii_digit())
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
            "ws://b.co",
            "wss://b.co",
            "tcp://b.co:1",
            "udp://b.co",
            "mailto:a@b.co",
            "http://b.co:99999",
            "http://[::1]:80/",
            "http://\u{e4}\u{f6}.de",
            "http://u:p@b.co",
        ] {
            assert!(is_url(good), "{good}");
        }
        for bad in [
            "HTTP://X",
            "b.co",
            "//b.co",
            "javascript:alert(1)",
            "file:///a",
            "data:x",
            "http://",
            "http://a b",
            "http://a..b",
            "http://.a",
            "http://-a",
            "",
        ] {
            assert!(!is_url(bad), "{bad}");
        }
        assert!(!is_url(&format!("http://a/{}", "x".repeat(2_083))));
    }
}
