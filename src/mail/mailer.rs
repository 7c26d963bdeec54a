//! The queue: each letter is tried until it left, was refused, or has waited long enough. Nobody who asks for a mail
//! waits for the server that takes it, except where the contract says so.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use lettre::transport::smtp::client::Certificate;
use parking_lot::Mutex;
use tokio::sync::{Semaphore, oneshot};

use super::relay::{Options, Way};
use super::{Error, Letter, Outgoing, Relay};
use crate::kit::limits::{MAIL_QUEUE_MAX, MAIL_SEND_SECS_MAX, MAILS_AT_ONCE_MAX};
use crate::kit::task::Task;

/// How long is waited before each further try; after the last one the letter is given up.
const RETRY_AFTER: [Duration; 4] = [
    Duration::from_secs(1),
    Duration::from_secs(5),
    Duration::from_secs(30),
    Duration::from_secs(120),
];

/// The mailer. Cheap to clone.
#[derive(Clone)]
pub struct Mailer(Arc<Inner>);

struct Inner {
    /// What to send with, asked again for each try: a superuser may have mended it meanwhile.
    outgoing: Box<dyn Fn() -> Outgoing + Send + Sync>,
    here: Options,
    /// The way that was opened last, kept while it stays the same.
    way: Mutex<Option<(Relay, Way)>>,
    /// Room for letters that wait or are tried.
    room: Arc<Semaphore>,
    /// Tries at the same time.
    at_once: Semaphore,
}

/// How a posted letter ends.
#[derive(Debug)]
#[must_use = "somebody should hear when it failed"]
pub struct Receipt(oneshot::Receiver<Result<(), Error>>);

impl Receipt {
    /// Resolves when the letter left or was given up.
    ///
    /// # Errors
    /// Why it did not leave.
    pub async fn wait(self) -> Result<(), Error> {
        let ended = self.0.await;
        ended.unwrap_or_else(|_| Err(Error::Temporary("the server shuts down".to_owned())))
    }
}

impl std::fmt::Debug for Mailer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Mailer").finish_non_exhaustive()
    }
}

impl Mailer {
    /// A mailer that sends with what `outgoing` says at the time.
    #[must_use]
    pub fn new(here: Options, outgoing: impl Fn() -> Outgoing + Send + Sync + 'static) -> Self {
        Self(Arc::new(Inner {
            outgoing: Box::new(outgoing),
            here,
            way: Mutex::new(None),
            room: Arc::new(Semaphore::new(MAIL_QUEUE_MAX)),
            at_once: Semaphore::new(MAILS_AT_ONCE_MAX),
        }))
    }

    /// Takes a letter and sends it when its turn comes.
    ///
    /// # Errors
    /// [`Error::Full`] when too many wait.
    pub fn post(&self, letter: Letter) -> Result<Receipt, Error> {
        let room = Arc::clone(&self.0.room);
        let place = room.try_acquire_owned().map_err(|_| Error::Full)?;
        let (end, ended) = oneshot::channel();
        let mailer = self.clone();
        Task::spawn(async move {
            let result = mailer.deliver(&letter).await;
            drop(place);
            // Whoever posted it may not care.
            end.send(result).ok();
        })
        .detach("a mail outlives the request that asked for it; the room for letters bounds them");
        Ok(Receipt(ended))
    }

    /// Sends a letter at once, with one try.
    ///
    /// # Errors
    /// Why it did not leave.
    pub async fn send(&self, letter: &Letter) -> Result<(), Error> {
        let try_it = async {
            // The semaphore is never closed.
            let _turn = self.0.at_once.acquire().await;
            let outgoing = (self.0.outgoing)();
            let message = letter.message(&outgoing)?;
            self.way(&outgoing.relay)?.send(message).await
        };
        let limit = Duration::from_secs(MAIL_SEND_SECS_MAX);
        let tried = tokio::time::timeout(limit, try_it).await;
        tried.unwrap_or(Err(Error::Late))
    }

    /// Waits until no letter waits, but not longer than `limit`.
    pub async fn drain(&self, limit: Duration) {
        let all = u32::try_from(MAIL_QUEUE_MAX).unwrap_or(u32::MAX);
        let empty = self.0.room.acquire_many(all);
        if tokio::time::timeout(limit, empty).await.is_err() {
            tracing::warn!("mails that could not be sent yet are lost");
        }
    }

    async fn deliver(&self, letter: &Letter) -> Result<(), Error> {
        let mut pauses = RETRY_AFTER.iter();
        loop {
            let Err(error) = self.send(letter).await else {
                return Ok(());
            };
            match pauses.next() {
                Some(pause) if error.is_temporary() => {
                    tracing::debug!(%error, "a mail is tried again later");
                    tokio::time::sleep(*pause).await;
                }
                Some(_) | None => return Err(error),
            }
        }
    }

    fn way(&self, relay: &Relay) -> Result<Way, Error> {
        let mut kept = self.0.way.lock();
        if let Some((known, way)) = &*kept
            && known == relay
            && *relay != Relay::Sendmail
        {
            return Ok(way.clone());
        }
        let way = Way::open(relay, &self.0.here)?;
        *kept = Some((relay.clone(), way.clone()));
        Ok(way)
    }
}

/// The certificates of a PEM file, for servers that show none of a public authority.
///
/// # Errors
/// When the file cannot be read, or holds none.
pub fn authorities(file: &Path) -> Result<Vec<Certificate>, std::io::Error> {
    let pem = std::fs::read(file)?;
    Certificate::from_pem(&pem)
        .map(|certificate| vec![certificate])
        .map_err(|error| std::io::Error::new(std::io::ErrorKind::InvalidData, error))
}
