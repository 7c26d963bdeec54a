//! Slows guessing down: failed sign-ins are counted by account and network, and by address; tries of codes are counted
//! right or wrong. An attempt to sign in counts from its start and is forgiven when it turns out right, so that many at
//! once are not free. The counts are kept in a file of the data directory, so that a restart hands out no new tries; the
//! servers of one PostgreSQL count together, in its tables.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use compact_str::{CompactString, format_compact};
use parking_lot::Mutex;
use tokio::sync::Notify;

use crate::kit::limits::{
    SIGN_IN_FAILURES_ADDRESS_MAX, SIGN_IN_FAILURES_MAX, SIGN_IN_WINDOW_MILLIS, THROTTLE_KEYS_MAX,
};
use crate::kit::task::Task;
use crate::kit::time::Timestamp;
use crate::store::{Common, Counted, Store, StoreError};

/// Name of the file that the counts are kept in.
const FILE: &str = "throttle";
/// Pause between a change and its way to the disk: what a crash forgets at most.
const KEEP_PAUSE: Duration = Duration::from_secs(1);

type Windows = HashMap<CompactString, Window>;

/// The counts of one server. Cheap to clone.
#[derive(Clone, Debug, Default)]
pub struct Throttle(Arc<Counts>);

#[derive(Debug, Default)]
struct Counts {
    /// Where several servers count together; the rest is of a server that counts alone.
    common: Option<Common>,
    windows: Mutex<Windows>,
    changed: Notify,
    /// Writes the counts down while there is a directory to write to.
    keeper: Mutex<Option<(Store, Task)>>,
}

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
pub struct Attempt {
    throttle: Throttle,
    keys: [CompactString; 2],
    now: Timestamp,
}

impl Throttle {
    /// Counts for the servers of `store`.
    #[must_use]
    pub fn of(store: &Store) -> Self {
        Self(Arc::new(Counts {
            common: store.common().cloned(),
            ..Counts::default()
        }))
    }

    /// Begins an attempt on `identity` of the collection `collection` from `address`; `known` devices of the account
    /// are never shut out. Refused with the seconds to wait.
    ///
    /// # Errors
    /// The seconds to wait.
    pub fn begin(
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
        let bounds = [SIGN_IN_FAILURES_MAX, SIGN_IN_FAILURES_ADDRESS_MAX];
        if let Some(common) = &self.0.common {
            let wanted = [&keys[0], &keys[1]].map(|key| (key.as_str(), SIGN_IN_WINDOW_MILLIS));
            let bounds = bounds.map(|most| if known { u32::MAX } else { most });
            together(common, &wanted, &bounds, now)?;
            return Ok(Attempt {
                throttle: self.clone(),
                keys,
                now,
            });
        }
        let mut windows = self.0.windows.lock();
        if windows.len() + 2 > THROTTLE_KEYS_MAX {
            make_room(&mut windows, now);
        }
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
        self.0.changed.notify_one();
        Ok(Attempt {
            throttle: self.clone(),
            keys,
            now,
        })
    }
}

/// Counts together with other servers, unless one of the counts is past its bound; then the seconds to wait.
fn together(
    common: &Common,
    keys: &[(&str, i64)],
    bounds: &[u32],
    now: Timestamp,
) -> Result<(), u64> {
    let over = |counted: &[Counted]| {
        let mut pairs = counted.iter().zip(bounds);
        pairs
            .find(|(count, most)| count.used > i64::from(**most))
            .map(|(count, _)| count.ends)
    };
    match common.count(keys, now, |counted| over(counted).is_none()) {
        Ok((counted, _)) => match over(&counted) {
            None => Ok(()),
            Some(ends) => Err(Window { ends, failures: 0 }.wait_secs(now)),
        },
        Err(error) => {
            // Who cannot be counted may not try.
            tracing::warn!(%error, "an attempt cannot be counted");
            Err(1)
        }
    }
}

/// What could not be forgotten counts until it ends.
fn forgotten(done: Result<(), StoreError>) {
    if let Err(error) = done {
        tracing::warn!(%error, "a count cannot be taken back");
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
        if let Some(common) = &self.0.common {
            return together(common, &[(key, window_millis)], &[most], now);
        }
        let mut windows = self.0.windows.lock();
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
        drop(windows);
        self.0.changed.notify_one();
        Ok(())
    }

    /// Forgets the count of `key`: what it stood for did not happen.
    pub(super) fn forget(&self, key: &str, now: Timestamp) {
        if let Some(common) = &self.0.common {
            return forgotten(common.forget(key, now));
        }
        self.0.windows.lock().remove(key);
        self.0.changed.notify_one();
    }
}

