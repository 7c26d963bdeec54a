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
/// The work's own; and, as one of input and output, that the runtime ended first.
pub fn wait<T, E>(work: impl Future<Output = Result<T, E>> + Send + 'static) -> Result<T, E>
where
    T: Send + 'static,
    E: From<std::io::Error> + Send + 'static,
{
    if let Ok(runtime) = tokio::runtime::Handle::try_current() {
        let (to, answer) = std::sync::mpsc::sync_channel(1);
        // Not run here: a runtime that is being shut down would make it panic instead of dropping it.
        drop(runtime.spawn(async move { drop(to.send(work.await)) }));
        return answer
            .recv()
            .unwrap_or_else(|_| Err(std::io::Error::other("the process is ending").into()));
    }
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?
        .block_on(work)
}
