//! Cursors as clients hold them: encrypted and authenticated, so that nobody can forge one or learn from it how much
//! was written that he may not see.

use aes_gcm::aead::{Aead, KeyInit, Payload};
use aes_gcm::{Aes256Gcm, Nonce};
use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;

use super::change::{Cursor, Position};
use crate::kit::id;

const NONCE_BYTES: usize = 12;

/// Seals and opens cursors of one data directory.
#[derive(Clone)]
pub struct CursorSeal(Aes256Gcm);

impl std::fmt::Debug for CursorSeal {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("CursorSeal(***)")
    }
}

impl CursorSeal {
    pub(super) fn new(key: &[u8; 32]) -> Self {
        Self(Aes256Gcm::new(key.into()))
    }

    /// Any short text, sealed for one purpose: it opens only under the same `binding`.
    #[must_use]
    pub fn seal_text(&self, text: &str, binding: &str) -> String {
        let nonce = id::random_bytes::<NONCE_BYTES>();
        let mut out = nonce.to_vec();
        let payload = Payload {
            msg: text.as_bytes(),
            aad: binding.as_bytes(),
        };
        // A page's last row is far below what one key may encrypt: there is nothing that could fail.
        out.extend(
            self.0
                .encrypt(&Nonce::from(nonce), payload)
                .unwrap_or_default(),
        );
        BASE64_URL_SAFE_NO_PAD.encode(out)
    }

    /// The text that was sealed under `binding`; nothing for any other.
    #[must_use]
    pub fn open_text(&self, sealed: &str, binding: &str) -> Option<String> {
        let bytes = BASE64_URL_SAFE_NO_PAD.decode(sealed).ok()?;
        let (nonce, sealed) = bytes.split_first_chunk::<NONCE_BYTES>()?;
        let payload = Payload {
            msg: sealed,
            aad: binding.as_bytes(),
        };
        let plain = self.0.decrypt(&Nonce::from(*nonce), payload).ok()?;
        String::from_utf8(plain).ok()
    }

    /// The text of `cursor`: 59 letters that a URL can hold.
    #[must_use]
    pub fn seal(&self, cursor: Cursor) -> String {
        let nonce = id::random_bytes::<NONCE_BYTES>();
        let mut plain = [0_u8; 16];
        plain[..8].copy_from_slice(&cursor.epoch.to_le_bytes());
        plain[8..].copy_from_slice(&cursor.position.0.to_le_bytes());
        let mut out = nonce.to_vec();
        // Sixteen bytes are far below what one key may encrypt: there is nothing that could fail.
        out.extend(
            self.0
                .encrypt(&Nonce::from(nonce), plain.as_slice())
                .unwrap_or_default(),
        );
        BASE64_URL_SAFE_NO_PAD.encode(out)
    }

    /// The cursor that `text` was sealed from; nothing for a text of somebody else.
    #[must_use]
    pub fn open(&self, text: &str) -> Option<Cursor> {
        let bytes = BASE64_URL_SAFE_NO_PAD.decode(text).ok()?;
        let (nonce, sealed) = bytes.split_first_chunk::<NONCE_BYTES>()?;
        let plain = self.0.decrypt(&Nonce::from(*nonce), sealed).ok()?;
        let (epoch, position) = plain.split_first_chunk::<8>()?;
        Some(Cursor {
            epoch: u64::from_le_bytes(*epoch),
            position: Position(u64::from_le_bytes(position.try_into().ok()?)),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cursor_comes_back_and_a_forged_one_does_not() {
        let seal = CursorSeal::new(&[7; 32]);
        let cursor = Cursor {
            epoch: 5,
            position: Position(1_000),
        };

        let text = seal.seal(cursor);

        assert_eq!(seal.open(&text), Some(cursor));
        assert_ne!(seal.seal(cursor), text);
        let mut forged = text.clone().into_bytes();
        forged[20] = if forged[20] == b'A' { b'B' } else { b'A' };
        assert_eq!(seal.open(&String::from_utf8(forged).unwrap()), None);
        assert_eq!(CursorSeal::new(&[8; 32]).open(&text), None);
        assert_eq!(seal.open(""), None);
        let sealed = seal.seal_text("last row", "posts by Ann");
        assert_eq!(
            seal.open_text(&sealed, "posts by Ann").as_deref(),
            Some("last row")
        );
        assert_eq!(seal.open_text(&sealed, "posts by Bob"), None);
        assert_eq!(seal.open("%%%"), None);
    }
}
