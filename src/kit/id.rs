//! Random identifiers from the operating system's generator: no time, no counter, nothing to guess.

use std::cell::RefCell;

use compact_str::CompactString;

/// `[a-z0-9]`, the alphabet of record ids.
pub const LOWER_ALNUM: &[u8] = b"abcdefghijklmnopqrstuvwxyz0123456789";
/// `[a-zA-Z0-9]`, the alphabet of secrets and client ids.
pub const ALNUM: &[u8] = b"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789";
/// `[0-9]`, the alphabet of one-time passwords.
pub const DIGITS: &[u8] = b"0123456789";

/// Length of a default record id.
pub const RECORD_ID_LEN: usize = 15;

/// A fresh record id: 15 characters of `[a-z0-9]`.
#[must_use]
pub fn record_id() -> CompactString {
    random(RECORD_ID_LEN, LOWER_ALNUM)
}

/// `len` characters drawn evenly from `alphabet` (at most 256 letters, ASCII).
///
/// # Panics
/// When the operating system has no randomness to give: nothing safe can be done then.
#[must_use]
pub fn random(len: usize, alphabet: &[u8]) -> CompactString {
    // Bytes past the last whole multiple of the alphabet are thrown away, so that every letter is equally likely.
    let fair = 256 - 256 % alphabet.len();
    let mut out = CompactString::with_capacity(len);
    POOL.with_borrow_mut(|pool| {
        while out.len() < len {
            for byte in pool.take() {
                let index = usize::from(byte);
                if index < fair && out.len() < len {
                    out.push(char::from(alphabet[index % alphabet.len()]));
                }
            }
        }
    });
    out
}

/// A random number below `bound`, 0 when that is 0. The bias, one in 2^32 / `bound`, is far below what anybody could see.
///
/// # Panics
/// As [`random`].
#[must_use]
pub fn below(bound: u32) -> u32 {
    POOL.with_borrow_mut(|pool| u32::from_le_bytes(pool.take())) % bound.max(1)
}

thread_local! {
    static POOL: RefCell<Pool> = const { RefCell::new(Pool { bytes: [0; POOL_BYTES], used: POOL_BYTES }) };
}

/// Bytes that are fetched from the operating system at a time: each asking is a system call.
const POOL_BYTES: usize = 512;

struct Pool {
    bytes: [u8; POOL_BYTES],
    used: usize,
}

impl Pool {
    fn take(&mut self) -> [u8; 4] {
        if self.used + 4 > POOL_BYTES {
            self.bytes = random_bytes();
            self.used = 0;
        }
        let mut taken = [0; 4];
        // What was given out is wiped, so that it cannot be given twice or be found here later.
        taken.copy_from_slice(&self.bytes[self.used..self.used + 4]);
        self.bytes[self.used..self.used + 4].fill(0);
        self.used += 4;
        taken
    }
}

/// `N` random bytes.
///
/// # Panics
/// As [`random`].
#[must_use]
#[expect(
    clippy::expect_used,
    reason = "without randomness there are no safe ids or secrets"
)]
pub fn random_bytes<const N: usize>() -> [u8; N] {
    let mut bytes = [0_u8; N];
    getrandom::fill(&mut bytes).expect("the operating system gives randomness");
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn record_ids_are_fifteen_of_the_alphabet() {
        let id = record_id();
        assert_eq!(id.len(), RECORD_ID_LEN);
        assert!(id.bytes().all(|b| LOWER_ALNUM.contains(&b)));
        assert_ne!(id, record_id());
    }
}
