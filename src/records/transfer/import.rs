//! The import as a whole: who may, in which transactions, and what is told meanwhile.

use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::runtime::Handle;
use tokio::sync::mpsc;
use tokio::sync::mpsc::error::TryRecvError;

use super::options::{ImportOptions, OnError, unique_by};
use super::report::{ImportReport, Progress};
use super::rows::{Chunk, Maker};
use super::source::{Input, Source};
use super::write::Writing;
use crate::call::Call;
use crate::kit::limits::{IMPORT_CHUNKS_WAITING, IMPORT_TURNS_MAX, WRITE_ALONE_SECS_MAX};
use crate::records::blobs::{self, Leftover};
use crate::records::create;
use crate::records::draft::unknown_password;
use crate::records::{Error, Records};
use crate::store::StoreError;

/// Told how far an import has come; `false` ends it.
pub type Watch = Arc<dyn Fn(Progress) -> bool + Send + Sync>;

/// Pause before a busy writer is asked again.
const TURN_PAUSE: Duration = Duration::from_millis(250);
/// How long one transaction of an import that is alone takes chunks in.
const MANY: Duration = Duration::from_secs(1);
/// How long it waits for the next one.
const SOON: Duration = Duration::from_millis(20);
/// What the store's own deadline gives beyond ours, which ends in order.
const SPARE: Duration = Duration::from_secs(5);

impl Records {
    /// Imports the rows of `input` into the collection that `name` names. For superusers; `watch` is told of progress.
    ///
    /// # Errors
    /// When nothing was begun: [`Error::Import`], or the path names nothing that can be written. What happens to rows is
    /// in the report.
    pub async fn import(
        &self,
        call: &Call,
        name: &str,
        input: Input,
        options: ImportOptions,
        watch: Watch,
    ) -> Result<ImportReport, Error> {
        if !call.actor.is_superuser() {
            return Err(Error::SuperusersOnly(Box::default()));
        }
        let catalog = self.store().catalog();
        let collection = Arc::clone(create::writable(&catalog, name)?);
        options.check(&collection)?;
        let options = Arc::new(options);
        let opening = {
            let (options, collection) = (Arc::clone(&options), Arc::clone(&collection));
            tokio::task::spawn_blocking(move || Source::open(input, &options, &collection))
        };
        let failed = |error: &dyn std::fmt::Display| Error::Files(error.to_string());
        let source = opening.await.map_err(|error| failed(&error))??;
        let bytes_total = source.bytes_total;
        let unknown_password = if collection.is_auth() {
            let plain = unknown_password();
            let hash = self.passwords().hash(&plain).await?;
            Some((plain, hash.into()))
        } else {
            None
        };
        let maker = Maker {
            source,
            collection: Arc::clone(&collection),
            options: Arc::clone(&options),
            call: call.clone(),
            passwords: self.passwords().clone(),
            runtime: Handle::current(),
            row: 0,
        };
        let upsert = options.upsert.as_deref();
        let writing = Arc::new(Writing {
            same: upsert.and_then(|field| unique_by(&collection, field)),
            collection,
            options,
            call: call.clone(),
            unknown_password,
        });
        let (to, chunks) = mpsc::channel(IMPORT_CHUNKS_WAITING);
        std::thread::Builder::new()
            .name("import".to_owned())
            .spawn(move || maker.run(&to))
            .map_err(|error| failed(&error))?;
        let mut report = ImportReport {
            dry_run: writing.options.dry_run,
            ..ImportReport::default()
        };
        report.progress.bytes_total = bytes_total;
        if writing.options.is_together() {
            self.together(writing, chunks, report, watch).await
        } else if writing.options.is_alone {
            Ok(self.many_by_many(&writing, chunks, report, &watch).await)
        } else {
            Ok(self.one_by_one(&writing, chunks, report, &watch).await)
        }
    }

    /// A transaction for many chunks, since nobody else writes: what is written again and again within one, such as pages
    /// of an index whose keys come in no order, is written once.
    async fn many_by_many(
        &self,
        writing: &Arc<Writing>,
        mut chunks: mpsc::Receiver<Chunk>,
        mut report: ImportReport,
        watch: &Watch,
    ) -> ImportReport {
        while let Some(first) = chunks.recv().await {
            let (writing, watch, mut next) =
                (Arc::clone(writing), Arc::clone(watch), report.clone());
            let deadline = Duration::from_secs(WRITE_ALONE_SECS_MAX);
            let done = self
                .store()
                .write_alone(deadline, move |tx| -> Result<_, Error> {
                    let begun = Instant::now();
                    let mut files = Vec::new();
                    let (mut goes_on, mut chunk) = (true, Some(first));
                    while let Some(one) = chunk.take() {
                        goes_on = writing.chunk(tx, &one, &mut next, &mut files)?;
                        if !watch(next.progress) {
                            next.stopped = Some("it was called off".to_owned());
                            goes_on = false;
                        }
                        if goes_on && begun.elapsed() < MANY {
                            chunk = soon(&mut chunks);
                        }
                    }
                    let leftover = Leftover {
                        files,
                        ..Leftover::default()
                    };
                    Ok((next, chunks, goes_on, leftover))
                })
                .await;
            match done {
                Ok((after, rest, goes_on, leftover)) => {
                    (report, chunks) = (after, rest);
                    blobs::dispose(self.files(), leftover).await;
                    if !goes_on {
                        return report;
                    }
                }
                Err(error) => {
                    report.stopped = Some(error.to_string());
                    return report;
                }
            }
        }
        report
    }