impl Throttle {
    /// Goes on with the counts that were kept in the directory of `store`, and keeps them there from now on, until
    /// [`Throttle::close`]. Counts that cannot be read are begun anew.
    pub(super) fn remember(&self, store: &Store, now: Timestamp) {
        if self.0.common.is_some() {
            return;
        }
        match store.kept(FILE) {
            Ok(kept) => *self.0.windows.lock() = decoded(&kept.unwrap_or_default(), now),
            Err(error) => tracing::warn!(%error, "the counts of failed sign-ins cannot be read"),
        }
        let weak = Arc::downgrade(&self.0);
        let task = Task::spawn(async move {
            loop {
                let Some(counts) = weak.upgrade() else { return };
                counts.changed.notified().await;
                tokio::time::sleep(KEEP_PAUSE).await;
                let writing = tokio::task::spawn_blocking(move || Self(counts).keep());
                if let Err(error) = writing.await {
                    tracing::error!(%error, "the counts of failed sign-ins were not kept");
                }
            }
        });
        *self.0.keeper.lock() = Some((store.clone(), task));
    }

    /// Writes the counts down for the last time.
    pub(super) fn close(&self) {
        self.keep();
        drop(self.0.keeper.lock().take());
    }

    fn keep(&self) {
        let Some(store) = self
            .0
            .keeper
            .lock()
            .as_ref()
            .map(|(store, _)| store.clone())
        else {
            return;
        };
        let text = encoded(&self.0.windows.lock());
        if let Err(error) = store.keep(FILE, &text) {
            tracing::warn!(%error, "the counts of failed sign-ins cannot be kept");
        }
    }
}

/// The counts as JSON: key, end of the window in milliseconds, failures.
fn encoded(windows: &Windows) -> Vec<u8> {
    let rows: Vec<(&str, i64, u32)> = windows
        .iter()
        .map(|(key, window)| (key.as_str(), window.ends.as_millis(), window.failures))
        .collect();
    serde_json::to_vec(&rows).unwrap_or_default()
}

/// What [`encoded`] has written and still counts; nothing of what cannot be read. No window ends later than one that
/// begins now, whatever the clock was.
fn decoded(text: &[u8], now: Timestamp) -> Windows {
    let rows: Vec<(CompactString, i64, u32)> = serde_json::from_slice(text).unwrap_or_default();
    let latest = now.plus_millis(SIGN_IN_WINDOW_MILLIS);
    rows.into_iter()
        .take(THROTTLE_KEYS_MAX)
        .map(|(key, ends, failures)| {
            let ends = Timestamp::from_millis(ends).min(latest);
            (key, Window { ends, failures })
        })
        .filter(|(_, window)| window.ends > now)
        .collect()
}

impl Attempt {
    /// It was right: forgiven, and the failures before it on this account too.
    pub fn succeeded(self) {
        let [account, address] = &self.keys;
        if let Some(common) = &self.throttle.0.common {
            forgotten(common.forget(account, self.now));
            return forgotten(common.uncount(address, self.now));
        }
        let mut windows = self.throttle.0.windows.lock();
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
fn make_room(windows: &mut Windows, now: Timestamp) {
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
        assert!(throttle.0.windows.lock().len() <= THROTTLE_KEYS_MAX);
    }

    #[test]
    fn what_was_kept_counts_until_its_window_ends() {
        let throttle = Throttle::default();
        for _ in 0..SIGN_IN_FAILURES_MAX {
            drop(throttle.begin("users", "a\n\"b", address("10.0.0.1"), NOW, false));
        }
        let kept = encoded(&throttle.0.windows.lock());

        assert_eq!(decoded(&kept, NOW).len(), 2);
        let end = NOW.plus_millis(SIGN_IN_WINDOW_MILLIS);
        assert!(decoded(&kept, end).is_empty());
        let long_ago = NOW.plus_millis(-1_000_000_000);
        let latest = long_ago.plus_millis(SIGN_IN_WINDOW_MILLIS);
        assert!(
            decoded(&kept, long_ago)
                .values()
                .all(|window| window.ends <= latest)
        );
        assert!(decoded(b"garbage", NOW).is_empty());
    }
}
