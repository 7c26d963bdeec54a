//! What is written to the write-ahead log, for whoever ships it: each write as it reached the file, with its time. It costs
//! the writer a copy in memory and never makes it wait; when nobody takes the writes away in time, the tap says so, and
//! a new copy of the database has to begin where it left off.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use parking_lot::{Mutex, RwLock};

use crate::kit::clock::Clock;
use crate::kit::limits::TAP_BYTES_MAX;

/// Bytes before each write: its time, its place in the log, its length.
pub(super) const TAPPED_HEADER: usize = 20;

/// The writes to one log since they were taken last.
pub struct Tap {
    clock: Clock,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    on: bool,
    lost: bool,
    bytes: Vec<u8>,
}

impl std::fmt::Debug for Tap {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Tap").finish_non_exhaustive()
    }
}

/// What a tap gave.
#[derive(Debug, Default)]
pub struct Tapped {
    /// The writes, one after the other: milliseconds since 1970, offset, length, bytes.
    pub bytes: Vec<u8>,
    /// Whether some are missing after these.
    pub lost: bool,
}

impl Tap {
    /// A tap that is closed.
    pub(in crate::store) fn new(clock: Clock) -> Self {
        Self {
            clock,
            state: Mutex::default(),
        }
    }

    /// Opens it, or opens it anew: gives what came before, and keeps what is written from now on.
    pub(super) fn reopen(&self) -> Tapped {
        let open = State {
            on: true,
            ..State::default()
        };
        let state = std::mem::replace(&mut *self.state.lock(), open);
        Tapped {
            bytes: state.bytes,
            lost: state.lost,
        }
    }

    /// Something was written that did not come by here.
    pub(super) fn lose(&self) {
        let mut state = self.state.lock();
        state.lost = state.on;
    }

    pub(super) fn wrote(&self, at: i64, bytes: &[u8]) {
        let mut state = self.state.lock();
        if !state.on || state.lost {
            return;
        }
        let Ok(length) = u32::try_from(bytes.len()) else {
            state.lost = true;
            return;
        };
        if state.bytes.len() + bytes.len() > TAP_BYTES_MAX {
            state.lost = true;
            return;
        }
        let now = self.clock.now().as_millis();
        state.bytes.extend_from_slice(&now.to_le_bytes());
        state.bytes.extend_from_slice(&at.to_le_bytes());
        state.bytes.extend_from_slice(&length.to_le_bytes());
        state.bytes.extend_from_slice(bytes);
    }

    /// Takes away what came since the last time. Once it has said that some is lost it is closed.
    #[must_use]
    pub fn take(&self) -> Tapped {
        let mut state = self.state.lock();
        let lost = std::mem::take(&mut state.lost);
        state.on &= !lost;
        Tapped {
            bytes: std::mem::take(&mut state.bytes),
            lost,
        }
    }
}

static TAPS: RwLock<Vec<(PathBuf, Arc<Tap>)>> = RwLock::new(Vec::new());

/// Puts `tap` at the log at `path`, which is not open yet.
pub(super) fn put_at(path: &Path, tap: Arc<Tap>) {
    // SQLite names files by their real path.
    let folder = path.parent().and_then(|folder| folder.canonicalize().ok());
    let path = match (folder, path.file_name()) {
        (Some(folder), Some(name)) => folder.join(name),
        _ => path.to_owned(),
    };
    let mut taps = TAPS.write();
    taps.retain(|(known, _)| *known != path);
    taps.push((path, tap));
}

/// The tap of the log at `path`.
pub(super) fn of(path: &Path) -> Option<Arc<Tap>> {
    let taps = TAPS.read();
    let mut at = taps.iter().filter(|(known, _)| known == path);
    at.next().map(|(_, tap)| Arc::clone(tap))
}
