//! Owned tasks and bounded blocking work.

use std::future::Future;

use tokio::task::JoinHandle;

/// A spawned task that is cancelled when its handle is dropped; letting one go must be said with [`Task::detach`].
#[derive(Debug)]
pub struct Task(Option<JoinHandle<()>>);

impl Task {
    /// Starts `work` on the current runtime.
    pub fn spawn(work: impl Future<Output = ()> + Send + 'static) -> Self {
        Self(Some(tokio::spawn(work)))
    }

    /// Lets the task run to its end on its own; `_why` documents the reason at the call.
    pub fn detach(mut self, _why: &'static str) {
        self.0 = None;
    }
}

impl Drop for Task {
    fn drop(&mut self) {
        if let Some(handle) = self.0.take() {
            handle.abort();
        }
    }
}

/// Runs `work` to its end on a thread that may block: on the runtime that the thread belongs to, or, for a command or a
/// test without one, on a runtime of its own.
///
/// # Errors
/// None but the work's own; a machine without room for a runtime is told as an error of `E`.
pub fn wait<T, E: From<std::io::Error>>(work: impl Future<Output = Result<T, E>>) -> Result<T, E> {
    if let Ok(runtime) = tokio::runtime::Handle::try_current() {
        return runtime.block_on(work);
    }
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?
        .block_on(work)
}