    /// A transaction for each chunk: others write in between.
    async fn one_by_one(
        &self,
        writing: &Arc<Writing>,
        mut chunks: mpsc::Receiver<Chunk>,
        mut report: ImportReport,
        watch: &Watch,
    ) -> ImportReport {
        while let Some(chunk) = chunks.recv().await {
            match self.turn(writing, Arc::new(chunk), &report).await {
                Ok((after, goes_on, leftover)) => {
                    report = after;
                    blobs::dispose(self.files(), leftover).await;
                    if !goes_on {
                        break;
                    }
                }
                Err(error) => {
                    report.stopped = Some(error.to_string());
                    break;
                }
            }
            if !watch(report.progress) {
                report.stopped = Some("it was called off".to_owned());
                break;
            }
            if !writing.options.pause.is_zero() {
                tokio::time::sleep(writing.options.pause).await;
            }
        }
        report
    }

    /// One chunk, asked for again while the writer is busy.
    async fn turn(
        &self,
        writing: &Arc<Writing>,
        chunk: Arc<Chunk>,
        report: &ImportReport,
    ) -> Result<(ImportReport, bool, Leftover), Error> {
        let mut turns = 0;
        loop {
            let (writing, chunk) = (Arc::clone(writing), Arc::clone(&chunk));
            let mut report = report.clone();
            let deadline = Duration::from_secs(WRITE_ALONE_SECS_MAX);
            let done = self
                .store()
                .write_alone(deadline, move |tx| -> Result<_, Error> {
                    let mut files = Vec::new();
                    let goes_on = writing.chunk(tx, &chunk, &mut report, &mut files)?;
                    let leftover = Leftover {
                        files,
                        ..Leftover::default()
                    };
                    Ok((report, goes_on, leftover))
                })
                .await;
            match done {
                Err(Error::Store(StoreError::Busy)) if turns < IMPORT_TURNS_MAX => {
                    turns += 1;
                    tokio::time::sleep(TURN_PAUSE).await;
                }
                done => return done,
            }
        }
    }

    /// One transaction for all rows, kept only if it is to be.
    async fn together(
        &self,
        writing: Arc<Writing>,
        mut chunks: mpsc::Receiver<Chunk>,
        mut report: ImportReport,
        watch: Watch,
    ) -> Result<ImportReport, Error> {
        let most = writing.options.together_max;
        let done = self
            .store()
            .write_alone(most.saturating_add(SPARE), move |tx| -> Result<_, Kept> {
                let begun = Instant::now();
                let mut files = Vec::new();
                while let Some(chunk) = chunks.blocking_recv() {
                    if !writing.chunk(tx, &chunk, &mut report, &mut files)? {
                        break;
                    }
                    if !watch(report.progress) {
                        report.stopped = Some("it was called off".to_owned());
                        break;
                    }
                    if begun.elapsed() > most {
                        report.stopped = Some(format!(
                            "it took longer than {} s, which is what one transaction may",
                            most.as_secs()
                        ));
                        break;
                    }
                }
                let undo = writing.options.on_error == OnError::Undo && !report.is_clean();
                if undo || report.dry_run {
                    report.undone = undo;
                    return Err(Kept::Nothing(Box::new(report)));
                }
                Ok((report, files))
            })
            .await;
        match done {
            Ok((report, files)) => {
                let leftover = Leftover {
                    files,
                    ..Leftover::default()
                };
                blobs::dispose(self.files(), leftover).await;
                Ok(report)
            }
            Err(Kept::Nothing(report)) => Ok(*report),
            Err(Kept::Failed(error)) => Err(error),
        }
    }
}

/// The next chunk, if it comes soon: what comes slowly, as from a pipe, is not waited for in an open transaction.
fn soon(chunks: &mut mpsc::Receiver<Chunk>) -> Option<Chunk> {
    let begun = Instant::now();
    loop {
        match chunks.try_recv() {
            Ok(chunk) => return Some(chunk),
            Err(TryRecvError::Disconnected) => return None,
            Err(TryRecvError::Empty) if begun.elapsed() > SOON => return None,
            Err(TryRecvError::Empty) => std::thread::sleep(Duration::from_micros(500)),
        }
    }
}

/// Why a transaction for all was not kept.
enum Kept {
    /// It was not to be.
    Nothing(Box<ImportReport>),
    Failed(Error),
}

impl From<Error> for Kept {
    fn from(error: Error) -> Self {
        Self::Failed(error)
    }
}

impl From<StoreError> for Kept {
    fn from(error: StoreError) -> Self {
        Self::Failed(error.into())
    }
}
