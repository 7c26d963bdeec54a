//! Slows guessing down: failed sign-ins are counted by account and network, and by address; tries of codes are counted
//! right or wrong. An attempt to sign in counts from its start and is forgiven when it turns out right, so that many at once are not free.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::Arc;

use compact_str::{CompactString, format_compact};
use parking_lot::Mutex;

use crate::kit::limits::{
    SIGN_IN_FAILURES_ADDRESS_MAX, SIGN_IN_FAILURES_MAX, SIGN_IN_WINDOW_MILLIS, THROTTLE_KEYS_MAX,
};
use crate::kit::time::Timestamp;

/// The counts of one server.
#[derive(Clone, Debug, Default)]
pub(super) struct Throttle(Arc<Mutex<HashMap<CompactString, Window>>>);

#[derive(Clone, Copy, Debug)]
struct Window {
    ends: Timestamp,
    failures: u32,
}

impl Window {
    fn new(now: Timestamp, millis: i64) -> Self {
        Self {
            ends: now.plus_millis(millis),
            failures: 0,
        }
    }

    fn wait_secs(&self, now: Timestamp) -> u64 {
        let millis = self.ends.as_millis() - now.as_millis();
        u64::try_from(millis).unwrap_or(0).div_ceil(1000).max(1)
    }
}

/// An attempt that counts as failed until [`Attempt::succeeded`].
#[derive(Debug)]
#[must_use = "say when it succeeded"]
pub(super) struct Attempt {
    throttle: Throttle,
    keys: [CompactString; 2],
}

impl Throttle {
    /// Begins an attempt on `identity` of the collection `collection` from `address`; `known` devices of the account
    /// are never shut out. Refused with the seconds to wait.
    pub(super) fn begin(
        &self,
        collection: &str,
        identity: &str,
        address: IpAddr,
        now: Timestamp,
        known: bool,
    ) -> Result<Attempt, u64> {
        let address = address.to_canonical();
        // Letter case is no way around: accounts may be found without it.
        let identity = identity.to_lowercase();
        let keys = [
            format_compact!("{collection} {} {identity}", network(address)),
            format_compact!("{address}"),
        ];
        let mut windows = self.0.lock();
        if windows.len() + 2 > THROTTLE_KEYS_MAX {
            make_room(&mut windows, now);
        }
        let bounds = [SIGN_IN_FAILURES_MAX, SIGN_IN_FAILURES_ADDRESS_MAX];
        if !known {
            for (key, most) in keys.iter().zip(bounds) {
                if let Some(window) = windows.get(key)
                    && window.ends > now
                    && window.failures >= most
                {
                    return Err(window.wait_secs(now));
                }
            }
        }
        for key in &keys {
            let fresh = Window::new(now, SIGN_IN_WINDOW_MILLIS);
            let window = windows.entry(key.clone()).or_insert(fresh);
            if window.ends <= now {
                *window = fresh;
            }
            window.failures = window.failures.saturating_add(1);
        }
        drop(windows);
        Ok(Attempt {
            throttle: self.clone(),
            keys,
        })
    }
}

impl Throttle {
    /// Counts one try of `key` within `window_millis`; refused with the seconds to wait when it is one more than `most`.
    pub(super) fn count(
        &self,
        key: &str,
        most: u32,
        window_millis: i64,
        now: Timestamp,
    ) -> Result<(), u64> {
        let mut windows = self.0.lock();
        if windows.len() + 1 > THROTTLE_KEYS_MAX {
            make_room(&mut windows, now);
        }
        let window = windows
            .entry(key.into())
            .or_insert(Window::new(now, window_millis));
        if window.ends <= now {
            *window = Window::new(now, window_millis);
        }
        if window.failures >= most {
            return Err(window.wait_secs(now));
        }
        window.failures += 1;
        Ok(())
    }

    /// Forgets the count of `key`: what it stood for did not happen.
    pub(super) fn forget(&self, key: &str) {
        self.0.lock().remove(key);
    }
}

impl Attempt {
    /// It was right: forgiven, and the failures before it on this account too.
    pub(super) fn succeeded(self) {
        let mut windows = self.throttle.0.lock();
        let [account, address] = &self.keys;
        windows.remove(account);
        if let Some(window) = windows.get_mut(address) {
            window.failures = window.failures.saturating_sub(1);
        }
    }
}

/// The /24 or /64 that an address lies in.
fn network(address: IpAddr) -> CompactString {
    match address {
        IpAddr::V4(v4) => {
            let [a, b, c, _] = v4.octets();
            format_compact!("{a}.{b}.{c}")
        }
        IpAddr::V6(v6) => {
            let [a, b, c, d, ..] = v6.segments();
            format_compact!("{a:x}:{b:x}:{c:x}:{d:x}")
        }
    }
}

/// Forgets windows that ended, and if that is not enough, those with the fewest failures: a flood of invented names
/// must not push out the counts that matter.
fn make_room(windows: &mut HashMap<CompactString, Window>, now: Timestamp) {
    windows.retain(|_, window| window.ends > now);
    let mut least = 1;
    while windows.len() > THROTTLE_KEYS_MAX / 2 {
        windows.retain(|_, window| window.failures > least);
        least *= 2;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp::from_millis(1_700_000_000_000);

    fn address(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    #[test]
    fn ten_failures_on_an_account_shut_its_network_out_for_a_while() {
        let throttle = Throttle::default();
        let begin =
            |name: &str, from: &str, now| throttle.begin("users", name, address(from), now, false);
        for n in 0..SIGN_IN_FAILURES_MAX {
            let from = format!("10.0.0.{n}");
            assert!(begin("Ann", &from, NOW).is_ok());
        }
        assert_eq!(begin("ann", "10.0.0.99", NOW).unwrap_err(), 300);
        assert!(begin("ann", "10.0.1.1", NOW).is_ok());
        assert!(begin("bob", "10.0.0.99", NOW).is_ok());
        let known = throttle.begin("users", "ann", address("10.0.0.99"), NOW, true);
        assert!(known.is_ok());
        let later = NOW.plus_millis(SIGN_IN_WINDOW_MILLIS);
        assert!(begin("ann", "10.0.0.99", later).is_ok());
    }

    #[test]
    fn right_passwords_are_not_counted() {
        let throttle = Throttle::default();
        for _ in 0..1_000 {
            let begun = throttle.begin("users", "ann", address("10.0.0.1"), NOW, false);
            begun.unwrap().succeeded();
        }
    }

    #[test]
    fn one_address_cannot_try_many_names() {
        let throttle = Throttle::default();
        let mut refused = 0;
        for n in 0..200 {
            let name = format!("user{n}");
            let begun = throttle.begin("users", &name, address("::1"), NOW, false);
            refused += u32::from(begun.is_err());
        }
        assert_eq!(refused, 200 - SIGN_IN_FAILURES_ADDRESS_MAX);
    }

    #[test]
    fn a_flood_of_names_does_not_push_the_counts_out() {
        let throttle = Throttle::default();
        for _ in 0..SIGN_IN_FAILURES_MAX {
            drop(throttle.begin("users", "ann", address("10.0.0.1"), NOW, false));
        }
        for n in 0..u32::try_from(THROTTLE_KEYS_MAX).unwrap() {
            let from = IpAddr::from((0x0b00_0000 + n).to_be_bytes());
            drop(throttle.begin("users", &format!("x{n}"), from, NOW, false));
        }
        assert!(
            throttle
                .begin("users", "ann", address("10.0.0.2"), NOW, false)
                .is_err()
        );
        assert!(throttle.0.lock().len() <= THROTTLE_KEYS_MAX);
    }
}
