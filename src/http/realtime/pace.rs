//! How fast one WebSocket client is read.

use std::time::Duration;

use tokio::time::Instant;

use crate::kit::limits::{REALTIME_MESSAGES_BURST, REALTIME_MESSAGES_PER_SEC};

/// Messages that may be read now, refilled with time.
pub(super) struct Pace {
    left: f64,
    at: Instant,
}

impl Pace {
    pub(super) fn new(now: Instant) -> Self {
        Self {
            left: f64::from(REALTIME_MESSAGES_BURST),
            at: now,
        }
    }

    /// Takes one message, after waiting for its turn.
    pub(super) async fn take(&mut self, now: Instant) {
        if let Some(wait) = self.due(now) {
            tokio::time::sleep(wait).await;
        }
    }

    /// Takes one message, and tells how long to wait before it.
    fn due(&mut self, now: Instant) -> Option<Duration> {
        let rate = f64::from(REALTIME_MESSAGES_PER_SEC);
        let refilled = now.saturating_duration_since(self.at).as_secs_f64() * rate;
        self.left = (self.left + refilled).min(f64::from(REALTIME_MESSAGES_BURST)) - 1.0;
        self.at = now;
        (self.left < 0.0).then(|| Duration::from_secs_f64(-self.left / rate))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_flood_is_slowed_to_the_rate() {
        let now = Instant::now();
        let mut pace = Pace::new(now);
        for _ in 0..REALTIME_MESSAGES_BURST {
            assert_eq!(pace.due(now), None);
        }

        let wait = pace.due(now).unwrap();

        let one = Duration::from_secs(1) / REALTIME_MESSAGES_PER_SEC;
        assert!(wait <= one, "{wait:?}");
        assert_eq!(pace.due(now + Duration::from_secs(1)), None);
    }
}
