//! Authenticator apps as sums: secrets, codes by time (RFC 6238: six digits, 30 s, SHA-1, as every app knows them), the
//! picture that an app scans, and the codes that stand in for a lost one. Pure.

use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use qrcode::QrCode;
use qrcode::render::svg;
use sha2::{Digest, Sha256};
use totp_rs::{Builder, Secret as Key, Totp};

use crate::kit::id;
use crate::kit::limits::RECOVERY_CODES;
use crate::kit::secret::Secret;
use crate::kit::time::Timestamp;

/// Bytes of a secret: those of the hash.
const SECRET_BYTES: usize = 20;
/// Steps that a clock may be off, before and after.
const DRIFT: u16 = 1;
/// Letters of a recovery code: 80 bits, none of them mistaken for another.
const RECOVERY_CHARS: usize = 16;
const RECOVERY_ALPHABET: &[u8] = b"abcdefghijkmnpqrstuvwxyz23456789";
/// Pixels of the picture, at least.
const PICTURE_PIXELS: u32 = 240;

/// The secret that an app and we share.
#[derive(Clone, Debug)]
pub(super) struct Seed(Secret<String>);

impl Seed {
    /// A fresh one.
    pub(super) fn fresh() -> Self {
        let key = Key::new_stack(id::random_bytes::<SECRET_BYTES>());
        Self(Secret::new(key.to_base32()))
    }

    /// From its base32 text.
    pub(super) fn from_text(text: String) -> Self {
        Self(Secret::new(text))
    }

    /// Base32, for who types it in.
    pub(super) fn reveal(&self) -> &str {
        self.0.reveal()
    }

    fn totp(&self) -> Option<Totp> {
        let key = Key::try_from_base32(self.reveal()).ok()?;
        Builder::new()
            .with_secret(key)
            .with_skew(DRIFT)
            .build()
            .ok()
    }

    /// The step whose code `code` is, if it is one of now.
    pub(super) fn step(&self, code: &str, now: Timestamp) -> Option<u64> {
        let digits = code.trim();
        if digits.len() != 6 || !digits.bytes().all(|b| b.is_ascii_digit()) {
            return None;
        }
        self.totp()?
            .check(digits, u64::try_from(now.as_secs()).ok()?)
    }

    /// The URL that an app reads from the picture.
    pub(super) fn url(&self, issuer: &str, account: &str) -> String {
        // A colon parts issuer and account.
        let plain = |text: &str| text.replace(':', " ");
        let (issuer, account) = (plain(issuer), plain(account));
        // Not as forms are escaped: apps show a plus as it is.
        let escape = |text: &str| utf8_percent_encode(text, NON_ALPHANUMERIC).to_string();
        let (issuer, account) = (escape(&issuer), escape(&account));
        let secret = self.reveal();
        format!("otpauth://totp/{issuer}:{account}?secret={secret}&issuer={issuer}")
    }
}

/// A picture of `url`.
pub(super) fn picture(url: &str) -> Option<String> {
    let code = QrCode::new(url).ok()?;
    let picture = code
        .render::<svg::Color<'_>>()
        .min_dimensions(PICTURE_PIXELS, PICTURE_PIXELS)
        .build();
    // Without the XML declaration it can stand in a page.
    let start = picture.find("<svg")?;
    Some(picture[start..].to_owned())
}

/// Fresh recovery codes, and what is kept of them.
pub(super) fn recovery_codes() -> (Vec<String>, String) {
    let codes: Vec<String> = (0..RECOVERY_CODES)
        .map(|_| id::random(RECOVERY_CHARS, RECOVERY_ALPHABET).into_string())
        .collect();
    let kept: Vec<String> = codes.iter().map(|code| digest(code)).collect();
    let shown = codes.iter().map(|code| {
        let parts: Vec<&str> = (0..RECOVERY_CHARS / 4)
            .map(|at| &code[at * 4..at * 4 + 4])
            .collect();
        parts.join("-")
    });
    (shown.collect(), kept.join(" "))
}

/// What is kept once `code` has been used; `None` when it is no recovery code.
pub(super) fn without(kept: &str, code: &str) -> Option<String> {
    let plain: String = code
        .chars()
        .filter(|c| *c != '-' && !c.is_whitespace())
        .flat_map(char::to_lowercase)
        .collect();
    if plain.len() != RECOVERY_CHARS {
        return None;
    }
    let used = digest(&plain);
    // Hashes of long random codes: the time of a comparison tells nothing that helps.
    let left: Vec<&str> = kept.split(' ').filter(|hash| *hash != used).collect();
    (left.len() < kept.split(' ').count()).then(|| left.join(" "))
}

/// Long random codes need no slow hash: there is nothing to guess.
fn digest(code: &str) -> String {
    Sha256::digest(code)
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(secs: i64) -> Timestamp {
        Timestamp::from_millis(secs * 1000)
    }

    /// RFC 6238, appendix B: the secret of its SHA-1 rows.
    fn rfc() -> Seed {
        Seed::from_text("GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ".to_owned())
    }

    #[test]
    fn codes_are_those_of_the_rfc() {
        for (secs, code) in [
            (59, "94287082"),
            (1_111_111_109, "07081804"),
            (1_111_111_111, "14050471"),
            (1_234_567_890, "89005924"),
            (2_000_000_000, "69279037"),
            (20_000_000_000, "65353130"),
        ] {
            let step = rfc().step(&code[2..], at(secs));
            assert_eq!(step, Some(u64::try_from(secs / 30).unwrap()), "{code}");
        }
    }

    #[test]
    fn a_code_is_good_for_a_step_before_and_after_its_own() {
        // The code of 59 s is that of step 1, from 30 s to 59 s.
        for (secs, good) in [
            (0, true),
            (29, true),
            (59, true),
            (89, true),
            (90, false),
            (120, false),
        ] {
            assert_eq!(rfc().step("287082", at(secs)).is_some(), good, "{secs}");
        }
        for odd in [
            "",
            "28708",
            "2870820",
            "94287082",
            "28708a",
            "-87082",
            "\u{661}87082",
        ] {
            assert_eq!(rfc().step(odd, at(59)), None, "{odd}");
        }
        assert_eq!(
            Seed::from_text("no base32!".to_owned()).step("287082", at(59)),
            None
        );
    }

    #[test]
    fn an_app_can_read_the_url_and_the_picture() {
        let url = rfc().url("My: App", "ann+x@example.com");
        assert_eq!(
            url,
            "otpauth://totp/My%20%20App:ann%2Bx%40example%2Ecom\
             ?secret=GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ&issuer=My%20%20App"
        );
        assert!(picture(&url).unwrap().starts_with("<svg"));
    }

    #[test]
    fn a_recovery_code_is_good_once() {
        let (codes, kept) = recovery_codes();
        assert_eq!(codes.len(), RECOVERY_CODES);
        assert!(!kept.contains(&codes[0].replace('-', "")));
        let left = without(&kept, &codes[3].to_uppercase()).unwrap();
        assert_eq!(without(&left, &codes[3]), None);
        assert!(without(&left, &codes[4].replace('-', "")).is_some());
        assert_eq!(without(&left, ""), None);
        assert_eq!(without("", "abcdabcdabcdabcd"), None);
    }

    #[test]
    fn secrets_are_long_and_never_the_same() {
        assert_eq!(Seed::fresh().reveal().len(), 32);
        assert_ne!(Seed::fresh().reveal(), Seed::fresh().reveal());
    }
}
