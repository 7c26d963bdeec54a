//! A data directory while this process uses it.

use std::path::Path;
use std::time::{Duration, Instant};

use parking_lot::Mutex;

use super::{Left, Lock, Paths, State, Try, notify};
use crate::store::StoreError;

/// How long a server waits for a command to end.
const COMMAND_TIME_MAX: Duration = Duration::from_millis(500);
/// How often it looks.
const COMMAND_LOOK: Duration = Duration::from_millis(20);

/// The directory, held by us or used beside the server that holds it.
pub(in crate::store) struct Hold {
    /// Where things are.
    pub(in crate::store) paths: Paths,
    /// How we found it.
    pub(in crate::store) left: Left,
    /// Nothing when a server that runs holds the directory.
    held: Mutex<Option<(Lock, State)>>,
}

/// A directory that nobody else opens as long as the value lives, and whose databases are closed.
pub struct Offline(#[expect(dead_code, reason = "held for its life")] Lock);

impl std::fmt::Debug for Offline {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Offline").finish_non_exhaustive()
    }
}

/// Holds the directory `dir`, made where it is missing, without opening anything in it: how it was left stays noted.
///
/// # Errors
/// When a server holds it.
pub fn hold_alone(dir: &Path) -> Result<Offline, StoreError> {
    let paths = Paths::prepare(dir)?;
    match lock(&paths, true)? {
        Try::Held(lock) => {
            Hold::finish_restore(dir, &paths)?;
            Ok(Offline(lock))
        }
        Try::Taken(holder) => Err(StoreError::Taken { holder }),
    }
}

/// Tries to lock the directory; who is to be `alone` waits for a command, which holds it for a moment only.
fn lock(paths: &Paths, alone: bool) -> Result<Try, StoreError> {
    let patience = Instant::now();
    loop {
        let taken = Lock::try_take(&paths.own)?;
        if !alone || matches!(taken, Try::Held(_)) || patience.elapsed() >= COMMAND_TIME_MAX {
            return Ok(taken);
        }
        std::thread::sleep(COMMAND_LOOK);
    }
}

impl Hold {
    /// Takes the directory; where it is not to be `alone`, another process may hold it.
    pub(in crate::store) fn take(dir: &Path, alone: bool) -> Result<Self, StoreError> {
        let paths = Paths::prepare(dir)?;
        match lock(&paths, alone)? {
            Try::Held(lock) => {
                Self::finish_restore(dir, &paths)?;
                let (state, left) = State::open(&paths)?;
                Ok(Self {
                    paths,
                    left,
                    held: Mutex::new(Some((lock, state))),
                })
            }
            Try::Taken(holder) if alone => Err(StoreError::Taken { holder }),
            Try::Taken(_) => Ok(Self {
                paths,
                left: Left::AsWas,
                held: Mutex::new(None),
            }),
        }
    }

    /// Notes how the directory is left, or tells the server that runs to look.
    pub(in crate::store) fn let_go(&self) -> Result<(), StoreError> {
        match self.held.lock().take() {
            Some((_lock, state)) => state.close(&self.paths),
            None => notify(&self.paths),
        }
    }
}
