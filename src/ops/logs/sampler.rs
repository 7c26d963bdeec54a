//! Which requests get a line when there are more than anybody reads: failures, refusals, sign-ins and the slowest always,
//! of the rest all up to a number a second and beyond it an even sample, whose lines say how many requests they stand for.

use std::sync::atomic::{AtomicI64, AtomicU32, AtomicU64, Ordering};
use std::time::Duration;

/// What a request was, as far as the log cares.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// It went well.
    Ordinary,
    /// Somebody signed in, or changed who gets in.
    SignIn,
    /// It failed or was refused.
    Failure,
}

impl Kind {
    /// 0 info, 8 error.
    pub(super) fn level(self) -> i64 {
        match self {
            Self::Ordinary | Self::SignIn => 0,
            Self::Failure => 8,
        }
    }
}

/// Counts of one second. All are approximate under a race at its edge: a line more or less does no harm.
#[derive(Debug, Default)]
pub(super) struct Sampler {
    second: AtomicI64,
    /// Ordinary requests of this second.
    seen: AtomicU64,
    /// Lines of ordinary requests of this second.
    kept: AtomicU32,
    /// Of this many ordinary requests one is kept.
    stride: AtomicU32,
    /// Microseconds of the slowest request of this second.
    slowest: AtomicU64,
}

impl Sampler {
    /// How many requests the line of a request in `second` stands for; `None` when it gets no line. `most` is the number
    /// of lines a second, 0 is all.
    pub(super) fn weight(&self, kind: Kind, second: i64, took: Duration, most: i64) -> Option<u32> {
        let Some(most) = u32::try_from(most).ok().filter(|most| *most > 0) else {
            return Some(1);
        };
        if kind != Kind::Ordinary {
            return Some(1);
        }
        self.turn(second, most);
        let stride = self.stride.load(Ordering::Relaxed).max(1);
        let micros = u64::try_from(took.as_micros()).unwrap_or(u64::MAX);
        if stride > 1 && self.slowest.fetch_max(micros, Ordering::Relaxed) < micros {
            return Some(1);
        }
        let nth = self.seen.fetch_add(1, Ordering::Relaxed);
        if !nth.is_multiple_of(u64::from(stride)) {
            return None;
        }
        let kept = self.kept.fetch_add(1, Ordering::Relaxed) + 1;
        // More come than were expected: from here on fewer of them are kept.
        let step = (most / 8).max(1);
        if kept >= most && (kept - most).is_multiple_of(step) {
            self.stride
                .store(stride.saturating_mul(2), Ordering::Relaxed);
        }
        Some(stride)
    }

    /// Begins a new second by what the last one was like.
    fn turn(&self, second: i64, most: u32) {
        let last = self.second.load(Ordering::Relaxed);
        if last == second {
            return;
        }
        let won = self
            .second
            .compare_exchange(last, second, Ordering::Relaxed, Ordering::Relaxed);
        if won.is_err() {
            return;
        }
        let seen = self.seen.swap(0, Ordering::Relaxed);
        self.kept.store(0, Ordering::Relaxed);
        self.slowest.store(0, Ordering::Relaxed);
        let expected = if second == last + 1 { seen } else { 0 };
        let stride = expected.div_ceil(u64::from(most)).max(1);
        let stride = u32::try_from(stride).unwrap_or(u32::MAX);
        self.stride.store(stride, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Lines and what they stand for, of `requests` in one second.
    fn second(sampler: &Sampler, at: i64, requests: u32, most: i64) -> (u32, u32) {
        let took = Duration::from_micros(100);
        let weights = (0..requests).filter_map(|_| sampler.weight(Kind::Ordinary, at, took, most));
        weights.fold((0, 0), |(lines, all), weight| (lines + 1, all + weight))
    }

    #[test]
    fn up_to_the_number_every_request_has_a_line() {
        let sampler = Sampler::default();
        assert_eq!(second(&sampler, 1, 500, 500), (500, 500));
        assert_eq!(second(&sampler, 2, 100, 500), (100, 100));
        assert_eq!(second(&sampler, 3, 9_999, 0), (9_999, 9_999));
    }

    #[test]
    fn beyond_it_few_lines_stand_for_all() {
        let sampler = Sampler::default();
        for at in 1..5 {
            let (lines, all) = second(&sampler, at, 50_000, 500);
            // The first second cannot know what is coming.
            let most = if at == 1 { 1_100 } else { 510 };
            assert!(lines <= most, "{lines} lines in second {at}");
            assert!(all.abs_diff(50_000) < 4_000, "they stand for {all}");
        }
        assert_eq!(second(&sampler, 10, 500, 500), (500, 500), "after a pause");
    }

    #[test]
    fn what_matters_always_has_a_line_of_its_own() {
        let sampler = Sampler::default();
        second(&sampler, 1, 50_000, 500);
        second(&sampler, 2, 50_000, 500);
        let took = Duration::from_micros(100);
        for kind in [Kind::Failure, Kind::SignIn] {
            assert!((0..1_000).all(|_| sampler.weight(kind, 2, took, 500) == Some(1)));
        }
        let slow = Duration::from_secs(1);
        assert_eq!(sampler.weight(Kind::Ordinary, 2, slow, 500), Some(1));
    }
}
