//! Passwords that everybody tries first.

use zxcvbn::feedback::Warning;
use zxcvbn::zxcvbn;

/// A longer one is in no list.
const CHARS_MAX: usize = 64;

/// Whether `password` is one of some ten thousand that are used the most.
#[must_use]
pub fn is_common(password: &str) -> bool {
    if password.is_empty() || password.chars().count() > CHARS_MAX {
        return false;
    }
    let judged = zxcvbn(password, &[]);
    matches!(
        judged.feedback().and_then(|feedback| feedback.warning()),
        Some(
            Warning::ThisIsATop10Password
                | Warning::ThisIsATop100Password
                | Warning::ThisIsACommonPassword
        )
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_everybody_tries_is_common() {
        for password in ["password", "12345678", "1234567890", "iloveyou", "princess"] {
            assert!(is_common(password), "{password}");
        }
        let long = "password".repeat(100);
        for password in ["", "correct horse battery", "kX8-vbn2-Qw", long.as_str()] {
            assert!(!is_common(password), "{password}");
        }
    }
}
