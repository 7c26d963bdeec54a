//! `email`: what counts as an address, and which domains (contract 3.5).

use super::DomainOptions;
use crate::schema::error::FieldError;

/// Whether `text` has the form of an address with a dotted domain.
#[must_use]
pub fn is_email(text: &str) -> bool {
    let Some((local, domain)) = text.rsplit_once('@') else {
        return false;
    };
    is_local(local) && is_dotted_domain(domain.strip_suffix('.').unwrap_or(domain))
}

fn is_local(local: &str) -> bool {
    if let Some(quoted) = local
        .strip_prefix('"')
        .and_then(|rest| rest.strip_suffix('"'))
    {
        return !quoted.is_empty()
            && quoted
                .chars()
                .all(|c| !matches!(c, '"' | '@' | ' ' | '\\' | '\r' | '\n' | '\t'));
    }
    local
        .split('.')
        .all(|atom| !atom.is_empty() && atom.chars().all(is_atom_letter))
}

fn is_atom_letter(c: char) -> bool {
    c.is_ascii_alphanumeric() || "!#$%&'*+-/=?^_`{|}~".contains(c) || is_beyond_ascii(c)
}

fn is_beyond_ascii(c: char) -> bool {
    matches!(c, '\u{a0}'..='\u{d7ff}' | '\u{f900}'..='\u{fdcf}' | '\u{fdf0}'..='\u{ffef}')
}

fn is_dotted_domain(domain: &str) -> bool {
    let Some((front, last)) = domain.rsplit_once('.') else {
        return false;
    };
    let letter = |c: char| c.is_ascii_alphabetic() || is_beyond_ascii(c);
    let solid = |c: char| c.is_ascii_alphanumeric() || is_beyond_ascii(c);
    let inner = |c: char| solid(c) || matches!(c, '-' | '_' | '~');
    let ends = |label: &str, end: &dyn Fn(char) -> bool| {
        label.chars().next().is_some_and(end)
            && label.chars().next_back().is_some_and(end)
            && label.chars().all(inner)
    };
    ends(last, &letter) && front.split('.').all(|label| ends(label, &solid))
}

pub(super) fn validate(options: &DomainOptions, required: bool, value: &str) -> Option<FieldError> {
    if value.is_empty() {
        return required.then(FieldError::required);
    }
    if !is_email(value) {
        return Some(FieldError::new(
            "validation_is_email",
            "Must be a valid email address.",
        ));
    }
    let domain = value.rsplit_once('@').map_or("", |(_, domain)| domain);
    (!options.allows(domain)).then(|| {
        FieldError::new(
            "validation_email_domain_not_allowed",
            "Email domain is not allowed.",
        )
    })
}

impl DomainOptions {
    /// Whether the lists let `domain` pass; compared letter by letter.
    pub(super) fn allows(&self, domain: &str) -> bool {
        let listed = |list: &[String]| list.iter().any(|entry| entry == domain);
        (self.only_domains.is_empty() || listed(&self.only_domains))
            && !listed(&self.except_domains)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_pass_and_fail_as_the_contract_lists_them() {
        for good in [
            "a@b.co",
            "\"q\"@b.co",
            "o'x+y@b.co",
            "\u{e4}@b.co",
            "a@b_c.co",
            "A@B.CO",
            "a@b.co.",
            "a@x-y.b.co",
        ] {
            assert!(is_email(good), "{good}");
        }
        for bad in [
            "a@localhost",
            "a@b",
            " a@b.co",
            "a@b.co ",
            ".a@b.co",
            "a.@b.co",
            "a..b@b.co",
            "a@-b.co",
            "a@b.c1",
            "a@1.2.3.4",
            "a@[1.2.3.4]",
            "\"a b\"@b.co",
            "\"a@b\"@b.co",
            "a@b..co",
            "",
            "@b.co",
            "a@",
        ] {
            assert!(!is_email(bad), "{bad}");
        }
    }
}
