//! Settings at rest under a key: base64 of nonce and AES-GCM text, as PocketBase writes them (contract-auth 5.6).

use aes_gcm::aead::consts::U12;
use aes_gcm::aead::{Aead, KeyInit};
use aes_gcm::aes::Aes192;
use aes_gcm::{Aes128Gcm, Aes256Gcm, AesGcm};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use crate::kit::id::random_bytes;
use crate::ops::Error;

const NONCE_BYTES: usize = 12;

/// `plain` under `key`, with a fresh nonce.
///
/// # Errors
/// When the key is not of 16, 24 or 32 bytes.
pub(super) fn seal(key: &str, plain: &[u8]) -> Result<String, Error> {
    let nonce = random_bytes::<NONCE_BYTES>();
    let sealed = match key.len() {
        16 => encrypt::<Aes128Gcm>(key, nonce, plain),
        24 => encrypt::<AesGcm<Aes192, U12>>(key, nonce, plain),
        32 => encrypt::<Aes256Gcm>(key, nonce, plain),
        _ => return Err(bad_size(key)),
    };
    let mut all = nonce.to_vec();
    all.extend(sealed.ok_or_else(|| Error::Encryption("cannot encrypt the settings".to_owned()))?);
    Ok(STANDARD.encode(all))
}

/// What [`seal`] was given; `None` when it was another key or the text was changed.
///
/// # Errors
/// As [`seal`].
pub(super) fn open(key: &str, sealed: &str) -> Result<Option<Vec<u8>>, Error> {
    let Ok(all) = STANDARD.decode(sealed.trim()) else {
        return Ok(None);
    };
    let Some((nonce, text)) = all.split_first_chunk::<NONCE_BYTES>() else {
        return Ok(None);
    };
    Ok(match key.len() {
        16 => decrypt::<Aes128Gcm>(key, *nonce, text),
        24 => decrypt::<AesGcm<Aes192, U12>>(key, *nonce, text),
        32 => decrypt::<Aes256Gcm>(key, *nonce, text),
        _ => return Err(bad_size(key)),
    })
}

fn bad_size(key: &str) -> Error {
    Error::Encryption(format!(
        "the settings key must have 16, 24 or 32 bytes, it has {}",
        key.len()
    ))
}

fn encrypt<C>(key: &str, nonce: [u8; NONCE_BYTES], plain: &[u8]) -> Option<Vec<u8>>
where
    C: KeyInit + Aead<NonceSize = U12>,
{
    C::new_from_slice(key.as_bytes())
        .ok()?
        .encrypt(&nonce.into(), plain)
        .ok()
}

fn decrypt<C>(key: &str, nonce: [u8; NONCE_BYTES], text: &[u8]) -> Option<Vec<u8>>
where
    C: KeyInit + Aead<NonceSize = U12>,
{
    C::new_from_slice(key.as_bytes())
        .ok()?
        .decrypt(&nonce.into(), text)
        .ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_same_key_opens_and_no_text_repeats() {
        for key in ["k".repeat(16), "k".repeat(24), "k".repeat(32)] {
            let sealed = seal(&key, b"{}").unwrap();
            assert_eq!(open(&key, &sealed).unwrap().as_deref(), Some(&b"{}"[..]));
            assert_ne!(sealed, seal(&key, b"{}").unwrap());
            assert_eq!(open(&"x".repeat(key.len()), &sealed).unwrap(), None);
            let mut changed = sealed.clone().into_bytes();
            changed[20] ^= 1;
            let changed = String::from_utf8(changed).unwrap();
            assert_eq!(open(&key, &changed).unwrap(), None);
        }
        assert!(seal("short", b"{}").is_err());
    }
}
