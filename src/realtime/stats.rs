//! What realtime does, in numbers: totals since the start, and rates of the last seconds.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use parking_lot::Mutex;

/// How far rates look back.
const WINDOW: Duration = Duration::from_secs(10);
/// How often totals are noted for that.
const SAMPLE_EVERY: Duration = Duration::from_millis(900);

/// Totals that only grow, and the last lag.
#[derive(Debug, Default)]
pub(super) struct Stats {
    /// Changes that were given to their subscribers.
    pub(super) events: AtomicU64,
    /// Frames that went to transports.
    pub(super) frames: AtomicU64,
    /// Groups of subscribers that were judged for a change.
    pub(super) judged: AtomicU64,
    /// Messages published in channels.
    pub(super) messages: AtomicU64,
    /// Readers that were too slow and went back to the log.
    pub(super) put_back: AtomicU64,
    /// Clients that were told to fetch again.
    pub(super) resets: AtomicU64,
    lag_micros: AtomicU64,
    samples: Mutex<VecDeque<Sample>>,
}

#[derive(Clone, Copy, Debug)]
struct Sample {
    at: Instant,
    events: u64,
    frames: u64,
}

/// What happened a second, over the last seconds.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Rates {
    /// Changes.
    pub events: f64,
    /// Frames.
    pub frames: f64,
}

impl Stats {
    /// Notes the totals from time to time; called at every turn of the hub.
    pub(super) fn sample(&self) {
        let now = self.now();
        let mut samples = self.samples.lock();
        let due = samples
            .back()
            .is_none_or(|last| now.at.duration_since(last.at) >= SAMPLE_EVERY);
        if due {
            samples.push_back(now);
        }
        // The oldest one kept is just outside the window.
        while samples
            .get(1)
            .is_some_and(|second| now.at.duration_since(second.at) > WINDOW)
        {
            samples.pop_front();
        }
    }

    fn now(&self) -> Sample {
        Sample {
            at: Instant::now(),
            events: self.events.load(Ordering::Relaxed),
            frames: self.frames.load(Ordering::Relaxed),
        }
    }

    /// Notes how old the oldest of some changes was when all had been given out.
    pub(super) fn lagged(&self, lag: Duration) {
        let micros = u64::try_from(lag.as_micros()).unwrap_or(u64::MAX);
        self.lag_micros.store(micros, Ordering::Relaxed);
    }

    /// How old the last changes were when they had been given to everybody.
    pub(super) fn lag(&self) -> Duration {
        Duration::from_micros(self.lag_micros.load(Ordering::Relaxed))
    }

    pub(super) fn rates(&self) -> Rates {
        let now = self.now();
        let Some(then) = self.samples.lock().front().copied() else {
            return Rates::default();
        };
        let seconds = now.at.duration_since(then.at).as_secs_f64().max(1.0);
        #[expect(clippy::cast_precision_loss, reason = "a rate for people to read")]
        let rate = |now: u64, then: u64| (now - then) as f64 / seconds;
        Rates {
            events: rate(now.events, then.events),
            frames: rate(now.frames, then.frames),
        }
    }
}

/// Adds to a total.
pub(super) fn add(total: &AtomicU64, more: usize) {
    total.fetch_add(more as u64, Ordering::Relaxed);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rates_compare_totals_with_those_of_some_seconds_ago() {
        let stats = Stats::default();
        assert_eq!(stats.rates(), Rates::default());

        stats.sample();
        add(&stats.events, 5);
        add(&stats.frames, 50);

        let rates = stats.rates();
        assert!((rates.events - 5.0).abs() < f64::EPSILON, "{rates:?}");
        assert!((rates.frames - 50.0).abs() < f64::EPSILON, "{rates:?}");
    }
}
