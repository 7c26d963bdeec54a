//! A line on a terminal that says how far a long command has come. Nothing is drawn where nobody looks.

use std::io::{IsTerminal, Write};
use std::sync::Arc;
use std::time::{Duration, Instant};

use parking_lot::Mutex;

/// Between two drawings.
const PACE: Duration = Duration::from_millis(100);
/// Width of the bar, in characters.
const WIDTH: u64 = 30;

/// The line. It goes when the last handle is dropped.
#[derive(Clone)]
pub(super) struct Bar {
    begun: Instant,
    drawn: Option<Arc<Drawn>>,
}

#[derive(Default)]
struct Drawn(Mutex<Option<Instant>>);

impl Bar {
    /// On standard error when that is a terminal and no program reads along.
    pub(super) fn new(json: bool) -> Self {
        let shown = !json && std::io::stderr().is_terminal();
        Self {
            begun: Instant::now(),
            drawn: shown.then(Arc::default),
        }
    }

    /// Draws: `done` of `whole`, and what has been done as text.
    pub(super) fn draw(&self, done: u64, whole: Option<u64>, what: &str) {
        let Some(drawn) = &self.drawn else { return };
        let mut drawn = drawn.0.lock();
        if drawn.is_some_and(|at| at.elapsed() < PACE) {
            return;
        }
        *drawn = Some(Instant::now());
        let bar = whole
            .filter(|whole| *whole > 0)
            .map_or_else(String::new, |whole| {
                let done = done.min(whole);
                let full = done * WIDTH / whole;
                let left = self.left(done, whole);
                format!(
                    "[{}{}] {:>3} %  {left}",
                    "#".repeat(usize::try_from(full).unwrap_or(0)),
                    ".".repeat(usize::try_from(WIDTH - full).unwrap_or(0)),
                    done * 100 / whole
                )
            });
        let mut err = std::io::stderr().lock();
        drop(write!(err, "\r\x1b[2K{bar}{what}"));
        drop(err.flush());
    }

    /// Seconds since the beginning.
    pub(super) fn seconds(&self) -> f64 {
        self.begun.elapsed().as_secs_f64()
    }

    fn left(&self, done: u64, whole: u64) -> String {
        let spent = self.begun.elapsed().as_millis();
        if done == 0 || spent < 1_000 {
            return String::new();
        }
        let left = spent * u128::from(whole - done) / u128::from(done) / 1_000;
        format!("{left} s left  ")
    }
}

impl Drop for Drawn {
    fn drop(&mut self) {
        let mut err = std::io::stderr().lock();
        drop(write!(err, "\r\x1b[2K"));
        drop(err.flush());
    }
}
