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

impl Hold {
    /// Takes the directory; where it is not to be `alone`, another process may hold it.
    pub(in crate::store) fn take(dir: &Path, alone: bool) -> Result<Self, StoreError> {
        let paths = Paths::prepare(dir)?;
        let patience = Instant::now();
        let mut taken = Lock::try_take(&paths.own)?;
        // A command holds the directory for a moment only.
        while alone && matches!(taken, Try::Taken(_)) && patience.elapsed() < COMMAND_TIME_MAX {
            std::thread::sleep(COMMAND_LOOK);
            taken = Lock::try_take(&paths.own)?;
        }
        match taken {
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
